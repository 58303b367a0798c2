//! One look at one application, and what follows from it.
//!
//! Level, not edge: whatever woke the application, everything is decided from what is desired, what is live and what was
//! last synced. Entry point: [`reconcile`].

use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{
    Application, Operation, OperationPhase, OperationState, Refresh, RevisionHistory, SyncResult, condition,
};
use trueup_diff::drift::Event;
use trueup_object::ObjectKey;

use crate::advance::Advance;
use crate::attempt::Attempt;
use crate::conclude::in_line;
use crate::decide::{Next, Refused, failed_notice, next, promise_retry};
use crate::judge::{Verdict, confirm};
use crate::kinds::patience_ends;
use crate::memory::Memory;
use crate::observe::{Blocked, Notice, Sight, View, asked_for, observe};
use crate::operation::{BrokenOff, Ended, Run};
use crate::waiting::Wait;
use crate::watches::came;
use crate::world::World;
use crate::{clock, decide, deletion, depends, drift, event, heal, pause, source, status};

/// Looks at an application and does what is due.
pub(crate) async fn reconcile(world: &Arc<World>, name: &str) {
    let Some(application) = world.applications.get(name) else { return };
    let uid = application.meta.uid.clone();
    for concerned in world.depends.note(&world.applications, &world.namespace, &application) {
        world.queue.wake(&concerned);
    }
    pause::wake_at_its_end(&world.queue, &application.meta);
    look_at(world, name, application).await;
    depends::after(world, name);
    if world.applications.get(name).is_none_or(|now| now.meta.uid != uid) {
        // It went during the look, which may have noted again what was forgotten.
        world.forget(name);
        if world.applications.get(name).is_some() {
            // Another one came under its name meanwhile.
            came(world, name);
            world.queue.wake(name);
        }
    }
}

async fn look_at(world: &Arc<World>, name: &str, application: Arc<Application>) {
    let memory = world.memory(name);
    let mut memory = memory.lock().await;
    memory.adopt(&application.meta.uid);
    world.metrics.reconciles.inc();
    if let Some(why) = world.rival.active() {
        return only_compare(world, &application, &mut memory, &why);
    }
    memory.rival_told = false;
    if application.meta.deletion_timestamp.is_some() {
        world.does_not_look(name);
        return deletion::advance(world, &application, &mut memory).await;
    }
    if application.meta.skip_reconcile() {
        world.does_not_look(name);
        return;
    }
    let refresh = application.meta.refresh();
    if refresh == Some(Refresh::Hard) {
        for (digest, ..) in memory.projections.values() {
            world.projections.forget(digest);
        }
        memory.forget_judgements();
        world.cluster.forget_schemas().await;
        world.sweep.ask();
    }
    // Who asks for a sync right after a push means that push.
    let asked = application.operation.is_some() && !decide::goes_on(&application) && memory.prunes_wait.is_none();
    let not_before = (refresh.is_some() || asked).then(Instant::now);
    let mut look = Look { world, first: Arc::clone(&application), application, refresh: refresh.is_some() };
    let began = Instant::now();
    let sight = observe(world, &look.application, &mut memory, not_before).await;
    world.metrics.upstream.compared(&look.application, began.elapsed());
    match sight {
        Sight::Waiting(notice) => look.wait(&mut memory, notice).await,
        Sight::Blocked(blocked) => look.block(&mut memory, blocked).await,
        Sight::Ready(view) => Box::pin(look.act(&mut memory, *view)).await,
    }
}

/// Another controller runs: nothing is written but one loud Event.
fn only_compare(world: &Arc<World>, application: &Application, memory: &mut Memory, why: &str) {
    if !memory.rival_told {
        memory.rival_told = true;
        tracing::warn!(application = %application.meta.instance, %why, "only compared: nothing is synced and no status is written");
        event::warning(
            world,
            application,
            "CompareOnly",
            &format!("nothing is synced and no status is written: {why}"),
        );
    }
    if let Some(at) = world.rival.quiet_at() {
        world.queue.wake_at(&application.meta.instance, at);
    }
}

/// One look.
pub(crate) struct Look<'a> {
    pub(crate) world: &'a Arc<World>,
    /// The application as it was when the look began: what is in its letter box then is what is dealt with.
    pub(crate) first: Arc<Application>,
    /// The application as it is after our own writes.
    pub(crate) application: Arc<Application>,
    pub(crate) refresh: bool,
}

