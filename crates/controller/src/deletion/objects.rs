//! The objects of an application that is deleted: which go, which stay, and the deletion of the next wave.
//!
//! Invariants: only what is this application's own goes, as it was judged, on complete listings, and never what another
//! application holds; no wave begins before everything of the one above is gone; while one object waits for somebody's approval,
//! none goes. Entry point: [`advance`]; [`unapproved`] for what comes before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use trueup_api::{Application, Cascade, Consent, annotations, object_options, wave};
use trueup_cluster::{ClusterError, Kind, KindError, Live, Propagation, WatchState};
use trueup_object::{Gvk, Node, ObjectKey};
use trueup_plan::schedule::prune_order;

use super::rules::{Rules, rules};
use super::{Left, PAUSE, Step, words};
use crate::extras::{is_ours, live};
use crate::judge::Verdict;
use crate::kinds::kinds_of;
use crate::memory::Memory;
use crate::operation::OBJECTS_AT_ONCE;
use crate::perform::applied_by_us;
use crate::permission::not_permitted;
use crate::tasks::{approved, is_not_before};
use crate::world::World;
use crate::{clock, hooks, perform};

/// How soon it is looked at again whether other applications have looked at their newest commit.
const BEHIND_PAUSE: Duration = Duration::from_millis(500);
/// What is waited for longer than this is told.
const PATIENCE: Duration = Duration::from_secs(10);
/// What can be done where the rules are wrong.
const WAY_OUT: &str = "mend it, or remove the finalizer to leave the objects where they are";

/// An object that has to go.
struct Doomed {
    key: ObjectKey,
    kind: Kind,
    wave: i64,
    live: Arc<Live>,
}

/// What is to go, and what stays.
#[derive(Default)]
struct Objects {
    doomed: Vec<Doomed>,
    left: Left,
    /// What waits until it is known who holds it, by the reason why that is not known.
    doubtful: BTreeMap<String, Vec<String>>,
    /// What somebody has to approve of first.
    unapproved: Vec<ObjectKey>,
}

/// Deletes what is due. When all of it is gone, answers what stays.
pub(super) async fn advance(
    world: &Arc<World>,
    application: &Application,
    memory: &mut Memory,
    cascade: Cascade,
) -> Step {
    let rules = match prepare(world, application, memory) {
        Ok(rules) => rules,
        Err(step) => return step,
    };
    match objects(world, application, rules.as_ref(), memory).await {
        Err(message) => Step::wait(PAUSE, message),
        // The approval is a change of the Application, which wakes it.
        Ok(Objects { unapproved, .. }) if !unapproved.is_empty() => for_approval(application, &unapproved),
        Ok(Objects { doomed, left, doubtful, .. }) if doomed.is_empty() && doubtful.is_empty() => Step::Over { left },
        // Whoever can be listed again wakes everybody.
        Ok(Objects { doomed, doubtful, .. }) if doomed.is_empty() => {
            Step::Wait { wait: None, message: words::unknown(doubtful) }
        }
        Ok(Objects { doomed, doubtful, .. }) => {
            let wave = next_wave(&doomed);
            let failures = match &rules {
                Some(rules) => delete(world, application, rules, &wave, cascade).await,
                None => None,
            };
            let alone = doomed.iter().all(|other| wave.first().is_none_or(|first| first.wave == other.wave));
            let stuck = || stuck(&wave, alone);
            // The events of the deletions wake the application before that.
            Step::wait(PAUSE, failures.or_else(stuck).or_else(|| words::unknown(doubtful)))
        }
    }
}

/// What keeps the whole deletion: objects that somebody has to approve of, or that nobody knows yet whether there are any.
pub(super) async fn unapproved(world: &Arc<World>, application: &Application, memory: &mut Memory) -> Option<Step> {
    let rules = match prepare(world, application, memory) {
        Ok(rules) => rules,
        Err(step) => return Some(step),
    };
    match objects(world, application, rules.as_ref(), memory).await {
        Err(message) => Some(Step::wait(PAUSE, message)),
        Ok(Objects { unapproved, .. }) => (!unapproved.is_empty()).then(|| for_approval(application, &unapproved)),
    }
}

fn for_approval(application: &Application, unapproved: &[ObjectKey]) -> Step {
    let deletion = application.meta.deletion_timestamp.as_deref().unwrap_or_default();
    Step::Wait { wait: None, message: words::approval(unapproved, deletion) }
}

/// Whether it is time to say what is waited for.
fn takes_long(application: &Application) -> bool {
    clock::since(application.meta.deletion_timestamp.as_deref().unwrap_or_default()) >= PATIENCE
}

