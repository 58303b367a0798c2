//! Labels and annotations of the destination namespace: `spec.syncPolicy.managedNamespaceMetadata`.
//!
//! They are applied under a field manager of the application's own, so that several applications can share a namespace and
//! nothing else of it is touched; a key that the specification no longer has goes. Invariants: a namespace is never deleted
//! here, and never written where the project does not permit Namespaces. Entry points: [`difference`] and [`apply`].

use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{App, Application, NamespaceMetadata, OperationPhase};
use trueup_cluster::{ClusterError, Kind};
use trueup_object::{Digest, Gvk, Node, ObjectKey};
use trueup_render::Targets;

use crate::extras::live;
use crate::memory::Memory;
use crate::observe::View;
use crate::permission::namespace_forbidden;
use crate::world::World;

/// The most bytes that the API server takes for the name of a field manager.
const MANAGER_BYTES_MAX: usize = 128;
/// What others change is put back at most once in this time: two applications may disagree over a key for ever.
const HEAL_PAUSE: Duration = Duration::from_mins(1);
/// What of the metadata is managed.
const FIELDS: [&str; 2] = ["labels", "annotations"];

/// The namespace is not as the specification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where.
    pub(crate) paths: Vec<String>,
    /// The specification says something else than at the last sync, or that failed; otherwise somebody has changed the namespace.
    pub(crate) moved: bool,
}

/// The namespace whose labels and annotations are managed, or were at the last sync.
pub(crate) fn managed(spec: &App, application: &Application, memory: &mut Memory) -> Option<ObjectKey> {
    let namespace = spec.destination.namespace.as_str();
    let state = application.status.operation_state.as_ref();
    let were_managed = match state.map(|state| state.phase) {
        None => *memory.namespace_managed.insert(false),
        Some(OperationPhase::Succeeded) => *memory.namespace_managed.insert(synced(application).is_some()),
        // What the operation before it did is told no more: after a restart the namespace has to say.
        Some(_) => memory.namespace_managed.unwrap_or(true),
    };
    let concerned = spec.namespace_metadata.is_some() || were_managed;
    (concerned && spec.options.create_namespace && !namespace.is_empty()).then(|| key(namespace))
}

/// What differs at a namespace that is managed; nothing if it is as it should be.
pub(crate) async fn difference(
    world: &World,
    kind: &Kind,
    view: &View,
    application: &Application,
) -> Option<Difference> {
    let key = view.namespace_managed.clone()?;
    // What cannot be read is not said to differ.
    let live = live(world, kind, &key).await.ok()?.map(|live| live.node());
    let wanted = wanted(&view.spec, &view.targets);
    let paths = differing(&wanted, live.as_ref().unwrap_or(&Node::Null), &manager(&application.meta.instance));
    let state = application.status.operation_state.as_ref();
    let moved = state.is_none_or(|state| state.phase != OperationPhase::Succeeded)
        || view.spec.namespace_metadata.as_ref() != synced(application);
    (!paths.is_empty()).then_some(Difference { paths, moved })
}

/// Whether an automated sync is due for it: the specification moved, or somebody changed the namespace and that is undone.
pub(crate) fn is_due(world: &World, application: &Application, view: &View, memory: &Memory) -> bool {
    let Some(difference) = &view.namespace else { return false };
    // It would only fail.
    if namespace_forbidden(&view.project, &view.spec).is_some() {
        return false;
    }
    if difference.moved {
        return true;
    }
    if !view.spec.automated.is_some_and(|automated| automated.self_heal) {
        return false;
    }
    let now = Instant::now();
    if let Some(next) = memory.namespace_healed.map(|at| at + HEAL_PAUSE).filter(|next| *next > now) {
        world.queue.wake_at(&application.meta.instance, next);
        return false;
    }
    true
}

/// A sync begins, which puts back what somebody changed.
pub(crate) fn note_begun(view: &View, memory: &mut Memory) {
    if view.namespace.as_ref().is_some_and(|difference| !difference.moved) {
        memory.namespace_healed = Some(Instant::now());
    }
}

/// Brings the labels and annotations into line, if they are not.
pub(crate) async fn apply(
    world: &World,
    kind: &Kind,
    application: &Application,
    view: &View,
) -> Result<(), ClusterError> {
    let Some(key) = &view.namespace_managed else { return Ok(()) };
    if difference(world, kind, view, application).await.is_none() {
        return Ok(());
    }
    permitted(view)?;
    let mut body = Node::map();
    body.set_at(&["apiVersion"], "v1".into());
    body.set_at(&["kind"], "Namespace".into());
    body.set_at(&["metadata", "name"], key.name.as_str().into());
    for (field, name, value) in entries(&wanted(&view.spec, &view.targets)) {
        body.set_at(&["metadata", field, name], value.into());
    }
    view.hands(world, application)?.apply_metadata(kind, &body, &manager(&application.meta.instance)).await.map(drop)
}

/// That the project permits the namespace to be written.
pub(crate) fn permitted(view: &View) -> Result<(), ClusterError> {
    namespace_forbidden(&view.project, &view.spec).map_or(Ok(()), |message| Err(ClusterError::Declined { message }))
}

