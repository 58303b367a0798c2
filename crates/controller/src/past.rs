//! What was synced before: the inventory, the baseline, and what Git said then.
//!
//! Everything here is read from the Application's status, and rendered again where it has to be. Entry points: [`read_base`],
//! [`inventory`], [`sync_state`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use trueup_api::{App, Application, ResourceStatus};
use trueup_cluster::Kind;
use trueup_object::{Digest, Gvk, ObjectKey};
use trueup_render::{Placement, Targets, targets};

use crate::judge::Verdict;
use crate::kinds::scopes;
use crate::loading::Loaded;
use crate::memory::{Base, Memory};
use crate::source;
use crate::world::World;

/// What `status.drift.baseline` is while a sync of something else than was synced last has begun and not succeeded. It is no
/// digest: what the cluster has is a mixture, so nothing that Git may say next is what it was brought in line with.
pub(crate) const UNFINISHED: &str = "unfinished";

/// Whether Git says something else than at the last successful sync, and whether there never was one.
pub(crate) fn sync_state(application: &Application, targets: &Targets) -> (bool, bool) {
    let baseline = application.status.drift.as_ref().map(|drift| drift.baseline.as_str()).unwrap_or_default();
    (baseline != targets.digest.to_string(), baseline.is_empty() && application.status.history.is_empty())
}

/// The final manifests; the same value as long as nothing that they are made from changes.
pub(crate) fn place(
    installation: &str,
    name: &str,
    spec: &App,
    loaded: &Loaded,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
    memory: &mut Memory,
) -> Arc<Targets> {
    let scopes = scopes(loaded, kinds);
    let mut scoped: Vec<String> = scopes.iter().map(|(gvk, namespaced)| format!("{gvk}={namespaced}")).collect();
    scoped.sort_unstable();
    let cause = Digest::of_parts([
        loaded.rendered.digest.to_string(),
        spec.destination.namespace.clone(),
        scoped.join(","),
        installation.to_owned(),
    ]);
    if let Some((of, targets)) = &memory.targets
        && *of == cause
    {
        return Arc::clone(targets);
    }
    let namespaced = |gvk: &Gvk| scopes.get(gvk).copied();
    let namespace = &spec.destination.namespace;
    let placement = Placement { app: name, installation, namespace, namespaced: &namespaced };
    let made = Arc::new(targets(&loaded.rendered, &placement));
    memory.targets = Some((cause, Arc::clone(&made)));
    made
}

/// Finds what Git said at the last successful sync, once.
pub(crate) async fn read_base(
    world: &World,
    application: &Application,
    spec: &App,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
    targets: &Arc<Targets>,
    memory: &mut Memory,
) {
    if memory.inventory.is_empty() && matches!(memory.base, Base::Unread) {
        memory.read_inventory(application);
    }
    if !matches!(memory.base, Base::Unread) {
        return;
    }
    let (pending, never_synced) = sync_state(application, targets);
    memory.base = if never_synced {
        Base::Never
    } else if !pending {
        Base::Known(Arc::clone(targets))
    } else {
        match synced_before(world, application, spec, kinds).await {
            Ok(targets) => Base::Known(Arc::new(targets)),
            Err(why) => Base::Lost(why),
        }
    };
}

/// Renders again what was synced last.
pub(crate) async fn synced_before(
    world: &World,
    application: &Application,
    spec: &App,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
) -> Result<Targets, String> {
    let last = application.status.synced_revision().ok_or("the history of syncs is empty")?;
    // A source that has moved since is not the one that was synced.
    let loaded = source::at_synced(world, &application.meta, spec, &last).await.map_err(|error| error.to_string())?;
    let scopes = scopes(&loaded, kinds);
    let namespaced = |gvk: &Gvk| scopes.get(gvk).copied();
    let placement = Placement {
        app: &application.meta.instance,
        installation: &world.cluster.installation(),
        namespace: &spec.destination.namespace,
        namespaced: &namespaced,
    };
    Ok(targets(&loaded.rendered, &placement))
}

/// The objects that the status lists: those that we answer for.
pub(crate) fn inventory(application: &Application) -> BTreeMap<ObjectKey, Gvk> {
    let listed = application.status.resources.iter();
    listed
        .map(|resource| {
            (
                key(resource),
                Gvk {
                    group: resource.group.as_str().into(),
                    version: resource.version.as_str().into(),
                    kind: resource.kind.as_str().into(),
                },
            )
        })
        .collect()
}

/// Of these the ones that were only found, by their annotation, and need somebody's word before they are deleted.
pub(crate) fn unproven(application: &Application) -> BTreeSet<ObjectKey> {
    application.status.resources.iter().filter(|resource| resource.requires_deletion_confirmation).map(key).collect()
}

fn key(resource: &ResourceStatus) -> ObjectKey {
    ObjectKey::new(&resource.group, &resource.kind, &resource.namespace, &resource.name)
}
