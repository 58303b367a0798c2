//! An AppProject's specification as users write it: the JSON of Argo CD, every field of it.
//!
//! Nothing is checked here; [`crate::Project`] is what judges. Entry point: [`AppProjectSpec`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::ApplicationDestination;

/// What the Applications of a project may deploy, from where, to where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct AppProjectSpec {
    /// Globs of repositories that may be deployed from; with `!` in front, that may not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_repos: Vec<String>,
    /// Globs of clusters and namespaces that may be deployed to; with `!` in front, that may not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<ApplicationDestination>,
    /// What the project is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("maxLength" = 255))]
    pub description: String,
    /// Who may do what in the project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<ProjectRole>,
    /// Cluster-scoped kinds that may be deployed. Without an entry: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_whitelist: Vec<NamedKind>,
    /// Namespaced kinds that may not be deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespace_resource_blacklist: Vec<ProjectKind>,
    /// Whether objects that no Application has are reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphaned_resources: Option<OrphanedResources>,
    /// When Applications may be synced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_windows: Vec<SyncWindow>,
    /// Namespaced kinds that may be deployed. Absent: all; an empty list: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_resource_whitelist: Option<Vec<ProjectKind>>,
    /// Keys that commits must be signed with. Deprecated: see `sourceIntegrity`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signature_keys: Vec<SignatureKey>,
    /// Cluster-scoped kinds that may not be deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_blacklist: Vec<NamedKind>,
    /// Globs, or regular expressions between slashes, of further namespaces whose Applications may be in the project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_namespaces: Vec<String>,
    /// Only clusters that belong to the project may be deployed to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub permit_only_project_scoped_clusters: bool,
    /// Service accounts to deploy as.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination_service_accounts: Vec<DestinationServiceAccount>,
    /// How sources are verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_integrity: Option<SourceIntegrity>,
}

/// A role of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
pub struct ProjectRole {
    /// The name.
    pub name: String,
    /// What the role is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What the role may do, as Casbin policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Tokens that were issued for the role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt_tokens: Vec<JwtToken>,
    /// Groups whose members have the role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// A token that was issued for a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["iat"]))]
pub struct JwtToken {
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970; 0 is never.
    #[serde(skip_serializing_if = "crate::spec::is_zero")]
    pub exp: i64,
    /// Its id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
}

/// Globs of a group and a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["group", "kind"]))]
pub struct ProjectKind {
    /// The API group; empty is the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

/// Globs of a group, a kind and a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["group", "kind"]))]
pub struct NamedKind {
    /// The API group; empty is the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name; empty is any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Whether objects that no Application has are reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrphanedResources {
    /// A condition tells of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<bool>,
    /// Objects that are not reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<OrphanedResource>,
}

/// Globs of objects that are not reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrphanedResource {
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A time in which Applications may, or may not, be synced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncWindow {
    /// `allow` or `deny`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// When it begins, as a cron expression of five fields.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schedule: String,
    /// How long it lasts, such as `1h`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub duration: String,
    /// Globs of Applications it holds for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Globs of destination namespaces it holds for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Globs of clusters it holds for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// A sync by hand is allowed all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub manual_sync: bool,
    /// The time zone of the schedule. Default: UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    /// All of Applications, namespaces and clusters have to match, not one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub and_operator: bool,
    /// What the window is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A sync that began in time may end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sync_overrun: bool,
}

/// A key that commits must be signed with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["keyID"]))]
pub struct SignatureKey {
    /// The key's id.
    #[serde(rename = "keyID")]
    pub key_id: String,
}

/// The service account to deploy as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["defaultServiceAccount", "server"]))]
pub struct DestinationServiceAccount {
    /// A glob of the API server's URL.
    pub server: String,
    /// A glob of the namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The service account, as `name` or `namespace:name`.
    pub default_service_account: String,
}

/// How sources are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["git"]))]
pub struct SourceIntegrity {
    /// How Git sources are verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitIntegrity>,
}

/// How Git sources are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["policies"]))]
pub struct GitIntegrity {
    /// Policies; at most one may match a repository.
    pub policies: Vec<GitPolicy>,
}

/// How some repositories are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["gpg", "repos"]))]
pub struct GitPolicy {
    /// The repositories.
    pub repos: Vec<GitPolicyRepository>,
    /// How their signatures are verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpg: Option<GpgPolicy>,
}

/// The repositories of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["url"]))]
pub struct GitPolicyRepository {
    /// A glob of the URL; with `!` in front, of those that the policy is not for.
    pub url: String,
}

/// How signatures are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["keys", "mode"]))]
pub struct GpgPolicy {
    /// `none`, `head` or `strict` (not honoured).
    pub mode: String,
    /// The ids of the keys, or their fingerprints; of SSH keys `SHA256:…`.
    pub keys: Vec<String>,
}
