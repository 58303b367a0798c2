//! Secrets are never shown.
//!
//! A mask tells nothing but whether two values at one place are equal: it is neither as long as the value nor made of it.
//! Entry points: [`masked`] for one manifest, [`masked_pair`] for two that are shown beside each other.

use trueup_object::{Node, Path, Step};

use crate::base::LAST_APPLIED;

/// What stands for a value.
const MASK: &str = "++++++++";

/// What stands for the other value, where two differ.
const OTHER_MASK: &str = "+++++++++";

/// The fields of a Secret that hold what nobody may see.
const FIELDS: [&str; 2] = ["data", "stringData"];

/// The manifest without its secret values, if it is a Secret.
pub fn masked(kind: &str, node: &Node) -> Node {
    masked_pair(kind, node, &Node::Null).0
}

/// Two states of one object without their secret values: equal values get equal masks, different ones do not.
pub fn masked_pair(kind: &str, desired: &Node, live: &Node) -> (Node, Node) {
    let (mut shown_desired, mut shown_live) = (desired.clone(), live.clone());
    if kind == "Secret" {
        for field in FIELDS {
            hide(&mut shown_desired, field, &Node::Null);
            hide(&mut shown_live, field, desired);
        }
        for shown in [&mut shown_desired, &mut shown_live] {
            if shown.at(&["metadata", "annotations", LAST_APPLIED]).is_some() {
                shown.set_at(&["metadata", "annotations", LAST_APPLIED], MASK.into());
            }
        }
    }
    (shown_desired, shown_live)
}

/// Two values at one place of a Secret.
pub(crate) fn masked_values(path: &Path, desired: Option<Node>, live: Option<Node>) -> (Option<Node>, Option<Node>) {
    if !is_secret_path(path) {
        return (desired, live);
    }
    let live = live.map(|value| mask(&value, desired.as_ref()));
    (desired.map(|value| mask(&value, None)), live)
}

fn is_secret_path(path: &Path) -> bool {
    match path.0.as_slice() {
        [Step::Field(first), ..] if FIELDS.contains(&first.as_str()) => true,
        [Step::Field(first), Step::Field(second)] => first == "metadata" && second == "annotations",
        [Step::Field(_), Step::Field(_), Step::Field(key)] => key == LAST_APPLIED,
        _ => false,
    }
}

fn hide(node: &mut Node, field: &str, beside: &Node) {
    let beside = beside.get(field);
    if let Some(value) = node.as_map_mut().and_then(|map| map.get_mut(field)) {
        *value = mask(value, beside);
    }
}

/// Everything but the keys. A value that differs from the one beside it gets the other mask.
fn mask(value: &Node, beside: Option<&Node>) -> Node {
    match value {
        Node::Map(map) => {
            let entries =
                map.iter().map(|(key, value)| (key.into(), mask(value, beside.and_then(|beside| beside.get(key)))));
            Node::Map(entries.collect())
        }
        value if beside.is_none_or(|beside| beside == value) => MASK.into(),
        _ => OTHER_MASK.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn equal_values_get_equal_masks() {
        let desired = json(r#"{"data":{"a":"c2VjcmV0","b":"c2VjcmV0","c":"eA=="},"type":"Opaque"}"#);
        let live =
            json(r#"{"data":{"a":"c2VjcmV0","b":"b3RoZXI=","d":"eA=="},"stringData":{"e":"hunter2"},"type":"Opaque"}"#);
        let (desired, live) = masked_pair("Secret", &desired, &live);
        assert_eq!(desired, json(r#"{"data":{"a":"++++++++","b":"++++++++","c":"++++++++"},"type":"Opaque"}"#));
        assert_eq!(
            live,
            json(
                r#"{"data":{"a":"++++++++","b":"+++++++++","d":"++++++++"},"stringData":{"e":"++++++++"},"type":"Opaque"}"#
            )
        );
    }

    #[test]
    fn hides_what_client_side_apply_kept() {
        let secret = json(&format!(r#"{{"metadata":{{"annotations":{{"{LAST_APPLIED}":"hunter2","x":"y"}}}}}}"#));
        let shown = masked("Secret", &secret).to_string();
        assert!(!shown.contains("hunter2") && shown.contains(r#""x":"y""#), "{shown}");
    }

    #[test]
    fn hides_what_is_no_map_at_all() {
        for text in [r#"{"data":"hunter2"}"#, r#"{"data":["hunter2"]}"#, r#"{"data":{"a":{"b":["hunter2"]}}}"#] {
            assert!(!masked("Secret", &json(text)).to_string().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn other_kinds_are_shown() {
        let node = json(r#"{"data":{"a":"1"}}"#);
        assert_eq!(masked("ConfigMap", &node), node);
    }
}
