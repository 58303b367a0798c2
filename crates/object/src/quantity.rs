//! Kubernetes quantities.

use crate::Node;

/// Whether two values are the same quantity. False if either is none.
pub fn equal(a: &Node, b: &Node) -> bool {
    a == b && matches!(a, Node::String(_) | Node::Number(_))
}
