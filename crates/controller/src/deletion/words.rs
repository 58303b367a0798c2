//! What a deletion says of what stands in its way: which object or hook, why, since when, and what to do.
//!
//! Pure. Invariant: the same hindrance gives the same words, so that it costs one write.

use std::collections::BTreeMap;

use trueup_api::{HookPhase, annotations};
use trueup_cluster::Live;
use trueup_object::{Node, ObjectKey};

use super::finalizers;
use crate::notices::WAY_OUT;

/// How many objects a message names.
const NAMED_MAX: usize = 5;
/// How much of what a failed hook says of itself is repeated, in characters.
const WORDS_MAX: usize = 256;
/// What the API server keeps an object with while its dependents go.
const FOREGROUND: &str = "foregroundDeletion";

/// What the hooks of a deletion wait for.
#[derive(Debug)]
pub(super) enum Hindrance {
    /// One runs.
    Runs { key: ObjectKey, since: String, end: Option<End>, failed: Option<Failed> },
    /// One failed, and is made anew at that time.
    Failed { key: ObjectKey, failed: Failed, again: String },
    /// One of the same name has to go first.
    Clears { key: ObjectKey, finalizers: Vec<String> },
}

/// When a hook has had its time.
#[derive(Debug)]
pub(super) struct End {
    pub(super) at: String,
    /// How long it had, and which annotation says so.
    pub(super) what: String,
}

/// How often a hook has failed, and why the last time.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) times: u32,
    pub(super) why: String,
}

/// What is said of the hooks of a phase that have not all ended.
pub(super) fn hooks(phase: HookPhase, hindrances: &[Hindrance]) -> Option<String> {
    if hindrances.is_empty() {
        return None;
    }
    let said = named(hindrances.iter().map(|hindrance| hook(phase, hindrance)).collect());
    Some(format!("{said}; {}", without_hooks(phase)))
}

/// How to go on without the hooks of a phase.
pub(super) fn without_hooks(phase: HookPhase) -> String {
    format!(
        "to go on without the {phase} hooks, remove the finalizer {} from the Application",
        finalizers::of_hooks(phase)
    )
}

fn hook(phase: HookPhase, hindrance: &Hindrance) -> String {
    let cut = |why: &str| why.chars().take(WORDS_MAX).collect::<String>();
    match hindrance {
        Hindrance::Runs { key, since, end, failed } => {
            let before = failed.as_ref().map(|failed| {
                format!(", attempt {}: the one before failed, {}", failed.times.saturating_add(1), cut(&failed.why))
            });
            let end = match end {
                Some(End { at, what }) => format!("it ends at {at}, after {what}"),
                None => format!("it has no deadline ({} would set one)", annotations::HOOK_DEADLINE),
            };
            let before = before.unwrap_or_default();
            format!("waiting for completion of {phase} hook {} since {since}{before}; {end}", path(key))
        }
        Hindrance::Failed { key, failed: Failed { times, why }, again } => {
            let times = if *times == 1 { String::new() } else { format!(" {times} times, the last time") };
            format!("{phase} hook {} failed{times}: {}; it is made anew at {again}", path(key), cut(why))
        }
        Hindrance::Clears { key, finalizers } => {
            let kept =
                if finalizers.is_empty() { String::new() } else { format!(" (finalizers: {})", finalizers.join(", ")) };
            format!("waiting until the {} of before is gone{kept}, to make it anew as {phase} hook", path(key))
        }
    }
}

/// As upstream names a hook: `batch/Job/migrate`.
fn path(key: &ObjectKey) -> String {
    format!("{}/{}/{}", key.group, key.kind, key.name).trim_start_matches('/').to_owned()
}

/// What is said of objects that somebody has to approve of before anything is deleted.
pub(super) fn approval(unapproved: &[ObjectKey], deletion: &str) -> Option<String> {
    let names = named(unapproved.iter().map(ToString::to_string).collect());
    (!unapproved.is_empty()).then(|| {
        format!(
            "waiting for deletion confirmation of {names}: nothing is deleted before; set the annotation {} of the Application to the time of your approval, {deletion} or later",
            annotations::DELETION_APPROVED
        )
    })
}

/// What is said of objects of which nobody knows who holds them.
pub(super) fn unknown(doubtful: BTreeMap<String, Vec<String>>) -> Option<String> {
    let said = doubtful.into_iter().map(|(why, keys)| format!("{}: {why}", named(keys)));
    let said = said.collect::<Vec<_>>().join("; ");
    (!said.is_empty()).then(|| {
        format!(
            "not deleted until it is known who holds it: {said}; {WAY_OUT}, or remove the finalizer to leave the objects where they are"
        )
    })
}

