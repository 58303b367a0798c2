//! What is due for an application that has been looked at.
//!
//! Keeps nothing and decides nothing: the facts are put before [`trueup_plan::decide`], and its answer becomes something that
//! can be done. Entry point: [`next`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{
    Application, ComparedTo, Operation, OperationPhase, OperationState, ResourceResult, Revision, condition,
};
use trueup_object::{Digest, ObjectKey};
use trueup_plan::{
    Attempt, Automation, Block, Decision, End, HeldBack, Idle, Last, Pause, Phase, Refusal, Request, Situation,
};

use crate::attempt::{is_running_hook, sync_result};
use crate::drift::is_drift;
use crate::judge::{Judged, Verdict};
use crate::memory::Memory;
use crate::namespace_metadata;
use crate::observe::{Notice, View, asked_for};
use crate::operation::{self, Run};
use crate::retries::{policy, retries};
use crate::world::World;
use crate::{clock, heal, hindrance, pause, windows};

/// Operations are told apart by when they began, which is written in seconds: so are the hooks that they made.
const CLOCK_STEP: Duration = Duration::from_secs(1);
/// A wait for other applications that is longer than this is reported.
const BEHIND_PATIENCE: Duration = Duration::from_secs(10);

/// What is due.
pub(crate) enum Next {
    /// A sync.
    Run(Box<Run>),
    /// These objects are brought back.
    Heal(Vec<ObjectKey>),
    /// What was asked for fails without having begun.
    Refuse(Box<Refused>),
    /// The operation that is under way ends so: nobody goes on with it.
    Close(Box<OperationState>),
    /// The operation that is under way or asked for runs, and nothing is done about it for now.
    Hold(Box<OperationState>),
    /// Nothing before that time.
    Wait { until: Instant, notices: Vec<Notice> },
    /// Nothing.
    Nothing { notices: Vec<Notice> },
}

/// What was asked for and fails without having begun.
pub(crate) struct Refused {
    pub(crate) run: Run,
    pub(crate) message: String,
    pub(crate) results: Vec<ResourceResult>,
    /// The cause may pass: its retries are granted.
    pub(crate) retry: bool,
}

/// Decides what is due.
pub(crate) fn next(world: &World, application: &Application, view: &View, memory: &mut Memory) -> Next {
    let refusal = application.operation.as_ref().and_then(refusal);
    let request = application.operation.as_ref().map(|operation| request(operation, view, refusal.is_some()));
    heal::forget_past(application, view, memory);
    let drifting = heal::drifts(application, view, memory);
    let drifts: Vec<trueup_plan::Drift> = drifting.iter().map(|(_, drift)| *drift).collect();
    let automation = automation(view);
    let block = block(view);
    let asked = application.operation.as_ref().is_some_and(|operation| !operation.initiated_by.automated);
    let prunable = view.extras.iter().filter(|extra| extra.is_to_go(asked)).count();
    let prunes = match (request, automation) {
        (Some(request), _) => request.prune && (prunable > 0 || request.elsewhere),
        (None, automation) => prunable > 0 && block.is_none() && automation.is_some_and(|automation| automation.prune),
    };
    hindrance::find(world, application, memory);
    let held_back = held_back(application, view, memory);
    let namespace_due = namespace_metadata::is_due(world, application, view, memory);
    let situation = Situation {
        automation,
        request,
        last: last(application, view, memory),
        block,
        held_back: held_back.as_ref().map(|(why, _)| *why),
        pending: view.pending || namespace_due,
        desired: view.targets.objects.len(),
        wanting: wanting(application, view, memory) + usize::from(namespace_due),
        prunable,
        behind: if prunes { behind(world, application, view, memory) } else { no_longer_behind(memory) },
        drifts: &drifts,
        resync: world.resync,
        at_once: application.meta.refresh() == Some(trueup_api::Refresh::Hard),
    };
    let decision = trueup_plan::decide(&situation);
    hindrance::note_withheld(world, application, memory, is_withheld(&decision));
    windows::note_withheld(world, application, memory, situation.held_back, &decision);
    match decision {
        Decision::Sync(attempt) => sync(application, view, memory, attempt),
        Decision::Heal(now) => {
            let due = now.into_iter().filter_map(|at| drifting.get(at));
            Next::Heal(due.map(|(key, _)| key.clone()).collect())
        }
        Decision::Refuse { cause, retry } => {
            let run = run(application, view, attempt_under_way(application, situation.last));
            let (message, results) = why_refused(cause, refusal, application, view, &run);
            Next::Refuse(Box::new(Refused { run, message, results, retry }))
        }
        Decision::Close(end) => Next::Close(Box::new(closed(application, view, end))),
        Decision::Hold(_) => {
            let message = held_back.map(|(_, message)| message).unwrap_or_default();
            let run = run(application, view, attempt_under_way(application, situation.last));
            Next::Hold(Box::new(held(application, &run, message)))
        }
        Decision::Wait { wait, pause } => Next::Wait {
            until: Instant::now() + wait,
            notices: match pause {
                Pause::Failed => failed_notice(application.status.operation_state.as_ref(), view, world.resync),
                Pause::OthersBehind => others_behind(memory),
                // What is to be said of drift is said anyway.
                Pause::HealingBacksOff | Pause::Promised | Pause::Unreadable => Vec::new(),
            },
        },
        Decision::Nothing(idle) => {
            Next::Nothing { notices: why_idle(idle, view).map(sync_error).into_iter().collect() }
        }
    }
}

