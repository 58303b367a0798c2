//! What the server makes of a manifest.

use serde::{Deserialize, Serialize};
use trueup_object::Node;

use crate::Schema;

/// For each leaf that the server stores otherwise than Git says it: what it becomes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Projection {}

// === impl Projection ===

impl Projection {
    /// Learns from the answer to an apply of `desired`, dry or not.
    pub fn from_answer(desired: &Node, answer: &Node, schema: &Schema) -> Self {
        let _ = (desired, answer, schema);
        Self {}
    }

    /// Whether the server stores every leaf as Git says it.
    pub fn is_empty(&self) -> bool {
        true
    }
}
