//! Missing rules as RBAC: a ClusterRole, a Role per namespace, and bindings if it is known to whom. Entry point: [`roles`].
//!
//! Invariant: what is applied takes nothing away. Rules and subjects are replaced as a whole, and only what is missing now is
//! printed: so each set of rules and its account have a name of their own.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup_cluster::ServiceAccount;
use trueup_object::Digest;

use crate::commands::cluster::rule::Rule;

/// What the names of what is made begin with, beside the roles that an installation has.
const NAME_START: &str = "trueup-controller-more-";
/// Digits of the digest in a name: few enough to read, enough for all runs there will ever be.
const NAME_DIGITS: usize = 10;
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
        let rules = Value::Array(rules);
        let name = name(&rules, account);
        let mut metadata = json!({"name": name});
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        all.push(json!({"apiVersion": VERSION, "kind": role, "metadata": metadata, "rules": rules}));
        if let Some(account) = account {
            let subject = json!({"kind": "ServiceAccount", "namespace": account.namespace, "name": account.name});
            let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name});
            all.push(json!({
                "apiVersion": VERSION, "kind": binding, "metadata": metadata, "roleRef": reference, "subjects": [subject],
            }));
        }
    }
    all
}

fn name(rules: &Value, account: Option<&ServiceAccount>) -> String {
    let account = account.map(ServiceAccount::user).unwrap_or_default();
    let digest = Digest::of_parts([rules.to_string(), account]).to_string();
    format!("{NAME_START}{}", &digest[..NAME_DIGITS])
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

    #[test]
    fn other_rules_and_other_accounts_have_other_names() {
        let account = |name: &str| ServiceAccount { namespace: "argocd".to_owned(), name: name.to_owned() };
        let name = |resource: &str, account: Option<&ServiceAccount>| {
            let made = roles(&[rule("shop", resource)], account);
            made[0]["metadata"]["name"].as_str().unwrap().to_owned()
        };
        let (one, other) = (account("one"), account("other"));
        assert_eq!(name("b", Some(&one)), name("b", Some(&one)));
        let names = [name("b", Some(&one)), name("c", Some(&one)), name("b", Some(&other)), name("b", None)];
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
