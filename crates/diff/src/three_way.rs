//! Client-side apply: the patch that brings live to what Git says, where the server's own apply cannot be.
//!
//! What Git has is in the patch as it stands, directives included: the server merges it. What Git no longer has and we are
//! responsible for is taken away by words of the patch's own kind. Invariant: nothing that somebody else holds is taken away.
//! Entry points: [`three_way`], and [`with_last_applied`] for a new object.

use trueup_object::{Node, Path, Step};

use crate::base::{Base, LAST_APPLIED, Verdict};
use crate::directives::{delete_from, deletion, without_directives};
use crate::ignore::Ignore;
use crate::kinds::Kinds;
use crate::owners::{Former, Owners};
use crate::place::{item_at, list, put};
use crate::{MANAGER, Schema, is_built_in, value};

/// How the server merges the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchStyle {
    /// Lists item by item, with directives: built-in kinds.
    Strategic,
    /// Lists as a whole (RFC 7386): all others.
    Json,
}

// === impl PatchStyle ===

impl PatchStyle {
    /// How patches of a group's kinds are merged.
    pub fn of_group(group: &str) -> Self {
        if is_built_in(group) { Self::Strategic } else { Self::Json }
    }
}

/// The patch that brings `live` to `desired`. `base` is what Git said at the last successful sync.
pub fn three_way(
    desired: &Node,
    base: Option<&Node>,
    live: &Node,
    schema: &Schema,
    former: Former<'_>,
    style: PatchStyle,
) -> Node {
    let wanted = match style {
        PatchStyle::Strategic => without_directives(desired),
        PatchStyle::Json => desired.clone(),
    };
    let owners = Owners::of(live);
    let evidence = owners.evidence();
    let kinds = Kinds::root(&evidence, schema, style == PatchStyle::Strategic);
    let base = Base::of(&wanted, base, live, &owners, former);
    let mut gone: Vec<Path> = Vec::new();
    base.walk(kinds, &Ignore::default(), &wanted, live, &mut |leaf| {
        if !leaf.wanted && !leaf.inside && base.judge(&owners, leaf) == Verdict::Remove {
            gone.push(leaf.path.clone());
        }
    });
    let mut patch = with_last_applied(desired, desired);
    for path in gone {
        let whole = whole(&wanted, live, &path, &owners, former);
        remove(&mut patch, &path.0[..whole], &wanted, live, style);
    }
    patch
}

/// An object with the note of what was applied, as kubectl keeps it.
pub fn with_last_applied(object: &Node, applied: &Node) -> Node {
    let mut noted = object.clone();
    let mut applied = applied.clone();
    applied.remove_at(&["metadata", "annotations", LAST_APPLIED]);
    let text = format!("{}\n", String::from_utf8_lossy(&applied.to_json()));
    noted.set_at(&["metadata", "annotations", LAST_APPLIED], text.into());
    noted
}

/// How much of a path goes: the leaf alone, or the whole of what Git no longer has there, if it is nobody else's. What is left
/// of a choice between several blocks would make the object invalid.
fn whole(wanted: &Node, live: &Node, path: &Path, owners: &Owners, former: Former<'_>) -> usize {
    let is_gone = |length: &usize| {
        let prefix = Path(path.0[..*length].to_vec());
        let ours = |entry: &crate::owners::Entry| entry.owner.manager == MANAGER || entry.is_of_predecessor(former);
        // The items of a list go one by one: what nobody is known to hold may be anybody's.
        matches!(prefix.0.last(), Some(Step::Field(_)))
            && value::find(live, &prefix.0).is_some_and(|value| value.as_map().is_some())
            && value::find(wanted, &prefix.0).is_none()
            && owners.holding(&prefix).all(ours)
    };
    (1..path.0.len()).find(is_gone).unwrap_or(path.0.len())
}

