//! Each overlay, applied as the documentation says, to an API server that judges its Pods.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use trueup_bed::ControlPlane;
use trueup_bed::until;
use trueup_bed::workspace;
use trueup_e2e::Rest;
use trueup_e2e::SLOW;
use trueup_e2e::objects;

use crate::kustomize::built;
use crate::kustomize::one;

const NAME: &str = "trueup-controller";

/// The simulated nodes have no disk; a Pod that asks for some would wait for ever.
async fn give_nodes_a_disk(admin: &Rest) {
    let disk = json!({"status": {
        "capacity": {"ephemeral-storage": "1000Gi"}, "allocatable": {"ephemeral-storage": "1000Gi"},
    }});
    for node in admin.list("/api/v1/nodes").await {
        let name = node["metadata"]["name"].as_str().unwrap();
        admin.merge(&format!("/api/v1/nodes/{name}/status"), "test", &disk).await;
    }
}

/// Applies a directory as somebody would, and fails on a warning: that is how the API server tells what it would refuse.
async fn apply(control_plane: &ControlPlane, dir: &str) {
    let path = workspace().join(dir).display().to_string();
    let output = control_plane.kubectl(&["apply", "--server-side", "--force-conflicts", "-k", &path]).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{dir}: {said}");
}

/// Waits until every Pod of the Deployment's newest template runs and no older one does, and answers them.
async fn rolled_out(admin: &Rest, namespace: &str, replicas: u64, dir: &str) -> Vec<Value> {
    let path = format!("{}/{NAME}", objects("deployments", namespace));
    until(format!("{dir} to roll out"), SLOW, async || {
        let deployment = admin.get(&path).await.unwrap();
        let status = &deployment["status"];
        let current = status["observedGeneration"] == deployment["metadata"]["generation"];
        let all = ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|count| status[*count] == replicas);
        if !current || !all {
            return Err(status.clone());
        }
        let ours = format!("{}?labelSelector=app.kubernetes.io%2Fname%3Dtrueup", objects("pods", namespace));
        let pods = admin.list(&ours).await;
        if pods.len() as u64 == replicas { Ok(pods) } else { Err(json!(pods.len())) }
    })
    .await
    .unwrap()
}

/// A Pod that is refused shows that the namespace's level is really in force.
async fn refuses_what_is_not_restricted(admin: &Rest, namespace: &str) {
    let pod = json!({
        "metadata": {"name": "as-root"}, "spec": {"containers": [{"name": "a", "image": "a"}]},
    });
    let refused = admin.try_create(&objects("pods", namespace), &pod).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity \"restricted:latest\""), "{refused}");
}

