//! Objects as a real API server (1.36) wrote them: how somebody came to own what was ours, what we change in
//! managedFields, and what the next apply then made of it.

use std::path::Path;

use trueup_diff::{Input, Projection, Schema, compare, takeover, to_send};
use trueup_object::{Gvk, Node};

use crate::support::{input, told};

struct Case {
    name: &'static str,
    /// What a comparison with the live object says, with a schema if there is one.
    expected: &'static [&'static str],
    /// The same after takeover and apply, by the projection that the answer gives.
    after: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case { name: "edit-reverted", expected: &["extra .data.b by kubectl-edit"], after: &[] },
    Case { name: "managed-fields-reset", expected: &["extra .data.b", "needs schema"], after: &[] },
    Case { name: "before-first-apply", expected: &["extra .data.b by trueup"], after: &[] },
    Case { name: "client-side-applied", expected: &["extra .data.b by argocd-controller"], after: &[] },
    Case { name: "argo-server-side-applied", expected: &["extra .data.b by argocd-controller"], after: &[] },
    Case { name: "string-data", expected: &["extra .data.b", "needs schema"], after: &[] },
    Case {
        name: "shared-with-an-applier",
        expected: &["shared .data.b with other-applier"],
        after: &["shared .data.b with other-applier"],
    },
    Case {
        name: "given-up",
        expected: &["given up .data.b to kubectl-edit"],
        after: &["given up .data.b to kubectl-edit"],
    },
    Case {
        name: "deployment-fresh",
        expected: &[r#"missing .spec.template.spec.containers[name="web"].resources.limits"#],
        after: &[],
    },
    Case {
        name: "deployment-sidecar-dropped",
        expected: &[
            "extra .spec.template.metadata.annotations.x by trueup",
            r#"extra .spec.template.spec.containers[name="side"] by trueup"#,
            r#"missing .spec.template.spec.containers[name="web"].resources.limits"#,
        ],
        after: &[],
    },
    Case {
        name: "deployment-init-containers-swapped",
        expected: &[
            r#"missing .spec.template.spec.containers[name="web"].resources.limits"#,
            "changed .spec.template.spec.initContainers by trueup",
        ],
        after: &[],
    },
    Case {
        name: "deployment-scaled",
        expected: &[
            r#"missing .spec.template.spec.containers[name="web"].resources.limits"#,
            "scaled by kube-controller-manager",
        ],
        after: &["scaled by kube-controller-manager"],
    },
    Case {
        name: "autoscaler-version-skew",
        expected: &["extra .metadata.labels.a by trueup", "changed .spec.maxReplicas", "needs schema"],
        after: &[],
    },
    Case { name: "service-default-protocol", expected: &[], after: &[] },
    Case {
        name: "network-policy-opened",
        expected: &["changed .spec.podSelector by kubectl-edit", "needs schema"],
        after: &[],
    },
    Case {
        name: "custom-resource",
        expected: &[
            "extra .spec.inner.a by trueup",
            "changed .spec.plain by trueup",
            r#"extra .spec.rules[name="r",zone="a"].tags[="y"] by trueup"#,
            r#"extra .spec.rules[name="r",zone="b"] by trueup"#,
            "changed .spec.whole by kubectl-edit",
        ],
        after: &[],
    },
];

fn read(name: &str) -> Node {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(format!("{name}.json"));
    Node::from_json(&std::fs::read(path).unwrap()).unwrap()
}

fn schema(desired: &Node) -> Schema {
    let gvk = Gvk::from_api_version(desired.str_at(&["apiVersion"]).unwrap(), desired.str_at(&["kind"]).unwrap());
    match gvk.kind.as_str() {
        "Deployment" => Schema::from_openapi_v3(&read("openapi-apps-v1").to_json(), &gvk).unwrap(),
        "Thing" => Schema::from_crd(&read("definition"), "v1").unwrap(),
        _ => Schema::unknown(),
    }
}

#[test]
fn every_recorded_object_has_a_case() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !["openapi-apps-v1", "definition"].contains(&name.as_str()))
        .collect();
    names.sort();
    let mut cases: Vec<_> = CASES.iter().map(|case| case.name).collect();
    cases.sort_unstable();
    assert_eq!(names, cases);
}

#[test]
fn differences_are_told_as_they_are() {
    for case in CASES {
        let data = read(case.name);
        let (desired, live) = (data.get("desired").unwrap(), data.get("live").unwrap());
        let schema = schema(desired);
        let built_in = desired.str_at(&["kind"]) != Some("Thing");
        let comparison = compare(&Input { base: data.get("base"), built_in, ..input(desired, live, &schema) });
        assert_eq!(told(&comparison), case.expected, "{}", case.name);
    }
}

#[test]
fn the_server_took_what_takeover_writes() {
    for case in CASES {
        let data = read(case.name);
        let (desired, live) = (data.get("desired").unwrap(), data.get("live").unwrap());
        let list = takeover(desired, data.get("base"), live, &schema(desired), trueup_diff::Former::default(), false);
        let taken = data.get("taken").map(|taken| taken.at(&["metadata", "managedFields"]).unwrap());
        match (&list, taken) {
            (None, None) => {}
            (Some(list), Some(taken)) => {
                assert_eq!(without_times(list), without_times(taken), "{}", case.name);
            }
            _ => panic!("{}: takeover says {list:?}, recorded is {taken:?}", case.name),
        }
    }
}

/// The server fills in a missing time.
fn without_times(entries: &Node) -> Vec<Node> {
    let mut entries = entries.as_list().unwrap().to_vec();
    for entry in &mut entries {
        entry.remove_at(&["time"]);
    }
    entries.sort_by_key(ToString::to_string);
    entries
}

#[test]
fn what_was_applied_is_in_line_without_another_question() {
    for case in CASES {
        let data = read(case.name);
        let (desired, after) = (data.get("desired").unwrap(), data.get("after").unwrap());
        let schema = schema(desired);
        let built_in = desired.str_at(&["kind"]) != Some("Thing");
        let projection = Projection::from_answer(desired, after, &schema);
        let comparison = compare(&Input {
            base: data.get("base"),
            projection: Some(&projection),
            built_in,
            ..input(desired, after, &schema)
        });
        assert_eq!(told(&comparison), case.after, "{}", case.name);
        let written = serde_json::to_string(&projection).unwrap();
        assert_eq!(serde_json::from_str::<Projection>(&written).unwrap(), projection, "{}", case.name);
    }
}

#[test]
fn an_autoscalers_replicas_are_not_sent() {
    let data = read("deployment-scaled");
    let (desired, live) = (data.get("desired").unwrap(), data.get("live").unwrap());
    assert_eq!(desired.i64_at(&["spec", "replicas"]), Some(0));
    assert_eq!(to_send(desired, Some(live), &[]).at(&["spec", "replicas"]), None);
}
