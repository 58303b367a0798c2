//! What an operation waits for: the words, since when, until when, and whose time is over.
//!
//! Entry points: [`for_tasks`] and [`for_approval`]; [`recalled`] after a restart.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use trueup_api::{Application, annotations, condition};
use trueup_object::ObjectKey;
use trueup_plan::task::{Act, Task};

use crate::attempt::Attempt;
use crate::clock;
use crate::observe::Notice;
use crate::operation::Run;
use crate::world::World;

/// After so long without progress a condition says what is waited for.
const PATIENCE: Duration = Duration::from_mins(10);
/// How much of what an object says of itself is repeated, in characters.
const WORDS_MAX: usize = 256;
/// How many objects an approval is asked for by name.
const NAMED_MAX: usize = 5;

/// What an operation waits for.
pub(crate) struct Wait {
    /// What the operation's state says.
    pub(crate) message: String,
    /// What is said of a wait that takes long.
    pub(crate) notice: Option<Notice>,
    /// When something is due although nothing happens.
    pub(crate) until: Option<Instant>,
    /// Whose time is over, and why: a hook, or all that runs.
    pub(crate) overdue: Vec<(Option<Task>, String)>,
}

/// The end of somebody's time.
struct Deadline<'a> {
    /// A hook; without, all that runs.
    task: Option<&'a Task>,
    at: Timestamp,
    /// How long it had, and which annotation says so.
    what: String,
}

/// The operation waits for these tasks, each of which says so.
pub(crate) fn for_tasks(
    world: &World,
    application: &Application,
    run: &Run,
    attempt: &mut Attempt,
    tasks: &[(&Task, String)],
) -> Wait {
    let (what, said) = words(tasks);
    let now = Timestamp::now();
    let since = attempt.waits_since(&what, now);
    let message = format!("{what} since {}{said}", clock::text(since));
    let deadlines = deadlines(world, application, run, attempt, tasks);
    let (over, to_come): (Vec<Deadline<'_>>, Vec<Deadline<'_>>) =
        deadlines.into_iter().partition(|deadline| deadline.at <= now);
    let overdue = over
        .iter()
        .map(|deadline| (deadline.task.cloned(), format!("it did not end within {}, {what}", deadline.what)))
        .collect();
    let end = to_come.iter().min_by_key(|deadline| deadline.at);
    let (notice, patience) = patience(attempt, &message, end);
    let end = end.map(|deadline| Instant::now() + left(now, deadline.at));
    Wait { message, notice, until: [end, patience].into_iter().flatten().min(), overdue }
}

/// What was waited for, and since when, as the message of an operation tells it.
pub(crate) fn recalled(message: &str) -> Option<(String, Timestamp)> {
    let (what, rest) = message.split_once(" since ")?;
    let since = rest.split_whitespace().next()?.trim_end_matches(':');
    Some((what.to_owned(), since.parse().ok()?))
}

/// The operation waits until somebody approves that these objects are deleted.
pub(crate) fn for_approval(keys: &[ObjectKey], attempt: &mut Attempt) -> Wait {
    let named = keys.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = keys.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!("waiting for pruning confirmation of {named}{more}");
    let since = attempt.waits_since(&what, Timestamp::now());
    let message = format!(
        "{what} since {}: set the annotation {} of the Application to the time of your approval, such as {}",
        clock::text(since),
        annotations::DELETION_APPROVED,
        clock::now()
    );
    let (notice, until) = patience(attempt, &message, None);
    Wait { message, notice, until, overdue: Vec::new() }
}

/// What is waited for, in upstream's words, and what the first of it says.
fn words(tasks: &[(&Task, String)]) -> (String, String) {
    // A hook goes before what is merely not healthy yet.
    let first = tasks.iter().min_by_key(|(task, _)| (!task.is_hook(), task.key.clone()));
    let Some((task, said)) = first else { return ("waiting".to_owned(), String::new()) };
    let key = &task.key;
    let name = format!("{}/{}/{}", key.group, key.kind, key.name).trim_start_matches('/').to_owned();
    let what = match task.act {
        Act::Hook => format!("waiting for completion of hook {name}"),
        Act::Apply => format!("waiting for healthy state of {name}"),
        Act::Prune { .. } => format!("waiting for deletion of {name}"),
    };
    let more = tasks.len() - 1;
    let what = if more > 0 { format!("{what} and {more} more") } else { what };
    let said: String = said.chars().take(WORDS_MAX).collect();
    (what, if said.is_empty() { said } else { format!(": {said}") })
}

