//! Objects become steps: what can be done side by side, in the order in which it must be done.
//!
//! Keeps nothing. Invariants: every object is in exactly one step, whatever the order and number of times it was given, and
//! nothing is pruned that is applied. Entry point: [`steps`].

use std::collections::{BTreeMap, HashMap, HashSet};

use trueup_object::{GroupKind, Gvk, ObjectKey};

use crate::order::{self, Tier};

/// An object to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which object.
    pub key: ObjectKey,
    /// Its kind.
    pub gvk: Gvk,
    /// For a CustomResourceDefinition, the kind that it brings.
    pub defines: Option<GroupKind>,
}

/// What can be done side by side. Each step begins when the one before is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply these.
    Apply(Vec<ObjectKey>),
    /// Delete these.
    Prune(Vec<ObjectKey>),
}

/// Orders a sync: applies from what others need to what needs it, then prunes the other way round.
///
/// Objects of a kind that one of the CustomResourceDefinitions brings come after it. Upstream prunes first; here nothing is
/// taken away before what replaces it is there.
pub fn steps(applies: Vec<Item>, prunes: Vec<ObjectKey>) -> Vec<Step> {
    let applied: HashSet<ObjectKey> = applies.iter().map(|item| item.key.clone()).collect();
    let applies = apply_tiers(applies);
    let prunes = prune_tiers(prunes.into_iter().filter(|key| !applied.contains(key)));
    let applies = applies.into_values().map(Step::Apply);
    applies.chain(prunes.into_values().rev().map(Step::Prune)).collect()
}

fn apply_tiers(applies: Vec<Item>) -> BTreeMap<Tier, Vec<ObjectKey>> {
    let brought: HashSet<GroupKind> = applies.iter().filter_map(|item| item.defines.clone()).collect();
    let keys: HashMap<ObjectKey, bool> =
        applies.into_iter().map(|item| (item.key, brought.contains(&item.gvk.group_kind()))).collect();
    in_tiers(keys.into_iter().map(|(key, brought)| (tier(&key, brought), key)))
}

fn prune_tiers(prunes: impl Iterator<Item = ObjectKey>) -> BTreeMap<Tier, Vec<ObjectKey>> {
    let keys: HashSet<ObjectKey> = prunes.collect();
    // The name of a CustomResourceDefinition ends in the group of its kind.
    let groups: HashSet<&str> = keys
        .iter()
        .filter(|key| key.kind == "CustomResourceDefinition")
        .filter_map(|key| Some(key.name.split_once('.')?.1))
        .collect();
    in_tiers(keys.iter().map(|key| (tier(key, groups.contains(key.group.as_str())), key.clone())))
}

/// The tier of an object; one whose kind is brought by a CustomResourceDefinition of the same sync stands above that.
fn tier(key: &ObjectKey, brought: bool) -> Tier {
    let tier = order::tier(key);
    if brought { tier.max(Tier::Dependants) } else { tier }
}

