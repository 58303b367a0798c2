//! What a signature of a commit or tag is worth, as git's `%G?` tells it, and in words.
//!
//! Invariant: only [`Verdict::Good`] is a signature by a key of the keyring, over the very object, by a key that counts now. Whether
//! that key may sign for a project is [`Signer::is_among`].

use std::fmt;

/// What a signature is worth. `Display` completes a sentence that begins with the revision: "it is not signed".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// By a key of the keyring (git: G).
    Good(Signer),
    /// There is none (git: N).
    Unsigned,
    /// By a key that the keyring does not have (git: E).
    UnknownKey {
        /// Its id or fingerprint, as the signature says.
        id: String,
    },
    /// By a key that has expired, or the signature itself has (git: Y, X).
    Expired {
        /// Who signed.
        signer: Signer,
        /// What expired, and when.
        reason: String,
    },
    /// By a key that its owner has revoked (git: R).
    Revoked {
        /// Who signed.
        signer: Signer,
        /// Why they revoked the key.
        reason: String,
    },
    /// It does not fit, cannot be read, or is of a kind that is not accepted (git: B, E).
    Bad {
        /// The key that it is said to be by, if the keyring has it.
        key: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key, or subkey, that signed: the last 16 digits of its fingerprint; of an SSH key `SHA256:…`.
    pub key: String,
    /// The fingerprint of the primary key, 40 digits; of an SSH key the same as `key`.
    pub primary: String,
    /// Whose key it is, as the key or the list of SSH keys says; may be empty.
    pub name: String,
}

impl Signer {
    /// Whether the key is on a list of ids (16 digits) and fingerprints (40 digits, or `SHA256:…`), as projects have them. A subkey
    /// belongs to its primary key.
    pub fn is_among<T: AsRef<str>>(&self, keys: &[T]) -> bool {
        keys.iter().any(|listed| self.is(listed.as_ref().trim()))
    }

    fn is(&self, listed: &str) -> bool {
        if listed.starts_with("SHA256:") {
            // Base64: upper and lower case differ.
            return listed == self.key;
        }
        let primary_id = self.primary.get(self.primary.len().saturating_sub(16)..).unwrap_or_default();
        [self.key.as_str(), primary_id, self.primary.as_str()].iter().any(|id| id.eq_ignore_ascii_case(listed))
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.primary.ends_with(&self.key) {
            write!(f, ", a subkey of {}", self.primary)?;
        }
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({})", self.name) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(signer) => write!(f, "it is signed with key {signer}"),
            Self::Unsigned => {
                f.write_str("it is not signed: sign it (git commit -S, git tag -s) with a key that the project trusts")
            }
            Self::UnknownKey { id } if id.starts_with("SHA256:") => {
                write!(f, "it is signed with the SSH key {id}, which nobody has allowed to sign")
            }
            Self::UnknownKey { id } => {
                write!(f, "it is signed with key {id}, which is not in the ConfigMap argocd-gpg-keys-cm")
            }
            Self::Expired { signer, reason } => write!(f, "it is signed with key {signer}, {reason}"),
            Self::Revoked { signer, reason } => {
                write!(f, "it is signed with key {signer}, which its owner has revoked ({reason})")
            }
            Self::Bad { key: Some(key), reason } => write!(f, "its signature with key {key} does not count: {reason}"),
            Self::Bad { key: None, reason } => write!(f, "its signature does not count: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_listed_by_id_or_fingerprint_and_a_subkey_by_its_primary() {
        let primary = "0123456789ABCDEF0123456789ABCDEF01234567";
        let signer = Signer { key: "FEDCBA9876543210".to_owned(), primary: primary.to_owned(), name: "A".to_owned() };
        for listed in ["FEDCBA9876543210", "fedcba9876543210", "89ABCDEF01234567", primary] {
            assert!(signer.is_among(&["other", listed]), "{listed}");
        }
        // The last 16 digits of a fingerprint that differs elsewhere; 8 digits, of which anybody can make a key; nothing.
        for listed in ["F123456789ABCDEF0123456789ABCDEF01234567", "01234567", "76543210", "", "*"] {
            assert!(!signer.is_among(&[listed]), "{listed}");
        }
        assert!(!signer.is_among::<&str>(&[]));
        assert_eq!(signer.to_string(), format!("FEDCBA9876543210, a subkey of {primary} (A)"));
        let ssh = Signer { key: "SHA256:Abc".to_owned(), primary: "SHA256:Abc".to_owned(), name: String::new() };
        assert!(ssh.is_among(&["SHA256:Abc"]));
        assert!(!ssh.is_among(&["SHA256:ABC"]) && !ssh.is_among(&[""]));
        assert_eq!(ssh.to_string(), "SHA256:Abc");
    }
}
