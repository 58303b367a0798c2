//! Under which rules an application's objects are deleted and its hooks run at its deletion.
//!
//! Entry point: [`rules`]. Without them nothing is done on doubt: an object may be on another cluster, or not be permitted.

use std::sync::Arc;

use trueup_api::{App, Application, Project};
use trueup_cluster::Cluster;

use crate::impersonation::hands;
use crate::permission::{is_our_cluster, project_of};
use crate::world::World;

/// The rules.
pub(super) struct Rules {
    pub(super) spec: App,
    pub(super) project: Arc<Project>,
    /// The cluster, as whoever writes the objects.
    pub(super) hands: Cluster,
}

/// Finds the rules, or says what is wrong and how to go on without them.
pub(super) fn rules(world: &World, application: &Application, way_out: &str) -> Result<Rules, String> {
    let spec =
        application.spec.as_ref().map_err(|errors| format!("the specification is not valid: {errors}; {way_out}"))?;
    if !is_our_cluster(&spec.destination) {
        return Err(format!("the destination is not this cluster, so nothing can be done there: {way_out}"));
    }
    let wrong = |error: String| format!("{error}: {way_out}");
    let project = project_of(world, &application.meta, spec).map_err(wrong)?;
    let hands = hands(world, &application.meta, spec, &project).map_err(wrong)?;
    Ok(Rules { spec: spec.clone(), project, hands })
}
