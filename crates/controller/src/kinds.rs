//! The kinds of an application's objects: how the API server serves them, whether they have been listed, and which objects of
//! them the index keeps.
//!
//! Entry points: [`kinds_of`], [`watches`] and [`want`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::condition;
use trueup_cluster::{Kind, KindError, WatchState};
use trueup_object::{Digest, GroupKind, Gvk, ObjectKey};
use trueup_render::{Targets, defines};

use crate::judge::Verdict;
use crate::loading::Loaded;
use crate::memory::Memory;
use crate::namespace_metadata;
use crate::observe::{Notice, Sight};
use crate::world::World;

/// A kind that has not been listed after this time is reported; it goes on being waited for.
pub(crate) const LIST_PATIENCE: Duration = Duration::from_secs(10);

/// Which kinds are namespaced, by the API server or by a definition in the same render.
pub(crate) fn scopes(loaded: &Loaded, kinds: &HashMap<Gvk, Result<Kind, Verdict>>) -> BTreeMap<Gvk, bool> {
    let defined: HashMap<GroupKind, bool> =
        loaded.rendered.manifests.iter().filter_map(|manifest| defines(manifest.node())).collect();
    let scope = |(gvk, kind): (&Gvk, &Result<Kind, Verdict>)| {
        let namespaced = match kind {
            Ok(kind) => kind.namespaced,
            Err(_) => *defined.get(&gvk.group_kind())?,
        };
        Some((gvk.clone(), namespaced))
    };
    kinds.iter().filter_map(scope).collect()
}

/// Each kind as the API server serves it, or what is to be said of its objects.
pub(crate) async fn kinds_of(world: &World, gvks: BTreeSet<Gvk>) -> HashMap<Gvk, Result<Kind, Verdict>> {
    let mut kinds = HashMap::new();
    for gvk in gvks {
        let kind = world.cluster.kind(&gvk).await.map_err(|error| match error {
            KindError::NotServed { .. } => Verdict::Unserved(format!("the API server does not serve the kind {gvk}: install its CustomResourceDefinition, or add it to the application")),
            error @ KindError::Failed { .. } => Verdict::Unreadable(format!("{gvk}: {error}")),
        });
        kinds.insert(gvk, kind);
    }
    kinds
}

/// Has every kind watched. Answers that the application must wait if one of them has not been listed yet.
pub(crate) fn watches(
    world: &World,
    kinds: &mut HashMap<Gvk, Result<Kind, Verdict>>,
    memory: &mut Memory,
) -> Option<Sight> {
    let mut pending = Vec::new();
    for (gvk, kind) in kinds.iter_mut() {
        let Ok(served) = kind else { continue };
        world.cluster.watch(served);
        match world.cluster.watch_state(gvk) {
            WatchState::Ready => {}
            WatchState::Pending { .. } => pending.push(gvk.to_string()),
            WatchState::Failed { message, .. } => {
                *kind = Err(Verdict::Unreadable(format!("{gvk} cannot be listed: {message}")));
            }
        }
    }
    if pending.is_empty() {
        memory.kinds_wait = None;
        return None;
    }
    let since = *memory.kinds_wait.get_or_insert_with(Instant::now);
    pending.sort_unstable();
    let message = format!("waiting for the first listing of {}", pending.join(", "));
    Some(Sight::Waiting(
        (since.elapsed() >= LIST_PATIENCE).then_some(Notice { kind: condition::COMPARISON_ERROR, message }),
    ))
}

/// When an application that waits for a listing is to say so.
pub(crate) fn patience_ends(memory: &Memory) -> Option<Instant> {
    memory.kinds_wait.map(|since| since + LIST_PATIENCE)
}

/// Has the index keep the bodies of our objects, and of the namespace if its metadata is ours.
pub(crate) fn want(world: &World, name: &str, targets: &Targets, namespace: Option<ObjectKey>, memory: &mut Memory) {
    let inventory = Digest::of_parts(memory.inventory.keys().map(ToString::to_string));
    let with_namespace = namespace.as_ref().map(ToString::to_string).unwrap_or_default();
    let wanted = Digest::of_parts([targets.digest.to_string(), inventory.to_string(), with_namespace]);
    if memory.wanted == Some(wanted) {
        return;
    }
    let mut keys: BTreeMap<ObjectKey, Gvk> = memory.inventory.clone();
    keys.extend(namespace.map(|key| (key, namespace_metadata::gvk())));
    keys.extend(targets.objects.iter().map(|target| (target.key.clone(), target.gvk.clone())));
    world.cluster.want(name, keys.into_iter().map(|(key, gvk)| (gvk, key)));
    memory.wanted = Some(wanted);
}
