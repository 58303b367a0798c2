//! The ways in which a field that was removed from Git could live on under "Synced".

use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::secret;

const BOTH: [(&str, &str); 2] = [("a", "1"), ("b", "2")];
const ONE: [(&str, &str); 1] = [("a", "1")];

async fn synced_with_both(name: &str) -> (Scene<'static>, App) {
    let scene = Scene::shared(name).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &BOTH));
    let app = scene.create(scene.application().automated(false, false)).await;
    app.synced(&commit).await;
    (scene, app)
}

/// Removes `b` from Git, and expects it to go from the cluster.
async fn b_goes(scene: &Scene<'_>, app: &App) {
    let commit = scene.put("app/config.yaml", &config_map("config", &ONE));
    app.synced(&commit).await;
    scene.until_value("configmaps", "config", "/data", json!({"a": "1"})).await;
    app.synced(&commit).await;
}

#[tokio::test]
async fn an_edit_that_was_reverted_does_not_keep_a_field() {
    let (scene, app) = synced_with_both("ways-reverted").await;
    scene.edit("configmaps", "config", &json!({"data": {"b": "x"}})).await;
    app.sync_status("OutOfSync").await;
    scene.edit("configmaps", "config", &json!({"data": {"b": "2"}})).await;
    app.sync_status("Synced").await;
    b_goes(&scene, &app).await;
}

#[tokio::test]
async fn a_reset_of_managed_fields_does_not_keep_a_field() {
    let (scene, app) = synced_with_both("ways-reset").await;
    let reset = json!({"metadata": {"managedFields": [{}]}});
    scene.edit("configmaps", "config", &reset).await;
    let live = scene.expect("configmaps", "config").await;
    assert!(live["metadata"]["managedFields"].is_null(), "{live:#}");
    b_goes(&scene, &app).await;
}

/// An object as Argo CD leaves it: applied by the client, with its tracking annotation.
async fn made_by_argo_cd(scene: &Scene<'_>) {
    let namespace = json!({"metadata": {"name": scene.namespace}});
    scene.admin.create("/api/v1/namespaces", &namespace).await;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "config", "namespace": scene.namespace,
            "annotations": {"argocd.argoproj.io/tracking-id": format!("{}:/ConfigMap:{}/config", scene.name, scene.namespace)},
        },
        "data": {"a": "1", "b": "2"},
    });
    let args = ["apply", "--field-manager=argocd-controller", "-f", "-"];
    kubectl_with_input(&scene.world.control_plane, &args, &object.to_string()).await;
    let live = scene.expect("configmaps", "config").await;
    assert_eq!(live["metadata"]["managedFields"][0]["manager"], "argocd-controller");
}

#[tokio::test]
async fn an_object_that_comes_from_argo_cd_does_not_keep_a_field() {
    let scene = Scene::shared("ways-adopted").await;
    made_by_argo_cd(&scene).await;
    let version = scene.expect("configmaps", "config").await["metadata"]["resourceVersion"].clone();
    let commit = scene.put("app/config.yaml", &config_map("config", &BOTH));
    let app = scene.create(scene.application().automated(false, true)).await;
    let seen = app.synced(&commit).await;
    // Who switches to us is not written to where all is in line.
    assert_eq!(scene.expect("configmaps", "config").await["metadata"]["resourceVersion"], version);
    assert_eq!(seen["status"]["drift"]["count"], 0);
    b_goes(&scene, &app).await;
}

#[tokio::test]
async fn a_field_that_went_before_we_came_goes_too() {
    let scene = Scene::shared("ways-late").await;
    made_by_argo_cd(&scene).await;
    scene.put("app/config.yaml", &config_map("config", &ONE));
    let app = scene.create(scene.application().automated(false, false)).await;
    b_goes(&scene, &app).await;
}

#[tokio::test]
async fn a_removed_key_of_string_data_goes() {
    let scene = Scene::shared("ways-secret").await;
    let commit = scene.put("app/secret.yaml", &secret("secret", &BOTH));
    let app = scene.create(scene.application().automated(false, false)).await;
    app.synced(&commit).await;
    assert_eq!(scene.expect("secrets", "secret").await["data"], json!({"a": "MQ==", "b": "Mg=="}));
    let commit = scene.put("app/secret.yaml", &secret("secret", &ONE));
    app.synced(&commit).await;
    scene.until_value("secrets", "secret", "/data", json!({"a": "MQ=="})).await;
}

#[tokio::test]
async fn a_field_that_somebody_else_applies_is_left_to_them_and_told() {
    let (scene, app) = synced_with_both("ways-shared").await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"b": "2"}});
    scene.somebody.apply(&scene.path("configmaps", "config"), "their-operator", &theirs).await;
    // By hand, so that there is time to read it.
    app.patch(&json!({"spec": {"syncPolicy": {"automated": null}}})).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "3")]));
    app.condition("ComparisonWarning", &["their-operator", ".data.b"]).await;
    app.ask(json!({})).await;
    app.synced(&commit).await;
    assert_eq!(scene.expect("configmaps", "config").await["data"], json!({"a": "3", "b": "2"}));
}
