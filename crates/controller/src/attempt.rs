//! What one attempt at an operation has done so far.
//!
//! Kept between the looks that take the attempt further, and written down with the operation's state where forgetting it
//! would hurt: a hook that has ended may vanish. After a restart it begins from there, and what it waits for has lasted as long
//! as was written down. Entry point: [`Attempt::begin`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use trueup_api::{
    Application, ApplicationDestination, ApplicationSource, ComparedTo, HookPhase, OperationPhase, OperationState,
    ResourceResult, ResultCode, Revision, SyncResult,
};
use trueup_object::{Digest, Gvk, ObjectKey};
use trueup_plan::progress::Done;
use trueup_plan::schedule::Stage;
use trueup_plan::task::{Act, Task};

use crate::decide::content;
use crate::drift;
use crate::judge::Judged;
use crate::memory::Memory;
use crate::observe::View;
use crate::operation::{Run, Tally, key_of, result};
use crate::waiting;

/// What one attempt at an operation has done so far.
pub(crate) struct Attempt {
    /// Tells the attempt from every other.
    pub(crate) id: String,
    /// When the operation began.
    pub(crate) started_at: String,
    /// What it is for: it stays with that, whatever comes meanwhile.
    pub(crate) at: Option<Revision>,
    /// What Git and the specification say there: another commit that says the same is no other wish.
    content: Option<Digest>,
    pub(crate) tally: Tally,
    /// Where it takes its objects from, and where they go; not known after a restart.
    way: Option<Way>,
    /// What was done about which object in which phase.
    pub(crate) done: BTreeMap<(HookPhase, ObjectKey), Done>,
    /// What it deletes, with its wave, and whether it goes last.
    pub(crate) prunes: BTreeMap<ObjectKey, (Gvk, i64, bool)>,
    /// Something failed: what recovers later does not undo that.
    pub(crate) failed: bool,
    /// Where it is, and since when.
    pub(crate) stage: Option<(Stage, Timestamp)>,
    /// When something was last done.
    pub(crate) moved: Instant,
    /// What is waited for, and since when.
    pub(crate) waits: Option<(String, Timestamp)>,
    /// A hook began or ended, and that is not written down yet.
    pub(crate) unwritten: bool,
    /// What the same sync said that failed for good before: nothing of it is told twice.
    pub(crate) failed_before: Option<String>,
    /// It has had its time, and what that was.
    pub(crate) overdue: Option<String>,
    /// What had drifted before.
    pub(crate) drifted: Vec<Arc<Judged>>,
    /// The drifted objects that are left so.
    pub(crate) left_alone: HashSet<ObjectKey>,
}

/// From where objects are taken, and where they go, but for the revision: an attempt stays with its own anyway.
type Way = (Vec<ApplicationSource>, ApplicationDestination);

fn way(view: &View) -> Way {
    let ComparedTo { source, sources, destination, .. } = view.spec.compared_to.clone();
    let sources = source.into_iter().chain(sources);
    (sources.map(|source| ApplicationSource { target_revision: String::new(), ..source }).collect(), destination)
}

// === impl Attempt ===

impl Attempt {
    /// The attempt as it begins, or as it stood when this operation's state was last written down.
    pub(crate) fn begin(application: &Application, view: &View, run: &Run) -> Self {
        let mut attempt = Self::new(id(application, run), &run.started_at);
        attempt.at = Some(view.at.clone());
        attempt.content = Some(content(application, view));
        attempt.way = Some(way(view));
        attempt.drifted = drift::all_drifted(view);
        if let Some(state) = application.status.operation_state.as_ref().filter(|state| is_of(state, run)) {
            attempt.recall(state);
        }
        attempt
    }

    /// The attempt as the state of an operation tells it, whatever is to become of that.
    pub(crate) fn recalled(application: &Application, state: &OperationState) -> Self {
        let run = Run {
            operation: state.operation.clone(),
            started_at: state.started_at.clone(),
            retry_count: state.retry_count,
        };
        let mut attempt = Self::new(id(application, &run), &run.started_at);
        attempt.recall(state);
        attempt
    }

    fn new(id: String, started_at: &str) -> Self {
        Self {
            id,
            started_at: started_at.to_owned(),
            at: None,
            way: None,
            content: None,
            tally: Tally::default(),
            done: BTreeMap::new(),
            prunes: BTreeMap::new(),
            failed: false,
            stage: None,
            moved: Instant::now(),
            waits: None,
            unwritten: false,
            failed_before: None,
            overdue: None,
            drifted: Vec::new(),
            left_alone: HashSet::new(),
        }
    }

    /// Whether it is an attempt of this run.
    pub(crate) fn is_of(&self, application: &Application, run: &Run) -> bool {
        self.id == id(application, run)
    }

    /// Whether it is for what Git and the specification say here.
    pub(crate) fn is_for(&self, application: &Application, view: &View) -> bool {
        self.content == Some(content(application, view))
    }

    /// What the hooks of a phase bear: the same object may be one of several phases, and is made for each.
    pub(crate) fn hook_id(&self, phase: HookPhase) -> String {
        format!("{}/{phase}", self.id)
    }

