//! The leaves that we are responsible for, and what is to become of those that Git no longer has.
//!
//! Not managedFields alone: ownership silently moves away from us (an edit that is reverted, a reset of managedFields, an
//! object that comes from another tool, `stringData`), and a field removed from Git would then live for ever. Entry
//! points: [`Base::of`], [`Base::walk`], [`Base::judge`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use trueup_object::field_set::Branch;
use trueup_object::{FieldSet, Map, Node, Path, Step};

use crate::ignore::{self, Ignore};
use crate::kinds::Kinds;
use crate::owners::{Former, Owners};
use crate::{ListKind, pause, value};

/// Where client-side apply keeps what it applied.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Tools that declare objects by server-side apply. While we never applied an object, it is theirs that we go by.
const FORMER_APPLIERS: [&str; 5] = ["argocd-controller", "kubectl", "helm", "kustomize-controller", "helm-controller"];

/// What may be below `metadata` that no manifest decides.
const METADATA_OF_THE_SERVER: [&str; 11] = [
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// The leaves that we are responsible for on one object.
pub(crate) struct Base<'a> {
    /// Manifests that were applied: their values count.
    nodes: Vec<Cow<'a, Node>>,
    /// Leaves that an Apply entry holds for us.
    held: Branch,
    former: Former<'a>,
    aggregated: bool,
}

/// What Git wants at a place.
#[derive(Clone, Copy, Debug)]
enum Wanted<'a> {
    /// Nothing.
    Absent,
    /// A value further up that says it all.
    Covered,
    /// This.
    Node(&'a Node),
}

/// A leaf that we are responsible for and that live has.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one leaf, read by two callers")]
pub(crate) struct Leaf<'w> {
    pub(crate) path: &'w Path,
    pub(crate) pointer: &'w str,
    pub(crate) live: &'w Node,
    /// What was applied there.
    values: &'w [&'w Node],
    /// Whether an Apply entry holds it for us.
    held: bool,
    /// Whether this is an item of a list, which goes as one.
    pub(crate) item: bool,
    /// Whether it lies in an item that Git does not want.
    pub(crate) inside: bool,
    /// Whether Git wants something there.
    pub(crate) wanted: bool,
    pub(crate) ignored: bool,
    /// Whether it is a list of a kind that is not known.
    pub(crate) unsure: bool,
    kinds: Kinds<'w>,
}

/// How a walk went.
pub(crate) struct Walked {
    /// Whether items could not be told apart without a schema.
    pub(crate) unsure: bool,
}

/// What is to become of a leaf that Git no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is to be removed.
    Remove,
    /// Somebody else declares it too.
    Shared(String),
    /// Somebody set it to something else.
    GivenUp(String),
}

/// Whether a root or metadata entry is never compared: it names the object, or belongs to the server.
pub(crate) fn is_servers(path: &[Step], key: &str, aggregated: bool) -> bool {
    match path {
        [] => matches!(key, "apiVersion" | "kind" | "status") || (aggregated && key == "rules"),
        [Step::Field(only)] if only == "metadata" => METADATA_OF_THE_SERVER.contains(&key),
        _ => false,
    }
}

/// Whether the API server fills in the rules of this object itself.
pub(crate) fn is_aggregated(desired: &Node) -> bool {
    desired.str_at(&["kind"]) == Some("ClusterRole")
        && desired.str_at(&["apiVersion"]).is_some_and(|it| it.starts_with("rbac.authorization.k8s.io/"))
        && desired.get("aggregationRule").is_some_and(|rule| !rule.is_null())
}

/// Whether this is a Secret.
pub(crate) fn is_secret(node: &Node) -> bool {
    node.str_at(&["kind"]) == Some("Secret") && node.str_at(&["apiVersion"]) == Some("v1")
}

/// The places of items by their steps. Of several with one step the last one stays.
pub(crate) fn places(steps: &[Option<Step>]) -> BTreeMap<&Step, usize> {
    steps.iter().enumerate().filter_map(|(at, step)| Some((step.as_ref()?, at))).collect()
}

