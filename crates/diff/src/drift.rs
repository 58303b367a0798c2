//! Drift as events that people read.
//!
//! One event per object, set of leaves and manager; seeing the same again counts up. What became of it is one of a closed set,
//! [`Outcome`]. Invariant: a list that went through [`fold`] has at most [`EVENTS_MAX`] events and [`BYTES_MAX`] bytes. Entry
//! points: [`events`], [`fold`].

use trueup_object::{Digest, Map, Node, ObjectKey, yaml};

use crate::{Comparison, Difference};

/// The most events that an application keeps: the newest. Enough for a bad night, and little to read.
pub const EVENTS_MAX: usize = 20;

/// The most that all events of an application take as JSON, in bytes: every write of a status carries them.
pub const BYTES_MAX: usize = 32 << 10;

/// The most that one event takes as JSON, in bytes, so that a large one does not push out all others.
pub const EVENT_BYTES_MAX: usize = 8 << 10;

/// The longest value, and the longest path, in bytes. What is longer is cut, and told apart by length and hash.
pub const VALUE_BYTES_MAX: usize = 256;

/// The most pointers that are proposed: who ignores more than that should ignore the object.
pub const POINTERS_MAX: usize = 20;

/// What an event and a field take as JSON beside their texts, in bytes.
const EVENT_BYTES: usize = 320;
const FIELD_BYTES: usize = 32;

/// Who it was, when nobody knows: what was taken away has no owner.
const UNKNOWN: &str = "unknown";

/// Leaves of one object that one manager moved away from Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The object.
    pub key: ObjectKey,
    /// The leaves. If they are too many, the last one says how many more there are.
    pub fields: Vec<Field>,
    /// Who moved them; `unknown` is an honest answer.
    pub manager: String,
    /// `Apply` or `Update`; empty if unknown.
    pub operation: String,
    /// When it was first seen (RFC 3339).
    pub first_detected_at: String,
    /// When it was last seen (RFC 3339).
    pub last_detected_at: String,
    /// How often it was seen.
    pub count: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a drift. The words that people read are those of [`Outcome::word`]; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is there, and nothing was done about it yet.
    Detected,
    /// It is there, and stays by the application's own wish.
    Reported,
    /// It is there, and could not be brought back.
    HealingFailed,
    /// It was brought back as drift.
    Healed,
    /// A sync brought the object back, and the drift with it.
    Overwritten,
    /// Somebody undid it in the cluster.
    Reverted,
    /// Git, or the application's specification, gave way: what is there is no difference any more.
    Accepted,
    /// Somebody changed the same again: a newer event tells what is there now.
    Replaced,
}

/// One leaf that drifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where.
    pub path: String,
    /// What Git says, cut; empty if nothing.
    pub git: String,
    /// What was there, cut; empty if nothing.
    pub live: String,
}

/// The events of one comparison, one per manager. Differences that are not drift are left out.
pub fn events(key: &ObjectKey, comparison: &Comparison, now: &str, outcome: Outcome) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for difference in comparison.differences.iter().filter(|difference| difference.drift) {
        let owner = difference.owner.as_ref();
        let manager = owner.map_or(UNKNOWN, |owner| owner.manager.as_str());
        let operation = owner.map_or("", |owner| owner.operation.as_str());
        let field = Field::of(difference);
        match events.iter_mut().find(|event| event.manager == manager && event.operation == operation) {
            Some(event) => event.fields.push(field),
            None => events.push(Event {
                key: key.clone(),
                fields: vec![field],
                manager: manager.to_owned(),
                operation: operation.to_owned(),
                first_detected_at: now.to_owned(),
                last_detected_at: now.to_owned(),
                count: 1,
                outcome,
            }),
        }
    }
    events.iter_mut().for_each(Event::cut);
    events
}

/// Folds new events into old ones: newest first, the same leaves of one object and manager once.
pub fn fold(old: Vec<Event>, new: Vec<Event>) -> Vec<Event> {
    let mut all = old;
    for event in new {
        match all.iter_mut().find(|other| other.is_same(&event)) {
            Some(known) => {
                known.count = known.count.saturating_add(event.count);
                known.last_detected_at = event.last_detected_at;
                known.outcome = event.outcome;
                known.fields = event.fields;
                known.operation = event.operation;
            }
            None => all.push(event),
        }
    }
    // Times of one format and zone sort as text.
    all.sort_by(|a, b| b.last_detected_at.cmp(&a.last_detected_at));
    all.truncate(EVENTS_MAX);
    let mut bytes = 0;
    all.retain(|event| {
        bytes += event.bytes();
        bytes <= BYTES_MAX
    });
    all
}

