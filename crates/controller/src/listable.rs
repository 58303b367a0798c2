//! The kinds whose objects are searched, each at one of its versions.
//!
//! Keeps nothing. Entry point: [`one_version_each`].

use std::collections::BTreeMap;

use trueup_cluster::Kind;
use trueup_object::GroupKind;

/// Kinds that come and go by themselves and are never in Git, by resource: Events and Leases.
const LEFT_OUT: [(&str, &str); 3] = [("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")];

/// Every kind that can be listed, at its most settled version: each shows the same objects.
pub(crate) fn one_version_each(kinds: Vec<Kind>) -> Vec<Kind> {
    let mut best: BTreeMap<GroupKind, Kind> = BTreeMap::new();
    for kind in kinds {
        if !kind.watchable || LEFT_OUT.contains(&(kind.gvk.group.as_str(), kind.plural.as_str())) {
            continue;
        }
        let key = kind.gvk.group_kind();
        if best.get(&key).is_none_or(|known| settled(&kind.gvk.version) > settled(&known.gvk.version)) {
            best.insert(key, kind);
        }
    }
    best.into_values().collect()
}

/// How settled a version is: `v2` is more than `v1`, that more than `v2beta1`, and that more than `v2alpha1`.
fn settled(version: &str) -> (u8, u32, u32) {
    let numbers: Vec<u32> = version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let stage = if version.contains("alpha") {
        0
    } else if version.contains("beta") {
        1
    } else {
        2
    };
    (stage, numbers.first().copied().unwrap_or_default(), numbers.get(1).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use trueup_object::Gvk;

    use super::*;

    fn kind(api_version: &str, kind: &str, plural: &str) -> Kind {
        let gvk = Gvk::from_api_version(api_version, kind);
        Kind { gvk, plural: plural.to_owned(), namespaced: true, scale: false, status: false, watchable: true }
    }

    #[test]
    fn each_kind_is_listed_once_at_its_most_settled_version() {
        let kinds = vec![
            kind("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
            kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
            kind("x.io/v1beta2", "X", "xs"),
            kind("x.io/v1beta10", "X", "xs"),
            kind("x.io/v2alpha1", "X", "xs"),
            kind("v1", "Event", "events"),
            kind("coordination.k8s.io/v1", "Lease", "leases"),
            Kind { watchable: false, ..kind("v1", "Binding", "bindings") },
        ];
        let listed: Vec<String> = one_version_each(kinds).iter().map(|kind| kind.gvk.version.to_string()).collect();
        assert_eq!(listed, ["v2", "v1beta10"]);
    }
}