/// Has the whole cluster searched for objects of the application, once.
pub(super) fn search(world: &World, application: &Application, memory: &mut Memory) -> Result<(), Step> {
    let name = application.meta.instance.as_str();
    let search = *memory.sweep.get_or_insert_with(|| world.sweep.ask());
    if !world.sweep.has_ended(search, name) {
        let because = world.sweep.failing().map(|why| format!(": its kinds cannot be listed: {why}"));
        let message = takes_long(application).then(|| {
            let because = because.unwrap_or_default();
            format!("waiting until the whole cluster has been searched for objects of this application{because}")
        });
        return Err(Step::wait(PAUSE, message));
    }
    memory.add_found(world.sweep.take(name));
    Ok(())
}

/// What must be known first. Answers the rules; none if there is nothing to delete.
fn prepare(world: &Arc<World>, application: &Application, memory: &mut Memory) -> Result<Option<Rules>, Step> {
    search(world, application, memory)?;
    let name = application.meta.instance.as_str();
    if memory.inventory.is_empty() && world.cluster.tracked(name).is_empty() {
        return Ok(None);
    }
    let rules = rules(world, application, WAY_OUT).map_err(|message| Step::wait(world.resync, Some(message)))?;
    if let Some(other) = world.behind(name, &rules.spec) {
        // It may be about to hold what would be deleted here, as when an application is renamed.
        let message = takes_long(application)
            .then(|| format!("waiting until application '{other}' has looked at its newest commit"));
        return Err(Step::wait(BEHIND_PAUSE, message));
    }
    Ok(Some(rules))
}

/// Asks to be told of what the application has.
pub(super) fn want(world: &World, name: &str, memory: &Memory) {
    world.cluster.want(name, memory.inventory.iter().map(|(key, gvk)| (gvk.clone(), key.clone())));
}

/// Has the kinds of the inventory watched. Answers what must be known first.
pub(super) async fn watch(world: &World, name: &str, memory: &Memory) -> Result<(), Option<String>> {
    let kinds = kinds_of(world, memory.inventory.values().cloned().collect()).await;
    world.note_kinds(name, kinds.keys());
    want(world, name, memory);
    for (gvk, kind) in &kinds {
        match kind {
            Ok(kind) => {
                world.cluster.watch(kind);
                match world.cluster.watch_state(gvk) {
                    WatchState::Ready => {}
                    WatchState::Pending { .. } => return Err(None),
                    WatchState::Failed { message, .. } => {
                        return Err(Some(format!(
                            "{gvk} cannot be listed, so that nothing is deleted on doubt: {message}"
                        )));
                    }
                }
            }
            Err(Verdict::Unreadable(why)) => return Err(Some(why.clone())),
            // Without its kind an object cannot be there.
            Err(_) => {}
        }
    }
    Ok(())
}

/// Everything that has to go and what stays, or what must be known first.
async fn objects(
    world: &Arc<World>,
    application: &Application,
    rules: Option<&Rules>,
    memory: &mut Memory,
) -> Result<Objects, Option<String>> {
    let Some(rules) = rules else { return Ok(Objects::default()) };
    let name = application.meta.instance.as_str();
    watch(world, name, memory).await?;
    let mut candidates: BTreeMap<ObjectKey, Gvk> = memory.inventory.clone();
    candidates.extend(world.cluster.tracked(name).into_iter().map(|(gvk, key)| (key, gvk)));
    let mut objects = Objects::default();
    for (key, gvk) in candidates {
        let kind = match world.cluster.kind(&gvk).await {
            Ok(kind) => kind,
            // Without its kind an object cannot be there.
            Err(KindError::NotServed(_)) => continue,
            Err(error) => return Err(Some(error.to_string())),
        };
        let live = live(world, &kind, &key).await.map_err(|error| Some(format!("{key} cannot be read: {error}")))?;
        let Some(live) = live else { continue };
        let listed = memory.answers_for(&key);
        if let Some(why) = not_permitted(&rules.project, &rules.spec.project, &key, !key.namespace.is_empty()) {
            if listed && !live.owned && is_ours(world, name, &live) {
                objects.left.forbidden.push(format!("{key} ({why})"));
            }
            continue;
        }
        let node = live.node();
        if !goes(world, name, rules, &key, &live) {
            if listed && !live.owned && has_other_id(world, &live) {
                objects.left.foreign.push(key);
            }
            continue;
        }
        if !listed && !applied_by_us(&node) && !is_hook_of_ours(&node) {
            objects.left.foreign.push(key);
            continue;
        }
        let consent = object_options(&node).within(&rules.spec.options).delete;
        if consent == Consent::Confirm && !live.deleting && !is_approved(application) {
            objects.unapproved.push(key.clone());
        }
        match world.doubt(&key).filter(|_| !live.deleting) {
            Some(why) => objects.doubtful.entry(why).or_default().push(key.to_string()),
            None => objects.doomed.push(Doomed { wave: wave(&node), key, kind, live }),
        }
    }
    Ok(objects)
}

