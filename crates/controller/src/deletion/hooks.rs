//! The hooks that run before and after the objects of an application are deleted.
//!
//! Level, not edge: a hook bears the id of the deletion and its phase, so that none is made twice, whatever dies in between. One
//! that fails is deleted and made anew after a while; none is left out, whatever cannot be had. Entry points: [`run`] and
//! [`clear`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use trueup_api::{Application, HookPhase, annotations};
use trueup_cluster::{ClusterError, Live};
use trueup_object::{Gvk, ObjectKey};
use trueup_plan::hook_wait;
use trueup_plan::progress::{self, Condition, Done, Facts, Next, State};
use trueup_plan::schedule::schedule;
use trueup_plan::task::{Act, Task};
use trueup_render::{Target, Targets};

use super::rendering::Rendering;
use super::rules::{Rules, rules};
use super::words::{End, Failed, Hindrance};
use super::{Left, PAUSE, Step, objects, words};
use crate::clock;
use crate::hooks::{self, Occasion};
use crate::judge::Verdict;
use crate::memory::Memory;
use crate::permission::forbidden;
use crate::world::World;

/// How many letters of the Application's uid stand in the names that are made for hooks without one.
const UID_LETTERS: usize = 7;

/// What is remembered of the hooks of a deletion. All of it can be lost, at the price of less patience with what fails.
#[derive(Default)]
pub(crate) struct Kept {
    /// What the hooks are made from.
    pub(super) rendering: Option<Arc<Rendering>>,
    done: BTreeMap<Place, Done>,
    failures: BTreeMap<Place, Failure>,
}

type Place = (HookPhase, ObjectKey);

/// How a hook failed.
struct Failure {
    failed: Failed,
    /// When it is made anew.
    again: Instant,
    /// The same as people read it.
    again_at: String,
}

/// The hooks of one phase of one deletion.
pub(super) struct Round<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) application: &'a Application,
    pub(super) phase: HookPhase,
    id: String,
    pub(super) rules: Rules,
}

/// What a look shows of a hook.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that is seen, in any combination")]
struct Seen {
    /// It was made for this deletion.
    made: bool,
    /// It is being deleted.
    going: bool,
    /// It ended well, or has nothing to end.
    well: bool,
    /// It failed, and has not been made anew yet.
    backs_off: bool,
}

/// What tells the hooks of a phase of a deletion from all others.
fn id(application: &Application, phase: HookPhase) -> String {
    let deletion = application.meta.deletion_timestamp.as_deref().unwrap_or_default();
    format!("{}/{deletion}/{phase}", application.meta.uid)
}

/// Takes the hooks of a phase one step further.
pub(super) async fn run(world: &Arc<World>, application: &Application, memory: &mut Memory, phase: HookPhase) -> Step {
    let rules = match rules(world, application, &words::without_hooks(phase)) {
        Ok(rules) => rules,
        Err(message) => return Step::wait(world.resync, Some(message)),
    };
    let round = Round { world, application, phase, id: id(application, phase), rules };
    objects::want(world, &application.meta.instance, memory);
    round.look_again(&mut memory.deletion);
    loop {
        let rendering = match round.rendering(memory).await {
            Ok(rendering) => rendering,
            Err(step) => return step,
        };
        let hooks = round.hooks(&rendering.targets);
        let steps = schedule(hooks.iter().map(|(task, _)| task.clone()).collect());
        round.note_ends(&mut memory.deletion, &hooks);
        let kept = &memory.deletion;
        match progress::next_hook(&steps, |task| progress::state(Act::Hook, &round.facts(kept, task))) {
            Next::Succeeded => return Step::Over { left: Left::default() },
            Next::Wait(_) => return round.wait(kept, &hooks),
            Next::Perform(_, tasks) => {
                let due: Vec<ObjectKey> =
                    tasks.iter().filter(|task| !kept.backs_off(&place(task))).map(|task| task.key.clone()).collect();
                if due.is_empty() {
                    return round.wait(kept, &hooks);
                }
                let due: Vec<_> = hooks.iter().filter(|(task, _)| due.contains(&task.key)).collect();
                if !round.make(&mut memory.deletion, &rendering, &due).await {
                    return Step::wait(PAUSE, None);
                }
            }
            Next::Failed(failures) => {
                let failures: Vec<(Task, String)> =
                    failures.into_iter().map(|(task, why)| (task.clone(), why)).collect();
                round.failed(&mut memory.deletion, failures).await;
            }
        }
    }
}