/// What is said of the objects of a wave that do not go. `alone` if there is no other wave.
pub(super) fn stuck<'a>(
    wave: i64,
    alone: bool,
    objects: impl IntoIterator<Item = (&'a ObjectKey, &'a Live)>,
) -> Option<String> {
    let stuck: Vec<String> = objects.into_iter().map(|(key, live)| stays(key, &live.node())).collect();
    let which = if alone { String::new() } else { format!(" of wave {wave}") };
    (!stuck.is_empty()).then(|| format!("waiting for objects{which} to go: {}", named(stuck)))
}

/// What keeps an object that is being deleted.
fn stays(key: &ObjectKey, node: &Node) -> String {
    let finalizers = finalizers_of(node);
    let since = node.str_at(&["metadata", "deletionTimestamp"]).unwrap_or_default();
    match finalizers.as_slice() {
        [] => format!("{key} (being deleted since {since})"),
        [only] if only == FOREGROUND => format!("{key} (finalizers: {FOREGROUND}, until its dependents are gone)"),
        all => format!("{key} (finalizers: {})", all.join(", ")),
    }
}

/// The finalizers of an object.
pub(super) fn finalizers_of(node: &Node) -> Vec<String> {
    node.list_at(&["metadata", "finalizers"]).iter().filter_map(Node::as_str).map(str::to_owned).collect()
}

/// The first of many, and how many more there are.
pub(super) fn named(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    let shown = all.join("; ");
    if more > 0 { format!("{shown}; and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str) -> ObjectKey {
        ObjectKey::new("batch", "Job", "a", name)
    }

    #[test]
    fn who_may_hold_what_is_said_with_the_way_out() {
        assert_eq!(unknown(BTreeMap::new()), None);
        let said = unknown(BTreeMap::from([("because".to_owned(), vec!["x".to_owned(), "y".to_owned()])])).unwrap();
        assert!(said.contains("x; y: because; ") && said.contains("finalizer"), "{said}");
    }

    #[test]
    fn of_many_the_first_are_named() {
        let names = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        assert_eq!(named(names(2)), "0; 1");
        assert_eq!(named(names(7)), "0; 1; 2; 3; 4; and 2 more");
    }

    #[test]
    fn hooks_are_said_with_what_is_waited_for_since_when_and_the_way_out() {
        let since = "2026-11-24T10:00:00Z".to_owned();
        let failed = Failed { times: 2, why: "x".repeat(999) };
        let runs = |end, failed| Hindrance::Runs { key: job("backup"), since: since.clone(), end, failed };
        let end = End { at: "T".to_owned(), what: "10m (trueup.dev/hook-deadline)".to_owned() };
        let table: [(Hindrance, &[&str]); 5] = [
            (
                runs(None, None),
                &[
                    "waiting for completion of PreDelete hook batch/Job/backup since 2026-11-24T10:00:00Z; it has no deadline",
                ],
            ),
            (runs(Some(end), None), &["it ends at T, after 10m (trueup.dev/hook-deadline)"]),
            (runs(None, Some(failed.clone())), &["since 2026-11-24T10:00:00Z, attempt 3: the one before failed, xxx"]),
            (
                Hindrance::Failed { key: job("backup"), failed, again: "T".to_owned() },
                &["PreDelete hook batch/Job/backup failed 2 times, the last time: xxx", "made anew at T"],
            ),
            (
                Hindrance::Clears { key: job("backup"), finalizers: vec!["a/b".to_owned()] },
                &["batch/Job/backup of before is gone (finalizers: a/b)"],
            ),
        ];
        for (hindrance, words) in table {
            let said = hooks(HookPhase::PreDelete, &[hindrance]).unwrap();
            assert!(said.len() < 700, "{said}");
            for word in words.iter().chain(&["remove the finalizer pre-delete-finalizer.argocd.argoproj.io from"]) {
                assert!(said.contains(word), "{word} in {said}");
            }
        }
        assert_eq!(hooks(HookPhase::PostDelete, &[]), None);
    }

    #[test]
    fn what_keeps_an_object_is_said() {
        let key = ObjectKey::new("", "ConfigMap", "a", "x");
        let deleted = |finalizers: &str| {
            let json = format!(r#"{{"metadata":{{"deletionTimestamp":"T","finalizers":[{finalizers}]}}}}"#);
            stays(&key, &Node::from_json(json.as_bytes()).unwrap())
        };
        assert_eq!(deleted(""), "ConfigMap a/x (being deleted since T)");
        assert_eq!(deleted(r#""a/b","foregroundDeletion""#), "ConfigMap a/x (finalizers: a/b, foregroundDeletion)");
        assert!(deleted(r#""foregroundDeletion""#).contains("until its dependents are gone"));
    }

    #[test]
    fn an_approval_is_asked_for_by_name_and_time() {
        assert_eq!(approval(&[], "T"), None);
        let said = approval(&[job("a")], "T").unwrap();
        for word in ["batch/Job a/a", "argocd.argoproj.io/deletion-approved", "T or later"] {
            assert!(said.contains(word), "{said}");
        }
    }
}
