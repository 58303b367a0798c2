//! The end of an application: its objects go first, if it says so, and then its finalizer.
//!
//! Only what is this application's own goes, as it was judged, on complete listings, and never what another application
//! holds. Entry point: [`advance`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::time::Instant;
use trueup_api::{App, Application, Cascade, Project, annotations, condition, deletes_explicitly, object_options};
use trueup_cluster::{ClusterError, Kind, KindError, Live, Propagation, WatchState};
use trueup_object::{Gvk, ObjectKey};

use crate::extras::{is_ours, live};
use crate::judge::Verdict;
use crate::kinds::kinds_of;
use crate::memory::Memory;
use crate::observe::Notice;
use crate::operation::OBJECTS_AT_ONCE;
use crate::past::inventory;
use crate::permission::{is_our_cluster, not_permitted, project_of};
use crate::world::World;
use crate::writer::{Update, write};
use crate::{clock, perform, status};

/// What stands in the way is looked at again after this time, if no event comes before.
const PAUSE: Duration = Duration::from_secs(5);
/// How soon it is looked at again whether other applications have looked at their newest commit.
const BEHIND_PAUSE: Duration = Duration::from_millis(500);
/// How many objects the condition names.
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

/// Takes the deletion one step further.
pub(crate) async fn advance(world: &Arc<World>, application: &Arc<Application>, memory: &mut Memory) {
    let Some(cascade) = application.meta.cascade() else { return };
    if memory.inventory.is_empty() {
        memory.inventory = inventory(application);
    }
    let blocked = delete_hooks(application);
    if !blocked.is_empty() {
        let message =
            format!("the finalizers {} ask for hooks that are not run yet: remove them to go on", blocked.join(", "));
        return report(world, application, message).await;
    }
    let search = *memory.sweep.get_or_insert_with(|| world.sweep.ask());
    if !world.sweep.has_ended(search, &application.meta.instance) {
        world.queue.wake_at(&application.meta.instance, Instant::now() + PAUSE);
        if clock::since(application.meta.deletion_timestamp.as_deref().unwrap_or_default()) >= PAUSE * 2 {
            let message =
                "waiting until the whole cluster has been searched for objects of this application".to_owned();
            report(world, application, message).await;
        }
        return;
    }
    memory.inventory.extend(world.sweep.take(&application.meta.instance));
    let may = match may_delete(world, application, memory) {
        Ok(may) => may,
        Err(message) => {
            world.queue.wake_at(&application.meta.instance, Instant::now() + world.resync);
            return report(world, application, message).await;
        }
    };
    if let Some(may) = &may
        && let Some(other) = world.behind(&application.meta.instance, &may.spec.source.repo_url)
    {
        // It may be about to hold what would be deleted here, as when an application is renamed.
        world.queue.wake_at(&application.meta.instance, Instant::now() + BEHIND_PAUSE);
        if clock::since(application.meta.deletion_timestamp.as_deref().unwrap_or_default()) >= PAUSE * 2 {
            let message = format!("waiting until application '{other}' has looked at its newest commit");
            report(world, application, message).await;
        }
        return;
    }
    match doomed(world, &application.meta.instance, may.as_ref(), memory).await {
        Err(waiting) => {
            world.queue.wake_at(&application.meta.instance, Instant::now() + PAUSE);
            if let Some(message) = waiting {
                report(world, application, message).await;
            }
        }
        Ok(doomed) if doomed.is_empty() => finish(world, application).await,
        Ok(doomed) => delete(world, application, doomed, cascade).await,
    }
}

/// Under which rules objects are deleted; nothing if there are none to delete.
struct May {
    spec: App,
    project: Arc<Project>,
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
    Ok(Some(May { spec: spec.clone(), project }))
}

/// The finalizers that ask for hooks at the deletion.
fn delete_hooks(application: &Application) -> Vec<&str> {
    let asks = |finalizer: &&str| {
        finalizer.starts_with(annotations::PRE_DELETE_FINALIZER)
            || finalizer.starts_with(annotations::POST_DELETE_FINALIZER)
    };
    application.meta.finalizers.iter().map(String::as_str).filter(asks).collect()
}

