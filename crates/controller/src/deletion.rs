//! The end of an application: its objects go first, if it says so, and then its finalizer.
//!
//! Only what is this application's own goes, as it was judged, on complete listings, and never what another application
//! holds. What only its annotation calls ours stays: nobody is left to ask. Entry point: [`advance`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;
use trueup_api::{App, Application, Cascade, Consent, Project, Status, annotations, condition, object_options};
use trueup_cluster::{Cluster, ClusterError, Kind, KindError, Live, Propagation, WatchState};
use trueup_object::{Gvk, ObjectKey};

use crate::extras::{is_ours, live};
use crate::impersonation::hands;
use crate::judge::Verdict;
use crate::kinds::kinds_of;
use crate::memory::Memory;
use crate::notices::WAY_OUT;
use crate::observe::Notice;
use crate::operation::OBJECTS_AT_ONCE;
use crate::perform::applied_by_us;
use crate::permission::{is_our_cluster, not_permitted, project_of};
use crate::world::World;
use crate::writer::{Update, write};
use crate::{clock, event, perform, status};

/// What stands in the way is looked at again after this time, if no event comes before.
const PAUSE: Duration = Duration::from_secs(5);
/// How soon it is looked at again whether other applications have looked at their newest commit.
const BEHIND_PAUSE: Duration = Duration::from_millis(500);
/// How many objects a message names.
const NAMED_MAX: usize = 5;

/// The finalizers that ask for what is done here.
const CASCADE_FINALIZERS: [&str; 3] =
    [annotations::RESOURCES_FINALIZER, annotations::FOREGROUND_FINALIZER, annotations::BACKGROUND_FINALIZER];

/// An object that has to go.
struct Doomed {
    key: ObjectKey,
    kind: Kind,
    live: Arc<Live>,
}

