//! The order of kinds.
//!
//! Keeps nothing. Entry point: [`kind_rank`], upstream's order; [`tier`] merges ranks that cannot depend on each other.

use trueup_object::ObjectKey;

/// Upstream's order of kinds. Only the kind's name counts, not its group.
const KINDS: [&str; 35] = [
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// What can be applied side by side.
///
/// Upstream applies one kind after the other. Five tiers keep each order between two kinds that has a reason:
/// - a namespace comes before what lives in it;
/// - a ServiceAccount before its token Secret (which is deleted without it), a role before its binding (the server looks it
///   up), a StorageClass and a PersistentVolume before a claim (which takes the default class, or is provisioned, when it is
///   made), quotas and limits before what they limit, an IngressClass before an Ingress (which takes the default class);
/// - configuration, claims, rights and Services before Pods (which get the Services' addresses when they start);
/// - kinds that the list does not name, such as admission webhooks and custom resources, after the workloads that serve them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    Namespaces,
    Foundations,
    Dependants,
    Workloads,
    Others,
}

/// The place of a kind in upstream's order; all kinds that it does not name share the last one.
pub fn kind_rank(kind: &str) -> usize {
    KINDS.iter().position(|name| *name == kind).unwrap_or(KINDS.len())
}

/// The tier of an object.
pub(crate) fn tier(key: &ObjectKey) -> Tier {
    match key.kind.as_str() {
        "Namespace" if key.group.is_empty() => Tier::Namespaces,
        "Namespace" => Tier::Others,
        "NetworkPolicy"
        | "ResourceQuota"
        | "LimitRange"
        | "PodSecurityPolicy"
        | "PodDisruptionBudget"
        | "ServiceAccount"
        | "ConfigMap"
        | "StorageClass"
        | "PersistentVolume"
        | "CustomResourceDefinition"
        | "ClusterRole"
        | "ClusterRoleList"
        | "Role"
        | "RoleList"
        | "IngressClass" => Tier::Foundations,
        "Secret"
        | "SecretList"
        | "PersistentVolumeClaim"
        | "ClusterRoleBinding"
        | "ClusterRoleBindingList"
        | "RoleBinding"
        | "RoleBindingList"
        | "Service" => Tier::Dependants,
        kind if kind_rank(kind) < KINDS.len() => Tier::Workloads,
        _ => Tier::Others,
    }
}

/// The order inside a step.
pub(crate) fn within(a: &ObjectKey, b: &ObjectKey) -> std::cmp::Ordering {
    let of = |key: &ObjectKey| kind_rank(&key.kind);
    of(a)
        .cmp(&of(b))
        .then_with(|| a.kind.cmp(&b.kind))
        .then_with(|| a.group.cmp(&b.group))
        .then_with(|| a.namespace.cmp(&b.namespace))
        .then_with(|| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_upstreams() {
        for pair in KINDS.windows(2) {
            assert!(kind_rank(pair[0]) < kind_rank(pair[1]), "{pair:?}");
        }
        assert_eq!(kind_rank("Namespace"), 0);
        assert_eq!(kind_rank("Widget"), kind_rank("ValidatingWebhookConfiguration"));
        assert!(kind_rank("Widget") > kind_rank("APIService"));
    }

    #[test]
    fn tiers_keep_what_matters() {
        let tier = |kind: &str| tier(&ObjectKey::new("", kind, "", "a"));
        for (first, then) in [
            ("Namespace", "ServiceAccount"),
            ("ServiceAccount", "Secret"),
            ("ClusterRole", "ClusterRoleBinding"),
            ("Role", "RoleBinding"),
            ("StorageClass", "PersistentVolumeClaim"),
            ("PersistentVolume", "PersistentVolumeClaim"),
            ("IngressClass", "Ingress"),
            ("LimitRange", "Pod"),
            ("Secret", "Deployment"),
            ("ConfigMap", "Job"),
            ("Service", "StatefulSet"),
            ("RoleBinding", "DaemonSet"),
            ("CustomResourceDefinition", "Deployment"),
            ("Deployment", "ValidatingWebhookConfiguration"),
            ("Deployment", "Certificate"),
        ] {
            assert!(tier(first) < tier(then), "{first} before {then}");
        }
    }
}
