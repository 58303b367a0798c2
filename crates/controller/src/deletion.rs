//! The end of an application: the hooks before it, its objects wave by wave, the hooks after it, as far as its finalizers ask
//! for them.
//!
//! Level, not edge: the finalizers that are left tell how far it is, and each is taken when its work is done. A sync that is under
//! way ends at once. What only its annotation calls ours stays: nobody is left to ask. Entry point: [`advance`]; [`Look::mind`]
//! gives an application the finalizers that its hooks need.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, HookPhase, Status, condition};
use trueup_object::ObjectKey;

use crate::memory::Memory;
use crate::observe::{Notice, View};
use crate::reconcile::Look;
use crate::world::World;
use crate::writer::{Update, write};
use crate::{clock, event, status};

mod finalizers;
mod hooks;
mod objects;
mod rendering;
mod rules;
mod sync;
mod words;

pub(crate) use hooks::Kept;

use finalizers::Stage;

/// What stands in the way is looked at again after this time, if no event comes before.
const PAUSE: Duration = Duration::from_secs(5);

/// How far a stage of the deletion is.
enum Step {
    /// All of it is done; these objects stay.
    Over { left: Left },
    /// Something is waited for: an event, or that time if there is one. And what is to be said of it.
    Wait { wait: Option<Duration>, message: Option<String> },
}

/// What stays although our inventory or its annotation calls it ours.
#[derive(Default)]
struct Left {
    /// It may be another installation's.
    foreign: Vec<ObjectKey>,
    /// The project does not permit it, and why.
    forbidden: Vec<String>,
}

// === impl Step ===

impl Step {
    fn wait(wait: Duration, message: Option<String>) -> Self {
        Self::Wait { wait: Some(wait), message }
    }
}

/// Takes the deletion one step further, and says of that step what there is to say: an earlier one's word ends with it.
pub(crate) async fn advance(world: &Arc<World>, application: &Arc<Application>, memory: &mut Memory) {
    let name = application.meta.instance.as_str();
    if memory.inventory.is_empty() {
        memory.read_inventory(application);
    }
    let Some(application) = sync::end(world, application, memory).await else {
        return world.queue.wake_at(name, Instant::now() + PAUSE);
    };
    let Some(stage) = Stage::of(&application.meta) else { return };
    match step(world, &application, memory, stage).await {
        Step::Over { left } => finish(world, &application, memory, stage, left).await,
        Step::Wait { wait, message } => {
            if let Some(wait) = wait {
                world.queue.wake_at(name, Instant::now() + wait);
            }
            say(world, &application, message).await;
        }
    }
}

async fn step(world: &Arc<World>, application: &Application, memory: &mut Memory, stage: Stage) -> Step {
    match stage {
        Stage::Hooks(phase) => {
            // Nothing at all happens before somebody has approved where that is asked for.
            if phase == HookPhase::PreDelete
                && application.meta.cascade().is_some()
                && let Some(step) = objects::unapproved(world, application, memory).await
            {
                return step;
            }
            hooks::run(world, application, memory, phase).await
        }
        Stage::Cleanup(phase) => hooks::clear(world, application, memory, phase).await,
        Stage::Objects(cascade) => objects::advance(world, application, memory, cascade).await,
    }
}

