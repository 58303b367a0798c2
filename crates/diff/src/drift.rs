//! Drift as events that people read.

use trueup_object::ObjectKey;

use crate::Comparison;

/// Leaves of one object that one manager moved away from Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The object.
    pub key: ObjectKey,
    /// The leaves.
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
    pub outcome: String,
}

/// One leaf that drifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where.
    pub path: String,
    /// What Git says, cut.
    pub git: String,
    /// What was there, cut.
    pub live: String,
}

/// The events of one comparison, one per manager.
pub fn events(key: &ObjectKey, comparison: &Comparison, now: &str, outcome: &str) -> Vec<Event> {
    let _ = (key, comparison, now, outcome);
    Vec::new()
}

/// Folds new events into old ones.
pub fn fold(old: Vec<Event>, new: Vec<Event>) -> Vec<Event> {
    let _ = new;
    old
}

/// How often the leaves of this comparison were seen to drift before.
pub fn repeats(events: &[Event], key: &ObjectKey, comparison: &Comparison) -> u32 {
    let _ = (events, key, comparison);
    0
}

/// The `ignoreDifferences` entry that would leave these differences alone, as YAML.
pub fn suggestion(key: &ObjectKey, comparison: &Comparison) -> String {
    let _ = (key, comparison);
    String::new()
}
