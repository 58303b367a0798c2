//! The health of one live object, and of an application from that of its objects. Upstream's rules and words.
//!
//! Keeps nothing. Entry points: [`of`] judges one object, [`aggregate`] many; [`unsettled`] says whether an Application's status
//! can be gone by.

mod aggregate;
mod application;
mod argo;
mod autoscaler;
mod batch;
mod network;
mod pod;
mod storage;
mod workload;

use std::fmt;

use serde::{Deserialize, Serialize};
use trueup_object::{Gvk, Node};

pub use aggregate::aggregate;
pub use application::unsettled;

/// Keeps a hook until it was judged, so that an object with it is judged though it is being deleted.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// How an object fares, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    /// It does what it should.
    Healthy,
    /// It is held on purpose.
    Suspended,
    /// It is not there yet, and may still get there.
    Progressing,
    /// It does not exist.
    Missing,
    /// It failed, or will not get there by itself.
    Degraded,
    /// It could not be judged.
    Unknown,
}

/// How an object fares, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How it fares.
    pub code: Code,
    /// Why; empty if there is nothing to say.
    pub message: String,
}

/// The health of a live object; none if its kind has no health.
pub fn of(object: &Node) -> Option<Health> {
    if let Some(health) = deletion(object) {
        return Some(health);
    }
    let kind = object.str_at(&["kind"])?;
    let gvk = Gvk::from_api_version(object.str_at(&["apiVersion"])?, kind);
    Some(match (gvk.group.as_str(), gvk.version.as_str(), kind) {
        ("apps", "v1", "Deployment") => workload::deployment(object),
        ("apps", "v1", "StatefulSet") => workload::stateful_set(object),
        ("apps", "v1", "DaemonSet") => workload::daemon_set(object),
        ("apps", "v1", "ReplicaSet") => workload::replica_set(object),
        ("batch", "v1", "Job") => batch::job(object),
        ("batch", _, "CronJob") => batch::cron_job(object),
        ("", "v1", "Pod") => pod::pod(object),
        ("", "v1", "PersistentVolumeClaim") => storage::claim(object),
        ("", "v1", "Service") => network::service(object),
        ("extensions" | "networking.k8s.io", _, "Ingress") => network::ingress(object),
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => autoscaler::version_1(object),
        ("autoscaling", "v2", "HorizontalPodAutoscaler") => autoscaler::version_2(object),
        ("apiregistration.k8s.io", "v1" | "v1beta1", "APIService") => network::api_service(object),
        ("argoproj.io", _, "Application") => application::application(object),
        ("argoproj.io", _, "Workflow") => argo::workflow(object),
        ("apps", _, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", _, "Job")
        | ("autoscaling", _, "HorizontalPodAutoscaler")
        | ("apiregistration.k8s.io", _, "APIService") => {
            Health::new(Code::Unknown, format!("unsupported {kind} GVK: {}/{}, Kind={kind}", gvk.group, gvk.version))
        }
        _ => return None,
    })
}

/// An object that is being deleted, unless it is a hook that is kept to be judged.
fn deletion(object: &Node) -> Option<Health> {
    object.at(&["metadata", "deletionTimestamp"]).filter(|time| !time.is_null())?;
    let finalizers: Vec<&str> = object.list_at(&["metadata", "finalizers"]).iter().filter_map(Node::as_str).collect();
    if finalizers.contains(&HOOK_FINALIZER) {
        return None;
    }
    let blocked = match finalizers.as_slice() {
        [] => String::new(),
        names => format!("; blocked by finalizers: {}", names.join(", ")),
    };
    Some(Health::new(Code::Progressing, format!("Pending deletion{blocked}")))
}

// === impl Code ===

impl Code {
    /// The word that a status carries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// The health that a word of a status names; [`Code::Unknown`] for a word that nobody knows.
    pub fn from_word(word: &str) -> Self {
        let all = [Self::Healthy, Self::Suspended, Self::Progressing, Self::Missing, Self::Degraded];
        all.into_iter().find(|code| code.as_str() == word).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Health ===

impl Health {
    /// A health with its reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A count in the status; what is not there is zero.
fn count(object: &Node, keys: &[&str]) -> i64 {
    object.i64_at(keys).unwrap_or_default()
}

/// Text anywhere in the object; what is not there is empty.
fn text<'a>(object: &'a Node, keys: &[&str]) -> &'a str {
    object.str_at(keys).unwrap_or_default()
}

/// The name, in quotes, as upstream's messages have it.
fn quoted_name(object: &Node) -> String {
    format!("{:?}", text(object, &["metadata", "name"]))
}

/// The spec is newer than what the status speaks of.
fn is_stale(object: &Node) -> bool {
    count(object, &["metadata", "generation"]) > count(object, &["status", "observedGeneration"])
}

/// The first condition of that type.
fn condition<'a>(object: &'a Node, kind: &str) -> Option<&'a Node> {
    object.list_at(&["status", "conditions"]).iter().find(|condition| text(condition, &["type"]) == kind)
}

