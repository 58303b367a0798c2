//! One object: what Git wants against what is there.

use compact_str::CompactString;
use trueup_object::{Map, Node, Path, Step};

use crate::base::{Base, Verdict, is_aggregated, is_secret, is_servers, places};
use crate::ignore::{self, Ignore, Pointers};
use crate::kinds::{Evidence, Kinds};
use crate::owners::{Entry, Owners};
use crate::{ListKind, Projection, Schema, mask, replicas, value};

/// All that a comparison needs.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What Git says now, normalised.
    pub desired: &'a Node,
    /// What the cluster has, with `metadata.managedFields`.
    pub live: &'a Node,
    /// What Git said at the last successful sync of this object; `None` if that is not known.
    pub base: Option<&'a Node>,
    /// The reduced schema of the kind, or [`Schema::unknown`].
    pub schema: &'a Schema,
    /// What the server made of `desired` when it was last asked.
    pub projection: Option<&'a Projection>,
    /// JSON pointers (RFC 6901) of what never counts.
    pub ignore: &'a [&'a str],
    /// Names of autoscalers beyond the ones that we know.
    pub scalers: &'a [&'a str],
    /// The former manager that the Application's migration annotation names.
    pub migration_manager: Option<&'a str>,
    /// Whether the API server itself serves the kind, not a CRD: only then are quantities compared by value.
    pub built_in: bool,
    /// Whether Git has moved since the last sync: the render's digest is not the baseline's.
    pub pending: bool,
    /// Whether the application was never synced.
    pub never_synced: bool,
}

/// The answer to one comparison.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What differs, in the order of the manifest. Secret values are masked.
    pub differences: Vec<Difference>,
    /// What does not count, and why.
    pub notes: Vec<Note>,
    /// Whether the verdict may change once the schema of the kind is known. Never set if it was given.
    pub needs_schema: bool,
}

/// One leaf, or one item of a list, that is not as Git wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// The same place as a JSON pointer, with the places of list items in live (or desired, if live has none).
    pub pointer: String,
    /// How it differs.
    pub what: What,
    /// What Git wants; `None` if it wants nothing there.
    pub desired: Option<Node>,
    /// What is there.
    pub live: Option<Node>,
    /// Who owns what is there, if that can be told.
    pub owner: Option<Owner>,
    /// Whether the server should be asked if this is a difference at all.
    pub doubtful: bool,
    /// Whether the cluster moved away from Git; otherwise Git moved and the cluster has not followed yet.
    pub drift: bool,
}

/// How a leaf differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Both have it, with different values.
    Changed,
    /// Git has it, live has not.
    Missing,
    /// Git dropped it, live still has it: to be removed.
    Extra,
}

/// An entry of `metadata.managedFields`, as far as people want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name that the client gave itself.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource through which it wrote; empty for the object itself.
    pub subresource: String,
    /// When it last changed something (RFC 3339); empty if the server does not say.
    pub time: String,
}

/// Something that does not count as a difference, but that people should be able to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Git dropped a leaf that another applier, or a writer through a subresource, also holds: left to it.
    Shared {
        /// The leaf.
        path: Path,
        /// Who holds it.
        manager: String,
    },
    /// Git dropped a leaf that somebody else has changed since: left to them.
    GivenUp {
        /// The leaf.
        path: Path,
        /// Who changed it; empty if that cannot be told.
        manager: String,
    },
    /// `spec.replicas` belongs to an autoscaler: not compared, not sent.
    Scaled {
        /// The autoscaler.
        manager: String,
    },
    /// A key occurs more than once in a list of Git: the last one counts.
    Duplicate {
        /// The item.
        path: Path,
    },
    /// The rules of a ClusterRole with an `aggregationRule` are the API server's: not compared, not sent.
    Aggregated,
}

/// Compares one object.
pub fn compare(input: &Input) -> Comparison {
    let owners = Owners::of(input.live);
    let evidence = evidence(&owners, input.live);
    let kinds = Kinds::root(&evidence, input.schema, input.built_in);
    let pointers = Pointers::new(input.ignore);
    let here = Here { kinds, ignore: pointers.root() };
    let mut comparison = differing(input, &owners, &here, Purpose::Verdict);
    dropped(input, &owners, &here, &mut comparison);
    comparison.differences.sort_by(|a, b| a.path.cmp(&b.path));
    comparison
}