/// What is to be written besides the view itself.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that is to be done, in any combination")]
pub(crate) struct Outcome {
    pub(crate) state: Option<OperationState>,
    /// The operation goes on: how far it is.
    pub(crate) progress: Option<OperationState>,
    /// What is to be written must not wait.
    pub(crate) at_once: bool,
    pub(crate) history: Option<RevisionHistory>,
    pub(crate) take_operation: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) notices: Vec<Notice>,
    /// The view is what the last successful sync left behind.
    pub(crate) baseline: bool,
    /// The end of an operation is told, once it is written down.
    pub(crate) tell_end: bool,
    /// What is due without what was done is found out by another look, once this one is written down.
    pub(crate) again: bool,
}

impl Look<'_> {
    /// The name that everything is kept under: that by which the application's objects are tracked.
    #[expect(clippy::misnamed_getters, reason = "an Application's own name is not unique, so nothing is kept under it")]
    pub(crate) fn name(&self) -> &str {
        &self.application.meta.instance
    }

    /// A kind has not been listed yet. Its listing wakes the application; after a while it says what it waits for.
    async fn wait(&mut self, memory: &mut Memory, notice: Option<Notice>) {
        match notice {
            Some(notice) => {
                self.write_blocked(memory, &Blocked { notice, invalid: false, operation: None }, None).await;
            }
            None => {
                if let Some(at) = patience_ends(memory) {
                    self.world.queue.wake_at(self.name(), at);
                }
            }
        }
    }

    /// Nothing can be said of the objects, so nothing is done to them.
    async fn block(&mut self, memory: &mut Memory, blocked: Blocked) {
        let going = self.application.status.operation_state.as_ref().filter(|state| !state.phase.completed());
        // Somebody wants it to end.
        let is_ending = |state: &OperationState| state.phase == OperationPhase::Terminating;
        let ended = match &self.application.operation {
            Some(operation) => {
                let going = going.filter(|state| state.operation == *operation);
                let run = Run {
                    operation: operation.clone(),
                    started_at: going.map_or_else(clock::now, |state| state.started_at.clone()),
                    retry_count: going.map_or(0, |state| state.retry_count),
                };
                let why = blocked.operation.as_ref().unwrap_or(&blocked.notice.message);
                Some(run.state(OperationPhase::Error, why.clone()))
            }
            // A repository may answer again; a specification that is wrong leaves nothing to go on with.
            None => going.filter(|state| blocked.invalid || is_ending(state)).map(|state| OperationState {
                phase: OperationPhase::Failed,
                message: if is_ending(state) {
                    condition::TERMINATED.to_owned()
                } else {
                    blocked.notice.message.clone()
                },
                ..state.clone()
            }),
        };
        let ended = ended.map(|state| OperationState { finished_at: Some(clock::now()), ..state });
        self.write_blocked(memory, &blocked, ended).await;
        // A repository that answers again wakes the application by itself; a fetch that failed does not.
        self.world.queue.wake_at(self.name(), Instant::now() + self.world.resync);
    }

    async fn write_blocked(&mut self, memory: &mut Memory, blocked: &Blocked, ended: Option<OperationState>) {
        let further = pause::notice(&self.application.meta);
        let mut status = status::blocked(&self.application, blocked, further, &clock::now());
        let take_operation = ended.is_some() && self.application.operation.is_some();
        let has_ended = ended.is_some();
        if let Some(state) = ended {
            status::operated(&mut status, state, None, 0);
        }
        if status != self.application.status || has_ended || self.refresh {
            self.write(memory, Box::new(status), take_operation).await;
        }
    }

    /// Everything is known: decides what is due, does it, and writes down what came of it.
    async fn act(&mut self, memory: &mut Memory, mut view: View) {
        let base = memory.base.clone();
        let outcome = match next(self.world, &self.application, &view, memory) {
            Next::Run(run) => match Box::pin(self.run(memory, &mut view, *run)).await {
                Some(outcome) => outcome,
                None => return,
            },
            Next::Heal(keys) => self.heal(memory, &mut view, &keys).await,
            Next::Refuse(refused) => self.refuse(memory, &view, *refused),
            Next::Close(state) => self.close(memory, &view, *state).await,
            Next::Hold(state) => self.hold(memory, &mut view, *state).await,
            Next::Wait { until, notices } => {
                self.world.queue.wake_at(self.name(), until);
                let outcome = match view.no_target {
                    None => self.report(memory, &mut view).await,
                    // What differs from another revision is nothing to report.
                    Some(_) => Outcome::default(),
                };
                Outcome { notices: [notices, outcome.notices].concat(), ..outcome }
            }
            Next::Nothing { notices } => {
                if view.has_unreadable() {
                    // Nothing tells when it can be read again.
                    self.world.queue.wake_at(self.name(), Instant::now() + self.world.resync);
                }
                let outcome = self.report(memory, &mut view).await;
                Outcome { notices: [notices, outcome.notices].concat(), ..outcome }
            }
        };
        Box::pin(self.conclude(memory, &view, outcome, &base)).await;
    }

    /// The operation waits before its next step: what differs is told meanwhile.
    async fn hold(&self, memory: &mut Memory, view: &mut View, state: OperationState) -> Outcome {
        let before = self.application.status.operation_state.as_ref();
        if before.is_none_or(|before| before.started_at != state.started_at) {
            event::normal(self.world, &self.application, "OperationStarted", &state.message);
        }
        let outcome = if view.no_target.is_none() { self.report(memory, view).await } else { Outcome::default() };
        Outcome { progress: Some(state), ..outcome }
    }

    /// Nothing is done about what differs: in doubt the server is asked, and drift is reported.
    async fn report(&self, memory: &mut Memory, view: &mut View) -> Outcome {
        let mut outcome = Outcome::default();
        let mut asked = false;
        {
            let frame = view.frame(self.world, &self.application);
            for (target, judged) in view.pairs() {
                let doubtful = judged.comparison().is_some_and(trueup_diff::Comparison::doubtful);
                let Some(Ok(kind)) = view.kinds.get(&target.gvk).filter(|_| doubtful) else { continue };
                asked = true;
                let warning = confirm(&frame, memory, target, kind, judged).await;
                outcome.notices.extend(warning.map(|message| Notice { kind: condition::COMPARISON_WARNING, message }));
            }
        }
        if asked {
            view.judge_objects(self.world, &self.application, memory).await;
        }
        if view.pending && in_line(view) {
            // As Git says without a sync: a verdict, and no operation.
            outcome.baseline = true;
            view.pending = false;
            view.never_synced = false;
            view.note(self.world, self.name(), memory);
        }
        // Only as many as the status keeps: the others would be news at every look.
        outcome.events = trueup_diff::drift::fold(Vec::new(), self.present(memory, view, &clock::now()));
        outcome
    }

    /// Brings back what drifted.
    async fn heal(&self, memory: &mut Memory, view: &mut View, keys: &[ObjectKey]) -> Outcome {
        let healed = heal::heal(self.world, &self.application, view, memory, keys).await;
        if let Some(wait) = heal::next(&self.application, view, memory) {
            self.world.queue.wake_at(self.name(), Instant::now() + wait);
        }
        // What is not healed, by wish or for now, is told by a look of its own.
        let again = drift::drifted(view).next().is_some();
        Outcome { state: healed.state, events: healed.events, again, ..Outcome::default() }
    }

    /// What was asked for does not begin.
    fn refuse(&self, memory: &mut Memory, view: &View, refused: Refused) -> Outcome {
        let mut state = refused.run.state(OperationPhase::Failed, refused.message);
        state.finished_at = Some(clock::now());
        state.sync_result =
            (!refused.results.is_empty()).then(|| SyncResult { resources: refused.results, ..SyncResult::default() });
        let promised = if refused.retry { promise_retry(&mut state, &view.spec) } else { None };
        if let Some(wait) = promised {
            self.world.queue.wake_at(self.name(), Instant::now() + wait);
            memory.failed = Some(decide::content(&self.application, view));
        }
        let over = promised.is_none();
        Outcome { state: Some(state), take_operation: over, tell_end: over, again: over, ..Outcome::default() }
    }

    /// Runs an operation, from its start to its end or its next attempt. Nothing if the revision that it asks for cannot be
    /// had: then the view is of no use, and what there is to say has been written.
    async fn run(&mut self, memory: &mut Memory, view: &mut View, run: Run) -> Option<Outcome> {
        if let Err(why) = self.turn_to(memory, view, &run.operation).await {
            let mut state = run.state(OperationPhase::Error, why);
            state.finished_at = Some(clock::now());
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
        let mut attempt = match memory.attempt.take().filter(|it| it.is_of(&self.application, &run)) {
            Some(attempt) => attempt,
            None => self.begin(memory, view, &run).await?,
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
        if begins && attempt.failed_before.is_none() {
            event::normal(self.world, &self.application, "OperationStarted", &started(run, view));
        }
        if attempt.failed_before.is_none() {
            let state = attempt.state(view, run, String::new());
            if !self.write_start(memory, view, state).await {
                return None;
            }
        }
        tracing::info!(application = %self.name(), revision = %view.commit, operation = %run.started_at, "sync begins");
        Some(attempt)
    }

    /// The operation goes on when what it waits for happens.
    fn waits(&self, memory: &mut Memory, view: &View, run: &Run, mut attempt: Attempt, wait: Wait) -> Outcome {
        if let Some(until) = wait.until {
            self.world.queue.wake_at(self.name(), until);
        }
        let outcome = Outcome {
            progress: Some(attempt.state(view, run, wait.message)),
            at_once: std::mem::take(&mut attempt.unwritten),
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
        if ended.broken_off == Some(BrokenOff::Barred) {
            // There is no look before writes may be: for whoever reads the status it is the same operation.
            memory.attempt = Some(attempt);
            self.world.queue.wake(self.name());
            return None;
        }
        let overwritten = drift::overwritten(&attempt.drifted, &ended.changed, &clock::now());
        self.world.metrics.syncs.inc();
        tracing::info!(application = %self.name(), revision = %view.commit, operation = %run.started_at, phase = %ended.state.phase, outcome = %ended.state.message, "sync ends");
        if ended.broken_off == Some(BrokenOff::Superseded) {
            memory.failed = None;
            memory.untold.extend(overwritten);
            self.world.queue.wake(self.name());
            return None;
        }
        let outcome = self.settle(memory, view, run, ended, attempt.failed_before).await;
        Some(Outcome { events: overwritten, ..outcome })
    }

    /// Nobody goes on with the operation: what of it runs is ended.
    async fn close(&self, memory: &mut Memory, view: &View, mut state: OperationState) -> Outcome {
        let run = Run {
            operation: state.operation.clone(),
            started_at: state.started_at.clone(),
            retry_count: state.retry_count,
        };
        let attempt = memory.attempt.take().filter(|attempt| attempt.is_of(&self.application, &run));
        let mut attempt = attempt.unwrap_or_else(|| Attempt::begin(&self.application, view, &run));
        self.abort_hooks(view, &mut attempt).await;
        if !attempt.tally.results.is_empty() {
            state.sync_result = attempt.state(view, &run, String::new()).sync_result;
        }
        let take_operation = self.application.operation.is_some();
        Outcome { state: Some(state), take_operation, tell_end: true, again: true, ..Outcome::default() }
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
        let partial = run.operation.sync.as_ref().is_some_and(|sync| !sync.resources.is_empty());
        let whole =
            succeeded && !partial && !view.objects.iter().any(|judged| matches!(judged.verdict, Verdict::HeldBy(_)));
        if !partial {
            memory.synced = succeeded.then(|| decide::content(&self.application, view));
        }
        if succeeded && partial {
            // What Git says is no more done than before.
        } else if succeeded {
            memory.failed = None;
            view.pending = !whole;
            view.never_synced = false;
        } else {
            memory.failed = Some(decide::content(&self.application, view));
            self.world.queue.wake_at(self.name(), now + promised.unwrap_or(self.world.resync));
            if promised.is_none() && run.is_automated() {
                notices.extend(failed_notice(Some(&ended.state), view, self.world.resync));
            }
        }
        let over = promised.is_none();
        // What was asked for may have been another revision, and automation may have stood back for it.
        let beyond = view.turned || !run.is_automated() || ended.broken_off.is_some() || !ended.left_alone.is_empty();
        let again = over && beyond;
        view.judge_objects(self.world, &self.application, memory).await;
        view.find_extras(self.world, self.name(), memory);
        view.note(self.world, self.name(), memory);
        Outcome {
            take_operation: over && self.application.operation.is_some(),
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

    /// Turns the view to the revision that an operation asks for.
    async fn turn_to(&self, memory: &mut Memory, view: &mut View, asked: &Operation) -> Result<(), String> {
        let revision = asked_for(asked);
        if !decide::is_elsewhere(revision, view) {
            return Ok(());
        }
        let loaded = source::at_asked(self.world, &view.spec, revision).await?;
        view.turn_to(self.world, &self.application, memory, &loaded).await
    }
}

fn started(run: &Run, view: &View) -> String {
    let who = if run.is_automated() { "automated" } else { "requested" };
    format!("Initiated {who} sync to '{}'", view.commit)
}
