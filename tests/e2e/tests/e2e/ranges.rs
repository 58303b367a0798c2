//! Ranges of versions as revisions.

use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

#[tokio::test]
async fn a_new_tag_within_the_range_moves_the_application() {
    let scene = Scene::shared("range-tags").await;
    let version = |text: &str| {
        let commit = scene.put("app/config.yaml", &config_map("config", &[("version", text)]));
        scene.repository.tag(text, &commit).unwrap();
        commit
    };
    let first = version("v1.2.0");
    version("v1.3.0-rc.1");
    version("v2.0.0");
    let application = scene.application().automated(true, true).set("/spec/source", "targetRevision", json!("^1.2"));
    let app = scene.create(application).await;
    let seen = app.synced(&first).await;
    assert_eq!(seen["status"]["sync"]["comparedTo"]["source"]["targetRevision"], "^1.2");
    scene.until_value("configmaps", "config", "/data/version", "v1.2.0").await;
    let second = version("1.10.1");
    scene.until_value("configmaps", "config", "/data/version", "1.10.1").await;
    app.synced(&second).await;
    // A range that no tag is within names itself and the remedy.
    app.patch(&json!({"spec": {"source": {"targetRevision": "^3"}}})).await;
    app.condition("ComparisonError", &["'^3'", "no tag", "targetRevision"]).await;
    let third = version("v3.0.0");
    app.synced(&third).await;
}

#[tokio::test]
async fn an_operation_may_name_a_range() {
    let scene = Scene::shared("range-operation").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    scene.repository.tag("1.0.0", &first).unwrap();
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    let app = scene.create(scene.application()).await;
    app.ask(json!({"revision": "1.x"})).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(seen["status"]["operationState"]["syncResult"]["revision"], first);
    scene.until_value("configmaps", "config", "/data/a", "1").await;
    app.until("the comparison with the branch", |app| {
        app["status"]["sync"]["revision"] == second && app["status"]["sync"]["status"] == "OutOfSync"
    })
    .await;
}
