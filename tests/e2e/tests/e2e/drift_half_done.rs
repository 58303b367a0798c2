//! A sync that was half done and is taken back in Git: what it did is taken back in the cluster, whatever is done about drift.

use serde_json::Value;
use serde_json::json;
use trueup_bed::ApplicationBuilder;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

/// What the API server refuses.
const BAD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 99999}]}\n";
const GOOD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 80}]}\n";

const BEFORE: [(&str, &str); 2] = [("colour", "blue"), ("shape", "round")];

/// Commits the good, then what is half refused, and answers when that has failed for good.
async fn half_done(scene: &Scene<'_>, built: ApplicationBuilder) -> App {
    let good = scene.commit(&[("app/a.yaml", Some(&config_map("a", &BEFORE))), ("app/b.yaml", Some(GOOD))]);
    let app = scene.create(built.set("/spec/syncPolicy", "retry", json!({"limit": 0}))).await;
    app.synced(&good).await;
    let half = config_map("a", &[("colour", "red"), ("size", "1")]);
    let bad = scene.commit(&[("app/a.yaml", Some(&half)), ("app/b.yaml", Some(BAD))]);
    let has_failed = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Failed" && state["syncResult"]["revision"] == bad
    };
    app.until("the sync to fail", has_failed).await;
    assert_eq!(scene.expect("configmaps", "a").await["data"], json!({"colour": "red", "size": "1"}));
    app
}

async fn take_back(scene: &Scene<'_>, app: &App) {
    let revert = scene.commit(&[("app/a.yaml", Some(&config_map("a", &BEFORE))), ("app/b.yaml", Some(GOOD))]);
    let seen = app.synced(&revert).await;
    assert_eq!(scene.expect("configmaps", "a").await["data"], json!({"colour": "blue", "shape": "round"}));
    assert_eq!(seen["status"]["drift"]["count"], 0, "{:#}", seen["status"]["drift"]);
    // What is ours is no drift. What nobody owns, because we took it away, may be anybody's.
    let told = seen["status"]["drift"]["events"].to_string();
    assert!(!told.contains("colour") && !told.contains("trueup"), "{told}");
}

#[tokio::test]
async fn a_revert_comes_where_drift_is_only_reported() {
    let scene = Scene::shared("half-report").await;
    let built = scene.application().automated(true, true).annotation("trueup.dev/drift-policy", "report");
    let app = half_done(&scene, built).await;
    take_back(&scene, &app).await;
}

#[tokio::test]
async fn a_revert_comes_where_nothing_is_healed() {
    let scene = Scene::shared("half-no-heal").await;
    let app = half_done(&scene, scene.application().automated(true, false)).await;
    take_back(&scene, &app).await;
    // From here on what somebody does is drift again, and stays.
    scene.edit("configmaps", "a", &json!({"data": {"colour": "green"}})).await;
    let seen = app.until("the drift", |app| app["status"]["drift"]["count"] == 1).await;
    let events = seen["status"]["drift"]["events"].as_array().unwrap();
    assert!(
        events.iter().any(|event| event["manager"] == "kubectl-edit" && event["outcome"] == "detected"),
        "{events:#?}"
    );
    assert_eq!(scene.expect("configmaps", "a").await["data"]["colour"], "green");
}

#[tokio::test]
async fn a_failed_sync_that_did_nothing_leaves_drift_what_it_is() {
    let scene = Scene::shared("half-nothing").await;
    let good = scene.commit(&[("app/a.yaml", Some(&config_map("a", &BEFORE))), ("app/b.yaml", Some(GOOD))]);
    let built = scene.application().automated(true, false).set("/spec/syncPolicy", "retry", json!({"limit": 0}));
    let app = scene.create(built).await;
    app.synced(&good).await;
    scene.put("app/b.yaml", BAD);
    app.operated("Failed").await;
    let revert = scene.put("app/b.yaml", GOOD);
    app.synced(&revert).await;
    // In line without another sync: what somebody takes away now is drift.
    scene.somebody.delete(&scene.path("configmaps", "a")).await;
    let seen = app.until("the drift", |app| app["status"]["drift"]["count"] == 1).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Failed", "{:#}", seen["status"]["operationState"]);
    assert!(scene.object("configmaps", "a").await.is_none());
}
