//! What is due for an application that has been looked at.
//!
//! Entry point: [`next`]. What somebody asked for comes first; then an attempt that was promised; then what automation is
//! for: a sync where Git moved, healing where the cluster did.

use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, Operation, OperationPhase, OperationState, Retry, RetryStrategy, condition};
use trueup_object::ObjectKey;

use crate::judge::Verdict;
use crate::memory::Memory;
use crate::observe::{Fate, Notice, View};
use crate::operation::Run;
use crate::world::World;
use crate::{clock, heal};

/// Automated syncs that name no retry are tried again so often, as upstream.
const AUTOMATED_RETRIES: i64 = 5;
/// How long prunes wait for other applications of the repository to look at the same commit: one of them may hold the object.
const PRUNE_PATIENCE: Duration = Duration::from_secs(30);
const PRUNE_PAUSE: Duration = Duration::from_millis(50);

/// What is due.
pub(crate) enum Next {
    /// A sync.
    Run(Run),
    /// These objects are brought back.
    Heal(Vec<ObjectKey>),
    /// Nothing before that time.
    Wait { until: Instant, notice: Option<Notice> },
    /// Nothing.
    Nothing { notice: Option<Notice> },
}

/// Decides what is due.
pub(crate) fn next(world: &World, application: &Application, view: &View, memory: &mut Memory) -> Next {
    if let Some(operation) = &application.operation {
        return requested(application, operation, view);
    }
    let Some(automated) = &view.spec.automated else { return Next::Nothing { notice: None } };
    if !view.stops.is_empty() || view.objects.iter().any(|judged| matches!(judged.verdict, Verdict::Unreadable(_))) {
        return Next::Nothing { notice: None };
    }
    let prunable = automated.prune && view.extras.iter().any(|extra| extra.fate == Fate::Prune);
    let moved = view.pending && view.objects.iter().any(|judged| wants_sync(&judged.verdict));
    if !moved && !prunable {
        return drifted(view, memory);
    }
    if automated.prune && !automated.allow_empty && view.targets.objects.is_empty() {
        let message = format!("Skipping sync attempt to {}: auto-sync will wipe out all resources", view.commit);
        return Next::Nothing { notice: Some(Notice { kind: condition::SYNC_ERROR, message }) };
    }
    if prunable && let Some(until) = others_look(world, application, view, memory) {
        return Next::Wait { until, notice: None };
    }
    automated_sync(application, view, memory)
}

/// What somebody asked for, or the next attempt at it.
fn requested(application: &Application, operation: &Operation, view: &View) -> Next {
    let operation = operation.clone();
    let running = application.status.operation_state.as_ref().filter(|state| {
        matches!(state.phase, OperationPhase::Running | OperationPhase::Terminating) && state.operation == operation
    });
    let Some(state) = running else {
        return Next::Run(Run { operation, started_at: clock::now(), retry_count: 0 });
    };
    if let Some(until) = retry_at(state, view) {
        return Next::Wait { until, notice: None };
    }
    let attempts = state.retry_count + i64::from(state.finished_at.is_some());
    Next::Run(Run { operation, started_at: state.started_at.clone(), retry_count: attempts })
}

fn automated_sync(application: &Application, view: &View, memory: &Memory) -> Next {
    let prune = view.spec.automated.as_ref().is_some_and(|automated| automated.prune);
    let revision = view.commit.to_string();
    let mut run = Run::automated(view, prune);
    let last = application.status.operation_state.as_ref();
    let same = last.filter(|state| state.operation.sync.as_ref().is_some_and(|sync| sync.revision == revision));
    match same {
        Some(state) if state.phase == OperationPhase::Running => {
            if let Some(until) = retry_at(state, view) {
                return Next::Wait { until, notice: None };
            }
            run.started_at.clone_from(&state.started_at);
            run.retry_count = state.retry_count + i64::from(state.finished_at.is_some());
        }
        Some(state) if matches!(state.phase, OperationPhase::Failed | OperationPhase::Error) => {
            if let Some(until) = given_up_until(view, memory) {
                let message = format!("Failed last sync attempt to {revision}: {}", state.message);
                return Next::Wait { until, notice: Some(Notice { kind: condition::SYNC_ERROR, message }) };
            }
        }
        _ => {}
    }
    Next::Run(run)
}

/// What drifted is brought back where that is wanted; healing the same again backs off.
fn drifted(view: &View, memory: &Memory) -> Next {
    if !view.spec.automated.as_ref().is_some_and(|automated| automated.self_heal) {
        return Next::Nothing { notice: None };
    }
    let due = heal::due(view, memory);
    if !due.now.is_empty() {
        return Next::Heal(due.now);
    }
    match due.next {
        Some(until) => Next::Wait { until, notice: heal::fight(view, memory) },
        None => Next::Nothing { notice: None },
    }
}

fn wants_sync(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Differs(_) | Verdict::Missing | Verdict::Unserved(_) | Verdict::Forbidden(_))
}

/// Until when a sync that failed for good is left alone.
fn given_up_until(view: &View, memory: &Memory) -> Option<Instant> {
    let (digest, until) = memory.failed?;
    (digest == view.targets.digest && until > Instant::now()).then_some(until)
}

/// Until when prunes wait, because another application of this repository has not looked at its tip yet.
fn others_look(world: &World, application: &Application, view: &View, memory: &mut Memory) -> Option<Instant> {
    let Some(other) = world.behind(&application.meta.name, &view.spec.source.repo_url) else {
        memory.prunes_wait = None;
        return None;
    };
    let since = *memory.prunes_wait.get_or_insert_with(Instant::now);
    if since.elapsed() >= PRUNE_PATIENCE {
        return None;
    }
    tracing::debug!(application = %application.meta.name, %other, "prunes wait for another application to look at its commit");
    Some(Instant::now() + PRUNE_PAUSE)
}

/// When the promised next attempt is due, if it is not yet.
fn retry_at(state: &OperationState, view: &View) -> Option<Instant> {
    let finished = state.finished_at.as_deref()?;
    let left = retry_wait(state, view)?.checked_sub(clock::since(finished))?;
    (!left.is_zero()).then(|| Instant::now() + left)
}

/// How long the next attempt is away from the end of the last one; none if there is none.
pub(crate) fn retry_wait(state: &OperationState, view: &View) -> Option<Duration> {
    let automated = state.operation.initiated_by.automated;
    let own = (!state.operation.retry.is_empty()).then(|| state.operation.retry.read());
    let retry = own.or_else(|| view.spec.retry.clone()).unwrap_or_else(|| {
        // Where nothing is said, as upstream: automation tries again, people do not.
        Retry { limit: if automated { AUTOMATED_RETRIES } else { 0 }, ..RetryStrategy::default().read() }
    });
    let retry = trueup_plan::Retry {
        limit: retry.limit,
        duration: retry.duration,
        factor: retry.factor,
        max_duration: retry.max_duration,
    };
    trueup_plan::retry_wait(&retry, u32::try_from(state.retry_count).unwrap_or(u32::MAX))
}

/// Promises the next attempt in the state of a failed operation, if there is to be one.
pub(crate) fn schedule_retry(state: &mut OperationState, view: &View) -> bool {
    if state.phase != OperationPhase::Failed {
        return false;
    }
    let Some(wait) = retry_wait(state, view) else { return false };
    // As upstream: running, with an end, is an attempt that is to be repeated.
    state.phase = OperationPhase::Running;
    state.message =
        format!("{}. Retrying attempt #{} at {}.", state.message, state.retry_count + 1, clock::after(wait));
    true
}
