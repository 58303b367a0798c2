//! JSON, in the order of the file. Entry points: [`read`] and [`print`].

use serde::Serialize as _;
use serde_json::error::Category;
use serde_json::ser::PrettyFormatter;
use zeroize::Zeroizing;

use crate::error::Problem;
use crate::value::{Entries, Printed, TWICE, Value};

pub(crate) fn read(text: &[u8]) -> Result<Entries, Problem> {
    let malformed = |line, message: &str| Problem::Malformed { format: "JSON", line, message: message.to_owned() };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match serde_json::from_slice(text) {
        Ok(Value::Map(entries)) => Ok(entries),
        Ok(_) => Err(malformed(1, "it is no object")),
        // The library's own message could repeat a value.
        Err(error) => Err(malformed(
            error.line(),
            match error.classify() {
                Category::Data => TWICE,
                Category::Eof => "it is cut off",
                Category::Syntax | Category::Io => "it is no valid JSON, or nests too deep",
            },
        )),
    }
}

/// As SOPS prints it: indented by tabs.
pub(crate) fn print(entries: &[(String, Value)]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut text = Zeroizing::new(Vec::new());
    let mut printer = serde_json::Serializer::with_formatter(&mut *text, PrettyFormatter::with_indent(b"\t"));
    Printed(entries).serialize(&mut printer).map_err(|_| Problem::Unprintable {
        path: "a value".to_owned(),
        message: "a value is not UTF-8: encrypt it as base64",
    })?;
    text.push(b'\n');
    Ok(text)
}
