//! `trueup.dev/pause`: compared and told, and nothing synced, until somebody or a time ends it.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::command_line::trueup;

const PAUSE: &str = "trueup.dev/pause";

async fn set_pause(app: &App, reason: Option<&str>) {
    app.patch(&json!({"metadata": {"annotations": {PAUSE: reason}}})).await;
}

fn annotation(app: &Value) -> &Value {
    &app["metadata"]["annotations"][PAUSE]
}

#[tokio::test]
async fn it_is_compared_and_told_and_nothing_is_synced() {
    let scene = Scene::shared("pause-tells").await;
    let first = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    set_pause(&app, Some("the move")).await;
    app.condition("PausedInfo", &["paused: the move", "nothing is synced"]).await;
    // Git moves, and the cluster does.
    let second = scene.commit(&[("app/a.yaml", None), ("app/b.yaml", Some(&config_map("b", &[("a", "1")])))]);
    app.until("OutOfSync at the second commit", |app| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == second
    })
    .await;
    scene.edit("configmaps", "a", &json!({"data": {"a": "9"}})).await;
    // A sync that somebody asks for is refused, with the way out.
    app.ask(json!({"prune": true})).await;
    let seen = app.operated("Failed").await;
    let message = seen["status"]["operationState"]["message"].as_str().unwrap();
    assert!(
        message.contains("paused: the move") && message.contains("trueup app resume argocd/pause-tells"),
        "{message}"
    );
    trueup(&scene, "app sync pause-tells").await.fails(2, &["is paused: the move", "app resume"]);
    app.refresh("hard").await;
    assert!(scene.object("configmaps", "b").await.is_none());
    assert_eq!(scene.expect("configmaps", "a").await["data"]["a"], "9");
    trueup(&scene, "app resume pause-tells").await.with(0);
    app.synced(&second).await;
    scene.until_gone("configmaps", "a").await;
    app.without_condition("PausedInfo").await;
}

#[tokio::test]
async fn drift_is_told_and_healed_when_the_pause_has_ended_by_itself() {
    let scene = Scene::shared("pause-ends").await;
    let first = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    trueup(&scene, "app pause pause-ends --reason freeze --for 8s").await.with(0);
    app.condition("PausedInfo", &["paused until 20", ": freeze"]).await;
    scene.edit("configmaps", "a", &json!({"data": {"a": "9"}})).await;
    let seen = app.until("drift that is told", |app| app["status"]["drift"]["count"] == 1).await;
    assert_eq!(seen["status"]["drift"]["events"][0]["outcome"], "detected");
    assert_eq!(scene.expect("configmaps", "a").await["data"]["a"], "9");
    // Nobody does anything.
    scene.until_value("configmaps", "a", "/data/a", "1").await;
    app.without_condition("PausedInfo").await;
    assert_eq!(annotation(&app.get().await), "freeze", "it is over, and still says why it was");
}

#[tokio::test]
async fn a_running_operation_waits_before_its_next_step() {
    let scene = Scene::shared("pause-runs").await;
    let second = config_map("second", &[("a", "1")])
        .replace("  name: second\n", "  name: second\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    let commit = scene.commit(&[("app/lb.yaml", Some(LOAD_BALANCER)), ("app/second.yaml", Some(&second))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let is_running = |app: &Value, words: &str| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["message"].as_str().is_some_and(|message| message.contains(words))
    };
    app.until("the wave that waits", |app| is_running(app, "waiting for healthy state of Service/balancer")).await;
    set_pause(&app, Some("the move")).await;
    app.until("the operation that is paused", |app| is_running(app, "paused: the move")).await;
    Balancer(&scene).ready(true).await;
    app.until("Healthy", |app| app["status"]["resources"][1]["health"]["status"] == "Healthy").await;
    app.refresh("normal").await;
    assert!(scene.object("configmaps", "second").await.is_none());
    assert!(is_running(&app.get().await, "paused: the move"));
    set_pause(&app, None).await;
    app.synced(&commit).await;
    scene.expect("configmaps", "second").await;
}

