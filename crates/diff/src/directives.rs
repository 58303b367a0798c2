//! Strategic directives in a manifest: words to the merge of a patch, which are no fields of the object.
//!
//! `$patch`, `$retainKeys`, `$setElementOrder/…` and `$deleteFromPrimitiveList/…` mean something to client-side apply of
//! built-in kinds alone. Entry points: [`is_client_side`] and [`without_directives`].

use trueup_object::{Map, Node};

use crate::is_built_in;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Maps at the root whose keys are the user's own.
const PLAIN: [&str; 3] = ["data", "stringData", "binaryData"];

/// Whether an object is written by client-side apply: where its options say so, and, where they say nothing, where only that
/// knows what its manifest has.
pub fn is_client_side(server_side_apply: Option<bool>, group: &str, desired: &Node) -> bool {
    match server_side_apply {
        Some(server_side) => !server_side,
        None => is_built_in(group) && has_directives(desired),
    }
}

/// Whether a manifest has directives.
pub fn has_directives(desired: &Node) -> bool {
    let Some(map) = desired.as_map() else { return false };
    map.iter().any(|(key, value)| !PLAIN.contains(&key) && (is_directive(key, value) || has_below(value)))
}

/// Whether a directive speaks of the whole object, which is no way to write one.
pub fn has_directive_at_root(desired: &Node) -> bool {
    desired.as_map().is_some_and(|map| map.iter().any(|(key, value)| key == PATCH && is_directive(key, value)))
}

/// The object as a manifest with directives means it: what they take away is not in it.
pub fn without_directives(desired: &Node) -> Node {
    root(desired, false)
}

/// The same with the items that a directive takes away: what Git has a word about.
pub(crate) fn declared(desired: &Node) -> Node {
    root(desired, true)
}

/// The key of the directive that takes values from the list of a name.
pub(crate) fn delete_from(list: &str) -> String {
    format!("{DELETE_FROM}{list}")
}

/// The item of a list that takes another away.
pub(crate) fn deletion(mut keys: Map) -> Node {
    keys.insert(PATCH, "delete".into());
    Node::Map(keys)
}

fn is_directive(key: &str, value: &Node) -> bool {
    match key {
        PATCH => matches!(value.as_str(), Some("delete" | "replace" | "merge")),
        RETAIN_KEYS => value.as_list().is_some(),
        _ => (key.starts_with(ORDER) || key.starts_with(DELETE_FROM)) && value.as_list().is_some(),
    }
}

fn has_below(node: &Node) -> bool {
    match node {
        Node::Map(map) => map.iter().any(|(key, value)| is_directive(key, value) || has_below(value)),
        Node::List(items) => items.iter().any(has_below),
        _ => false,
    }
}

fn root(desired: &Node, with_deleted: bool) -> Node {
    let Some(map) = desired.as_map() else { return desired.clone() };
    let entry = |(key, value): (&str, &Node)| {
        let plain = if PLAIN.contains(&key) { Some(value.clone()) } else { resolved(value, with_deleted) };
        Some((key.into(), plain?))
    };
    Node::Map(map.iter().filter(|(key, value)| !is_directive(key, value)).filter_map(entry).collect())
}

/// A value without directives; `None` if one takes it away.
fn resolved(node: &Node, with_deleted: bool) -> Option<Node> {
    match node {
        Node::Map(map) => {
            if is_deleted(map) {
                return None;
            }
            let mut kept: Map = fields(map, with_deleted);
            for (key, value) in map.iter().filter(|_| with_deleted) {
                let (Some(name), Node::List(gone)) = (key.strip_prefix(DELETE_FROM), value) else { continue };
                match kept.get_mut(name) {
                    Some(Node::List(items)) => items.extend(gone.iter().cloned()),
                    _ => drop(kept.insert(name, value.clone())),
                }
            }
            Some(Node::Map(kept))
        }
        Node::List(items) => Some(Node::List(items.iter().filter_map(|item| self::item(item, with_deleted)).collect())),
        other => Some(other.clone()),
    }
}

fn item(item: &Node, with_deleted: bool) -> Option<Node> {
    match item {
        // `{$patch: replace}` alone is a word about the whole list.
        Node::Map(map) if !map.is_empty() && map.iter().all(|(key, value)| is_directive(key, value)) => None,
        Node::Map(map) if is_deleted(map) && with_deleted => Some(Node::Map(fields(map, true))),
        other => resolved(other, with_deleted),
    }
}

fn fields(map: &Map, with_deleted: bool) -> Map {
    let kept = map.iter().filter(|(key, value)| !is_directive(key, value));
    kept.filter_map(|(key, value)| Some((key.into(), resolved(value, with_deleted)?))).collect()
}

fn is_deleted(map: &Map) -> bool {
    map.get(PATCH).and_then(Node::as_str) == Some("delete")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_manifest_with_directives_means() {
        for (text, plain, with_deleted) in [
            (r#"{"spec":{"a":1}}"#, r#"{"spec":{"a":1}}"#, r#"{"spec":{"a":1}}"#),
            (
                r#"{"spec":{"list":[{"name":"a","$patch":"delete"},{"name":"b"}]}}"#,
                r#"{"spec":{"list":[{"name":"b"}]}}"#,
                r#"{"spec":{"list":[{"name":"a"},{"name":"b"}]}}"#,
            ),
            (
                r#"{"spec":{"list":[{"$patch":"replace"},{"name":"b"}]}}"#,
                r#"{"spec":{"list":[{"name":"b"}]}}"#,
                r#"{"spec":{"list":[{"name":"b"}]}}"#,
            ),
            (
                r#"{"spec":{"a":{"$patch":"delete"},"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}"#,
                r#"{"spec":{"strategy":{"type":"Recreate"}}}"#,
                r#"{"spec":{"strategy":{"type":"Recreate"}}}"#,
            ),
            (
                r#"{"metadata":{"finalizers":["a"],"$deleteFromPrimitiveList/finalizers":["b"],"$setElementOrder/finalizers":["a"]}}"#,
                r#"{"metadata":{"finalizers":["a"]}}"#,
                r#"{"metadata":{"finalizers":["a","b"]}}"#,
            ),
        ] {
            let desired = json(text);
            assert_eq!(has_directives(&desired), text.contains('$'), "{text}");
            assert_eq!(without_directives(&desired), json(plain), "{text}");
            assert_eq!(declared(&desired), json(with_deleted), "{text}");
        }
    }

    #[test]
    fn who_applies() {
        let (plain, with) = (json(r#"{"spec":{}}"#), json(r#"{"spec":{"a":{"$patch":"delete"}}}"#));
        for (option, group, desired, expected) in [
            (None, "apps", &plain, false),
            (None, "apps", &with, true),
            (None, "example.com", &with, false),
            (Some(true), "apps", &with, false),
            (Some(false), "apps", &plain, true),
            (Some(false), "example.com", &plain, true),
        ] {
            assert_eq!(is_client_side(option, group, desired), expected, "{option:?} {group}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            r#"{"data":{"$patch":"delete","$retainKeys":"x"}}"#,
            r#"{"spec":{"$patch":"other","$retainKeys":"text","$unknown":[]}}"#,
        ] {
            assert!(!has_directives(&json(text)), "{text}");
            assert_eq!(without_directives(&json(text)), json(text));
        }
        assert!(has_directive_at_root(&json(r#"{"$patch":"delete"}"#)));
        assert!(!has_directive_at_root(&json(r#"{"spec":{"$patch":"delete"}}"#)));
    }
}