/// A stage is done: its finalizers go. What stays in doubt is told once, before nobody is there any more to tell it of.
async fn finish(world: &Arc<World>, application: &Arc<Application>, memory: &mut Memory, stage: Stage, left: Left) {
    if matches!(stage, Stage::Objects(_)) && !std::mem::replace(&mut memory.farewell, true) {
        if !left.foreign.is_empty() {
            let names = words::named(left.foreign.iter().map(ToString::to_string).collect());
            let message = format!(
                "left where they are, since they may be another installation's (they bear another installation id, or no inventory lists them and Trueup never applied them): {names}; delete them by hand if they are not"
            );
            tell(world, application, "ObjectsLeft", &message);
        }
        if !left.forbidden.is_empty() {
            let names = words::named(left.forbidden);
            let message = format!("left where they are, since the project does not permit them: {names}");
            tell(world, application, "ObjectsNotPermitted", &message);
        }
        if let Some(kinds) = world.sweep.unlisted() {
            let message =
                format!("{kinds} cannot be listed: what no inventory lists of them for this application stays");
            tell(world, application, "NotSearched", &message);
        }
    }
    let update = Update { take_finalizers: stage.finalizers(), ..Update::default() };
    let pause = match write(world, application, application, &update).await {
        // The next stage, if there is one.
        Ok(_) => Duration::ZERO,
        Err(error) => {
            if !world.is_told_for_all(&error) {
                tracing::warn!(application = %application.meta.instance, %error, "the finalizer cannot be removed");
            }
            PAUSE
        }
    };
    world.queue.wake_at(&application.meta.instance, Instant::now() + pause);
}

fn tell(world: &Arc<World>, application: &Application, reason: &'static str, message: &str) {
    tracing::warn!(application = %application.meta.instance, reason, %message, "the deletion leaves something behind");
    event::warning(world, application, reason, message);
}

/// Makes the condition what there is to say, and nothing else.
async fn say(world: &Arc<World>, application: &Arc<Application>, message: Option<String>) {
    let new = said(&application.status, message);
    if new == application.status {
        return;
    }
    let update = Update { status: Some(new), ..Update::default() };
    if let Err(error) = write(world, application, application, &update).await
        && !world.is_told_for_all(&error)
    {
        tracing::warn!(application = %application.meta.instance, %error, "the status cannot be written");
    }
}

fn said(old: &Status, message: Option<String>) -> Status {
    let mut status = old.clone();
    match message {
        Some(message) => {
            status::set_condition(&mut status, &Notice { kind: condition::DELETION_ERROR, message }, &clock::now());
        }
        None => status.conditions.retain(|condition| condition.kind != condition::DELETION_ERROR),
    }
    status
}

impl Look<'_> {
    /// Gives the application the finalizers that the hooks of its deletion need, and takes those that no hook needs, before
    /// anything of it is made.
    pub(crate) async fn mind(&mut self, view: &View) {
        if view.no_target.is_some() || !view.targets.invalid.is_empty() {
            // Which hooks there are is not known.
            return;
        }
        let hooks = view.objects.iter().filter_map(|judged| judged.hook.as_ref());
        let phases: Vec<HookPhase> = hooks.flat_map(|hook| hook.phases.iter().copied()).collect();
        let (given, taken) = finalizers::changes(&self.application.meta, &phases);
        if given.is_empty() && taken.is_empty() {
            return;
        }
        let update = Update { give_finalizers: given, take_finalizers: taken, ..Update::default() };
        match write(self.world, &self.first, &self.application, &update).await {
            Ok(Some(application)) => self.application = application,
            Ok(None) => {}
            Err(error) => {
                if !self.world.is_told_for_all(&error) {
                    tracing::warn!(application = %self.name(), %error, "the finalizers for its hooks cannot be written");
                }
                self.world.queue.wake_at(self.name(), Instant::now() + PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_ends_with_its_step_and_leaves_others_alone() {
        let mut before = Status::default();
        let other = Notice { kind: condition::COMPARISON_WARNING, message: "m".to_owned() };
        status::set_condition(&mut before, &other, "t");
        let first = said(&before, Some("hooks".to_owned()));
        assert_eq!(first.conditions.len(), 2);
        assert_eq!(said(&first, Some("hooks".to_owned())), first, "the same word is no write");
        let second = said(&first, Some("waiting".to_owned()));
        let words: Vec<&str> = second.conditions.iter().map(|condition| condition.message.as_str()).collect();
        assert_eq!(words, ["m", "waiting"]);
        assert_eq!(said(&second, None), before);
    }
}