/// Everything that has to go, or what must be known first.
async fn doomed(
    world: &Arc<World>,
    name: &str,
    may: Option<&May>,
    memory: &mut Memory,
) -> Result<Vec<Doomed>, Option<String>> {
    let Some(may) = may else { return Ok(Vec::new()) };
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
    let mut doomed = Vec::new();
    for (key, gvk) in candidates {
        let kind = match world.cluster.kind(&gvk).await {
            Ok(kind) => kind,
            // Without its kind an object cannot be there.
            Err(KindError::NotServed(_)) => continue,
            Err(error) => return Err(Some(error.to_string())),
        };
        let live = live(world, &kind, &key).await.map_err(|error| Some(format!("{key} cannot be read: {error}")))?;
        let Some(live) = live else { continue };
        if goes(world, name, may, &key, &live) {
            doomed.push(Doomed { key, kind, live });
        }
    }
    Ok(doomed)
}

fn goes(world: &World, name: &str, may: &May, key: &ObjectKey, live: &Live) -> bool {
    // As upstream: a CustomResourceDefinition would take every object of its kind along, of whomever.
    if key.kind == "CustomResourceDefinition" || live.owned || !is_ours(name, live) {
        return false;
    }
    // What another application holds stays, and so does a namespace in which it holds something.
    if world.holders.other(name, key).is_some()
        || (key.kind == "Namespace" && (world.unlisted.has_any() || world.holders.other_in(name, &key.name).is_some()))
    {
        return false;
    }
    if not_permitted(&may.project, &may.spec.project, key, !key.namespace.is_empty()).is_some() {
        return false;
    }
    let node = live.node();
    let options = object_options(&node);
    options.delete && !options.keep && (may.spec.options.delete || deletes_explicitly(&node))
}

/// Deletes what is due: one kind's rank after the other, from the last to the first.
async fn delete(world: &Arc<World>, application: &Arc<Application>, doomed: Vec<Doomed>, cascade: Cascade) {
    let propagation = match cascade {
        Cascade::Foreground => Propagation::Foreground,
        Cascade::Background => Propagation::Background,
    };
    let prunes: Vec<ObjectKey> = doomed.iter().map(|doomed| doomed.key.clone()).collect();
    let mut failures = Vec::new();
    let first = trueup_plan::steps(Vec::new(), prunes).into_iter().find_map(|step| match step {
        trueup_plan::Step::Prune(keys) => Some(keys),
        trueup_plan::Step::Apply(_) => None,
    });
    let mut deletions = Vec::new();
    for doomed in doomed.iter().filter(|doomed| !doomed.live.deleting) {
        if first.as_ref().is_some_and(|keys| keys.contains(&doomed.key)) {
            deletions.push(async move {
                let (cluster, metrics) = (&world.cluster, &world.metrics);
                let outcome =
                    perform::prune(cluster, metrics, &doomed.kind, &doomed.key, &doomed.live, propagation).await;
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
    // The events of the deletions wake the application.
    world.queue.wake_at(&application.meta.instance, Instant::now() + PAUSE);
    if !failures.is_empty() {
        // They come in any order, and the same failures are the same message.
        failures.sort_unstable();
        return report(world, application, failures.join("; ")).await;
    }
    let stuck: Vec<String> = doomed
        .iter()
        .filter(|doomed| doomed.live.deleting)
        .filter_map(|doomed| finalizers(&doomed.key, &doomed.live))
        .collect();
    if !stuck.is_empty()
        && clock::since(application.meta.deletion_timestamp.as_deref().unwrap_or_default()) >= PAUSE * 2
    {
        let more = stuck.len().saturating_sub(NAMED_MAX);
        let shown = stuck.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join("; ");
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        report(world, application, format!("waiting for objects to go: {shown}{more}")).await;
    }
}

/// What keeps an object that is being deleted.
fn finalizers(key: &ObjectKey, live: &Live) -> Option<String> {
    let node = live.node();
    let finalizers: Vec<&str> =
        node.list_at(&["metadata", "finalizers"]).iter().filter_map(trueup_object::Node::as_str).collect();
    (!finalizers.is_empty()).then(|| format!("{key} (finalizers: {})", finalizers.join(", ")))
}

/// Nothing is left: the finalizer has done its work.
async fn finish(world: &Arc<World>, application: &Arc<Application>) {
    let update = Update { take_finalizers: CASCADE_FINALIZERS.map(str::to_owned).to_vec(), ..Update::default() };
    if let Err(error) = write(world, application, application, &update).await {
        if !world.is_told_for_all(&error) {
            tracing::warn!(application = %application.meta.instance, %error, "the finalizer cannot be removed");
        }
        world.queue.wake_at(&application.meta.instance, Instant::now() + PAUSE);
    }
}

async fn report(world: &Arc<World>, application: &Arc<Application>, message: String) {
    let mut new = application.status.clone();
    status::set_condition(&mut new, &Notice { kind: condition::DELETION_ERROR, message }, &clock::now());
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
