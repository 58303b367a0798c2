//! An Application as the API server sends it: metadata, checked specification, status, operation.
//!
//! It is read part by part, so that one part that does not decode costs no other: a specification that does not decode is its
//! own error and stays a value, a status is read field by field, an operation says that it cannot be read. This runs for each
//! watch event. Entry point: [`Application::read`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use trueup_object::{Digest, Node};

use crate::annotations;
use crate::app::{App, SpecError, SpecErrors};
use crate::crd;
use crate::deadlines::Deadlines;
use crate::operation::Operation;
use crate::spec::ApplicationSpec;
use crate::status::Status;

/// An Application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its metadata, as far as it matters.
    pub meta: Meta,
    /// What it wants, or what is wrong with that.
    pub spec: Result<App, SpecErrors>,
    /// What was said of it last.
    pub status: Status,
    /// What somebody asks of it.
    pub operation: Option<Operation>,
    /// The same as it was written, to test that it has not changed meanwhile.
    pub raw_operation: Option<Node>,
    /// Tells one specification from another.
    pub spec_digest: Digest,
    /// Who wrote it, from `metadata.managedFields`.
    pub managers: Vec<Manager>,
}

/// The metadata of an Application, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The name by which its objects are tracked and its doings are told apart from those of other Applications: the name,
    /// unless [`Application::tracked_from`] says otherwise.
    pub instance: String,
    /// The uid.
    pub uid: String,
    /// The version.
    pub resource_version: String,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The finalizers.
    pub finalizers: Vec<String>,
    /// Since when it is being deleted.
    pub deletion_timestamp: Option<String>,
    /// Grows with every write: Applications have no status subresource.
    pub generation: i64,
}

/// One who wrote an Application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// The field manager's name.
    pub name: String,
    /// When it last wrote, as RFC 3339; may be empty.
    pub time: String,
}

/// A request to look at an Application now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refresh {
    /// Look at Git and the cluster.
    Normal,
    /// And forget what is cached.
    Hard,
}

/// How an Application's objects are deleted with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cascade {
    /// Dependents first.
    Foreground,
    /// Dependents later.
    Background,
}

/// An object that is no Application or AppProject at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The text is not JSON, or no JSON object.
    #[error("not a JSON object (line {line}, column {column})")]
    NotAnObject {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// There is no name to call it by.
    #[error("metadata.name is missing")]
    NoName,
    /// Its specification does not decode.
    #[error("{0}")]
    Spec(SpecErrors),
}

/// The parts, not yet decoded.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    operation: Option<&'a RawValue>,
}

/// The metadata as it is written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawMeta {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[serde(deserialize_with = "or_default")]
    resource_version: String,
    #[serde(deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    finalizers: Vec<String>,
    deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    generation: i64,
    #[serde(deserialize_with = "or_default")]
    managed_fields: Vec<RawManager>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawManager {
    #[serde(deserialize_with = "or_default")]
    manager: String,
    #[serde(deserialize_with = "or_default")]
    time: String,
}

// === impl Application ===

impl Application {
    /// Reads an Application. This fails only for what is no object with a name.
    pub fn read(json: &[u8]) -> Result<Self, ReadError> {
        let parts = Parts::read(json)?;
        let (meta, managers) = parts.meta()?;
        let spec = parts.spec.map_or("{}", RawValue::get);
        let node = Node::from_json(spec.as_bytes()).unwrap_or(Node::Null);
        let raw_operation = parts.operation.and_then(|raw| Node::from_json(raw.get().as_bytes()).ok());
        Ok(Self {
            spec: read_spec(spec, &node).and_then(|spec| App::new(&spec, &meta)),
            spec_digest: Digest::of(&node.to_json()),
            status: parts.status.map(|raw| Status::read(raw.get().as_bytes())).unwrap_or_default(),
            operation: parts.operation.map(|raw| Operation::read(raw.get())),
            raw_operation,
            meta,
            managers,
        })
    }

    /// The same Application, tracked as a controller in this namespace does.
    #[must_use]
    pub fn tracked_from(mut self, controller_namespace: &str) -> Self {
        self.meta.instance = self.meta.app_instance(controller_namespace);
        self
    }
}

fn read_spec(raw: &str, node: &Node) -> Result<ApplicationSpec, SpecErrors> {
    decode(raw, node, "spec", crd::application_spec)
}

