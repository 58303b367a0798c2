//! What somebody asks of an Application: the top-level `operation`, a mailbox that anyone who may patch the object may use.
//!
//! Entry point: [`Operation`]. What of it is not honoured: [`crate::operation_unsupported`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trueup_object::ObjectKey;

use crate::source::{ApplicationSource, NameValue};
use crate::spec::{RetryStrategy, is_zero};

/// How large manifests that an operation brings may be, in bytes of JSON text: etcd takes objects of 1.5 MiB, and while the
/// operation runs the Application has it twice, as what is asked for and in its state.
pub const MANIFESTS_BYTES_MAX: usize = 600 * 1024;

/// What somebody asks of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Operation {
    /// Bring the cluster into line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncOperation>,
    /// Who asks.
    #[serde(skip_serializing_if = "OperationInitiator::is_empty")]
    pub initiated_by: OperationInitiator,
    /// Facts to show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<NameValue>,
    /// How often and when it is tried again if it fails.
    #[serde(skip_serializing_if = "RetryStrategy::is_empty")]
    pub retry: RetryStrategy,
    /// Why the operation cannot be read, if so; then nothing else is set, and it must not run.
    #[serde(skip)]
    pub unreadable: Option<String>,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OperationInitiator {
    /// The user's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The controller asks itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub automated: bool,
}

/// Bring the cluster into line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncOperation {
    /// The revision; empty is the Application's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Objects that Git no longer has are deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// Nothing is changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// How objects are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<SyncStrategy>,
    /// Only these objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SyncResource>,
    /// The source instead of the Application's own: a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ApplicationSource>,
    /// Manifests instead of those in Git.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    /// Options instead of the Application's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// The sources instead of the Application's own: a rollback.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// The revisions of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// How often the same change was undone already.
    #[serde(skip_serializing_if = "is_zero", rename = "autoHealAttemptsCount")]
    pub auto_heal_attempts_count: i64,
}

/// How objects are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncStrategy {
    /// Without hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply: Option<SyncStrategyApply>,
    /// With hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<SyncStrategyApply>,
}

/// Options of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncStrategyApply {
    /// Objects that cannot be changed are deleted and made anew.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// One object of a sync that does not take all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["kind", "name"]))]
pub struct SyncResource {
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// How large these manifests are where an operation brings them: texts inside a text, in bytes of JSON.
pub fn manifests_bytes(manifests: &[String]) -> usize {
    manifests.iter().map(|text| serde_json::Value::from(text.as_str()).to_string().len() + 1).sum()
}

// === impl SyncOperation ===

impl SyncOperation {
    /// Whether it brings more manifests than an Application can hold twice.
    pub fn is_too_large(&self) -> bool {
        manifests_bytes(&self.manifests) > MANIFESTS_BYTES_MAX
    }

    /// Whether objects that cannot be changed are deleted and made anew.
    pub fn forces(&self) -> bool {
        let strategy = self.sync_strategy.as_ref();
        let forces =
            |strategy: &SyncStrategy| [&strategy.apply, &strategy.hook].into_iter().flatten().any(|it| it.force);
        strategy.is_some_and(forces)
    }
}

// === impl SyncResource ===

impl SyncResource {
    /// Whether this object is meant; without a namespace the one of any.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        self.group == key.group.as_str()
            && self.kind == key.kind.as_str()
            && self.name == key.name.as_str()
            && (self.namespace.is_empty() || self.namespace == key.namespace.as_str())
    }
}

// === impl OperationInitiator ===

impl OperationInitiator {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && !self.automated
    }
}

// === impl RetryStrategy ===

impl RetryStrategy {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_is_named_exactly() {
        let web = ObjectKey::new("apps", "Deployment", "shop", "web");
        let namespace = ObjectKey::new("", "Namespace", "", "shop");
        for (json, key, meant) in [
            (r#"{"group": "apps", "kind": "Deployment", "name": "web", "namespace": "shop"}"#, &web, true),
            (r#"{"group": "apps", "kind": "Deployment", "name": "web"}"#, &web, true),
            (r#"{"group": "apps", "kind": "Deployment", "name": "web", "namespace": "other"}"#, &web, false),
            (r#"{"kind": "Deployment", "name": "web"}"#, &web, false),
            (r#"{"group": "apps", "kind": "StatefulSet", "name": "web"}"#, &web, false),
            (r#"{"group": "apps", "kind": "Deployment", "name": "we*"}"#, &web, false),
            (r#"{"group": "apps", "kind": "Deployment", "name": ""}"#, &web, false),
            (r#"{"kind": "Namespace", "name": "shop"}"#, &namespace, true),
            (r#"{"kind": "Namespace", "name": "shop", "namespace": "shop"}"#, &namespace, false),
        ] {
            let resource: SyncResource = serde_json::from_str(json).unwrap();
            assert_eq!(resource.matches(key), meant, "{json}");
        }
    }

    #[test]
    fn keeps_who_asks_what_for_and_how_it_is_retried() {
        let text = r#"{"sync":{"revision":"main"},"initiatedBy":{"username":"me","automated":true},"info":[{"name":"Reason","value":"a"}],"retry":{"limit":3,"backoff":{"duration":"5s"},"refresh":true}}"#;
        let operation: Operation = serde_json::from_str(text).unwrap();
        assert_eq!((operation.initiated_by.username.as_str(), operation.initiated_by.automated), ("me", true));
        assert_eq!((operation.info[0].name.as_str(), operation.info[0].value.as_str()), ("Reason", "a"));
        assert!(operation.retry.read().refresh && operation.retry.read().limit == 3);
        assert_eq!(serde_json::to_string(&operation).unwrap(), text);
    }
}
