//! Taking over what others own: the one change of `metadata.managedFields` before an apply that needs it.
//!
//! Forced server-side apply takes no ownership of values that are equal, and removes only what nobody else owns. So what
//! Git dropped, and what a former manager holds, is put into our entry first. Invariant: nothing of another applier and
//! nothing written through a subresource is touched. Entry point: [`takeover`].

use trueup_object::{FieldSet, Map, Node, Path, Step};

use crate::base::{Base, Verdict};
use crate::ignore::Ignore;
use crate::kinds::Kinds;
use crate::owners::{Entry, Former, Owners};
use crate::{ListKind, MANAGER, Schema, replicas};

/// What is to change hands.
#[derive(Default)]
struct Taken {
    /// Leaves that go into our entry and out of every Update entry.
    leaves: FieldSet,
    /// Items that go as a whole: nobody's Update entry keeps anything in them.
    items: FieldSet,
    /// Whether the next apply cannot remove what it must without this.
    needed: bool,
}

/// The new `metadata.managedFields`, or `None` if there is nothing to take over.
///
/// `first` says that this is our first apply of an object that exists. The list is written by a JSON patch that also
/// replaces `/metadata/resourceVersion` by the version that was judged.
pub fn takeover(
    desired: &Node,
    base: Option<&Node>,
    live: &Node,
    schema: &Schema,
    former: Former<'_>,
    first: bool,
) -> Option<Node> {
    let owners = Owners::of(live);
    let mut taken = taken(desired, base, live, schema, &owners, former);
    let first = first || owners.ours().is_none();
    if !taken.needed && !first {
        return None;
    }
    if first && taken.leaves.is_empty() {
        // Nothing is known of a base. A list without any entry is no list to the server, which then keeps the old one;
        // so we claim what the apply will give us anyway.
        taken.leaves = self::taken(desired, Some(desired), live, schema, &owners, former).leaves;
    }
    let before = live.list_at(&["metadata", "managedFields"]);
    let version = live.str_at(&["apiVersion"]).unwrap_or_default();
    let mut after: Vec<Node> = Vec::new();
    for (entry, raw) in owners.entries().iter().zip(before) {
        if entry.is_of_predecessor(former) {
            continue;
        }
        if entry.is_kept(former) {
            after.push(raw.clone());
            continue;
        }
        after.extend(kept(entry, raw, &taken, version));
    }
    if owners.ours().is_none() && !taken.leaves.is_empty() {
        after.push(written(None, version, &taken.leaves));
    }
    // An empty list would only have the server write an entry of its own for all that is there.
    (!after.is_empty() && after != before).then_some(Node::List(after))
}

/// The manifest with the last of each key that a list has twice, and where that was: server-side apply refuses what
/// client-side apply took.
pub fn without_duplicates(desired: &Node, live: Option<&Node>, schema: &Schema) -> (Node, Vec<Path>) {
    let evidence = live.map(|live| Owners::of(live).evidence()).unwrap_or_default();
    let kinds = Kinds::root(&evidence, schema, is_without_domain(desired));
    let mut found = Vec::new();
    let reduced = reduced(kinds, desired, &mut Path::default(), &mut found);
    (reduced, found)
}

fn taken(
    desired: &Node,
    base: Option<&Node>,
    live: &Node,
    schema: &Schema,
    owners: &Owners,
    former: Former<'_>,
) -> Taken {
    let evidence = owners.evidence();
    let kinds = Kinds::root(&evidence, schema, is_without_domain(live));
    let base = Base::of(desired, base, live, owners, former);
    let mut taken = Taken::default();
    base.walk(kinds, &Ignore::default(), desired, live, &mut |leaf| {
        if leaf.inside {
            // Its item was judged before it.
            if taken.items.covers(leaf.path) {
                taken.leaves.insert(leaf.path);
            }
            return;
        }
        if leaf.wanted {
            // Replicas that Git has may not be sent: claimed and then left out, they would fall back to one.
            if !leaf.unsure && leaf.is_still_ours() && !replicas::is_replicas(&leaf.path.0) {
                taken.leaves.insert(leaf.path);
            }
            return;
        }
        if base.judge(owners, leaf) == Verdict::Remove {
            taken.leaves.insert(leaf.path);
            if leaf.item {
                taken.items.insert(leaf.path);
            }
            let mut holding = owners.holding(leaf.path).peekable();
            taken.needed |= holding.peek().is_none() || holding.any(|entry| !entry.is_ours());
        }
    });
    taken
}

