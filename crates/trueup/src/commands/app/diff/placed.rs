//! From a render to the final manifests of an Application, as the controller makes them: their digest is what the status keeps of
//! the last sync, so every byte counts. Entry point: [`placed`].

use std::collections::HashMap;

use trueup_api::App;
use trueup_cluster::Kind;
use trueup_object::{GroupKind, Gvk, Manifest};
use trueup_render::{Placement, Rendered, Targets, defines, targets};

/// The final manifests of a render.
pub(in crate::commands::app) fn placed(
    rendered: &Rendered,
    app: &App,
    tracking_name: &str,
    kinds: &HashMap<Gvk, Kind>,
) -> Targets {
    let defined: HashMap<GroupKind, bool> = rendered.manifests.iter().map(Manifest::node).filter_map(defines).collect();
    let namespaced = |gvk: &Gvk| match kinds.get(gvk) {
        Some(kind) => Some(kind.namespaced),
        // Not served yet: a definition in the same render tells.
        None => defined.get(&gvk.group_kind()).copied(),
    };
    targets(rendered, &Placement { app: tracking_name, namespace: &app.destination.namespace, namespaced: &namespaced })
}