/// One annotation.
fn annotation<'a>(object: &'a Node, key: &str) -> Option<&'a str> {
    object.str_at(&["metadata", "annotations", key])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges each object of the table and compares it with the code and message beside it.
    pub(crate) fn check(table: &[(&str, Code, &str)]) {
        for (yaml, code, message) in table {
            assert_eq!(of(&read(yaml)), Some(Health::new(*code, *message)), "{yaml}");
        }
    }

    pub(crate) fn read(yaml: &str) -> Node {
        let documents =
            trueup_object::yaml::documents(yaml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {yaml}"));
        documents[0].node.clone()
    }

    #[test]
    fn what_is_being_deleted_is_pending() {
        let pod = "{apiVersion: v1, kind: Pod, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}}";
        let any = "{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}}";
        let held = "{apiVersion: v1, kind: Pod, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [a.b/c, d]}}";
        let not = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {deletionTimestamp: null}, status: {phase: Bound}}";
        check(&[
            (pod, Code::Progressing, "Pending deletion"),
            (any, Code::Progressing, "Pending deletion"),
            (held, Code::Progressing, "Pending deletion; blocked by finalizers: a.b/c, d"),
            (not, Code::Healthy, ""),
        ]);
    }

    #[test]
    fn a_hook_that_is_kept_is_judged_though_it_is_being_deleted() {
        let job = "
apiVersion: batch/v1
kind: Job
metadata:
  deletionTimestamp: '2026-01-01T00:00:00Z'
  finalizers: [argocd.argoproj.io/hook-finalizer]
status:
  conditions: [{type: Complete, status: 'True', message: done}]";
        check(&[(job, Code::Healthy, "done")]);
    }

    #[test]
    fn most_kinds_have_no_health() {
        for yaml in [
            "{apiVersion: v1, kind: ConfigMap}",
            "{apiVersion: example.org/v1, kind: Deployment}",
            "{apiVersion: serving.knative.dev/v1, kind: Service}",
            "{kind: Pod}",
            "[]",
        ] {
            assert_eq!(of(&read(yaml)), None, "{yaml}");
        }
    }

    #[test]
    fn versions_that_nobody_serves_any_more_are_unknown() {
        check(&[
            (
                "{apiVersion: apps/v1beta2, kind: Deployment}",
                Code::Unknown,
                "unsupported Deployment GVK: apps/v1beta2, Kind=Deployment",
            ),
            (
                "{apiVersion: autoscaling/v2beta2, kind: HorizontalPodAutoscaler}",
                Code::Unknown,
                "unsupported HorizontalPodAutoscaler GVK: autoscaling/v2beta2, Kind=HorizontalPodAutoscaler",
            ),
        ]);
    }

    #[test]
    fn words_are_read_as_they_are_printed() {
        for code in [Code::Healthy, Code::Suspended, Code::Progressing, Code::Missing, Code::Degraded, Code::Unknown] {
            assert_eq!(Code::from_word(&code.to_string()), code);
        }
        assert_eq!(Code::from_word("Splendid"), Code::Unknown);
    }
}
