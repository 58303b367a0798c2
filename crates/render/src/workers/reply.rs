//! What a worker says at the end of a render.

use serde::Deserialize;

use super::Need;
use super::message::null_is_empty;

/// What a worker says at the end of a render.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// It has rendered.
    Done(Done),
    /// It lacks something that is to be fetched.
    Needs(Vec<Need>),
    /// What it was to render is wrong.
    Failed(String),
}

/// What was rendered. It may hold what was encrypted, so it cannot be printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Done {
    /// The documents in the order in which the tool prints them.
    #[serde(deserialize_with = "null_is_empty")]
    pub documents: Vec<Document>,
    /// What the user should know, though it rendered.
    #[serde(deserialize_with = "null_is_empty")]
    pub warnings: Vec<String>,
    /// What makes the next render of the same another one, as `randAlphaNum in templates/secret.yaml`.
    #[serde(deserialize_with = "null_is_empty")]
    pub unstable: Vec<String>,
}

/// A text of YAML or JSON.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Document {
    /// The file that it came from, for messages; may be empty.
    #[serde(default)]
    pub file: String,
    /// The text.
    pub text: String,
}