/// Decodes a part. Where that fails, nulls are taken as absent, as Go does; where it fails again, every field of a wrong type is
/// named, without its value: that may be a secret.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(
    raw: &str,
    node: &Node,
    part: &'static str,
    schema: fn() -> &'static serde_json::Value,
) -> Result<T, SpecErrors> {
    if let Ok(value) = serde_json::from_str(raw) {
        return Ok(value);
    }
    let mut node = node.clone();
    drop_nulls(&mut node);
    serde_json::from_slice(&node.to_json()).map_err(|error| {
        let wrong = crate::type_check::wrong_types(&node, schema(), part);
        let message = if wrong.is_empty() {
            format!("{part}: does not decode (column {})", error.column())
        } else {
            wrong.join("; ")
        };
        SpecErrors(vec![SpecError { field: part, message }])
    })
}

fn drop_nulls(node: &mut Node) {
    match node {
        Node::Map(map) => {
            map.retain(|_, value| !value.is_null());
            map.iter_mut().for_each(|(_, value)| drop_nulls(value));
        }
        Node::List(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn read(json: &'a [u8]) -> Result<Self, ReadError> {
        serde_json::from_slice(json)
            .map_err(|error| ReadError::NotAnObject { line: error.line(), column: error.column() })
    }

    fn meta(&self) -> Result<(Meta, Vec<Manager>), ReadError> {
        let raw = self.metadata.map_or("{}", RawValue::get);
        let raw: RawMeta = serde_json::from_str(raw).unwrap_or_else(|_| RawMeta::lenient(raw));
        if raw.name.is_empty() {
            return Err(ReadError::NoName);
        }
        let managers =
            raw.managed_fields.into_iter().map(|raw| Manager { name: raw.manager, time: raw.time }).collect();
        let meta = Meta {
            instance: raw.name.clone(),
            name: raw.name,
            namespace: raw.namespace,
            uid: raw.uid,
            resource_version: raw.resource_version,
            annotations: raw.annotations,
            labels: raw.labels,
            finalizers: raw.finalizers,
            deletion_timestamp: raw.deletion_timestamp,
            generation: raw.generation,
        };
        Ok((meta, managers))
    }
}

// === impl RawMeta ===

impl RawMeta {
    /// Whatever of it has the right type.
    fn lenient(raw: &str) -> Self {
        let node = Node::from_json(raw.as_bytes()).unwrap_or(Node::Null);
        let text = |key: &str| node.str_at(&[key]).unwrap_or_default().to_owned();
        let texts = |key: &str| {
            let entries = node.at(&[key]).and_then(Node::as_map).into_iter().flat_map(trueup_object::Map::iter);
            entries.filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned()))).collect()
        };
        let manager = |entry: &Node| RawManager {
            manager: entry.str_at(&["manager"]).unwrap_or_default().to_owned(),
            time: entry.str_at(&["time"]).unwrap_or_default().to_owned(),
        };
        Self {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            annotations: texts("annotations"),
            labels: texts("labels"),
            finalizers: node
                .list_at(&["finalizers"])
                .iter()
                .filter_map(|item| Some(item.as_str()?.to_owned()))
                .collect(),
            deletion_timestamp: node.str_at(&["deletionTimestamp"]).map(ToOwned::to_owned),
            generation: node.i64_at(&["generation"]).unwrap_or_default(),
            managed_fields: node.list_at(&["managedFields"]).iter().map(manager).collect(),
        }
    }
}

// === impl Operation ===

impl Operation {
    /// Reads an operation; one that does not decode says so, so that it is neither run nor overlooked.
    fn read(raw: &str) -> Self {
        let node = Node::from_json(raw.as_bytes()).unwrap_or(Node::Null);
        decode(raw, &node, "operation", crd::application_operation)
            .unwrap_or_else(|errors| Self { unreadable: Some(errors.to_string()), ..Self::default() })
    }
}

// === impl Meta ===

impl Meta {
    /// Whether somebody wants a look at it now.
    pub fn refresh(&self) -> Option<Refresh> {
        let value = self.annotations.get(annotations::REFRESH)?;
        Some(if value == "hard" { Refresh::Hard } else { Refresh::Normal })
    }

