//! The tasks of an operation, from what a look shows, and what is known of each.
//!
//! Pure but for what the index has. Entry points: [`Plan::of`] and [`Plan::states`].

use std::collections::{HashMap, HashSet};

use trueup_api::{Application, Consent, HookPhase, SyncOperation, SyncOptions, annotations, object_options, wave};
use trueup_cluster::WatchState;
use trueup_health::Code;
use trueup_object::{GroupKind, Gvk, ObjectKey};
use trueup_plan::progress::{self, Condition, Done, Facts, State};
use trueup_plan::task::{Act, Task};
use trueup_render::defines;

use crate::attempt::Attempt;
use crate::extras::{Extra, Fate};
use crate::hooks;
use crate::judge::{Judged, Verdict};
use crate::observe::View;
use crate::operation::Run;
use crate::world::World;

/// The tasks of an operation.
pub(crate) struct Plan {
    pub(crate) tasks: Vec<Task>,
    /// The target of each task that is made.
    targets: HashMap<(HookPhase, ObjectKey), usize>,
    /// What must be approved before anything is done.
    pub(crate) unapproved: Vec<ObjectKey>,
}

/// Where each task is, at one moment, and whether it was done and has not been seen to end.
pub(crate) struct States(HashMap<(HookPhase, ObjectKey), (State, bool)>);

/// What an operation takes in.
pub(crate) struct Scope<'a> {
    pub(crate) run: &'a Run,
    pub(crate) options: &'a SyncOptions,
    /// Since when somebody has approved of deletions, if so.
    pub(crate) approved: Option<&'a str>,
}

// === impl Plan ===

impl Plan {
    /// What is to be done, and what of it was done already.
    pub(crate) fn of(view: &View, scope: &Scope<'_>, attempt: &mut Attempt) -> Self {
        let mut plan = Self { tasks: Vec::new(), targets: HashMap::new(), unapproved: Vec::new() };
        for (at, (target, judged)) in view.pairs().enumerate() {
            if matches!(judged.verdict, Verdict::Skipped) {
                continue;
            }
            if let Some(hook) = &judged.hook {
                for phase in hook.phases.iter().filter(|phase| scope.runs(**phase)) {
                    let taken = |key: &ObjectKey| plan.targets.contains_key(&(*phase, key.clone()));
                    let key = hooks::key_of(target, &view.at.to_string(), *phase, &scope.run.started_at, taken);
                    plan.make(at, judged, key, *phase, Act::Hook, None);
                }
            } else if scope.run.takes(&target.key) && scope.is_worth_it(judged, attempt) {
                let defines = defines(target.manifest.node()).map(|(kind, _)| kind);
                plan.make(at, judged, target.key.clone(), HookPhase::Sync, Act::Apply, defines);
            }
        }
        plan.prune(view, scope, attempt);
        plan
    }

    fn make(
        &mut self,
        at: usize,
        judged: &Judged,
        key: ObjectKey,
        phase: HookPhase,
        act: Act,
        defines: Option<GroupKind>,
    ) {
        self.targets.insert((phase, key.clone()), at);
        self.tasks.push(Task { key, gvk: judged.gvk.clone(), phase, wave: judged.wave, act, defines });
    }

    fn prune(&mut self, view: &View, scope: &Scope<'_>, attempt: &mut Attempt) {
        for extra in view.extras.iter().filter(|extra| scope.run.prunes() && scope.run.takes(&extra.key)) {
            if scope.waits_for_approval(extra) {
                self.unapproved.push(extra.key.clone());
            } else if scope.prunes(extra) {
                let (wave, last) = extra.live.as_ref().map_or((0, false), |live| {
                    let node = live.node();
                    (wave(&node), object_options(&node).within(scope.options).prune_last)
                });
                attempt.prunes.insert(extra.key.clone(), (extra.gvk.clone(), wave, last));
            }
        }
        // What left the application meanwhile, as when another one took it over, is none of its business any more.
        let done = &attempt.done;
        let extras: HashSet<&ObjectKey> = view.extras.iter().map(|extra| &extra.key).collect();
        attempt.prunes.retain(|key, _| done.contains_key(&(HookPhase::Sync, key.clone())) || extras.contains(key));
        let prunes = attempt.prunes.iter().map(|(key, (gvk, wave, last))| Task {
            key: key.clone(),
            gvk: gvk.clone(),
            phase: HookPhase::Sync,
            wave: *wave,
            act: Act::Prune { last: *last },
            defines: None,
        });
        self.tasks.extend(prunes);
    }

