//! Hooks: objects that an operation makes anew, whose end it waits for, and which it deletes afterwards if they say so.
//!
//! Invariants: what is deleted to make room is this application's own, and holds neither data nor other objects unless its policy
//! says so; a hook bears the id of the attempt that made it, so that none is made twice, whatever dies in between. Entry points:
//! [`make`], [`condition`], [`tidy`] and [`abort`].

use std::sync::Arc;

use serde_json::json;
use trueup_api::tracking::TrackingId;
use trueup_api::{Application, HookPhase, annotations};
use trueup_cluster::{Apply, Cluster, ClusterError, Kind, Live, Propagation};
use trueup_health::Code;
use trueup_object::{Node, ObjectKey};
use trueup_plan::progress::{Condition, Done};
use trueup_plan::task::Task;
use trueup_render::Target;

use crate::applying::kind_by_now;
use crate::extras::{is_ours, live};
use crate::observe::View;
use crate::recreate::is_precious;
use crate::world::World;

/// Why a hook has failed that somebody deletes while it runs.
const DELETED: &str = "it was deleted before its end was seen";
/// How many letters of a commit stand in the names that are made of it, as upstream.
const COMMIT_LETTERS: usize = 7;

/// What a hook is made for.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    /// The application, by the name that its objects are tracked by.
    pub(crate) name: &'a str,
    /// The attempt.
    pub(crate) id: &'a str,
}

/// The name of a hook in an operation: its own, or one that is made of the commit, the phase and the start, as upstream. If
/// that is `taken` by a hook before it, with a number.
pub(crate) fn key_of(
    target: &Target,
    revision: &str,
    phase: HookPhase,
    started_at: &str,
    taken: impl Fn(&ObjectKey) -> bool,
) -> ObjectKey {
    if !target.key.name.is_empty() {
        return target.key.clone();
    }
    let generated = target.manifest.node().str_at(&["metadata", "generateName"]).unwrap_or_default();
    // A version may have letters that no name may have.
    let commit: String = revision.chars().filter(char::is_ascii_alphanumeric).take(COMMIT_LETTERS).collect();
    let seconds = started_at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
    let name = format!("{generated}{commit}-{}-{seconds}", phase.name()).to_lowercase();
    let key = |name: &str| ObjectKey::new(&target.key.group, &target.key.kind, &target.key.namespace, name);
    let others = (2..).map(|number: u64| key(&format!("{name}-{number}")));
    std::iter::once(key(&name)).chain(others).find(|key| !taken(key)).unwrap_or_else(|| key(&name))
}

/// Looks up the kinds of hooks that are due: this very sync may have defined one. From here on they are watched.
pub(crate) async fn learn_kinds(world: &World, application: &Application, view: &mut View, hooks: &[&Task]) {
    for hook in hooks {
        if !matches!(view.kinds.get(&hook.gvk), Some(Ok(_)))
            && let Ok(kind) = kind_by_now(world, view, &hook.gvk).await
        {
            world.cluster.watch(&kind);
            view.kinds.insert(hook.gvk.clone(), Ok(kind));
            world.note_kinds(&application.meta.instance, view.kinds.keys());
        }
    }
}

/// Makes a hook, or room for it. Answers what was done.
pub(crate) async fn make(
    world: &World,
    hands: &Cluster,
    occasion: Occasion<'_>,
    target: &Target,
    kind: &Kind,
    key: &ObjectKey,
) -> Result<Done, ClusterError> {
    let body = body(occasion, target, key);
    let mut found = live(world, kind, key).await?;
    if found.is_none() {
        match hands.create(kind, &body).await {
            Ok(_) => return Ok(Done::Made),
            // Made by whoever was killed before it could say so, or by somebody else.
            Err(ClusterError::AlreadyExists) => found = world.cluster.fetch(kind, key).await?,
            Err(error) => return Err(error),
        }
    }
    // Gone again: there is room now.
    let Some(found) = found else { return Ok(Done::Cleared) };
    if is_made_for(&found.node(), occasion.id) {
        return Ok(Done::Made);
    }
    // Definitions are nobody's, so they are applied as outside of hooks, and never deleted.
    let is_definition = trueup_render::defines(target.manifest.node()).is_some();
    if !is_definition && !is_ours(world, occasion.name, &found) {
        let words = "there is one of this name that is not this application's: rename the hook, or delete that object";
        return Ok(Done::Refused(words.to_owned()));
    }
    let policy = trueup_api::hook(target.manifest.node()).map(|hook| hook.delete).unwrap_or_default();
    let stays = is_definition || (policy.by_default && is_precious(key));
    if (policy.before_creation && !stays) || found.deleting {
        delete(hands, kind, key, &found).await?;
        return Ok(Done::Cleared);
    }
    hands.apply(kind, &body, Apply { dry_run: false, resource_version: None, validate: true }).await?;
    Ok(Done::Made)
}

