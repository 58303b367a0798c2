//! Replicas that an autoscaler owns are its own; replicas that people change are drift.

use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::deployment;

async fn synced(name: &str, annotation: Option<&str>) -> (Scene<'static>, App) {
    let scene = Scene::shared(name).await;
    let commit = scene.put("app/web.yaml", &deployment("web", 2, "blue"));
    let mut built = scene.application().automated(true, true);
    if let Some(scalers) = annotation {
        built = built.annotation("trueup.dev/scalers", scalers);
    }
    let app = scene.create(built).await;
    app.healthy(&commit).await;
    (scene, app)
}

async fn scale(scene: &Scene<'_>, manager: &str, replicas: u32) {
    let path = format!("{}/scale", scene.path("deployments", "web"));
    scene.somebody.merge(&path, manager, &json!({"spec": {"replicas": replicas}})).await;
}

async fn left_alone(scene: &Scene<'_>, app: &App, manager: &str) {
    scale(scene, manager, 5).await;
    app.condition("ComparisonWarning", &["replicas", manager]).await;
    // What Git changes arrives, and the replicas stay as they are.
    let commit = scene.put("app/web.yaml", &deployment("web", 2, "red"));
    let env = "/spec/template/spec/containers/0/env/0/value";
    scene.until_value("deployments", "web", env, "red").await;
    let seen = app.synced(&commit).await;
    assert_eq!(scene.expect("deployments", "web").await["spec"]["replicas"], 5);
    assert_eq!(seen["status"]["drift"]["count"], 0);
    assert!(seen["status"]["drift"]["events"].is_null(), "{:#}", seen["status"]["drift"]);
}

#[tokio::test]
async fn an_autoscalers_replicas_are_left_alone() {
    let (scene, app) = synced("scale-auto", None).await;
    left_alone(&scene, &app, "kube-controller-manager").await;
}

#[tokio::test]
async fn an_autoscaler_may_be_named() {
    let (scene, app) = synced("scale-named", Some("other, my-scaler")).await;
    left_alone(&scene, &app, "my-scaler").await;
}

#[tokio::test]
async fn replicas_that_kubectl_scales_are_healed() {
    let (scene, app) = synced("scale-kubectl", None).await;
    kubectl(&scene.world.control_plane, &format!("scale deploy/web -n {} --replicas=4", scene.namespace)).await;
    scene.until_value("deployments", "web", "/spec/replicas", 2).await;
    let seen = app.until("the healed drift", |app| app["status"]["drift"]["events"][0]["outcome"] == "healed").await;
    let event = &seen["status"]["drift"]["events"][0];
    assert_eq!(event["manager"], "kubectl", "{event:#}");
    assert_eq!(event["fields"][0]["path"], ".spec.replicas");
}

#[tokio::test]
async fn replicas_that_leave_git_stay_as_they_are() {
    let (scene, app) = synced("scale-handed", None).await;
    scale(&scene, "kube-controller-manager", 5).await;
    let text = deployment("web", 2, "red").replace("  replicas: 2\n", "");
    let commit = scene.put("app/web.yaml", &text);
    let env = "/spec/template/spec/containers/0/env/0/value";
    scene.until_value("deployments", "web", env, "red").await;
    app.healthy(&commit).await;
    assert_eq!(scene.expect("deployments", "web").await["spec"]["replicas"], 5);
}
