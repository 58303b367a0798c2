//! How far an operation is, and what it did: `status.operationState`.
//!
//! Entry point: [`OperationState`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::source::ApplicationSource;
use crate::spec::{NamespaceMetadata, is_zero};

/// The operation that runs, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OperationState {
    /// What was asked for.
    pub operation: Operation,
    /// How far it is. A retry that waits is `Running` with a [`Self::finished_at`].
    pub phase: OperationPhase,
    /// What it waits for, or how it ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_result: Option<SyncResult>,
    /// When it started.
    pub started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// How often it was tried again.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_count: i64,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperationPhase {
    /// It goes on.
    #[default]
    Running,
    /// Somebody wants it to end.
    Terminating,
    /// It ended, and something of it failed.
    Failed,
    /// It ended because it could not go on.
    Error,
    /// It ended, and all is done.
    Succeeded,
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncResult {
    /// Each object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceResult>,
    /// The commit.
    pub revision: String,
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// The commits of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Labels and annotations of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<NamespaceMetadata>,
}

/// What a sync did to one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceResult {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ResultCode>,
    /// The words that go with it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The kind of hook.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hook_type: String,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_phase: Option<OperationPhase>,
    /// The phase of the sync: `PreSync`, `Sync`, `PostSync`, `SyncFail`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sync_phase: String,
    /// The images that it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// How the sync of one object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResultCode {
    /// It is as Git says.
    Synced,
    /// It could not be brought into line.
    SyncFailed,
    /// It is deleted.
    Pruned,
    /// It should be deleted, but was not.
    PruneSkipped,
}

// === impl OperationPhase ===

impl OperationPhase {
    /// Whether it has ended. A `Running` operation that waits for a retry has not.
    pub fn completed(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Succeeded)
    }
}

impl fmt::Display for OperationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Succeeded => "Succeeded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_ended_is_completed() {
        let completed = |phase: OperationPhase| phase.completed();
        assert!([OperationPhase::Failed, OperationPhase::Error, OperationPhase::Succeeded].into_iter().all(completed));
        assert!(![OperationPhase::Running, OperationPhase::Terminating].into_iter().any(completed));
        assert_eq!(format!("{:<10}|", OperationPhase::Error), "Error     |");
    }
}