/// Lets the hooks of a phase go that have all ended well, and deletes those that say so.
pub(super) async fn clear(
    world: &Arc<World>,
    application: &Application,
    memory: &mut Memory,
    phase: HookPhase,
) -> Step {
    let rules = match rules(world, application, &words::without_hooks(phase)) {
        Ok(rules) => rules,
        Err(message) => return Step::wait(world.resync, Some(message)),
    };
    // After a restart it must be found out again which there are.
    if memory.deletion.rendering.is_none() {
        if let Err(step) = objects::search(world, application, memory) {
            return step;
        }
        if let Err(message) = objects::watch(world, &application.meta.instance, memory).await {
            return Step::wait(PAUSE, message);
        }
    }
    let name = application.meta.instance.as_str();
    let id = id(application, phase);
    for (gvk, key) in world.cluster.tracked(name) {
        let made = world.cluster.live(&gvk, &key).filter(|live| hooks::is_made_for(&live.node(), &id));
        let (Some(live), Ok(kind)) = (made, world.cluster.kind(&gvk).await) else { continue };
        let goes = trueup_api::hook(&live.node()).is_some_and(|hook| hook.delete.succeeded);
        match hooks::tidy(world, &rules.hands, name, &kind, &key, goes).await {
            Ok(()) => {}
            Err(error) => {
                let message = (!world.is_told_for_all(&error)).then(|| {
                    format!("{phase} hook {key} cannot be cleared away: {error}; {}", words::without_hooks(phase))
                });
                return Step::wait(PAUSE, message);
            }
        }
    }
    Step::Over { left: Left::default() }
}

fn place(task: &Task) -> Place {
    (task.phase, task.key.clone())
}

// === impl Kept ===

impl Kept {
    /// Whether a hook failed and is not to be made anew yet.
    fn backs_off(&self, place: &Place) -> bool {
        self.failures.get(place).is_some_and(|failure| failure.again > Instant::now())
    }
}

/// What was done about a hook, seen what is there.
fn standing(known: Option<&Done>, seen: &Seen) -> Option<Done> {
    match known {
        Some(Done::Ended(Ok(()))) => known.cloned(),
        // It failed, and is being deleted to be made anew.
        _ if seen.made && seen.backs_off => Some(Done::Cleared),
        Some(Done::Cleared) if seen.made && seen.going && !seen.well => Some(Done::Cleared),
        // One that somebody takes away before its end has failed: its condition says so.
        _ if seen.made => Some(Done::Made),
        _ => known.cloned(),
    }
}

// === impl Round ===

