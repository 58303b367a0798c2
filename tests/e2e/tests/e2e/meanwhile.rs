//! What is pushed or moved while a sync waits, and is no reason to begin anew.

use serde_json::json;
use trueup_bed::Asked;
use trueup_bed::Audit;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::waits;

/// An automated application whose hook has ended and whose wave waits. Answers the uid of the hook.
async fn waiting(scene: &Scene<'static>) -> (App, String) {
    let late = config_map("late", &[("a", "1")])
        .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/late.yaml", Some(&late)),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let uid = Jobs(scene).succeed("before").await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    (app, uid)
}

#[tokio::test]
async fn a_commit_that_leaves_the_application_alone_does_not_run_its_hooks_again() {
    let scene = Scene::shared("meanwhile-elsewhere").await;
    let (app, uid) = waiting(&scene).await;
    scene.put("elsewhere/a.yaml", &config_map("a", &[("a", "1")]));
    app.refresh("normal").await;
    let newest = scene.put("elsewhere/a.yaml", &config_map("a", &[("a", "2")]));
    app.refresh("normal").await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    assert_eq!(scene.uid("jobs", "before").await, uid, "the hook has run for this already");
    Balancer(&scene).ready(true).await;
    let seen = app.healthy(&newest).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded");
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1), "{:#}", seen["status"]["history"]);
    assert_eq!(scene.uid("jobs", "before").await, uid);
    scene.expect("configmaps", "late").await;
}

#[tokio::test]
async fn a_commit_that_cannot_be_rendered_ends_nothing_and_costs_nothing() {
    let scene = Scene::shared("meanwhile-broken").await;
    let (app, uid) = waiting(&scene).await;
    let broken = scene.commit(&[("app/before.yaml", None), ("app/balancer.yaml", None), ("app/late.yaml", None)]);
    app.refresh("normal").await;
    app.condition("ComparisonError", &[&broken]).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    until("rest", SLOW, async || {
        let mark = audit.mark().await.unwrap();
        scene.listed(scene.repository.asked(Asked::LsRefs) + 2).await;
        let asked = audit.since(mark).await.unwrap().by("trueup").writes();
        let moved = asked.filtered(|asked| asked.resource == "applications" && asked.name == scene.name);
        if moved.is_empty() { Ok(()) } else { Err(moved.counts()) }
    })
    .await
    .unwrap();
    Balancer(&scene).ready(true).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(seen["status"]["sync"]["status"], "Unknown");
    assert_eq!(scene.uid("jobs", "before").await, uid);
    scene.expect("configmaps", "late").await;
}

#[tokio::test]
async fn another_operation_in_the_letter_box_ends_the_hooks_of_the_one_before() {
    let scene = Scene::shared("meanwhile-asked").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    scene.put("app/before.yaml", &hook("before", "PreSync"));
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    Jobs(&scene).begun("before").await;
    waits(&app, "batch/Job/before").await;
    // Where Git had no hook yet.
    app.ask(json!({"revision": first})).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(seen["status"]["operationState"]["syncResult"]["revision"], first);
    scene.until_gone("jobs", "before").await;
}

#[tokio::test]
async fn who_asks_for_a_sync_waits_for_the_hook_of_an_automated_one() {
    let scene = Scene::shared("meanwhile-hook").await;
    let commit = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let jobs = Jobs(&scene);
    let first = jobs.begun("before").await;
    waits(&app, "waiting for completion of hook batch/Job/before").await;
    let patch = json!({"operation": {"sync": {}, "initiatedBy": {"username": "jane"}}});
    app.patch(&patch).await;
    app.refresh("normal").await;
    let seen = waits(&app, "waiting for completion of hook batch/Job/before").await;
    assert_eq!(seen["operation"], patch["operation"], "it is still to come");
    assert_eq!(seen["status"]["operationState"]["operation"]["initiatedBy"]["automated"], true);
    assert_eq!(scene.uid("jobs", "before").await, first, "half a migration is worse than a late sync");
    jobs.end("before", true).await;
    // Then it is its turn, with hooks of its own.
    let second = jobs.begun_anew("before", &first).await;
    assert_ne!(second, first);
    assert!(scene.object("configmaps", "config").await.is_none(), "nothing more of the automated one is done");
    jobs.end("before", true).await;
    app.synced(&commit).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(seen["status"]["operationState"]["operation"]["initiatedBy"]["username"], "jane");
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1), "{:#}", seen["status"]["history"]);
}
