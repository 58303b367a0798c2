//! What runs Pods and replaces them: Deployments, StatefulSets, DaemonSets, ReplicaSets.

use trueup_object::Node;

use crate::{Code, Health, condition, count, is_stale, quoted_name, text};

const SPEC_REPLICAS: [&str; 2] = ["spec", "replicas"];

pub(crate) fn deployment(object: &Node) -> Health {
    if object.at(&["spec", "paused"]).and_then(Node::as_bool) == Some(true) {
        return Health::new(Code::Suspended, "Deployment is paused");
    }
    if is_stale(object) {
        return progressing(
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        );
    }
    if condition(object, "Progressing").is_some_and(|found| text(found, &["reason"]) == "ProgressDeadlineExceeded") {
        let message = format!("Deployment {} exceeded its progress deadline", quoted_name(object));
        return Health::new(Code::Degraded, message);
    }
    let updated = count(object, &["status", "updatedReplicas"]);
    let replicas = count(object, &["status", "replicas"]);
    let available = count(object, &["status", "availableReplicas"]);
    match object.i64_at(&SPEC_REPLICAS) {
        Some(wanted) if updated < wanted => progressing(format!(
            "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated..."
        )),
        _ if replicas > updated => progressing(format!(
            "Waiting for rollout to finish: {} old replicas are pending termination...",
            replicas - updated
        )),
        _ if available < updated => progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        )),
        _ => healthy(""),
    }
}

pub(crate) fn stateful_set(object: &Node) -> Health {
    if count(object, &["status", "observedGeneration"]) == 0 || is_stale(object) {
        return progressing("Waiting for statefulset spec update to be observed...");
    }
    let wanted = object.i64_at(&SPEC_REPLICAS);
    let ready = count(object, &["status", "readyReplicas"]);
    let updated = count(object, &["status", "updatedReplicas"]);
    if let Some(missing) = wanted.map(|wanted| wanted - ready).filter(|missing| *missing > 0) {
        return progressing(format!("Waiting for {missing} pods to be ready..."));
    }
    let rolling = object.at(&["spec", "updateStrategy", "rollingUpdate"]).filter(|rolling| !rolling.is_null());
    match (text(object, &["spec", "updateStrategy", "type"]), rolling) {
        ("RollingUpdate", Some(rolling)) => match (wanted, rolling.i64_at(&["partition"])) {
            (Some(wanted), Some(partition)) if updated < wanted - partition => progressing(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...",
                wanted - partition
            )),
            _ => healthy(format!("partitioned roll out complete: {updated} new pods have been updated...")),
        },
        ("OnDelete", _) => healthy(format!("statefulset has {ready} ready pods")),
        _ => {
            let update = text(object, &["status", "updateRevision"]);
            let current = text(object, &["status", "currentRevision"]);
            if update == current {
                let pods = count(object, &["status", "currentReplicas"]);
                healthy(format!("statefulset rolling update complete {pods} pods at revision {current}..."))
            } else {
                progressing(format!(
                    "waiting for statefulset rolling update to complete {updated} pods at revision {update}..."
                ))
            }
        }
    }
}

