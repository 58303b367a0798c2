//! Somebody changes the same fields after every heal: it backs off, and says who it is and what ends it.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_object::yaml;

/// After three heals the next waits are 18 and 54 s: for so long it must be quiet.
const PEACE: Duration = Duration::from_mins(2);

/// Changes the colour again and again, as often as it makes a fight.
async fn fight(scene: &Scene<'_>) {
    for _ in 0..3 {
        scene.edit("configmaps", "config", &json!({"data": {"colour": "red"}})).await;
        scene.until_value("configmaps", "config", "/data/colour", "blue").await;
    }
}

async fn fought_over(scene: &Scene<'_>) -> App {
    let commit = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue"), ("size", "1")]));
    let app = scene.create(scene.application().automated(false, true)).await;
    app.synced(&commit).await;
    app
}

/// The message of the warning about the fight.
fn message(app: &Value) -> String {
    let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let messages = conditions.iter().filter_map(|condition| condition["message"].as_str());
    messages.filter(|message| message.contains("healing does not last")).collect()
}

#[tokio::test]
async fn it_backs_off_and_the_entry_that_it_prints_ends_it() {
    let scene = Scene::shared("drift-fight").await;
    let app = fought_over(&scene).await;
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    fight(&scene).await;
    let requests = audit.since(mark).await.unwrap().by("trueup").writes();
    let heals = requests.filtered(|request| request.namespace == scene.namespace && request.resource == "configmaps");
    let healed: Vec<i64> = heals.iter().map(|heal| heal.at.unwrap().as_millisecond()).collect();
    assert_eq!(healed.len(), 3, "{heals:?}");
    // The wait counts from before the request is made: what it takes to arrive is let off, not the wait.
    assert!(healed[1] - healed[0] >= 1_000 && healed[2] - healed[1] >= 5_000, "{healed:?}");
    let words = ["ignoreDifferences", "'kubectl-edit'", "/data/colour", "kind: ConfigMap"];
    let seen = app.condition("ComparisonWarning", &words).await;
    let message = message(&seen);
    assert!(!message.contains("/data/size"), "{message}");

    // What it prints is pasted as it is.
    let (_, entry) = message.split_once("ignoreDifferences:\n").unwrap();
    let entry: Value = serde_json::from_str(&yaml::documents(entry.as_bytes()).unwrap()[0].node.to_string()).unwrap();
    scene.edit("configmaps", "config", &json!({"data": {"colour": "red"}})).await;
    app.patch(&json!({"spec": {"ignoreDifferences": entry}})).await;
    let seen = app.without_condition("ComparisonWarning").await;
    assert_eq!(seen["status"]["sync"]["status"], "Synced", "{:#}", seen["status"]);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["colour"], "red");
    let event = &seen["status"]["drift"]["events"][0];
    assert!(event["count"].as_i64().unwrap() >= 3, "{event:#}");
}

#[tokio::test]
async fn a_fight_that_is_given_up_is_forgotten() {
    let scene = Scene::shared("drift-peace").await;
    let app = fought_over(&scene).await;
    fight(&scene).await;
    let seen = app.condition("ComparisonWarning", &["healing does not last", "'kubectl-edit'"]).await;
    assert_eq!(seen["status"]["drift"]["events"][0]["count"], 3, "{:#}", seen["status"]["drift"]);
    // Nobody touches it any more: once it has been quiet for longer than the next wait would be, nothing is said of it.
    let seen = until("peace", PEACE, async || {
        let app = app.get().await;
        if message(&app).is_empty() { Ok(app) } else { Err(message(&app)) }
    });
    let seen = seen.await.unwrap();
    assert_eq!(seen["status"]["sync"]["status"], "Synced");
    assert_eq!(seen["status"]["drift"]["events"][0]["outcome"], "healed");
}
