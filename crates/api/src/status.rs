//! What we say of an Application: the status of Argo CD, field by field, and our own `drift`.
//!
//! Reading never fails: a field that does not decode is as if it were absent, so that one bad entry, written by whomever,
//! costs that entry. Times are RFC 3339. Entry point: [`Status::read`].

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use trueup_object::ObjectKey;

use crate::drift::Drift;
use crate::operation::OperationInitiator;
use crate::operation_state::{OperationPhase, OperationState};
use crate::revision::Revision;
use crate::source::ApplicationSource;
use crate::spec::{ApplicationDestination, IgnoreDifferences, is_zero};

/// What we say of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// Each object: the inventory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceStatus>,
    /// Whether the cluster is as Git says.
    pub sync: SyncStatus,
    /// Whether the objects work.
    pub health: HealthStatus,
    /// The successful syncs, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RevisionHistory>,
    /// Errors and warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it was last compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciled_at: Option<String>,
    /// The operation that runs, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_state: Option<OperationState>,
    /// Deprecated upstream; kept as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<String>,
    /// What renders the source: `Directory`, `Helm`, `Kustomize`, `Plugin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_type: String,
    /// What the objects have to show.
    #[serde(skip_serializing_if = "Summary::is_empty")]
    pub summary: Summary,
    /// Where the health of objects is kept; not written by us: it stands with each object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_health_source: String,
    /// What renders each of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_types: Vec<String>,
    /// The namespace of the controller that wrote this.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub controller_namespace: String,
    /// What the cluster has otherwise than at the last sync, and who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// Whether the cluster is as Git says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncStatus {
    /// The answer.
    pub status: SyncCode,
    /// What was compared with what.
    #[serde(skip_serializing_if = "ComparedTo::is_empty")]
    pub compared_to: ComparedTo,
    /// The commit that was compared.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The commits of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
}

/// Whether something is as Git says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SyncCode {
    /// It is.
    Synced,
    /// It is not.
    OutOfSync,
    /// It cannot be said.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What was compared with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ComparedTo {
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// The destination.
    pub destination: ApplicationDestination,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// The fields that did not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreDifferences>,
}

/// Whether something works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HealthStatus {
    /// The answer.
    pub status: HealthCode,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When the answer changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// Whether something works, in the words of Argo CD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HealthCode {
    /// It works.
    Healthy,
    /// Somebody put it on hold.
    Suspended,
    /// It does not work yet.
    Progressing,
    /// It is not there.
    Missing,
    /// It does not work.
    Degraded,
    /// It cannot be said.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One object of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceStatus {
    /// The API group; empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether it is as Git says.
    pub status: SyncCode,
    /// Whether it works; none for kinds of which that cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// It is a hook.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hook: bool,
    /// Git no longer has it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requires_pruning: bool,
    /// Its wave.
    #[serde(skip_serializing_if = "is_zero")]
    pub sync_wave: i64,
    /// It is deleted only after somebody approves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requires_deletion_confirmation: bool,
}

/// One successful sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RevisionHistory {
    /// Its number, growing.
    pub id: i64,
    /// The commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The commits of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_started_at: Option<String>,
    /// When it ended.
    pub deployed_at: String,
    /// Who asked.
    #[serde(skip_serializing_if = "OperationInitiator::is_empty")]
    pub initiated_by: OperationInitiator,
}

/// An error or a warning. Types: [`crate::condition`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// The type; its end says how bad it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// What and where.
    pub message: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// What the objects have to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Summary {
    /// URLs under which they can be reached.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "externalURLs")]
    pub external_urls: Vec<String>,
    /// The images that they run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// There are Applications among them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_app_of_apps: bool,
}

// === impl Status ===

impl Status {
    /// The commit of the last sync that succeeded: the last of the history; where none is kept (`revisionHistoryLimit: 0`), that of
    /// the last operation.
    pub fn synced_revision(&self) -> Option<Revision> {
        let operation = self.operation_state.as_ref().filter(|state| state.phase == OperationPhase::Succeeded);
        let last = self.history.last().and_then(|last| Revision::of(&last.revision, &last.revisions));
        let operated = || operation?.sync_result.as_ref().and_then(|it| Revision::of(&it.revision, &it.revisions));
        last.or_else(operated)
    }

    /// Reads a status. What does not decode is as if it were absent.
    pub fn read(json: &[u8]) -> Self {
        if let Ok(status) = serde_json::from_slice(json) {
            return status;
        }
        let Ok(fields) = serde_json::from_slice::<HashMap<&str, &RawValue>>(json) else { return Self::default() };
        let fields = Fields(fields);
        Self {
            resources: fields.items("resources"),
            sync: fields.value("sync"),
            health: fields.value("health"),
            history: fields.items("history"),
            conditions: fields.items("conditions"),
            reconciled_at: fields.value("reconciledAt"),
            operation_state: fields.value("operationState"),
            observed_at: fields.value("observedAt"),
            source_type: fields.value("sourceType"),
            summary: fields.value("summary"),
            resource_health_source: fields.value("resourceHealthSource"),
            source_types: fields.items("sourceTypes"),
            controller_namespace: fields.value("controllerNamespace"),
            drift: fields.value("drift"),
        }
    }
}

/// The fields of a status that does not decode as a whole.
struct Fields<'a>(HashMap<&'a str, &'a RawValue>);

// === impl Fields ===

