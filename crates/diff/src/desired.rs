//! What Git has, against what is there: leaf by leaf, along the desired manifest.
//!
//! Entry points: [`differing`] for a verdict, [`differing_leaves`] for what the server makes of each leaf.

use compact_str::CompactString;
use trueup_object::{Map, Node, Path, Step};

use crate::base::{is_aggregated, is_secret, is_servers, places};
use crate::compare::is_drift;
use crate::ignore::{self, Ignore};
use crate::kinds::Kinds;
use crate::owners::Owners;
use crate::{Comparison, Difference, Input, ListKind, Note, Schema, What, mask, replicas, value};

/// The leaves of desired that live has otherwise, each by itself and with its value: what a projection is made of.
pub(crate) fn differing_leaves(desired: &Node, answer: &Node, schema: &Schema) -> Vec<Difference> {
    let input = Input::plain(desired, answer, schema);
    let owners = Owners::of(answer);
    let evidence = owners.evidence();
    let here = Here { kinds: Kinds::root(&evidence, schema, false), ignore: Ignore::default() };
    differing(&input, &owners, &here, Purpose::Projection).differences
}

/// Desired against live, leaf by leaf.
pub(crate) fn differing(input: &Input, owners: &Owners, here: &Here<'_>, purpose: Purpose) -> Comparison {
    let mut walk = Walk {
        input,
        owners,
        purpose,
        aggregated: is_aggregated(input.desired),
        scaler: replicas::scaler(owners, input.scalers),
        path: Path::default(),
        pointer: String::new(),
        comparison: Comparison::default(),
    };
    walk.go(here, input.desired, Some(input.live));
    walk.comparison
}

/// Map lists whose order means something: init containers run in it, and a variable may use those before it. The server
/// puts the items of an apply into the order of the apply; a moved item of any other list is no difference.
const ORDERED: [&str; 2] = ["env", "initContainers"];

/// What people call an item.
fn name(step: &Step) -> Node {
    match step {
        Step::Key(fields) => match fields.as_slice() {
            [(_, name)] => name.clone(),
            fields => Node::Map(fields.iter().cloned().collect()),
        },
        other => other.to_fields_v1().into(),
    }
}

/// Why desired is walked.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Purpose {
    /// To tell people what differs: what is missing as a whole is told as one, and Secret values are masked.
    Verdict,
    /// To learn what the server makes of each leaf.
    Projection,
}

struct Walk<'a> {
    input: &'a Input<'a>,
    owners: &'a Owners,
    purpose: Purpose,
    aggregated: bool,
    scaler: Option<&'a str>,
    path: Path,
    /// The place as a JSON pointer.
    pointer: String,
    comparison: Comparison,
}

/// What is known of the place where a walk is.
pub(crate) struct Here<'a> {
    pub(crate) kinds: Kinds<'a>,
    pub(crate) ignore: Ignore<'a>,
}

/// What a walk found at a place and below it.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    /// Live has nothing of it, and every leaf of it was recorded as missing.
    Missing,
    /// Anything else.
    Other,
}

// === impl Walk ===

