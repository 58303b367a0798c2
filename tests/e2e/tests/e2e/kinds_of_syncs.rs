//! Syncs that are not to what Git says now: for trial, to manifests from elsewhere, to another source.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

fn result<'a>(app: &'a Value, name: &str) -> &'a Value {
    let results = app["status"]["operationState"]["syncResult"]["resources"].as_array();
    results.into_iter().flatten().find(|result| result["name"] == name).unwrap_or(&Value::Null)
}

fn history(app: &Value) -> usize {
    app["status"]["history"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_trial_writes_nothing_and_says_what_the_server_makes_of_it() {
    let scene = Scene::shared("sync-trial").await;
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.ask(json!({})).await;
    app.synced(&commit).await;
    scene.commit(&[
        ("app/goes.yaml", None),
        ("app/config.yaml", Some(&config_map("config", &[("a", "2")]))),
        ("app/new.yaml", Some(&config_map("new", &[("a", "1")]))),
    ]);
    app.ask(json!({"dryRun": true, "prune": true})).await;
    let done = app.operated("Succeeded").await;
    assert!(done["status"]["operationState"]["message"].as_str().unwrap().ends_with("(dry run)"));
    assert_eq!(result(&done, "goes")["status"], "Pruned");
    assert_eq!(result(&done, "new")["status"], "Synced");
    assert_eq!(history(&done), 1);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
    scene.expect("configmaps", "goes").await;
    assert!(scene.object("configmaps", "new").await.is_none());
    app.sync_status("OutOfSync").await;
    // What the server refuses is told without harm.
    scene.put("app/wrong.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Wrong_Name}\n");
    app.ask(json!({"dryRun": true})).await;
    let failed = app.operated("Failed").await;
    assert_eq!(result(&failed, "Wrong_Name")["status"], "SyncFailed", "{:#}", failed["status"]["operationState"]);
    assert!(scene.object("configmaps", "new").await.is_none());
}

#[tokio::test]
async fn manifests_from_elsewhere_are_applied_and_never_called_what_git_says() {
    let scene = Scene::shared("sync-local").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application()).await;
    app.ask(json!({})).await;
    app.synced(&commit).await;
    let local = config_map("config", &[("a", "local")]);
    app.ask(json!({"manifests": [local, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"more"}}"#]}))
        .await;
    let done = app.operated("Succeeded").await;
    assert_eq!(history(&done), 1, "it is no history: {:#}", done["status"]["history"]);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "local");
    scene.expect("configmaps", "more").await;
    app.sync_status("OutOfSync").await;
    // Git is what counts again with the next sync.
    app.ask(json!({"prune": true})).await;
    scene.until_gone("configmaps", "more").await;
    app.synced(&commit).await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
    app.ask(json!({"manifests": ["kind: [", "a: b"]})).await;
    let failed = app.operated("Error").await;
    let words = failed["status"]["operationState"]["message"].as_str().unwrap();
    assert!(words.contains("operation.sync.manifests"), "{words}");
}

#[tokio::test]
async fn manifests_from_elsewhere_are_refused_while_sync_is_automated() {
    let scene = Scene::shared("sync-local-auto").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    app.ask(json!({"manifests": [config_map("config", &[("a", "local")])]})).await;
    let failed = app.operated("Error").await;
    assert!(failed["status"]["operationState"]["message"].as_str().unwrap().contains("automated"));
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
}

#[tokio::test]
async fn a_rollback_may_go_to_another_source() {
    let scene = Scene::shared("sync-source").await;
    let first = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("other/config.yaml", Some(&config_map("config", &[("a", "other")]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.ask(json!({})).await;
    let synced = app.synced(&first).await;
    let mut source = synced["spec"]["source"].clone();
    source["path"] = "other".into();
    app.ask(json!({"source": source, "revision": first})).await;
    let done = app.operated("Succeeded").await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "other");
    let last = done["status"]["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["source"]["path"], &last["revision"]), (&json!("other"), &json!(first)));
    app.sync_status("OutOfSync").await;
    source["path"] = "../elsewhere".into();
    app.ask(json!({"source": source, "revision": first})).await;
    let failed = app.operated("Error").await;
    assert!(failed["status"]["operationState"]["message"].as_str().unwrap().contains("operation.sync.source"));
}
