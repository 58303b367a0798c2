//! Signatures that SSH keys make over commits and tags (`ssh-keygen -Y sign -n git`, PROTOCOL.sshsig), and who may make them.
//!
//! Entry points: [`SshSigner::read`] for a line of the keyring, [`verify`] for a signature.

use russh::keys::ssh_encoding::{Decode as _, Reader as _};
use russh::keys::ssh_key::{self, SshSig};
use russh::keys::{Algorithm, HashAlg, PublicKey};

use crate::armor;
use crate::verdict::{Signer, Verdict};

/// What a signature block is called.
const KIND: &str = "SSH SIGNATURE";
/// What git signs for: a signature for a file or a login is none over a commit.
const NAMESPACE: &str = "git";
/// Fewer bits than this are no longer out of reach.
const RSA_BITS_MIN: usize = 2048;

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshSigner {
    key: PublicKey,
    name: String,
}

impl SshSigner {
    /// Reads a line: a public key as in a `.pub` file, or `NAME [namespaces="git"] KEY` as in git's list of allowed signers.
    /// Nothing if its namespaces are others.
    pub(crate) fn read(line: &str) -> Result<Option<Self>, String> {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let is_kind = |word: &str| word.parse::<Algorithm>().is_ok_and(|kind| !matches!(kind, Algorithm::Other(_)));
        let at = words.iter().position(|word| is_kind(word)).ok_or("there is no public key of a known kind in it")?;
        let key = words.split_off(at).join(" ");
        let key = PublicKey::from_openssh(&key).map_err(|_| "its public key is damaged".to_owned())?;
        let (name, options) = match words.as_slice() {
            [] => (key.comment().to_string(), None),
            [name] => ((*name).to_owned(), None),
            [name, options] => ((*name).to_owned(), Some(*options)),
            _ => return Err("it must be a name, at most one word of options, and a public key".to_owned()),
        };
        if let Some(options) = options {
            let namespaces = options.strip_prefix("namespaces=\"").and_then(|rest| rest.strip_suffix('"'));
            let namespaces = namespaces.ok_or("of options only namespaces=\"git\" is supported")?;
            if !namespaces.split(',').any(|namespace| namespace == NAMESPACE) {
                return Ok(None);
            }
        }
        let too_short =
            key.key_data().rsa().is_some_and(|rsa| rsa.key_size() < u32::try_from(RSA_BITS_MIN).unwrap_or(u32::MAX));
        if too_short {
            return Err(format!("its RSA key has fewer than {RSA_BITS_MIN} bits"));
        }
        Ok(Some(Self { key, name }))
    }
}

/// Who signed a document.
pub(crate) fn verify(document: &[u8], armored: &str, keyring: &[SshSigner]) -> Verdict {
    let bad = |key: Option<String>, reason: &str| Verdict::Bad { key, reason: reason.to_owned() };
    let signature = match read(armored) {
        Ok(signature) => signature,
        Err(reason) => return bad(None, &reason),
    };
    let id = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
    let Some(signer) = keyring.iter().find(|signer| signer.key.key_data() == signature.public_key()) else {
        return Verdict::UnknownKey { id };
    };
    if signature.namespace() != NAMESPACE {
        return bad(Some(id), "it was made for something else than git");
    }
    if signature.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
        return bad(Some(id), "its hash is SHA-1, which is not accepted: sign with a newer ssh-keygen");
    }
    match signer.key.verify(NAMESPACE, document, &signature) {
        Ok(()) => Verdict::Good(Signer { key: id.clone(), primary: id, name: signer.name.clone() }),
        Err(ssh_key::Error::AlgorithmUnsupported { .. } | ssh_key::Error::AlgorithmUnknown) => {
            bad(Some(id), "keys of its kind are not supported: use ed25519, ECDSA or RSA")
        }
        Err(_) => bad(Some(id), "it does not fit what is signed, which was changed"),
    }
}

fn read(armored: &str) -> Result<SshSig, String> {
    let blocks = armor::blocks(armored, KIND)?;
    let [block] = blocks.as_slice() else { return Err("there is more than one signature".to_owned()) };
    let mut reader = block.as_slice();
    let signature = SshSig::decode(&mut reader).map_err(|error| format!("it cannot be read: {error}"))?;
    if reader.is_finished() { Ok(signature) } else { Err("there is something behind it".to_owned()) }
}