    /// Takes up what the state of the operation tells. Of plain objects the cluster tells more.
    fn recall(&mut self, state: &OperationState) {
        self.waits = waiting::recalled(&state.message);
        if let Some((_, since)) = &self.waits {
            let waited = Duration::try_from(Timestamp::now().duration_since(*since)).unwrap_or_default();
            self.moved = self.moved.checked_sub(waited).unwrap_or(self.moved);
        }
        for result in state.sync_result.iter().flat_map(|result| &result.resources) {
            let Some(phase) = HookPhase::named(&result.hook_type) else { continue };
            let key = key_of(result);
            let done = match result.hook_phase {
                Some(OperationPhase::Succeeded) => Done::Ended(Ok(())),
                Some(OperationPhase::Failed | OperationPhase::Error) => Done::Ended(Err(result.message.clone())),
                _ => Done::Made,
            };
            self.failed |= phase == HookPhase::SyncFail;
            self.done.insert((phase, key), done);
            self.tally.results.push(result.clone());
        }
    }

    /// Whether somebody has changed since it began from where it takes its objects, or where they go.
    pub(crate) fn lost_its_way(&self, view: &View) -> bool {
        self.way.as_ref().is_some_and(|known| *known != way(view))
    }

    /// Whether a hook has begun and not ended: then nobody else may begin another operation.
    pub(crate) fn has_running_hook(&self) -> bool {
        self.tally.results.iter().any(is_running_hook)
    }

    /// The hooks that have begun and not ended.
    pub(crate) fn hooks_that_run(&self) -> Vec<Task> {
        hooks_that_run(&self.tally.results)
    }

    /// The hooks that have begun.
    pub(crate) fn hooks(&self) -> Vec<Task> {
        self.tally.results.iter().filter_map(hook_of).collect()
    }

    /// Notes how far a hook is, as the status tells it.
    pub(crate) fn note_hook(&mut self, hook: &Task, at: OperationPhase, message: String) {
        let Task { key, gvk, phase, .. } = hook;
        let code = if at == OperationPhase::Failed { ResultCode::SyncFailed } else { ResultCode::Synced };
        let result = ResourceResult {
            hook_type: phase.name().to_owned(),
            hook_phase: Some(at),
            sync_phase: phase.name().to_owned(),
            ..result(key, gvk, code, message)
        };
        let same = |other: &ResourceResult| other.hook_type == result.hook_type && key_of(other) == *key;
        let known = self.tally.results.iter_mut().find(|other| same(other));
        // What it says of itself meanwhile is worth no write of its own.
        self.unwritten |= known.as_ref().is_none_or(|known| known.hook_phase != result.hook_phase);
        match known {
            Some(known) => *known = result,
            None => self.tally.results.push(result),
        }
    }

    /// The state of the operation while it runs, with what was done so far.
    pub(crate) fn state(&self, view: &View, run: &Run, message: String) -> OperationState {
        let result = SyncResult { resources: self.tally.results.clone(), ..sync_result(view) };
        let sync_result = (!self.tally.results.is_empty()).then_some(result);
        OperationState { sync_result, ..run.state(OperationPhase::Running, message) }
    }
}

/// The id of an attempt. It is the same after a restart, and another one for every attempt of every application: no two
/// operations of one begin within the same second.
fn id(application: &Application, run: &Run) -> String {
    format!("{}/{}/{}", application.meta.uid, run.started_at, run.retry_count)
}

/// What a result says of where an operation takes its objects from.
pub(crate) fn sync_result(view: &View) -> SyncResult {
    let ComparedTo { source, sources, .. } = view.spec.compared_to.clone();
    SyncResult { revision: view.at.single(), revisions: view.at.list(), source, sources, ..SyncResult::default() }
}

/// The revision that an attempt began with, if it is under way.
pub(crate) fn begun_at(application: &Application, memory: &Memory, run: &Run) -> Option<Revision> {
    let state = application.status.operation_state.as_ref().filter(|state| is_of(state, run));
    let attempt = memory.attempt.as_ref().filter(|attempt| attempt.is_of(application, run));
    attempt.and_then(|attempt| attempt.at.clone()).or_else(|| written_at(state?))
}

fn written_at(state: &OperationState) -> Option<Revision> {
    let result = state.sync_result.as_ref()?;
    Revision::of(&result.revision, &result.revisions)
}

/// The revision that the operation under way began with, where nobody asks for another one.
pub(crate) fn under_way_at(application: &Application, memory: &Memory) -> Option<Revision> {
    let state = application.status.operation_state.as_ref()?;
    let goes_on = application.operation.as_ref().is_none_or(|asked| *asked == state.operation);
    if !goes_on || state.finished_at.is_some() || state.phase.completed() {
        return None;
    }
    let attempt = memory.attempt.as_ref().filter(|attempt| attempt.started_at == state.started_at);
    attempt.and_then(|attempt| attempt.at.clone()).or_else(|| written_at(state))
}

/// Whether a state is that of this run's attempt, which is not over.
fn is_of(state: &OperationState, run: &Run) -> bool {
    state.started_at == run.started_at
        && state.retry_count == run.retry_count
        && state.finished_at.is_none()
        && !state.phase.completed()
}

/// Whether a hook has begun and not ended.
pub(crate) fn is_running_hook(result: &ResourceResult) -> bool {
    !result.hook_type.is_empty() && result.hook_phase == Some(OperationPhase::Running)
}

/// Of these results the hooks that have begun and not ended.
pub(crate) fn hooks_that_run(results: &[ResourceResult]) -> Vec<Task> {
    results.iter().filter(|result| is_running_hook(result)).filter_map(hook_of).collect()
}

/// The hook that a result is about, if it is about one.
fn hook_of(result: &ResourceResult) -> Option<Task> {
    let key = key_of(result);
    Some(Task {
        gvk: Gvk { group: key.group.clone(), version: result.version.as_str().into(), kind: key.kind.clone() },
        key,
        phase: HookPhase::named(&result.hook_type)?,
        wave: 0,
        act: Act::Hook,
        defines: None,
    })
}
