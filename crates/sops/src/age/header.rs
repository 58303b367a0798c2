//! The header of an age file: for whom its file key is wrapped. Entry point: [`Header::read`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

const INTRODUCTION: &[u8] = b"age-encryption.org/v1\n";
/// The symbols of a full line of a body.
const LINE_SYMBOLS: usize = 64;
/// The most stanzas that are read. Each of our keys is tried on each.
const STANZAS_MAX: usize = 256;

/// A header, read.
pub(super) struct Header<'b> {
    pub(super) stanzas: Vec<Stanza<'b>>,
    /// What the code is over.
    pub(super) covered: &'b [u8],
    pub(super) code: Vec<u8>,
    pub(super) payload: &'b [u8],
}

/// The file key, wrapped for one recipient.
pub(super) struct Stanza<'b> {
    /// Its type first.
    pub(super) words: Vec<&'b str>,
    pub(super) body: Vec<u8>,
}

// === impl Header ===

impl<'b> Header<'b> {
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(INTRODUCTION)?;
        let mut stanzas = Vec::new();
        loop {
            let start = rest;
            let text = line(&mut rest)?;
            if let Some(code) = text.strip_prefix("--- ") {
                let covered = &bytes[..bytes.len() - start.len() + 3];
                let code = STANDARD_NO_PAD.decode(code).ok()?;
                return (!stanzas.is_empty()).then_some(Self { stanzas, covered, code, payload: rest });
            }
            if stanzas.len() == STANZAS_MAX {
                return None;
            }
            let words: Vec<&str> = text.strip_prefix("-> ")?.split(' ').collect();
            if words.iter().any(|word| word.is_empty()) {
                return None;
            }
            stanzas.push(Stanza { words, body: body(&mut rest)? });
        }
    }
}

/// The lines of a body, up to the first that is not full.
fn body(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut symbols = String::new();
    loop {
        let text = line(rest)?;
        symbols.push_str(text);
        if text.len() < LINE_SYMBOLS {
            return STANDARD_NO_PAD.decode(symbols).ok();
        }
        if text.len() > LINE_SYMBOLS {
            return None;
        }
    }
}

/// The next line; it must have an end, and nothing but visible characters and spaces.
fn line<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 1..];
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()).then_some(text)
}
