//! The first sync of an application, and everything that is told about it.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;
use trueup_e2e::manifests::secret;
use trueup_e2e::manifests::service;

async fn synced_scene(name: &str) -> (Scene<'static>, String, Value) {
    let scene = Scene::shared(name).await;
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("colour", "blue")]))),
        ("app/secret.yaml", Some(&secret("secret", &[("word", "open sesame")]))),
        ("app/web.yaml", Some(&format!("{}---\n{}", deployment("web", 2, "blue"), service("web")))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let app = app.healthy(&commit).await;
    (scene, commit, app)
}

#[tokio::test]
async fn the_objects_of_a_directory_are_made_and_tracked() {
    let (scene, ..) = synced_scene("first-objects").await;
    let tracked = |object: &Value| object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].clone();
    let config = scene.expect("configmaps", "config").await;
    assert_eq!(config["data"], json!({"colour": "blue"}));
    assert_eq!(tracked(&config), "first-objects:/ConfigMap:t-first-objects/config");
    let web = scene.expect("deployments", "web").await;
    assert_eq!(tracked(&web), "first-objects:apps/Deployment:t-first-objects/web");
    assert_eq!(web["status"]["availableReplicas"], 2);
    let secret = scene.expect("secrets", "secret").await;
    assert_eq!(secret["data"], json!({"word": "b3BlbiBzZXNhbWU="}));
    scene.expect("services", "web").await;
    // The namespace is made, but is nobody's.
    let namespace = scene.admin.get("/api/v1/namespaces/t-first-objects").await.unwrap();
    assert_eq!(tracked(&namespace), Value::Null);
}

#[tokio::test]
async fn the_status_has_the_shape_that_tools_read() {
    let (scene, commit, app) = synced_scene("first-status").await;
    let (spec, status) = (&app["spec"], &app["status"]);
    assert_eq!(status["sync"]["comparedTo"]["source"], spec["source"], "{status:#}");
    assert_eq!(status["sync"]["comparedTo"]["destination"], spec["destination"]);
    assert_eq!(status["sourceType"], "Directory");
    assert_eq!(status["controllerNamespace"], "argocd");
    assert_eq!(status["summary"]["images"], json!(["registry.example/web:1"]));
    assert_eq!(status["conditions"], Value::Null, "{status:#}");
    assert_eq!(status["drift"]["count"], 0);
    assert!(status["drift"]["baseline"].as_str().is_some_and(|digest| !digest.is_empty()), "{status:#}");
    assert_eq!(status["drift"]["events"], Value::Null, "a first sync is no drift");

    let resource = |group: &str, version: &str, kind: &str, name: &str, healthy: bool| {
        let mut resource =
            json!({"version": version, "kind": kind, "namespace": scene.namespace, "name": name, "status": "Synced"});
        if !group.is_empty() {
            resource["group"] = json!(group);
        }
        if healthy {
            resource["health"] = json!({"status": "Healthy"});
        }
        resource
    };
    let listed = status["resources"].as_array().unwrap();
    let bare: Vec<Value> = listed.iter().map(without_health_details).collect();
    let expected = [
        resource("", "v1", "ConfigMap", "config", false),
        resource("", "v1", "Secret", "secret", false),
        resource("", "v1", "Service", "web", true),
        resource("apps", "v1", "Deployment", "web", true),
    ];
    assert_eq!(bare, expected, "{status:#}");

    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["id"], 0);
    assert_eq!(history[0]["revision"], commit);
    assert_eq!(history[0]["source"], spec["source"]);
    assert_eq!(history[0]["initiatedBy"], json!({"automated": true}));
    assert!(time(&history[0]["deployStartedAt"]) <= time(&history[0]["deployedAt"]));
}

/// The message of a health, and when it began, are not what this is about.
fn without_health_details(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(health) = resource.get_mut("health").and_then(Value::as_object_mut) {
        health.retain(|field, _| field == "status");
    }
    resource
}

#[tokio::test]
async fn the_operation_is_told_as_the_command_line_of_argo_cd_waits_for_it() {
    let (_, commit, app) = synced_scene("first-operation").await;
    let status = &app["status"];
    let state = &status["operationState"];
    assert_eq!(app["operation"], Value::Null);
    assert_eq!(state["phase"], "Succeeded");
    assert_eq!(state["message"], "successfully synced (all tasks run)");
    assert_eq!(state["operation"]["initiatedBy"], json!({"automated": true}));
    assert_eq!(state["operation"]["sync"]["revision"], commit);
    assert_eq!(state["syncResult"]["revision"], commit);
    assert_eq!(state["syncResult"]["source"], app["spec"]["source"], "{state:#}");
    let results = state["syncResult"]["resources"].as_array().unwrap();
    let mut kinds: Vec<&str> = results.iter().filter_map(|result| result["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "Secret", "Service"], "{state:#}");
    for result in results {
        assert_eq!(result["status"], "Synced", "{result:#}");
        assert_eq!(result["syncPhase"], "Sync", "{result:#}");
        assert!(result["message"].as_str().is_some_and(|message| message.ends_with("created")), "{result:#}");
    }
    assert!(time(&state["startedAt"]) <= time(&state["finishedAt"]));
    assert!(time(&state["finishedAt"]) <= time(&status["reconciledAt"]), "{status:#}");
}

/// Times of one form and zone are ordered as texts.
fn time(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default().to_owned();
    assert!(text.len() == 20 && text.ends_with('Z'), "{value} is no time as Kubernetes writes it");
    text
}

#[tokio::test]
async fn kubectl_shows_where_it_stands() {
    let (scene, commit, _) = synced_scene("first-columns").await;
    let columns = |text: &str| {
        text.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let table = kubectl(&scene.world.control_plane, "get applications first-columns -n argocd").await;
    let lines: Vec<Vec<String>> = table.lines().map(columns).collect();
    assert_eq!(lines[0], ["NAME", "SYNC STATUS", "HEALTH STATUS", "DRIFT", "AGE"], "{table}");
    assert_eq!(lines[1][..4], ["first-columns", "Synced", "Healthy", "0"], "{table}");
    let table = kubectl(&scene.world.control_plane, "get applications first-columns -n argocd -o wide").await;
    let lines: Vec<Vec<String>> = table.lines().map(columns).collect();
    assert_eq!(lines[0][5..], ["REVISION", "PROJECT"], "{table}");
    assert_eq!(lines[1][5..], [commit.as_str(), "default"], "{table}");
}

#[tokio::test]
async fn two_events_tell_of_it() {
    let (scene, commit, _) = synced_scene("first-events").await;
    scene.until_event("first-events", &["OperationStarted", &commit]).await;
    scene.until_event("first-events", &["OperationCompleted", "succeeded"]).await;
    let events = scene.events("first-events").await;
    assert_eq!(events.len(), 2, "{events:?}");
}

#[tokio::test]
async fn without_automation_nothing_is_made() {
    let scene = Scene::shared("first-manual").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application()).await;
    let seen = app.sync_status("OutOfSync").await;
    let status = &seen["status"];
    assert_eq!(status["sync"]["revision"], commit);
    assert_eq!(status["health"]["status"], "Missing", "{status:#}");
    assert_eq!(status["operationState"], Value::Null);
    assert_eq!(status["drift"]["count"], 0, "what was never synced has not drifted: {status:#}");
    // It has looked, and looks again: still nothing is made.
    app.refresh("normal").await;
    assert!(scene.admin.get("/api/v1/namespaces/t-first-manual").await.is_none());
}
