//! One sync operation, from its start to its end or to the next attempt.
//!
//! An operation is a wish, not a job: every look takes it further, and one that was killed is gone on with by the next, which
//! finds less to do. Its start is written down, with the inventory, before the first object is. Entry points: [`Run`], what is
//! to be done, and [`end`], how it ended; [`crate::advance`] does it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use trueup_api::{
    Application, Operation, OperationInitiator, OperationPhase, OperationState, ResourceResult, ResultCode,
    RevisionHistory, SyncOperation, SyncOptions, SyncResult, condition,
};
use trueup_cluster::ClusterError;
use trueup_object::{Gvk, ObjectKey};

use crate::attempt::{Attempt, sync_result};
use crate::clock;
use crate::judge::{Judged, Verdict};
use crate::observe::View;
use crate::perform::Change;
use crate::tasks::defined;
use crate::windows;
use crate::world::World;

/// How many objects of one application are written at once. The limit toward the API server is the cluster's business.
pub(crate) const OBJECTS_AT_ONCE: usize = 32;
/// How many refusals the message of an operation repeats; all of them stand in its result.
const REASONS_MAX: usize = 3;
/// Why an operation is broken off that nothing is wrong with.
pub(crate) const BARRED: &str = "nothing may be written for the moment: it goes on when that is over";
/// Why an operation ends whose objects would come from elsewhere by now, or go elsewhere.
pub(crate) const LOST_ITS_WAY: &str =
    "the source or the destination of the application was changed before the operation had ended";
/// Why an automated operation ends that nobody wants any more.
pub(crate) const SWITCHED_OFF: &str = "automated sync was switched off before the operation had ended";

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
    /// It has had its time: there is no further attempt.
    pub(crate) overdue: bool,
}

/// Why an operation was broken off between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokenOff {
    /// Somebody wants it to end, or the application itself.
    Terminated,
    /// Git has a newer commit: the next look finds out whether it says anything else.
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
        let (revision, revisions) = (view.at.single(), view.at.list());
        let sync = SyncOperation { revision, revisions, prune, ..SyncOperation::default() };
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

    /// Whether it brings the whole application to what Git says: not some objects only, not for trial, not to manifests from
    /// elsewhere. Only then is it history, and what is compared with from then on.
    pub(crate) fn is_whole(&self) -> bool {
        self.operation.sync.as_ref().is_none_or(is_whole)
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_trial(&self) -> bool {
        self.operation.sync.as_ref().is_some_and(|sync| sync.dry_run)
    }

    /// Whether an object is among those that it takes.
    pub(crate) fn takes(&self, key: &ObjectKey) -> bool {
        self.operation
            .sync
            .as_ref()
            .is_none_or(|sync| sync.resources.is_empty() || sync.resources.iter().any(|resource| resource.matches(key)))
    }

    /// The options of the operation; one that names none has the application's.
    pub(crate) fn options(&self, view: &View) -> SyncOptions {
        let options = match &self.operation.sync {
            Some(sync) if !sync.sync_options.is_empty() => SyncOptions::read(&sync.sync_options),
            _ => view.spec.options.clone(),
        };
        SyncOptions { force: self.operation.sync.as_ref().is_some_and(SyncOperation::forces), ..options }
    }

    /// The state while it runs.
    pub(crate) fn state(&self, phase: OperationPhase, message: String) -> OperationState {
        let mut operation = self.operation.clone();
        if let Some(sync) = operation.sync.as_mut().filter(|sync| sync.is_too_large()) {
            // It is refused, and the status could not be written with them.
            sync.manifests.clear();
        }
        OperationState {
            operation,
            phase,
            message,
            started_at: self.started_at.clone(),
            retry_count: self.retry_count,
            ..OperationState::default()
        }
    }
}

/// Whether a sync brings the whole application to what Git says: see [`Run::is_whole`].
pub(crate) fn is_whole(sync: &SyncOperation) -> bool {
    sync.resources.is_empty() && sync.manifests.is_empty() && !sync.dry_run
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

    /// Notes that an object could not be applied, if that is what it is.
    pub(crate) fn note_refusal(
        &mut self,
        key: &ObjectKey,
        gvk: &Gvk,
        error: &ClusterError,
        said: impl FnOnce(&ClusterError) -> String,
    ) {
        if matches!(error, ClusterError::Barred { .. }) {
            self.barred = true;
        } else {
            self.refuse(key, gvk, said(error));
        }
    }

    /// Notes that an object cannot be applied.
    pub(crate) fn refuse(&mut self, key: &ObjectKey, gvk: &Gvk, message: String) {
        self.refusals.push(message.clone());
        self.refused.insert(key.clone(), message.clone());
        self.results.push(result(key, gvk, ResultCode::SyncFailed, message));
    }
}