impl Round<'_> {
    pub(super) fn instance(&self) -> &str {
        &self.application.meta.instance
    }

    /// The hooks of the phase.
    pub(super) fn hooks<'t>(&self, targets: &'t Targets) -> Vec<(Task, &'t Target)> {
        let deletion = self.application.meta.deletion_timestamp.as_deref().unwrap_or_default();
        // The same after a restart, whatever the newest commit is then.
        let uid: String = self.application.meta.uid.chars().take(UID_LETTERS).collect();
        let of_phase = |target: &&Target| {
            trueup_api::hook(target.manifest.node()).is_some_and(|hook| hook.phases.contains(&self.phase))
        };
        let mut taken: HashSet<ObjectKey> = HashSet::new();
        let task = |target: &'t Target| {
            let key = hooks::key_of(target, &uid, self.phase, deletion, |key| taken.contains(key));
            taken.insert(key.clone());
            let task = Task {
                key,
                gvk: target.gvk.clone(),
                phase: self.phase,
                wave: trueup_api::wave(target.manifest.node()),
                act: Act::Hook,
                defines: None,
            };
            (task, target)
        };
        targets.objects.iter().filter(of_phase).map(task).collect()
    }

    /// What stands in the way of a hook may have gone, or turned out to be something else.
    fn look_again(&self, kept: &mut Kept) {
        kept.done.retain(|(_, key), done| {
            let group = |gvk: &Gvk| gvk.group == key.group && gvk.kind == key.kind;
            *done != Done::Cleared
                || kept
                    .rendering
                    .iter()
                    .flat_map(|rendering| rendering.kinds.keys().filter(|gvk| group(gvk)))
                    .any(|gvk| self.world.cluster.live(gvk, key).is_some_and(|live| live.deleting))
        });
    }

    fn facts(&self, kept: &Kept, task: &Task) -> Facts {
        let place = place(task);
        let live = self.world.cluster.live(&task.gvk, &task.key);
        let condition = live.as_deref().map_or(Condition::Well, |live| self.condition(live));
        let seen = Seen {
            made: live.as_ref().is_some_and(|live| hooks::is_made_for(&live.node(), &self.id)),
            going: live.as_ref().is_some_and(|live| live.deleting),
            well: condition == Condition::Well,
            backs_off: kept.backs_off(&place),
        };
        Facts { done: standing(kept.done.get(&place), &seen), due: true, there: live.is_some(), condition }
    }

    /// How a hook is; one that has had its time has failed.
    fn condition(&self, live: &Live) -> Condition {
        match (hooks::condition(live), self.end(live)) {
            (Condition::OnItsWay(_), Some((at, what))) if at <= Timestamp::now() => {
                Condition::Broken(format!("it did not end within {what}"))
            }
            (condition, _) => condition,
        }
    }

    /// When a hook has had its time, and how long that is.
    fn end(&self, live: &Live) -> Option<(Timestamp, String)> {
        let node = live.node();
        let time = trueup_api::hook_deadline(&node).or(self.application.meta.deadlines().hook)?;
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let created: Timestamp = node.str_at(&["metadata", "creationTimestamp"])?.parse().ok()?;
        let at = created.checked_add(time).unwrap_or(Timestamp::MAX);
        Some((at, format!("{time:#} ({})", annotations::HOOK_DEADLINE)))
    }

    /// Remembers which hooks have ended well: they may vanish from now on.
    fn note_ends(&self, kept: &mut Kept, hooks: &[(Task, &Target)]) {
        for (task, _) in hooks {
            let facts = self.facts(kept, task);
            if facts.done == Some(Done::Made) && progress::state(Act::Hook, &facts) == State::Done {
                kept.done.insert(place(task), Done::Ended(Ok(())));
                kept.failures.remove(&place(task));
            }
        }
    }

    /// Makes hooks, or room for them. Answers whether anything may be written.
    async fn make(&self, kept: &mut Kept, rendering: &Rendering, due: &[&(Task, &Target)]) -> bool {
        let (world, hands) = (self.world, &self.rules.hands);
        let occasion = Occasion { name: self.instance(), id: &self.id };
        for (task, target) in due {
            let kind = match rendering.kinds.get(&task.gvk) {
                Some(Ok(kind)) => Ok(kind),
                Some(Err(Verdict::Unserved(why) | Verdict::Unreadable(why))) => Err(why.clone()),
                _ => Err(format!("{} was not looked up", task.gvk)),
            };
            let forbidden = forbidden(&self.rules.project, &self.rules.spec, target, kind.as_ref().ok().copied());
            let done = match (kind, forbidden) {
                (Err(why), _) | (_, Some(why)) => Done::Refused(why),
                (Ok(kind), None) => match hooks::make(world, hands, occasion, target, kind, &task.key).await {
                    Ok(done) => done,
                    Err(ClusterError::Barred { .. }) => return false,
                    Err(error) => Done::Refused(error.to_string()),
                },
            };
            tracing::info!(application = %self.instance(), hook = %task.key, phase = %self.phase, outcome = ?done, "a hook of the deletion");
            kept.done.insert(place(task), done);
        }
        true
    }

    /// Deletes the hooks that failed, and has them made anew in a while, from what Git says then.
    async fn failed(&self, kept: &mut Kept, failures: Vec<(Task, String)>) {
        let world = self.world;
        for (task, why) in failures {
            tracing::warn!(application = %self.instance(), hook = %task.key, phase = %self.phase, %why, "a hook of the deletion failed");
            let made =
                world.cluster.live(&task.gvk, &task.key).filter(|live| hooks::is_made_for(&live.node(), &self.id));
            if made.is_some() {
                if let Ok(kind) = world.cluster.kind(&task.gvk).await
                    && let Err(error) =
                        hooks::tidy(world, &self.rules.hands, self.instance(), &kind, &task.key, true).await
                {
                    tracing::warn!(application = %self.instance(), hook = %task.key, %error, "a hook that failed cannot be deleted");
                }
                kept.done.insert(place(&task), Done::Cleared);
            } else {
                kept.done.remove(&place(&task));
            }
            let times = kept.failures.get(&place(&task)).map_or(0, |failure| failure.failed.times).saturating_add(1);
            let wait = hook_wait(times);
            let failure =
                Failure { failed: Failed { times, why }, again: Instant::now() + wait, again_at: clock::after(wait) };
            kept.failures.insert(place(&task), failure);
        }
        kept.rendering = None;
    }

    /// Waits for what has not ended.
    fn wait(&self, kept: &Kept, hooks: &[(Task, &Target)]) -> Step {
        // What runs tells its end by an event.
        let mut wait: Option<Duration> = None;
        let mut sooner = |due: Duration| wait = Some(wait.map_or(due, |wait| wait.min(due)));
        let mut hindrances = Vec::new();
        for (task, _) in hooks {
            let failure = kept.failures.get(&place(task));
            if let Some(failure) = failure.filter(|failure| failure.again > Instant::now()) {
                sooner(failure.again.saturating_duration_since(Instant::now()));
                let (failed, again) = (failure.failed.clone(), failure.again_at.clone());
                hindrances.push(Hindrance::Failed { key: task.key.clone(), failed, again });
                continue;
            }
            let facts = self.facts(kept, task);
            let live = self.world.cluster.live(&task.gvk, &task.key);
            let (State::Running(_), Some(live)) = (progress::state(Act::Hook, &facts), live) else { continue };
            let (key, node) = (task.key.clone(), live.node());
            if facts.done != Some(Done::Made) {
                sooner(PAUSE);
                hindrances.push(Hindrance::Clears { key, finalizers: words::finalizers_of(&node) });
                continue;
            }
            let end = self.end(&live);
            if let Some((at, _)) = &end {
                sooner(at.duration_since(Timestamp::now()).try_into().unwrap_or_default());
            }
            hindrances.push(Hindrance::Runs {
                key,
                since: node.str_at(&["metadata", "creationTimestamp"]).unwrap_or_default().to_owned(),
                end: end.map(|(at, what)| End { at: clock::text(at), what }),
                failed: failure.map(|failure| failure.failed.clone()),
            });
        }
        if hindrances.is_empty() {
            sooner(PAUSE);
        }
        Step::Wait { wait, message: words::hooks(self.phase, &hindrances) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_made_once_and_anew_only_after_it_failed_or_was_taken_away() {
        let well = || Some(Done::Ended(Ok(())));
        // What was done, and: made for this deletion, being deleted, ended well, waiting after a failure.
        let table: [(Option<Done>, [bool; 4], Option<Done>); 12] = [
            (None, [false, false, true, false], None),
            (None, [true, false, false, false], Some(Done::Made)),
            (None, [true, false, true, false], Some(Done::Made)),
            (None, [true, true, false, false], Some(Done::Made)),
            (None, [true, true, true, false], Some(Done::Made)),
            (Some(Done::Made), [true, true, false, false], Some(Done::Made)),
            (Some(Done::Cleared), [true, true, false, false], Some(Done::Cleared)),
            (Some(Done::Made), [false, false, true, false], Some(Done::Made)),
            (Some(Done::Cleared), [true, false, false, true], Some(Done::Cleared)),
            (Some(Done::Cleared), [true, false, false, false], Some(Done::Made)),
            (well(), [false, false, true, false], well()),
            (well(), [true, true, false, true], well()),
        ];
        for (known, [made, going, well, backs_off], expected) in table {
            let seen = Seen { made, going, well, backs_off };
            assert_eq!(standing(known.as_ref(), &seen), expected, "{known:?} {made} {going} {well} {backs_off}");
        }
    }

    #[test]
    fn every_phase_of_every_deletion_has_hooks_of_its_own() {
        let json = r#"{"metadata": {"name": "a", "uid": "u", "deletionTimestamp": "T"}}"#;
        let application = Application::read(json.as_bytes()).unwrap();
        assert_eq!(id(&application, HookPhase::PreDelete), "u/T/PreDelete");
        assert_ne!(id(&application, HookPhase::PreDelete), id(&application, HookPhase::PostDelete));
    }
}
