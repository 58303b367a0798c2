//! One look at one application, and what follows from it.
//!
//! Level, not edge: whatever woke the application, everything is decided from what is desired, what is live and what was
//! last synced. Entry point: [`reconcile`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, Operation, OperationPhase, OperationState, Refresh, RevisionHistory, Status, condition};
use trueup_diff::drift::Event;
use trueup_git::CommitId;

use crate::decide::{Next, next};
use crate::judge::confirm;
use crate::memory::{Base, Memory};
use crate::observe::{Blocked, Notice, Sight, View, observe, patience_ends};
use crate::operation::{self, Ended, Run};
use crate::world::World;
use crate::writer::{Update, write};
use crate::{clock, deletion, drift, event, heal, source, status};

/// Details of single objects, and repeats of a drift, are written at most once in this time.
const DETAIL_PAUSE: Duration = Duration::from_secs(10);
/// A status that could not be written is tried again after this time.
const WRITE_PAUSE: Duration = Duration::from_secs(5);

/// Looks at an application and does what is due.
pub(crate) async fn reconcile(world: &Arc<World>, name: &str) {
    let Some(application) = world.applications.get(name) else { return };
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
        for (digest, _) in memory.projections.values() {
            world.projections.forget(digest);
        }
        memory.forget_judgements();
        world.cluster.forget_schemas().await;
    }
    // Who asks for a sync right after a push means that push.
    let asked = application.operation.is_some() && !is_under_way(&application);
    let not_before = (refresh.is_some() || asked).then(Instant::now);
    let mut look = Look { world, first: Arc::clone(&application), application, refresh: refresh.is_some() };
    match observe(world, &look.application, &mut memory, not_before).await {
        Sight::Waiting(notice) => look.wait(&mut memory, notice).await,
        Sight::Blocked(blocked) => look.block(&mut memory, blocked).await,
        Sight::Ready(view) => look.act(&mut memory, *view).await,
    }
}

/// Whether an operation has begun and not ended.
fn is_under_way(application: &Application) -> bool {
    application.status.operation_state.as_ref().is_some_and(|state| !state.phase.completed())
}

/// Another controller runs: nothing is written but one loud Event.
fn only_compare(world: &Arc<World>, application: &Application, memory: &mut Memory, why: &str) {
    if !memory.rival_told {
        memory.rival_told = true;
        event::warning(
            world,
            application,
            "CompareOnly",
            &format!("nothing is synced and no status is written: {why}"),
        );
    }
    if let Some(at) = world.rival.quiet_at() {
        world.queue.wake_at(&application.meta.name, at);
    }
}

/// One look.
struct Look<'a> {
    world: &'a Arc<World>,
    /// The application as it was when the look began: what is in its letter box then is what is dealt with.
    first: Arc<Application>,
    /// The application as it is after our own writes.
    application: Arc<Application>,
    refresh: bool,
}

/// What is to be written besides the view itself.
#[derive(Default)]
struct Outcome {
    state: Option<OperationState>,
    history: Option<RevisionHistory>,
    take_operation: bool,
    events: Vec<Event>,
    notices: Vec<Notice>,
    /// The view is what the last successful sync left behind.
    baseline: bool,
}