/// The `ignoreDifferences` entry that would leave this drift alone, as YAML.
pub fn suggestion(key: &ObjectKey, comparison: &Comparison) -> String {
    let drift = comparison.differences.iter().filter(|difference| difference.drift);
    let pointers = drift.map(|it| Node::string(it.pointer.as_str())).take(POINTERS_MAX);
    let texts = [("group", &key.group), ("kind", &key.kind), ("name", &key.name), ("namespace", &key.namespace)];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut entry: Map = texts.map(|(field, text)| (field.into(), Node::String(text.clone()))).collect();
    entry.insert("jsonPointers", Node::List(pointers.collect()));
    yaml::print(&Node::List(vec![Node::Map(entry)]))
}

// === impl Outcome ===

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Detected,
        Self::Reported,
        Self::HealingFailed,
        Self::Healed,
        Self::Overwritten,
        Self::Reverted,
        Self::Accepted,
        Self::Replaced,
    ];

    /// How people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Reported => "reported",
            Self::HealingFailed => "healing failed",
            Self::Healed => "healed",
            Self::Overwritten => "overwritten",
            Self::Reverted => "reverted",
            Self::Accepted => "accepted",
            Self::Replaced => "replaced",
        }
    }

    /// The outcome of this word; none if it is no word of ours.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }

    /// Whether the drift is still there.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Detected | Self::Reported | Self::HealingFailed)
    }
}

// === impl Event ===

impl Event {
    /// Whether this is about the same leaves of the same object, moved by the same manager.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key == other.key
            && self.manager == other.manager
            && self.fields.iter().map(|it| &it.path).eq(other.fields.iter().map(|it| &it.path))
    }

    /// How much it takes as JSON.
    fn bytes(&self) -> usize {
        let texts = [&self.key.group, &self.key.kind, &self.key.namespace, &self.key.name];
        let texts = texts.into_iter().map(compact_str::CompactString::as_str);
        let more = [&self.manager, &self.operation, self.outcome.word()];
        let own: usize = texts.chain(more).map(json_bytes).sum();
        EVENT_BYTES + own + self.fields.iter().map(Field::bytes).sum::<usize>()
    }

    /// Keeps as many fields as an event may have.
    fn cut(&mut self) {
        let mut bytes = self.bytes();
        let mut dropped = 0_usize;
        while bytes > EVENT_BYTES_MAX && self.fields.len() > 1 {
            bytes -= self.fields.pop().map_or(0, |field| field.bytes());
            dropped += 1;
        }
        if dropped > 0 {
            self.fields
                .push(Field { path: format!("… and {dropped} more"), git: String::new(), live: String::new() });
        }
    }
}

// === impl Field ===

impl Field {
    fn of(difference: &Difference) -> Self {
        let text = |value: &Option<Node>| match value {
            None => String::new(),
            Some(Node::String(text)) if !text.is_empty() => shortened(text),
            Some(other) => shortened(&other.to_string()),
        };
        Self {
            path: shortened(&difference.path.to_string()),
            git: text(&difference.desired),
            live: text(&difference.live),
        }
    }

    fn bytes(&self) -> usize {
        FIELD_BYTES + [&self.path, &self.git, &self.live].into_iter().map(|text| json_bytes(text)).sum::<usize>()
    }
}

fn json_bytes(text: &str) -> usize {
    Node::string(text).to_json().len()
}

/// A text, or its beginning with its length and the start of its hash.
fn shortened(text: &str) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return text.to_owned();
    }
    let tail = format!("… ({} bytes, sha256 {:.12})", text.len(), Digest::of(text.as_bytes()).to_string());
    let start = text.floor_char_boundary(VALUE_BYTES_MAX - tail.len());
    format!("{}{tail}", &text[..start])
}

#[cfg(test)]
mod tests {
    use trueup_object::Path;

    use super::*;
    use crate::{Owner, What};

    fn key() -> ObjectKey {
        ObjectKey::new("apps", "Deployment", "shop", "web")
    }

    fn difference(path: &[&str], manager: &str) -> Difference {
        Difference {
            path: Path::of_fields(path),
            pointer: format!("/{}", path.join("/")),
            what: What::Changed,
            desired: Some("git".into()),
            live: Some(3.into()),
            owner: (!manager.is_empty()).then(|| Owner {
                manager: manager.into(),
                operation: "Update".into(),
                subresource: String::new(),
                time: String::new(),
            }),
            doubtful: true,
            drift: true,
        }
    }

    fn comparison(differences: Vec<Difference>) -> Comparison {
        Comparison { differences, ..Comparison::default() }
    }

    fn at(minute: usize) -> String {
        format!("2026-11-24T10:{minute:02}:00Z")
    }

