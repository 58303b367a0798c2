//! Looking when asked, and leaving alone when asked.

use std::time::Duration;

use serde_json::json;
use trueup_bed::ControllerOptions;
use trueup_bed::Fault;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

/// So long that nothing is looked at unless somebody asks.
const NEVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_refresh_looks_at_git_now_and_is_consumed() {
    let control = "t-refresh-argocd";
    let scene = Scene::new(World::shared(), "refresh-asked", control).await;
    let options = ControllerOptions { resync: Some(NEVER), ..controller_options(control) };
    let _controller = scene.world.controller(&options).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    for (kind, value) in [("normal", "2"), ("hard", "3")] {
        let commit = scene.put("app/config.yaml", &config_map("config", &[("a", value)]));
        app.refresh(kind).await;
        app.synced(&commit).await;
        scene.until_value("configmaps", "config", "/data/a", value).await;
    }
    // Where nothing of it changed, whoever asks still gets the new revision at once.
    let elsewhere = scene.put("elsewhere/file", "x");
    let seen = app.refresh("normal").await;
    assert_eq!(seen["status"]["sync"]["revision"], elsewhere, "{}", app.brief().await);
    // A request that names its moment is consumed with it.
    let asked = json!({"metadata": {"annotations": {
        "argocd.argoproj.io/refresh": "normal", "argocd.argoproj.io/refresh-timestamp": "2026-01-01T00:00:00.000000001Z",
    }}});
    app.patch(&asked).await;
    app.until("both to be consumed", |app| {
        let annotations = app["metadata"]["annotations"].to_string();
        !annotations.contains("argocd.argoproj.io/refresh")
    })
    .await;
}

#[tokio::test]
async fn what_is_to_be_skipped_is_left_alone_until_it_is_not() {
    let scene = Scene::shared("refresh-skip").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    app.patch(&json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}})).await;
    let second = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "2")]))),
        ("other/other.yaml", Some(&config_map("other", &[("a", "2")]))),
    ]);
    let edited = json!({"data": {"b": "by hand"}});
    scene.edit("configmaps", "config", &edited).await;
    // Its neighbour, from the same repository, is synced meanwhile, to a revision that came later still.
    let other = scene.create(scene.application_named("refresh-skip-other").path("other").automated(true, true)).await;
    other.synced(&second).await;
    let third = scene.put("other/other.yaml", &config_map("other", &[("a", "3")]));
    other.synced(&third).await;
    let seen = app.get().await;
    assert_eq!(seen["status"]["sync"]["revision"], first);
    assert_eq!(scene.expect("configmaps", "config").await["data"], json!({"a": "1", "b": "by hand"}));
    app.patch(&json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": null}}})).await;
    app.synced(&third).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
}

#[tokio::test]
async fn who_asks_right_after_a_push_is_never_answered_with_what_was_before() {
    let control = "t-refresh-stale-argocd";
    let scene = Scene::new(World::shared(), "refresh-stale", control).await;
    let options = ControllerOptions { resync: Some(NEVER), ..controller_options(control) };
    let _controller = scene.world.controller(&options).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(false, false)).await;
    app.synced(&first).await;
    // The one listing that the request waits for fails: for a reason that may pass, and for one that does not.
    for (status, words) in [(503, "503"), (401, "401")] {
        scene.repository.misbehave(Fault::Status(status));
        scene.put("app/config.yaml", &config_map("config", &[("a", &status.to_string())]));
        app.ask(json!({})).await;
        let seen = app.operated("Error").await;
        let state = &seen["status"]["operationState"];
        assert!(state["message"].as_str().unwrap().contains(words), "{state:#}");
        app.refresh("normal").await;
        app.condition("ComparisonError", &[words]).await;
        assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1", "nothing was synced");
        scene.repository.behave();
    }
    let last = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    app.ask(json!({})).await;
    app.synced(&last).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    app.without_condition("ComparisonError").await;
}
