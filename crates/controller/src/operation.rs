//! One sync operation, from its start to its end or to the next attempt.
//!
//! An operation is a wish, not a job: killed at any line it is begun again by the next look, which finds less to do. Its
//! start is written down, with the inventory, before the first object is. Entry point: [`run`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use trueup_api::{
    Application, Consent, Operation, OperationInitiator, OperationPhase, OperationState, ResourceResult, ResultCode,
    RevisionHistory, SyncOperation, SyncOptions, SyncResult, condition,
};
use trueup_cluster::ClusterError;
use trueup_object::{GroupKind, Gvk, ObjectKey};
use trueup_plan::{Item, Step};
use trueup_render::defines;

use crate::applying::{apply_all, create_namespace, no_namespace};
use crate::clock;
use crate::drift_policy::left_alone;
use crate::extras::Extra;
use crate::judge::{Judged, Verdict};
use crate::memory::{Base, Memory};
use crate::observe::View;
use crate::perform::Change;
use crate::pruning;
use crate::world::World;

/// How many objects of one application are written at once. The limit toward the API server is the cluster's business.
pub(crate) const OBJECTS_AT_ONCE: usize = 32;
/// How many refusals the message of an operation repeats; all of them stand in its result.
const REASONS_MAX: usize = 3;
/// Why an operation is broken off that nothing is wrong with.
const BARRED: &str = "nothing may be written for the moment: it goes on when that is over";

/// What is to be done.
pub(crate) struct Run {
    pub(crate) operation: Operation,
    pub(crate) started_at: String,
    /// Attempts before this one.
    pub(crate) retry_count: i64,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) state: OperationState,
    /// The entry for the history, if everything was done.
    pub(crate) history: Option<RevisionHistory>,
    /// It was broken off: look again at once.
    pub(crate) broken_off: Option<BrokenOff>,
    pub(crate) warnings: Vec<String>,
    /// The objects that were really changed.
    pub(crate) changed: HashSet<ObjectKey>,
    /// The objects that drifted and were left so.
    pub(crate) left_alone: HashSet<ObjectKey>,
}

/// Why an operation was broken off between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenOff {
    /// Somebody wants it to end, or the application itself.
    Terminated,
    /// Git has something newer.
    Superseded,
    /// Nothing may be written for the moment: it goes on where it stands when that is over.
    Barred,
}

/// What became of the objects.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) results: Vec<ResourceResult>,
    pub(crate) refusals: Vec<String>,
    /// The objects that could not be applied, and why.
    pub(crate) refused: HashMap<ObjectKey, String>,
    pub(crate) changed: usize,
    pub(crate) changed_keys: HashSet<ObjectKey>,
    pub(crate) warnings: Vec<String>,
    /// Something was not written because nothing may be.
    pub(crate) barred: bool,
}

// === impl Run ===

impl Run {
    /// An automated sync to a commit.
    pub(crate) fn automated(view: &View, prune: bool) -> Self {
        let sync = SyncOperation { revision: view.commit.to_string(), prune, ..SyncOperation::default() };
        let initiated_by = OperationInitiator { automated: true, ..OperationInitiator::default() };
        let operation = Operation { sync: Some(sync), initiated_by, ..Operation::default() };
        Self { operation, started_at: clock::now(), retry_count: 0 }
    }

    pub(crate) fn is_automated(&self) -> bool {
        self.operation.initiated_by.automated
    }

    pub(crate) fn prunes(&self) -> bool {
        self.operation.sync.as_ref().is_some_and(|sync| sync.prune)
    }

    /// The options of the operation; one that names none has the application's.
    fn options(&self, view: &View) -> SyncOptions {
        match &self.operation.sync {
            Some(sync) if !sync.sync_options.is_empty() => SyncOptions::read(&sync.sync_options),
            _ => view.spec.options.clone(),
        }
    }