#[tokio::test]
async fn every_overlay_rolls_out_in_a_namespace_that_enforces_the_restricted_level() {
    let control_plane = ControlPlane::start(&[]).await.unwrap();
    let admin = Rest::new(control_plane.client("admin").await.unwrap());
    give_nodes_a_disk(&admin).await;
    // One after the other over the same cluster: from one to the next is an upgrade.
    for (dir, namespace, replicas) in [
        ("deploy/overlays/dev", "argocd", 1),
        ("deploy/overlays/staging", "argocd", 1),
        ("deploy/overlays/prod", "argocd", 2),
        ("tests/e2e/tests/deploy/elsewhere", "gitops", 2),
        ("tests/e2e/tests/deploy/webhooks", "gitops", 2),
    ] {
        apply(&control_plane, dir).await;
        let place = admin.get(&format!("/api/v1/namespaces/{namespace}")).await.unwrap();
        assert_eq!(place["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
        refuses_what_is_not_restricted(&admin, namespace).await;
        let wanted = &built(dir);
        let config = one(wanted, "Deployment", NAME)["spec"]["template"]["spec"]["containers"][0]["envFrom"][0].clone();
        let pods = rolled_out(&admin, namespace, replicas, dir).await;
        for pod in &pods {
            assert_eq!(pod["spec"]["containers"][0]["envFrom"][0], config, "{dir}");
        }
        let nodes: BTreeSet<_> = pods.iter().map(|pod| pod["spec"]["nodeName"].as_str().unwrap()).collect();
        assert_eq!(nodes.len(), pods.len(), "{dir}: two on one node");
        let name = config["configMapRef"]["name"].as_str().unwrap();
        let there = admin.get(&format!("{}/{name}", objects("configmaps", namespace))).await.unwrap();
        assert_eq!(there["data"], one(wanted, "ConfigMap", name)["data"], "{dir}");
        let budgets = admin.list(&objects("poddisruptionbudgets.policy/v1", namespace)).await;
        assert_eq!(budgets.len(), 1, "{dir}");
        let policies = admin.list(&objects("networkpolicies.networking.k8s.io/v1", namespace)).await;
        assert_eq!(policies[0]["spec"]["policyTypes"], json!(["Ingress", "Egress"]), "{dir}");
        // Applied again, nothing changes.
        let before = admin.get(&format!("{}/{NAME}", objects("deployments", namespace))).await.unwrap();
        apply(&control_plane, dir).await;
        let after = admin.get(&format!("{}/{NAME}", objects("deployments", namespace))).await.unwrap();
        assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"], "{dir}");
    }
}

#[test]
fn limits_are_twice_the_requests() {
    for dir in ["deploy/overlays/dev", "deploy/overlays/staging", "deploy/overlays/prod"] {
        let objects = built(dir);
        let spec = &one(&objects, "Deployment", NAME)["spec"]["template"]["spec"];
        for container in spec["containers"].as_array().unwrap() {
            let limits = container["resources"]["limits"].as_object().unwrap();
            assert_eq!(limits.keys().collect::<Vec<_>>(), ["cpu", "ephemeral-storage", "memory"], "{dir}");
            for (resource, limit) in limits {
                let request = container["resources"]["requests"][resource].as_str().unwrap();
                let limit = limit.as_str().unwrap();
                assert!((amount(limit) - 2.0 * amount(request)).abs() < 1e-9, "{dir}: {resource} {request} {limit}");
            }
        }
        // A cache that may grow past what the container may write would never be told why it ends.
        let volume = spec["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "cache").unwrap();
        let most = amount(volume["emptyDir"]["sizeLimit"].as_str().unwrap());
        let [controller, renderer] = [0, 1].map(|number| &spec["containers"][number]["resources"]["limits"]);
        assert!(most <= amount(controller["ephemeral-storage"].as_str().unwrap()), "{dir}");
        // Workers at their limit must not be ended by the kernel, which would end all of them.
        let flags = spec["containers"][1]["args"].as_array().unwrap();
        let flag = |name: &str| flags.iter().find_map(|flag| flag.as_str().unwrap().strip_prefix(name)).unwrap();
        let workers = amount(flag("--workers=")) * amount(flag("--memory-limit="));
        assert!(workers < amount(renderer["memory"].as_str().unwrap()), "{dir}");
    }
}

/// A quantity as these manifests write them.
fn amount(quantity: &str) -> f64 {
    let units = [("m", 0.001), ("Mi", 1_048_576.0), ("Gi", 1_073_741_824.0)];
    let found = units.iter().find_map(|(unit, factor)| Some((quantity.strip_suffix(unit)?, *factor)));
    let (digits, factor) = found.unwrap_or((quantity, 1.0));
    digits.parse::<f64>().unwrap() * factor
}

#[test]
fn moved_to_another_namespace_nothing_stays_behind() {
    for object in built("tests/e2e/tests/deploy/elsewhere") {
        let place = &object["metadata"]["namespace"];
        assert!(place.is_null() || place == "gitops", "{}", object["metadata"]);
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "gitops", "{}", object["metadata"]);
        }
        if object["kind"] == "Namespace" {
            assert_eq!(object["metadata"]["name"], "gitops");
        }
    }
}

#[test]
fn what_renders_has_nothing_but_the_socket() {
    for dir in ["deploy/overlays/dev", "deploy/overlays/staging", "deploy/overlays/prod", "deploy/namespaced"] {
        let objects = built(dir);
        let spec = &one(&objects, "Deployment", NAME)["spec"]["template"]["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false, "{dir}");
        let [controller, renderer] = &spec["containers"].as_array().unwrap()[..] else { panic!("{dir}: {spec}") };
        assert_eq!((&controller["name"], &renderer["name"]), (&json!("controller"), &json!("renderer")), "{dir}");
        assert_eq!(renderer["image"], controller["image"], "{dir}");
        assert_eq!(renderer["securityContext"], controller["securityContext"], "{dir}");
        assert!(renderer["env"].is_null() && renderer["envFrom"].is_null(), "{dir}: {renderer}");
        assert_eq!(renderer["volumeMounts"], json!([{"name": "renderer", "mountPath": "/run/trueup"}]), "{dir}");
        let volume = spec["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "renderer").unwrap();
        assert_eq!(volume["emptyDir"]["medium"], "Memory", "{dir}");
        // They speak over the same socket.
        let socket = "unix:/run/trueup/renderer.sock";
        assert!(controller["args"].as_array().unwrap().contains(&json!(format!("--renderer={socket}"))), "{dir}");
        assert!(renderer["command"].as_array().unwrap().contains(&json!(format!("--listen={socket}"))), "{dir}");
        let mounts = controller["volumeMounts"].as_array().unwrap();
        assert!(mounts.iter().any(|mount| mount["name"] == "renderer" && mount["mountPath"] == "/run/trueup"), "{dir}");
    }
}
