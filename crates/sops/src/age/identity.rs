//! Secret keys of age, and SSH keys in its use. Entry points: [`Identity::from_age`], [`Identity::from_openssh`].
//!
//! Invariant: the secret half is zeroed when it is dropped, and `Debug` tells the public one only.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use rsa::pkcs8::EncodePrivateKey as _;
use ssh_key::private::KeypairData;
use zeroize::Zeroizing;

use super::header::Stanza;
use super::{Key, derive, unseal};

/// How long a file key is, in bytes.
const FILE_KEY_BYTES: usize = 16;
const X25519_LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const SSH_ED25519_LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";
const SSH_RSA_LABEL: &[u8] = b"age-encryption.org/v1/ssh-rsa";

/// One secret key.
pub(crate) struct Identity {
    /// Its public half, as files name it.
    recipient: String,
    secret: Secret,
}

enum Secret {
    X25519 { key: Key, public: [u8; 32] },
    Ed25519 { key: Key, public: [u8; 32], ssh: SshName },
    Rsa { key: OaepPrivateDecryptingKey, ssh: SshName },
}

/// What names an SSH key in a stanza.
struct SshName {
    tag: String,
    /// The public key as SSH sends it.
    wire: Vec<u8>,
}

/// Why a line is no key.
#[derive(Debug, PartialEq)]
pub(crate) enum IdentityError {
    NotAKey,
    Damaged,
    Unsupported,
}

// === impl Identity ===

impl Identity {
    /// Reads `AGE-SECRET-KEY-1…`.
    pub(crate) fn from_age(text: &str) -> Result<Self, IdentityError> {
        if text.starts_with("AGE-SECRET-KEY-PQ-") || text.starts_with("AGE-PLUGIN-") {
            return Err(IdentityError::Unsupported);
        }
        if !text.starts_with("AGE-SECRET-KEY-1") {
            return Err(IdentityError::NotAKey);
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| IdentityError::Damaged)?;
        let mut key = Key::default();
        let mut bytes = checked.byte_iter();
        if bytes.len() != key.len() {
            return Err(IdentityError::Damaged);
        }
        key.iter_mut().zip(&mut bytes).for_each(|(to, from)| *to = from);
        let public = public_of(&key).ok_or(IdentityError::Damaged)?;
        let recipient = Hrp::parse("age").ok().and_then(|prefix| bech32::encode::<Bech32>(prefix, &public).ok());
        Ok(Self { recipient: recipient.ok_or(IdentityError::Damaged)?, secret: Secret::X25519 { key, public } })
    }

    /// Reads an SSH private key without a passphrase.
    pub(crate) fn from_openssh(text: &str) -> Option<Self> {
        let pair = ssh_key::PrivateKey::from_openssh(text).ok()?;
        let wire = pair.public_key().to_bytes().ok()?;
        let recipient = pair.public_key().to_openssh().ok()?;
        // Without the comment, which is no part of the key.
        let recipient = recipient.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let tag = STANDARD_NO_PAD.encode(&digest(&SHA256, &wire).as_ref()[..4]);
        let ssh = SshName { tag, wire };
        let secret = match pair.key_data() {
            KeypairData::Ed25519(pair) => {
                let seed = Zeroizing::new(pair.private.to_bytes());
                let mut key = Key::default();
                key.copy_from_slice(&digest(&SHA512, &*seed).as_ref()[..32]);
                let public = public_of(&key)?;
                Secret::Ed25519 { key, public, ssh }
            }
            KeypairData::Rsa(pair) => {
                let encoded = rsa::RsaPrivateKey::try_from(pair).ok()?.to_pkcs8_der().ok()?;
                let key = PrivateDecryptingKey::from_pkcs8(encoded.as_bytes()).ok()?;
                Secret::Rsa { key: OaepPrivateDecryptingKey::new(key).ok()?, ssh }
            }
            _ => return None,
        };
        Some(Self { recipient, secret })
    }

    /// The public half, for whom files are encrypted.
    pub(crate) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// The file key in a stanza, if it was wrapped for this key.
    pub(super) fn unwrap(&self, stanza: &Stanza<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let file_key = match (&self.secret, stanza.words.as_slice()) {
            (Secret::X25519 { key, public }, ["X25519", share]) => {
                let share = share_of(share)?;
                let secret = shared(key, &share)?;
                unwrap_with(&secret, &share, public, X25519_LABEL, &stanza.body)?
            }
            (Secret::Ed25519 { key, public, ssh }, ["ssh-ed25519", tag, share]) if *tag == ssh.tag => {
                let share = share_of(share)?;
                // The key of the SSH key is bound in, so that one of age with the same bytes is another.
                let tweak = derive(&ssh.wire, &[], SSH_ED25519_LABEL)?;
                let secret = shared(&tweak, &*shared(key, &share)?)?;
                unwrap_with(&secret, &share, public, SSH_ED25519_LABEL, &stanza.body)?
            }
            (Secret::Rsa { key, ssh }, ["ssh-rsa", tag]) if *tag == ssh.tag => {
                let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
                let plain = key.decrypt(&OAEP_SHA256_MGF1SHA256, &stanza.body, &mut room, Some(SSH_RSA_LABEL)).ok()?;
                Zeroizing::new(plain.to_vec())
            }
            _ => return None,
        };
        (file_key.len() == FILE_KEY_BYTES).then_some(file_key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.recipient)
    }
}

fn unwrap_with(
    secret: &[u8; 32],
    share: &[u8; 32],
    public: &[u8; 32],
    label: &[u8],
    body: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let salt = [share.as_slice(), public.as_slice()].concat();
    unseal(&*derive(&salt, secret, label)?, [0; 12], body)
}

fn public_of(key: &Key) -> Option<[u8; 32]> {
    let private = PrivateKey::from_private_key(&X25519, key.as_slice()).ok()?;
    private.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// What both sides of an exchange know. A share of low order, with which anybody would know it, is refused.
fn shared(key: &Key, share: &[u8; 32]) -> Option<Key> {
    let private = PrivateKey::from_private_key(&X25519, key.as_slice()).ok()?;
    agree(&private, UnparsedPublicKey::new(&X25519, share), (), |secret| {
        let mut shared = Key::default();
        if secret.len() != shared.len() || secret.iter().all(|byte| *byte == 0) {
            return Err(());
        }
        shared.copy_from_slice(secret);
        Ok(shared)
    })
    .ok()
}

fn share_of(text: &str) -> Option<[u8; 32]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}
