//! `status.drift`: what the cluster has that did not come from Git, who did it, and what became of it.
//!
//! Pure. Invariant: an event whose outcome is open tells of drift that is there now; every other one is history. Entry points:
//! [`events_of`] makes events of judgements, [`drift`] puts them into the status and ends what is over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use trueup_api::{Drift, DriftEvent, DriftField};
use trueup_diff::Comparison;
use trueup_diff::drift::{Event, Field, Outcome, events, fold};
use trueup_object::{Digest, ObjectKey};

use crate::judge::{Judged, Verdict};
use crate::memory::Base;
use crate::observe::View;

/// What an event names where a whole object is gone.
const WHOLE_OBJECT: &str = ".";

/// The objects that drifted: they differ, and not because Git moved.
pub(crate) fn drifted(view: &View) -> impl Iterator<Item = &Judged> {
    view.objects.iter().map(AsRef::as_ref).filter(|judged| is_drift(judged, view))
}

pub(crate) fn is_drift(judged: &Judged, view: &View) -> bool {
    match &judged.verdict {
        Verdict::Missing => !view.pending || judged.was_synced,
        Verdict::Differs(comparison) => comparison.differences.iter().any(|difference| difference.drift),
        _ => false,
    }
}

/// The same, to be kept while the view changes.
pub(crate) fn all_drifted(view: &View) -> Vec<Arc<Judged>> {
    view.objects.iter().filter(|judged| is_drift(judged, view)).cloned().collect()
}

/// The events of what had drifted before a sync that really changed these objects.
pub(crate) fn overwritten(drifted: &[Arc<Judged>], changed: &HashSet<ObjectKey>, now: &str) -> Vec<Event> {
    let overwritten = drifted.iter().filter(|judged| changed.contains(&judged.key));
    overwritten.flat_map(|judged| events_of(judged, now, Outcome::Overwritten)).collect()
}

/// The events of one drifted object.
pub(crate) fn events_of(judged: &Judged, now: &str, outcome: Outcome) -> Vec<Event> {
    match &judged.verdict {
        Verdict::Differs(comparison) => events(&judged.key, &only_drift(comparison), now, outcome),
        Verdict::Missing => vec![gone(&judged.key, now, outcome)],
        _ => Vec::new(),
    }
}

fn only_drift(comparison: &Comparison) -> Comparison {
    let mut comparison = comparison.clone();
    comparison.differences.retain(|difference| difference.drift);
    comparison
}

/// An object that somebody deleted: whoever it was left no trace.
fn gone(key: &ObjectKey, now: &str, outcome: Outcome) -> Event {
    Event {
        key: key.clone(),
        fields: vec![Field { path: WHOLE_OBJECT.to_owned(), git: "present".to_owned(), live: "deleted".to_owned() }],
        manager: "unknown".to_owned(),
        operation: String::new(),
        first_detected_at: now.to_owned(),
        last_detected_at: now.to_owned(),
        count: 1,
        outcome,
    }
}

/// What is known at the end of a look.
pub(crate) struct Found<'a> {
    /// The digest of what was synced last.
    pub(crate) baseline: &'a str,
    /// What drifted and is there now.
    pub(crate) present: &'a [Event],
    /// What is to be told: of what is there now, and of what was ended.
    pub(crate) new: Vec<Event>,
    /// How many objects drifted.
    pub(crate) count: usize,
    /// The objects about which Git or the specification says something else than before.
    pub(crate) moved: &'a dyn Fn(&ObjectKey) -> bool,
    pub(crate) now: &'a str,
}

/// The new `status.drift`: the old events with the new ones folded in, and those that are over ended.
pub(crate) fn drift(old: Option<&Drift>, found: Found<'_>) -> Drift {
    let mut known: Vec<Event> = old.map(read_all).unwrap_or_default();
    let ended: HashMap<ObjectKey, Outcome> = found
        .new
        .iter()
        .filter(|event| !event.outcome.is_open())
        .map(|event| (event.key.clone(), event.outcome))
        .collect();
    // What was told as being there and has ended now is the same drift, not another one.
    let another = |event: &Event| {
        let told = known.iter_mut().find(|told| told.outcome.is_open() && is_same(told, event));
        told.map(|told| told.outcome = event.outcome).is_none()
    };
    let new: Vec<Event> = found.new.into_iter().filter(another).collect();
    let mut events = fold(known, new);
    for event in events.iter_mut().filter(|event| event.outcome.is_open()) {
        let at_object = || found.present.iter().filter(|present| present.key == event.key);
        if at_object().any(|present| present.is_same(event)) {
            continue;
        }
        let paths: HashSet<&str> = event.fields.iter().map(|field| field.path.as_str()).collect();
        let again = at_object().flat_map(|present| &present.fields).any(|field| paths.contains(field.path.as_str()));
        event.outcome = match ended.get(&event.key) {
            _ if again => Outcome::Replaced,
            Some(outcome) => *outcome,
            None if (found.moved)(&event.key) => Outcome::Accepted,
            None => Outcome::Reverted,
        };
    }
    let since = match (found.count, old) {
        (0, _) => None,
        (_, Some(old)) if old.count > 0 && old.since.is_some() => old.since.clone(),
        _ => Some(found.now.to_owned()),
    };
    Drift {
        count: i64::try_from(found.count).unwrap_or(i64::MAX),
        since,
        baseline: found.baseline.to_owned(),
        events: events.into_iter().map(write).collect(),
    }
}