#[tokio::test]
async fn it_is_told_while_git_cannot_be_had_and_outlives_the_controller() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "pause-lasts", NAMESPACE).await;
    let first = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    set_pause(&app, Some("the move")).await;
    app.condition("PausedInfo", &["the move"]).await;
    let revision = |revision: &str| json!({"spec": {"source": {"targetRevision": revision}}});
    app.patch(&revision("nowhere")).await;
    let seen = app.condition("ComparisonError", &["nowhere"]).await;
    let kinds: Vec<&Value> =
        seen["status"]["conditions"].as_array().unwrap().iter().map(|condition| &condition["type"]).collect();
    assert_eq!(kinds, ["ComparisonError", "PausedInfo"]);
    controller.kill9();
    app.patch(&revision("main")).await;
    let second = scene.put("app/a.yaml", &config_map("a", &[("a", "2")]));
    let _controller = world.controller(&controller_options(NAMESPACE)).await;
    app.until("OutOfSync at the second commit", |app| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == second
    })
    .await;
    assert_eq!(scene.expect("configmaps", "a").await["data"]["a"], "1");
    set_pause(&app, None).await;
    app.synced(&second).await;
}

#[tokio::test]
async fn one_that_is_deleted_goes() {
    let scene = Scene::shared("pause-goes").await;
    let first = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    app.synced(&first).await;
    set_pause(&app, Some("the move")).await;
    app.condition("PausedInfo", &["the move"]).await;
    app.delete().await;
    app.gone().await;
    assert!(scene.object("configmaps", "a").await.is_none());
}

#[tokio::test]
async fn a_parent_does_not_undo_it() {
    let scene = Scene::shared("pause-parent").await;
    let child = |path: &str, options: Option<&str>| {
        let built = scene.application_named("pause-child").path(path).automated(true, true);
        let built = match options {
            Some(options) => built.annotation("argocd.argoproj.io/sync-options", options),
            None => built,
        };
        built.build().to_string()
    };
    let put = |child: &str, value: &str| {
        let config = config_map("a", &[("a", value)]);
        scene.commit(&[
            ("app/child.yaml", Some(child)),
            ("child/a.yaml", Some(&config)),
            ("other/a.yaml", Some(&config)),
        ])
    };
    // Somebody applied the child with a pause, before the parent came.
    let mut applied = scene.application_named("pause-child").path("child").automated(true, true).build();
    applied["metadata"]["annotations"] = json!({PAUSE: "by hand", "example.com/old": "1"});
    kubectl_with_input(&scene.world.control_plane, &["apply", "-f", "-"], &applied.to_string()).await;
    let commit = put(&child("child", None), "1");
    let parent = scene.create(scene.application().automated(true, true)).await;
    let app = scene.app("pause-child");
    let in_line = async |commit: &str| {
        let seen = parent.until("in line", |app| {
            app["status"]["sync"]["status"] == "Synced"
                && app["status"]["sync"]["revision"] == commit
                && app["status"]["operationState"]["phase"] != "Running"
        });
        let seen = seen.await;
        assert_eq!(seen["status"]["drift"]["count"], 0, "{:#}", seen["status"]["drift"]);
        seen
    };
    in_line(&commit).await;
    let seen = app.condition("PausedInfo", &["by hand"]).await;
    assert!(scene.object("configmaps", "a").await.is_none());
    assert!(seen["metadata"]["annotations"]["example.com/old"].is_null(), "{:#}", seen["metadata"]["annotations"]);
    // A parent that is looked at anew, and one that brings another child.
    parent.refresh("hard").await;
    in_line(&commit).await;
    let commit = put(&child("other", None), "1");
    in_line(&commit).await;
    app.until("the new path", |app| app["spec"]["source"]["path"] == "other").await;
    assert_eq!(annotation(&app.get().await), "by hand");
    // Another one who pauses, and one who resumes, is no drift.
    trueup(&scene, "app pause pause-child --reason again --for 24h").await.with(0);
    parent.refresh("normal").await;
    in_line(&commit).await;
    // What takes the place of the whole object leaves it, too.
    let commit = put(&child("child", Some("Replace=true")), "1");
    in_line(&commit).await;
    let seen = app.until("the new path", |app| app["spec"]["source"]["path"] == "child").await;
    assert_eq!(annotation(&seen), "again");
    assert!(!seen["metadata"]["annotations"]["trueup.dev/pause-until"].is_null());
    assert!(scene.object("configmaps", "a").await.is_none());
    trueup(&scene, "app resume pause-child").await.with(0);
    app.synced(&commit).await;
    in_line(&commit).await;
    assert!(annotation(&app.get().await).is_null());
    scene.expect("configmaps", "a").await;
}
