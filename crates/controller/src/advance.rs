//! Taking an operation as far as it goes now: step by step, until there is something to wait for or it is over.
//!
//! Level, not edge: every round makes the tasks anew from what Git says, what the cluster has and what the attempt did, and
//! asks [`trueup_plan::progress`] what comes next. What is waited for wakes the application by its watch event. Entry point:
//! [`Look::advance`].

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use trueup_api::{HookPhase, OperationPhase, ResultCode, SyncOptions, condition};
use trueup_object::ObjectKey;
use trueup_plan::progress::{self, Done, Next, State};
use trueup_plan::schedule::{Part, Stage, Step, schedule};
use trueup_plan::task::{Act, Task};

use crate::applying::{apply_all, create_namespace, no_namespace, rehearse};
use crate::attempt::Attempt;
use crate::children;
use crate::drift_policy::left_alone;
use crate::hooks;
use crate::memory::Memory;
use crate::observe::View;
use crate::operation::{self, BARRED, BrokenOff, Ended, LOST_ITS_WAY, Run, broken_off, end, named, reasons};
use crate::pause;
use crate::pruning;
use crate::reconcile::Look;
use crate::tasks::{Plan, Scope, States, approved, phase_of};
use crate::waiting::{self, Wait};

/// How far an operation came.
pub(crate) enum Advance {
    /// It waits.
    Waits(Wait),
    /// It is over, or broken off.
    Ended(Box<Ended>),
    /// What it did could not be written down: the next look goes on.
    Unwritten,
}

