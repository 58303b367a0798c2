//! Whether a file is encrypted, without reading it wholly. Entry point: [`is_encrypted`].

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The fields of what SOPS adds that every file has. Two of them tell it from a map of somebody's own that is called `sops`.
const FIELDS: [&[u8]; 3] = [b"mac", b"lastmodified", b"version"];

/// Whether a text, of whichever format, has what SOPS adds: at its top a `sops` part with two of `mac`, `lastmodified` and `version`.
///
/// It costs a search for one word where there is none.
pub fn is_encrypted(text: &[u8]) -> bool {
    if !text.windows(4).any(|word| word == b"sops") {
        return false;
    }
    let trimmed = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    (trimmed.starts_with(b"{") && in_json(trimmed)) || in_lines(trimmed)
}

#[derive(Deserialize)]
struct Probe {
    sops: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    mac: Option<IgnoredAny>,
    lastmodified: Option<IgnoredAny>,
    version: Option<IgnoredAny>,
}

fn in_json(text: &[u8]) -> bool {
    let probe: Option<Probe> = serde_json::from_slice(text).ok();
    probe
        .and_then(|probe| probe.sops)
        .is_some_and(|part| [part.mac, part.lastmodified, part.version].into_iter().flatten().count() > 1)
}

/// In YAML a key without indentation and under it some with; in dotenv names that begin with `sops_`; in INI a section.
fn in_lines(text: &[u8]) -> bool {
    let mut inside = false;
    let mut seen = [false; FIELDS.len()];
    for line in text.split(|byte| *byte == b'\n') {
        let trimmed = line.trim_ascii();
        let indented = line.first().is_some_and(u8::is_ascii_whitespace);
        let flat = line.strip_prefix(b"sops_");
        for (seen, field) in seen.iter_mut().zip(FIELDS) {
            let here = (inside && is_key(trimmed, field, b":=")) || flat.is_some_and(|line| is_key(line, field, b"="));
            *seen |= here;
        }
        if seen.iter().filter(|seen| **seen).count() > 1 {
            return true;
        }
        if trimmed.starts_with(b"[") {
            inside = trimmed.starts_with(b"[sops]");
        } else if !indented && is_key(trimmed, b"sops", b":") {
            inside = true;
        } else if !indented && trimmed.ends_with(b":") {
            inside = false;
        }
    }
    false
}

/// Whether a line begins with a key, in quotes or not, and one of these signs after it.
fn is_key(line: &[u8], key: &[u8], signs: &[u8]) -> bool {
    let (quote, line) = match line {
        [quote @ (b'"' | b'\''), rest @ ..] => (&[*quote][..], rest),
        _ => (&[][..], line),
    };
    let rest = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(quote));
    rest.and_then(|rest| rest.trim_ascii_start().first()).is_some_and(|sign| signs.contains(sign))
}
