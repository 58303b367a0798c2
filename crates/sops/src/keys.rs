//! The keys to decrypt with. Entry point: [`Keys::add`].
//!
//! Invariant: neither `Debug` nor an error tells a secret key; its memory is zeroed when it is dropped.

use std::fmt;

use trueup_object::Digest;

use crate::age::{Identity, IdentityError};

/// The most keys that are held: each is tried on each file.
const KEYS_MAX: usize = 64;
/// The largest text that keys are read from, in bytes: a Secret holds no more.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Secret keys: age's, or SSH keys (ed25519 and RSA) as age uses them.
#[derive(Default)]
pub struct Keys {
    identities: Vec<Identity>,
}

/// A text that holds no key that can be used. The message never repeats the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A line is no key.
    #[error("line {0} is no age secret key: one begins with AGE-SECRET-KEY-1, as age-keygen prints it")]
    NotAKey(usize),
    /// A key has a mistake in it.
    #[error("the age secret key in line {0} is damaged: copy it again, whole")]
    Damaged(usize),
    /// A kind of age key that we do not have.
    #[error(
        "the key in line {0} is of an age plugin or a post-quantum one, which are not supported: add an X25519 key, made by age-keygen, to the files"
    )]
    Unsupported(usize),
    /// An SSH key that cannot be used.
    #[error(
        "the SSH key cannot be used: it must be an ed25519 or RSA key in OpenSSH's format without a passphrase; 'ssh-keygen -p -f FILE' converts it"
    )]
    Ssh,
    /// OpenPGP.
    #[error("OpenPGP keys are not supported: add an age key to the files, by 'sops rotate --add-age KEY --in-place'")]
    Pgp,
    /// Nothing in it.
    #[error("no key in it")]
    Empty,
    /// More keys, or a longer text, than anybody has.
    #[error("more than 64 keys, or more than 1 MiB")]
    TooMany,
}

// === impl Keys ===

impl Keys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the keys of a text: lines of age secret keys, with comments, or one SSH private key.
    pub fn add(&mut self, text: &[u8]) -> Result<(), KeyError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(KeyError::TooMany);
        }
        let text = std::str::from_utf8(text).map_err(|_| KeyError::NotAKey(1))?;
        let mut added = Vec::new();
        if text.contains("-----BEGIN PGP ") {
            return Err(KeyError::Pgp);
        }
        if text.contains("-----BEGIN ") {
            added.push(Identity::from_openssh(text.trim()).ok_or(KeyError::Ssh)?);
        } else {
            for (at, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                added.push(Identity::from_age(line).map_err(|error| match error {
                    IdentityError::NotAKey => KeyError::NotAKey(at + 1),
                    IdentityError::Damaged => KeyError::Damaged(at + 1),
                    IdentityError::Unsupported => KeyError::Unsupported(at + 1),
                })?);
            }
        }
        if added.is_empty() {
            return Err(KeyError::Empty);
        }
        added.retain(|key| !self.identities.iter().any(|known| known.recipient() == key.recipient()));
        if self.identities.len() + added.len() > KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        self.identities.append(&mut added);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The public halves, for whom files are encrypted.
    pub fn recipients(&self) -> Vec<&str> {
        self.identities.iter().map(Identity::recipient).collect()
    }

    /// What tells these keys from others, in whichever order they were added, without telling them: for the keys of caches.
    pub fn identity(&self) -> Digest {
        let mut recipients = self.recipients();
        recipients.sort_unstable();
        Digest::of_parts(recipients)
    }

    pub(crate) fn identities(&self) -> &[Identity] {
        &self.identities
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.recipients()).finish()
    }
}