impl Look<'_> {
    fn name(&self) -> &str {
        &self.application.meta.name
    }

    /// A kind has not been listed yet. Its listing wakes the application; after a while it says what it waits for.
    async fn wait(&mut self, memory: &mut Memory, notice: Option<Notice>) {
        match notice {
            Some(notice) => self.write_blocked(memory, &Blocked { notice, invalid: false }, None).await,
            None => {
                if let Some(at) = patience_ends(memory) {
                    self.world.queue.wake_at(self.name(), at);
                }
            }
        }
    }

    /// Nothing can be said of the objects, so nothing is done to them.
    async fn block(&mut self, memory: &mut Memory, blocked: Blocked) {
        let ended = self.application.operation.as_ref().map(|operation| {
            let run = Run { operation: operation.clone(), started_at: clock::now(), retry_count: 0 };
            let mut state = run.state(OperationPhase::Error, blocked.notice.message.clone());
            state.finished_at = Some(clock::now());
            state
        });
        self.write_blocked(memory, &blocked, ended).await;
        // A repository that answers again wakes the application by itself; a fetch that failed does not.
        self.world.queue.wake_at(self.name(), Instant::now() + self.world.resync);
    }

    async fn write_blocked(&mut self, memory: &mut Memory, blocked: &Blocked, ended: Option<OperationState>) {
        let mut status = status::blocked(&self.application, blocked, &clock::now());
        let take_operation = ended.is_some();
        if let Some(state) = ended {
            status::operated(&mut status, state, None, 0);
        }
        if status != self.application.status || take_operation || self.refresh {
            self.write(memory, status, take_operation).await;
        }
    }

    /// Everything is known: decides what is due, does it, and writes down what came of it.
    async fn act(&mut self, memory: &mut Memory, mut view: View) {
        let outcome = match next(self.world, &self.application, &view, memory) {
            Next::Run(run) => self.run(memory, &mut view, run).await,
            Next::Heal(keys) => {
                let healed = heal::heal(self.world, &self.application, &mut view, memory, &keys).await;
                Outcome { state: healed.state, events: healed.events, ..Outcome::default() }
            }
            Next::Wait { until, notice } => {
                self.world.queue.wake_at(self.name(), until);
                Outcome { notices: notice.into_iter().collect(), ..self.report(memory, &mut view).await }
            }
            Next::Nothing { notice } => {
                Outcome { notices: notice.into_iter().collect(), ..self.report(memory, &mut view).await }
            }
        };
        self.conclude(memory, &view, outcome).await;
    }

    /// Nothing is done about what differs: in doubt the server is asked, and drift is reported.
    async fn report(&self, memory: &mut Memory, view: &mut View) -> Outcome {
        let mut outcome = Outcome::default();
        let mut asked = false;
        {
            let frame = view.frame(self.world, &self.application);
            for (target, judged) in view.targets.objects.iter().zip(&view.objects) {
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
        let now = clock::now();
        outcome.events =
            drift::drifted(view).flat_map(|judged| drift::events_of(judged, &now, drift::DETECTED)).collect();
        outcome
    }

    /// Runs an operation, from its start to its end or its next attempt.
    async fn run(&mut self, memory: &mut Memory, view: &mut View, run: Run) -> Outcome {
        if let Err(blocked) = self.turn_to(memory, view, &run.operation).await {
            let mut state = run.state(OperationPhase::Error, blocked);
            state.finished_at = Some(clock::now());
            return Outcome { state: Some(state), take_operation: true, ..Outcome::default() };
        }
        let before = view.commit;
        event::normal(self.world, &self.application, "OperationStarted", &started(&run, view));
        self.write_start(memory, view, &run).await;
        let application = Arc::clone(&self.application);
        tracing::info!(application = %self.name(), revision = %before, operation = %run.started_at, "sync begins");
        let ended = operation::run(self.world, &application, view, memory, &run).await;
        self.world.metrics.syncs.inc();
        tracing::info!(application = %self.name(), revision = %before, operation = %run.started_at, phase = %ended.state.phase, outcome = %ended.state.message, "sync ends");
        self.settle(memory, view, &run, ended).await
    }

    /// What an operation's end means for the application.
    async fn settle(&mut self, memory: &mut Memory, view: &mut View, run: &Run, mut ended: Ended) -> Outcome {
        let succeeded = ended.state.phase == OperationPhase::Succeeded;
        let notices = ended
            .warnings
            .iter()
            .map(|message| Notice { kind: condition::COMPARISON_WARNING, message: message.clone() })
            .collect();
        if ended.again {
            self.world.queue.wake(self.name());
        }
        let retrying = !succeeded && !ended.again && crate::decide::schedule_retry(&mut ended.state, view);
        if succeeded {
            memory.failed = None;
            view.pending = false;
            view.never_synced = false;
        } else if retrying {
            let wait = crate::decide::retry_wait(&ended.state, view).unwrap_or_default();
            self.world.queue.wake_at(self.name(), Instant::now() + wait);
        } else {
            let again = Instant::now() + self.world.resync;
            memory.failed = Some((view.targets.digest, again));
            if run.is_automated() {
                self.world.queue.wake_at(self.name(), again);
            }
        }
        if !retrying {
            let message = format!("Sync operation to {} {}: {}", view.commit, word(&ended.state), ended.state.message);
            let tell = if succeeded { event::normal } else { event::warning };
            tell(self.world, &self.application, "OperationCompleted", &message);
        }
        view.judge_objects(self.world, &self.application, memory).await;
        view.find_extras(self.world, self.name(), memory);
        Outcome {
            take_operation: !retrying && self.application.operation.is_some(),
            state: Some(ended.state),
            history: ended.history,
            notices,
            baseline: succeeded,
            ..Outcome::default()
        }
    }

    /// Turns the view to the revision that an operation asks for.
    async fn turn_to(&self, memory: &mut Memory, view: &mut View, asked: &Operation) -> Result<(), String> {
        let revision = asked.sync.as_ref().map(|sync| sync.revision.as_str()).unwrap_or_default();
        if revision.is_empty() || revision == view.commit.to_string() || revision == view.spec.source.target_revision {
            return Ok(());
        }
        let known = revision.parse::<CommitId>().ok();
        let loaded = match known {
            Some(commit) => source::at_commit(self.world, &view.spec.source, commit).await,
            None => source::at_revision(self.world, &view.spec, revision).await,
        };
        let loaded = loaded.map_err(|error| format!("revision {revision} cannot be loaded: {error}"))?;
        view.turn_to(self.world, &self.application, memory, &loaded).await
    }

    /// Writes the start of an operation down, with the inventory, before the first object is.
    async fn write_start(&mut self, memory: &mut Memory, view: &View, run: &Run) {
        let application = Arc::clone(&self.application);
        let old = &application.status;
        let now = clock::now();
        let drift = drift::drift(old.drift.as_ref(), &baseline(old), 0, Vec::new(), &now);
        let mut status = status::seen(&self.application, view, drift, &[], &now);
        status::operated(&mut status, run.state(OperationPhase::Running, String::new()), None, 0);
        self.write(memory, status, false).await;
    }

    /// Writes down what was seen and done, at once if somebody waits for it.
    async fn conclude(&mut self, memory: &mut Memory, view: &View, outcome: Outcome) {
        let now = clock::now();
        let application = Arc::clone(&self.application);
        let old = &application.status;
        let settled = outcome.baseline || (view.pending && in_line(view));
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
        if outcome.events.is_empty() && open == 0 {
            drift::close(&mut drift);
        }
        let mut status = status::seen(&self.application, view, drift, &outcome.notices, &now);
        let ended = outcome.state.is_some();
        if let Some(state) = outcome.state {
            status::operated(&mut status, state, outcome.history, view.spec.history_limit);
        }
        self.tell_drift(&new);
        let at_once = ended || outcome.take_operation || self.refresh || status::matters(old, &status);
        if at_once || (status != *old && self.deferral_is_over(memory, old, &status)) {
            self.write(memory, status, outcome.take_operation).await;
        }
    }

    fn tell_drift(&self, new: &[Event]) {
        for outcome in [drift::DETECTED, drift::HEALED] {
            let lines: Vec<String> = new
                .iter()
                .filter(|event| {
                    event.outcome == outcome || (outcome == drift::DETECTED && event.outcome == drift::HEALED)
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
    fn deferral_is_over(&self, memory: &mut Memory, old: &Status, new: &Status) -> bool {
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

    async fn write(&mut self, memory: &mut Memory, mut status: Status, take_operation: bool) {
        status.reconciled_at = Some(clock::now());
        let update =
            Update { status: Some(status), take_operation, take_refresh: self.refresh, take_finalizers: Vec::new() };
        match write(self.world, &self.first, &self.application, &update).await {
            Ok(Some(application)) => {
                memory.inventory = crate::observe::inventory(&application);
                memory.written = Some(Instant::now());
                memory.deferred = None;
                self.application = application;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(application = %self.name(), %error, "the status cannot be written");
                self.world.queue.wake_at(self.name(), Instant::now() + WRITE_PAUSE);
            }
        }
    }
}

/// Whether every object is as Git says.
fn in_line(view: &View) -> bool {
    view.targets.invalid.is_empty() && view.stops.is_empty() && view.objects.iter().all(|judged| judged.is_in_line())
}

fn baseline(status: &Status) -> String {
    status.drift.as_ref().map(|drift| drift.baseline.clone()).unwrap_or_default()
}

fn started(run: &Run, view: &View) -> String {
    let who = if run.is_automated() { "automated" } else { "requested" };
    format!("Initiated {who} sync to '{}'", view.commit)
}

fn word(state: &OperationState) -> &'static str {
    match state.phase {
        OperationPhase::Succeeded => "succeeded",
        OperationPhase::Error => "ended in an error",
        _ => "failed",
    }
}