/// The leaves of desired that live has otherwise, each by itself and with its value: what a projection is made of.
pub(crate) fn differing_leaves(desired: &Node, answer: &Node, schema: &Schema) -> Vec<Difference> {
    let input = Input {
        desired,
        live: answer,
        base: None,
        schema,
        projection: None,
        ignore: &[],
        scalers: &[],
        migration_manager: None,
        built_in: false,
        pending: false,
        never_synced: false,
    };
    let owners = Owners::of(answer);
    let evidence = evidence(&owners, answer);
    let here = Here { kinds: Kinds::root(&evidence, schema, false), ignore: Ignore::default() };
    differing(&input, &owners, &here, Purpose::Projection).differences
}

/// What the evidence of a live object says about its lists and maps.
pub(crate) fn evidence(owners: &Owners, live: &Node) -> Evidence {
    let api_version = live.str_at(&["apiVersion"]).unwrap_or_default();
    let mut evidence = Evidence::default();
    let readable = owners.entries().iter().filter(|entry| entry.api_version == api_version);
    readable.for_each(|entry| evidence.learn(&entry.set));
    evidence
}

// === what Git has ===

/// Desired against live, leaf by leaf.
fn differing(input: &Input, owners: &Owners, here: &Here<'_>, purpose: Purpose) -> Comparison {
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
enum Purpose {
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
struct Here<'a> {
    kinds: Kinds<'a>,
    ignore: Ignore<'a>,
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
        let [Step::Field(spec), Step::Field(replicas)] = self.path.0.as_slice() else { return false };
        if spec != "spec" || replicas != "replicas" {
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

// === what Git dropped ===

/// Leaves that we are responsible for and that Git no longer has.
fn dropped(input: &Input, owners: &Owners, here: &Here<'_>, comparison: &mut Comparison) {
    let base = Base::of(input.desired, input.base, input.live, owners, input.migration_manager);
    let walked = base.walk(here.kinds, &here.ignore, input.desired, input.live, &mut |leaf| {
        if leaf.wanted || leaf.inside || leaf.ignored {
            return;
        }
        match base.judge(owners, leaf) {
            Verdict::Shared(manager) => comparison.notes.push(Note::Shared { path: leaf.path.clone(), manager }),
            Verdict::GivenUp(manager) => {
                comparison.needs_schema |= leaf.unsure && !input.schema.is_known();
                comparison.notes.push(Note::GivenUp { path: leaf.path.clone(), manager });
            }
            Verdict::Remove => {
                let owner = owners.culprit(leaf.path);
                let mut live = Some(leaf.live.clone());
                if is_secret(input.live) {
                    live = mask::masked_values(leaf.path, None, live).1;
                }
                comparison.differences.push(Difference {
                    path: leaf.path.clone(),
                    pointer: leaf.pointer.to_owned(),
                    what: What::Extra,
                    desired: None,
                    live,
                    owner: owner.map(|entry| entry.owner.clone()),
                    doubtful: false,
                    drift: is_drift(input, leaf.path, What::Extra, Some(leaf.live), owner),
                });
            }
        }
    });
    comparison.needs_schema |= walked.unsure && !input.schema.is_known();
}

/// Whether the cluster moved, not Git.
fn is_drift(input: &Input, path: &Path, what: What, live: Option<&Node>, owner: Option<&Entry>) -> bool {
    if input.never_synced || !input.pending {
        return !input.never_synced;
    }
    let same_version = input.base.filter(|base| base.get("apiVersion") == input.live.get("apiVersion"));
    let base = same_version.and_then(|base| value::find(base, &path.0));
    match what {
        // What Git dropped is still what Git said, or ours.
        What::Extra => false,
        // Somebody took away what was there at the last sync.
        What::Missing => base.is_some(),
        What::Changed if owner.is_some_and(Entry::is_ours) || base == live => false,
        What::Changed => owner.is_some() || base.is_some(),
    }
}

// === impl Comparison ===

impl Comparison {
    /// Whether live is as Git wants it.
    pub fn in_line(&self) -> bool {
        self.differences.is_empty()
    }

    /// Whether some difference wants the server's word.
    pub fn doubtful(&self) -> bool {
        self.differences.iter().any(|difference| difference.doubtful)
    }

    /// Whether some difference needs no word of the server: the object is out of line whatever it says.
    pub fn certain(&self) -> bool {
        self.differences.iter().any(|difference| !difference.doubtful)
    }
}
