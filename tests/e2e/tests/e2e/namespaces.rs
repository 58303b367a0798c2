//! Applications in other namespaces than the controller's own.

use serde_json::Value;
use serde_json::json;
use trueup_bed::ControllerOptions;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

fn options(control: &str, namespaces: &str) -> ControllerOptions {
    let arguments = vec![format!("--application-namespaces={namespaces}")];
    ControllerOptions { arguments, ..controller_options(control) }
}

/// A project that takes Applications of some namespaces.
async fn project(scene: &Scene<'_>, source_namespaces: Value) {
    let spec = json!({
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        "sourceNamespaces": source_namespaces,
    });
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "teams"}, "spec": spec,
    });
    scene.admin.create(&objects("appprojects", &scene.control), &project).await;
}

#[tokio::test]
async fn applications_of_one_name_live_in_several_namespaces() {
    let world = World::shared();
    let own = Scene::new(world, "nsx-own", "nsx-control").await;
    project(&own, json!(["nsx-team-*", "/^nsx-late-[0-9]$/"])).await;
    let _controller = world.controller(&options("nsx-control", "nsx-team-*,nsx-other,/^nsx-late-[0-9]$/")).await;
    let shop = |scene: &Scene<'_>| scene.application_named("shop").project("teams").automated(true, true).cascade();
    // The namespaces come later than the controller.
    let a = Scene::new(world, "nsx-a", "nsx-team-a").await;
    let b = Scene::new(world, "nsx-b", "nsx-late-7").await;
    let elsewhere = Scene::new(world, "nsx-elsewhere", "nsx-elsewhere").await;
    let unseen = elsewhere.create(shop(&elsewhere)).await;
    let mut apps = Vec::new();
    for (scene, instance) in [(&own, "shop"), (&a, "nsx-team-a_shop"), (&b, "nsx-late-7_shop")] {
        let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
        let app = scene.create(shop(scene)).await;
        let seen = app.healthy(&commit).await;
        assert_eq!(seen["status"]["controllerNamespace"], "nsx-control");
        let config = scene.expect("configmaps", "config").await;
        let expected = format!("{instance}:/ConfigMap:{}/config", scene.namespace);
        assert_eq!(config["metadata"]["annotations"][TRACKING_ID], expected);
        scene.until_event("shop", &["OperationCompleted"]).await;
        apps.push(app);
    }
    // Each heals its own, and is asked by its own letter box.
    a.edit("configmaps", "config", &json!({"data": {"a": "9"}})).await;
    a.until_value("configmaps", "config", "/data/a", "1").await;
    apps[2].ask(json!({})).await;
    apps[2].operated("Succeeded").await;
    // The flag takes this one, the project does not.
    let other = Scene::new(world, "nsx-other", "nsx-other").await;
    let commit = other.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let refused = other.create(shop(&other)).await;
    let words =
        ["application 'shop' in namespace 'nsx-other' is not permitted to use project 'teams'", "sourceNamespaces"];
    refused.condition("InvalidSpecError", &words).await;
    assert!(other.object("configmaps", "config").await.is_none());
    let amended = json!({"spec": {"sourceNamespaces": ["nsx-*"]}});
    let path = format!("{}/teams", objects("appprojects", &own.control));
    own.admin.merge(&path, "somebody", &amended).await;
    refused.healthy(&commit).await;
    // This one nobody takes.
    assert_eq!(unseen.get().await["status"], Value::Null);
    // One goes with its objects, and the others stay.
    apps[1].delete().await;
    apps[1].gone().await;
    a.until_gone("configmaps", "config").await;
    for scene in [&own, &b, &other] {
        scene.expect("configmaps", "config").await;
    }
}

#[tokio::test]
async fn a_project_that_takes_an_application_no_more_stops_its_deletion() {
    let world = World::shared();
    let own = Scene::new(world, "nsy-own", "nsy-control").await;
    project(&own, json!(["nsy-team"])).await;
    // Names only: each namespace is watched by itself.
    let _controller = world.controller(&options("nsy-control", "nsy-team,nsy-missing")).await;
    let team = Scene::new(world, "nsy-team", "nsy-team").await;
    let commit = team.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = team.create(team.application_named("shop").project("teams").automated(true, true).cascade()).await;
    app.synced(&commit).await;
    let path = format!("{}/teams", objects("appprojects", &own.control));
    own.admin.merge(&path, "somebody", &json!({"spec": {"sourceNamespaces": null}})).await;
    app.condition("InvalidSpecError", &["not permitted to use project 'teams'"]).await;
    app.delete().await;
    app.condition("DeletionError", &["not permitted to use project 'teams'", "remove the finalizer"]).await;
    team.expect("configmaps", "config").await;
    own.admin.merge(&path, "somebody", &json!({"spec": {"sourceNamespaces": ["nsy-team"]}})).await;
    app.gone().await;
    team.until_gone("configmaps", "config").await;
}
