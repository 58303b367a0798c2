//! Several installations in one cluster with applications of the same name: each leaves alone what is another's.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
const POINTER: &str = "/metadata/annotations/argocd.argoproj.io~1installation-id";

/// Sets the installation's id where Argo CD keeps it.
async fn call(scene: &Scene<'_>, id: &str) {
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"installationID": id}});
    let path = format!("{}/argocd-cm", objects("configmaps", &scene.control));
    scene.admin.apply(&path, "test", &settings).await;
}

/// Another installation's application of the same name brings an object, as a controller like ours applies it.
async fn bring(scene: &Scene<'_>, plural: &str, mut object: Value, id: Option<&str>) {
    let (kind, name) =
        (object["kind"].as_str().unwrap().to_owned(), object["metadata"]["name"].as_str().unwrap().to_owned());
    object["metadata"]["annotations"] =
        json!({TRACKING_ID: format!("{}:/{kind}:{}/{name}", scene.name, scene.namespace)});
    if let Some(id) = id {
        object["metadata"]["annotations"][INSTALLATION_ID] = json!(id);
    }
    scene.admin.apply(&scene.path(plural, &name), "trueup", &object).await;
}

/// Objects of other installations: of a kind that is watched, and of one that only a search finds.
async fn bring_all(scene: &Scene<'_>, ids: &[Option<&str>]) -> Vec<(&'static str, String)> {
    let mut brought = Vec::new();
    for id in ids {
        let name = format!("of-{}", id.unwrap_or("nobody"));
        let spec = json!({"containers": [{"name": "c", "image": "registry.example/c:1"}]});
        let template =
            json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": {"spec": spec}});
        bring(scene, "podtemplates", template, *id).await;
        bring(scene, "configmaps", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}), *id)
            .await;
        brought.extend([("podtemplates", name.clone()), ("configmaps", name)]);
    }
    brought
}

async fn expect_all(scene: &Scene<'_>, brought: &[(&'static str, String)]) {
    for (plural, name) in brought {
        let object = scene.expect(plural, name).await;
        assert!(object["metadata"]["deletionTimestamp"].is_null(), "{plural}/{name}");
    }
}

fn listed(app: &Value) -> usize {
    app["status"]["resources"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn what_another_installation_brought_is_left_alone() {
    let scene = Scene::new(World::shared(), "installation", "installation-control").await;
    call(&scene, "blue").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let namespace = json!({"metadata": {"name": scene.namespace}});
    scene.admin.create(&objects("namespaces", ""), &namespace).await;
    // There before the controller: its first search meets them.
    let mut brought = bring_all(&scene, &[Some("green"), None]).await;
    let controller = scene.world.controller(&controller_options(&scene.control)).await;
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    app.synced(&commit).await;
    scene.until_value("configmaps", "config", POINTER, "blue").await;
    brought.extend(bring_all(&scene, &[Some("red")]).await);
    app.refresh("hard").await;
    // A further sync has had every occasion to prune.
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    let seen = app.synced(&second).await;
    assert_eq!(listed(&seen), 1, "{:#}", seen["status"]["resources"]);
    expect_all(&scene, &brought).await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "config").await;
    expect_all(&scene, &brought).await;
    drop(controller);
}

#[tokio::test]
async fn what_bears_another_id_by_now_is_left_behind_and_named() {
    let scene = Scene::shared("installation-taken").await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let commit = scene.put("app/other.yaml", &config_map("other", &[("a", "1")]));
    let app = scene.create(scene.application().cascade()).await;
    app.ask(json!({})).await;
    app.synced(&commit).await;
    scene.edit("configmaps", "config", &json!({"metadata": {"annotations": {INSTALLATION_ID: "green"}}})).await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "other").await;
    scene.until_event(&scene.name, &["ObjectsLeft", "ConfigMap", "config"]).await;
    scene.expect("configmaps", "config").await;
}

#[tokio::test]
async fn without_an_id_what_has_one_is_not_ours() {
    let scene = Scene::shared("installation-none").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    let brought = bring_all(&scene, &[Some("green")]).await;
    app.refresh("hard").await;
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    let seen = app.synced(&second).await;
    assert_eq!(listed(&seen), 1, "{:#}", seen["status"]["resources"]);
    expect_all(&scene, &brought).await;
}

#[tokio::test]
async fn a_new_id_is_written_once() {
    let scene = Scene::new(World::shared(), "installation-new", "installation-new-control").await;
    let _controller = scene.world.controller(&controller_options(&scene.control)).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    let before = app.synced(&commit).await;
    call(&scene, "blue").await;
    scene.until_value("configmaps", "config", POINTER, "blue").await;
    let changed = |app: &Value| app["status"]["drift"]["baseline"] != before["status"]["drift"]["baseline"];
    let after = app.until("the new baseline", |app| changed(app) && app["status"]["sync"]["status"] == "Synced").await;
    assert_eq!(after["status"]["history"].as_array().unwrap().len(), 2, "{:#}", after["status"]["history"]);
    // What carries it is ours as before.
    let empty =
        scene.commit(&[("app/config.yaml", None), ("app/other.yaml", Some(&config_map("other", &[("a", "1")])))]);
    app.synced(&empty).await;
    scene.until_gone("configmaps", "config").await;
    scene.until_value("configmaps", "other", POINTER, "blue").await;
}
