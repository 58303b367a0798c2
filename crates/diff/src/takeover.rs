//! Taking over what others own.

use trueup_object::{Node, Path};

use crate::Schema;

/// The new `metadata.managedFields`, or `None` if there is nothing to take over.
///
/// `first` says that this is our first apply of an object that exists.
pub fn takeover(
    desired: &Node,
    base: Option<&Node>,
    live: &Node,
    schema: &Schema,
    migration_manager: Option<&str>,
    first: bool,
) -> Option<Node> {
    let _ = (desired, base, live, schema, migration_manager, first);
    None
}

/// The manifest with the last of each key that a list has twice, and where that was.
pub fn without_duplicates(desired: &Node, live: Option<&Node>, schema: &Schema) -> (Node, Vec<Path>) {
    let _ = (live, schema);
    (desired.clone(), Vec::new())
}