/// A sync, unless another one began within the same second: they are told apart by that.
fn sync(application: &Application, view: &View, memory: &mut Memory, attempt: Attempt) -> Next {
    let run = run(application, view, attempt);
    if !attempt.goes_on && has_begun(application, &run) {
        return Next::Wait { until: Instant::now() + CLOCK_STEP, notices: Vec::new() };
    }
    namespace_metadata::note_begun(view, memory);
    Next::Run(Box::new(run))
}

fn automation(view: &View) -> Option<Automation> {
    view.spec.automated.as_ref().map(|automated| Automation {
        prune: automated.prune,
        self_heal: automated.self_heal,
        allow_empty: automated.allow_empty,
    })
}

/// How many objects a sync would change. What another application holds keeps the sync open; what drifts meanwhile is drift all
/// the same.
fn wanting(application: &Application, view: &View, memory: &Memory) -> usize {
    let others_hold = view.objects.iter().any(|judged| matches!(judged.verdict, Verdict::HeldBy(_)));
    let synced = others_hold && memory.synced == Some(content(application, view));
    let wants = |judged: &&Arc<Judged>| wants_sync(&judged.verdict) && !(synced && is_drift(judged, view));
    view.objects.iter().filter(wants).count()
}

/// What is said of doing nothing.
fn why_idle(idle: Idle, view: &View) -> Option<String> {
    let revision = view.at.to_string();
    match idle {
        Idle::WouldWipeOut => Some(condition::would_wipe_out(&revision)),
        Idle::Ended => Some(condition::last_attempt_failed(&revision, condition::TERMINATED)),
        // What keeps the application is said anyway.
        Idle::Off | Idle::Blocked | Idle::InLine | Idle::HealingOff | Idle::HeldBack => None,
    }
}

/// Why an operation must not run at all, whatever it is for.
fn refusal(operation: &Operation) -> Option<String> {
    let stops = trueup_api::operation_unsupported(operation).into_iter().filter(|unsupported| unsupported.stops);
    let said: Vec<String> = stops
        .map(|unsupported| match unsupported.message.as_str() {
            condition::NO_OPERATION => unsupported.message,
            message => format!("{}: {message}", unsupported.field),
        })
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn request(operation: &Operation, view: &View, refused: bool) -> Request {
    let prune = operation.sync.as_ref().is_some_and(|sync| sync.prune);
    Request { refused, elsewhere: is_elsewhere(asked_for(operation).as_ref(), view), prune }
}

/// Whether a revision that somebody asks for is another one than the one that was looked at.
pub(crate) fn is_elsewhere(revision: Option<&Revision>, view: &View) -> bool {
    revision.is_some_and(|revision| *revision != view.revision && *revision != view.at)
}

fn block(view: &View) -> Option<Block> {
    if !view.stops.is_empty() {
        return Some(Block::Stopped);
    }
    let unreadable = view.objects.iter().any(|judged| matches!(judged.verdict, Verdict::Unreadable(_)));
    unreadable.then_some(Block::Unreadable)
}

fn wants_sync(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Differs(_) | Verdict::Missing | Verdict::Unserved(_) | Verdict::Forbidden(_))
}

/// Since when prunes wait, because another application of this repository has not looked at its tip yet.
fn behind(world: &World, application: &Application, view: &View, memory: &mut Memory) -> Option<Duration> {
    let Some(other) = world.behind(&application.meta.instance, &view.spec) else {
        return no_longer_behind(memory);
    };
    tracing::debug!(application = %application.meta.instance, %other, "prunes wait for another application to look at its commit");
    let since = match &memory.prunes_wait {
        Some((at, since)) if *at == view.at => *since,
        _ => Instant::now(),
    };
    memory.prunes_wait = Some((view.at.clone(), since));
    Some(since.elapsed())
}

