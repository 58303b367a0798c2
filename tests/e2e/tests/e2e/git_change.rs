//! What changes in Git arrives in the cluster.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

#[tokio::test]
async fn a_commit_arrives() {
    let scene = Scene::shared("git-commit").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue"), ("old", "x")]));
    let app = scene.create(scene.application().automated(false, false)).await;
    app.healthy(&first).await;
    let uid = scene.uid("configmaps", "config").await;
    let second = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("colour", "red"), ("new", "y")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "red"))),
    ]);
    let seen = app.healthy(&second).await;
    let config = scene.expect("configmaps", "config").await;
    assert_eq!(config["data"], json!({"colour": "red", "new": "y"}));
    assert_eq!(config["metadata"]["uid"], uid);
    let status = &seen["status"];
    let revisions: Vec<&Value> = status["history"].as_array().unwrap().iter().map(|entry| &entry["revision"]).collect();
    assert_eq!(revisions, [&json!(first), &json!(second)]);
    assert_eq!(status["history"][1]["id"], 1);
    // Git moved, nobody else did.
    assert_eq!(status["drift"]["count"], 0);
    assert_eq!(status["drift"]["events"], Value::Null, "{status:#}");
    assert!(scene.events("git-commit").await.iter().all(|event| !event.contains("Drift")));
}

#[tokio::test]
async fn a_commit_elsewhere_only_moves_the_revision() {
    let scene = Scene::shared("git-elsewhere").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let version = scene.expect("configmaps", "config").await["metadata"]["resourceVersion"].clone();
    let second = scene.put("elsewhere/readme", "nothing of ours");
    let seen = app.synced(&second).await;
    assert_eq!(seen["status"]["history"].as_array().unwrap().len(), 1);
    assert_eq!(scene.expect("configmaps", "config").await["metadata"]["resourceVersion"], version);
}

#[tokio::test]
async fn another_target_revision_is_followed() {
    let scene = Scene::shared("git-revision").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "main")]));
    let app = scene.create(scene.application().automated(true, false)).await;
    app.synced(&first).await;
    let file = [("app/config.yaml", Some(&*config_map("config", &[("a", "branch")])))];
    let branch = scene.repository.commit_to("feature/x", &file, "on a branch").unwrap();
    let file = [("app/config.yaml", Some(&*config_map("config", &[("a", "tag")])))];
    let tagged = scene.repository.commit_to("other", &file, "to be tagged").unwrap();
    scene.repository.annotated_tag("v1.0.0", &tagged).unwrap();
    let targets = [
        ("feature/x", &branch, "branch"),
        ("v1.0.0", &tagged, "tag"),
        (&*first, &first, "main"),
        ("HEAD", &first, "main"),
    ];
    for (revision, commit, value) in targets {
        app.patch(&json!({"spec": {"source": {"targetRevision": revision}}})).await;
        app.until(revision, |app| app["status"]["sync"]["comparedTo"]["source"]["targetRevision"] == revision).await;
        app.synced(commit).await;
        scene.until_value("configmaps", "config", "/data/a", value).await;
    }
}

#[tokio::test]
async fn a_forced_push_back_is_followed() {
    let scene = Scene::shared("git-force").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, false)).await;
    app.synced(&first).await;
    let second = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "2"), ("b", "2")]))),
        ("app/more.yaml", Some(&config_map("more", &[("a", "2")]))),
    ]);
    app.synced(&second).await;
    scene.repository.branch("main", &first).unwrap();
    app.synced(&first).await;
    assert_eq!(scene.expect("configmaps", "config").await["data"], json!({"a": "1"}));
    scene.until_gone("configmaps", "more").await;
}