/// What the last operation says that it applied.
fn synced(application: &Application) -> Option<&NamespaceMetadata> {
    application.status.operation_state.as_ref()?.sync_result.as_ref()?.managed_namespace_metadata.as_ref()
}

/// What the namespace is to have. Where Git has the namespace itself, its word counts, as upstream.
fn wanted(spec: &App, targets: &Targets) -> NamespaceMetadata {
    let mut wanted = spec.namespace_metadata.clone().unwrap_or_default();
    let key = key(&spec.destination.namespace);
    if let Some(target) = targets.objects.iter().find(|target| target.key == key) {
        let node = target.manifest.node();
        wanted.labels.retain(|name, _| node.at(&["metadata", "labels", name]).is_none());
        wanted.annotations.retain(|name, _| node.at(&["metadata", "annotations", name]).is_none());
    }
    wanted
}

fn entries(metadata: &NamespaceMetadata) -> impl Iterator<Item = (&'static str, &str, &str)> {
    let labels = metadata.labels.iter().map(|(name, value)| (FIELDS[0], name.as_str(), value.as_str()));
    labels.chain(metadata.annotations.iter().map(|(name, value)| (FIELDS[1], name.as_str(), value.as_str())))
}

/// Where a namespace is not as wanted: keys that it lacks or has otherwise, and keys of ours that are no longer wanted.
fn differing(wanted: &NamespaceMetadata, live: &Node, manager: &str) -> Vec<String> {
    let path = |field: &str, name: &str| format!(".metadata.{field}[{name}]");
    let mut paths: Vec<String> = entries(wanted)
        .filter(|(field, name, value)| live.str_at(&["metadata", field, name]) != Some(*value))
        .map(|(field, name, _)| path(field, name))
        .collect();
    let ours = live
        .list_at(&["metadata", "managedFields"])
        .iter()
        .filter(|entry| entry.str_at(&["manager"]) == Some(manager) && entry.str_at(&["operation"]) == Some("Apply"));
    for entry in ours {
        for (field, kept) in [(FIELDS[0], &wanted.labels), (FIELDS[1], &wanted.annotations)] {
            let held = entry.at(&["fieldsV1", "f:metadata", &format!("f:{field}")]).and_then(Node::as_map);
            let names =
                held.into_iter().flat_map(trueup_object::Map::iter).filter_map(|(step, _)| step.strip_prefix("f:"));
            paths.extend(names.filter(|name| !kept.contains_key(*name)).map(|name| path(field, name)));
        }
    }
    paths.sort();
    paths
}

/// The field manager of an application's keys.
fn manager(app: &str) -> String {
    let name = format!("trueup-namespace:{app}");
    if name.len() <= MANAGER_BYTES_MAX { name } else { format!("trueup-namespace:{}", Digest::of(app.as_bytes())) }
}

/// The kind of namespaces.
pub(crate) fn gvk() -> Gvk {
    Gvk::from_api_version("v1", "Namespace")
}

fn key(namespace: &str) -> ObjectKey {
    ObjectKey::new("", "Namespace", "", namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> NamespaceMetadata {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        NamespaceMetadata { labels: map(labels), annotations: map(annotations) }
    }

    #[test]
    fn where_a_namespace_is_not_as_wanted() {
        let live = Node::from_json(
            br#"{"metadata":{"labels":{"a":"1","theirs":"1","old":"1"},"annotations":{"n":"1"},"managedFields":[
                {"manager":"trueup-namespace:app","operation":"Apply","fieldsV1":{"f:metadata":{"f:labels":{"f:a":{},"f:old":{}}}}},
                {"manager":"trueup-namespace:other","operation":"Apply","fieldsV1":{"f:metadata":{"f:labels":{"f:theirs":{}}}}}]}}"#,
        )
        .unwrap();
        let table: [(NamespaceMetadata, &[&str]); 5] = [
            (metadata(&[("a", "1"), ("old", "1")], &[("n", "1")]), &[]),
            (metadata(&[("a", "2"), ("old", "1")], &[]), &[".metadata.labels[a]"]),
            (metadata(&[("a", "1"), ("old", "1"), ("new", "1")], &[]), &[".metadata.labels[new]"]),
            (metadata(&[("a", "1")], &[("n", "2")]), &[".metadata.annotations[n]", ".metadata.labels[old]"]),
            (metadata(&[], &[]), &[".metadata.labels[a]", ".metadata.labels[old]"]),
        ];
        for (wanted, paths) in table {
            assert_eq!(differing(&wanted, &live, "trueup-namespace:app"), paths, "{wanted:?}");
        }
        assert_eq!(differing(&metadata(&[("a", "1")], &[]), &Node::Null, "m"), [".metadata.labels[a]"]);
    }

    #[test]
    fn a_long_name_is_no_longer_than_the_server_takes() {
        assert_eq!(manager("team/app"), "trueup-namespace:team/app");
        assert!(manager(&"x".repeat(300)).len() <= MANAGER_BYTES_MAX);
        assert_ne!(manager(&"x".repeat(300)), manager(&"x".repeat(301)));
    }
}
