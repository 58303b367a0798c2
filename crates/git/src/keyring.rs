//! The keys that may sign commits and tags. Entry points: [`Keyring::new`] and [`Keyring::verify`].
//!
//! Invariant: only what the keyring holds is trusted; nothing is looked up elsewhere, and an entry that is not what it says is left
//! out and told.

use jiff::Timestamp;

use crate::armor;
use crate::openpgp::{self, Certificate};
use crate::signed::Signed;
use crate::ssh_signature::{self, SshSigner};
use crate::verdict::Verdict;

/// What a block of a public key is called.
const PUBLIC_KEY: &str = "PGP PUBLIC KEY BLOCK";
/// Bytes of one entry: a ConfigMap has no more.
const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// Digits of the id of a key, as the entries of the ConfigMap are named.
const ID_DIGITS: usize = 16;

/// Keys that may sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    ssh: Vec<SshSigner>,
    problems: Vec<String>,
}

impl Keyring {
    /// Reads the entries of the ConfigMap `argocd-gpg-keys-cm` (id of a key, armored key), and lines of SSH keys: a public key each,
    /// or `NAME KEY` as in git's list of allowed signers.
    pub fn new<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>, ssh: &str) -> Self {
        let mut keyring = Self::default();
        for (id, armored) in entries {
            match certificate(id, armored) {
                Ok(certificate) => keyring.certificates.push(certificate),
                Err(why) => keyring.problems.push(format!("key '{id}' is not used: {why}")),
            }
        }
        for (number, line) in (1..).zip(ssh.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match SshSigner::read(line) {
                Ok(signer) => keyring.ssh.extend(signer),
                Err(why) => keyring.problems.push(format!("line {number} of the SSH keys is not used: {why}")),
            }
        }
        keyring
    }

    /// The entries that are not used, and why.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What the signature of a commit or tag is worth at this time.
    pub fn verify(&self, signed: &Signed, now: Timestamp) -> Verdict {
        let armored = signed.signature.as_str();
        if let Some(reason) = &signed.problem {
            return Verdict::Bad { key: None, reason: reason.clone() };
        }
        if armored.trim().is_empty() {
            return Verdict::Unsigned;
        }
        match armored.lines().next().map(str::trim_end) {
            Some("-----BEGIN PGP SIGNATURE-----") => openpgp::verify(&signed.payload, armored, &self.certificates, now),
            Some("-----BEGIN SSH SIGNATURE-----") => ssh_signature::verify(&signed.payload, armored, &self.ssh),
            _ => {
                let reason = "it is neither an OpenPGP nor an SSH signature (X.509 is not supported)".to_owned();
                Verdict::Bad { key: None, reason }
            }
        }
    }
}

/// The key of an entry, which must be the one that the entry is named after.
fn certificate(id: &str, armored: &str) -> Result<Certificate, String> {
    if id.len() != ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("the entry must be named after the key's id, {ID_DIGITS} hexadecimal digits"));
    }
    if armored.len() > ENTRY_BYTES_MAX {
        return Err(format!("it is longer than {ENTRY_BYTES_MAX} bytes"));
    }
    let mut found = Vec::new();
    for block in armor::blocks(armored, PUBLIC_KEY)? {
        found.extend(Certificate::read(&block)?);
    }
    let ids: Vec<String> = found.iter().map(Certificate::id).collect();
    let own = found.into_iter().find(|certificate| certificate.id().eq_ignore_ascii_case(id));
    own.ok_or_else(|| match ids.as_slice() {
        [] => "there is no key in it".to_owned(),
        ids => format!("it holds the key {}, and not the one that it is named after", ids.join(", ")),
    })
}