    /// The place of what a task makes among the targets.
    pub(crate) fn target(&self, task: &Task) -> Option<usize> {
        self.targets.get(&(phase_of(task), task.key.clone())).copied()
    }

    /// Where each task is, at one moment.
    pub(crate) fn states(&self, world: &World, view: &View, attempt: &Attempt) -> States {
        let mut states = States(HashMap::with_capacity(self.tasks.len()));
        for task in &self.tasks {
            let facts = self.facts(world, view, attempt, task);
            let made = facts.done == Some(Done::Made);
            states.0.insert((phase_of(task), task.key.clone()), (progress::state(task.act, &facts), made));
        }
        states
    }

    /// What is known of a task.
    fn facts(&self, world: &World, view: &View, attempt: &Attempt, task: &Task) -> Facts {
        let done = attempt.done.get(&(phase_of(task), task.key.clone())).cloned();
        match task.act {
            Act::Hook => {
                let live = world.cluster.live(&task.gvk, &task.key);
                let made = live.as_ref().filter(|live| hooks::is_made_for(&live.node(), &attempt.hook_id(task.phase)));
                let ended = matches!(done, Some(Done::Ended(_) | Done::Refused(_)));
                if live.is_none() && done == Some(Done::Made) && !is_listed(world, &task.gvk) {
                    return unlisted(done, &task.gvk);
                }
                let judged = self.target(task).and_then(|at| view.objects.get(at));
                let done = done.or_else(|| judged.filter(|_| made.is_none()).and_then(|judged| forbidden(judged)));
                Facts {
                    done: if made.is_some() && !ended { Some(Done::Made) } else { done },
                    due: true,
                    there: live.is_some(),
                    condition: live.as_deref().map_or(Condition::Well, hooks::condition),
                }
            }
            Act::Apply => match self.target(task).and_then(|at| view.objects.get(at)) {
                Some(judged) => of_object(world, judged, done, attempt),
                None => Facts { done, due: false, there: false, condition: Condition::Well },
            },
            Act::Prune { .. } => {
                let there = world.cluster.live(&task.gvk, &task.key).is_some();
                Facts { due: there && done.is_none(), done, there, condition: Condition::Well }
            }
        }
    }
}

// === impl States ===

impl States {
    /// Where a task is.
    pub(crate) fn of(&self, task: &Task) -> State {
        let found = self.0.get(&(phase_of(task), task.key.clone()));
        found.map_or(State::Pending, |(state, _)| state.clone())
    }

    /// Whether it was done, and has not been seen to end.
    pub(crate) fn is_made(&self, task: &Task) -> bool {
        self.0.get(&(phase_of(task), task.key.clone())).is_some_and(|(_, made)| *made)
    }
}

/// The phase under which it is kept what was done about a task. A namespace or a definition may have moved to an earlier one.
pub(crate) fn phase_of(task: &Task) -> HookPhase {
    if task.is_hook() { task.phase } else { HookPhase::Sync }
}

fn of_object(world: &World, judged: &Judged, done: Option<Done>, attempt: &Attempt) -> Facts {
    let left = matches!(judged.verdict, Verdict::HeldBy(_)) || attempt.left_alone.contains(&judged.key);
    if done == Some(Done::Made) && !judged.exists && !is_listed(world, &judged.gvk) {
        return unlisted(done, &judged.gvk);
    }
    Facts {
        done: done.or_else(|| left.then_some(Done::Left)).or_else(|| forbidden(judged)),
        due: judged.wants_apply() || is_to_come(judged),
        there: judged.exists,
        condition: condition(judged),
    }
}

/// That an object is not permitted, as when the project was changed while the sync waited.
fn forbidden(judged: &Judged) -> Option<Done> {
    match &judged.verdict {
        Verdict::Forbidden(why) => Some(Done::Refused(why.clone())),
        _ => None,
    }
}