impl Walk<'_> {
    fn go(&mut self, here: &Here<'_>, desired: &Node, live: Option<&Node>) -> Found {
        if here.ignore.here() {
            return Found::Other;
        }
        match (desired, live) {
            (Node::Map(map), None | Some(Node::Map(_))) if !map.is_empty() => {
                let atomic = here.kinds.atomic_map();
                if atomic.kind && live.is_some() {
                    return self.leaf(here, desired, live);
                }
                self.map(here, map, live, !atomic.sure)
            }
            (Node::List(items), None | Some(Node::List(_))) if !items.is_empty() => {
                let found = match here.kinds.list().kind {
                    ListKind::Map(keys) => self.map_list(here, items, keys, live),
                    ListKind::Set => Some(self.set(here, items, live)),
                    ListKind::Atomic => None,
                };
                found.unwrap_or_else(|| self.leaf(here, desired, live))
            }
            _ => self.leaf(here, desired, live),
        }
    }

    fn map(&mut self, here: &Here<'_>, map: &Map, live: Option<&Node>, unsure: bool) -> Found {
        let start = self.comparison.differences.len();
        let mut missing = live.is_none();
        for (key, desired) in map.iter() {
            if is_servers(&self.path.0, key, self.aggregated) {
                if key == "rules" {
                    self.comparison.notes.push(Note::Aggregated);
                }
                continue;
            }
            let below = Here { kinds: here.kinds.field(key), ignore: here.ignore.field(key) };
            let live = live.and_then(|live| live.get(key));
            let found = self.down(Step::field(key), key, |walk| walk.go(&below, desired, live));
            missing &= found == Found::Missing;
        }
        if unsure && live.and_then(Node::as_map).is_some_and(|live| live.iter().any(|(key, _)| !map.contains(key))) {
            // If the map is one value, what live has beyond Git does count.
            self.ask_for_schema();
        }
        self.fold(start, missing, || Node::Map(map.clone()))
    }

    /// `None` if the items cannot be told apart by these keys.
    fn map_list(
        &mut self,
        here: &Here<'_>,
        items: &[Node],
        keys: &[CompactString],
        live: Option<&Node>,
    ) -> Option<Found> {
        let live_items = live.and_then(Node::as_list).unwrap_or_default();
        let keyed = here.kinds.keyed(items, keys, live_items);
        if keyed.kind.contains(&None) {
            return None;
        }
        if !keyed.sure {
            self.ask_for_schema();
        }
        let live_steps = here.kinds.keyed(live_items, keys, live_items).kind;
        let (last, live_places) = (places(&keyed.kind), places(&live_steps));
        let start = self.comparison.differences.len();
        let mut missing = live.is_none();
        let mut order = Vec::new();
        for (at, (item, step)) in items.iter().zip(keyed.kind.iter().flatten()).enumerate() {
            if last.get(step) != Some(&at) {
                if self.purpose == Purpose::Verdict {
                    self.comparison.notes.push(Note::Duplicate { path: self.path.with(step.clone()) });
                }
                continue;
            }
            let live_at = live_places.get(step).copied();
            let below = Here { kinds: here.kinds.items(), ignore: here.ignore.item(&[Some(at), live_at]) };
            if !below.ignore.here() {
                order.extend(live_at.map(|at| (at, step)));
            }
            let token = live_at.unwrap_or(at).to_string();
            let live = live_at.map(|at| &live_items[at]);
            let found = self.down(step.clone(), &token, |walk| walk.go(&below, item, live));
            missing &= found == Found::Missing;
        }
        self.order(&order);
        Some(self.fold(start, missing, || Node::List(items.to_vec())))
    }

    /// Compares the order of the items that both have, where it means something.
    fn order(&mut self, wanted: &[(usize, &Step)]) {
        let is_ordered = matches!(self.path.0.last(), Some(Step::Field(name)) if ORDERED.contains(&name.as_str()));
        if !is_ordered || wanted.is_sorted_by_key(|(live_at, _)| *live_at) {
            return;
        }
        let mut there = wanted.to_vec();
        there.sort_by_key(|(live_at, _)| *live_at);
        let names = |steps: &[(usize, &Step)]| Node::List(steps.iter().map(|(_, step)| name(step)).collect());
        let (desired, live) = (names(wanted), names(&there));
        if !self.input.projection.is_some_and(|projection| projection.holds(&self.path, &desired, Some(&live))) {
            self.record(What::Changed, desired, Some(&live));
        }
    }

    fn set(&mut self, here: &Here<'_>, items: &[Node], live: Option<&Node>) -> Found {
        let start = self.comparison.differences.len();
        let live_items = live.and_then(Node::as_list).unwrap_or_default();
        let mut missing = live.is_none();
        for (at, item) in items.iter().enumerate() {
            if items[..at].contains(item) {
                continue;
            }
            let live_at = live_items.iter().position(|live| live == item);
            let below = Here { kinds: here.kinds.items(), ignore: here.ignore.item(&[Some(at), live_at]) };
            let token = live_at.unwrap_or(at).to_string();
            let live = live_at.map(|at| &live_items[at]);
            let found = self.down(Step::Value(item.clone()), &token, |walk| {
                if below.ignore.here() { Found::Other } else { walk.leaf(&below, item, live) }
            });
            missing &= found == Found::Missing;
        }
        self.fold(start, missing, || Node::List(items.to_vec()))
    }

    /// One value: a scalar, something empty, or a list or map that is compared as a whole.
    fn leaf(&mut self, here: &Here<'_>, desired: &Node, live: Option<&Node>) -> Found {
        if self.is_scaled() {
            return Found::Other;
        }
        if let Some(live) = live
            && (value::equal(here.kinds, &here.ignore, desired, live) || self.is_filled(here, desired, live))
        {
            return Found::Other;
        }
        let projection = self.input.projection;
        if projection.is_some_and(|projection| projection.holds(&self.path, desired, live)) {
            return Found::Other;
        }
        if let Some(live) = live {
            let unsure = match (desired, live) {
                (Node::List(_), Node::List(_)) => !here.kinds.list().sure,
                (Node::Map(_), Node::Map(_)) => !here.kinds.atomic_map().sure,
                _ => value::may_be_equal_quantities(here.kinds, desired, live),
            };
            if unsure {
                self.ask_for_schema();
            }
            self.record(What::Changed, desired.clone(), Some(live));
            return Found::Other;
        }
        self.record(What::Missing, desired.clone(), None);
        Found::Missing
    }

    /// Whether Git has something empty that others may fill.
    fn is_filled(&mut self, here: &Here<'_>, desired: &Node, live: &Node) -> bool {
        match (desired, live) {
            (Node::Map(map), Node::Map(_)) if map.is_empty() => {
                let atomic = here.kinds.atomic_map();
                if !atomic.kind && !atomic.sure {
                    self.ask_for_schema();
                }
                !atomic.kind
            }
            (Node::List(items), Node::List(_)) if items.is_empty() => *here.kinds.list().kind != ListKind::Atomic,
            _ => false,
        }
    }

    /// Whether this is `spec.replicas`, and an autoscaler's.
    fn is_scaled(&mut self) -> bool {
        let Some(scaler) = self.scaler else { return false };
        if !replicas::is_replicas(&self.path.0) {
            return false;
        }
        self.comparison.notes.push(Note::Scaled { manager: scaler.to_owned() });
        true
    }

    fn ask_for_schema(&mut self) {
        self.comparison.needs_schema |= !self.input.schema.is_known();
    }

    /// Tells what is missing as a whole as one difference.
    fn fold(&mut self, start: usize, missing: bool, whole: impl FnOnce() -> Node) -> Found {
        if !missing || self.comparison.differences.len() == start {
            return Found::Other;
        }
        if self.purpose == Purpose::Verdict {
            self.comparison.differences.truncate(start);
            self.record(What::Missing, whole(), None);
        }
        Found::Missing
    }

    fn record(&mut self, what: What, desired: Node, live: Option<&Node>) {
        let owner = self.owners.culprit(&self.path).filter(|_| live.is_some());
        let drift = is_drift(self.input, &self.path, what, live, owner);
        let (desired, live) = match (self.purpose, is_secret(self.input.desired)) {
            (Purpose::Verdict, true) => mask::masked_values(&self.path, Some(desired), live.cloned()),
            _ => (Some(desired), live.cloned()),
        };
        self.comparison.differences.push(Difference {
            path: self.path.clone(),
            pointer: self.pointer.clone(),
            what,
            desired,
            live,
            owner: owner.map(|entry| entry.owner.clone()),
            doubtful: true,
            drift,
        });
    }

    fn down(&mut self, step: Step, token: &str, go: impl FnOnce(&mut Self) -> Found) -> Found {
        let length = self.pointer.len();
        ignore::push(&mut self.pointer, token);
        self.path.0.push(step);
        let found = go(self);
        self.path.0.pop();
        self.pointer.truncate(length);
        found
    }
}
