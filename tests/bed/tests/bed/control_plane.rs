//! The control plane starts, works, and takes its faults.

use trueup_bed::ControlPlane;
use trueup_bed::Deadline;
use trueup_bed::until;

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
";

async fn kubectl(control_plane: &ControlPlane, line: &str) -> String {
    let args: Vec<&str> = line.split(' ').collect();
    let output = control_plane.kubectl(&args).await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kubectl {line}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn rolls_out_a_deployment_and_collects_its_garbage() {
    let control_plane = ControlPlane::start(&["trueup"]).await.unwrap();
    assert!(kubectl(&control_plane, "version").await.contains("Server Version: v1.36.3"));
    control_plane.apply(DEPLOYMENT).await.unwrap();
    kubectl(&control_plane, "wait deploy/web --for=condition=Available --timeout=60s").await;
    assert_eq!(kubectl(&control_plane, "get pods -o name").await.lines().count(), 3);
    kubectl(&control_plane, "delete deploy web --wait=false").await;
    until("the pods to go", Deadline::LONG, async || {
        let pods = kubectl(&control_plane, "get pods,rs -o name").await;
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn two_run_side_by_side_and_restart_alone() {
    let (one, two) = tokio::join!(ControlPlane::start(&["trueup"]), ControlPlane::start(&["eve:viewers"]));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.server(), two.server());

    one.client("trueup").await.unwrap().apiserver_version().await.unwrap();
    let eve = two.client("eve").await.unwrap();
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(eve);
    let refused = nodes.list(&kube::api::ListParams::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");

    one.stop_apiserver().await.unwrap();
    let client = one.client("trueup").await.unwrap();
    client.apiserver_version().await.unwrap_err();
    two.client("admin").await.unwrap().apiserver_version().await.unwrap();
    one.start_apiserver().await.unwrap();
    client.apiserver_version().await.unwrap();
    one.restart_apiserver().await.unwrap();
    client.apiserver_version().await.unwrap();
}