/// Whether what is not in the index is not there.
pub(crate) fn is_listed(world: &World, gvk: &Gvk) -> bool {
    matches!(world.cluster.watch_state(gvk), WatchState::Ready)
}

/// What is known of a task whose object was made, and cannot be seen yet.
fn unlisted(done: Option<Done>, gvk: &Gvk) -> Facts {
    let condition = Condition::OnItsWay(format!("{gvk} has not been listed yet"));
    Facts { done, due: false, there: true, condition }
}

/// How an object is, as far as that counts for the next wave.
fn condition(judged: &Judged) -> Condition {
    let Some(health) = judged.health.as_ref().filter(|_| !judged.options.ignore_healthcheck) else {
        return Condition::Well;
    };
    let words = if health.message.is_empty() { health.code.to_string() } else { health.message.clone() };
    match health.code {
        Code::Healthy => Condition::Well,
        Code::Degraded => Condition::Broken(words),
        Code::Progressing | Code::Suspended | Code::Missing | Code::Unknown => Condition::OnItsWay(words),
    }
}

/// An object whose kind comes into being in this very sync, or is not served yet.
pub(crate) fn is_to_come(judged: &Judged) -> bool {
    matches!(judged.verdict, Verdict::Unserved(_))
}

// === impl Scope ===

impl Scope<'_> {
    fn sync(&self) -> Option<&SyncOperation> {
        self.run.operation.sync.as_ref()
    }

    /// Whether it takes only some of the objects.
    pub(crate) fn is_partial(&self) -> bool {
        self.sync().is_some_and(|sync| !sync.resources.is_empty())
    }

    /// Whether hooks of a phase run: not in a sync of some objects only, nor in one that is asked to apply only.
    fn runs(&self, phase: HookPhase) -> bool {
        let applies_only = self
            .sync()
            .and_then(|sync| sync.sync_strategy.as_ref())
            .is_some_and(|strategy| strategy.apply.is_some() && strategy.hook.is_none());
        let of_sync = phase <= HookPhase::SyncFail;
        of_sync && !self.is_partial() && !applies_only
    }

    /// Whether an object is looked at. What is in line counts for the waves, unless only the rest is to be applied.
    fn is_worth_it(&self, judged: &Judged, attempt: &Attempt) -> bool {
        !self.options.apply_out_of_sync_only
            || judged.wants_apply()
            || is_to_come(judged)
            || forbidden(judged).is_some()
            || attempt.done.contains_key(&(HookPhase::Sync, judged.key.clone()))
    }

    fn is_approved(&self) -> bool {
        self.approved.is_some_and(|at| is_not_before(at, &self.run.started_at))
    }

    /// Whether an object is to be deleted that somebody has to approve of first.
    fn waits_for_approval(&self, extra: &Extra) -> bool {
        let consent = extra.consent(self.options);
        let confirms = extra.fate == Fate::Confirm || consent == Consent::Confirm;
        extra.is_to_go(!self.run.is_automated()) && confirms && consent != Consent::No && !self.is_approved()
    }

    /// Whether an object that Git no longer has is deleted.
    pub(crate) fn prunes(&self, extra: &Extra) -> bool {
        extra.is_to_go(!self.run.is_automated())
            && match extra.consent(self.options) {
                Consent::Yes => extra.fate != Fate::Confirm || self.is_approved(),
                Consent::Confirm => self.is_approved(),
                Consent::No => false,
            }
    }
}

/// Whether a time is another one or later. What cannot be read is no approval.
pub(crate) fn is_not_before(at: &str, start: &str) -> bool {
    match (at.parse::<jiff::Timestamp>(), start.parse::<jiff::Timestamp>()) {
        (Ok(at), Ok(start)) => at >= start,
        _ => false,
    }
}

/// When somebody approved of deletions.
pub(crate) fn approved(application: &Application) -> Option<&str> {
    application.meta.annotations.get(annotations::DELETION_APPROVED).map(String::as_str)
}

/// The kinds that this render defines itself.
pub(crate) fn defined(view: &View) -> HashSet<GroupKind> {
    view.targets.objects.iter().filter_map(|target| defines(target.manifest.node())).map(|(kind, _)| kind).collect()
}
