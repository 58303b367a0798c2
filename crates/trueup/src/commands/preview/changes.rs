//! What differs between two renders, object by object. Entry point: [`changes`].

use std::collections::HashMap;

use serde::Serialize;
use trueup_diff::masked_pair;
use trueup_object::{Manifest, Node, ObjectKey, yaml};

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Becomes {
    Added,
    Changed,
    Removed,
}

/// An object that is not the same. Its texts are YAML, empty where it is not, and without the values of Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) becomes: Becomes,
    pub(super) object: ObjectKey,
    pub(super) base: String,
    pub(super) head: String,
}

/// The objects that differ: those of the head in its order, then those that are gone.
pub(super) fn changes(base: &[Manifest], head: &[Manifest]) -> Vec<Change> {
    let mut before: HashMap<(ObjectKey, usize), &Manifest> = numbered(base).collect();
    let mut changes = Vec::new();
    for (key, after) in numbered(head) {
        match before.remove(&key) {
            Some(before) if before.node() == after.node() => {}
            before => changes.push(change(before, Some(after), key.0)),
        }
    }
    let gone = numbered(base).filter(|(key, _)| before.contains_key(key));
    changes.extend(gone.map(|(key, manifest)| change(Some(manifest), None, key.0)));
    changes
}

/// With how many of the same key are before each: hooks may have no name, and something may be written twice.
fn numbered(manifests: &[Manifest]) -> impl Iterator<Item = ((ObjectKey, usize), &Manifest)> {
    let mut seen: HashMap<ObjectKey, usize> = HashMap::new();
    manifests.iter().map(move |manifest| {
        let key = manifest.key();
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        ((key, *count), manifest)
    })
}

fn change(base: Option<&Manifest>, head: Option<&Manifest>, object: ObjectKey) -> Change {
    let node = |side: Option<&Manifest>| side.map_or(Node::Null, |manifest| manifest.node().clone());
    let (head_shown, base_shown) = masked_pair(&object.kind, &node(head), &node(base));
    let text = |side: Option<&Manifest>, shown: &Node| if side.is_some() { yaml::print(shown) } else { String::new() };
    let becomes = match (base, head) {
        (None, _) => Becomes::Added,
        (_, None) => Becomes::Removed,
        _ => Becomes::Changed,
    };
    Change { becomes, base: text(base, &base_shown), head: text(head, &head_shown), object }
}

// === impl Becomes ===

impl Becomes {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(kind: &str, name: &str, value: &str) -> Manifest {
        let text = format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n");
        let node = yaml::documents(text.as_bytes()).unwrap().remove(0).node;
        Manifest::try_from(node).unwrap()
    }

    #[test]
    fn only_what_differs_is_told() {
        let base = [
            manifest("ConfigMap", "same", "a"),
            manifest("ConfigMap", "other", "a"),
            manifest("ConfigMap", "gone", "a"),
        ];
        let head = [
            manifest("ConfigMap", "new", "a"),
            manifest("ConfigMap", "other", "b"),
            manifest("ConfigMap", "same", "a"),
        ];
        let told: Vec<(Becomes, String)> =
            changes(&base, &head).into_iter().map(|change| (change.becomes, change.object.name.to_string())).collect();
        let expected = [(Becomes::Added, "new"), (Becomes::Changed, "other"), (Becomes::Removed, "gone")];
        assert_eq!(told, expected.map(|(becomes, name)| (becomes, name.to_owned())));
        assert_eq!(changes(&base, &base), []);
    }

    #[test]
    fn that_a_secret_changes_is_seen_and_not_what_it_holds() {
        let changes = changes(&[manifest("Secret", "a", "aHVudGVyMg==")], &[manifest("Secret", "a", "aHVudGVyMw==")]);
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        assert_ne!(change.base, change.head);
        assert!(!format!("{change:?}").contains("aHVudGVy"), "{change:?}");
    }

    #[test]
    fn of_two_of_one_name_each_counts() {
        let one = manifest("ConfigMap", "twice", "a");
        let other = manifest("ConfigMap", "twice", "b");
        let changes = changes(&[one.clone(), other], &[one]);
        assert_eq!(changes.iter().map(|change| change.becomes).collect::<Vec<_>>(), [Becomes::Removed]);
    }
}
