//! `status.drift`, which Argo CD does not have: what the cluster has otherwise than at the last sync, and who did it.
//!
//! Values are shortened and Secret values hidden before they get here. Entry point: [`Drift`].

use serde::{Deserialize, Serialize};

/// What the cluster has otherwise than at the last sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Drift {
    /// How many objects drifted and are not back in line.
    pub count: i64,
    /// Since when there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The digest of the manifests last synced; `unfinished` while a sync of others has begun and not succeeded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub baseline: String,
    /// What happened, newest first. It stays as history when it is over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<DriftEvent>,
}

/// One change that was not made in Git: an object, the fields, and who changed them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DriftEvent {
    /// The API group; empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The fields that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<DriftField>,
    /// The field manager that changed them; `unknown` if nobody can tell.
    pub manager: String,
    /// What it did: `Apply`, `Update`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// When it was first seen.
    pub first_detected_at: String,
    /// When it was last seen.
    pub last_detected_at: String,
    /// How often it was seen.
    pub count: i64,
    /// What became of it: `detected`, `healed`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

/// One field that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftField {
    /// The field.
    pub path: String,
    /// What Git says; absent if Git does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// What the cluster has; absent if it does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
}