    /// The state while it runs.
    pub(crate) fn state(&self, phase: OperationPhase, message: String) -> OperationState {
        OperationState {
            operation: self.operation.clone(),
            phase,
            message,
            started_at: self.started_at.clone(),
            retry_count: self.retry_count,
            ..OperationState::default()
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Notes that something could not be written, and answers what it is refused with, if it is.
    pub(crate) fn note_failure(
        &mut self,
        error: &ClusterError,
        said: impl FnOnce(&ClusterError) -> String,
    ) -> Option<String> {
        if matches!(error, ClusterError::Barred { .. }) {
            self.barred = true;
            return None;
        }
        let message = said(error);
        self.refusals.push(message.clone());
        Some(message)
    }
}

/// Why an operation may not even begin, with a result for each object concerned.
pub(crate) fn invalid(view: &View) -> Option<(String, Vec<ResourceResult>)> {
    if !view.stops.is_empty() {
        return Some((view.stops.join("; "), Vec::new()));
    }
    let defined = defined(view);
    let mut results = Vec::new();
    for judged in &view.objects {
        let why = match &judged.verdict {
            Verdict::Unserved(_) if defined.contains(&judged.gvk.group_kind()) => continue,
            Verdict::Unserved(why) | Verdict::Forbidden(why) | Verdict::Unreadable(why) => why,
            _ => continue,
        };
        results.push(result(&judged.key, &judged.gvk, ResultCode::SyncFailed, why.clone()));
    }
    if results.is_empty() {
        return None;
    }
    let reasons =
        reasons(&results.iter().map(|result| format!("{}: {}", result.name, result.message)).collect::<Vec<_>>());
    Some((format!("one or more synchronization tasks are not valid: {reasons}"), results))
}

/// The kinds that this render defines itself.
fn defined(view: &View) -> HashSet<GroupKind> {
    view.targets.objects.iter().filter_map(|target| defines(target.manifest.node())).map(|(kind, _)| kind).collect()
}

/// Does it. The start has been written down already.
pub(crate) async fn run(
    world: &World,
    application: &Application,
    view: &mut View,
    memory: &mut Memory,
    run: &Run,
) -> Ended {
    let mut tally = Tally::default();
    if let Some((message, results)) = invalid(view) {
        tally.results = results;
        return end(application, view, run, OperationPhase::Failed, message, tally);
    }
    if run.options(view).create_namespace
        && let Err(error) = create_namespace(world, &view.spec.destination.namespace).await
    {
        return match tally.note_failure(&error, |error| no_namespace(view, error)) {
            Some(message) => end(application, view, run, OperationPhase::Failed, message, tally),
            None => broken_off(application, view, run, tally, BrokenOff::Barred, BARRED.to_owned()),
        };
    }
    let options = run.options(view);
    let left_alone = if run.is_automated() { left_alone(application, view, memory) } else { HashSet::new() };
    let asked = !run.is_automated();
    let goes = |extra: &Extra| run.prunes() && extra.goes(asked);
    for step in steps(view, goes, &options, &left_alone) {
        if let Some((cause, why)) = interruption(world, application, view, run) {
            return broken_off(application, view, run, tally, cause, why);
        }
        match step {
            Step::Apply(keys) => {
                apply_all(world, application, view, memory, &keys, options.validate, &mut tally).await;
            }
            // What Git still has comes first: nothing is taken away while something could not be put in its place.
            Step::Prune(keys) if tally.refused.is_empty() => {
                pruning::prune(world, application, view, &keys, asked, &mut tally).await;
            }
            Step::Prune(keys) => pruning::skip(view, &keys, &mut tally),
        }
        if tally.barred {
            return broken_off(application, view, run, tally, BrokenOff::Barred, BARRED.to_owned());
        }
    }
    pruning::note_rest(view, goes, &mut tally);
    note_unchanged(view, &mut tally);
    if tally.refusals.is_empty() {
        memory.base = Base::Known(Arc::clone(&view.targets));
        let message = "successfully synced (all tasks run)".to_owned();
        let ended = end(application, view, run, OperationPhase::Succeeded, message, tally);
        Ended { left_alone, ..ended }
    } else {
        let what = if tally.refused.is_empty() { "be pruned" } else { "apply" };
        let message = format!("one or more objects failed to {what}, reason: {}", reasons(&tally.refusals));
        end(application, view, run, OperationPhase::Failed, message, tally)
    }
}

/// The operation as it stands when it is broken off.
fn broken_off(application: &Application, view: &View, run: &Run, tally: Tally, cause: BrokenOff, why: String) -> Ended {
    let ended = end(application, view, run, OperationPhase::Failed, why, tally);
    Ended { broken_off: Some(cause), ..ended }
}

/// What Git has to be applied, and what it no longer has to be pruned, in order.
pub(crate) fn steps(
    view: &View,
    goes: impl Fn(&Extra) -> bool,
    options: &SyncOptions,
    left_alone: &HashSet<ObjectKey>,
) -> Vec<Step> {
    let applies = view
        .pairs()
        .filter(|(_, judged)| judged.wants_apply() || is_to_come(judged))
        .filter(|(target, _)| !left_alone.contains(&target.key))
        .map(|(target, _)| Item {
            key: target.key.clone(),
            gvk: target.gvk.clone(),
            defines: defines(target.manifest.node()).map(|(kind, _)| kind),
        });
    let may_go = |extra: &&Extra| goes(extra) && (options.prune == Consent::Yes || extra.prunes_explicitly());
    let prunes = view.extras.iter().filter(may_go).map(|extra| extra.key.clone());
    trueup_plan::steps(applies.collect(), prunes.collect())
}

/// An object whose kind comes into being in this very sync.
pub(crate) fn is_to_come(judged: &Judged) -> bool {
    matches!(judged.verdict, Verdict::Unserved(_))
}

/// Why an operation stops between two steps.
fn interruption(world: &World, application: &Application, view: &View, run: &Run) -> Option<(BrokenOff, String)> {
    let Some(now) = world.applications.get(&application.meta.instance) else {
        return Some((BrokenOff::Terminated, "the application is gone".to_owned()));
    };
    if let Some(why) = world.rival.active() {
        return Some((BrokenOff::Terminated, why));
    }
    if now.meta.uid != application.meta.uid || now.meta.deletion_timestamp.is_some() {
        return Some((BrokenOff::Terminated, "the application is being deleted".to_owned()));
    }
    let terminating =
        now.status.operation_state.as_ref().is_some_and(|state| state.phase == OperationPhase::Terminating);
    if terminating {
        return Some((BrokenOff::Terminated, condition::TERMINATED.to_owned()));
    }
    let source = &view.spec.source;
    let tip = world.repositories.known_tip(&application.meta.instance, &source.repo_url, &source.target_revision)?;
    (run.is_automated() && application.operation.is_none() && tip != view.commit)
        .then(|| (BrokenOff::Superseded, format!("superseded by revision {tip}")))
}

pub(crate) fn end(
    application: &Application,
    view: &View,
    run: &Run,
    phase: OperationPhase,
    message: String,
    tally: Tally,
) -> Ended {
    let finished_at = clock::now();
    let source = view.spec.compared_to.source.clone();
    let revision = view.commit.to_string();
    let mut state = run.state(phase, message);
    state.finished_at = Some(finished_at.clone());
    state.sync_result = Some(SyncResult {
        resources: tally.results,
        revision: revision.clone(),
        source: source.clone(),
        ..SyncResult::default()
    });
    let history = (phase == OperationPhase::Succeeded).then(|| RevisionHistory {
        id: application.status.history.last().map_or(0, |last| last.id + 1),
        revision,
        source,
        deploy_started_at: Some(run.started_at.clone()),
        deployed_at: finished_at,
        initiated_by: run.operation.initiated_by.clone(),
        ..RevisionHistory::default()
    });
    let changed = tally.changed_keys;
    Ended { state, history, broken_off: None, warnings: tally.warnings, changed, left_alone: HashSet::new() }
}

pub(crate) fn result(key: &ObjectKey, gvk: &Gvk, status: ResultCode, message: String) -> ResourceResult {
    ResourceResult {
        group: key.group.to_string(),
        version: gvk.version.to_string(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        status: Some(status),
        message,
        sync_phase: "Sync".to_owned(),
        hook_phase: Some(if status == ResultCode::SyncFailed {
            OperationPhase::Failed
        } else {
            OperationPhase::Succeeded
        }),
        ..ResourceResult::default()
    }
}

/// Results for the objects that were as Git says all along, as upstream lists them.
fn note_unchanged(view: &View, tally: &mut Tally) {
    for judged in view.objects.iter().filter(|judged| matches!(judged.verdict, Verdict::InLine)) {
        let message = format!("{} {}", named(&judged.key), word(&Change::Unchanged));
        tally.results.push(result(&judged.key, &judged.gvk, ResultCode::Synced, message));
    }
}

/// As kubectl names an object: `deployment.apps/web`.
pub(crate) fn named(key: &ObjectKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() { format!("{kind}/{}", key.name) } else { format!("{kind}.{}/{}", key.group, key.name) }
}

/// What an apply did, in kubectl's words.
pub(crate) fn word(change: &Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Configured => "configured",
        Change::Unchanged => "unchanged",
        Change::LeftTo(_) => "left alone",
    }
}

/// The first of several reasons, and how many more there are.
pub(crate) fn reasons(all: &[String]) -> String {
    let shown = all.iter().take(REASONS_MAX).cloned().collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(REASONS_MAX) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_may_be_written_is_no_refusal_of_an_object() {
        let mut tally = Tally::default();
        let barred = ClusterError::Barred { done: "nothing was sent" };
        assert_eq!(tally.note_failure(&barred, ToString::to_string), None);
        assert!(tally.barred && tally.refusals.is_empty());
        let refused = ClusterError::Conflict;
        let said = tally.note_failure(&refused, |error| format!("a: {error}"));
        assert_eq!(said, Some(format!("a: {refused}")));
        assert_eq!(tally.refusals, [format!("a: {refused}")]);
    }
}
