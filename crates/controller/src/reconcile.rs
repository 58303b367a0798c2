//! One look at one application, and what follows from it.
//!
//! Level, not edge: whatever woke the application, everything is decided from what is desired, what is live and what was
//! last synced. Entry point: [`reconcile`].

use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{Application, OperationPhase, OperationState, Refresh, RevisionHistory, SyncResult, condition};
use trueup_diff::drift::Event;
use trueup_object::ObjectKey;

use crate::conclude::in_line;
use crate::decide::{Next, Refused, next};
use crate::kinds::patience_ends;
use crate::memory::Memory;
use crate::observe::{Blocked, Notice, Sight, View, observe};
use crate::operation::Run;
use crate::question::confirm;
use crate::retries::promise_retry;
use crate::watches::came;
use crate::world::World;
use crate::{clock, decide, deletion, depends, drift, event, heal, pause, status};

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
        memory.render_again = true;
        world.cluster.forget_schemas().await;
        world.sweep.ask();
    }
    // What waits is not looked at: for this look there is nothing in the letter box.
    let application = if decide::waits_for_hook(&application, &memory) {
        Arc::new(Application { operation: None, ..(*application).clone() })
    } else {
        application
    };
    // Who asks for a sync right after a push means that push.
    let asked = application.operation.is_some() && !decide::goes_on(&application) && memory.prunes_wait.is_none();
    let not_before = (refresh.is_some() || asked).then(Instant::now);
    let mut look = Look { world, first: Arc::clone(&application), application, refresh: refresh.is_some() };
    let began = Instant::now();
    let sight = observe(world, &look.application, &mut memory, not_before).await;
    world.metrics.upstream.compared(&look.application, began.elapsed());
    if std::mem::take(&mut memory.unstable) {
        let message = "rendered again, the same sources say something else: something counts that is no part of them (a random value, the time); the new objects are what counts now";
        event::warning(world, &look.application, "RenderDiffers", message);
    }
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
                let sync_result = going.and_then(|state| state.sync_result.clone());
                Some(OperationState { sync_result, ..run.state(OperationPhase::Error, why.clone()) })
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
        let mut ended = ended.map(|state| OperationState { finished_at: Some(clock::now()), ..state });
        if let Some(state) = &mut ended {
            self.end_hooks_of(memory, state).await;
        }
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
        self.mind(&view).await;
        let base = memory.base.clone();
        let outcome = match next(self.world, &self.application, &view, memory) {
            Next::Run(run) => match Box::pin(self.run(memory, &mut view, *run)).await {
                Some(outcome) => outcome,
                None => return,
            },
            Next::Heal(keys) => self.heal(memory, &mut view, &keys).await,
            Next::Refuse(refused) => self.refuse(memory, &view, *refused).await,
            Next::Close(state) => self.close(memory, *state).await,
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
    async fn refuse(&self, memory: &mut Memory, view: &View, refused: Refused) -> Outcome {
        let mut state = refused.run.state(OperationPhase::Failed, refused.message);
        state.finished_at = Some(clock::now());
        state.sync_result =
            (!refused.results.is_empty()).then(|| SyncResult { resources: refused.results, ..SyncResult::default() });
        self.end_hooks_of(memory, &mut state).await;
        let promised = if refused.retry { promise_retry(&mut state, &view.spec) } else { None };
        if let Some(wait) = promised {
            self.world.queue.wake_at(self.name(), Instant::now() + wait);
            memory.failed = Some(decide::content(&self.application, view));
        }
        let over = promised.is_none();
        Outcome { state: Some(state), take_operation: over, tell_end: over, again: over, ..Outcome::default() }
    }
}