/// Whether Git says something else of an object than at the last successful sync, or nothing any more.
pub(crate) fn git_moved(base: &Base, view: &View, key: &ObjectKey, old: Option<&Drift>) -> bool {
    let find = |targets: &trueup_render::Targets| {
        let at = targets.objects.binary_search_by(|target| target.key.cmp(key)).ok()?;
        Some(targets.objects[at].digest)
    };
    match (base, find(&view.targets)) {
        (_, None) => true,
        (Base::Known(before), now) => find(before) != now,
        // What it said is not known: only whether all of it together is the same.
        _ => old.is_none_or(|old| old.baseline != view.targets.digest.to_string()),
    }
}

/// Whether two events tell of the same values of the same leaves.
fn is_same(told: &Event, event: &Event) -> bool {
    told.key == event.key && told.manager == event.manager && told.fields == event.fields
}

/// Whether a drift was told before as being there.
pub(crate) fn was_detected(old: Option<&Drift>, event: &Event) -> bool {
    old.is_some_and(|old| read_all(old).iter().any(|told| told.outcome.is_open() && is_same(told, event)))
}

/// Whether nothing is to be told of an event: it is there, and stands in the status with the same outcome.
pub(crate) fn is_known(old: Option<&Drift>, event: &Event) -> bool {
    let same = |told: &Event| told.outcome == event.outcome && is_same(told, event);
    event.outcome.is_open() && old.is_some_and(|old| read_all(old).iter().any(same))
}

/// One line about an event.
pub(crate) fn line(event: &Event) -> String {
    let by = if event.manager == "unknown" { "an unknown manager".to_owned() } else { format!("'{}'", event.manager) };
    let fields: Vec<&str> = event.fields.iter().map(|field| field.path.as_str()).collect();
    if fields == [WHOLE_OBJECT] {
        return format!("{} was deleted by {by}", event.key);
    }
    format!("{} was changed by {by}: {}", event.key, fields.join(", "))
}

/// The leaves of an object that drifted, as a digest.
pub(crate) fn leaves(judged: &Judged) -> Digest {
    match &judged.verdict {
        Verdict::Differs(comparison) => Digest::of_parts(
            comparison
                .differences
                .iter()
                .filter(|difference| difference.drift)
                .map(|difference| difference.path.to_string()),
        ),
        _ => Digest::of(WHOLE_OBJECT.as_bytes()),
    }
}

fn read_all(drift: &Drift) -> Vec<Event> {
    drift.events.iter().map(read).collect()
}

fn read(event: &DriftEvent) -> Event {
    Event {
        key: ObjectKey::new(&event.group, &event.kind, &event.namespace, &event.name),
        fields: event
            .fields
            .iter()
            .map(|field| Field {
                path: field.path.clone(),
                git: field.git.clone().unwrap_or_default(),
                live: field.live.clone().unwrap_or_default(),
            })
            .collect(),
        manager: event.manager.clone(),
        operation: event.operation.clone(),
        first_detected_at: event.first_detected_at.clone(),
        last_detected_at: event.last_detected_at.clone(),
        count: u32::try_from(event.count).unwrap_or(u32::MAX),
        // A word of another version: whatever it was, it is not there any more unless it is found again.
        outcome: Outcome::read(&event.outcome).unwrap_or(Outcome::Reverted),
    }
}

