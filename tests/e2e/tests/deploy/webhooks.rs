//! The component that takes webhooks.

use crate::kustomize::built;
use crate::kustomize::one;

const NAME: &str = "trueup-controller";

#[test]
fn what_listens_is_what_the_service_leads_to() {
    let objects = built("tests/e2e/tests/deploy/webhooks");
    let container = &one(&objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0];
    let config = one(&objects, "ConfigMap", container["envFrom"][0]["configMapRef"]["name"].as_str().unwrap());
    let port = config["data"]["TRUEUP_WEBHOOK_LISTEN"].as_str().unwrap().rsplit(':').next().unwrap();
    let ports = container["ports"].as_array().unwrap();
    let named = ports.iter().find(|port| port["name"] == "webhooks").unwrap();
    assert_eq!(named["containerPort"].to_string(), port);
    assert!(ports.iter().any(|port| port["name"] == "http"), "the probes' port is still there");
    let service = one(&objects, "Service", "trueup-webhooks");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "webhooks");
    let labels = &one(&objects, "Deployment", NAME)["spec"]["template"]["metadata"]["labels"];
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&labels[label], value, "{label}");
    }
    let policy = one(&objects, "NetworkPolicy", "trueup-webhooks");
    assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], "webhooks");
    assert!(
        objects.iter().all(|object| object["metadata"]["namespace"].as_str().is_none_or(|place| place == "gitops"))
    );
}

#[test]
fn without_it_nothing_listens() {
    for dir in ["deploy/overlays/dev", "deploy/overlays/staging", "deploy/overlays/prod", "deploy/namespaced"] {
        let text = format!("{:?}", built(dir));
        assert!(!text.contains("trueup-webhooks") && !text.contains("WEBHOOK_LISTEN"), "{dir}");
    }
}
