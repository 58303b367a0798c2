//! `operation` is a letter box: whoever may patch the Application may ask for a sync.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;

async fn manual(name: &str) -> (Scene<'static>, App, String) {
    let scene = Scene::shared(name).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    (scene, app, commit)
}

#[tokio::test]
async fn a_patch_by_kubectl_starts_a_sync() {
    let (scene, app, commit) = manual("op-patch").await;
    let patch =
        r#"{"operation":{"initiatedBy":{"username":"jane"},"info":[{"name":"why","value":"because"}],"sync":{}}}"#;
    let args = ["patch", "application", "op-patch", "-n", "argocd", "--type=merge", "-p", patch];
    kubectl_with_input(&scene.world.control_plane, &args, "").await;
    let seen = app.operated("Succeeded").await;
    scene.until_value("configmaps", "config", "/data/a", "1").await;
    let seen = if seen["status"]["sync"]["status"] == "Synced" { seen } else { app.synced(&commit).await };
    let state = &seen["status"]["operationState"];
    assert_eq!(state["operation"]["initiatedBy"], json!({"username": "jane"}));
    assert_eq!(state["operation"]["info"], json!([{"name": "why", "value": "because"}]));
    assert_eq!(state["syncResult"]["revision"], commit);
    assert_eq!(seen["status"]["conditions"], Value::Null, "with the first sync there is an inventory");
    assert_eq!(seen["status"]["history"][0]["initiatedBy"], json!({"username": "jane"}));
    // Not automated: what is changed by hand is told, and left.
    scene.edit("configmaps", "config", &json!({"data": {"a": "9"}})).await;
    app.sync_status("OutOfSync").await;
    app.refresh("normal").await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "9");
    app.ask(json!({})).await;
    scene.until_value("configmaps", "config", "/data/a", "1").await;
    app.synced(&commit).await;
}

#[tokio::test]
async fn an_earlier_revision_can_be_asked_for() {
    let (scene, app, first) = manual("op-revision").await;
    let second = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "2")]))),
        ("app/more.yaml", Some(&config_map("more", &[("a", "2")]))),
    ]);
    app.ask(json!({"revision": second})).await;
    app.synced(&second).await;
    app.ask(json!({"revision": first, "prune": true})).await;
    scene.until_value("configmaps", "config", "/data/a", "1").await;
    scene.until_gone("configmaps", "more").await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(seen["status"]["operationState"]["syncResult"]["revision"], first);
    let history = seen["status"]["history"].as_array().unwrap();
    assert_eq!(history.last().unwrap()["revision"], first);
    // What Git's branch says is still the measure.
    app.until("OutOfSync at the branch's commit", |app| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == second
    })
    .await;
    app.ask(json!({"revision": "main"})).await;
    app.synced(&second).await;
    scene.expect("configmaps", "more").await;
}

#[tokio::test]
async fn only_a_sync_that_is_asked_to_prunes() {
    let (scene, app, _) = manual("op-prune").await;
    let first = scene.put("app/goes.yaml", &config_map("goes", &[("a", "1")]));
    app.ask(json!({})).await;
    app.synced(&first).await;
    let second = scene.commit(&[("app/goes.yaml", None)]);
    let requires = |app: &Value| {
        let resources = app["status"]["resources"].as_array();
        resources
            .into_iter()
            .flatten()
            .any(|resource| resource["name"] == "goes" && resource["requiresPruning"] == true)
    };
    app.until("the need to prune", requires).await;
    app.ask(json!({})).await;
    let seen = app
        .until("the sync at the new revision", |app| {
            app["status"]["operationState"]["syncResult"]["revision"] == second && app["operation"].is_null()
        })
        .await;
    assert!(requires(&seen), "{:#}", seen["status"]["resources"]);
    scene.expect("configmaps", "goes").await;
    app.ask(json!({"prune": true})).await;
    scene.until_gone("configmaps", "goes").await;
    app.synced(&second).await;
}

#[tokio::test]
async fn a_revision_that_does_not_exist_is_an_error_of_the_operation_only() {
    let (scene, app, commit) = manual("op-nowhere").await;
    for revision in ["nowhere", "0123456789012345678901234567890123456789"] {
        app.ask(json!({"revision": revision})).await;
        let seen = app
            .until("the error", |app| {
                let state = &app["status"]["operationState"];
                ["Error", "Failed"].iter().any(|phase| state["phase"] == *phase)
                    && state["message"].as_str().is_some_and(|message| message.contains(revision))
                    && app["operation"].is_null()
            })
            .await;
        assert_eq!(seen["status"]["sync"]["status"], "OutOfSync");
        assert_eq!(seen["status"]["sync"]["revision"], commit);
    }
    assert!(scene.object("configmaps", "config").await.is_none());
    app.ask(json!({})).await;
    app.synced(&commit).await;
}

#[tokio::test]
async fn what_is_not_honoured_is_refused_and_nothing_is_done() {
    let (scene, app, commit) = manual("op-refused").await;
    let cases = [
        (json!({"dryRun": true}), "operation.sync.dryRun"),
        (json!({"resources": [{"kind": "ConfigMap", "name": "config"}]}), "operation.sync.resources"),
        (json!({"manifests": ["{}"]}), "operation.sync.manifests"),
        (json!({"syncStrategy": {"apply": {"force": true}}}), "operation.sync.syncStrategy"),
        (json!({"syncOptions": ["Replace=true"]}), "Replace"),
    ];
    for (sync, field) in cases {
        app.ask(sync).await;
        app.until(field, |app| {
            let state = &app["status"]["operationState"];
            state["message"].as_str().is_some_and(|message| message.contains(field))
                && state["phase"] != "Succeeded"
                && state["phase"] != "Running"
                && app["operation"].is_null()
        })
        .await;
        assert!(scene.object("configmaps", "config").await.is_none(), "{field}");
    }
    app.ask(json!({})).await;
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["conditions"], Value::Null, "{}", app.brief().await);
}
