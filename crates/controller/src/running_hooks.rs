//! The hooks of an operation while it runs: made, seen to end, ended where their time is over, cleared away.
//!
//! Entry points: the methods of [`Look`] that [`Look::advance`] goes through.

use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;
use trueup_api::{OperationPhase, condition};
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_plan::progress::{self, Condition, Done, Facts, State};
use trueup_plan::task::{Act, Task};

use crate::attempt::Attempt;
use crate::hooks::{self, Occasion};
use crate::impersonation;
use crate::observe::View;
use crate::operation::{OBJECTS_AT_ONCE, named};
use crate::permission::project_of;
use crate::reconcile::Look;
use crate::remains::is_held;
use crate::tasks::{Plan, States, is_listed};

impl Look<'_> {
    /// Notes which hooks have ended since.
    pub(crate) fn note_ends(&self, plan: &Plan, states: &States, attempt: &mut Attempt) {
        for task in plan.tasks.iter().filter(|task| task.is_hook() && states.is_made(task)) {
            match states.of(task) {
                State::Done => self.note_end(attempt, task, Ok(())),
                State::Failed(why) => self.note_end(attempt, task, Err(why)),
                State::Running(why) => {
                    attempt.note_hook(task, OperationPhase::Running, why);
                    attempt.done.insert((task.phase, task.key.clone()), Done::Made);
                }
                State::Pending => {}
            }
        }
    }

    /// Notes that a hook has ended.
    fn note_end(&self, attempt: &mut Attempt, task: &Task, ended: Result<(), String>) {
        let (at, words) = match &ended {
            Ok(()) => {
                let live = self.world.cluster.live(&task.gvk, &task.key);
                (OperationPhase::Succeeded, live.as_deref().map(hooks::last_words).unwrap_or_default())
            }
            Err(why) => (OperationPhase::Failed, why.clone()),
        };
        attempt.note_hook(task, at, words);
        attempt.done.insert((task.phase, task.key.clone()), Done::Ended(ended));
        attempt.moved = Instant::now();
    }

    pub(crate) async fn make_hooks(&self, view: &View, plan: &Plan, attempt: &mut Attempt, tasks: &[&Task]) {
        let (world, name) = (self.world, self.name());
        let hands = view.hands(world, &self.application);
        let mut making = Vec::with_capacity(tasks.len());
        for task in tasks {
            let Some(target) = plan.target(task).and_then(|at| view.targets.objects.get(at)) else { continue };
            let (kind, id) = (self.kind(task).await, attempt.hook_id(task.phase));
            let hands = &hands;
            making.push(async move {
                let occasion = Occasion { name, id: &id };
                let made = match (hands, kind) {
                    (Ok(hands), Some(kind)) => hooks::make(world, hands, occasion, target, &kind, &task.key).await,
                    (Ok(_), None) => Ok(Done::Refused(format!("the API server does not serve the kind {}", task.gvk))),
                    (Err(error), _) => Err(error.clone()),
                };
                (*task, made)
            });
        }
        let outcomes: Vec<_> = stream::iter(making).buffered(OBJECTS_AT_ONCE).collect().await;
        for (task, outcome) in outcomes {
            let done = match outcome {
                Ok(done) => done,
                Err(ClusterError::Barred { .. }) => {
                    attempt.tally.barred = true;
                    continue;
                }
                Err(error) => Done::Refused(error.to_string()),
            };
            match &done {
                Done::Made => {
                    attempt.tally.changed += 1;
                    attempt.note_hook(task, OperationPhase::Running, format!("{} created", named(&task.key)));
                }
                Done::Refused(why) => attempt.note_hook(task, OperationPhase::Failed, why.clone()),
                Done::Cleared | Done::Left | Done::Ended(_) => {}
            }
            attempt.done.insert((task.phase, task.key.clone()), done);
        }
    }

    /// The kind of a task's object. Known ones cost no request.
    async fn kind(&self, task: &Task) -> Option<Kind> {
        self.world.cluster.kind(&task.gvk).await.ok()
    }

    /// The cluster, as whoever writes the objects of this application, whatever can be said of them.
    fn hands(&self) -> Result<Cluster, String> {
        let (world, meta) = (self.world, &self.application.meta);
        let spec = self.application.spec.as_ref().map_err(ToString::to_string)?;
        impersonation::hands(world, meta, spec, &*project_of(world, meta, spec)?)
    }

    /// The hooks that run and are none of those that the plan has, because the specification was changed since they began;
    /// once it is another way, all that run. Notes which of them have ended.
    pub(crate) fn strays(&self, view: &View, plan: &Plan, attempt: &mut Attempt) -> Vec<(Task, String)> {
        let lost = attempt.lost_its_way(view);
        let planned = |stray: &Task| plan.tasks.iter().any(|task| task.phase == stray.phase && task.key == stray.key);
        let mut run = Vec::new();
        for task in attempt.hooks_that_run().into_iter().filter(|task| lost || !planned(task)) {
            let live = self.world.cluster.live(&task.gvk, &task.key);
            let condition = match &live {
                Some(live) => hooks::condition(live),
                None if is_listed(self.world, &task.gvk) => Condition::Well,
                None => Condition::OnItsWay(format!("{} has not been listed yet", task.gvk)),
            };
            let there = live.is_some() || matches!(condition, Condition::OnItsWay(_));
            let facts = Facts { done: Some(Done::Made), due: true, there, condition };
            match progress::state(Act::Hook, &facts) {
                State::Running(why) => run.push((task, why)),
                State::Failed(why) => self.note_end(attempt, &task, Err(why)),
                State::Done | State::Pending => self.note_end(attempt, &task, Ok(())),
            }
        }
        run
    }

    /// Ends what has had its time: hooks that took too long, or everything that runs.
    pub(crate) async fn end_overdue(&self, attempt: &mut Attempt, overdue: Vec<(Option<Task>, String)>) {
        for (task, why) in overdue {
            if let Some(task) = task {
                self.end_hook(attempt, &task, why).await;
                continue;
            }
            attempt.failed = true;
            for task in attempt.hooks_that_run() {
                self.end_hook(attempt, &task, why.clone()).await;
            }
            attempt.overdue = Some(why);
        }
    }

    async fn end_hook(&self, attempt: &mut Attempt, task: &Task, mut why: String) {
        if let Some(kind) = self.kind(task).await {
            let ended = match self.hands() {
                Ok(hands) => {
                    let id = attempt.hook_id(task.phase);
                    hooks::abort(self.world, &hands, &id, &kind, &task.key).await.map_err(|error| error.to_string())
                }
                Err(why) => Err(why),
            };
            if let Err(error) = ended {
                tracing::warn!(application = %self.name(), hook = %task.key, %error, "a hook that is to end cannot be deleted");
                why = format!("{why}; it could not be deleted, and may still run: {error}");
            }
        }
        self.note_end(attempt, task, Err(why));
    }

    /// Ends the hooks that run, where nobody goes on with the operation.
    pub(crate) async fn abort_hooks(&self, attempt: &mut Attempt) {
        for task in attempt.hooks_that_run() {
            self.end_hook(attempt, &task, condition::TERMINATED.to_owned()).await;
        }
        self.let_go(attempt).await;
    }

    /// Lets the hooks go that have ended, where nobody goes on with the operation.
    pub(crate) async fn let_go(&self, attempt: &Attempt) {
        for task in attempt.hooks() {
            self.clear_away(&task, false).await;
        }
    }

    /// Lets a hook go, and deletes it if that is wished.
    async fn clear_away(&self, task: &Task, goes: bool) {
        let Some(kind) = self.kind(task).await else { return };
        let cleared = match self.hands() {
            Ok(hands) => {
                let tidied = hooks::tidy(self.world, &hands, self.name(), &kind, &task.key, goes).await;
                tidied.map_err(|error| error.to_string())
            }
            Err(why) => Err(why),
        };
        if let Err(error) = cleared {
            tracing::warn!(application = %self.name(), hook = %task.key, %error, "a hook cannot be cleared away");
        }
    }

    /// Whether a hook would be deleted, or let go, at the end of the operation: what is known of it must be written down before.
    pub(crate) fn clears_away(&self, view: &View, plan: &Plan, attempt: &Attempt, succeeded: bool) -> bool {
        plan.tasks.iter().filter(|task| task.is_hook()).any(|task| {
            let live = || self.world.cluster.live(&task.gvk, &task.key);
            attempt.done.contains_key(&(task.phase, task.key.clone()))
                && (goes(view, plan, task, succeeded) || live().is_some_and(|live| is_held(&live.node())))
        })
    }

    /// Lets all hooks of the operation go, and deletes those whose policy says so.
    pub(crate) async fn tidy(&self, view: &View, plan: &Plan, attempt: &Attempt, succeeded: bool) {
        for task in plan.tasks.iter().filter(|task| task.is_hook()) {
            if !attempt.done.contains_key(&(task.phase, task.key.clone())) {
                continue;
            }
            self.clear_away(task, goes(view, plan, task, succeeded)).await;
        }
    }
}

/// Whether a hook's policy says that it is deleted at the end of the operation.
fn goes(view: &View, plan: &Plan, task: &Task, succeeded: bool) -> bool {
    let policy = plan.target(task).and_then(|at| view.objects[at].hook.as_ref()).map(|hook| hook.delete);
    policy.is_some_and(|policy| if succeeded { policy.succeeded } else { policy.failed })
}
