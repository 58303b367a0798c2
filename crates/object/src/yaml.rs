//! YAML as Go reads and prints it.

use std::fmt;

use crate::Node;

/// One document of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its value; never `null`.
    pub node: Node,
    /// The line on which it starts, from 1.
    pub line: usize,
}

/// The text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The line in question, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for YamlError {}

/// Reads every document of a text; empty ones are dropped. JSON only, for the moment.
pub fn documents(text: &[u8]) -> Result<Vec<Document>, YamlError> {
    let node = Node::from_json(text).map_err(|error| YamlError { line: 1, message: error.to_string() })?;
    Ok(vec![Document { node, line: 1 }])
}

/// Prints a value; as JSON, for the moment.
pub fn print(node: &Node) -> String {
    node.to_string()
}
