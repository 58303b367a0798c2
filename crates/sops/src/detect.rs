//! Whether a file is encrypted, without reading it wholly. Entry point: [`is_encrypted`].

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Whether a text, of whichever format, has what SOPS adds: at its top a `sops` part with a `mac` or a `version`.
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
    version: Option<IgnoredAny>,
}

fn in_json(text: &[u8]) -> bool {
    let probe: Option<Probe> = serde_json::from_slice(text).ok();
    probe.and_then(|probe| probe.sops).is_some_and(|part| part.mac.is_some() || part.version.is_some())
}

/// In YAML a key without indentation and under it one with some; in dotenv `sops_mac=`; in INI a section.
fn in_lines(text: &[u8]) -> bool {
    let mut inside = false;
    for line in text.split(|byte| *byte == b'\n') {
        let trimmed = line.trim_ascii();
        if line.starts_with(b"sops_mac=") || line.starts_with(b"sops_version=") {
            return true;
        }
        if inside && is_key(trimmed, &[b"mac", b"version"], b":=") {
            return true;
        }
        let indented = line.first().is_some_and(u8::is_ascii_whitespace);
        if trimmed.starts_with(b"[") {
            inside = trimmed.starts_with(b"[sops]");
        } else if !indented && is_key(trimmed, &[b"sops"], b":") {
            inside = true;
        } else if !indented && trimmed.ends_with(b":") {
            inside = false;
        }
    }
    false
}

/// Whether a line begins with one of these keys, in quotes or not, and one of these signs after it.
fn is_key(line: &[u8], keys: &[&[u8]], signs: &[u8]) -> bool {
    let (quoted, line) = match line {
        [quote @ (b'"' | b'\''), rest @ ..] => (Some(*quote), rest),
        _ => (None, line),
    };
    keys.iter().any(|key| {
        let Some(mut rest) = line.strip_prefix(*key) else { return false };
        if let Some(quote) = quoted {
            match rest.split_first() {
                Some((first, after)) if *first == quote => rest = after,
                _ => return false,
            }
        }
        rest.trim_ascii_start().first().is_some_and(|sign| signs.contains(sign))
    })
}
