//! Operations that do less than everything, and those that are repeated.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::message;
use crate::jobs::result;

async fn manual(name: &str) -> (Scene<'static>, App, String) {
    let scene = Scene::shared(name).await;
    let commit = scene.commit(&[
        ("app/one.yaml", Some(&config_map("one", &[("a", "1")]))),
        ("app/two.yaml", Some(&config_map("two", &[("a", "1")]))),
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/after.yaml", Some(&hook("after", "PostSync"))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    (scene, app, commit)
}

fn names(app: &Value) -> Vec<&str> {
    let results = app["status"]["operationState"]["syncResult"]["resources"].as_array();
    let mut names: Vec<&str> = results.into_iter().flatten().filter_map(|result| result["name"].as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_sync_of_some_objects_is_of_these_only() {
    let (scene, app, commit) = manual("partial-some").await;
    app.ask(json!({"resources": [{"kind": "ConfigMap", "name": "one"}]})).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(names(&seen), ["one"]);
    scene.expect("configmaps", "one").await;
    assert!(scene.object("configmaps", "two").await.is_none());
    assert!(scene.object("jobs", "before").await.is_none(), "such a sync has no hooks");
    assert!(seen["status"]["history"].is_null(), "nor is it history: {:#}", seen["status"]["history"]);
    app.sync_status("OutOfSync").await;
    // Another object, by its namespace; and one that Git no longer has.
    app.ask(json!({"resources": [{"kind": "ConfigMap", "name": "two", "namespace": scene.namespace}]})).await;
    let seen = app.synced(&commit).await;
    assert_eq!(names(&seen), ["two"]);
    let second = scene.commit(&[
        ("app/one.yaml", None),
        ("app/two.yaml", None),
        ("app/three.yaml", Some(&config_map("three", &[("a", "1")]))),
    ]);
    app.until("OutOfSync at the second commit", |app| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == second
    })
    .await;
    app.ask(json!({"prune": true, "resources": [{"kind": "ConfigMap", "name": "two"}]})).await;
    scene.until_gone("configmaps", "two").await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(result(&seen, "two")["status"], "Pruned", "{:#}", seen["status"]["operationState"]);
    scene.expect("configmaps", "one").await;
    assert!(scene.object("configmaps", "three").await.is_none());
}

#[tokio::test]
async fn a_sync_that_only_applies_runs_no_hooks() {
    let (scene, app, commit) = manual("partial-apply").await;
    app.ask(json!({"syncStrategy": {"apply": {}}})).await;
    let seen = app.synced(&commit).await;
    assert_eq!(names(&seen), ["one", "two"]);
    assert!(scene.object("jobs", "before").await.is_none());
    assert!(scene.object("jobs", "after").await.is_none());
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_retry_runs_the_hooks_again() {
    let (scene, app, commit) = manual("partial-retry").await;
    let retry = json!({"limit": 1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
    app.patch(&json!({"operation": {"sync": {}, "retry": retry}})).await;
    let jobs = Jobs(&scene);
    let first = jobs.succeed("before").await;
    let after = jobs.fail("after").await;
    let second = jobs.begun_anew("before", &first).await;
    let seen = app.until("the second attempt", |app| app["status"]["operationState"]["retryCount"] == 1).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Running");
    jobs.end("before", true).await;
    jobs.begun_anew("after", &after).await;
    jobs.end("after", true).await;
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded");
    assert_eq!(result(&seen, "after")["hookPhase"], "Succeeded");
    assert_eq!(scene.uid("jobs", "before").await, second, "once per attempt");
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn retries_come_to_an_end() {
    let (scene, app, _) = manual("partial-limit").await;
    let retry = json!({"limit": 1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}});
    app.patch(&json!({"operation": {"sync": {}, "retry": retry}})).await;
    let jobs = Jobs(&scene);
    let first = jobs.fail("before").await;
    jobs.begun_anew("before", &first).await;
    jobs.end("before", false).await;
    let seen = app.operated("Failed").await;
    assert!(message(&seen).contains("retried 1 time"), "{}", message(&seen));
    assert_eq!(seen["status"]["operationState"]["retryCount"], 1);
    assert!(scene.object("configmaps", "one").await.is_none());
}