/// Whether `part` names only some of the key fields of `whole`, and agrees in those.
fn is_part_of(part: &Step, whole: &Step) -> bool {
    match (part, whole) {
        (Step::Key(part), Step::Key(whole)) => {
            part.len() < whole.len() && part.iter().all(|field| whole.contains(field))
        }
        _ => false,
    }
}

// === impl Base ===

impl<'a> Base<'a> {
    /// What we are responsible for: what Git said at the last sync, what our own entry holds, and, while we never applied
    /// the object, what former tools declared.
    pub(crate) fn of(desired: &Node, base: Option<&'a Node>, live: &Node, owners: &Owners, former: Former<'a>) -> Self {
        let secret = is_secret(live);
        let mut nodes: Vec<_> = base.into_iter().map(|base| at_version_of(live, Cow::Borrowed(base))).collect();
        let mut held = FieldSet::default();
        if let Some(ours) = owners.ours() {
            held = owners.readable(ours);
        } else {
            let last_applied = live.at(&["metadata", "annotations", LAST_APPLIED]).and_then(Node::as_str);
            if let Some(node) = last_applied.and_then(|text| Node::from_json(text.as_bytes()).ok()) {
                let node = pause::without_pause(node);
                nodes.push(at_version_of(live, Cow::Owned(if secret { with_data(node) } else { node })));
            }
            for entry in owners.entries().iter().filter(|entry| entry.is_apply()) {
                let manager = entry.owner.manager.as_str();
                if FORMER_APPLIERS.contains(&manager) || former.named == Some(manager) {
                    held = held.union(&owners.readable(entry));
                }
            }
            held = held.difference(&pause::held(live));
        }
        if secret && let Some(texts) = held.child(&Step::field("stringData")).cloned() {
            for (step, _) in texts.below.children() {
                held.insert(&Path(vec![Step::field("data"), step.clone()]));
            }
        }
        let held = Branch { member: false, below: held };
        Self { nodes, held, former, aggregated: is_aggregated(desired) }
    }

    /// The same with what Git says is to go.
    pub(crate) fn declaring(mut self, declared: Option<&'a Node>) -> Self {
        self.nodes.extend(declared.map(Cow::Borrowed));
        self
    }

    /// Visits every leaf that we are responsible for and that live has.
    pub(crate) fn walk(
        &self,
        kinds: Kinds<'_>,
        ignore: &Ignore<'_>,
        desired: &Node,
        live: &Node,
        visit: &mut dyn FnMut(&Leaf<'_>),
    ) -> Walked {
        let nodes: Vec<_> = self.nodes.iter().map(Cow::as_ref).collect();
        let mut walk = Walk { base: self, path: Path::default(), pointer: String::new(), unsure: false, visit };
        walk.go(
            &Here {
                kinds,
                ignore,
                wanted: Wanted::Node(desired),
                values: &nodes,
                held: Some(&self.held),
                inside: false,
            },
            live,
        );
        Walked { unsure: walk.unsure }
    }

    /// What is to become of a leaf that Git no longer has.
    pub(crate) fn judge(&self, owners: &Owners, leaf: &Leaf<'_>) -> Verdict {
        let protected = owners.holding(leaf.path).find(|entry| entry.is_protected(self.former));
        if let Some(entry) = protected {
            return Verdict::Shared(entry.owner.manager.clone());
        }
        if leaf.held || leaf.item || leaf.has_base_value() {
            return Verdict::Remove;
        }
        Verdict::GivenUp(owners.culprit(leaf.path).map(|entry| entry.owner.manager.clone()).unwrap_or_default())
    }
}

/// A manifest of another API version says nothing about this one's leaves, but for `metadata`.
fn at_version_of<'a>(live: &Node, node: Cow<'a, Node>) -> Cow<'a, Node> {
    if node.get("apiVersion") == live.get("apiVersion") {
        return node;
    }
    let mut kept = Node::map();
    if let Some(metadata) = node.get("metadata") {
        kept.set_at(&["metadata"], metadata.clone());
    }
    Cow::Owned(kept)
}