/// How far the deletion is.
enum Step {
    /// What is to go has gone; these objects stay.
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

/// What is to go, and what stays.
#[derive(Default)]
struct Objects {
    doomed: Vec<Doomed>,
    left: Left,
    /// What waits until it is known who holds it, by the reason why that is not known.
    doubtful: BTreeMap<String, Vec<String>>,
}

/// Takes the deletion one step further, and says of that step what there is to say: an earlier one's word ends with it.
pub(crate) async fn advance(world: &Arc<World>, application: &Arc<Application>, memory: &mut Memory) {
    let Some(cascade) = application.meta.cascade() else { return };
    match step(world, application, memory, cascade).await {
        Step::Over { left } => finish(world, application, memory, left).await,
        Step::Wait { wait, message } => {
            if let Some(wait) = wait {
                world.queue.wake_at(&application.meta.instance, Instant::now() + wait);
            }
            say(world, application, message).await;
        }
    }
}

async fn step(world: &Arc<World>, application: &Arc<Application>, memory: &mut Memory, cascade: Cascade) -> Step {
    if memory.inventory.is_empty() {
        memory.read_inventory(application);
    }
    let name = application.meta.instance.as_str();
    let takes_long = clock::since(application.meta.deletion_timestamp.as_deref().unwrap_or_default()) >= PAUSE * 2;
    let wait = |wait: Duration, message: Option<String>| Step::Wait { wait: Some(wait), message };
    let blocked = delete_hooks(application);
    if !blocked.is_empty() {
        let message =
            format!("the finalizers {} ask for hooks that are not run yet: remove them to go on", blocked.join(", "));
        return Step::Wait { wait: None, message: Some(message) };
    }
    let search = *memory.sweep.get_or_insert_with(|| world.sweep.ask());
    if !world.sweep.has_ended(search, name) {
        let because = world.sweep.failing().map(|why| format!(": its kinds cannot be listed: {why}"));
        let message = takes_long.then(|| {
            let because = because.unwrap_or_default();
            format!("waiting until the whole cluster has been searched for objects of this application{because}")
        });
        return wait(PAUSE, message);
    }
    memory.add_found(world.sweep.take(name));
    let may = match may_delete(world, application, memory) {
        Ok(Some(may)) => may,
        Ok(None) => return Step::Over { left: Left::default() },
        Err(message) => return wait(world.resync, Some(message)),
    };
    if let Some(other) = world.behind(name, &may.spec.source.repo_url) {
        // It may be about to hold what would be deleted here, as when an application is renamed.
        let message =
            takes_long.then(|| format!("waiting until application '{other}' has looked at its newest commit"));
        return wait(BEHIND_PAUSE, message);
    }
    match objects(world, name, &may, memory).await {
        Err(message) => wait(PAUSE, message),
        Ok(Objects { doomed, left, doubtful }) if doomed.is_empty() && doubtful.is_empty() => Step::Over { left },
        // Whoever can be listed again wakes everybody.
        Ok(Objects { doomed, doubtful, .. }) if doomed.is_empty() => {
            Step::Wait { wait: None, message: unknown(doubtful) }
        }
        Ok(Objects { doomed, doubtful, .. }) => {
            let failures = delete(world, &may.hands, &doomed, cascade).await;
            let stuck = || stuck(&doomed).filter(|_| takes_long);
            // The events of the deletions wake the application before that.
            wait(PAUSE, failures.or_else(stuck).or_else(|| unknown(doubtful)))
        }
    }
}

/// Under which rules objects are deleted; nothing if there are none to delete.
struct May {
    spec: App,
    project: Arc<Project>,
    /// The cluster, as whoever deletes them.
    hands: Cluster,
}

/// Finds the rules. Without them nothing is deleted on doubt: an object may be on another cluster, or not be permitted.
fn may_delete(world: &World, application: &Application, memory: &Memory) -> Result<Option<May>, String> {
    if memory.inventory.is_empty() && world.cluster.tracked(&application.meta.instance).is_empty() {
        return Ok(None);
    }
    let way_out = "mend it, or remove the finalizer to leave the objects where they are";
    let spec =
        application.spec.as_ref().map_err(|errors| format!("the specification is not valid: {errors}; {way_out}"))?;
    if !is_our_cluster(&spec.destination) {
        return Err(format!("the destination is not this cluster, so its objects cannot be deleted: {way_out}"));
    }
    let project = project_of(world, &application.meta, spec).map_err(|error| format!("{error}: {way_out}"))?;
    let hands = hands(world, &application.meta, spec, &project).map_err(|error| format!("{error}: {way_out}"))?;
    Ok(Some(May { spec: spec.clone(), project, hands }))
}

/// The finalizers that ask for hooks at the deletion.
fn delete_hooks(application: &Application) -> Vec<&str> {
    let asks = |finalizer: &&str| {
        finalizer.starts_with(annotations::PRE_DELETE_FINALIZER)
            || finalizer.starts_with(annotations::POST_DELETE_FINALIZER)
    };
    application.meta.finalizers.iter().map(String::as_str).filter(asks).collect()
}

/// Everything that has to go and what stays, or what must be known first.
async fn objects(world: &Arc<World>, name: &str, may: &May, memory: &mut Memory) -> Result<Objects, Option<String>> {
    let mut candidates: BTreeMap<ObjectKey, Gvk> = memory.inventory.clone();
    let kinds = kinds_of(world, candidates.values().cloned().collect()).await;
    world.note_kinds(name, kinds.keys());
    if memory.wanted.take().is_some() || !candidates.is_empty() {
        world.cluster.want(name, candidates.iter().map(|(key, gvk)| (gvk.clone(), key.clone())));
    }
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
        if let Some(why) = not_permitted(&may.project, &may.spec.project, &key, !key.namespace.is_empty()) {
            if listed && !live.owned && is_ours(world, name, &live) {
                objects.left.forbidden.push(format!("{key} ({why})"));
            }
            continue;
        }
        if !goes(world, name, may, &key, &live) {
            if listed && !live.owned && has_other_id(world, &live) {
                objects.left.foreign.push(key);
            }
        } else if !listed && !applied_by_us(&live.node()) {
            objects.left.foreign.push(key);
        } else if let Some(why) = world.doubt(&key).filter(|_| !live.deleting) {
            objects.doubtful.entry(why).or_default().push(key.to_string());
        } else {
            objects.doomed.push(Doomed { key, kind, live });
        }
    }
    Ok(objects)
}

/// Whether another installation's id stands on an object, or none where we have one.
fn has_other_id(world: &World, live: &Live) -> bool {
    live.app.is_some() && live.installation.as_deref().unwrap_or_default() != &*world.cluster.installation()
}

fn goes(world: &World, name: &str, may: &May, key: &ObjectKey, live: &Live) -> bool {
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
    let node = live.node();
    let options = object_options(&node);
    options.within(&may.spec.options).delete == Consent::Yes && !options.keep
}

