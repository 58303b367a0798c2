//! Who owns what.

use trueup_object::Node;

/// The name under which we write.
pub const MANAGER: &str = "trueup";

/// Whether two states of one object differ in nothing but who owns what, and the version that comes with it.
pub fn only_managed_fields_differ(a: &Node, b: &Node) -> bool {
    let plain = |node: &Node| {
        let mut node = node.clone();
        node.remove_at(&["metadata", "managedFields"]);
        node.remove_at(&["metadata", "resourceVersion"]);
        node
    };
    plain(a) == plain(b)
}