/// Takes what is at a path away by the patch.
fn remove(patch: &mut Node, path: &[Step], wanted: &Node, live: &Node, style: PatchStyle) {
    if style == PatchStyle::Json
        && let Some(at) = path.iter().position(|step| !matches!(step, Step::Field(_)))
    {
        // The list goes as a whole: what Git has of it is in the patch, and leaves out what is to go.
        let place = &path[..at];
        if value::find(wanted, place).is_some() {
            return;
        }
        let (Some(Node::List(all)), Some(gone)) = (value::find(live, place), value::find(live, &path[..=at])) else {
            return;
        };
        // Put there once: it may have as many items as there are leaves to go.
        if value::find(patch, place).is_none() {
            put(patch, place, Node::List(all.clone()));
        }
        let at = place.iter().fold(patch, |at, step| match step {
            Step::Field(name) => at.force_map().entry(name),
            _ => at,
        });
        list(at).retain(|item| item != gone);
        return;
    }
    let (mut at, mut rest) = (patch, path);
    loop {
        (at, rest) = match rest {
            [Step::Field(name)] => return drop(at.force_map().insert(name.clone(), Node::Null)),
            [Step::Field(name), Step::Value(item)] => {
                let gone = list(at.force_map().entry(&delete_from(name)));
                if !gone.contains(item) {
                    gone.push(item.clone());
                }
                return;
            }
            [Step::Key(fields)] => {
                let items = list(at);
                let deletion = deletion(fields.iter().cloned().collect());
                if !items.contains(&deletion) {
                    items.push(deletion);
                }
                return;
            }
            [Step::Field(name), rest @ ..] => (at.force_map().entry(name), rest),
            [step @ Step::Key(_), rest @ ..] => (item_at(at, step), rest),
            // A list is one value if its items have places only.
            _ => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    /// The patch without the note, which holds the manifest.
    fn patched(desired: &str, base: Option<&str>, live: &str, style: PatchStyle) -> String {
        let (desired, base) = (json(desired), base.map(json));
        let mut patch = three_way(&desired, base.as_ref(), &json(live), &Schema::unknown(), Former::default(), style);
        let note = patch.remove_at(&["metadata", "annotations", LAST_APPLIED]).unwrap();
        assert_eq!(json(note.as_str().unwrap().trim_end()), desired);
        patch.remove_at(&["metadata", "annotations"]);
        if patch.get("metadata").and_then(Node::as_map).is_some_and(trueup_object::Map::is_empty) {
            patch.remove_at(&["metadata"]);
        }
        patch.to_string()
    }

    fn entry(manager: &str, operation: &str, fields: &str) -> String {
        format!(r#"{{"manager":"{manager}","operation":"{operation}","apiVersion":"v1","fieldsV1":{fields}}}"#)
    }

    #[test]
    fn what_is_dropped_goes_by_words_of_the_patch() {
        use PatchStyle::{Json, Strategic};
        let ours = entry(
            "trueup",
            "Update",
            r#"{"f:metadata":{"f:finalizers":{"v:\"a\"":{},"v:\"b\"":{}}},"f:spec":{"f:x":{},"f:block":{"f:y":{}},"f:list":{"k:{\"name\":\"a\"}":{".":{},"f:v":{}},"k:{\"name\":\"b\"}":{".":{},"f:v":{}}}}}"#,
        );
        let live =
            |spec: &str| format!(r#"{{"apiVersion":"v1","metadata":{{"managedFields":[{ours}]}},"spec":{spec}}}"#);
        for (desired, base, live, style, expected) in [
            // Nothing is dropped: the patch is what Git says.
            (
                r#"{"apiVersion":"v1","spec":{"x":2}}"#,
                r#"{"apiVersion":"v1","spec":{"x":1}}"#,
                live(r#"{"x":1,"z":1}"#),
                Strategic,
                r#"{"apiVersion":"v1","spec":{"x":2}}"#,
            ),
            (
                r#"{"apiVersion":"v1","spec":{}}"#,
                r#"{"apiVersion":"v1","spec":{"x":1}}"#,
                live(r#"{"x":1,"z":1}"#),
                Strategic,
                r#"{"apiVersion":"v1","spec":{"x":null}}"#,
            ),
            // A whole block, with what the server put into it.
            (
                r#"{"apiVersion":"v1","spec":{}}"#,
                r#"{"apiVersion":"v1","spec":{"block":{"y":1}}}"#,
                live(r#"{"block":{"y":1,"default":2}}"#),
                Strategic,
                r#"{"apiVersion":"v1","spec":{"block":null}}"#,
            ),
            // An item, and a field in one that stays.
            (
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a"}]}}"#,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a","v":1},{"name":"b","v":1}]}}"#,
                live(r#"{"list":[{"name":"a","v":1},{"name":"b","v":1},{"name":"c","v":1}]}"#),
                Strategic,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a","v":null},{"$patch":"delete","name":"b"}]}}"#,
            ),
            // Of another kind the list is what Git says.
            (
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a"}]}}"#,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a"},{"name":"b","v":1}]}}"#,
                live(r#"{"list":[{"name":"a"},{"name":"b","v":1}]}"#),
                Json,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a"}]}}"#,
            ),
            (
                r#"{"apiVersion":"v1","spec":{}}"#,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"b","v":1}],"x":1}}"#,
                live(r#"{"list":[{"name":"b","v":1},{"name":"c","v":1}],"x":1}"#),
                Json,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"c","v":1}],"x":null}}"#,
            ),
            (
                r#"{"apiVersion":"v1","spec":{}}"#,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"a","v":1},{"name":"b","v":1}]}}"#,
                live(r#"{"list":[{"name":"a","v":1},{"name":"c","v":1},{"name":"b","v":1}]}"#),
                Json,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"c","v":1}]}}"#,
            ),
            // Directives of the user's own stand as they are.
            (
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"b","$patch":"delete"}]}}"#,
                r#"{"apiVersion":"v1","spec":{"list":[{"name":"b","v":1}]}}"#,
                live(r#"{"list":[{"name":"b","v":1}]}"#),
                Strategic,
                r#"{"apiVersion":"v1","spec":{"list":[{"$patch":"delete","name":"b"}]}}"#,
            ),
        ] {
            assert_eq!(patched(desired, Some(base), &live, style), expected, "{desired}");
        }
        let live =
            format!(r#"{{"apiVersion":"v1","metadata":{{"finalizers":["a","b","c"],"managedFields":[{ours}]}}}}"#);
        let patch = patched(
            r#"{"apiVersion":"v1","metadata":{"finalizers":["a"]}}"#,
            Some(r#"{"apiVersion":"v1","metadata":{"finalizers":["a","b"]}}"#),
            &live,
            Strategic,
        );
        assert_eq!(
            patch,
            r#"{"apiVersion":"v1","metadata":{"$deleteFromPrimitiveList/finalizers":["b"],"finalizers":["a"]}}"#
        );
    }

    #[test]
    fn what_somebody_else_holds_stays() {
        let other = entry("other", "Apply", r#"{"f:spec":{"f:block":{"f:theirs":{}}}}"#);
        let live = format!(
            r#"{{"apiVersion":"v1","metadata":{{"managedFields":[{other}]}},"spec":{{"block":{{"y":1,"theirs":2}}}}}}"#
        );
        let base = r#"{"apiVersion":"v1","spec":{"block":{"y":1}}}"#;
        let patch = patched(r#"{"apiVersion":"v1","spec":{}}"#, Some(base), &live, PatchStyle::Strategic);
        assert_eq!(patch, r#"{"apiVersion":"v1","spec":{"block":{"y":null}}}"#);
    }

    #[test]
    fn what_kubectl_noted_is_a_base_too() {
        let live = r#"{"apiVersion":"v1","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"spec\":{\"x\":1}}"}},"spec":{"x":1,"z":2}}"#;
        let patch = patched(r#"{"apiVersion":"v1","spec":{"y":1}}"#, None, live, PatchStyle::Strategic);
        assert_eq!(patch, r#"{"apiVersion":"v1","spec":{"x":null,"y":1}}"#);
    }
}
