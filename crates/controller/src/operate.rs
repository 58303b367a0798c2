//! What an operation means for its application: how it begins, waits, ends, and what follows.
//!
//! Entry points: [`Look::run`], and [`Look::close`] for what nobody goes on with.

use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{OperationPhase, OperationState, SyncOperation, condition};

use crate::advance::Advance;
use crate::attempt::{Attempt, begun_at};
use crate::decide::{failed_notice, is_elsewhere};
use crate::judge::Verdict;
use crate::loading::Loaded;
use crate::memory::Memory;
use crate::observe::{Notice, View, asked_for};
use crate::operation::{BrokenOff, Ended, Run};
use crate::permission::sources_permitted;
use crate::reconcile::{Look, Outcome};
use crate::retries::promise_retry;
use crate::signatures::refuse_unsigned;
use crate::waiting::Wait;
use crate::{clock, decide, drift, event, source, status};

impl Look<'_> {
    /// Runs an operation, from its start to its end or its next attempt. Nothing if the revision that it asks for cannot be
    /// had: then the view is of no use, and what there is to say has been written.
    pub(crate) async fn run(&mut self, memory: &mut Memory, view: &mut View, run: Run) -> Option<Outcome> {
        if let Err(why) = self.turn_to(memory, view, &run).await {
            let mut state = run.state(OperationPhase::Error, why);
            state.finished_at = Some(clock::now());
            self.end_hooks_of(memory, &mut state).await;
            let promised = promise_retry(&mut state, &view.spec);
            let mut status = self.application.status.clone();
            status::operated(&mut status, state.clone(), None, 0);
            if self.write(memory, Box::new(status), promised.is_none()).await {
                self.world.queue.wake_at(self.name(), Instant::now() + promised.unwrap_or_default());
                if promised.is_none() {
                    self.tell_end(view, &state);
                }
            }
            return None;
        }
        let mut attempt = match memory.attempt.take() {
            Some(attempt) if attempt.is_of(&self.application, &run) => attempt,
            other => {
                self.leave(memory, other, &run).await;
                self.begin(memory, view, &run).await?
            }
        };
        match Box::pin(self.advance(memory, view, &run, &mut attempt)).await {
            Advance::Unwritten => {
                memory.attempt = Some(attempt);
                None
            }
            Advance::Waits(wait) => Some(self.waits(memory, view, &run, attempt, wait)),
            Advance::Ended(ended) => Box::pin(self.ends(memory, view, &run, attempt, *ended)).await,
        }
    }

    /// Begins an attempt, or takes up one whose controller died. Nothing if that could not be written down: without its
    /// inventory nothing is begun, what is made must be found again.
    async fn begin(&mut self, memory: &mut Memory, view: &View, run: &Run) -> Option<Attempt> {
        let mut attempt = Attempt::begin(&self.application, view, run);
        attempt.failed_before = self.failed_before(memory, view, run);
        // Further attempts are told by the state alone.
        let old = self.application.status.operation_state.as_ref();
        let begins =
            run.retry_count == 0 && old.is_none_or(|old| old.phase.completed() || old.started_at != run.started_at);
        if attempt.failed_before.is_none() {
            let state = attempt.state(view, run, String::new());
            if !self.write_start(memory, view, state).await {
                return None;
            }
            if begins {
                event::normal(self.world, &self.application, "OperationStarted", &started(run, view));
            }
        }
        tracing::info!(application = %self.name(), revision = %view.at, operation = %run.started_at, "sync begins");
        Some(attempt)
    }

    /// The operation goes on when what it waits for happens.
    fn waits(&self, memory: &mut Memory, view: &View, run: &Run, attempt: Attempt, wait: Wait) -> Outcome {
        if let Some(until) = wait.until {
            self.world.queue.wake_at(self.name(), until);
        }
        let outcome = Outcome {
            progress: Some(attempt.state(view, run, wait.message)),
            at_once: attempt.unwritten,
            notices: wait.notice.into_iter().collect(),
            ..Outcome::default()
        };
        memory.attempt = Some(attempt);
        outcome
    }

    /// The operation is over, or broken off: then the next look goes on.
    async fn ends(
        &mut self,
        memory: &mut Memory,
        view: &mut View,
        run: &Run,
        attempt: Attempt,
        ended: Ended,
    ) -> Option<Outcome> {
        if matches!(ended.broken_off, Some(BrokenOff::Barred | BrokenOff::Superseded)) {
            // Where nothing may be written there is no look before that is over, and a newer commit may say the same: for whoever
            // reads the status it is the same operation.
            memory.attempt = Some(attempt);
            self.world.queue.wake(self.name());
            return None;
        }
        let overwritten = drift::overwritten(&attempt.drifted, &ended.changed, &clock::now());
        self.world.metrics.syncs.inc();
        tracing::info!(application = %self.name(), revision = %view.at, operation = %run.started_at, phase = %ended.state.phase, outcome = %ended.state.message, "sync ends");
        let outcome = self.settle(memory, view, run, ended, attempt.failed_before).await;
        Some(Outcome { events: overwritten, ..outcome })
    }

    /// Nobody goes on with what was under way before this run, because something newer is due: what of it runs is ended, and what
    /// it did is told with the new one.
    async fn leave(&self, memory: &mut Memory, other: Option<Attempt>, run: &Run) {
        let state = self.application.status.operation_state.as_ref();
        let left = state.filter(|state| !state.phase.completed() && state.started_at != run.started_at);
        let other = other.or_else(|| left.map(|state| Attempt::recalled(&self.application, state)));
        let Some(mut attempt) = other else { return };
        self.abort_hooks(&mut attempt).await;
        self.world.metrics.syncs.inc();
        tracing::info!(application = %self.name(), operation = %attempt.started_at, "sync is superseded");
        memory.failed = None;
        memory.untold.extend(drift::overwritten(&attempt.drifted, &attempt.tally.changed_keys, &clock::now()));
    }

    /// Nobody goes on with the operation: what of it runs is ended.
    pub(crate) async fn close(&self, memory: &mut Memory, mut state: OperationState) -> Outcome {
        self.end_hooks_of(memory, &mut state).await;
        let take_operation = self.application.operation.as_ref() == Some(&state.operation);
        Outcome { state: Some(state), take_operation, tell_end: true, again: true, ..Outcome::default() }
    }

    /// Ends the hooks that run of an operation that is over in this state, and says so in it.
    pub(crate) async fn end_hooks_of(&self, memory: &mut Memory, state: &mut OperationState) {
        let mut attempt = match memory.attempt.take() {
            Some(attempt) if attempt.started_at == state.started_at => attempt,
            _ => {
                // What is written down of it, where this state is not made from that.
                let known = self.application.status.operation_state.as_ref();
                let known = known.filter(|known| known.started_at == state.started_at).unwrap_or(state);
                Attempt::recalled(&self.application, known)
            }
        };
        memory.untold.extend(drift::overwritten(&attempt.drifted, &attempt.tally.changed_keys, &clock::now()));
        let runs = attempt.has_running_hook();
        self.abort_hooks(&mut attempt).await;
        if runs {
            let result = state.sync_result.get_or_insert_default();
            result.resources = std::mem::take(&mut attempt.tally.results);
        }
    }

    /// What an operation's end means for the application.
    async fn settle(
        &mut self,
        memory: &mut Memory,
        view: &mut View,
        run: &Run,
        mut ended: Ended,
        failed_before: Option<String>,
    ) -> Outcome {
        let succeeded = ended.state.phase == OperationPhase::Succeeded;
        let mut notices: Vec<Notice> = ended
            .warnings
            .iter()
            .map(|message| Notice { kind: condition::COMPARISON_WARNING, message: message.clone() })
            .collect();
        let may_retry = !succeeded && ended.broken_off.is_none() && !ended.overdue;
        let promised = if may_retry { promise_retry(&mut ended.state, &view.spec) } else { None };
        let now = Instant::now();
        // What another application holds is still to come.
        let others_hold = view.objects.iter().any(|judged| matches!(judged.verdict, Verdict::HeldBy(_)));
        let whole = succeeded && run.is_whole() && !others_hold;
        if run.is_whole() {
            // Of anything less, what Git says is no more done than before, and has not failed either.
            let content = Some(decide::content(&self.application, view));
            (memory.synced, memory.failed) = if succeeded { (content, None) } else { (None, content) };
        }
        if succeeded && run.is_whole() {
            view.pending = !whole;
            view.never_synced = false;
        }
        if !succeeded {
            self.world.queue.wake_at(self.name(), now + promised.unwrap_or(self.world.resync));
            if promised.is_none() && run.is_automated() {
                notices.extend(failed_notice(Some(&ended.state), view, self.world.resync));
            }
        }
        let over = promised.is_none();
        // What was asked for may have been another revision, and automation may have stood back for it.
        let other = view.turned || view.passed_over.is_some();
        let beyond = other || !run.is_automated() || ended.broken_off.is_some() || !ended.left_alone.is_empty();
        let again = over && beyond;
        view.judge_objects(self.world, &self.application, memory).await;
        view.find_extras(self.world, self.name(), memory);
        view.note(self.world, self.name(), memory);
        Outcome {
            // What somebody else asks for meanwhile is still to come.
            take_operation: over && self.application.operation.as_ref() == Some(&run.operation),
            tell_end: over && failed_before.as_ref() != Some(&ended.state.message),
            again,
            state: Some(ended.state),
            history: ended.history,
            notices,
            baseline: whole,
            ..Outcome::default()
        }
    }

    /// What an automated sync said that failed for good and is only tried again: nothing of it is told twice.
    fn failed_before(&self, memory: &Memory, view: &View, run: &Run) -> Option<String> {
        let old = self.application.status.operation_state.as_ref()?;
        let same = memory.failed == Some(decide::content(&self.application, view));
        // A hook that has begun must be found again.
        let hooks = view.objects.iter().any(|judged| judged.hook.is_some());
        (run.is_automated() && same && !hooks && old.phase == OperationPhase::Failed).then(|| old.message.clone())
    }

    /// Turns the view to what an operation asks for: manifests that it brings, another source, another revision; and one that
    /// is under way to the commit that it began with.
    async fn turn_to(&self, memory: &mut Memory, view: &mut View, run: &Run) -> Result<(), String> {
        let nothing = SyncOperation::default();
        let asked = run.operation.sync.as_ref().unwrap_or(&nothing);
        let begun = begun_at(&self.application, memory, run);
        if asked.source.is_some() || !asked.sources.is_empty() {
            let spec = view.spec.from_sources(asked.source.as_ref(), &asked.sources);
            let spec = spec.map_err(|why| format!("operation.sync.source: {why}"))?;
            sources_permitted(&view.project, &spec)?;
            let revision = begun.or_else(|| asked_for(&run.operation)).unwrap_or_else(|| spec.target());
            let loaded = source::at_asked(self.world, &self.application.meta, &spec, &revision).await?;
            view.spec = Arc::new(spec);
            view.turned = true;
            return view.turn_to(self.world, &self.application, memory, &loaded).await;
        }
        if !asked.manifests.is_empty() {
            refuse_unsigned(&view.project, &view.spec)?;
            if view.spec.automated.is_some() {
                return Err("manifests from elsewhere than Git would be undone at once while sync is automated: switch it off first".to_owned());
            }
            let rendered = trueup_render::of_texts(&asked.manifests)
                .map_err(|error| format!("operation.sync.manifests: {error}"))?;
            let (at, tools) = (view.at.clone(), Arc::clone(&view.tools));
            let loaded = Loaded { at, tools, differs: false, rendered: Arc::new(rendered) };
            // What is in line with them is not in line with what Git says.
            view.turned = true;
            return view.turn_to(self.world, &self.application, memory, &loaded).await;
        }
        if let Some(at) = &begun
            && memory.attempt.as_ref().is_some_and(|attempt| attempt.is_for(&self.application, view))
        {
            if *at != view.at {
                view.passed_over = Some(std::mem::replace(&mut view.at, at.clone()));
            }
            return Ok(());
        }
        let revision = begun.or_else(|| asked_for(&run.operation));
        let Some(revision) = revision.filter(|revision| is_elsewhere(Some(revision), view)) else { return Ok(()) };
        let loaded = source::at_asked(self.world, &self.application.meta, &view.spec, &revision).await?;
        view.turn_to(self.world, &self.application, memory, &loaded).await
    }
}

fn started(run: &Run, view: &View) -> String {
    let who = if run.is_automated() { "automated" } else { "requested" };
    format!("Initiated {who} sync to '{}'", view.at)
}
