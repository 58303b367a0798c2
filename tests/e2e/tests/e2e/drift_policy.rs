//! `trueup.dev/drift-policy: report`: what drifts is told and left, and what Git says still comes.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

const POLICY: &str = "trueup.dev/drift-policy";

fn outcome(app: &Value, name: &str) -> String {
    let events = app["status"]["drift"]["events"].as_array().cloned().unwrap_or_default();
    let event = events.iter().find(|event| event["name"] == name);
    event.and_then(|event| event["outcome"].as_str()).unwrap_or_default().to_owned()
}

async fn became(app: &App, name: &str, wanted: &str) -> Value {
    app.until(&format!("{name} {wanted}"), |app| outcome(app, name) == wanted).await
}

async fn set_policy(app: &App, policy: Option<&str>) {
    app.patch(&json!({"metadata": {"annotations": {POLICY: policy}}})).await;
}

fn map(name: &str, colour: &str) -> String {
    config_map(name, &[("colour", colour)])
}

#[tokio::test]
async fn what_drifts_is_reported_while_new_commits_come() {
    let scene = Scene::shared("policy-report").await;
    let red = json!({"data": {"colour": "red"}});
    let commit = scene.commit(&[("app/a.yaml", Some(&map("a", "blue"))), ("app/b.yaml", Some(&map("b", "blue")))]);
    let app = scene.create(scene.application().automated(true, true).annotation(POLICY, "report")).await;
    app.synced(&commit).await;
    scene.edit("configmaps", "a", &red).await;
    let seen = became(&app, "a", "reported").await;
    assert_eq!(
        (&seen["status"]["sync"]["status"], &seen["status"]["drift"]["count"]),
        (&json!("OutOfSync"), &json!(1))
    );
    let since = seen["status"]["drift"]["since"].clone();

    // A commit that leaves the object alone is synced, and the drift stays as it is.
    let commit = scene.put("app/b.yaml", &map("b", "green"));
    scene.until_value("configmaps", "b", "/data/colour", "green").await;
    let is_next = |app: &Value| {
        app["status"]["operationState"]["phase"] == "Succeeded"
            && app["status"]["operationState"]["syncResult"]["revision"] == commit
    };
    let seen = app.until("the next sync", is_next).await;
    assert_eq!(scene.expect("configmaps", "a").await["data"]["colour"], "red");
    assert_eq!((&seen["status"]["drift"]["count"], &seen["status"]["drift"]["since"]), (&json!(1), &since));
    assert_eq!(outcome(&seen, "a"), "reported");

    // One that changes the object itself wins.
    let commit = scene.put("app/a.yaml", &map("a", "yellow"));
    scene.until_value("configmaps", "a", "/data/colour", "yellow").await;
    app.synced(&commit).await;
    became(&app, "a", "overwritten").await;

    // What somebody deleted stays away, too, until somebody asks for it.
    scene.somebody.delete(&scene.path("configmaps", "b")).await;
    app.until("the deletion", |app| outcome(app, "b") == "reported").await;
    let commit = scene.put("app/c.yaml", &map("c", "blue"));
    scene.until_value("configmaps", "c", "/data/colour", "blue").await;
    assert!(scene.object("configmaps", "b").await.is_none());
    let seen = app.until("the sync that leaves it away", |app| app["status"]["sync"]["revision"] == commit).await;
    let events = seen["status"]["drift"]["events"].as_array().unwrap();
    let told = events.iter().find(|event| event["name"] == "b").unwrap();
    assert_eq!((&told["count"], &told["outcome"]), (&json!(1), &json!("reported")), "it was deleted once: {told}");
    app.ask(json!({})).await;
    scene.until_value("configmaps", "b", "/data/colour", "green").await;
    app.synced(&commit).await;

    // Without the annotation it is healed.
    scene.edit("configmaps", "c", &json!({"data": {"colour": "red"}})).await;
    became(&app, "c", "reported").await;
    set_policy(&app, None).await;
    scene.until_value("configmaps", "c", "/data/colour", "blue").await;
    became(&app, "c", "healed").await;
}

#[tokio::test]
async fn one_object_may_be_reported_while_others_are_healed() {
    let scene = Scene::shared("policy-object").await;
    let reported = map("reported", "blue")
        .replace("  name: reported\n", &format!("  name: reported\n  annotations: {{{POLICY}: report}}\n"));
    let commit =
        scene.commit(&[("app/healed.yaml", Some(&map("healed", "blue"))), ("app/reported.yaml", Some(&reported))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    for name in ["reported", "healed"] {
        scene.edit("configmaps", name, &json!({"data": {"colour": "red"}})).await;
    }
    became(&app, "healed", "healed").await;
    let seen = became(&app, "reported", "reported").await;
    assert_eq!(seen["status"]["drift"]["count"], 1);
    assert_eq!(scene.expect("configmaps", "healed").await["data"]["colour"], "blue");
    assert_eq!(scene.expect("configmaps", "reported").await["data"]["colour"], "red");
}

#[tokio::test]
async fn a_policy_that_nobody_knows_heals_nothing_and_says_so() {
    let scene = Scene::shared("policy-unknown").await;
    let commit = scene.put("app/a.yaml", &map("a", "blue"));
    let app = scene.create(scene.application().automated(true, true).annotation(POLICY, "repotr")).await;
    app.synced(&commit).await;
    app.condition("ComparisonWarning", &[POLICY, "'repotr'", "'report' or 'heal'"]).await;
    scene.edit("configmaps", "a", &json!({"data": {"colour": "red"}})).await;
    became(&app, "a", "reported").await;
    app.refresh("normal").await;
    assert_eq!(scene.expect("configmaps", "a").await["data"]["colour"], "red");
    set_policy(&app, Some("heal")).await;
    scene.until_value("configmaps", "a", "/data/colour", "blue").await;
    app.without_condition("ComparisonWarning").await;
}
