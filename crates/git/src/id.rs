//! Object ids: which commit, tree or blob. One type per kind of object, so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many hexadecimal digits a full object id has.
pub(crate) const HEX_LEN: usize = 40;

/// The text is not a full object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an object id: 40 hexadecimal digits are needed")]
pub struct IdError;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 20]);

        impl $name {
            /// The 20 bytes of the id.
            pub fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }

            pub(crate) fn oid(&self) -> git2::Oid {
                git2::Oid::from_bytes(&self.0).unwrap_or(git2::Oid::ZERO_SHA1)
            }
        }

        impl From<[u8; 20]> for $name {
            fn from(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }
        }

        impl From<git2::Oid> for $name {
            fn from(oid: git2::Oid) -> Self {
                let mut bytes = [0; 20];
                bytes.copy_from_slice(&oid.as_bytes()[..20]);
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self).ok_or(IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

object_id! {
    /// A commit.
    CommitId
}
object_id! {
    /// An annotated tag: an object of its own, which names a commit and may be signed.
    TagId
}
object_id! {
    /// A directory: equal ids mean equal contents, all the way down.
    TreeId
}
object_id! {
    /// The contents of a file.
    BlobId
}

fn parse(text: &str) -> Option<[u8; 20]> {
    if text.len() != HEX_LEN {
        return None;
    }
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forty_hexadecimal_digits_are_an_id() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(full.parse::<CommitId>().map(|id| id.to_string()), Ok(full.to_owned()));
        assert_eq!(full.to_uppercase().parse::<CommitId>(), full.parse());
        for bad in ["", "0123456", &full[1..], &format!("{full}0"), &full.replace('0', "g"), &"é".repeat(20)] {
            assert_eq!(bad.parse::<CommitId>(), Err(IdError), "{bad}");
        }
    }

    #[test]
    fn an_id_survives_git2_and_json() {
        let id: TreeId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        assert_eq!(TreeId::from(id.oid()), id);
        assert_eq!(serde_json::from_str::<TreeId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }
}