    #[test]
    fn one_event_per_manager_and_only_for_drift() {
        let pending = Difference { drift: false, ..difference(&["spec", "z"], "trueup") };
        let found = events(
            &key(),
            &comparison(vec![
                difference(&["spec", "a"], "kubectl-edit"),
                difference(&["spec", "b"], ""),
                difference(&["spec", "c"], "kubectl-edit"),
                pending,
            ]),
            &at(0),
            Outcome::Healed,
        );
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.manager.as_str(), it.fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>()))
            .collect();
        assert_eq!(told, [("kubectl-edit", vec![".spec.a", ".spec.c"]), ("unknown", vec![".spec.b"])]);
        assert_eq!(found[0].fields[0], Field { path: ".spec.a".into(), git: "git".into(), live: "3".into() });
        assert_eq!((found[0].count, found[0].outcome), (1, Outcome::Healed));
    }

    #[test]
    fn the_same_leaves_count_up_others_do_not() {
        let a = comparison(vec![difference(&["spec", "a"], "x")]);
        let b = comparison(vec![difference(&["spec", "b"], "x")]);
        let mut all = Vec::new();
        for (minute, what, outcome) in
            [(0, &a, Outcome::Detected), (1, &b, Outcome::Reported), (2, &a, Outcome::Healed)]
        {
            all = fold(all, events(&key(), what, &at(minute), outcome));
        }
        let told: Vec<_> = all
            .iter()
            .map(|it| (it.fields[0].path.clone(), it.count, it.first_detected_at.clone(), it.outcome))
            .collect();
        assert_eq!(
            told,
            [(".spec.a".to_owned(), 2, at(0), Outcome::Healed), (".spec.b".to_owned(), 1, at(1), Outcome::Reported)]
        );
        assert_eq!(all[0].last_detected_at, at(2));
    }

    #[test]
    fn the_newest_are_kept_within_the_limits() {
        let mut all = Vec::new();
        for minute in 0..EVENTS_MAX + 5 {
            let what = comparison(vec![difference(&["spec", &format!("f{minute}")], "x")]);
            all = fold(all, events(&key(), &what, &at(minute), Outcome::Detected));
        }
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!((all[0].fields[0].path.as_str(), all[19].fields[0].path.as_str()), (".spec.f24", ".spec.f5"));
        // Many large ones.
        let mut all = Vec::new();
        for minute in 0..10 {
            let fields = (0..200).map(|at| Difference {
                desired: Some("\"".repeat(9_999).into()),
                ..difference(&["spec", &format!("f{minute}-{at}")], "x")
            });
            let new = events(&key(), &comparison(fields.collect()), &at(minute), Outcome::Detected);
            assert!(new[0].fields.last().unwrap().path.ends_with(" more"));
            all = fold(all, new);
        }
        let json: usize = all.iter().map(Event::bytes).sum();
        assert!(json <= BYTES_MAX && all.len() >= 3, "{json} bytes in {} events", all.len());
        assert_eq!(all[0].last_detected_at, at(9));
    }

    #[test]
    fn values_are_cut_with_length_and_hash() {
        let cut = |text: &str| {
            let found = Difference { desired: Some(text.into()), live: Some("".into()), ..difference(&["a"], "x") };
            Field::of(&found)
        };
        assert_eq!(cut(&"x".repeat(256)).git, "x".repeat(256));
        let long = cut(&"ü".repeat(200)).git;
        assert!(long.len() <= VALUE_BYTES_MAX && long.starts_with("üüü"), "{long}");
        assert!(long.contains("… (400 bytes, sha256 "), "{long}");
        assert_ne!(cut(&"x".repeat(300)).git, cut(&format!("{}y", "x".repeat(299))).git);
        assert_eq!(cut("x").live, "\"\"", "something empty is not nothing");
    }

    #[test]
    fn proposes_an_entry_that_can_be_pasted() {
        let pending = Difference { drift: false, ..difference(&["spec", "minReadySeconds"], "trueup") };
        let what =
            comparison(vec![difference(&["spec", "replicas"], "x"), pending, difference(&["spec", "paused"], "x")]);
        assert_eq!(
            suggestion(&key(), &what),
            "- group: apps\n  jsonPointers:\n  - /spec/replicas\n  - /spec/paused\n  kind: Deployment\n  name: web\n  namespace: shop\n"
        );
    }

    #[test]
    fn outcomes_are_read_as_they_are_written_and_no_others() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::read(outcome.word()), Some(outcome));
        }
        assert_eq!(Outcome::read("gone"), None);
        let open: Vec<_> = Outcome::ALL.into_iter().filter(|outcome| outcome.is_open()).collect();
        assert_eq!(open, [Outcome::Detected, Outcome::Reported, Outcome::HealingFailed]);
    }
}
