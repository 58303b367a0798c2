//! `deploy/` grants what the controller asks for, and nothing else.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use trueup_bed::workspace;
use trueup_controller::grants::GRANTS;
use trueup_controller::grants::Grant;
use trueup_controller::grants::Place;

use crate::kustomize::built;
use crate::kustomize::one;

/// Group, resource and verb.
type Permission = (String, String, String);
/// Which rules of the table a file holds.
type Wanted = fn(&Grant) -> bool;

fn asked(wanted: impl Fn(&Grant) -> bool) -> BTreeSet<Permission> {
    let mut asked = BTreeSet::new();
    for grant in GRANTS.iter().filter(|grant| wanted(grant)) {
        for resource in grant.resources {
            for verb in grant.verbs {
                asked.insert((grant.group.to_owned(), (*resource).to_owned(), (*verb).to_owned()));
            }
        }
    }
    asked
}

fn granted(role: &Value) -> BTreeSet<Permission> {
    let words = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let keys: Vec<&String> = rule.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["apiGroups", "resources", "verbs"], "a rule of another form: {rule}");
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    granted.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    granted
}

#[test]
fn each_role_is_the_controllers_own_table() {
    let objects = built("deploy/base");
    let own = one(&objects, "Role", "trueup-controller");
    assert_eq!(granted(own), asked(|grant| grant.place == Place::Namespace));
    let cluster = one(&objects, "ClusterRole", "trueup-controller");
    assert_eq!(granted(cluster), asked(|grant| grant.place == Place::Cluster));
    let destinations = one(&objects, "ClusterRole", "trueup-controller-destinations");
    assert_eq!(granted(destinations), asked(|grant| grant.place == Place::Destinations));
    let objects = built("deploy/application-namespace");
    let applications = one(&objects, "Role", "trueup-controller-applications");
    assert_eq!(granted(applications), asked(|grant| grant.place == Place::ApplicationNamespaces));
    let objects = built("deploy/impersonation");
    let impersonation = one(&objects, "ClusterRole", "trueup-controller-impersonation");
    assert_eq!(granted(impersonation), asked(|grant| grant.place == Place::ServiceAccounts));
}

/// What a namespace has to grant where objects are brought to it alone.
fn of_one_namespace(grant: &Grant) -> bool {
    grant.place == Place::Destinations || grant.is_for_any_kind()
}

#[test]
fn in_one_namespace_the_roles_are_what_of_the_table_a_namespace_has() {
    let objects = built("deploy/namespaced");
    assert!(objects.iter().all(|object| !object["kind"].as_str().unwrap().starts_with("Cluster")));
    let own = one(&objects, "Role", "trueup-controller");
    assert_eq!(granted(own), asked(|grant| grant.place == Place::Namespace));
    let destinations = one(&objects, "Role", "trueup-controller-destinations");
    let mut wanted = asked(of_one_namespace);
    wanted.retain(|(_, resource, _)| resource != "clusterroles");
    assert_eq!(granted(destinations), wanted);
}

#[test]
fn nobody_else_is_bound_and_nothing_else() {
    let objects = built("deploy/base");
    let mut bound = BTreeSet::new();
    for binding in objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding")) {
        assert_eq!(binding["subjects"].as_array().unwrap().len(), 1, "{binding}");
        let subject = &binding["subjects"][0];
        assert_eq!(
            (&subject["kind"], &subject["name"], &subject["namespace"]),
            (&"ServiceAccount".into(), &"trueup-controller".into(), &"argocd".into())
        );
        bound.insert((binding["roleRef"]["kind"].to_string(), binding["roleRef"]["name"].to_string()));
    }
    let roles = objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Role"));
    let roles: BTreeSet<_> =
        roles.map(|role| (role["kind"].to_string(), role["metadata"]["name"].to_string())).collect();
    assert_eq!(bound, roles);
}

#[test]
fn the_reason_stands_beside_each_rule() {
    let files: [(&str, Wanted); 5] = [
        ("deploy/controller/role.yaml", |grant| grant.place == Place::Namespace),
        ("deploy/base/cluster-role.yaml", |grant| matches!(grant.place, Place::Cluster | Place::Destinations)),
        ("deploy/application-namespace/role.yaml", |grant| grant.place == Place::ApplicationNamespaces),
        ("deploy/namespaced/destination-role.yaml", of_one_namespace),
        ("deploy/impersonation/role.yaml", |grant| grant.place == Place::ServiceAccounts),
    ];
    for (file, wanted) in files {
        let text = fs::read_to_string(workspace().join(file)).unwrap();
        for grant in GRANTS.iter().filter(|grant| wanted(grant)) {
            let beside = format!("# {}\n- apiGroups:", grant.why);
            assert!(text.contains(&beside), "{file}: no rule with the reason '{}'", grant.why);
        }
    }
}
