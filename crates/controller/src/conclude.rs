//! The end of a look: what was seen and done is written down and told.
//!
//! Invariant: what nobody waits for is deferred, and what did not change is not written. Entry point: [`Look::conclude`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{OperationPhase, OperationState, Status};
use trueup_diff::drift::Event;

use crate::memory::{Base, Memory};
use crate::observe::View;
use crate::operation::Run;
use crate::reconcile::{Look, Outcome};
use crate::writer::{Update, write};
use crate::{clock, drift, event, status};

/// Details of single objects, and repeats of a drift, are written at most once in this time.
const DETAIL_PAUSE: Duration = Duration::from_secs(10);

/// A status that could not be written is tried again after this time.
const WRITE_PAUSE: Duration = Duration::from_secs(5);

impl Look<'_> {
    /// Writes the start of an operation down, with the inventory, before the first object is. Answers whether that worked.
    pub(crate) async fn write_start(&mut self, memory: &mut Memory, view: &View, run: &Run) -> bool {
        let application = Arc::clone(&self.application);
        let old = &application.status;
        let now = clock::now();
        let drift = drift::drift(old.drift.as_ref(), &baseline(old), 0, Vec::new(), &now);
        let mut status = status::seen(&self.application, view, drift, &[], &now);
        status::operated(&mut status, run.state(OperationPhase::Running, String::new()), None, 0);
        self.write(memory, Box::new(status), false).await
    }

    /// Writes down what was seen and done, at once if somebody waits for it.
    pub(crate) async fn conclude(&mut self, memory: &mut Memory, view: &View, outcome: Outcome) {
        let now = clock::now();
        let application = Arc::clone(&self.application);
        let old = &application.status;
        let settled = outcome.baseline;
        if settled {
            memory.base = Base::Known(Arc::clone(&view.targets));
        }
        let baseline = if settled || !view.pending { view.targets.digest.to_string() } else { baseline(old) };
        let open = drift::drifted(view).count();
        let new: Vec<Event> = outcome
            .events
            .iter()
            .filter(|event| !drift::is_known(old.drift.as_ref(), event) || event.outcome == drift::HEALED)
            .cloned()
            .collect();
        let mut drift = drift::drift(old.drift.as_ref(), &baseline, open, new.clone(), &now);
        drift::close(&mut drift, &drift::drifted(view).map(|judged| &judged.key).collect());
        let mut status = status::seen(&self.application, view, drift, &outcome.notices, &now);
        let ended = outcome.state.is_some();
        let told = outcome.state.clone().filter(|_| outcome.tell_end);
        if let Some(state) = outcome.state {
            status::operated(&mut status, state, outcome.history, view.spec.history_limit);
        }
        let at_once = ended || outcome.take_operation || self.refresh || status::matters(old, &status);
        let due = at_once || (status != *old && self.deferral_is_over(memory, old, &status));
        if due && !self.write(memory, Box::new(status), outcome.take_operation).await {
            // It is tried again in a while, and nothing is told before it is written down.
            return;
        }
        self.tell_drift(old, &new);
        if let Some(state) = told {
            self.tell_end(view, &state);
        }
        if outcome.again {
            self.world.queue.wake(self.name());
        }
    }

    /// Tells that an operation is over.
    pub(crate) fn tell_end(&self, view: &View, state: &OperationState) {
        let message = format!("Sync operation to {} {}: {}", view.commit, word(state), state.message);
        let tell = if state.phase == OperationPhase::Succeeded { event::normal } else { event::warning };
        tell(self.world, &self.application, "OperationCompleted", &message);
    }

    pub(crate) fn tell_drift(&self, old: &Status, new: &[Event]) {
        for outcome in [drift::DETECTED, drift::HEALED] {
            let lines: Vec<String> = new
                .iter()
                // Whatever became of it, it was detected.
                .filter(|event| match outcome {
                    drift::DETECTED => !drift::was_detected(old.drift.as_ref(), event),
                    outcome => event.outcome == outcome,
                })
                .map(drift::line)
                .collect();
            if lines.is_empty() {
                continue;
            }
            match outcome {
                drift::HEALED => event::normal(self.world, &self.application, "DriftHealed", &lines.join("; ")),
                _ => event::warning(self.world, &self.application, "DriftDetected", &lines.join("; ")),
            }
        }
    }

    /// Whether a write that nobody waits for is due; else it is scheduled.
    pub(crate) fn deferral_is_over(&self, memory: &mut Memory, old: &Status, new: &Status) -> bool {
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
        let update = Box::new(Update {
            status: Some(*status),
            take_operation,
            take_refresh: self.refresh,
            take_finalizers: Vec::new(),
        });
        match Box::pin(write(self.world, &self.first, &self.application, &update)).await {
            Ok(Some(application)) => {
                memory.inventory = crate::past::inventory(&application);
                memory.written = Some(Instant::now());
                memory.deferred = None;
                self.application = application;
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(application = %self.name(), %error, "the status cannot be written");
                self.world.queue.wake_at(self.name(), Instant::now() + WRITE_PAUSE);
                false
            }
        }
    }
}

/// Whether every object is as Git says.
pub(crate) fn in_line(view: &View) -> bool {
    view.targets.invalid.is_empty() && view.stops.is_empty() && view.objects.iter().all(|judged| judged.is_in_line())
}

fn baseline(status: &Status) -> String {
    status.drift.as_ref().map(|drift| drift.baseline.clone()).unwrap_or_default()
}

fn word(state: &OperationState) -> &'static str {
    match state.phase {
        OperationPhase::Succeeded => "succeeded",
        OperationPhase::Error => "ended in an error",
        _ => "failed",
    }
}