/// What is sent for a hook.
fn body(occasion: Occasion<'_>, target: &Target, key: &ObjectKey) -> Node {
    let mut body = target.manifest.node().clone();
    if target.key.name.is_empty() {
        if let Some(metadata) = body.as_map_mut().and_then(|body| body.get_mut("metadata")?.as_map_mut()) {
            metadata.remove("generateName");
        }
        body.set_at(&["metadata", "name"], key.name.as_str().into());
        let id = TrackingId::new(occasion.name, key).to_string();
        body.set_at(&["metadata", "annotations", annotations::TRACKING_ID], id.as_str().into());
    }
    body.set_at(&["metadata", "annotations", annotations::HOOK_RUN], occasion.id.into());
    if vanishes(&body) {
        // So that its end is seen before it goes, whatever happens to us meanwhile.
        let mut finalizers = body.list_at(&["metadata", "finalizers"]).to_vec();
        finalizers.push(annotations::HOOK_FINALIZER.into());
        body.set_at(&["metadata", "finalizers"], Node::List(finalizers));
    }
    body
}

/// Whether a hook is deleted by others soon after it ends.
fn vanishes(body: &Node) -> bool {
    body.at(&["spec", "ttlSecondsAfterFinished"]).is_some() || body.at(&["spec", "ttlStrategy"]).is_some()
}

/// Whether a live hook was made by this attempt.
pub(crate) fn is_made_for(live: &Node, id: &str) -> bool {
    live.str_at(&["metadata", "annotations", annotations::HOOK_RUN]) == Some(id)
}

/// How a hook is, as upstream judges it. One that is being deleted while it runs is on its way to nowhere; its end counts
/// also where it is being deleted since.
pub(crate) fn condition(live: &Live) -> Condition {
    let mut node = live.node();
    if let Some(metadata) = node.as_map_mut().and_then(|object| object.get_mut("metadata")?.as_map_mut()) {
        metadata.remove("deletionTimestamp");
    }
    let Some(health) = trueup_health::of(&node) else { return Condition::Well };
    let words = if health.message.is_empty() { health.code.to_string() } else { health.message };
    match health.code {
        Code::Healthy => Condition::Well,
        Code::Progressing | Code::Suspended | Code::Missing if live.deleting => Condition::Broken(DELETED.to_owned()),
        Code::Progressing | Code::Suspended | Code::Missing => Condition::OnItsWay(words),
        Code::Degraded | Code::Unknown => Condition::Broken(words),
    }
}

/// What is said of a hook that has ended well.
pub(crate) fn last_words(live: &Live) -> String {
    trueup_health::of(&live.node()).map(|health| health.message).unwrap_or_default()
}

/// Lets a hook go whose end was seen, and deletes it if its policy says so.
pub(crate) async fn tidy(
    world: &World,
    hands: &Cluster,
    name: &str,
    kind: &Kind,
    key: &ObjectKey,
    goes: bool,
) -> Result<(), ClusterError> {
    let Some(found) = live(world, kind, key).await? else { return Ok(()) };
    if !is_ours(world, name, &found) {
        return Ok(());
    }
    if goes {
        return delete(hands, kind, key, &found).await;
    }
    release(hands, kind, key, &found).await
}

/// Ends a hook that runs.
pub(crate) async fn abort(
    world: &World,
    hands: &Cluster,
    id: &str,
    kind: &Kind,
    key: &ObjectKey,
) -> Result<(), ClusterError> {
    match live(world, kind, key).await? {
        Some(found) if is_made_for(&found.node(), id) => delete(hands, kind, key, &found).await,
        _ => Ok(()),
    }
}

/// Deletes a hook as it was judged, its dependents first; nothing of ours keeps it.
pub(crate) async fn delete(
    hands: &Cluster,
    kind: &Kind,
    key: &ObjectKey,
    found: &Arc<Live>,
) -> Result<(), ClusterError> {
    if !found.deleting {
        let gone = hands.delete(kind, key, &found.uid, &found.resource_version, Propagation::Foreground).await;
        match gone {
            Ok(()) => {}
            Err(ClusterError::NotFound(_)) => return Ok(()),
            Err(ClusterError::Conflict) => {
                // It moved meanwhile, as a Job does that counts its Pods: still the same hook.
                let Some(now) = hands.fetch(kind, key).await?.filter(|now| now.uid == found.uid) else {
                    return Ok(());
                };
                hands.delete(kind, key, &now.uid, &now.resource_version, Propagation::Foreground).await?;
            }
            Err(error) => return Err(error),
        }
    }
    release(hands, kind, key, found).await
}

/// Takes our finalizer off a hook.
pub(crate) async fn release(hands: &Cluster, kind: &Kind, key: &ObjectKey, found: &Live) -> Result<(), ClusterError> {
    let node = found.node();
    let finalizers = node.list_at(&["metadata", "finalizers"]);
    let Some(at) = finalizers.iter().position(|finalizer| finalizer.as_str() == Some(annotations::HOOK_FINALIZER))
    else {
        return Ok(());
    };
    let path = format!("/metadata/finalizers/{at}");
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": found.uid},
        {"op": "test", "path": path, "value": annotations::HOOK_FINALIZER},
        {"op": "remove", "path": path},
    ]);
    match hands.patch_json(kind, &key.namespace, &key.name, &patch).await {
        Ok(_) | Err(ClusterError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