/// What is left of an entry; `None` if nothing is.
fn kept(entry: &Entry, raw: &Node, taken: &Taken, version: &str) -> Option<Node> {
    if entry.is_ours() {
        if entry.api_version == version {
            let set = entry.set.union(&taken.leaves);
            return Some(if set == entry.set { raw.clone() } else { written(Some(entry), version, &set) });
        }
        // Paths of two versions do not mix: our entry is written anew at the version that we now apply, from what base
        // says, or stays as it is until the next apply if base is not known.
        let known = !taken.leaves.difference_below(&metadata()).is_empty();
        return Some(if known { written(Some(entry), version, &taken.leaves) } else { raw.clone() });
    }
    if entry.owner.operation != "Update" || !entry.owner.subresource.is_empty() {
        return Some(raw.clone());
    }
    let (leaves, items) = if entry.api_version == version {
        (taken.leaves.clone(), taken.items.clone())
    } else {
        (only_metadata(&taken.leaves), only_metadata(&taken.items))
    };
    let set = entry.set.difference(&leaves).difference_below(&items);
    if set == entry.set {
        return Some(raw.clone());
    }
    (!set.is_empty()).then(|| {
        let mut raw = raw.clone();
        raw.set_at(&["fieldsV1"], set.to_fields_v1());
        raw
    })
}

fn metadata() -> FieldSet {
    [&Path::of_fields(&["metadata"])].into_iter().collect()
}

fn only_metadata(set: &FieldSet) -> FieldSet {
    set.difference(&set.difference_below(&metadata()))
}

/// An Apply entry of ours. It needs no time: the server sets one with the next apply.
fn written(entry: Option<&Entry>, version: &str, set: &FieldSet) -> Node {
    let mut node = Node::map();
    for (key, value) in
        [("manager", MANAGER), ("operation", "Apply"), ("apiVersion", version), ("fieldsType", "FieldsV1")]
    {
        node.set_at(&[key], value.into());
    }
    if let Some(entry) = entry.filter(|entry| !entry.owner.time.is_empty()) {
        node.set_at(&["time"], entry.owner.time.as_str().into());
    }
    node.set_at(&["fieldsV1"], set.to_fields_v1());
    node
}

/// Whether the group of the object has no dot. Groups of CRDs always have one, so such a kind is built in.
fn is_without_domain(node: &Node) -> bool {
    node.str_at(&["apiVersion"]).is_some_and(|version| !version.split_once('/').unwrap_or_default().0.contains('.'))
}

fn reduced(kinds: Kinds<'_>, node: &Node, path: &mut Path, found: &mut Vec<Path>) -> Node {
    match node {
        Node::Map(map) => {
            let entries = map.iter().map(|(key, value)| {
                path.0.push(Step::field(key));
                let value = reduced(kinds.field(key), value, path, found);
                path.0.pop();
                (key.into(), value)
            });
            Node::Map(entries.collect::<Map>())
        }
        Node::List(items) => {
            let keys = match kinds.list().kind {
                ListKind::Map(keys) => keys.as_slice(),
                // The value of a set's item is its key.
                ListKind::Set => &[],
                ListKind::Atomic => return node.clone(),
            };
            let key = |item: &Node| {
                if keys.is_empty() { Some(Step::Value(item.clone())) } else { kinds.key_of(item, keys) }
            };
            let steps: Vec<_> = items.iter().map(key).collect();
            let mut kept = Vec::with_capacity(items.len());
            for (at, (item, step)) in items.iter().zip(&steps).enumerate() {
                let Some(step) = step else {
                    kept.push(item.clone());
                    continue;
                };
                path.0.push(step.clone());
                if steps[at + 1..].contains(&Some(step.clone())) {
                    found.push(path.clone());
                } else {
                    kept.push(reduced(kinds.items(), item, path, found));
                }
                path.0.pop();
            }
            Node::List(kept)
        }
        other => other.clone(),
    }
}
