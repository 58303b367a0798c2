//! Sync windows: what they hold up, what is said of it, and what ends it.

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::Unit;
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::projects::amend;
use crate::projects::project;
use crate::projects::scene;

const BLOCKED: &str = "Sync operation blocked by sync window";

/// A project with these windows, for every application of it.
async fn team(scene: &Scene<'_>, windows: &[Value]) {
    let windows: Vec<Value> = windows.iter().cloned().map(for_all).collect();
    let spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-*"}, {"server": "*", "namespace": "!t-*-argocd"}], "syncWindows": windows});
    project(scene, "team", spec).await;
}

fn for_all(mut window: Value) -> Value {
    window["applications"] = json!(["*"]);
    window
}

fn deny(fields: Value) -> Value {
    let mut window = json!({"kind": "deny", "schedule": "* * * * *", "duration": "1h"});
    window.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    window
}

#[tokio::test]
async fn a_deny_window_holds_syncs_and_healing_up_until_it_is_gone() {
    let (scene, _controller) = scene("deny").await;
    let first = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("hand/by-hand.yaml", Some(&config_map("by-hand", &[("a", "1")]))),
    ]);
    team(&scene, &[deny(json!({}))]).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    let by_hand = scene.create(scene.application_named("deny-by-hand").project("team").path("hand")).await;
    let words = [BLOCKED, "the deny window '* * * * *' for 1h is open", "until the project is changed"];
    let seen = app.condition("SyncWindowInfo", &words).await;
    assert_eq!(seen["status"]["sync"]["status"], "OutOfSync");
    assert!(seen["status"]["operationState"].is_null());
    // What somebody asks for is accepted, and waits.
    by_hand.ask(json!({})).await;
    let waits = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["message"].as_str().is_some_and(|message| message.starts_with(BLOCKED))
    };
    let seen = by_hand.until("Running, and blocked", waits).await;
    assert!(!seen["operation"].is_null() && seen["status"]["operationState"]["finishedAt"].is_null());
    // It can be ended, and asked for again.
    by_hand.patch(&json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    let seen = by_hand.operated("Failed").await;
    assert_eq!(seen["status"]["operationState"]["message"], "Operation terminated");
    by_hand.ask(json!({})).await;
    by_hand.until("Running, and blocked", waits).await;
    assert!(scene.object("configmaps", "config").await.is_none());

    amend(&scene, "team", json!({"syncWindows": null})).await;
    app.synced(&first).await;
    app.without_condition("SyncWindowInfo").await;
    by_hand.operated("Succeeded").await;

    // Neither a commit nor what somebody changes by hand moves anything while it is there.
    amend(&scene, "team", json!({"syncWindows": [for_all(deny(json!({})))]})).await;
    scene.edit("configmaps", "config", &json!({"data": {"a": "by hand"}})).await;
    app.condition("SyncWindowInfo", &words).await;
    let second = scene.put("app/other.yaml", &config_map("other", &[("a", "1")]));
    app.until("the commit to be seen", |app| app["status"]["sync"]["revision"] == second.as_str()).await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "by hand");
    assert!(scene.object("configmaps", "other").await.is_none());
    amend(&scene, "team", json!({"syncWindows": null})).await;
    app.synced(&second).await;
    scene.until_value("configmaps", "config", "/data/a", "1").await;
}

#[tokio::test]
async fn who_asks_may_pass_where_the_window_says_so() {
    let (scene, _controller) = scene("manual").await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    team(&scene, &[deny(json!({"manualSync": true}))]).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.condition("SyncWindowInfo", &[BLOCKED]).await;
    app.ask(json!({})).await;
    app.operated("Succeeded").await;
    scene.expect("configmaps", "config").await;
}

#[tokio::test]
async fn the_end_of_a_window_wakes_what_waits_for_it() {
    let (scene, _controller) = scene("ends").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    // It began with this minute, and ends in a few seconds.
    let now = Timestamp::now();
    let zoned = now.to_zoned(TimeZone::UTC);
    let began = zoned.timestamp() - SignedDuration::from_secs(i64::from(zoned.second()));
    let end = now.round(Unit::Second).unwrap() + SignedDuration::from_secs(8);
    let seconds = end.duration_since(began).as_secs();
    let schedule = format!("{} {} * * *", zoned.minute(), zoned.hour());
    team(&scene, &[deny(json!({"schedule": schedule, "duration": format!("{seconds}s")}))]).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.condition("SyncWindowInfo", &[BLOCKED, &schedule, " since ", "; no sync until "]).await;
    app.synced(&commit).await;
    let made = scene.expect("configmaps", "config").await["metadata"]["creationTimestamp"].as_str().unwrap().to_owned();
    let made: Timestamp = made.parse().unwrap();
    assert!(made + SignedDuration::from_secs(1) >= end, "made at {made}, though the window ends at {end}");
    app.without_condition("SyncWindowInfo").await;
}

#[tokio::test]
async fn a_window_that_is_wrong_forbids_and_says_so() {
    let (scene, _controller) = scene("wrong").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    team(&scene, &[deny(json!({"schedule": "0 99 * * *"}))]).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    let wrong = ["spec.syncWindows of project 'team'", "'0 99 * * *' for 1h is wrong", "'99' is no hour"];
    app.condition("ComparisonWarning", &wrong).await;
    app.condition("SyncWindowInfo", &[BLOCKED, "'99' is no hour"]).await;
    assert!(scene.object("configmaps", "config").await.is_none());
    amend(&scene, "team", json!({"syncWindows": [for_all(deny(json!({"schedule": "0 0 30 2 *"})))]})).await;
    app.synced(&commit).await;
    app.without_condition("ComparisonWarning").await;
}