impl Look<'_> {
    /// Takes an operation as far as it goes now. Its start has been written down already.
    pub(crate) async fn advance(
        &mut self,
        memory: &mut Memory,
        view: &mut View,
        run: &Run,
        attempt: &mut Attempt,
    ) -> Advance {
        let application = Arc::clone(&self.application);
        let options = run.options(view);
        if attempt.stage.is_none()
            && let Some(ended) = self.prepare(memory, view, run, attempt, &options).await
        {
            return Advance::Ended(Box::new(ended));
        }
        if attempt.stage.is_none() {
            // What a child says of itself was enough until now.
            view.judge_again(self.world, &application, memory, &children::keys(view)).await;
        }
        if run.is_trial() {
            let ended = self.try_out(view, run, attempt, &options).await;
            return Advance::Ended(Box::new(ended));
        }
        loop {
            if let Some(advance) = self.interrupted(memory, view, run, attempt).await {
                return advance;
            }
            if let Some(advance) = Box::pin(self.round(memory, view, run, attempt, &options)).await {
                return advance;
            }
        }
    }

    /// Whether the operation stops here, whatever comes next.
    async fn interrupted(
        &mut self,
        memory: &mut Memory,
        view: &View,
        run: &Run,
        attempt: &mut Attempt,
    ) -> Option<Advance> {
        let application = Arc::clone(&self.application);
        let (cause, why) = operation::interruption(self.world, &application, view, run, attempt)?;
        // Whoever goes first instead must not take a hook that has ended for one that runs.
        if attempt.unwritten && !self.write_progress(memory, view, run, attempt).await {
            return Some(Advance::Unwritten);
        }
        Some(Advance::Ended(Box::new(self.break_off(view, run, attempt, cause, why).await)))
    }

    /// One round: what is known, what comes next, and that is done. Answers how far the operation came, unless there is
    /// another round.
    async fn round(
        &mut self,
        memory: &mut Memory,
        view: &mut View,
        run: &Run,
        attempt: &mut Attempt,
        options: &SyncOptions,
    ) -> Option<Advance> {
        let application = Arc::clone(&self.application);
        if let Some(message) = self.world.applications.get(self.name()).and_then(|now| pause::held(&now.meta)) {
            return Some(Advance::Waits(Wait { message, notice: None, until: None, overdue: Vec::new() }));
        }
        let scope = Scope { run, options, approved: approved(&application) };
        let plan = Plan::of(view, &scope, attempt);
        if attempt.stage.is_none() && !plan.unapproved.is_empty() {
            return Some(Advance::Waits(waiting::for_approval(&plan.unapproved, attempt)));
        }
        let strays = self.strays(view, &plan, attempt);
        if !strays.is_empty() {
            // What they have begun comes to its end before anything else begins.
            let running: Vec<(&Task, String)> = strays.iter().map(|(task, why)| (task, why.clone())).collect();
            return self.waits_for(run, attempt, &running).await;
        }
        if attempt.lost_its_way(view) {
            let (cause, why) = (BrokenOff::Terminated, LOST_ITS_WAY.to_owned());
            return Some(Advance::Ended(Box::new(self.break_off(view, run, attempt, cause, why).await)));
        }
        let steps = schedule(plan.tasks.clone());
        // What is decided and what is told rest on one look at the cluster, which moves all the time.
        let states = plan.states(self.world, view, attempt);
        self.note_ends(&plan, &states, attempt);
        if let Some(advance) = self.interrupted(memory, view, run, attempt).await {
            return Some(advance);
        }
        let next = progress::next(&steps, attempt.failed, |task| states.of(task));
        let follows = match &next {
            Next::Perform(..) => true,
            Next::Wait(_) => false,
            Next::Succeeded => self.clears_away(view, &plan, attempt, true),
            Next::Failed(_) => self.clears_away(view, &plan, attempt, false),
        };
        if attempt.unwritten && follows {
            // What has ended must not be forgotten before something follows from it; and what waited for that goes first.
            let written = self.write_progress(memory, view, run, attempt).await;
            return (!written).then_some(Advance::Unwritten);
        }
        match next {
            Next::Perform(stage, tasks) => {
                let tasks: Vec<Task> = tasks.into_iter().cloned().collect();
                let enters = attempt.enter(stage);
                if enters && self.is_refused(view, &states, &steps, stage, options, attempt).await {
                    return None;
                }
                self.perform(memory, view, &plan, &scope, attempt, &tasks).await;
                if !std::mem::take(&mut attempt.tally.barred) {
                    return None;
                }
                let ended = broken_off(&application, view, run, attempt, BrokenOff::Barred, BARRED.to_owned());
                Some(Advance::Ended(Box::new(ended)))
            }
            Next::Wait(tasks) => self.waits_for(run, attempt, &tasks).await,
            Next::Succeeded => Some(Advance::Ended(Box::new(self.succeed(memory, view, run, attempt, &plan).await))),
            Next::Failed(failures) => {
                let failures = failures.into_iter().map(|(task, why)| (task.clone(), why)).collect();
                Some(Advance::Ended(Box::new(self.fail(view, run, attempt, &plan, failures).await)))
            }
        }
    }

    /// Waits for these tasks, unless one of them has had its time.
    async fn waits_for(&self, run: &Run, attempt: &mut Attempt, tasks: &[(&Task, String)]) -> Option<Advance> {
        let wait = waiting::for_tasks(self.world, &self.application, run, attempt, tasks);
        if wait.overdue.is_empty() {
            return Some(Advance::Waits(wait));
        }
        self.end_overdue(attempt, wait.overdue).await;
        None
    }

    /// What comes before the first step. Answers the end, if it is one already.
    async fn prepare(
        &self,
        memory: &Memory,
        view: &View,
        run: &Run,
        attempt: &mut Attempt,
        options: &SyncOptions,
    ) -> Option<Ended> {
        let application = &self.application;
        if let Some((message, results)) = operation::invalid(view, run, options) {
            attempt.tally.results.extend(results);
            return Some(self.over(view, run, attempt, OperationPhase::Failed, message));
        }
        if run.is_automated() {
            attempt.left_alone = left_alone(application, view, memory);
        }
        if options.create_namespace
            && let Err(error) = create_namespace(self.world, application, view).await
        {
            let message = attempt.tally.note_failure(&error, |error| no_namespace(view, error));
            return Some(if let Some(message) = message {
                self.over(view, run, attempt, OperationPhase::Failed, message)
            } else {
                attempt.tally.barred = false;
                broken_off(application, view, run, attempt, BrokenOff::Barred, BARRED.to_owned())
            });
        }
        None
    }

    /// Asks the server what it would make of everything, and writes nothing.
    async fn try_out(&self, view: &View, run: &Run, attempt: &mut Attempt, options: &SyncOptions) -> Ended {
        let scope = Scope { run, options, approved: approved(&self.application) };
        let plan = Plan::of(view, &scope, attempt);
        let (world, trial) = (self.world, |what: &str| format!("{what} (dry run)"));
        let states = plan.states(world, view, attempt);
        let due: Vec<&Task> = plan.tasks.iter().filter(|task| states.of(task) == State::Pending).collect();
        let applies: Vec<ObjectKey> =
            due.iter().filter(|task| task.act == Act::Apply).map(|task| task.key.clone()).collect();
        let refusals = rehearse(world, &self.application, view, &applies, options).await;
        for task in due {
            let (code, message) = match (task.act, refusals.get(&task.key)) {
                (_, Some(message)) => {
                    attempt.tally.refuse(&task.key, &task.gvk, message.clone());
                    continue;
                }
                (Act::Prune { .. }, None) => (ResultCode::Pruned, trial("pruned")),
                (Act::Apply | Act::Hook, None) => (ResultCode::Synced, trial(&named(&task.key))),
            };
            attempt.tally.results.push(operation::result(&task.key, &task.gvk, code, message));
        }
        operation::note_unchanged(view, run, &mut attempt.tally);
        let refusals = &attempt.tally.refusals;
        let (phase, message) = if refusals.is_empty() {
            (OperationPhase::Succeeded, trial(condition::SYNCED))
        } else {
            (OperationPhase::Failed, trial(&format!("{}, reason: {}", condition::SYNC_FAILED, reasons(refusals))))
        };
        self.over(view, run, attempt, phase, message)
    }

    /// Asks the server about the objects of a stage before any of it is written, where others follow. Answers whether it
    /// refuses one: then the sync has failed with all of them as they were.
    async fn is_refused(
        &self,
        view: &View,
        states: &States,
        steps: &[Step],
        stage: Stage,
        options: &SyncOptions,
        attempt: &mut Attempt,
    ) -> bool {
        // As upstream: what is only pruned behind it makes no second step of it.
        let is_another = |other: &Step| other.stage != stage && other.stage.part != Part::Prune;
        let has_several = steps.iter().any(|step| is_another(step) || step.tasks.iter().any(Task::is_hook));
        if !has_several || stage.phase == HookPhase::SyncFail {
            return false;
        }
        let tasks = steps.iter().filter(|step| step.stage == stage).flat_map(|step| &step.tasks);
        let due = tasks.filter(|task| task.act == Act::Apply && states.of(task) == State::Pending);
        let due: Vec<&Task> = due.collect();
        let keys: Vec<ObjectKey> = due.iter().map(|task| task.key.clone()).collect();
        let refusals = rehearse(self.world, &self.application, view, &keys, options).await;
        for task in due {
            if let Some(message) = refusals.get(&task.key) {
                attempt.tally.refuse(&task.key, &task.gvk, message.clone());
                attempt.done.insert((phase_of(task), task.key.clone()), Done::Refused(message.clone()));
                attempt.failed = true;
            }
        }
        !refusals.is_empty()
    }

    /// Does these tasks of one step, side by side.
    async fn perform(
        &mut self,
        memory: &mut Memory,
        view: &mut View,
        plan: &Plan,
        scope: &Scope<'_>,
        attempt: &mut Attempt,
        tasks: &[Task],
    ) {
        let application = Arc::clone(&self.application);
        let keys = |wanted: fn(&Act) -> bool| -> Vec<ObjectKey> {
            tasks.iter().filter(|task| wanted(&task.act)).map(|task| task.key.clone()).collect()
        };
        let applies = keys(|act| *act == Act::Apply);
        if !applies.is_empty() {
            let before = attempt.tally.results.len();
            apply_all(self.world, &application, view, memory, &applies, scope.options, &mut attempt.tally).await;
            attempt.note_done(before);
        }
        let prunes = keys(|act| matches!(act, Act::Prune { .. }));
        if !prunes.is_empty() {
            let before = attempt.tally.results.len();
            pruning::prune(self.world, &application, view, scope, &prunes, &mut attempt.tally).await;
            attempt.note_done(before);
        }
        let hooks: Vec<&Task> = tasks.iter().filter(|task| task.is_hook()).collect();
        if !hooks.is_empty() {
            hooks::learn_kinds(self.world, &application, view, &hooks).await;
            self.make_hooks(view, plan, attempt, &hooks).await;
        }
        if !attempt.tally.barred {
            // Whatever came of it, nothing is done twice.
            let nothing = || Done::Refused("nothing came of it: this is a fault of the controller".to_owned());
            for task in tasks {
                attempt.done.entry((phase_of(task), task.key.clone())).or_insert_with(nothing);
            }
        }
        attempt.moved = Instant::now();
        let applied: HashSet<ObjectKey> = applies.into_iter().collect();
        view.judge_again(self.world, &application, memory, &applied).await;
    }

    async fn break_off(&self, view: &View, run: &Run, attempt: &mut Attempt, cause: BrokenOff, why: String) -> Ended {
        if cause == BrokenOff::Terminated {
            self.abort_hooks(attempt).await;
        }
        broken_off(&self.application, view, run, attempt, cause, why)
    }

    async fn succeed(&self, memory: &mut Memory, view: &View, run: &Run, attempt: &mut Attempt, plan: &Plan) -> Ended {
        self.tidy(view, plan, attempt, true).await;
        pruning::note_rest(view, run, attempt);
        operation::note_unchanged(view, run, &mut attempt.tally);
        if run.is_whole() {
            memory.base = crate::memory::Base::Known(Arc::clone(&view.targets));
        }
        let ended = self.over(view, run, attempt, OperationPhase::Succeeded, condition::SYNCED.to_owned());
        Ended { left_alone: std::mem::take(&mut attempt.left_alone), ..ended }
    }

    async fn fail(
        &self,
        view: &View,
        run: &Run,
        attempt: &mut Attempt,
        plan: &Plan,
        failures: Vec<(Task, String)>,
    ) -> Ended {
        self.tidy(view, plan, attempt, false).await;
        attempt.note_failures(&failures);
        pruning::skip(view, attempt);
        operation::note_unchanged(view, run, &mut attempt.tally);
        let message = failure(attempt, &failures);
        let ended = self.over(view, run, attempt, OperationPhase::Failed, message);
        Ended { overdue: attempt.overdue.is_some(), ..ended }
    }

    /// The end of an attempt, with all that it did.
    fn over(&self, view: &View, run: &Run, attempt: &mut Attempt, phase: OperationPhase, message: String) -> Ended {
        end(&self.application, view, run, phase, message, std::mem::take(&mut attempt.tally))
    }
}

