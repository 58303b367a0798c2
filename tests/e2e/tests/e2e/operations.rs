//! `operation` is a letter box: whoever may patch the Application may ask for a sync.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;

use crate::command_line::trueup;

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
        (json!({"sources": [{"repoURL": "https://git.example/x.git", "path": "../p"}]}), "operation.sync.source"),
        (json!({"revisions": ["a", "b"]}), "operation.sync.revisions"),
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

#[tokio::test]
async fn what_was_synced_can_be_gone_back_to_while_the_target_revision_is_gone() {
    let scene = Scene::shared("op-no-target").await;
    let config = |value: &str| config_map("config", &[("a", value)]);
    let first = scene.put("app/config.yaml", &config("1"));
    scene.repository.branch("release", &first).unwrap();
    let app = scene.create(scene.application().revision("release")).await;
    app.ask(json!({})).await;
    app.synced(&first).await;
    let second = scene.commit(&[
        ("app/config.yaml", Some(&config("2"))),
        ("app/more.yaml", Some(&config_map("more", &[("a", "2")]))),
    ]);
    scene.repository.branch("release", &second).unwrap();
    app.ask(json!({})).await;
    app.synced(&second).await;
    scene.repository.delete_branch("release").unwrap();
    app.refresh("normal").await;
    let target = ["Failed to load target state", "release"];
    app.condition("ComparisonError", &target).await;
    let stays = async |revision: &str| {
        let seen = app.condition("ComparisonError", &target).await;
        assert_eq!(seen["status"]["sync"]["status"], "Unknown", "{}", app.brief().await);
        assert_eq!(seen["status"]["sync"]["revision"], second, "what was last known of the target revision");
        assert_eq!(seen["status"]["operationState"]["syncResult"]["revision"], revision);
    };

    trueup(&scene, "app rollback op-no-target 0 --prune").await.with(0);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
    scene.until_gone("configmaps", "more").await;
    app.operated("Succeeded").await;
    stays(&first).await;
    // A name that can be had goes as well.
    app.ask(json!({"revision": "main"})).await;
    scene.until_value("configmaps", "more", "/data/a", "2").await;
    let seen = app.operated("Succeeded").await;
    stays(&second).await;
    assert_eq!(seen["status"]["history"].as_array().unwrap().last().unwrap()["revision"], second);

    // What is for the target revision has its error, what is for another has that one's.
    let failed_in = async |phase: &str, sync: Value, words: &str, but: &str| {
        app.ask(sync).await;
        let state = app.operated(phase).await["status"]["operationState"].clone();
        let message = state["message"].as_str().unwrap();
        assert!(message.contains(words) && !message.contains(but), "{message}");
        app.condition("ComparisonError", &target).await;
    };
    failed_in("Error", json!({}), "Failed to load target state", "nowhere").await;
    let nowhere = json!({"revision": "nowhere"});
    failed_in("Error", nowhere, "revision nowhere cannot be loaded", "Failed to load target state").await;

    let large = json!({"revision": first, "manifests": ["#".repeat(601 * 1024)]});
    failed_in("Failed", large, "operation.sync.manifests", "load").await;

    // It is tried again as it says.
    let broken = scene.put("app/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken}\ndata: [1]\n");
    let retry = json!({"limit": 2, "backoff": {"duration": "1s", "factor": 1}});
    app.patch(&json!({"operation": {"sync": {"revision": broken}, "retry": retry}})).await;
    let promised = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["retryCount"] == 1
    };
    let seen = app.until("the promise of a retry", promised).await;
    assert_eq!(seen["status"]["sync"]["status"], "Unknown", "{}", app.brief().await);
    let state = app.operated("Failed").await["status"]["operationState"].clone();
    assert_eq!(state["retryCount"], 2, "{state:#}");
    stays(&broken).await;
    scene.commit(&[("app/broken.yaml", None)]);
    app.ask(json!({"revision": "main"})).await;
    app.operated("Succeeded").await;

    // Nothing happens by itself, until there is a target again.
    let automated = json!({"spec": {"syncPolicy": {"automated": {"prune": true, "selfHeal": true}}}});
    app.patch(&automated).await;
    scene.edit("configmaps", "config", &json!({"data": {"a": "9"}})).await;
    app.refresh("normal").await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "9");
    scene.repository.branch("release", &second).unwrap();
    app.synced(&second).await;
    app.without_condition("ComparisonError").await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
}

#[tokio::test]
async fn an_earlier_commit_can_be_gone_back_to_while_the_newest_does_not_render() {
    let (scene, app, first) = manual("op-no-render").await;
    app.ask(json!({})).await;
    app.synced(&first).await;
    scene.edit("configmaps", "config", &json!({"data": {"a": "9"}})).await;
    scene.put("app/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: [");
    app.refresh("normal").await;
    app.condition("ComparisonError", &["Failed to load target state", "broken.yaml"]).await;
    app.ask(json!({"revision": first})).await;
    scene.until_value("configmaps", "config", "/data/a", "1").await;
    app.operated("Succeeded").await;
    let seen = app.condition("ComparisonError", &["Failed to load target state", "broken.yaml"]).await;
    assert_eq!(seen["status"]["sync"]["status"], "Unknown", "{}", app.brief().await);
}

#[tokio::test]
async fn manifests_that_the_status_cannot_repeat_are_refused() {
    let (scene, app, _) = manual("op-large").await;
    app.ask(json!({"manifests": [config_map("large", &[("a", &"x".repeat(900_000))])]})).await;
    let seen = app.operated("Failed").await;
    let state = &seen["status"]["operationState"];
    assert_eq!(
        state["message"],
        "operation.sync.manifests: are larger than 600 KiB, more than the status can repeat: commit them to Git"
    );
    assert!(state["operation"]["sync"]["manifests"].is_null());
    assert!(scene.object("configmaps", "large").await.is_none());
}