    /// Whether it is to be left alone.
    pub fn skip_reconcile(&self) -> bool {
        // As Go's ParseBool.
        let value = self.annotations.get(annotations::SKIP_RECONCILE).map(String::as_str);
        matches!(value, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// Whether, and how, its objects are deleted with it.
    pub fn cascade(&self) -> Option<Cascade> {
        self.finalizers.iter().find_map(|finalizer| match finalizer.as_str() {
            annotations::RESOURCES_FINALIZER | annotations::FOREGROUND_FINALIZER => Some(Cascade::Foreground),
            annotations::BACKGROUND_FINALIZER => Some(Cascade::Background),
            _ => None,
        })
    }

    /// How long its syncs, their waves and their hooks may take.
    pub fn deadlines(&self) -> Deadlines {
        Deadlines::read(self)
    }

    /// The autoscalers that it names beyond the ones that are known.
    pub fn scalers(&self) -> impl Iterator<Item = &str> {
        let named = self.annotations.get(annotations::SCALERS).map(String::as_str).unwrap_or_default();
        named.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// The former manager whose fields are taken over.
    pub fn migration_manager(&self) -> Option<&str> {
        self.annotations.get(annotations::MIGRATION_MANAGER).map(String::as_str)
    }

    /// The name by which its objects are tracked.
    pub fn app_instance(&self, controller_namespace: &str) -> String {
        if self.namespace.is_empty() || self.namespace == controller_namespace {
            self.name.clone()
        } else {
            format!("{}_{}", self.namespace, self.name)
        }
    }
}

/// The metadata and the specification of something that is read like an Application.
pub(crate) fn meta_and_spec<T: for<'de> Deserialize<'de>>(
    json: &[u8],
    schema: fn() -> &'static serde_json::Value,
) -> Result<(Meta, T), ReadError> {
    let parts = Parts::read(json)?;
    let (meta, _) = parts.meta()?;
    let raw = parts.spec.map_or("{}", RawValue::get);
    let node = Node::from_json(raw.as_bytes()).unwrap_or(Node::Null);
    Ok((meta, decode(raw, &node, "spec", schema).map_err(ReadError::Spec)?))
}

#[cfg(test)]
impl Meta {
    /// One with these annotations and nothing else.
    pub(crate) fn annotated(annotations: &[(&str, &str)]) -> Self {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { annotations, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "u", "resourceVersion": "7", "generation": 3,
            "annotations": {"argocd.argoproj.io/refresh": "hard"}, "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            "managedFields": [{"manager": "kubectl", "operation": "Update", "time": "2026-11-24T10:00:00Z", "fieldsV1": {"f:spec": {}}}, {"manager": "trueup"}]},
        "spec": {"project": "default", "source": {"repoURL": "http://git/x", "path": "p", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"}, "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}},
        "status": {"sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"}, "resources": [{"kind": "ConfigMap", "version": "v1", "name": "a", "namespace": "shop", "status": "Synced"}]},
        "operation": {"sync": {"revision": "main", "prune": true}, "initiatedBy": {"username": "me"}}
    }"#;

    fn read(json: &str) -> Application {
        Application::read(json.as_bytes()).unwrap()
    }

    fn with(pointer: &str, value: serde_json::Value) -> Application {
        let mut json: serde_json::Value = serde_json::from_str(PLAIN).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        read(&json.to_string())
    }

    #[test]
    fn managers_are_named_by_annotations() {
        let meta = |annotations: serde_json::Value| with("/metadata/annotations", annotations).meta;
        let plain = meta(serde_json::json!({}));
        assert_eq!((plain.scalers().count(), plain.migration_manager()), (0, None));
        let named = meta(serde_json::json!({
            "trueup.dev/scalers": " keda , , mine",
            "argocd.argoproj.io/client-side-apply-migration-manager": "terraform",
        }));
        assert_eq!(named.scalers().collect::<Vec<_>>(), ["keda", "mine"]);
        assert_eq!(named.migration_manager(), Some("terraform"));
    }

    #[test]
    fn reads_the_plain_one() {
        let application = read(PLAIN);
        let meta = &application.meta;
        assert_eq!(
            (meta.name.as_str(), meta.namespace.as_str(), meta.resource_version.as_str(), meta.generation),
            ("shop", "argocd", "7", 3)
        );
        assert_eq!((meta.refresh(), meta.cascade()), (Some(Refresh::Hard), Some(Cascade::Foreground)));
        assert_eq!(application.managers[0], Manager { name: "kubectl".into(), time: "2026-11-24T10:00:00Z".into() });
        assert_eq!(application.managers[1].name, "trueup");
        assert!(application.spec.unwrap().automated.unwrap().self_heal);
        assert_eq!(application.status.sync.revision, "abc");
        assert_eq!(application.status.resources.len(), 1);
        assert_eq!(application.operation.unwrap().sync.unwrap().revision, "main");
        assert_eq!(application.raw_operation.unwrap().str_at(&["sync", "revision"]), Some("main"));
    }

    #[test]
    fn only_the_specification_changes_its_digest() {
        let digest = |application: &Application| application.spec_digest;
        let plain = read(PLAIN);
        assert_eq!(digest(&plain), digest(&with("/status", serde_json::json!({}))));
        assert_eq!(digest(&plain), digest(&with("/metadata/generation", 9.into())));
        assert_ne!(digest(&plain), digest(&with("/spec/source/path", "q".into())));
    }

    #[test]
    fn a_part_that_does_not_decode_costs_no_other() {
        let application = with("/spec/source", "hunter2".into());
        let error = application.spec.unwrap_err().to_string();
        assert_eq!(error, "spec.source: must be a map, it is a string");
        assert_eq!(application.status.sync.revision, "abc");

        let application = with("/status/sync", 5.into());
        assert!(application.spec.is_ok());
        assert_eq!(application.status.sync.revision, "");
        assert_eq!(application.status.resources.len(), 1);

        let application = with("/operation/sync/prune", "hunter2".into());
        let operation = application.operation.unwrap();
        assert_eq!(
            operation.unreadable.as_deref(),
            Some("operation.sync.prune: must be true or false, it is a string")
        );
        assert!(crate::operation_unsupported(&operation)[0].stops);
        assert!(application.spec.is_ok());
    }

    #[test]
    fn names_every_wrong_type_and_no_value() {
        let spec = serde_json::json!({
            "project": 5, "destination": [], "syncPolicy": {"automated": {"prune": "hunter2"}, "syncOptions": "hunter2"},
            "source": {"repoURL": "x", "helm": {"parameters": [{"name": "a", "value": 1}], "valueFiles": [true]}},
            "revisionHistoryLimit": 1.5,
        });
        let error = with("/spec", spec).spec.unwrap_err().to_string();
        for part in [
            "spec.project: must be a string (quote it), it is a number",
            "spec.destination: must be a map, it is a list",
            "spec.syncPolicy.automated.prune: must be true or false, it is a string",
            "spec.syncPolicy.syncOptions: must be a list, it is a string",
            "spec.source.helm.parameters[0].value: must be a string (quote it), it is a number",
            "spec.source.helm.valueFiles[0]: must be a string (quote it), it is true or false",
            "spec.revisionHistoryLimit: must be a whole number, it is a number",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn null_is_absent() {
        let application = with(
            "/spec/syncPolicy",
            serde_json::json!({"automated": {"prune": null}, "syncOptions": null, "retry": null}),
        );
        assert_eq!(application.spec.unwrap().automated, Some(crate::Automated::default()));
        assert_eq!(with("/operation", serde_json::Value::Null).operation, None);
        assert!(with("/spec", serde_json::Value::Null).spec.is_err());
        let meta = with("/metadata/annotations", serde_json::Value::Null).meta;
        assert_eq!((meta.name.as_str(), meta.finalizers.len()), ("shop", 1));
        assert!(read(r#"{"metadata": {"name": "a"}}"#).spec.is_err());
    }

    #[test]
    fn metadata_of_a_wrong_type_is_read_as_far_as_it_goes() {
        let meta = with("/metadata/annotations", serde_json::json!({"a": 1, "b": "c"})).meta;
        assert_eq!(
            (meta.name.as_str(), meta.uid.as_str(), meta.annotations.len(), meta.finalizers.len()),
            ("shop", "u", 1, 1)
        );
    }

    #[test]
    fn only_an_object_without_a_name_is_refused() {
        for json in [
            "",
            "5",
            "[]",
            "null",
            "{",
            "\"x\"",
            "{\"metadata\": 5}",
            "{}",
            r#"{"metadata": {"name": ""}}"#,
            r#"{"metadata": {"name": 5}}"#,
            "\u{feff}{}",
        ] {
            assert!(Application::read(json.as_bytes()).is_err(), "{json}");
        }
        assert!(Application::read(b"\xff\xfe").is_err());
        assert!(Application::read("[".repeat(100_000).as_bytes()).is_err());
        let deep = format!(r#"{{"metadata": {{"name": "a"}}, "spec": {}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        assert!(read(&deep).spec.is_err());
    }

    /// The pointers of every value.
    fn pointers(value: &serde_json::Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        let below: Vec<(String, &serde_json::Value)> = match value {
            serde_json::Value::Object(map) => map.iter().map(|(key, value)| (key.replace('/', "~1"), value)).collect(),
            serde_json::Value::Array(items) => {
                items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
            }
            _ => Vec::new(),
        };
        for (key, value) in below {
            pointers(value, &format!("{at}/{key}"), into);
        }
    }

    #[test]
    fn whatever_stands_anywhere_is_an_error_at_most() {
        let plain: serde_json::Value = serde_json::from_str(PLAIN).unwrap();
        let mut all = Vec::new();
        pointers(&plain, "", &mut all);
        let odd = serde_json::json!([null, true, -5, 1.5, "hunter2", "", [], ["hunter2"], [null], {}, {"hunter2": "hunter2"}, u64::MAX]);
        for pointer in &all {
            for odd in odd.as_array().unwrap() {
                let mut json = plain.clone();
                *json.pointer_mut(pointer).unwrap() = odd.clone();
                let Ok(application) = Application::read(json.to_string().as_bytes()) else { continue };
                if let Err(errors) = application.spec {
                    let said = errors.to_string();
                    // Every mistake is named, and only what Argo CD repeats is repeated.
                    assert!(!said.contains("does not decode") && !said.is_empty(), "{pointer} {odd}: {said}");
                    assert!(
                        !said.contains("hunter2") || pointer.starts_with("/spec/destination"),
                        "{pointer} {odd}: {said}"
                    );
                }
                let unreadable = application.operation.and_then(|operation| operation.unreadable).unwrap_or_default();
                assert!(
                    !unreadable.contains("does not decode") && !unreadable.contains("hunter2"),
                    "{pointer} {odd}: {unreadable}"
                );
            }
        }
    }

    #[test]
    fn annotations_steer() {
        let meta = |key: &str, value: &str| Meta {
            annotations: BTreeMap::from([(key.to_owned(), value.to_owned())]),
            ..Meta::default()
        };
        assert_eq!(meta(annotations::REFRESH, "normal").refresh(), Some(Refresh::Normal));
        assert_eq!(meta(annotations::REFRESH, "").refresh(), Some(Refresh::Normal));
        assert_eq!(Meta::default().refresh(), None);
        for (value, skipped) in
            [("true", true), ("1", true), ("T", true), ("false", false), ("yes", false), ("", false)]
        {
            assert_eq!(meta(annotations::SKIP_RECONCILE, value).skip_reconcile(), skipped, "{value}");
        }
        let finalized =
            |finalizer: &str| Meta { finalizers: vec!["x/y".into(), finalizer.into()], ..Meta::default() }.cascade();
        assert_eq!(finalized(annotations::FOREGROUND_FINALIZER), Some(Cascade::Foreground));
        assert_eq!(finalized(annotations::BACKGROUND_FINALIZER), Some(Cascade::Background));
        assert_eq!(finalized(annotations::POST_DELETE_FINALIZER), None);
    }

    #[test]
    fn objects_are_tracked_by_name_and_foreign_namespace() {
        let meta = |namespace: &str| Meta { name: "shop".into(), namespace: namespace.into(), ..Meta::default() };
        assert_eq!(meta("argocd").app_instance("argocd"), "shop");
        assert_eq!(meta("").app_instance("argocd"), "shop");
        assert_eq!(meta("team").app_instance("argocd"), "team_shop");
        assert_eq!(read(PLAIN).meta.instance, "shop");
        assert_eq!(read(PLAIN).tracked_from("argocd").meta.instance, "shop");
        assert_eq!(read(PLAIN).tracked_from("gitops").meta.instance, "argocd_shop");
    }
}
