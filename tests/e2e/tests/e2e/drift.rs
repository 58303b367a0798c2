//! What is changed in the cluster and not in Git: told, with who did it, and brought back where that is wanted.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

fn events(app: &Value) -> Vec<Value> {
    app["status"]["drift"]["events"].as_array().cloned().unwrap_or_default()
}

fn event_about<'a>(events: &'a [Value], name: &str) -> Option<&'a Value> {
    events.iter().find(|event| event["name"] == name)
}

#[tokio::test]
async fn a_change_by_hand_is_healed_and_the_culprit_named() {
    let scene = Scene::shared("drift-healed").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue"), ("size", "1")]));
    let app = scene.create(scene.application().automated(false, true)).await;
    app.synced(&commit).await;
    let uid = scene.uid("configmaps", "config").await;
    let patch = r#"{"data":{"colour":"red"}}"#;
    let by_hand = [
        "patch",
        "configmap",
        "config",
        "-n",
        &scene.namespace,
        "--type=merge",
        "--field-manager=kubectl-edit",
        "-p",
        patch,
    ];
    kubectl_with_input(&scene.world.control_plane, &by_hand, "").await;
    scene.until_value("configmaps", "config", "/data/colour", "blue").await;
    let seen = app
        .until("the healed drift", |app| event_about(&events(app), "config").is_some_and(|e| e["outcome"] == "healed"))
        .await;
    let events = events(&seen);
    let event = event_about(&events, "config").unwrap();
    assert_eq!(event["manager"], "kubectl-edit", "{event:#}");
    assert_eq!(event["operation"], "Update");
    assert_eq!((&event["kind"], &event["namespace"]), (&json!("ConfigMap"), &json!(scene.namespace)));
    assert_eq!(event["fields"].as_array().unwrap().len(), 1, "{event:#}");
    assert_eq!(event["fields"][0]["path"], ".data.colour");
    assert!(event["fields"][0]["git"].as_str().unwrap().contains("blue"), "{event:#}");
    assert!(event["fields"][0]["live"].as_str().unwrap().contains("red"), "{event:#}");
    assert_eq!(event["count"], 1);
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["drift"]["count"], 0);
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 1, "healing is no deployment");
    assert_eq!(scene.uid("configmaps", "config").await, uid);
    scene.until_event("drift-healed", &["DriftDetected", "config", "kubectl-edit", ".data.colour"]).await;
    scene.until_event("drift-healed", &["DriftHealed", "config"]).await;
}

#[tokio::test]
async fn without_self_heal_a_change_by_hand_is_reported_and_stays() {
    let scene = Scene::shared("drift-reported").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue")]));
    let app = scene.create(scene.application().automated(true, false)).await;
    app.synced(&commit).await;
    scene.edit("configmaps", "config", &json!({"data": {"colour": "red"}})).await;
    let seen = app.sync_status("OutOfSync").await;
    assert_eq!(seen["status"]["drift"]["count"], 1);
    assert!(seen["status"]["drift"]["since"].is_string());
    let events = events(&seen);
    let event = event_about(&events, "config").unwrap_or_else(|| panic!("{:#}", seen["status"]));
    assert_eq!((&event["manager"], &event["outcome"]), (&json!("kubectl-edit"), &json!("detected")));
    assert_eq!(seen["status"]["resources"][0]["status"], "OutOfSync");
    scene.until_event("drift-reported", &["DriftDetected", "config", "kubectl-edit"]).await;
    app.refresh("normal").await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["colour"], "red");
    // Undone by hand, it is in line again, and nobody healed it.
    scene.edit("configmaps", "config", &json!({"data": {"colour": "blue"}})).await;
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["drift"]["count"], 0);
    assert_eq!(seen["status"]["drift"]["since"], Value::Null);
    assert!(scene.events("drift-reported").await.iter().all(|event| !event.contains("DriftHealed")));
}

#[tokio::test]
async fn a_deleted_object_is_restored() {
    let scene = Scene::shared("drift-deleted").await;
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
    ]);
    let app = scene.create(scene.application().automated(false, true)).await;
    app.healthy(&commit).await;
    for (plural, name) in [("configmaps", "config"), ("deployments", "web")] {
        let uid = scene.uid(plural, name).await;
        scene.somebody.delete(&scene.path(plural, name)).await;
        trueup_bed::until(format!("another {name}"), trueup_e2e::SLOW, async || {
            let object = scene.object(plural, name).await.ok_or_else(|| "missing".to_owned())?;
            if object["metadata"]["uid"] == uid { Err("still the old one".to_owned()) } else { Ok(()) }
        })
        .await
        .unwrap();
    }
    let seen = app.healthy(&commit).await;
    assert_eq!(seen["status"]["drift"]["count"], 0);
    let events = events(&seen);
    let event = event_about(&events, "config").unwrap_or_else(|| panic!("{:#}", seen["status"]["drift"]));
    assert_eq!((&event["manager"], &event["outcome"]), (&json!("unknown"), &json!("healed")));
}

#[tokio::test]
async fn a_deleted_namespace_is_made_again_with_what_was_in_it() {
    let scene = Scene::shared("drift-namespace").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(false, true)).await;
    app.synced(&commit).await;
    let uid = scene.uid("configmaps", "config").await;
    scene.somebody.delete("/api/v1/namespaces/t-drift-namespace").await;
    trueup_bed::until("another config", trueup_bed::Deadline::LONG, async || {
        match scene.object("configmaps", "config").await {
            Some(object) if object["metadata"]["uid"] != uid => Ok(()),
            _ => Err(app.brief().await),
        }
    })
    .await
    .unwrap();
    app.synced(&commit).await;
}

#[tokio::test]
async fn what_git_does_not_set_is_left_alone() {
    let scene = Scene::shared("drift-foreign").await;
    let commit = scene.commit(&[
        ("app/a.yaml", Some(&config_map("a", &[("ours", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.healthy(&commit).await;
    let theirs = json!({"data": {"theirs": "2"}, "metadata": {"labels": {"theirs": "2"}}});
    scene.edit("configmaps", "a", &theirs).await;
    scene.edit("deployments", "web", &json!({"spec": {"revisionHistoryLimit": 3}})).await;
    // Both kinds are told in order: when these changes are healed, the earlier ones have been seen.
    scene.edit("configmaps", "a", &json!({"data": {"ours": "9"}})).await;
    scene.edit("deployments", "web", &json!({"spec": {"replicas": 3}})).await;
    scene.until_value("configmaps", "a", "/data/ours", "1").await;
    scene.until_value("deployments", "web", "/spec/replicas", 1).await;
    assert_eq!(scene.expect("configmaps", "a").await["data"]["theirs"], "2");
    assert_eq!(scene.expect("configmaps", "a").await["metadata"]["labels"]["theirs"], "2");
    assert_eq!(scene.expect("deployments", "web").await["spec"]["revisionHistoryLimit"], 3);
    let seen = app.healthy(&commit).await;
    let fields: Vec<String> = events(&seen)
        .iter()
        .flat_map(|event| event["fields"].as_array().cloned().unwrap_or_default())
        .filter_map(|field| field["path"].as_str().map(str::to_owned))
        .collect();
    assert!(fields.iter().all(|path| path == ".data.ours" || path == ".spec.replicas"), "{fields:?}");
}