/// Deletes what is due: one kind's rank after the other, from the last to the first. Answers what failed.
async fn delete(world: &Arc<World>, hands: &Cluster, doomed: &[Doomed], cascade: Cascade) -> Option<String> {
    let propagation = match cascade {
        Cascade::Foreground => Propagation::Foreground,
        Cascade::Background => Propagation::Background,
    };
    let objects = doomed.iter().map(|doomed| (doomed.key.clone(), trueup_api::wave(&doomed.live.node())));
    let mut failures = Vec::new();
    let first = trueup_plan::schedule::prune_order(objects).into_iter().next();
    let mut deletions = Vec::new();
    for doomed in doomed.iter().filter(|doomed| !doomed.live.deleting) {
        if first.as_ref().is_some_and(|keys| keys.contains(&doomed.key)) {
            deletions.push(async move {
                let metrics = &world.metrics;
                let outcome =
                    perform::prune(hands, metrics, &doomed.kind, &doomed.key, &doomed.live, propagation).await;
                (doomed, outcome)
            });
        }
    }
    let outcomes: Vec<_> = stream::iter(deletions).buffer_unordered(OBJECTS_AT_ONCE).collect().await;
    for (doomed, outcome) in outcomes {
        match outcome {
            // It is looked at again in any case.
            Ok(()) | Err(ClusterError::NotFound(_) | ClusterError::Conflict | ClusterError::Barred { .. }) => {}
            Err(error) => failures.push(format!("{}: {error}", doomed.key)),
        }
    }
    // They come in any order, and the same failures are the same message.
    failures.sort_unstable();
    (!failures.is_empty()).then(|| failures.join("; "))
}

/// What is said of objects of which nobody knows who holds them.
fn unknown(doubtful: BTreeMap<String, Vec<String>>) -> Option<String> {
    let said = doubtful.into_iter().map(|(why, keys)| format!("{}: {why}", named(keys)));
    let said = said.collect::<Vec<_>>().join("; ");
    (!said.is_empty()).then(|| {
        format!(
            "not deleted until it is known who holds it: {said}; {WAY_OUT}, or remove the finalizer to leave the objects where they are"
        )
    })
}

/// What is said of objects that do not go.
fn stuck(doomed: &[Doomed]) -> Option<String> {
    let deleting = doomed.iter().filter(|doomed| doomed.live.deleting);
    let stuck: Vec<String> = deleting.filter_map(|doomed| finalizers(&doomed.key, &doomed.live)).collect();
    (!stuck.is_empty()).then(|| format!("waiting for objects to go: {}", named(stuck)))
}

/// The first of many, and how many more there are.
fn named(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    let shown = all.join("; ");
    if more > 0 { format!("{shown}; and {more} more") } else { shown }
}

/// What keeps an object that is being deleted.
fn finalizers(key: &ObjectKey, live: &Live) -> Option<String> {
    let node = live.node();
    let finalizers: Vec<&str> =
        node.list_at(&["metadata", "finalizers"]).iter().filter_map(trueup_object::Node::as_str).collect();
    (!finalizers.is_empty()).then(|| format!("{key} (finalizers: {})", finalizers.join(", ")))
}

/// The finalizer has done its work. What stays in doubt is told once, before nobody is there any more to tell it of.
async fn finish(world: &Arc<World>, application: &Arc<Application>, memory: &mut Memory, left: Left) {
    if !std::mem::replace(&mut memory.farewell, true) {
        if !left.foreign.is_empty() {
            let names = named(left.foreign.iter().map(ToString::to_string).collect());
            let message = format!(
                "left where they are, since they may be another installation's (they bear another installation id, or no inventory lists them and Trueup never applied them): {names}; delete them by hand if they are not"
            );
            tell(world, application, "ObjectsLeft", &message);
        }
        if !left.forbidden.is_empty() {
            let message =
                format!("left where they are, since the project does not permit them: {}", named(left.forbidden));
            tell(world, application, "ObjectsNotPermitted", &message);
        }
        if let Some(kinds) = world.sweep.unlisted() {
            let message =
                format!("{kinds} cannot be listed: what no inventory lists of them for this application stays");
            tell(world, application, "NotSearched", &message);
        }
    }
    let update = Update { take_finalizers: CASCADE_FINALIZERS.map(str::to_owned).to_vec(), ..Update::default() };
    if let Err(error) = write(world, application, application, &update).await {
        if !world.is_told_for_all(&error) {
            tracing::warn!(application = %application.meta.instance, %error, "the finalizer cannot be removed");
        }
        world.queue.wake_at(&application.meta.instance, Instant::now() + PAUSE);
    }
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

    #[test]
    fn who_may_hold_what_is_said_with_the_way_out() {
        assert_eq!(unknown(BTreeMap::new()), None);
        let said = unknown(BTreeMap::from([("because".to_owned(), vec!["x".to_owned(), "y".to_owned()])])).unwrap();
        assert!(said.contains("x; y: because; ") && said.contains("finalizer"), "{said}");
    }

    #[test]
    fn of_many_the_first_are_named() {
        let names = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
        assert_eq!(named(names(2)), "0; 1");
        assert_eq!(named(names(7)), "0; 1; 2; 3; 4; and 2 more");
    }
}
