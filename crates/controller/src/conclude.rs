//! The end of a look: what was seen and done is written down and told.
//!
//! Invariant: what nobody waits for is deferred, and what did not change is not written. Entry point: [`Look::conclude`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Drift, OperationPhase, OperationState, Status};
use trueup_diff::drift::{Event, Outcome as Became};
use trueup_object::ObjectKey;

use crate::attempt::Attempt;
use crate::memory::{Base, Memory};
use crate::observe::{Notice, View};
use crate::operation::Run;
use crate::pace::UntouchedRevisions;
use crate::past::UNFINISHED;
use crate::reconcile::{Look, Outcome};
use crate::writer::{Update, write};
use crate::{clock, depends, drift, drift_policy, event, heal, hindrance, pause, project_notices, status, windows};

/// Details of single objects, and repeats of a drift, are written at most once in this time.
const DETAIL_PAUSE: Duration = Duration::from_secs(10);

/// A status that could not be written is tried again after this time.
const WRITE_PAUSE: Duration = Duration::from_secs(5);

impl Look<'_> {
    /// Writes the start of an operation down, with the inventory, before the first object is. Answers whether that worked.
    pub(crate) async fn write_start(&mut self, memory: &mut Memory, view: &View, state: OperationState) -> bool {
        let application = Arc::clone(&self.application);
        let old = &application.status;
        let now = clock::now();
        // What a sync that was superseded did.
        let untold = std::mem::take(&mut memory.untold);
        let baseline = begun(baseline(old), view.pending);
        let drift = self.drift(memory, view, &memory.base, &baseline, untold.clone(), &now);
        let mut status = status::seen(&self.application, view, drift, &self.notices(memory, view), &now);
        status.controller_namespace.clone_from(&self.world.namespace);
        status::operated(&mut status, state, None, 0);
        let written = self.write(memory, Box::new(status), false).await;
        if written {
            self.tell_drift(old, &untold);
        } else {
            memory.untold = untold;
        }
        written
    }

    /// Writes down how far an operation is: from here on nobody may forget it. Answers whether that worked.
    pub(crate) async fn write_progress(
        &mut self,
        memory: &mut Memory,
        view: &View,
        run: &Run,
        attempt: &mut Attempt,
    ) -> bool {
        let mut status = self.application.status.clone();
        status::operated(&mut status, attempt.state(view, run, String::new()), None, 0);
        let written = self.write(memory, Box::new(status), false).await;
        attempt.unwritten &= !written;
        written
    }

    /// What is said of drift, and of what keeps the application, whatever else is done.
    fn notices(&self, memory: &Memory, view: &View) -> Vec<Notice> {
        let drift = drift_policy::notices(&self.application, view).into_iter().chain(heal::notices(view, memory));
        let application = &self.application;
        let waits = pause::notice(&application.meta).into_iter().chain(hindrance::notice(application, memory));
        let waits = waits.chain(windows::notice(memory));
        drift.chain(waits).chain(project_notices::notices(self.world, application, view)).collect()
    }

    /// The new `status.drift`. `base` is what Git had said before this look.
    fn drift(&self, memory: &Memory, view: &View, base: &Base, baseline: &str, new: Vec<Event>, now: &str) -> Drift {
        let old = &self.application.status;
        let present = self.present(memory, view, now);
        let ignored = self.application.spec.as_ref().ok().map(|spec| &spec.compared_to.ignore_differences);
        let ignores_other = ignored.is_some_and(|ignored| *ignored != old.sync.compared_to.ignore_differences);
        let moved = |key: &ObjectKey| ignores_other || drift::git_moved(base, view, key, old.drift.as_ref());
        let count = drift::drifted(view).count();
        let found = drift::Found { baseline, present: &present, new, count, moved: &moved, now };
        drift::drift(old.drift.as_ref(), found)
    }

    /// The events of what drifted and is there now.
    pub(crate) fn present(&self, memory: &Memory, view: &View, now: &str) -> Vec<Event> {
        let drifted = view.pairs().filter(|(_, judged)| drift::is_drift(judged, view));
        let events = drifted.flat_map(|(target, judged)| {
            drift::events_of(judged, now, heal::outcome(&self.application, target, judged, memory))
        });
        events.collect()
    }

    /// Writes down what was seen and done, at once if somebody waits for it. `base` is what Git had said before.
    pub(crate) async fn conclude(&mut self, memory: &mut Memory, view: &View, outcome: Outcome, base: &Base) {
        let now = clock::now();
        let application = Arc::clone(&self.application);
        let old = &application.status;
        let settled = outcome.baseline;
        if settled {
            memory.base = Base::Known(Arc::clone(&view.targets));
        }
        let baseline = if settled || !view.pending { view.targets.digest.to_string() } else { baseline(old) };
        let events = std::mem::take(&mut memory.untold).into_iter().chain(outcome.events);
        let new: Vec<Event> = events.filter(|event| !drift::is_known(old.drift.as_ref(), event)).collect();
        let drift = self.drift(memory, view, base, &baseline, new.clone(), &now);
        let notices = [outcome.notices, self.notices(memory, view)].concat();
        let mut status = status::seen(&self.application, view, drift, &notices, &now);
        status.controller_namespace.clone_from(&self.world.namespace);
        let ended = outcome.state.is_some();
        let told = outcome.state.clone().filter(|_| outcome.tell_end);
        if let Some(state) = outcome.state {
            status::operated(&mut status, state, outcome.history, view.spec.history_limit);
        }
        if let Some(state) = outcome.progress {
            status::operated(&mut status, state, None, 0);
        }
        let at_once =
            ended || outcome.at_once || outcome.take_operation || self.refresh || status::matters(old, &status);
        let due = at_once || (status != *old && self.deferral_is_over(memory, old, &status));
        if let Some(at) = heal::peace(memory) {
            self.world.queue.wake_at(self.name(), at);
        }
        if due {
            if !self.write(memory, Box::new(status), outcome.take_operation).await {
                // It is tried again in a while, and nothing is told before it is written down. What is there is found again.
                memory.untold = new.into_iter().filter(|event| !event.outcome.is_open()).collect();
                return;
            }
            if let Some(attempt) = memory.attempt.as_mut().filter(|_| outcome.at_once) {
                attempt.unwritten = false;
            }
            self.tell_drift(old, &new);
        }
        if !view.turned {
            // Of the Application as it was looked at: somebody may have changed it since.
            let end = depends::End { spec: self.first.spec_digest, at: view.at.clone() };
            self.world.depends.concluded(self.name(), end);
        }
        if let Some(state) = told {
            self.tell_end(view, &state);
        }
        if outcome.again {
            self.world.queue.wake(self.name());
        }
    }

    /// Tells that an operation is over.
    pub(crate) fn tell_end(&self, view: &View, state: &OperationState) {
        let message = format!("Sync operation to {} {}: {}", view.at, word(state), state.message);
        let tell = if state.phase == OperationPhase::Succeeded { event::normal } else { event::warning };
        tell(self.world, &self.application, "OperationCompleted", &message);
    }

    pub(crate) fn tell_drift(&self, old: &Status, new: &[Event]) {
        // Whatever became of it, it was detected.
        let detected: Vec<&Event> =
            new.iter().filter(|event| !drift::was_detected(old.drift.as_ref(), event)).collect();
        for event in &detected {
            self.world.metrics.drifted(self.name(), &self.application.meta, event);
        }
        for event in new {
            let fields: Vec<&str> = event.fields.iter().map(|field| field.path.as_str()).collect();
            tracing::info!(application = %self.name(), object = %event.key, manager = %event.manager, fields = %fields.join(", "), outcome = event.outcome.word(), "drift");
        }
        let detected: Vec<String> = detected.into_iter().map(drift::line).collect();
        if !detected.is_empty() {
            event::warning(self.world, &self.application, "DriftDetected", &detected.join("; "));
        }
        let healed: Vec<String> = new.iter().filter(|event| event.outcome == Became::Healed).map(drift::line).collect();
        if !healed.is_empty() {
            event::normal(self.world, &self.application, "DriftHealed", &healed.join("; "));
        }
    }

    /// Whether a write that nobody waits for is due; else it is scheduled.
    pub(crate) fn deferral_is_over(&self, memory: &mut Memory, old: &Status, new: &Status) -> bool {
        if self.world.untouched_revisions == UntouchedRevisions::Never && status::is_only_revision(old, new) {
            memory.deferred = None;
            return false;
        }
        if let Some(due) = memory.deferred {
            if due <= Instant::now() {
                self.world.metrics.deferred_writes.inc();
                return true;
            }
            self.world.queue.wake_at(self.name(), due);
            return false;
        }
        let only_revision = old.resources == new.resources && old.drift == new.drift;
        let due = if only_revision {
            self.world.pace.slot()
        } else {
            memory.written.map_or_else(Instant::now, |at| at + DETAIL_PAUSE)
        };
        memory.deferred = Some(due);
        self.world.queue.wake_at(self.name(), due);
        false
    }

    /// Writes the status. Answers whether the application is there and has it.
    pub(crate) async fn write(&mut self, memory: &mut Memory, mut status: Box<Status>, take_operation: bool) -> bool {
        status.reconciled_at = Some(clock::now());
        let state = status.operation_state.clone();
        let update =
            Box::new(Update { status: Some(*status), take_operation, take_refresh: self.refresh, ..Update::default() });
        match Box::pin(write(self.world, &self.first, &self.application, &update)).await {
            Ok(Some(application)) => {
                memory.read_inventory(&application);
                memory.written = Some(Instant::now());
                memory.deferred = None;
                let before = std::mem::replace(&mut self.application, application);
                let before = before.status.operation_state.as_ref();
                if let Some(state) = state.filter(|state| has_ended(before, state)) {
                    self.world.metrics.upstream.synced(self.name(), &self.application, &state);
                }
                true
            }
            Ok(None) => false,
            Err(error) => {
                if !self.world.is_told_for_all(&error) {
                    tracing::warn!(application = %self.name(), %error, "the status cannot be written");
                }
                self.world.queue.wake_at(self.name(), Instant::now() + WRITE_PAUSE);
                false
            }
        }
    }
}

/// Whether an operation, or another one than before, has ended with this state.
fn has_ended(before: Option<&OperationState>, state: &OperationState) -> bool {
    let before = before.filter(|before| before.started_at == state.started_at);
    state.phase.completed() && before.is_none_or(|before| !before.phase.completed())
}

/// Whether every object is as Git says.
pub(crate) fn in_line(view: &View) -> bool {
    view.targets.invalid.is_empty()
        && view.stops.is_empty()
        && view.namespace.is_none()
        && view.objects.iter().all(|judged| judged.is_in_line())
}

fn baseline(status: &Status) -> String {
    status.drift.as_ref().map(|drift| drift.baseline.clone()).unwrap_or_default()
}

/// The baseline from the start of a sync on. Where nothing was ever synced there is nothing to be half away from.
fn begun(baseline: String, pending: bool) -> String {
    if pending && !baseline.is_empty() { UNFINISHED.to_owned() } else { baseline }
}

fn word(state: &OperationState) -> &'static str {
    match state.phase {
        OperationPhase::Succeeded => "succeeded",
        OperationPhase::Error => "ended in an error",
        _ => "failed",
    }
}