fn write(event: Event) -> DriftEvent {
    DriftEvent {
        group: event.key.group.to_string(),
        kind: event.key.kind.to_string(),
        namespace: event.key.namespace.to_string(),
        name: event.key.name.to_string(),
        fields: event
            .fields
            .into_iter()
            .map(|field| DriftField { path: field.path, git: Some(field.git), live: Some(field.live) })
            .collect(),
        manager: event.manager,
        operation: event.operation,
        first_detected_at: event.first_detected_at,
        last_detected_at: event.last_detected_at,
        count: i64::from(event.count),
        outcome: event.outcome.word().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, live: &str, outcome: Outcome) -> Event {
        Event {
            key: ObjectKey::new("", "ConfigMap", "ns", name),
            fields: vec![Field { path: ".data.a".into(), git: "1".into(), live: live.into() }],
            manager: "kubectl-edit".into(),
            operation: "Update".into(),
            first_detected_at: "2026-11-24T10:00:00Z".into(),
            last_detected_at: "2026-11-24T10:00:00Z".into(),
            count: 1,
            outcome,
        }
    }

    /// A look that finds this there, and has this to tell.
    fn look(old: Option<&Drift>, present: &[Event], new: Vec<Event>, moved: bool, now: &str) -> Drift {
        let moved = |_: &ObjectKey| moved;
        drift(old, Found { baseline: "b", present, new, count: present.len(), moved: &moved, now })
    }

    fn told(drift: &Drift) -> Vec<(&str, i64, &str)> {
        drift.events.iter().map(|event| (event.name.as_str(), event.count, event.outcome.as_str())).collect()
    }

    const TEN: &str = "2026-11-24T10:00:00Z";

    fn detected() -> Drift {
        let there = [event("x", "2", Outcome::Detected)];
        look(None, &there, there.to_vec(), false, TEN)
    }

    #[test]
    fn what_was_detected_and_is_healed_is_one_drift() {
        let first = detected();
        assert_eq!(told(&first), [("x", 1, "detected")]);
        assert!(is_known(Some(&first), &event("x", "2", Outcome::Detected)));
        assert!(was_detected(Some(&first), &event("x", "2", Outcome::Healed)));
        let healed = look(Some(&first), &[], vec![event("x", "2", Outcome::Healed)], false, TEN);
        assert_eq!(told(&healed), [("x", 1, "healed")]);
        assert_eq!(healed.since, None);
        // The same once more is a repeat, and told.
        assert!(!is_known(Some(&healed), &event("x", "2", Outcome::Healed)));
        let again = look(Some(&healed), &[], vec![event("x", "2", Outcome::Healed)], false, TEN);
        assert_eq!(told(&again), [("x", 2, "healed")]);
    }

    #[test]
    fn the_beginning_of_a_drift_stays_while_it_lasts() {
        let first = detected();
        let there = [event("x", "2", Outcome::Detected), event("y", "3", Outcome::Detected)];
        let second = look(Some(&first), &there, there[1..].to_vec(), false, "2026-11-24T10:01:00Z");
        assert_eq!(second.since.as_deref(), Some(TEN));
        assert_eq!(second.count, 2);
    }

    #[test]
    fn each_drift_that_is_over_ends_as_it_did() {
        let over = |new: Vec<Event>, moved: bool| told(&look(Some(&detected()), &[], new, moved, TEN))[0].2.to_owned();
        assert_eq!(over(vec![], false), "reverted");
        assert_eq!(over(vec![], true), "accepted");
        assert_eq!(over(vec![event("x", "2", Outcome::Overwritten)], true), "overwritten");
        // The object was brought back when another value had just been put there.
        assert_eq!(over(vec![event("x", "9", Outcome::Healed)], false), "healed");
    }

    #[test]
    fn what_is_still_there_stays_open_and_only_that() {
        let events = vec![
            event("x", "2", Outcome::Detected),
            event("y", "2", Outcome::HealingFailed),
            event("z", "2", Outcome::Healed),
        ];
        let first = look(None, &events[..2], events.clone(), false, TEN);
        let second = look(Some(&first), &events[..1], vec![], false, TEN);
        let mut told = told(&second);
        told.sort_unstable();
        assert_eq!(told, [("x", 1, "detected"), ("y", 1, "reverted"), ("z", 1, "healed")]);
    }

    #[test]
    fn who_changes_the_same_after_somebody_else_replaces_that() {
        let other = Event { manager: "argo".into(), ..event("x", "3", Outcome::Detected) };
        let second = look(Some(&detected()), std::slice::from_ref(&other), vec![other.clone()], false, TEN);
        let mut told: Vec<_> =
            second.events.iter().map(|event| (event.manager.as_str(), event.outcome.as_str())).collect();
        told.sort_unstable();
        assert_eq!(told, [("argo", "detected"), ("kubectl-edit", "replaced")]);
    }

    #[test]
    fn a_policy_that_changes_changes_the_outcome_and_nothing_else() {
        let there = [event("x", "2", Outcome::Reported)];
        let reported = look(Some(&detected()), &there, there.to_vec(), false, "2026-11-24T10:01:00Z");
        assert_eq!(told(&reported), [("x", 1, "reported")]);
        assert_eq!(reported.events[0].last_detected_at, TEN);
    }

    #[test]
    fn a_word_of_another_version_is_history() {
        let mut old = detected();
        old.events[0].outcome = "gone".into();
        assert_eq!(told(&look(Some(&old), &[], vec![], false, TEN)), [("x", 1, "reverted")]);
    }

    #[test]
    fn a_line_names_what_and_who() {
        assert_eq!(line(&event("x", "2", Outcome::Healed)), "ConfigMap ns/x was changed by 'kubectl-edit': .data.a");
        let key = ObjectKey::new("", "ConfigMap", "ns", "x");
        let deleted = gone(&key, TEN, Outcome::Healed);
        assert_eq!(line(&deleted), "ConfigMap ns/x was deleted by an unknown manager");
    }
}