/// What is said of a wait that takes longer than a look does.
fn others_behind(memory: &Memory) -> Vec<Notice> {
    let long = memory.prunes_wait.as_ref().is_some_and(|(_, since)| since.elapsed() >= BEHIND_PATIENCE);
    let message = "the sync waits until every application of the repository has looked at its newest commit: one of them may hold what is to be pruned";
    if long { vec![Notice { kind: condition::SYNC_ERROR, message: message.to_owned() }] } else { Vec::new() }
}

fn no_longer_behind(memory: &mut Memory) -> Option<Duration> {
    memory.prunes_wait = None;
    None
}

/// The last operation.
fn last(application: &Application, view: &View, memory: &Memory) -> Option<Last> {
    let state = application.status.operation_state.as_ref()?;
    Some(Last {
        phase: match state.phase {
            OperationPhase::Running => Phase::Running,
            OperationPhase::Terminating => Phase::Terminating,
            OperationPhase::Succeeded => Phase::Succeeded,
            OperationPhase::Failed | OperationPhase::Error if state.message == condition::TERMINATED => Phase::Ended,
            OperationPhase::Failed | OperationPhase::Error => Phase::Failed,
        },
        requested: application.operation.as_ref() == Some(&state.operation),
        bound: has_running_hook(state, memory),
        automated: state.operation.initiated_by.automated,
        subject: subject(application, state, view, memory),
        // A time that cannot be read, or is yet to come, must not keep anything waiting.
        ended: state.finished_at.as_deref().map(|at| clock::ago(at).unwrap_or(Duration::MAX)),
        retries: retries(state),
        retry: policy(&state.operation, &view.spec),
    })
}

/// Whether a hook of an operation has begun and not ended.
fn has_running_hook(state: &OperationState, memory: &Memory) -> bool {
    match &memory.attempt {
        Some(attempt) => attempt.has_running_hook(),
        // After a restart what was written down is all that is known.
        None => state.sync_result.iter().flat_map(|result| &result.resources).any(is_running_hook),
    }
}

fn subject(application: &Application, state: &OperationState, view: &View, memory: &Memory) -> trueup_plan::Subject {
    let Some(sync) = &state.operation.sync else { return trueup_plan::Subject::Before };
    if !operation::is_whole(sync) {
        return trueup_plan::Subject::Part;
    }
    let going = memory.attempt.as_ref().filter(|attempt| attempt.started_at == state.started_at);
    if going.is_some_and(|attempt| attempt.is_for(application, view)) {
        return trueup_plan::Subject::Now;
    }
    let same = match (&memory.failed, &state.sync_result) {
        (Some(failed), _) => *failed == content(application, view),
        // After a restart the revision is all that is known.
        (None, Some(result)) => {
            let ComparedTo { source, sources, .. } = &view.spec.compared_to;
            let at = Revision::of(&result.revision, &result.revisions);
            at.as_ref() == Some(&view.at) && result.source == *source && result.sources == *sources
        }
        // It was refused, or never got to the objects.
        (None, None) if state.phase.completed() => false,
        (None, None) => asked_for(&state.operation).as_ref() == Some(&view.at),
    };
    if same { trueup_plan::Subject::Now } else { trueup_plan::Subject::Before }
}

/// What a sync is for: another commit with the same manifests is the same, another specification is not.
pub(crate) fn content(application: &Application, view: &View) -> Digest {
    Digest::of_parts([view.targets.digest.to_string(), application.spec_digest.to_string()])
}

/// An attempt at what is asked for, or at an automated sync.
fn run(application: &Application, view: &View, attempt: Attempt) -> Run {
    let mut run = match &application.operation {
        Some(operation) => Run { operation: operation.clone(), started_at: clock::now(), retry_count: 0 },
        None => Run::automated(view, view.spec.automated.as_ref().is_some_and(|automated| automated.prune)),
    };
    run.retry_count = i64::from(attempt.retries);
    if attempt.goes_on
        && let Some(state) = &application.status.operation_state
    {
        run.started_at.clone_from(&state.started_at);
        if state.finished_at.is_none() && application.operation.is_none() {
            run.operation.clone_from(&state.operation);
        }
    }
    run
}

/// Whether another operation began within the same second.
fn has_begun(application: &Application, run: &Run) -> bool {
    application.status.operation_state.as_ref().is_some_and(|last| last.started_at == run.started_at)
}

fn attempt_under_way(application: &Application, last: Option<Last>) -> Attempt {
    match last.filter(|_| goes_on(application)) {
        Some(last) => Attempt { goes_on: true, retries: last.retries },
        None => Attempt::default(),
    }
}