impl Fields<'_> {
    fn value<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// A list, item by item.
    fn items<T: DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let items: Vec<&RawValue> =
            self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        items.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
    }
}

// === impl ComparedTo ===

impl ComparedTo {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl SyncCode ===

impl std::fmt::Display for SyncCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        })
    }
}

// === impl HealthCode ===

impl std::fmt::Display for HealthCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        })
    }
}

// === impl ResourceStatus ===

impl ResourceStatus {
    /// What tells the object from every other.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.group, &self.kind, &self.namespace, &self.name)
    }
}

// === impl Summary ===

impl Summary {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;

    #[test]
    fn prints_upstreams_json() {
        let text = r#"{"conditions":[{"lastTransitionTime":"2026-11-24T10:00:00Z","message":"m","type":"SyncError"}],"controllerNamespace":"argocd","drift":{"baseline":"b","count":1,"events":[{"count":2,"fields":[{"git":"1","live":"2","path":".data.a"}],"firstDetectedAt":"t","group":"apps","kind":"Deployment","lastDetectedAt":"u","manager":"kubectl","name":"web","namespace":"shop","operation":"Update","outcome":"Healed"}],"since":"t"},"health":{"lastTransitionTime":"t","message":"m","status":"Degraded"},"history":[{"deployStartedAt":"t","deployedAt":"u","id":3,"initiatedBy":{"automated":true},"revision":"abc","source":{"path":"p","repoURL":"u"}}],"operationState":{"finishedAt":"u","message":"m","operation":{"initiatedBy":{"username":"me"},"retry":{"limit":5},"sync":{"autoHealAttemptsCount":1,"prune":true,"revision":"abc"}},"phase":"Succeeded","retryCount":1,"startedAt":"t","syncResult":{"resources":[{"group":"","hookPhase":"Succeeded","images":["i"],"kind":"ConfigMap","message":"created","name":"a","namespace":"shop","status":"Synced","syncPhase":"Sync","version":"v1"}],"revision":"abc","source":{"path":"p","repoURL":"u"}}},"reconciledAt":"t","resources":[{"group":"apps","health":{"status":"Healthy"},"kind":"Deployment","name":"web","namespace":"shop","requiresPruning":true,"status":"OutOfSync","syncWave":-1,"version":"v1"}],"sourceType":"Directory","summary":{"externalURLs":["u"],"images":["i"],"isAppOfApps":true},"sync":{"comparedTo":{"destination":{"server":"s"},"ignoreDifferences":[{"jsonPointers":["/a"],"kind":"K"}],"source":{"path":"p","repoURL":"u"}},"revision":"abc","status":"Synced"}}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(Node::from_json(&serde_json::to_vec(&status).unwrap()).unwrap().to_string(), text);
        assert_eq!(Status::read(text.as_bytes()), status);
    }

    #[test]
    fn without_a_history_the_last_operation_tells_what_was_synced() {
        let revision = |text: &str| Status::read(text.as_bytes()).synced_revision().map(|revision| revision.single());
        let operation =
            |phase: &str| format!(r#""operationState": {{"phase": "{phase}", "syncResult": {{"revision": "b"}}}}"#);
        let (done, failed) = (operation("Succeeded"), operation("Failed"));
        assert_eq!(revision(&format!(r#"{{"history": [{{"revision": "a"}}], {done}}}"#)).as_deref(), Some("a"));
        assert_eq!(revision(&format!("{{{done}}}")).as_deref(), Some("b"));
        assert_eq!(revision(&format!("{{{failed}}}")), None);
        assert_eq!(revision(r#"{"history": [{"revision": ""}]}"#), None);
    }

    #[test]
    fn one_bad_entry_costs_that_entry() {
        let status = Status::read(
            br#"{"resources": [{"kind": "A", "name": "a"}, 5, {"kind": 5}, {"kind": "B", "name": "b", "status": "Synced"}],
                "sync": {"status": "Synced", "revision": "abc"}, "health": [], "history": [{"id": "x"}, {"id": 2, "revision": "def"}],
                "conditions": {}, "operationState": {"phase": "Nonsense"}, "drift": {"baseline": "b"}, "reconciledAt": "t", "unknown": {}}"#,
        );
        assert_eq!(status.resources.iter().map(|resource| resource.kind.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!((status.sync.status, status.sync.revision.as_str()), (SyncCode::Synced, "abc"));
        assert_eq!(status.health.status, HealthCode::Unknown);
        assert_eq!(status.history.len(), 1);
        assert_eq!(status.operation_state, None);
        assert_eq!(status.drift.unwrap().baseline, "b");
        assert_eq!(status.reconciled_at.as_deref(), Some("t"));
    }

    #[test]
    fn anything_reads_as_a_status() {
        for json in ["", "5", "[]", "null", "{", r#"{"resources": 5, "sync": 5}"#] {
            assert_eq!(Status::read(json.as_bytes()), Status::default(), "{json}");
        }
    }

    #[test]
    fn words_of_others_are_unknown() {
        let status = Status::read(br#"{"sync": {"status": "Nonsense"}, "health": {"status": "Nonsense"}}"#);
        assert_eq!((status.sync.status, status.health.status), (SyncCode::Unknown, HealthCode::Unknown));
        assert_eq!(format!("{:<10}|{}", SyncCode::OutOfSync, HealthCode::Degraded), "OutOfSync |Degraded");
    }
}
