//! `trueup.dev/sync-deadline` and `trueup.dev/hook-deadline`: what does not end by itself is ended.

use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

use crate::balancer::LOAD_BALANCER;
use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::job;
use crate::jobs::message;
use crate::jobs::result;
use crate::jobs::waits;

async fn fails_with(app: &App, words: &[&str]) -> serde_json::Value {
    let seen = app.operated("Failed").await;
    for word in words {
        assert!(message(&seen).contains(word), "{}", message(&seen));
    }
    seen
}

#[tokio::test]
async fn a_hook_that_takes_too_long_is_deleted_and_fails_the_operation() {
    let scene = Scene::shared("deadline-hook").await;
    let slow = job("slow", &["argocd.argoproj.io/hook: PreSync", "trueup.dev/hook-deadline: 2s"]);
    scene.commit(&[
        ("app/slow.yaml", Some(&slow)),
        ("app/rescue.yaml", Some(&hook("rescue", "SyncFail"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    // What the hook says itself goes before what the application says.
    let app = scene.create(scene.application().annotation("trueup.dev/hook-deadline", "1h")).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let jobs = Jobs(&scene);
    jobs.begun("slow").await;
    scene.until_gone("jobs", "slow").await;
    // As any other failure, it has its hooks.
    jobs.succeed("rescue").await;
    let seen = fails_with(&app, &["job.batch/slow", "2s (trueup.dev/hook-deadline)"]).await;
    assert_eq!(result(&seen, "slow")["hookPhase"], "Failed");
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn the_application_says_how_long_hooks_may_take_that_do_not() {
    let scene = Scene::shared("deadline-hooks").await;
    scene.commit(&[
        ("app/slow.yaml", Some(&hook("slow", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().annotation("trueup.dev/hook-deadline", "1s")).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    fails_with(&app, &["1s (trueup.dev/hook-deadline)"]).await;
    scene.until_gone("jobs", "slow").await;
}

#[tokio::test]
async fn an_operation_that_takes_too_long_ends_with_its_hooks() {
    let scene = Scene::shared("deadline-sync").await;
    scene.commit(&[
        ("app/slow.yaml", Some(&hook("slow", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().annotation("trueup.dev/sync-deadline", "2s")).await;
    app.sync_status("OutOfSync").await;
    app.patch(&json!({"operation": {"sync": {}, "retry": {"limit": 5}}})).await;
    Jobs(&scene).begun("slow").await;
    let seen = fails_with(&app, &["2s (trueup.dev/sync-deadline)", "hook batch/Job/slow"]).await;
    assert_eq!(result(&seen, "slow")["hookPhase"], "Failed");
    scene.until_gone("jobs", "slow").await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn a_deadline_may_be_set_while_it_waits() {
    let scene = Scene::shared("deadline-later").await;
    let late = config_map("late", &[("a", "1")])
        .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    scene.commit(&[("app/balancer.yaml", Some(LOAD_BALANCER)), ("app/late.yaml", Some(&late))]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    app.patch(&json!({"metadata": {"annotations": {"trueup.dev/sync-deadline": "1s"}}})).await;
    fails_with(&app, &["1s (trueup.dev/sync-deadline)", "Service/balancer"]).await;
}

#[tokio::test]
async fn what_is_no_duration_is_told_and_has_no_effect() {
    let scene = Scene::shared("deadline-nonsense").await;
    let commit = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app =
        scene.create(scene.application().automated(true, true).annotation("trueup.dev/hook-deadline", "soon")).await;
    Jobs(&scene).begun("before").await;
    app.condition("ComparisonWarning", &["trueup.dev/hook-deadline", "not a duration"]).await;
    Jobs(&scene).end("before", true).await;
    app.synced(&commit).await;
}

#[tokio::test]
async fn the_time_of_a_wave_goes_on_while_the_controller_is_away() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "deadline-restart", NAMESPACE).await;
    let late = config_map("late", &[("a", "1")])
        .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    scene.commit(&[("app/balancer.yaml", Some(LOAD_BALANCER)), ("app/late.yaml", Some(&late))]);
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let before = waits(&app, "waiting for healthy state of Service/balancer since ").await;
    controller.kill9();
    app.patch(&json!({"metadata": {"annotations": {"trueup.dev/wave-deadline": "1h"}}})).await;
    controller.restart().unwrap();
    controller.wait_ready().await.unwrap();
    app.refresh("normal").await;
    let now = waits(&app, "waiting for healthy state of Service/balancer since ").await;
    assert_eq!(message(&now), message(&before), "it has waited since then");
    // Nothing of the wave was left to do, and its time is over all the same.
    app.patch(&json!({"metadata": {"annotations": {"trueup.dev/wave-deadline": "1s"}}})).await;
    fails_with(&app, &["1s (trueup.dev/wave-deadline)", "Service/balancer"]).await;
    assert!(scene.object("configmaps", "late").await.is_none());
}
