//! Writing a value at a path: what lies on the way is made where it is missing. Entry points: [`put`] and [`item_at`].

use trueup_object::{Node, Step};

/// Puts a value at a path.
pub(crate) fn put(node: &mut Node, path: &[Step], value: Node) {
    let Some((step, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    match step {
        Step::Field(name) => put(node.force_map().entry(name), rest, value),
        Step::Key(_) => put(item_at(node, step), rest, value),
        Step::Value(item) => {
            let items = list(node);
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        Step::Index(at) => {
            let items = list(node);
            if let Some(item) = items.get_mut(*at) {
                put(item, rest, value);
            }
        }
    }
}

/// The item of a list that has these key fields, made if it is missing. A key field that the item leaves out agrees.
pub(crate) fn item_at<'n>(node: &'n mut Node, step: &Step) -> &'n mut Node {
    let fields = match step {
        Step::Key(fields) => fields.as_slice(),
        _ => &[],
    };
    let items = list(node);
    let exact = |item: &Node| fields.iter().all(|(key, value)| item.get(key) == Some(value));
    let agrees = |item: &Node| {
        fields.iter().any(|(key, _)| item.get(key).is_some())
            && fields.iter().all(|(key, value)| item.get(key).is_none_or(|own| own == value))
    };
    let at = items.iter().rposition(exact).or_else(|| items.iter().rposition(agrees)).unwrap_or_else(|| {
        items.push(Node::Map(fields.iter().cloned().collect()));
        items.len() - 1
    });
    &mut items[at]
}

/// The list at a place; anything else there gives way to one.
pub(crate) fn list(node: &mut Node) -> &mut Vec<Node> {
    if node.as_list().is_none() {
        *node = Node::List(Vec::new());
    }
    match node {
        Node::List(items) => items,
        _ => unreachable!("it has just been made one"),
    }
}
