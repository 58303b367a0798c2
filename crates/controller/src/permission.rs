//! What an application may do: its project, its destination, and what it asks for that is not honoured.
//!
//! Entry points: [`permitted`] for the application, [`not_permitted`] for one object.

use std::collections::HashMap;
use std::sync::Arc;

use trueup_api::{App, Destination, Meta, Project, condition, object_options};
use trueup_cluster::Kind;
use trueup_object::{Gvk, ObjectKey};
use trueup_render::Target;

use crate::impersonation::hands;
use crate::judge::Verdict;
use crate::world::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER, World};

pub(crate) fn permitted(world: &World, meta: &Meta, spec: &App) -> Result<Arc<Project>, String> {
    let project = project_of(world, meta, spec)?;
    let destination = &spec.destination;
    if !is_our_cluster(destination) {
        let which = if destination.name.is_empty() { &destination.server } else { &destination.name };
        return Err(format!(
            "there is no cluster '{which}': only the cluster of the controller is managed ({IN_CLUSTER_SERVER}, or by name {IN_CLUSTER_NAME})"
        ));
    }
    sources_permitted(&project, spec)?;
    if !project.permits_destination(IN_CLUSTER_SERVER, IN_CLUSTER_NAME, &destination.namespace) {
        return Err(condition::destination_not_permitted(IN_CLUSTER_SERVER, &destination.namespace, &spec.project));
    }
    Ok(project)
}

/// Whether a project permits the repositories of an application, or why not.
pub(crate) fn sources_permitted(project: &Project, spec: &App) -> Result<(), String> {
    match spec.sources.iter().find(|source| !project.permits_source(&source.repo_url)) {
        None => Ok(()),
        Some(source) => Err(condition::source_not_permitted(&shown(&source.repo_url), &spec.project)),
    }
}

/// The project of an application, if it takes Applications of that namespace.
pub(crate) fn project_of(world: &World, meta: &Meta, spec: &App) -> Result<Arc<Project>, String> {
    let project = world.projects.get(&spec.project)?;
    if !project.permits_application_namespace(&meta.namespace, &world.namespace) {
        return Err(format!(
            "application '{}' in namespace '{}' is not permitted to use project '{}': name the namespace in the project's spec.sourceNamespaces",
            meta.name, meta.namespace, spec.project
        ));
    }
    Ok(project)
}

/// Whether a destination is the cluster that we run in.
pub(crate) fn is_our_cluster(destination: &Destination) -> bool {
    destination.server == IN_CLUSTER_SERVER || destination.name == IN_CLUSTER_NAME
}

/// A URL without its credentials.
pub(crate) fn shown(url: &str) -> String {
    trueup_git::RepoUrl::parse(url).map_or_else(|_| "(not a valid URL)".to_owned(), |url| url.to_string())
}

/// Why no sync of this application may happen: what it asks for and we do not honour, or that nobody may write its objects. What one
/// operation asks for beyond that is that operation's failure, not the application's.
pub(crate) fn stops(world: &World, meta: &Meta, spec: &App, project: &Project) -> Vec<String> {
    let all = spec.unsupported.iter().chain(project.unsupported());
    let all = all.filter(|unsupported| unsupported.stops);
    let all = all.map(|unsupported| format!("{}: {}", unsupported.field, unsupported.message));
    all.chain(hands(world, meta, spec, project).err()).collect()
}

/// Whether an application holds an object that its render has: not what it may not or does not want to sync.
pub(crate) fn holds(
    project: &Project,
    spec: &App,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
    target: &Target,
) -> bool {
    let kind = kinds.get(&target.gvk).and_then(|kind| kind.as_ref().ok());
    forbidden(project, spec, target, kind).is_none() && !object_options(target.manifest.node()).skip
}

/// Why the project does not permit an object, if so.
pub(crate) fn forbidden(project: &Project, spec: &App, target: &Target, kind: Option<&Kind>) -> Option<String> {
    let key = &target.key;
    let namespaced = kind.map_or(!key.namespace.is_empty(), |kind| kind.namespaced);
    not_permitted(project, &spec.project, key, namespaced)
}

/// Why a project does not permit the namespace of the destination to be made or labelled, if so. As upstream it is an object of the
/// cluster like any other: by its labels goes, for one, which Pods it takes.
pub(crate) fn namespace_forbidden(project: &Project, spec: &App) -> Option<String> {
    not_permitted(project, &spec.project, &ObjectKey::new("", "Namespace", "", &spec.destination.namespace), false)
}

/// Why a project permits nothing to be done to an object, if so.
pub(crate) fn not_permitted(project: &Project, name: &str, key: &ObjectKey, namespaced: bool) -> Option<String> {
    if !project.permits_kind(&key.group, &key.kind, &key.name, namespaced) {
        return Some(condition::kind_not_permitted(&key.group, &key.kind, name));
    }
    let placed = !namespaced || project.permits_destination(IN_CLUSTER_SERVER, IN_CLUSTER_NAME, &key.namespace);
    (!placed).then(|| format!("namespace {} is not permitted in project '{name}'", key.namespace))
}
