//! What ends an operation before it has done everything: something newer in Git, or somebody.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::command_line::trueup;
use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::message;
use crate::jobs::result;
use crate::jobs::vanishing_hook;
use crate::jobs::waits;

/// A ConfigMap of the wave after the balancer's.
fn late(name: &str, value: &str) -> String {
    config_map(name, &[("a", value)]).replace(
        &format!("  name: {name}\n"),
        &format!("  name: {name}\n  annotations: {{argocd.argoproj.io/sync-wave: \"1\"}}\n"),
    )
}

fn revision(app: &Value) -> &Value {
    &app["status"]["operationState"]["operation"]["sync"]["revision"]
}

#[tokio::test]
async fn a_newer_commit_goes_before_a_wave_that_waits() {
    let scene = Scene::shared("supersede-wave").await;
    scene.commit(&[("app/balancer.yaml", Some(LOAD_BALANCER)), ("app/late.yaml", Some(&late("late", "1")))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    // The balancer never gets an address; the commit that makes it needless is not kept waiting.
    let plain = LOAD_BALANCER.replace("type: LoadBalancer, ", "");
    let second = scene.commit(&[("app/balancer.yaml", Some(&plain)), ("app/late.yaml", Some(&late("late", "2")))]);
    app.healthy(&second).await;
    assert_eq!(scene.expect("configmaps", "late").await["data"]["a"], "2");
    let seen = app.get().await;
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1), "{:#}", seen["status"]["history"]);
    assert_eq!(revision(&seen), &json!(second));
}

#[tokio::test]
async fn a_newer_commit_waits_for_the_end_of_a_hook() {
    let scene = Scene::shared("supersede-hook").await;
    let first = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application().automated(true, true)).await;
    let uid = jobs.begun("before").await;
    waits(&app, "batch/Job/before").await;
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    app.refresh("normal").await;
    let seen = app.get().await;
    assert_eq!(revision(&seen), &json!(first), "{}", app.brief().await);
    assert_eq!(scene.uid("jobs", "before").await, uid);
    jobs.end("before", true).await;
    // Now it goes, before anything of the older commit is applied, and its own hook runs.
    jobs.begun_anew("before", &uid).await;
    assert!(scene.object("configmaps", "config").await.is_none());
    jobs.end("before", true).await;
    let seen = app.healthy(&second).await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "2");
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_sync_that_somebody_asks_for_of_a_revision_is_of_that_one() {
    let scene = Scene::shared("supersede-pinned").await;
    let first =
        scene.commit(&[("app/balancer.yaml", Some(LOAD_BALANCER)), ("app/late.yaml", Some(&late("late", "1")))]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({"revision": first})).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    let second = scene.put("app/late.yaml", &late("late", "2"));
    app.refresh("normal").await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    Balancer(&scene).ready(true).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(seen["status"]["operationState"]["syncResult"]["revision"], first);
    assert_eq!(scene.expect("configmaps", "late").await["data"]["a"], "1");
    app.until("OutOfSync at the newer commit", |app| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == second
    })
    .await;
}

/// Waits for the end of an operation whose hook `before` ran, which somebody ended.
async fn is_terminated(scene: &Scene<'_>, app: &App) {
    let seen = app.operated("Failed").await;
    assert_eq!(message(&seen), "Operation terminated");
    assert_eq!(result(&seen, "before")["hookPhase"], "Failed", "{:#}", result(&seen, "before"));
    scene.until_gone("jobs", "before").await;
    assert!(scene.object("configmaps", "config").await.is_none());
    assert!(scene.object("jobs", "rescue").await.is_none(), "who ends it wants nothing more of it");
}