fn deadlines<'a>(
    world: &World,
    application: &Application,
    run: &Run,
    attempt: &Attempt,
    tasks: &[(&'a Task, String)],
) -> Vec<Deadline<'a>> {
    let allowed = application.meta.deadlines();
    let mut found = Vec::new();
    let mut add = |task, from: Option<Timestamp>, time: Option<Duration>, annotation: &str| {
        if let Some((from, time)) = from.zip(time) {
            let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
            let at = from.checked_add(time);
            let what = format!("{time:#} ({annotation})");
            found.push(Deadline { task, at: at.unwrap_or(Timestamp::MAX), what });
        }
    };
    // What has failed already goes on only with hooks for that, which have their own time.
    if !attempt.failed {
        add(None, run.started_at.parse().ok(), allowed.sync, annotations::SYNC_DEADLINE);
        // Where nothing of it had to be done, as after a restart, its time begins with the wait.
        let entered = attempt.stage.map(|(_, since)| since);
        let since = entered.or_else(|| attempt.waits.as_ref().map(|(_, since)| *since));
        add(None, since, allowed.wave, annotations::WAVE_DEADLINE);
    }
    for (task, _) in tasks.iter().filter(|(task, _)| task.is_hook()) {
        let Some(live) = world.cluster.live(&task.gvk, &task.key) else { continue };
        let node = live.node();
        // One of an earlier sync that was applied again has not run since.
        let created = node.str_at(&["metadata", "creationTimestamp"]).and_then(|at| at.parse().ok());
        let created = created.max(run.started_at.parse().ok());
        let time = trueup_api::hook_deadline(&node).or(allowed.hook);
        add(Some(*task), created, time, annotations::HOOK_DEADLINE);
    }
    found
}

/// What is said of a wait that takes long, or when it will be said.
fn patience(attempt: &Attempt, message: &str, end: Option<&Deadline<'_>>) -> (Option<Notice>, Option<Instant>) {
    let patient_until = attempt.moved + PATIENCE;
    if patient_until > Instant::now() {
        return (None, Some(patient_until));
    }
    let end = match end {
        Some(deadline) => format!("it ends at {}, after {}", clock::text(deadline.at), deadline.what),
        None => format!(
            "it has no deadline ({}, {}, {} would set one); `trueup app terminate-op` ends it",
            annotations::SYNC_DEADLINE,
            annotations::WAVE_DEADLINE,
            annotations::HOOK_DEADLINE
        ),
    };
    let message = format!("the sync has made no progress for {} minutes, {message}; {end}", PATIENCE.as_secs() / 60);
    (Some(Notice { kind: condition::SYNC_WARNING, message }), None)
}

fn left(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

// === impl Attempt ===

impl Attempt {
    /// Since when this is waited for.
    fn waits_since(&mut self, what: &str, now: Timestamp) -> Timestamp {
        match &self.waits {
            Some((known, since)) if known == what => *since,
            _ => {
                self.waits = Some((what.to_owned(), now));
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use trueup_api::{HookPhase, OperationState};
    use trueup_object::Gvk;

    use super::*;

    fn task(kind: &str, name: &str, act: Act) -> Task {
        let group = if kind == "Job" { "batch" } else { "" };
        Task {
            key: ObjectKey::new(group, kind, "a", name),
            gvk: Gvk { group: group.into(), version: "v1".into(), kind: kind.into() },
            phase: HookPhase::Sync,
            wave: 0,
            act,
            defines: None,
        }
    }

    #[test]
    fn what_is_waited_for_is_said_as_upstream_does() {
        let (apply, hook) = (task("Service", "web", Act::Apply), task("Job", "migrate", Act::Hook));
        let prune = task("ConfigMap", "old", Act::Prune { last: false });
        let said = |tasks: &[(&Task, String)]| {
            let (what, said) = words(tasks);
            what + &said
        };
        assert_eq!(said(&[(&apply, String::new())]), "waiting for healthy state of Service/web");
        assert_eq!(
            said(&[(&apply, "no address".to_owned()), (&hook, "running".to_owned())]),
            "waiting for completion of hook batch/Job/migrate and 1 more: running"
        );
        assert_eq!(
            said(&[(&prune, "x".repeat(999))]).len(),
            "waiting for deletion of ConfigMap/old: ".len() + WORDS_MAX
        );
    }

    #[test]
    fn since_when_is_known_after_a_restart() {
        let since = "2026-11-24T10:00:00Z";
        let at: Timestamp = since.parse().unwrap();
        let what = "waiting for healthy state of Service/web and 2 more";
        for (message, expected) in [
            (format!("{what} since {since}: no address since noon"), Some((what.to_owned(), at))),
            (format!("{what} since {since}"), Some((what.to_owned(), at))),
            (format!("{what} since yesterday"), None),
            (what.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(recalled(&message), expected, "{message}");
        }
        let mut attempt = Attempt::recalled(
            &Application::read(br#"{"metadata": {"name": "a", "uid": "u"}}"#).unwrap(),
            &OperationState { message: format!("{what} since {since}: words"), ..OperationState::default() },
        );
        assert_eq!(attempt.waits_since(what, Timestamp::now()), at);
        assert_ne!(attempt.waits_since("something else", Timestamp::now()), at);
    }
}
