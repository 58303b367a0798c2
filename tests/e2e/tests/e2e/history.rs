//! `revisionHistoryLimit`: how many syncs a status remembers.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

fn ids(app: &Value) -> Vec<i64> {
    let history = app["status"]["history"].as_array();
    history.into_iter().flatten().map(|entry| entry["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn as_many_syncs_are_kept_as_the_limit_says_and_none_is_enough_to_go_on() {
    let scene = Scene::new(World::shared(), "history", "history-control").await;
    let mut controller = scene.world.controller(&controller_options(&scene.control)).await;
    let commit = |value: &str| scene.put("app/config.yaml", &config_map("config", &[("a", value), (value, "1")]));
    let first = commit("one");
    let app = scene.create(scene.application().set("/spec", "revisionHistoryLimit", json!(2))).await;
    app.sync_status("OutOfSync").await;
    let sync = async |commit: &str| {
        app.ask(json!({})).await;
        app.until("its sync", |app| {
            let state = &app["status"]["operationState"];
            app["operation"].is_null()
                && state["phase"] == "Succeeded"
                && state["syncResult"]["revision"] == commit
                && app["status"]["sync"]["revision"] == commit
        })
        .await
    };
    assert_eq!(ids(&sync(&first).await), [0]);
    assert_eq!(ids(&sync(&commit("two")).await), [0, 1]);
    assert_eq!(ids(&sync(&commit("three")).await), [1, 2]);
    app.patch(&json!({"spec": {"revisionHistoryLimit": 0}})).await;
    let seen = sync(&commit("four")).await;
    assert_eq!(ids(&seen), [0_i64; 0], "{:#}", seen["status"]["history"]);
    // What was synced last is known all the same to a controller that has only the status.
    controller.kill9();
    let last = commit("five");
    controller.restart().unwrap();
    let seen = app
        .until("the comparison with the new commit", |app| {
            app["status"]["sync"]["revision"] == last && app["status"]["sync"]["status"] == "OutOfSync"
        })
        .await;
    assert_eq!(seen["status"]["conditions"], Value::Null);
    assert_eq!(ids(&sync(&last).await), [0_i64; 0]);
    assert_eq!(scene.expect("configmaps", "config").await["data"], json!({"a": "five", "five": "1"}));
}