/// Why an operation failed.
fn failure(attempt: &Attempt, failures: &[(Task, String)]) -> String {
    if let Some(overdue) = &attempt.overdue {
        return overdue.clone();
    }
    if !attempt.tally.refusals.is_empty() {
        let what = if attempt.tally.refused.is_empty() { "be pruned" } else { "apply" };
        return format!("one or more objects failed to {what}, reason: {}", reasons(&attempt.tally.refusals));
    }
    let failures: Vec<String> = failures.iter().map(|(task, why)| format!("{}: {why}", named(&task.key))).collect();
    let why = if failures.is_empty() { String::new() } else { format!(", reason: {}", reasons(&failures)) };
    format!("{}{why}", condition::SYNC_FAILED)
}

// === impl Attempt ===

impl Attempt {
    /// Notes that a stage is being done. Answers whether it was not before.
    fn enter(&mut self, stage: Stage) -> bool {
        self.failed |= stage.phase == HookPhase::SyncFail;
        if self.stage.is_some_and(|(known, _)| known == stage) {
            return false;
        }
        self.stage = Some((stage, Timestamp::now()));
        self.waits = None;
        true
    }

    /// Results for what failed without having been tried, as what the project does not permit any more.
    fn note_failures(&mut self, failures: &[(Task, String)]) {
        for (task, why) in failures {
            if self.tally.results.iter().any(|result| operation::key_of(result) == task.key) {
                continue;
            }
            match task.act {
                Act::Hook => self.note_hook(task, OperationPhase::Failed, why.clone()),
                Act::Apply | Act::Prune { .. } => {
                    let result = operation::result(&task.key, &task.gvk, ResultCode::SyncFailed, why.clone());
                    self.tally.results.push(result);
                }
            }
        }
    }

    /// Notes what was done, as the results from this one on tell it.
    fn note_done(&mut self, from: usize) {
        for result in &self.tally.results[from..] {
            let key = operation::key_of(result);
            let done = match result.status {
                Some(ResultCode::SyncFailed) if self.tally.refused.contains_key(&key) => {
                    Done::Refused(result.message.clone())
                }
                Some(ResultCode::SyncFailed) if self.prunes.contains_key(&key) => Done::Refused(result.message.clone()),
                Some(ResultCode::SyncFailed | ResultCode::PruneSkipped) => Done::Left,
                _ => Done::Made,
            };
            self.done.insert((HookPhase::Sync, key), done);
        }
    }
}