/// Why an operation may not even begin, with a result for each object concerned.
pub(crate) fn invalid(view: &View, run: &Run, options: &SyncOptions) -> Option<(String, Vec<ResourceResult>)> {
    if !view.stops.is_empty() {
        return Some((view.stops.join("; "), Vec::new()));
    }
    let defined = defined(view);
    let mut results = Vec::new();
    for judged in view.objects.iter().filter(|judged| run.takes(&judged.key)) {
        let why = match &judged.verdict {
            Verdict::Unserved(_) if defined.contains(&judged.gvk.group_kind()) => continue,
            // It is tried, and may be refused.
            Verdict::Unserved(_) if judged.options.within(options).skip_dry_run_on_missing_resource => continue,
            Verdict::Unserved(why) | Verdict::Forbidden(why) | Verdict::Unreadable(why) => why,
            Verdict::HeldBy(holder) if options.fail_on_shared_resource => {
                &format!("application '{holder}' holds it (FailOnSharedResource=true)")
            }
            _ => continue,
        };
        results.push(result(&judged.key, &judged.gvk, ResultCode::SyncFailed, why.clone()));
    }
    if results.is_empty() {
        return None;
    }
    let reasons =
        reasons(&results.iter().map(|result| format!("{}: {}", result.name, result.message)).collect::<Vec<_>>());
    Some((format!("{}: {reasons}", condition::SYNC_INVALID), results))
}

/// The operation as it stands when it is broken off.
pub(crate) fn broken_off(
    application: &Application,
    view: &View,
    run: &Run,
    attempt: &mut Attempt,
    cause: BrokenOff,
    why: String,
) -> Ended {
    // What may go on does so with what it has done.
    let tally = match cause {
        BrokenOff::Barred | BrokenOff::Superseded => Tally::default(),
        BrokenOff::Terminated => std::mem::take(&mut attempt.tally),
    };
    let ended = end(application, view, run, OperationPhase::Failed, why, tally);
    Ended { broken_off: Some(cause), ..ended }
}

/// Why an operation stops between two steps.
pub(crate) fn interruption(
    world: &World,
    application: &Application,
    view: &View,
    run: &Run,
    attempt: &Attempt,
) -> Option<(BrokenOff, String)> {
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
    if let Some(why) = windows::interruption(world, &now.meta, view, run) {
        return Some((BrokenOff::Barred, why));
    }
    // A hook that runs comes to its end first.
    let asked = now.operation.as_ref().is_some_and(|asked| *asked != run.operation);
    if run.is_automated() && asked && !attempt.has_running_hook() {
        return Some((BrokenOff::Superseded, "superseded by a sync that somebody asks for".to_owned()));
    }
    let may_go = run.is_automated() && application.operation.is_none() && !attempt.has_running_hook();
    if may_go && now.spec.as_ref().is_ok_and(|spec| spec.automated.is_none()) {
        return Some((BrokenOff::Terminated, SWITCHED_OFF.to_owned()));
    }
    let tips = world.known_tips(&application.meta.instance, &view.spec)?;
    let is_news = tips != view.at && view.passed_over.as_ref() != Some(&tips);
    (may_go && is_news).then(|| (BrokenOff::Superseded, format!("superseded by revision {tips}")))
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
    let whence = sync_result(view);
    let mut state = run.state(phase, message);
    state.finished_at = Some(finished_at.clone());
    state.sync_result = Some(SyncResult {
        resources: tally.results,
        managed_namespace_metadata: view.spec.namespace_metadata.clone().filter(|_| run.options(view).create_namespace),
        ..whence.clone()
    });
    let history = (phase == OperationPhase::Succeeded && run.is_whole()).then(|| RevisionHistory {
        id: application.status.history.last().map_or(0, |last| last.id + 1),
        revision: whence.revision,
        revisions: whence.revisions,
        source: whence.source,
        sources: whence.sources,
        deploy_started_at: Some(run.started_at.clone()),
        deployed_at: finished_at,
        initiated_by: run.operation.initiated_by.clone(),
    });
    let changed = tally.changed_keys;
    Ended {
        state,
        history,
        broken_off: None,
        warnings: tally.warnings,
        changed,
        left_alone: HashSet::new(),
        overdue: false,
    }
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
pub(crate) fn note_unchanged(view: &View, run: &Run, tally: &mut Tally) {
    let named_already: HashSet<ObjectKey> = tally.results.iter().map(key_of).collect();
    let in_line = |judged: &&Arc<Judged>| run.takes(&judged.key) && matches!(judged.verdict, Verdict::InLine);
    for judged in view.objects.iter().filter(in_line).filter(|judged| !named_already.contains(&judged.key)) {
        let message = format!("{} {}", named(&judged.key), word(&Change::Unchanged));
        tally.results.push(result(&judged.key, &judged.gvk, ResultCode::Synced, message));
    }
}

/// Which object a result is about.
pub(crate) fn key_of(result: &ResourceResult) -> ObjectKey {
    ObjectKey::new(&result.group, &result.kind, &result.namespace, &result.name)
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
        Change::Recreated => "deleted and created anew",
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