#[tokio::test]
async fn somebody_ends_it_while_a_hook_runs() {
    let scene = Scene::shared("terminate").await;
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/rescue.yaml", Some(&hook("rescue", "SyncFail"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    // As `argocd app terminate-op` does.
    app.ask(json!({})).await;
    let uid = jobs.begun("before").await;
    waits(&app, "batch/Job/before").await;
    app.patch(&json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    is_terminated(&scene, &app).await;
    // By our own command line.
    app.ask(json!({})).await;
    jobs.begun_anew("before", &uid).await;
    waits(&app, "batch/Job/before").await;
    trueup(&scene, "app terminate-op terminate").await.with(0);
    is_terminated(&scene, &app).await;
    // What automation began is not begun again at once.
    app.patch(&json!({"spec": {"syncPolicy": {"automated": {}}}})).await;
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    jobs.begun("before").await;
    waits(&app, "batch/Job/before").await;
    app.patch(&json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    is_terminated(&scene, &app).await;
    app.refresh("normal").await;
    app.condition("SyncError", &[&second, "Operation terminated"]).await;
    assert!(scene.object("jobs", "before").await.is_none());
}

#[tokio::test]
async fn a_deletion_goes_before_what_runs() {
    let scene = Scene::shared("supersede-deletion").await;
    scene.commit(&[
        ("app/a.yaml", Some(&config_map("a", &[("a", "1")]))),
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/late.yaml", Some(&late("late", "1"))),
    ]);
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "a").await;
    scene.until_gone("services", "balancer").await;
    assert!(scene.object("configmaps", "late").await.is_none());
}

#[tokio::test]
async fn a_deletion_takes_the_hook_that_runs() {
    let scene = Scene::shared("supersede-deleted-hook").await;
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    Jobs(&scene).begun("before").await;
    waits(&app, "batch/Job/before").await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("jobs", "before").await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn a_deletion_takes_the_hooks_that_have_ended() {
    let scene = Scene::shared("supersede-ended-hook").await;
    let commit = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    Jobs(&scene).succeed("before").await;
    app.healthy(&commit).await;
    scene.expect("jobs", "before").await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "config").await;
    scene.until_gone("jobs", "before").await;
}

#[tokio::test]
async fn somebody_ends_it_while_nothing_runs() {
    let scene = Scene::shared("terminate-waits").await;
    scene.commit(&[
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/late.yaml", Some(&late("late", "1"))),
        ("bad/rescue.yaml", Some(&hook("rescue", "SyncFail"))),
        ("bad/fails.yaml", Some(&hook("fails", "PreSync"))),
        ("bad/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application()).await;
    let terminate = json!({"status": {"operationState": {"phase": "Terminating"}}});
    app.sync_status("OutOfSync").await;
    // A wave waits.
    app.ask(json!({})).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    app.patch(&terminate).await;
    let seen = app.operated("Failed").await;
    assert_eq!(message(&seen), "Operation terminated");
    assert!(scene.object("configmaps", "late").await.is_none());
    assert_eq!(result(&seen, "balancer")["status"], "Synced", "what was done is told");
    // The next attempt waits.
    let jobs = Jobs(&scene);
    let other = scene.create(scene.application_named("terminate-waits-2").path("bad")).await;
    other.sync_status("OutOfSync").await;
    let retry = json!({"limit": 5, "backoff": {"duration": "1h", "maxDuration": "1h"}});
    other.patch(&json!({"operation": {"sync": {}, "retry": retry}})).await;
    jobs.fail("fails").await;
    // A hook for failures runs: that is ended, too.
    jobs.begun("rescue").await;
    waits(&other, "batch/Job/rescue").await;
    jobs.end("rescue", true).await;
    other.until("the wait for the next attempt", |app| app["status"]["operationState"]["retryCount"] == 1).await;
    other.patch(&terminate).await;
    let seen = other.operated("Failed").await;
    assert_eq!(message(&seen), "Operation terminated");
    // What is asked for anew begins anew.
    let first = scene.uid("jobs", "fails").await;
    other.ask(json!({})).await;
    jobs.begun_anew("fails", &first).await;
    jobs.end("fails", false).await;
    let before = scene.uid("jobs", "rescue").await;
    jobs.begun_anew("rescue", &before).await;
    waits(&other, "batch/Job/rescue").await;
    other.patch(&terminate).await;
    let seen = other.operated("Failed").await;
    assert_eq!(message(&seen), "Operation terminated");
    scene.until_gone("jobs", "rescue").await;
}

#[tokio::test]
async fn an_operation_that_is_taken_out_ends_with_its_hooks() {
    let scene = Scene::shared("supersede-withdrawn").await;
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    Jobs(&scene).begun("before").await;
    waits(&app, "batch/Job/before").await;
    app.patch(&json!({"operation": null})).await;
    let seen = app.operated("Failed").await;
    assert!(message(&seen).contains("taken out of the Application"), "{}", message(&seen));
    scene.until_gone("jobs", "before").await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn what_has_ended_is_let_go_with_the_operation() {
    let scene = Scene::shared("supersede-let-go").await;
    let files = [
        ("app/brief.yaml", Some(vanishing_hook("brief", "PreSync"))),
        ("app/balancer.yaml", Some(LOAD_BALANCER.to_owned())),
        ("app/late.yaml", Some(late("late", "1"))),
    ];
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (*path, text.as_deref())).collect();
    scene.commit(&files);
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application().automated(true, true)).await;
    let first = jobs.succeed("brief").await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    // Somebody ends it.
    app.patch(&json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    app.operated("Failed").await;
    scene.until_gone("jobs", "brief").await;
    // A newer commit does, which has no such hook.
    scene.put("app/late.yaml", &late("late", "2"));
    jobs.begun_anew("brief", &first).await;
    jobs.end("brief", true).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    let last = scene.commit(&[("app/brief.yaml", None)]);
    app.until("the newer commit", |app| revision(app) == &json!(last)).await;
    scene.until_gone("jobs", "brief").await;
}