pub(crate) fn daemon_set(object: &Node) -> Health {
    if is_stale(object) {
        return progressing(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    let wanted = count(object, &["status", "desiredNumberScheduled"]);
    let updated = count(object, &["status", "updatedNumberScheduled"]);
    let available = count(object, &["status", "numberAvailable"]);
    if text(object, &["spec", "updateStrategy", "type"]) == "OnDelete" {
        return healthy(format!("daemon set {updated} out of {wanted} new pods have been updated"));
    }
    let name = quoted_name(object);
    if updated < wanted {
        return progressing(format!(
            "Waiting for daemon set {name} rollout to finish: {updated} out of {wanted} new pods have been updated..."
        ));
    }
    if available < wanted {
        return progressing(format!(
            "Waiting for daemon set {name} rollout to finish: {available} of {wanted} updated pods are available..."
        ));
    }
    healthy("")
}

pub(crate) fn replica_set(object: &Node) -> Health {
    if is_stale(object) {
        return progressing(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|found| text(found, &["status"]) == "True") {
        return Health::new(Code::Degraded, text(failure, &["message"]));
    }
    let available = count(object, &["status", "availableReplicas"]);
    match object.i64_at(&SPEC_REPLICAS) {
        Some(wanted) if available < wanted => progressing(format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        )),
        _ => healthy(""),
    }
}

fn progressing(message: impl Into<String>) -> Health {
    Health::new(Code::Progressing, message)
}

fn healthy(message: impl Into<String>) -> Health {
    Health::new(Code::Healthy, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    fn each(kind: &str, table: &[(&str, Code, &str)]) {
        for (body, code, message) in table {
            let yaml = format!("{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: web, generation: 2}}, {body}}}");
            check(&[(&yaml, *code, *message)]);
        }
    }

    #[test]
    fn deployments() {
        each(
            "Deployment",
            &[
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3}",
                    Code::Healthy,
                    "",
                ),
                ("spec: {replicas: 0}, status: {observedGeneration: 2}", Code::Healthy, ""),
                ("spec: {paused: true, replicas: 3}", Code::Suspended, "Deployment is paused"),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 1, updatedReplicas: 3}",
                    Code::Progressing,
                    "Waiting for rollout to finish: observed deployment generation less than desired generation",
                ),
                (
                    "spec: {replicas: 3}",
                    Code::Progressing,
                    "Waiting for rollout to finish: observed deployment generation less than desired generation",
                ),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, conditions: [{type: Available}, {type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}",
                    Code::Degraded,
                    "Deployment \"web\" exceeded its progress deadline",
                ),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 1}",
                    Code::Progressing,
                    "Waiting for rollout to finish: 1 out of 3 new replicas have been updated...",
                ),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 4, updatedReplicas: 3}",
                    Code::Progressing,
                    "Waiting for rollout to finish: 1 old replicas are pending termination...",
                ),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 2}",
                    Code::Progressing,
                    "Waiting for rollout to finish: 2 of 3 updated replicas are available...",
                ),
            ],
        );
    }

    #[test]
    fn stateful_sets() {
        each(
            "StatefulSet",
            &[
                ("spec: {replicas: 1}", Code::Progressing, "Waiting for statefulset spec update to be observed..."),
                (
                    "spec: {replicas: 1}, status: {observedGeneration: 1, readyReplicas: 1}",
                    Code::Progressing,
                    "Waiting for statefulset spec update to be observed...",
                ),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, readyReplicas: 1}",
                    Code::Progressing,
                    "Waiting for 2 pods to be ready...",
                ),
                (
                    "spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}, status: {observedGeneration: 2, readyReplicas: 3, updatedReplicas: 1}",
                    Code::Progressing,
                    "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated...",
                ),
                (
                    "spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}, status: {observedGeneration: 2, readyReplicas: 3, updatedReplicas: 2}",
                    Code::Healthy,
                    "partitioned roll out complete: 2 new pods have been updated...",
                ),
                (
                    "spec: {replicas: 3, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 2, readyReplicas: 3, updateRevision: b, currentRevision: a}",
                    Code::Healthy,
                    "statefulset has 3 ready pods",
                ),
                (
                    "spec: {replicas: 3, updateStrategy: {type: RollingUpdate}}, status: {observedGeneration: 2, readyReplicas: 3, updatedReplicas: 1, updateRevision: b, currentRevision: a}",
                    Code::Progressing,
                    "waiting for statefulset rolling update to complete 1 pods at revision b...",
                ),
                (
                    "spec: {replicas: 3}, status: {observedGeneration: 2, readyReplicas: 3, currentReplicas: 3, updateRevision: a, currentRevision: a}",
                    Code::Healthy,
                    "statefulset rolling update complete 3 pods at revision a...",
                ),
            ],
        );
    }

    #[test]
    fn daemon_sets() {
        each(
            "DaemonSet",
            &[
                (
                    "status: {observedGeneration: 1}",
                    Code::Progressing,
                    "Waiting for rollout to finish: observed daemon set generation less than desired generation",
                ),
                (
                    "spec: {updateStrategy: {type: OnDelete}}, status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 1}",
                    Code::Healthy,
                    "daemon set 1 out of 3 new pods have been updated",
                ),
                (
                    "status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 1}",
                    Code::Progressing,
                    "Waiting for daemon set \"web\" rollout to finish: 1 out of 3 new pods have been updated...",
                ),
                (
                    "status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}",
                    Code::Progressing,
                    "Waiting for daemon set \"web\" rollout to finish: 2 of 3 updated pods are available...",
                ),
                (
                    "status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}",
                    Code::Healthy,
                    "",
                ),
            ],
        );
    }

    #[test]
    fn replica_sets() {
        each(
            "ReplicaSet",
            &[
                (
                    "spec: {replicas: 1}, status: {observedGeneration: 1}",
                    Code::Progressing,
                    "Waiting for rollout to finish: observed replica set generation less than desired generation",
                ),
                (
                    "spec: {replicas: 1}, status: {observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', message: quota}]}",
                    Code::Degraded,
                    "quota",
                ),
                (
                    "spec: {replicas: 2}, status: {observedGeneration: 2, availableReplicas: 1, conditions: [{type: ReplicaFailure, status: 'False'}]}",
                    Code::Progressing,
                    "Waiting for rollout to finish: 1 out of 2 new replicas are available...",
                ),
                ("spec: {replicas: 2}, status: {observedGeneration: 2, availableReplicas: 2}", Code::Healthy, ""),
            ],
        );
    }
}
