//! Missing rules as RBAC: a ClusterRole, a Role per namespace, and bindings if it is known to whom. Entry point: [`roles`].

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup_cluster::ServiceAccount;

use crate::commands::cluster::rule::Rule;

/// The name of what is made, beside the roles that an installation has.
const NAME: &str = "trueup-controller-more";
const VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Roles that grant these rules, each with its binding if there is an account to bind it to.
pub(super) fn roles<'a>(rules: impl IntoIterator<Item = &'a Rule>, account: Option<&ServiceAccount>) -> Vec<Value> {
    let mut places: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for rule in rules {
        places.entry(&rule.namespace).or_default().push(json!({
            "apiGroups": [rule.group],
            "resources": rule.resources,
            "verbs": rule.verbs,
        }));
    }
    let mut all = Vec::new();
    for (namespace, rules) in places {
        let (role, binding) =
            if namespace.is_empty() { ("ClusterRole", "ClusterRoleBinding") } else { ("Role", "RoleBinding") };
        let mut metadata = json!({"name": NAME});
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        all.push(json!({"apiVersion": VERSION, "kind": role, "metadata": metadata, "rules": rules}));
        if let Some(account) = account {
            let subject = json!({"kind": "ServiceAccount", "namespace": account.namespace, "name": account.name});
            let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": NAME});
            all.push(json!({
                "apiVersion": VERSION, "kind": binding, "metadata": metadata, "roleRef": reference, "subjects": [subject],
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(namespace: &str, resource: &str) -> Rule {
        Rule {
            namespace: namespace.to_owned(),
            group: "apps".to_owned(),
            resources: vec![resource.to_owned()],
            verbs: vec!["list".to_owned()],
            why: "it is asked for",
            only_for: None,
        }
    }

    #[test]
    fn each_place_has_its_role() {
        let rules = [rule("", "a"), rule("shop", "b"), rule("", "c")];
        let made = roles(&rules, None);
        let told: Vec<(&str, &str, usize)> = made
            .iter()
            .map(|role| {
                let text = |pointer: &str| role.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                (text("/kind"), text("/metadata/namespace"), role["rules"].as_array().unwrap().len())
            })
            .collect();
        assert_eq!(told, [("ClusterRole", "", 2), ("Role", "shop", 1)]);
    }

    #[test]
    fn an_account_is_bound() {
        let account = ServiceAccount { namespace: "argocd".to_owned(), name: "trueup".to_owned() };
        let made = roles(&[rule("shop", "b")], Some(&account));
        assert_eq!(made.len(), 2);
        assert_eq!(made[1]["kind"], "RoleBinding");
        assert_eq!(made[1]["roleRef"]["name"], made[0]["metadata"]["name"]);
        assert_eq!(made[1]["subjects"][0]["name"], "trueup");
    }
}
