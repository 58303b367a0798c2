//! Lines of `NAME=value`, as SOPS reads them: nothing is trimmed or unquoted. Entry points: [`read`] and [`print`].

use zeroize::Zeroizing;

use crate::error::Problem;
use crate::value::{Entries, TWICE, Value, has_duplicates};

/// A line break within a value.
const BREAK: &str = "\\n";

pub(crate) fn read(text: &[u8]) -> Result<Entries, Problem> {
    let malformed = |line, message: &str| Problem::Malformed { format: "dotenv", line, message: message.to_owned() };
    let text = std::str::from_utf8(text).map_err(|_| malformed(0, "it is not UTF-8"))?;
    let mut entries = Entries::new();
    for (at, line) in text.split('\n').enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| malformed(at + 1, "a line has no '='"))?;
        entries.push((name.to_owned(), Value::text(value.replace(BREAK, "\n"))));
    }
    if has_duplicates(&entries) {
        return Err(malformed(0, TWICE));
    }
    Ok(entries)
}

pub(crate) fn print(entries: &[(String, Value)]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut lines = Zeroizing::new(Vec::new());
    for (name, value) in entries {
        lines.extend_from_slice(name.as_bytes());
        lines.push(b'=');
        for byte in plain(name, value)?.iter() {
            match byte {
                b'\n' => lines.extend_from_slice(BREAK.as_bytes()),
                byte => lines.push(*byte),
            }
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

/// A value on one line, as dotenv and INI have it.
pub(super) fn plain(name: &str, value: &Value) -> Result<Zeroizing<Vec<u8>>, Problem> {
    Ok(Zeroizing::new(match value {
        Value::Text(text) => return Ok(text.clone()),
        Value::Null => Vec::new(),
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Int(value) => value.to_string().into_bytes(),
        Value::Float(value) => format!("{value:?}").into_bytes(),
        Value::List(_) | Value::Map(_) => {
            return Err(Problem::Unprintable { path: name.to_owned(), message: "a list or a map has no place there" });
        }
    }))
}
