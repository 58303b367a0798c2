//! INI as the Go module `gopkg.in/ini.v1` reads and prints it, which SOPS uses: sections of `name = value`, without continued
//! lines. Entry points: [`read`] and [`print`].

use zeroize::Zeroizing;

use super::dotenv::plain;
use crate::error::Problem;
use crate::value::{Entries, TWICE, Value, has_duplicates};

/// The section of what stands before the first one.
const DEFAULT: &str = "DEFAULT";
const LONG_QUOTE: &str = "\"\"\"";

pub(crate) fn read(text: &[u8]) -> Result<Entries, Problem> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| malformed(0, "it is not UTF-8"))?;
    let mut sections: Vec<(String, Entries)> = vec![(DEFAULT.to_owned(), Entries::new())];
    let mut current = 0;
    let mut lines = text.split_inclusive('\n').enumerate();
    while let Some((at, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let end = rest.rfind(']').ok_or_else(|| malformed(at + 1, "a section has no ']'"))?;
            let section = &rest[..end];
            // Only the first section can be named again.
            current = if section == DEFAULT { 0 } else { sections.len() };
            if current > 0 {
                sections.push((section.to_owned(), Entries::new()));
            }
            continue;
        }
        let (name, rest) = name(line).ok_or_else(|| malformed(at + 1, "a line is neither a section nor a value"))?;
        let rest = rest.trim_start();
        let quote = [LONG_QUOTE, "`"].into_iter().find(|quote| rest.starts_with(quote) && rest.len() > quote.len());
        let value = match quote {
            Some(quote) => {
                let rest = &rest[quote.len()..];
                match rest.rfind(quote) {
                    Some(end) => rest[..end].to_owned(),
                    None => {
                        several_lines(rest, quote, &mut lines).ok_or_else(|| malformed(at + 1, "a quote has no end"))?
                    }
                }
            }
            None => unquoted(rest).ok_or_else(|| malformed(at + 1, "a line goes on in the next one: use quotes"))?,
        };
        sections[current].1.push((name, Value::text(value)));
    }
    if sections.iter().any(|(_, entries)| has_duplicates(entries)) {
        return Err(malformed(0, TWICE));
    }
    let sections: Entries = sections.into_iter().map(|(name, entries)| (name, Value::Map(entries))).collect();
    if has_duplicates(&sections) {
        return Err(malformed(0, TWICE));
    }
    Ok(sections)
}

pub(crate) fn print(sections: &[(String, Value)]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut text = Zeroizing::new(Vec::new());
    for (at, (section, value)) in sections.iter().enumerate() {
        let Value::Map(entries) = value else {
            return Err(Problem::Unprintable { path: section.clone(), message: "it is no section" });
        };
        if at == 0 && section == DEFAULT {
            if entries.is_empty() {
                continue;
            }
        } else {
            text.extend_from_slice(format!("[{section}]\n").as_bytes());
        }
        let names: Vec<String> = entries.iter().map(|(name, _)| quoted_name(name)).collect();
        let width = names.iter().map(String::len).max().unwrap_or_default();
        for (name, (key, value)) in names.iter().zip(entries) {
            text.extend_from_slice(format!("{name:width$} = ").as_bytes());
            let value = plain(key, value)?;
            let has = |wanted: &[u8]| value.iter().any(|byte| wanted.contains(byte));
            let quote = if has(b"\n`") {
                LONG_QUOTE
            } else if has(b"#;") {
                "`"
            } else if value.trim_ascii().len() < value.len() {
                "\""
            } else {
                ""
            };
            for part in [quote.as_bytes(), &value, quote.as_bytes(), b"\n"] {
                text.extend_from_slice(part);
            }
        }
        if at + 1 < sections.len() {
            text.push(b'\n');
        }
    }
    Ok(text)
}

/// The name at the start of a line, and what follows its sign.
fn name(line: &str) -> Option<(String, &str)> {
    let signs = ['=', ':'];
    for quote in [LONG_QUOTE, "\"", "`"] {
        if let Some(inner) = line.strip_prefix(quote) {
            let (name, rest) = inner.split_once(quote)?;
            let (_, value) = rest.split_once(signs)?;
            return Some((name.trim().to_owned(), value));
        }
    }
    let (name, value) = line.split_once(signs)?;
    (!name.trim().is_empty()).then(|| (name.trim().to_owned(), value))
}

fn quoted_name(name: &str) -> String {
    if name.contains(['"', '=', ':']) {
        format!("`{name}`")
    } else if name.contains('`') {
        format!("{LONG_QUOTE}{name}{LONG_QUOTE}")
    } else {
        name.to_owned()
    }
}

/// A value whose quote ends on a later line.
fn several_lines<'t>(first: &str, quote: &str, lines: &mut impl Iterator<Item = (usize, &'t str)>) -> Option<String> {
    let mut value = first.to_owned();
    for (_, line) in lines {
        if let Some(end) = line.rfind(quote) {
            value.push_str(&line[..end]);
            return Some(value);
        }
        value.push_str(line);
    }
    None
}

/// A value without a comment after it and simple quotes around it; none if it goes on in the next line.
fn unquoted(text: &str) -> Option<String> {
    let text = text.trim();
    if text.ends_with('\\') {
        return None;
    }
    let text = text.split(['#', ';']).next().unwrap_or_default().trim();
    let inner = ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    Some(inner.unwrap_or(text).to_owned())
}

fn malformed(line: usize, message: &str) -> Problem {
    Problem::Malformed { format: "INI", line, message: message.to_owned() }
}