/// Whether what is asked for waits for a hook of an automated sync: half a migration is worse than a sync that begins later.
pub(crate) fn waits_for_hook(application: &Application, memory: &Memory) -> bool {
    let state = application.status.operation_state.as_ref();
    let going = state.filter(|state| {
        let under_way = !state.phase.completed() && state.finished_at.is_none();
        under_way && state.operation.initiated_by.automated
    });
    let other = |state: &OperationState| application.operation.as_ref().is_some_and(|asked| *asked != state.operation);
    going.is_some_and(|state| other(state) && has_running_hook(state, memory))
}

/// Whether what is asked for has begun already.
pub(crate) fn goes_on(application: &Application) -> bool {
    let (asked, state) = (&application.operation, &application.status.operation_state);
    asked.is_some()
        && state.as_ref().is_some_and(|state| !state.phase.completed() && asked.as_ref() == Some(&state.operation))
}

fn why_refused(
    cause: Refusal,
    refusal: Option<String>,
    application: &Application,
    view: &View,
    run: &Run,
) -> (String, Vec<ResourceResult>) {
    match cause {
        Refusal::Paused => (pause::refused(&application.meta), Vec::new()),
        Refusal::Request => (refusal.unwrap_or_default(), Vec::new()),
        Refusal::Block(_) => operation::invalid(view, run, &run.options(view)).unwrap_or_default(),
    }
}

/// Why nothing may begin, and what is said of it. What has begun goes on without those that it waited for, but not in a pause.
fn held_back(application: &Application, view: &View, memory: &mut Memory) -> Option<(HeldBack, String)> {
    let state = application.status.operation_state.as_ref().filter(|state| !state.phase.completed());
    // One that was only held back so far has not begun.
    let begun = state.filter(|state| memory.attempt.is_some() || state.sync_result.is_some());
    let shut = windows::find(application, view, begun.map(|state| state.started_at.as_str()), memory);
    if let Some(message) = pause::held(&application.meta) {
        return Some((HeldBack::Paused, message));
    }
    if let Some(permit) = shut {
        return Some((HeldBack::Window, windows::message(&permit)));
    }
    let has_begun = begun.is_some_and(|state| state.finished_at.is_none());
    let waits = memory.waits_for.as_ref().filter(|_| !has_begun)?;
    Some((HeldBack::Dependencies, waits.hindrance.message.clone()))
}

/// Whether something would have been done.
fn is_withheld(decision: &Decision) -> bool {
    matches!(decision, Decision::Hold(HeldBack::Dependencies) | Decision::Nothing(Idle::HeldBack))
}

/// The state of an operation that is held back: as it stands, but for its words.
fn held(application: &Application, run: &Run, message: String) -> OperationState {
    let going = application.status.operation_state.as_ref().filter(|state| {
        !state.phase.completed() && application.operation.as_ref().is_none_or(|asked| *asked == state.operation)
    });
    let state = going.cloned().unwrap_or_else(|| run.state(OperationPhase::Running, String::new()));
    OperationState { message, ..state }
}

/// The state of an operation that nobody goes on with.
fn closed(application: &Application, view: &View, end: End) -> OperationState {
    let mut state = application.status.operation_state.clone().unwrap_or_default();
    state.message = match end {
        End::Terminated => condition::TERMINATED.to_owned(),
        End::Withdrawn => "the operation was taken out of the Application before it had ended".to_owned(),
        End::Off => operation::SWITCHED_OFF.to_owned(),
        End::Stopped => view.stops.join("; "),
        End::WouldWipeOut => condition::would_wipe_out(&view.at.to_string()),
        End::Superseded => format!("superseded by revision {}, which needs no sync", view.at),
        End::Spent => format!("{} There is no further attempt: the retries were cut.", state.message),
    };
    state.phase = OperationPhase::Failed;
    state.finished_at = Some(clock::now());
    if end == End::Terminated && state.sync_result.is_none() {
        // What somebody ended is not begun again at once: this says what it was for.
        state.sync_result = Some(sync_result(view));
    }
    state
}

/// What is said while a sync that failed for good waits to be tried again.
pub(crate) fn failed_notice(state: Option<&OperationState>, view: &View, resync: Duration) -> Vec<Notice> {
    let Some(state) = state else { return Vec::new() };
    let message = condition::last_attempt_failed(&view.at.to_string(), &state.message);
    let at = state.finished_at.as_deref().and_then(|at| clock::later(at, resync));
    let next = at.map(|at| format!("{} It is tried again at {at}.", if message.ends_with('.') { "" } else { "." }));
    vec![sync_error(message + &next.unwrap_or_default())]
}

fn sync_error(message: String) -> Notice {
    Notice { kind: condition::SYNC_ERROR, message }
}