/// Whether we made an object as a hook: then it is ours although it was never applied.
fn is_hook_of_ours(node: &Node) -> bool {
    node.str_at(&["metadata", "annotations", annotations::HOOK_RUN]).is_some()
}

/// Whether somebody has approved of this deletion.
fn is_approved(application: &Application) -> bool {
    let deletion = application.meta.deletion_timestamp.as_deref().unwrap_or_default();
    approved(application).is_some_and(|at| is_not_before(at, deletion))
}

/// Whether another installation's id stands on an object, or none where we have one.
fn has_other_id(world: &World, live: &Live) -> bool {
    live.app.is_some() && live.installation.as_deref().unwrap_or_default() != &*world.cluster.installation()
}

/// Whether an object that the project permits goes, if need be after somebody has approved.
fn goes(world: &World, name: &str, rules: &Rules, key: &ObjectKey, live: &Live) -> bool {
    // As upstream: a CustomResourceDefinition would take every object of its kind along, of whomever.
    if key.kind == "CustomResourceDefinition" || live.owned || !is_ours(world, name, live) {
        return false;
    }
    // What another application holds stays, and so does a namespace in which it holds something.
    if world.holders.other(name, key).is_some()
        || (key.kind == "Namespace" && world.holders.other_in(name, &key.name).is_some())
    {
        return false;
    }
    let options = object_options(&live.node());
    options.within(&rules.spec.options).delete != Consent::No && !options.keep
}

/// What goes next, side by side: the highest wave, and of it what depends on the rest.
fn next_wave(doomed: &[Doomed]) -> Vec<&Doomed> {
    let order = prune_order(doomed.iter().map(|doomed| (doomed.key.clone(), doomed.wave)));
    let first = order.into_iter().next().unwrap_or_default();
    doomed.iter().filter(|doomed| first.contains(&doomed.key)).collect()
}

/// Deletes what is not being deleted yet. Answers what failed.
async fn delete(
    world: &Arc<World>,
    application: &Application,
    rules: &Rules,
    wave: &[&Doomed],
    cascade: Cascade,
) -> Option<String> {
    let propagation = match cascade {
        Cascade::Foreground => Propagation::Foreground,
        Cascade::Background => Propagation::Background,
    };
    let name = application.meta.instance.as_str();
    let mut deletions = Vec::with_capacity(wave.len());
    for doomed in wave {
        deletions.push(async move {
            let Doomed { key, kind, live, .. } = doomed;
            let outcome = if live.deleting {
                // Nothing of ours keeps it.
                hooks::tidy(world, &rules.hands, name, kind, key, true).await
            } else {
                perform::prune(&rules.hands, &world.metrics, kind, key, live, propagation).await
            };
            (key, outcome)
        });
    }
    let outcomes: Vec<_> = stream::iter(deletions).buffer_unordered(OBJECTS_AT_ONCE).collect().await;
    let failed = |(key, outcome): (&ObjectKey, Result<(), ClusterError>)| match outcome {
        // It is looked at again in any case.
        Ok(()) | Err(ClusterError::NotFound(_) | ClusterError::Conflict | ClusterError::Barred { .. }) => None,
        Err(error) => Some(format!("{key}: {error}")),
    };
    let mut failures: Vec<String> = outcomes.into_iter().filter_map(failed).collect();
    // They come in any order, and the same failures are the same message.
    failures.sort_unstable();
    (!failures.is_empty()).then(|| words::named(failures))
}

/// What is said of objects that have been going for a while: a wave of many is no hindrance.
fn stuck(wave: &[&Doomed], alone: bool) -> Option<String> {
    let number = wave.first()?.wave;
    let since = |live: &Live| {
        let node = live.node();
        clock::since(node.str_at(&["metadata", "deletionTimestamp"]).unwrap_or_default())
    };
    let deleting = wave.iter().filter(|doomed| doomed.live.deleting && since(&doomed.live) >= PATIENCE);
    words::stuck(number, alone, deleting.map(|doomed| (&doomed.key, &*doomed.live)))
}
