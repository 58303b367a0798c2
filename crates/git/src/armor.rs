//! Text that carries bytes between a `BEGIN` and an `END` line, as OpenPGP and SSH write keys and signatures.
//!
//! Entry point: [`blocks`]. Base64 may be broken anywhere, as some programs do; a checksum behind it is not looked at: what is
//! in the block is checked by a signature, or by who put it into the keyring.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The bytes of every block. Nothing but blocks of this kind, and blank lines, may be in the text.
pub(crate) fn blocks(text: &str, kind: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if let Some(base64) = &mut open {
            if named(line, END) == Some(kind) {
                blocks.push(STANDARD.decode(&base64).map_err(|_| format!("the {kind} is damaged: it is no base64"))?);
                open = None;
            // A header such as "Comment: …", or the checksum. Neither looks like base64.
            } else if !line.contains(':') && !line.starts_with('=') {
                base64.push_str(line);
            }
        } else if let Some(found) = named(line, BEGIN) {
            if found != kind {
                return Err(format!("there is a {found} where a {kind} is needed"));
            }
            open = Some(String::new());
        } else if !line.is_empty() {
            return Err(format!("there is something else beside the {kind}"));
        }
    }
    match open {
        Some(_) => Err(format!("the {kind} is cut off: it has no END line")),
        None => Ok(blocks),
    }
}

/// What the first or last line of a block says it is.
fn named<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.strip_prefix(mark)?.strip_suffix(DASHES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_however_they_are_broken_into_lines() {
        let text = "-----BEGIN X-----\nComment: hello\n\naGVs\nbG8=\n=AbCd\n-----END X-----\n\n  -----BEGIN X-----\n  aGk=\n  -----END X-----";
        assert_eq!(blocks(text, "X").unwrap(), [b"hello".to_vec(), b"hi".to_vec()]);
        assert_eq!(blocks("", "X").unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn what_is_something_else_or_damaged_is_said() {
        let table = [
            ("-----BEGIN Y-----\naGk=\n-----END Y-----", "there is a Y where a X is needed"),
            ("-----BEGIN X-----\naGk=\n", "cut off"),
            ("-----BEGIN X-----\naG?k=\n-----END X-----", "no base64"),
            ("hello\n-----BEGIN X-----\naGk=\n-----END X-----", "something else beside"),
            ("-----BEGIN X-----\naGk=\n-----END X-----\nhello", "something else beside"),
        ];
        for (text, expected) in table {
            let error = blocks(text, "X").unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
