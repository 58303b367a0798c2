//! From a render to the final manifests of an Application, as the controller makes them: their digest is what the status keeps of
//! the last sync, so every byte counts. Entry point: [`placed`].

use std::collections::HashMap;

use trueup_api::App;
use trueup_cluster::{Cluster, Kind};
use trueup_controller::read_installation;
use trueup_object::{GroupKind, Gvk, Manifest};
use trueup_render::{Placement, Rendered, Targets, defines, targets};

use crate::output::talk;

/// Finds out which installation looks after the Application: its objects bear the id of that.
pub(in crate::commands::app) async fn learn_installation(cluster: &Cluster, controller_namespace: &str) {
    if let Err(error) = read_installation(cluster, controller_namespace).await {
        talk::warning(&format!("it is not known whether the controller's installation has an id: {error}"));
    }
}

/// The final manifests of a render.
pub(in crate::commands::app) fn placed(
    rendered: &Rendered,
    app: &App,
    installation: &str,
    tracking_name: &str,
    kinds: &HashMap<Gvk, Kind>,
) -> Targets {
    let defined: HashMap<GroupKind, bool> = rendered.manifests.iter().map(Manifest::node).filter_map(defines).collect();
    let namespaced = |gvk: &Gvk| match kinds.get(gvk) {
        Some(kind) => Some(kind.namespaced),
        // Not served yet: a definition in the same render tells.
        None => defined.get(&gvk.group_kind()).copied(),
    };
    let namespace = &app.destination.namespace;
    targets(rendered, &Placement { app: tracking_name, installation, namespace, namespaced: &namespaced })
}
