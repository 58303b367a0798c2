//! What a CustomResourceDefinition in a render says of the kind that it defines.
//!
//! Whoever places objects must tell the scope of a kind that is not served yet by this one rule: it decides the digest of what
//! an application sends. Entry point: [`defines`].

use trueup_object::{GroupKind, Node};

/// The kind that a CustomResourceDefinition defines, and whether it is namespaced.
pub fn defines(node: &Node) -> Option<(GroupKind, bool)> {
    if node.str_at(&["kind"])? != "CustomResourceDefinition" {
        return None;
    }
    let (group, kind) = (node.str_at(&["spec", "group"])?, node.str_at(&["spec", "names", "kind"])?);
    Some((GroupKind::new(group, kind), node.str_at(&["spec", "scope"]) != Some("Cluster")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_kind_and_its_scope() {
        let defined = |scope: &str| {
            let json = format!(
                r#"{{"kind":"CustomResourceDefinition","spec":{{"group":"x.io","names":{{"kind":"Widget"}}{scope}}}}}"#
            );
            defines(&Node::from_json(json.as_bytes()).unwrap())
        };
        let widget = GroupKind::new("x.io", "Widget");
        assert_eq!(defined(r#","scope":"Cluster""#), Some((widget.clone(), false)));
        assert_eq!(defined(r#","scope":"Namespaced""#), Some((widget.clone(), true)));
        assert_eq!(defined(""), Some((widget, true)));
        assert_eq!(defines(&Node::from_json(br#"{"kind":"ConfigMap"}"#).unwrap()), None);
    }
}
