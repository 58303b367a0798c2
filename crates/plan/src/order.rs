//! In which order objects are applied and pruned.
//!
//! Invariant: the order depends on the objects alone, not on the order in which they came. Entry point: [`steps`].

use std::collections::{BTreeSet, HashSet};

use trueup_object::{GroupKind, Gvk, ObjectKey};

/// An object to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The object.
    pub key: ObjectKey,
    /// Its kind at the version that Git names.
    pub gvk: Gvk,
    /// The kind that it defines, if it is a CustomResourceDefinition.
    pub defines: Option<GroupKind>,
}

/// What is done together; the next step begins when this one has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These are applied, in any order.
    Apply(Vec<ObjectKey>),
    /// These are deleted, in any order.
    Prune(Vec<ObjectKey>),
}

/// The order of kinds, as upstream's; what is not listed comes last.
const KINDS: [&str; 39] = [
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
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// The first kind that may need what stands before it: workloads read the configuration and the accounts above them.
const FIRST_WORKLOAD: &str = "DaemonSet";

/// The place of a kind in the order; the group does not count, as upstream.
pub fn kind_rank(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

/// Applies in groups such that what later objects need comes first, then prunes in the reverse order.
///
/// Upstream waits between any two kinds. We wait only where an object could need another one: namespaces before everything,
/// configuration, accounts, rules and definitions before workloads, and a definition before the objects of its kind.
pub fn steps(applies: Vec<Item>, prunes: Vec<ObjectKey>) -> Vec<Step> {
    let defined: HashSet<GroupKind> = applies.iter().filter_map(|item| item.defines.clone()).collect();
    let sorted = |keys: BTreeSet<(usize, ObjectKey)>| keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>();
    let mut groups: [BTreeSet<(usize, ObjectKey)>; 4] = Default::default();
    for item in applies {
        let rank = kind_rank(&item.key.kind);
        groups[group(&item.key, &defined)].insert((rank, item.key));
    }
    let mut pruned: [BTreeSet<(usize, ObjectKey)>; 4] = Default::default();
    for key in prunes {
        let rank = KINDS.len() - kind_rank(&key.kind);
        pruned[group(&key, &HashSet::new())].insert((rank, key));
    }
    let applies = groups.into_iter().map(sorted).filter(|keys| !keys.is_empty()).map(Step::Apply);
    let prunes = pruned.into_iter().rev().map(sorted).filter(|keys| !keys.is_empty()).map(Step::Prune);
    applies.chain(prunes).collect()
}

fn group(key: &ObjectKey, defined: &HashSet<GroupKind>) -> usize {
    match kind_rank(&key.kind) {
        0 => 0,
        _ if defined.contains(&key.group_kind()) => 3,
        rank if rank < kind_rank(FIRST_WORKLOAD) => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(group: &str, kind: &str, name: &str) -> Item {
        let key = ObjectKey::new(group, kind, "n", name);
        Item { gvk: Gvk { group: group.into(), version: "v1".into(), kind: kind.into() }, key, defines: None }
    }

    fn kinds(steps: &[Step]) -> Vec<(&'static str, Vec<String>)> {
        let names = |keys: &[ObjectKey]| keys.iter().map(|key| key.kind.to_string()).collect();
        steps
            .iter()
            .map(|step| match step {
                Step::Apply(keys) => ("apply", names(keys)),
                Step::Prune(keys) => ("prune", names(keys)),
            })
            .collect()
    }

    #[test]
    fn what_others_need_comes_first_and_goes_last() {
        let mut definition = item("apiextensions.k8s.io", "CustomResourceDefinition", "widgets");
        definition.defines = Some(GroupKind::new("x.io", "Widget"));
        let applies = vec![
            item("x.io", "Widget", "w"),
            item("apps", "Deployment", "d"),
            item("", "ConfigMap", "c"),
            definition,
            item("", "Namespace", "n"),
        ];
        let prunes = applies.iter().map(|item| item.key.clone()).collect();
        let expected = [
            ("apply", vec!["Namespace"]),
            ("apply", vec!["ConfigMap", "CustomResourceDefinition"]),
            ("apply", vec!["Deployment"]),
            ("apply", vec!["Widget"]),
            ("prune", vec!["Widget", "Deployment"]),
            ("prune", vec!["CustomResourceDefinition", "ConfigMap"]),
            ("prune", vec!["Namespace"]),
        ];
        let expected: Vec<_> = expected.into_iter().map(|(verb, kinds)| (verb, kinds.into_iter().map(str::to_owned).collect::<Vec<_>>())).collect();
        assert_eq!(kinds(&steps(applies.clone(), prunes)), expected);
        let mut turned = applies.clone();
        turned.reverse();
        assert_eq!(steps(turned, Vec::new()), steps(applies, Vec::new()));
    }
}