/// A Secret with `stringData` as the server stores it.
fn with_data(mut secret: Node) -> Node {
    if let Some(Node::Map(texts)) = secret.remove_at(&["stringData"]) {
        for (key, text) in texts.iter() {
            if let Some(text) = text.as_str() {
                secret.set_at(&["data", key], base64(text.as_bytes()).into());
            }
        }
    }
    secret
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = if at <= chunk.len() { char::from(DIGITS[bits >> (18 - 6 * at) & 63]) } else { '=' };
            text.push(digit);
        }
    }
    text
}

// === walk ===

struct Walk<'w> {
    base: &'w Base<'w>,
    path: Path,
    pointer: String,
    unsure: bool,
    visit: &'w mut dyn FnMut(&Leaf<'_>),
}

/// All that is known of one place on the way.
struct Here<'w> {
    kinds: Kinds<'w>,
    ignore: &'w Ignore<'w>,
    wanted: Wanted<'w>,
    values: &'w [&'w Node],
    held: Option<&'w Branch>,
    inside: bool,
}

// === impl Walk ===

impl Walk<'_> {
    fn go(&mut self, at: &Here<'_>, live: &Node) {
        match live {
            Node::Map(map) if !map.is_empty() && !at.kinds.atomic_map().kind => self.map(at, live, map),
            Node::List(items) if !items.is_empty() => {
                let known = at.kinds.list();
                match known.kind {
                    ListKind::Map(keys) => self.map_list(at, items, keys),
                    ListKind::Set => self.set(at, items),
                    ListKind::Atomic => self.leaf(at, live, false, !known.sure),
                }
            }
            _ => self.leaf(at, live, false, false),
        }
    }

    fn map(&mut self, at: &Here<'_>, live: &Node, map: &Map) {
        let held_below = at.held.is_some_and(|branch| !branch.below.is_empty());
        if !at.values.is_empty() && !held_below && at.values.iter().all(|value| value.as_map().is_none()) {
            // Something simple was applied where others have put a map since.
            return self.leaf(at, live, false, false);
        }
        for (key, live) in map.iter() {
            if is_servers(&self.path.0, key, self.base.aggregated) || self.is_bookkeeping(key) {
                continue;
            }
            let values: Vec<_> = at.values.iter().filter_map(|value| value.get(key)).collect();
            let step = Step::field(key);
            let held = at.held.and_then(|branch| branch.below.child(&step));
            if values.is_empty() && held.is_none() {
                continue;
            }
            let wanted = match at.wanted {
                Wanted::Node(Node::Map(map)) => map.get(key).map_or(Wanted::Absent, Wanted::Node),
                Wanted::Node(_) => Wanted::Covered,
                other => other,
            };
            let ignore = at.ignore.field(key);
            let below =
                Here { kinds: at.kinds.field(key), ignore: &ignore, wanted, values: &values, held, inside: at.inside };
            self.down(step, key, |walk| walk.go(&below, live));
        }
    }

    /// Whether this is what client-side apply left behind: no manifest has it, and it harms nobody.
    fn is_bookkeeping(&self, key: &str) -> bool {
        let [Step::Field(metadata), Step::Field(annotations)] = self.path.0.as_slice() else { return false };
        key == LAST_APPLIED && metadata == "metadata" && annotations == "annotations"
    }

    fn map_list(&mut self, at: &Here<'_>, items: &[Node], keys: &[compact_str::CompactString]) {
        let steps = at.kinds.keyed(items, keys, items).kind;
        let mut keyed = |node: &Node| {
            let keyed = at.kinds.keyed(node.as_list().unwrap_or_default(), keys, items);
            self.unsure |= !keyed.sure;
            keyed.kind
        };
        let value_steps: Vec<_> = at.values.iter().map(|value| keyed(value)).collect();
        let value_places: Vec<_> = value_steps.iter().map(|steps| places(steps)).collect();
        let desired = match at.wanted {
            Wanted::Node(node) => node.as_list(),
            _ => None,
        };
        let desired_steps = match at.wanted {
            Wanted::Node(node) => keyed(node),
            _ => Vec::new(),
        };
        let desired_places = places(&desired_steps);
        for (step, place) in places(&steps) {
            let values: Vec<_> = at
                .values
                .iter()
                .zip(&value_places)
                .filter_map(|(list, places)| list.as_list()?.get(*places.get(step)?))
                .collect();
            let held = at.held.and_then(|branch| branch.below.child(step));
            if values.is_empty() && held.is_none() {
                continue;
            }
            let desired_place = desired_places.get(step).copied();
            let wanted = match (at.wanted, desired, desired_place) {
                (_, Some(items), Some(place)) => Wanted::Node(&items[place]),
                // It may be one of those that Git names by part of their key only.
                (Wanted::Node(_), _, _) if desired_steps.iter().flatten().any(|part| is_part_of(part, step)) => {
                    Wanted::Covered
                }
                (Wanted::Node(Node::List(_)) | Wanted::Absent, _, _) => Wanted::Absent,
                _ => Wanted::Covered,
            };
            let ignore = at.ignore.item(&[Some(place), desired_place]);
            let mut below =
                Here { kinds: at.kinds.items(), ignore: &ignore, wanted, values: &values, held, inside: at.inside };
            self.down(step.clone(), &place.to_string(), |walk| {
                walk.leaf(&below, &items[place], true, false);
                below.inside |= matches!(wanted, Wanted::Absent);
                if items[place].as_map().is_some() {
                    walk.go(&below, &items[place]);
                }
            });
        }
    }

    fn set(&mut self, at: &Here<'_>, items: &[Node]) {
        for (place, live) in items.iter().enumerate() {
            let same = |node: &Node| node.as_list().is_some_and(|items| items.contains(live));
            let values: Vec<_> = if at.values.iter().any(|list| same(list)) { vec![live] } else { Vec::new() };
            let step = Step::Value(live.clone());
            let held = at.held.and_then(|branch| branch.below.child(&step));
            if values.is_empty() && held.is_none() {
                continue;
            }
            let wanted = match at.wanted {
                Wanted::Node(node @ Node::List(_)) if !same(node) => Wanted::Absent,
                Wanted::Node(_) => Wanted::Covered,
                other => other,
            };
            let desired_place = match at.wanted {
                Wanted::Node(Node::List(items)) => items.iter().position(|item| item == live),
                _ => None,
            };
            let ignore = at.ignore.item(&[Some(place), desired_place]);
            let below =
                Here { kinds: at.kinds.items(), ignore: &ignore, wanted, values: &values, held, inside: at.inside };
            self.down(step, &place.to_string(), |walk| walk.leaf(&below, live, true, false));
        }
    }

    fn leaf(&mut self, at: &Here<'_>, live: &Node, item: bool, unsure: bool) {
        let leaf = Leaf {
            path: &self.path,
            pointer: &self.pointer,
            live,
            values: at.values,
            held: at.held.is_some(),
            item,
            inside: at.inside,
            wanted: !matches!(at.wanted, Wanted::Absent),
            ignored: at.ignore.here(),
            unsure,
            kinds: at.kinds,
        };
        (self.visit)(&leaf);
    }

    fn down(&mut self, step: Step, token: &str, go: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        ignore::push(&mut self.pointer, token);
        self.path.0.push(step);
        go(self);
        self.path.0.pop();
        self.pointer.truncate(length);
    }
}

// === impl Leaf ===

impl Leaf<'_> {
    /// Whether live still has what was applied, or we hold it.
    pub(crate) fn is_still_ours(&self) -> bool {
        self.held || self.item || self.has_base_value()
    }

    /// Whether our own entry holds it.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    fn has_base_value(&self) -> bool {
        self.values.iter().any(|value| value::equal(self.kinds, &Ignore::default(), value, self.live))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_stringdata_becomes() {
        for (text, encoded) in [("", ""), ("h", "aA=="), ("hi", "aGk="), ("hi!", "aGkh"), ("\u{ff}\u{3ff}", "w7/Pvw==")]
        {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn a_manifest_of_another_version_keeps_only_its_metadata() {
        let json = |text: &str| Node::from_json(text.as_bytes()).unwrap();
        let live = json(r#"{"apiVersion":"autoscaling/v2"}"#);
        let other = json(r#"{"apiVersion":"autoscaling/v1","metadata":{"labels":{"a":"b"}},"spec":{"x":1}}"#);
        assert_eq!(*at_version_of(&live, Cow::Owned(other)), json(r#"{"metadata":{"labels":{"a":"b"}}}"#));
    }
}
