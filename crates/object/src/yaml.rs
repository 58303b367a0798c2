//! YAML as Go reads and prints it: what `sigs.k8s.io/yaml` answers is what Kubernetes and Argo CD understand.
//!
//! Keeps nothing. Entry points: [`documents`] reads, [`print`] prints, and `documents(print(x))` is `x` again. Scanner and
//! parser are a port of libyaml, as Go's are; what a scalar means is our own resolver (`scalar`). We depart from Go where it would
//! lose something: it drops in silence what follows the first document of a text, malformed or not, and reads back a key `<<`
//! that it printed as a merge. The tests list the few other differences.

mod order;
mod print;
mod reader;
mod scalar;
mod timestamp;

use std::fmt;

pub use print::print;

use crate::Node;

/// One document of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its value; never `null`.
    pub node: Node,
    /// The line on which it starts, from 1.
    pub line: usize,
}

/// The text cannot be read. The message never quotes a value, because it may be a secret's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The line in question, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

// === impl YamlError ===

impl YamlError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// `line 3: did not find expected key`.
impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for YamlError {}

/// Reads every document of a text; empty ones are dropped.
///
/// A text that begins with a brace or a bracket is first read as one or more JSON values, as Kubernetes does.
pub fn documents(text: &[u8]) -> Result<Vec<Document>, YamlError> {
    if matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
        && let Some(documents) = json(text)
    {
        return Ok(documents);
    }
    reader::read(text)
}

/// The JSON values of a text, one after the other; none if it is not wholly JSON.
fn json(text: &[u8]) -> Option<Vec<Document>> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Node>();
    let mut documents = Vec::new();
    loop {
        let start = values.byte_offset();
        match values.next() {
            None => return Some(documents),
            Some(Err(_)) => return None,
            Some(Ok(node)) => {
                let blanks = text[start..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if !node.is_null() {
                    documents.push(Document { node, line: line_at(text, start + blanks) });
                }
            }
        }
    }
}

/// The line, from 1, of the byte at `offset`.
fn line_at(text: &[u8], offset: usize) -> usize {
    text[..offset].split(|byte| *byte == b'\n').count()
}
