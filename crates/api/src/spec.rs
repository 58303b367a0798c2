//! An Application's specification as users write it: the JSON of Argo CD, every field of it.
//!
//! Nothing is checked here; [`crate::App`] is what is left after the checks. Entry point: [`ApplicationSpec`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{ApplicationSource, DirectorySource, HelmSource, KustomizeSource, NameValue, PluginSource};

/// What is deployed, from where, to where, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["destination", "project"]))]
pub struct ApplicationSpec {
    /// Where the manifests come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// Several sources together; then `source` does not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// Manifests are rendered into a branch first; then `source` and `sources` do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<SourceHydrator>,
    /// The cluster and the namespace of objects that name none.
    pub destination: ApplicationDestination,
    /// The project that says what is allowed. Empty is `default`.
    pub project: String,
    /// How and when the cluster is brought into line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<SyncPolicy>,
    /// Fields whose differences do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreDifferences>,
    /// Facts to show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<NameValue>,
    /// How many syncs the history keeps. Default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i64>,
}

/// A cluster and a namespace. A cluster has a server or a name, never both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApplicationDestination {
    /// The URL of the API server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// The namespace of objects that name none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// How and when the cluster is brought into line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncPolicy {
    /// Sync without being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated: Option<AutomatedPolicy>,
    /// Options such as `CreateNamespace=true`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// How often and when a failed sync is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryStrategy>,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<NamespaceMetadata>,
}

/// Sync without being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct AutomatedPolicy {
    /// Objects that Git no longer has are deleted. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Changes made by hand are undone. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_heal: Option<bool>,
    /// A sync may leave no objects at all. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_empty: Option<bool>,
    /// Whether it is on. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// How often and when a failed sync is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct RetryStrategy {
    /// How often it is tried again; 0 is never, less than 0 without end.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: i64,
    /// How long to wait between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// A retry takes the newest revision.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refresh: bool,
}

/// How long to wait between tries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Backoff {
    /// The first wait, such as `5s`; a bare number is seconds. Default: 5s.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub duration: String,
    /// Each wait is this many times the one before. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// The longest wait. Default: 3m.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max_duration: String,
}

/// Labels and annotations of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamespaceMetadata {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Fields of some objects whose differences do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["kind"]))]
pub struct IgnoreDifferences {
    /// A glob of the API group; empty is the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// A glob of the kind.
    pub kind: String,
    /// The name; empty is any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace; empty is any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The fields, as JSON pointers.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "jsonPointers")]
    pub json_pointers: Vec<String>,
    /// The fields, as jq path expressions.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "jqPathExpressions")]
    pub jq_path_expressions: Vec<String>,
    /// The fields that these field managers own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed_fields_managers: Vec<String>,
}

/// Manifests are rendered from one place into a branch, and deployed from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["drySource", "syncSource"]))]
pub struct SourceHydrator {
    /// Where the manifests are rendered from.
    pub dry_source: DrySource,
    /// Where the rendered manifests are deployed from.
    pub sync_source: SyncSource,
    /// The branch that rendered manifests are pushed to. Default: the branch of `syncSource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hydrate_to: Option<HydrateTo>,
}

/// Where manifests are rendered from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["path", "repoURL", "targetRevision"]))]
pub struct DrySource {
    /// The URL of the repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The revision to render.
    pub target_revision: String,
    /// The directory inside the repository.
    pub path: String,
    /// How Helm renders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmSource>,
    /// How Kustomize renders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeSource>,
    /// How plain manifests and Jsonnet are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectorySource>,
    /// The config management plugin that renders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginSource>,
}

/// Where rendered manifests are deployed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["path", "targetBranch"]))]
pub struct SyncSource {
    /// The URL of the repository. Default: that of `drySource`.
    #[serde(rename = "repoURL", skip_serializing_if = "String::is_empty")]
    pub repo_url: String,
    /// The branch.
    pub target_branch: String,
    /// The directory inside the repository; not its root.
    pub path: String,
}

/// The branch that rendered manifests are pushed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["targetBranch"]))]
pub struct HydrateTo {
    /// The branch.
    pub target_branch: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(value: &i64) -> bool {
    *value == 0
}
