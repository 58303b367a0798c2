//! What a repository has in place of a file that is kept in Git LFS.
//!
//! Read strictly: a file is a pointer only if it is one to the last byte, so that no manifest is ever taken for one. Pointers with
//! extensions (`ext-…`) are none: what they stand for is a file that another program has changed.

use std::fmt;

/// Bytes of the longest pointer (Git LFS' own limit).
pub(crate) const POINTER_BYTES_MAX: u64 = 1024;
const VERSION: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:";
const HEX_LEN: usize = 64;

/// Names a file by its contents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pointer {
    pub(crate) sha256: [u8; 32],
    pub(crate) size: u64,
}

impl Pointer {
    /// Reads a pointer; nothing if it is an ordinary file.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        if content.len() as u64 > POINTER_BYTES_MAX {
            return None;
        }
        let text = std::str::from_utf8(content).ok()?.strip_prefix(VERSION)?;
        let (hex, size) = text.strip_suffix('\n')?.split_once("\nsize ")?;
        let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let size = Some(size).filter(|size| is_plain(size) && (*size == "0" || !size.starts_with('0')))?;
        Some(Self { sha256: parse_hex(hex)?, size: size.parse().ok()? })
    }
}

fn parse_hex(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != HEX_LEN || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..HEX_LEN).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The id, as servers and pointers write it.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} of {} bytes", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_one_to_the_last_byte() {
        let hex = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let good = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{hex}\nsize 12345\n");
        let pointer = Pointer::parse(good.as_bytes()).unwrap();
        assert_eq!((pointer.to_string().as_str(), pointer.size), (hex, 12345));
        let bad = [
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good}x: 1\n"),
            format!("\u{feff}{good}"),
            good.replace('\n', "\r\n"),
            good.replace("12345", "012345"),
            good.replace("12345", "+12345"),
            good.replace("12345", "-1"),
            good.replace("12345", ""),
            good.replace("12345", "99999999999999999999"),
            good.replace("4d7a", "4D7A"),
            good.replace("4d7a", "4d7"),
            good.replace("sha256", "sha1"),
            good.replace("/v1", "/v2"),
            good.replace("oid", "ext-0-foo sha256:4d7a\noid"),
            String::new(),
        ];
        for bad in bad {
            assert_eq!(Pointer::parse(bad.as_bytes()), None, "{bad}");
        }
        assert!(Pointer::parse(good.replace("12345", "0").as_bytes()).is_some());
        assert_eq!(Pointer::parse(&[0xff; 20]), None);
    }
}
