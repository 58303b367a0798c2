//! Sync windows: what they hold up, what is said of it, and what ends it.

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;
use trueup_bed::until;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::waits;
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

fn deny(fields: &Value) -> Value {
    let mut window = json!({"kind": "deny", "schedule": "* * * * *", "duration": "1h"});
    window.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    window
}

/// The schedule and the duration of a window that began with this minute, and when it ends: in so many seconds.
fn ending_in(seconds: i64) -> (String, String, Timestamp) {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let began = now.timestamp().as_second() - i64::from(now.second());
    let end = now.timestamp().as_second() + seconds;
    let schedule = format!("{} {} * * *", now.minute(), now.hour());
    (schedule, format!("{}s", end - began), Timestamp::from_second(end).unwrap())
}

#[tokio::test]
async fn a_deny_window_holds_syncs_and_healing_up_until_it_is_gone() {
    let (scene, _controller) = scene("deny").await;
    let first = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("hand/by-hand.yaml", Some(&config_map("by-hand", &[("a", "1")]))),
    ]);
    team(&scene, &[deny(&json!({}))]).await;
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
    amend(&scene, "team", json!({"syncWindows": [for_all(deny(&json!({})))]})).await;
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
    team(&scene, &[deny(&json!({"manualSync": true}))]).await;
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
    let (schedule, duration, end) = ending_in(8);
    team(&scene, &[deny(&json!({"schedule": schedule, "duration": duration}))]).await;
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
    team(&scene, &[deny(&json!({"schedule": "0 99 * * *"}))]).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    let wrong = ["spec.syncWindows of project 'team'", "'0 99 * * *' for 1h is wrong", "'99' is no hour"];
    app.condition("ComparisonWarning", &wrong).await;
    app.condition("SyncWindowInfo", &[BLOCKED, "'99' is no hour"]).await;
    assert!(scene.object("configmaps", "config").await.is_none());
    amend(&scene, "team", json!({"syncWindows": [for_all(deny(&json!({"schedule": "0 0 30 2 *"})))]})).await;
    app.synced(&commit).await;
    app.without_condition("ComparisonWarning").await;
}

#[tokio::test]
async fn what_is_under_way_waits_between_its_steps_unless_the_window_lets_it_end() {
    let (scene, _controller) = scene("under-way").await;
    let commit = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    // Time enough for the sync to begin, be the machine as busy as it likes.
    let (schedule, duration, end) = ending_in(20);
    let allow = |overrun: bool| {
        for_all(json!({"kind": "allow", "schedule": schedule, "duration": duration, "syncOverrun": overrun}))
    };
    team(&scene, &[allow(false)]).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    let jobs = Jobs(&scene);
    jobs.begun("before").await;
    until("the end of the window", SLOW, async || {
        let left = end.duration_since(Timestamp::now());
        if left.is_negative() { Ok(()) } else { Err(format!("{left} left")) }
    })
    .await
    .unwrap();
    jobs.end("before", true).await;
    waits(&app, &format!("{BLOCKED}: none of its allow windows is open")).await;
    assert!(scene.object("configmaps", "config").await.is_none());
    amend(&scene, "team", json!({"syncWindows": [allow(true)]})).await;
    app.synced(&commit).await;
    scene.expect("configmaps", "config").await;
}
