//! The digest of some bytes, as registries write it: `sha256:…`.
//!
//! Invariant: the algorithm is known, and the digits are as many as it has, in small letters: it can be a file's name. Entry
//! points: [`Digest::parse`], [`Digest::of`] and [`Digest::fits`].

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256, Sha512};

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

const SHA256: &str = "sha256:";
const SHA512: &str = "sha512:";

impl Digest {
    /// The digest of bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(format!("{SHA256}{}", hex(&Sha256::digest(bytes))))
    }

    /// Reads a digest with its algorithm.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let digits = |algorithm: &str, count: usize| {
            let digits = text.strip_prefix(algorithm)?;
            (digits.len() == count && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(())
        };
        digits(SHA256, 64).or_else(|| digits(SHA512, 128))?;
        Some(Self(text))
    }

    /// Reads the digest of an `index.yaml`, whose algorithm goes without saying.
    pub(crate) fn of_index(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Self::parse(&format!("{SHA256}{}", text.trim())))
    }

    /// Whether bytes have it.
    pub(crate) fn fits(&self, bytes: &[u8]) -> bool {
        self.0 == self.of_the_same_kind(bytes).0
    }

    /// The digest of bytes by the same algorithm.
    pub(crate) fn of_the_same_kind(&self, bytes: &[u8]) -> Self {
        match self.0.strip_prefix(SHA512) {
            Some(_) => Self(format!("{SHA512}{}", hex(&Sha512::digest(bytes)))),
            None => Self::of(bytes),
        }
    }

    /// The name of a file for what has it.
    pub(crate) fn file_name(&self) -> String {
        self.0.replace(':', "-")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_in_one_form_and_checked() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest = Digest::parse(&format!("sha256:{}", of_nothing.to_uppercase())).unwrap();
        assert_eq!(digest, Digest::of(b""));
        assert_eq!(Digest::of_index(of_nothing), Some(digest.clone()));
        assert!(digest.fits(b"") && !digest.fits(b"x"));
        let long = format!("sha512:{}", "0".repeat(128));
        let long = Digest::parse(&long).unwrap();
        assert!(!long.fits(b""));
        assert!(long.of_the_same_kind(b"").fits(b"") && long.of_the_same_kind(b"").to_string().starts_with("sha512:"));
        for text in ["", "sha256:", "sha256:../x", "md5:d41d8cd98f00b204e9800998ecf8427e", "latest"] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
