//! A sync that fails is tried again, at a time that everybody can read.

use serde_json::Value;
use serde_json::json;
use trueup_bed::ApplicationBuilder;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

fn retry(built: ApplicationBuilder, limit: i64) -> ApplicationBuilder {
    let backoff = json!({"duration": "1s", "factor": 2, "maxDuration": "4s"});
    built.set("/spec/syncPolicy", "retry", json!({"limit": limit, "backoff": backoff}))
}

/// A directory whose objects go to a namespace that nobody has made.
async fn scene_without_namespace(name: &str, limit: i64) -> (Scene<'static>, trueup_e2e::App, String) {
    let scene = Scene::shared(name).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let built = scene.application().automated(true, true).set("/spec/syncPolicy", "syncOptions", json!([]));
    let app = scene.create(retry(built, limit)).await;
    (scene, app, commit)
}

async fn make_namespace(scene: &Scene<'_>) {
    scene.somebody.create("/api/v1/namespaces", &json!({"metadata": {"name": scene.namespace}})).await;
}

/// The number of the attempt that is announced, with the time at which it comes.
fn attempt(app: &Value) -> Option<u32> {
    let message = app["status"]["operationState"]["message"].as_str()?;
    let (_, rest) = message.split_once("Retrying attempt #")?;
    let (number, when) = rest.split_once(" at ")?;
    number.parse().ok().filter(|_| when.starts_with('2'))
}

#[tokio::test]
async fn the_next_attempt_is_told_and_comes() {
    let (scene, app, commit) = scene_without_namespace("retry-soon", 20).await;
    // A look may come too late for one of them, but not for all of twenty.
    let mut told = 0;
    for _ in 0..2 {
        let seen = app.until("a later attempt", |app| attempt(app).is_some_and(|number| number > told)).await;
        told = attempt(&seen).unwrap();
        let state = &seen["status"]["operationState"];
        assert_eq!(state["phase"], "Running", "a retry that waits is running, as upstream says it");
        assert!(state["finishedAt"].is_string(), "{state:#}");
        let message = state["message"].as_str().unwrap();
        assert!(
            message.contains("config") && message.contains(&scene.namespace) || message.contains("namespace"),
            "{message}"
        );
        assert_eq!(seen["status"]["sync"]["status"], "OutOfSync");
    }
    make_namespace(&scene).await;
    let seen = app.synced(&commit).await;
    let state = &seen["status"]["operationState"];
    assert!(state["retryCount"].as_i64().is_some_and(|count| count >= 2), "{state:#}");
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 1);
    assert_eq!(seen["status"]["conditions"], Value::Null, "no error survives its cause: {}", app.brief().await);
}

#[tokio::test]
async fn after_the_last_attempt_it_recovers_within_a_resync_once_the_cause_is_gone() {
    let (scene, app, commit) = scene_without_namespace("retry-last", 1).await;
    let seen = app.until("the end of the attempts", |app| app["status"]["operationState"]["phase"] == "Failed").await;
    let state = &seen["status"]["operationState"];
    assert_eq!(state["retryCount"], 1, "{state:#}");
    app.condition("SyncError", &["Failed last sync attempt to", &commit]).await;
    make_namespace(&scene).await;
    app.synced(&commit).await;
    app.without_condition("SyncError").await;
}

#[tokio::test]
async fn a_newer_commit_does_not_wait_for_the_attempts_of_an_older_one() {
    let scene = Scene::shared("retry-newer").await;
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    scene.put("app/bad.yaml", bad);
    let slow = json!({"limit": 10, "backoff": {"duration": "10m", "factor": 2, "maxDuration": "1h"}});
    let app = scene.create(scene.application().automated(true, true).set("/spec/syncPolicy", "retry", slow)).await;
    app.until("the next attempt", |app| {
        app["status"]["operationState"]["message"].to_string().contains("Retrying attempt #1")
    })
    .await;
    let good = scene.put("app/bad.yaml", &config_map("config", &[("a", "1")]));
    app.synced(&good).await;
    scene.expect("configmaps", "config").await;
}
