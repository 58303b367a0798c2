//! `status.drift`: what the cluster has that did not come from Git, and who did it.
//!
//! Pure. Entry points: [`detected`] and [`healed`] make events of judgements, [`drift`] puts them into the status.

use std::collections::HashSet;

use trueup_api::{Drift, DriftEvent, DriftField};
use trueup_diff::Comparison;
use trueup_diff::drift::{Event, Field, events, fold};
use trueup_object::{Digest, ObjectKey};

use crate::judge::{Judged, Verdict};
use crate::observe::View;

/// The drift is there and nobody heals it.
pub(crate) const DETECTED: &str = "detected";
/// The drift was brought back into line.
pub(crate) const HEALED: &str = "healed";
/// The drift cannot be healed.
pub(crate) const FAILED: &str = "healing failed";
/// The drift was undone, or became what Git says, without us.
pub(crate) const GONE: &str = "gone";
/// What an event names where a whole object is gone.
const WHOLE_OBJECT: &str = ".";

/// The objects that drifted: they differ, and not because Git moved.
pub(crate) fn drifted(view: &View) -> impl Iterator<Item = &Judged> {
    view.objects.iter().map(AsRef::as_ref).filter(|judged| is_drift(judged, view))
}

pub(crate) fn is_drift(judged: &Judged, view: &View) -> bool {
    match &judged.verdict {
        Verdict::Missing => !view.pending,
        Verdict::Differs(comparison) => comparison.differences.iter().any(|difference| difference.drift),
        _ => false,
    }
}

/// The events of one drifted object.
pub(crate) fn events_of(judged: &Judged, now: &str, outcome: &str) -> Vec<Event> {
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
fn gone(key: &ObjectKey, now: &str, outcome: &str) -> Event {
    Event {
        key: key.clone(),
        fields: vec![Field { path: WHOLE_OBJECT.to_owned(), git: "present".to_owned(), live: "deleted".to_owned() }],
        manager: "unknown".to_owned(),
        operation: String::new(),
        first_detected_at: now.to_owned(),
        last_detected_at: now.to_owned(),
        count: 1,
        outcome: outcome.to_owned(),
    }
}

/// The new `status.drift`: the old events with the new ones folded in.
pub(crate) fn drift(old: Option<&Drift>, baseline: &str, count: usize, new: Vec<Event>, now: &str) -> Drift {
    let mut known: Vec<Event> = old.map(|old| old.events.iter().map(read).collect()).unwrap_or_default();
    // What was told as detected and is healed now is the same drift, not another one.
    let another = |event: &Event| {
        let told = known.iter_mut().find(|told| told.outcome == DETECTED && is_same(told, event));
        told.map(|told| told.outcome.clone_from(&event.outcome)).is_none()
    };
    let new: Vec<Event> = new.into_iter().filter(another).collect();
    let events = fold(known, new);
    let since = match (count, old) {
        (0, _) => None,
        (_, Some(old)) if old.count > 0 && old.since.is_some() => old.since.clone(),
        _ => Some(now.to_owned()),
    };
    Drift {
        count: i64::try_from(count).unwrap_or(i64::MAX),
        since,
        baseline: baseline.to_owned(),
        events: events.into_iter().map(write).collect(),
    }
}

/// Whether two events tell of the same values of the same leaves.
fn is_same(told: &Event, event: &Event) -> bool {
    told.key == event.key && told.manager == event.manager && told.fields == event.fields
}

/// Whether a drift was told as detected before it was healed.
pub(crate) fn was_detected(old: Option<&Drift>, event: &Event) -> bool {
    old.is_some_and(|old| old.events.iter().map(read).any(|told| told.outcome == DETECTED && is_same(&told, event)))
}

/// Whether these events are already in the status with the same outcome: then they are not told again.
pub(crate) fn is_known(old: Option<&Drift>, event: &Event) -> bool {
    old.is_some_and(|old| {
        old.events.iter().map(read).any(|told| told.outcome == event.outcome && is_same(&told, event))
    })
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
        outcome: event.outcome.clone(),
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
        outcome: event.outcome,
    }
}

/// Objects that are in line again: what was only detected, or could not be healed, has gone by itself.
pub(crate) fn close(drift: &mut Drift, drifted: &HashSet<&ObjectKey>) {
    for event in drift.events.iter_mut().filter(|event| event.outcome == DETECTED || event.outcome == FAILED) {
        if !drifted.contains(&read(event).key) {
            GONE.clone_into(&mut event.outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, live: &str, outcome: &str) -> Event {
        Event {
            key: ObjectKey::new("", "ConfigMap", "ns", name),
            fields: vec![Field { path: ".data.a".into(), git: "1".into(), live: live.into() }],
            manager: "kubectl-edit".into(),
            operation: "Update".into(),
            first_detected_at: "2026-11-24T10:00:00Z".into(),
            last_detected_at: "2026-11-24T10:00:00Z".into(),
            count: 1,
            outcome: outcome.into(),
        }
    }

    fn told(drift: &Drift) -> Vec<(&str, i64, &str)> {
        drift.events.iter().map(|event| (event.name.as_str(), event.count, event.outcome.as_str())).collect()
    }

    #[test]
    fn what_was_detected_and_is_healed_is_one_drift() {
        let first = drift(None, "b", 1, vec![event("x", "2", DETECTED)], "2026-11-24T10:00:00Z");
        assert_eq!(told(&first), [("x", 1, DETECTED)]);
        assert!(is_known(Some(&first), &event("x", "2", DETECTED)));
        assert!(was_detected(Some(&first), &event("x", "2", HEALED)));
        let healed = drift(Some(&first), "b", 0, vec![event("x", "2", HEALED)], "2026-11-24T10:00:05Z");
        assert_eq!(told(&healed), [("x", 1, HEALED)]);
        assert_eq!(healed.since, None);
    }

    #[test]
    fn the_beginning_of_a_drift_stays_while_it_lasts() {
        let first = drift(None, "b", 1, vec![event("x", "2", DETECTED)], "2026-11-24T10:00:00Z");
        let second = drift(Some(&first), "b", 2, vec![event("y", "3", DETECTED)], "2026-11-24T10:01:00Z");
        assert_eq!(second.since.as_deref(), Some("2026-11-24T10:00:00Z"));
        assert_eq!(second.count, 2);
    }

    #[test]
    fn each_object_that_is_in_line_again_closes_its_own_event() {
        let events = vec![event("x", "2", DETECTED), event("y", "2", FAILED), event("z", "2", HEALED)];
        let mut drift = drift(None, "b", 1, events, "2026-11-24T10:00:00Z");
        let still = ObjectKey::new("", "ConfigMap", "ns", "x");
        close(&mut drift, &HashSet::from([&still]));
        let mut told = told(&drift);
        told.sort_unstable();
        assert_eq!(told, [("x", 1, DETECTED), ("y", 1, GONE), ("z", 1, HEALED)]);
    }

    #[test]
    fn a_line_names_what_and_who() {
        assert_eq!(line(&event("x", "2", HEALED)), "ConfigMap ns/x was changed by 'kubectl-edit': .data.a");
        let key = ObjectKey::new("", "ConfigMap", "ns", "x");
        let deleted = gone(&key, "2026-11-24T10:00:00Z", HEALED);
        assert_eq!(line(&deleted), "ConfigMap ns/x was deleted by an unknown manager");
    }
}
