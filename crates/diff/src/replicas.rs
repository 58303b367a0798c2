//! Replicas that belong to an autoscaler.
//!
//! An apply that sends them takes them back at once, so they are neither compared nor sent. Entry point: [`to_send`].

use trueup_object::{Node, Path, Step};

use crate::base::is_aggregated;
use crate::owners::Owners;

/// Managers that scale by themselves: the HorizontalPodAutoscaler controller, and KEDA's operator by both of its names.
pub const SCALERS: [&str; 3] = ["kube-controller-manager", "keda-operator", "keda"];

/// The manifest as it is sent: without what belongs to an autoscaler or to the API server itself.
pub fn to_send(desired: &Node, live: Option<&Node>, scalers: &[&str]) -> Node {
    let mut sent = desired.clone();
    if live.is_some_and(|live| scaler(&Owners::of(live), scalers).is_some()) {
        sent.remove_at(&["spec", "replicas"]);
    }
    if is_aggregated(desired) {
        sent.remove_at(&["rules"]);
    }
    sent
}

/// Whether this is the path of `spec.replicas`.
pub(crate) fn is_replicas(path: &[Step]) -> bool {
    matches!(path, [Step::Field(spec), Step::Field(replicas)] if spec == "spec" && replicas == "replicas")
}

/// The autoscaler that owns `spec.replicas`.
///
/// The API server forgets who scales once somebody has scaled to zero: the entry that loses the leaf is ours, nobody's
/// gains it, and later scaling is not recorded either. Where the user has named scalers, such replicas are taken as
/// theirs; elsewhere they may as well be the work of a hand.
pub(crate) fn scaler<'a>(owners: &'a Owners, scalers: &[&'a str]) -> Option<&'a str> {
    let replicas = Path::of_fields(&["spec", "replicas"]);
    let owner = owners.entries().iter().find(|entry| {
        let manager = entry.owner.manager.as_str();
        entry.owner.subresource == "scale"
            && (SCALERS.contains(&manager) || scalers.contains(&manager))
            && entry.set.contains(&replicas)
    });
    let forgotten = || owners.ours().is_some() && owners.holding(&replicas).next().is_none();
    owner.map(|entry| entry.owner.manager.as_str()).or_else(|| scalers.first().copied().filter(|_| forgotten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    fn scaled_by(manager: &str, subresource: &str) -> Node {
        json(&format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"managedFields":[{{"manager":"{manager}",
                "operation":"Update","subresource":"{subresource}","apiVersion":"apps/v1",
                "fieldsV1":{{"f:spec":{{"f:replicas":{{}}}}}}}}]}},"spec":{{"replicas":5}}}}"#
        ))
    }

    #[test]
    fn only_replicas_of_an_autoscaler_are_left_out() {
        let desired = json(r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"paused":false,"replicas":2}}"#);
        for (manager, subresource, sent) in [
            ("kube-controller-manager", "scale", false),
            ("keda-operator", "scale", false),
            ("my-scaler", "scale", false),
            ("kubectl", "scale", true),
            ("kube-controller-manager", "", true),
            ("kube-controller-manager", "status", true),
        ] {
            let body = to_send(&desired, Some(&scaled_by(manager, subresource)), &["my-scaler"]);
            assert_eq!(body.at(&["spec", "replicas"]).is_some(), sent, "{manager} {subresource}");
            assert!(body.at(&["spec", "paused"]).is_some());
        }
        assert_eq!(to_send(&desired, None, &[]), desired);
    }

    #[test]
    fn replicas_that_nobody_owns_are_those_of_the_scalers_that_were_named() {
        let live = |fields: &str| {
            json(&format!(
                r#"{{"metadata":{{"managedFields":[{{"manager":"trueup","operation":"Apply","fieldsV1":{{"f:spec":{{"f:{fields}":{{}}}}}}}}]}},
                    "spec":{{"replicas":0}}}}"#
            ))
        };
        let desired = json(r#"{"spec":{"paused":false,"replicas":2}}"#);
        let is_sent =
            |live: &Node, scalers: &[&str]| to_send(&desired, Some(live), scalers).at(&["spec", "replicas"]).is_some();
        assert!(is_sent(&live("paused"), &[]));
        assert!(!is_sent(&live("paused"), &["my-scaler"]));
        assert!(is_sent(&live("replicas"), &["my-scaler"]), "they are ours");
        assert!(is_sent(&json("{}"), &["my-scaler"]), "we never applied them");
    }

    #[test]
    fn aggregated_rules_are_left_to_the_server() {
        let role = |rule: &str| {
            json(&format!(
                r#"{{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","aggregationRule":{rule},"rules":[]}}"#
            ))
        };
        assert!(to_send(&role("{}"), None, &[]).get("rules").is_none());
        assert!(to_send(&role("null"), None, &[]).get("rules").is_some());
    }
}