fn in_tiers(keys: impl Iterator<Item = (Tier, ObjectKey)>) -> BTreeMap<Tier, Vec<ObjectKey>> {
    let mut tiers: BTreeMap<Tier, Vec<ObjectKey>> = BTreeMap::new();
    for (tier, key) in keys {
        tiers.entry(tier).or_default().push(key);
    }
    for keys in tiers.values_mut() {
        keys.sort_by(order::within);
    }
    tiers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> ObjectKey {
        let parts: Vec<&str> = text.split('/').collect();
        ObjectKey::new(parts[0], parts[1], parts[2], parts[3])
    }

    fn item(text: &str) -> Item {
        let key = key(text);
        Item { gvk: Gvk { group: key.group.clone(), version: "v1".into(), kind: key.kind.clone() }, key, defines: None }
    }

    fn definition(name: &str, group: &str, kind: &str) -> Item {
        let defines = Some(GroupKind::new(group, kind));
        Item { defines, ..item(&format!("apiextensions.k8s.io/CustomResourceDefinition//{name}")) }
    }

    fn words(steps: &[Step]) -> Vec<String> {
        let names = |keys: &[ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        steps
            .iter()
            .map(|step| match step {
                Step::Apply(keys) => format!("apply {}", names(keys)),
                Step::Prune(keys) => format!("prune {}", names(keys)),
            })
            .collect()
    }

    #[test]
    fn an_application() {
        let applies = [
            "apps/Deployment/shop/web",
            "/Service/shop/web",
            "/ConfigMap/shop/b",
            "/ConfigMap/shop/a",
            "/Secret/shop/a",
            "/ServiceAccount/shop/web",
            "/Namespace//shop",
            "networking.k8s.io/Ingress/shop/web",
            "admissionregistration.k8s.io/ValidatingWebhookConfiguration//web",
        ];
        let prunes = ["/ConfigMap/shop/old", "apps/Deployment/shop/old", "/Namespace//old", "/Service/shop/old"];
        let plan = steps(applies.map(item).to_vec(), prunes.map(key).to_vec());
        assert_eq!(
            words(&plan),
            [
                "apply Namespace shop",
                "apply ServiceAccount shop/web, ConfigMap shop/a, ConfigMap shop/b",
                "apply Secret shop/a, Service shop/web",
                "apply apps/Deployment shop/web, networking.k8s.io/Ingress shop/web",
                "apply admissionregistration.k8s.io/ValidatingWebhookConfiguration web",
                "prune apps/Deployment shop/old",
                "prune Service shop/old",
                "prune ConfigMap shop/old",
                "prune Namespace old",
            ]
        );
    }

    #[test]
    fn a_definition_comes_before_its_objects() {
        let plan = steps(
            vec![
                item("crd.example.org/NetworkPolicy/shop/a"),
                item("example.org/Widget/shop/a"),
                definition("networkpolicies.crd.example.org", "crd.example.org", "NetworkPolicy"),
                definition("widgets.example.org", "example.org", "Widget"),
                item("networking.k8s.io/NetworkPolicy/shop/b"),
            ],
            Vec::new(),
        );
        assert_eq!(
            words(&plan),
            [
                "apply networking.k8s.io/NetworkPolicy shop/b, apiextensions.k8s.io/CustomResourceDefinition networkpolicies.crd.example.org, apiextensions.k8s.io/CustomResourceDefinition widgets.example.org",
                "apply crd.example.org/NetworkPolicy shop/a",
                "apply example.org/Widget shop/a",
            ]
        );
    }

    #[test]
    fn a_definition_goes_after_its_objects() {
        let prunes = [
            "apiextensions.k8s.io/CustomResourceDefinition//networkpolicies.crd.example.org",
            "crd.example.org/NetworkPolicy/shop/a",
        ];
        assert_eq!(
            words(&steps(Vec::new(), prunes.map(key).to_vec())),
            [
                "prune crd.example.org/NetworkPolicy shop/a",
                "prune apiextensions.k8s.io/CustomResourceDefinition networkpolicies.crd.example.org",
            ]
        );
    }

    #[test]
    fn what_is_applied_is_not_pruned() {
        let plan = steps(vec![item("/ConfigMap/a/b")], vec![key("/ConfigMap/a/b"), key("/ConfigMap/a/c")]);
        assert_eq!(words(&plan), ["apply ConfigMap a/b", "prune ConfigMap a/c"]);
    }

    fn any_key() -> impl Strategy<Value = ObjectKey> {
        let kinds = ["Namespace", "ConfigMap", "Secret", "Deployment", "Service", "Widget", "CustomResourceDefinition"];
        (
            prop::sample::select(&["", "apps", "example.org"][..]),
            prop::sample::select(kinds.to_vec()),
            "[ab]?",
            "[a-d](\\.apps)?",
        )
            .prop_map(|(group, kind, namespace, name)| ObjectKey::new(group, kind, &namespace, &name))
    }

    fn any_item() -> impl Strategy<Value = Item> {
        (any_key(), prop::sample::select(vec!["Widget", "ConfigMap", "Service"])).prop_map(|(key, brought)| Item {
            gvk: Gvk { group: key.group.clone(), version: "v1".into(), kind: key.kind.clone() },
            defines: (key.kind == "CustomResourceDefinition").then(|| GroupKind::new("apps", brought)),
            key,
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_done_twice(
            applies in prop::collection::vec(any_item(), 0..20),
            prunes in prop::collection::vec(any_key(), 0..20),
        ) {
            let plan = steps(applies.clone(), prunes.clone());
            let mut seen = HashSet::new();
            let mut pruning = false;
            for step in &plan {
                let keys = match step {
                    Step::Apply(keys) => {
                        prop_assert!(!pruning);
                        keys
                    }
                    Step::Prune(keys) => {
                        pruning = true;
                        keys
                    }
                };
                prop_assert!(!keys.is_empty());
                for key in keys {
                    prop_assert!(seen.insert(key.clone()), "{} twice", key);
                }
            }
            let given: HashSet<ObjectKey> = applies.into_iter().map(|item| item.key).chain(prunes).collect();
            prop_assert_eq!(seen, given);
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(
            (applies, mixed) in prop::collection::vec(any_item(), 0..12)
                .prop_map(|items| items.into_iter().map(|item| (item.key.clone(), item)).collect::<HashMap<_, _>>().into_values().collect::<Vec<_>>())
                .prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle())),
            (prunes, mixed_prunes) in prop::collection::vec(any_key(), 0..12)
                .prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle())),
        ) {
            prop_assert_eq!(steps(applies, prunes), steps(mixed, mixed_prunes));
        }

        #[test]
        fn definitions_and_namespaces_come_first(applies in prop::collection::vec(any_item(), 0..20)) {
            let brought: HashSet<GroupKind> = applies.iter().filter_map(|item| item.defines.clone()).collect();
            let plan = steps(applies.clone(), Vec::new());
            let place = |wanted: &ObjectKey| plan.iter().position(|step| matches!(step, Step::Apply(keys) if keys.contains(wanted)));
            for item in &applies {
                for other in &applies {
                    let namespace = item.key.kind == "Namespace" && item.key.group.is_empty() && other.key.namespace == item.key.name;
                    let other_is_namespace = other.key.kind == "Namespace" && other.key.group.is_empty();
                    let definition = item.defines.is_some() && brought.contains(&other.gvk.group_kind());
                    if (namespace && !other_is_namespace) || definition {
                        prop_assert!(place(&item.key) < place(&other.key), "{} before {}", item.key, other.key);
                    }
                }
            }
        }
    }
}
