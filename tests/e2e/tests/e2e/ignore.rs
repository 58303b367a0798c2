//! `ignoreDifferences` by JSON pointer and by field manager, and objects that are not missed in Git.

use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

#[tokio::test]
async fn what_a_pointer_names_never_counts() {
    let scene = Scene::shared("ignore-pointer").await;
    let a = annotated("a", &[("example.com/note", "1")]).replace("kept: \"yes\"", "loose: \"1\", strict: \"1\"");
    let commit = scene.commit(&[
        ("app/a.yaml", Some(&a)),
        ("app/b.yaml", Some(&config_map("b", &[("loose", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
    ]);
    let rules = json!([
        {"kind": "ConfigMap", "name": "a", "jsonPointers": ["/data/loose", "/metadata/annotations/example.com~1note"]},
        {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]},
    ]);
    let app =
        scene.create(scene.application().automated(true, true).set("/spec", "ignoreDifferences", rules.clone())).await;
    let seen = app.healthy(&commit).await;
    assert_eq!(seen["status"]["sync"]["comparedTo"]["ignoreDifferences"], rules, "{:#}", seen["status"]["sync"]);
    scene
        .edit(
            "configmaps",
            "a",
            &json!({"data": {"loose": "9"}, "metadata": {"annotations": {"example.com/note": "9"}}}),
        )
        .await;
    scene.edit("deployments", "web", &json!({"spec": {"replicas": 3}})).await;
    scene.until_value("deployments", "web", "/status/replicas", 3).await;
    // The rule is for this object only; and a kind's changes are told in order, so the earlier one has been seen.
    scene.edit("configmaps", "b", &json!({"data": {"loose": "9"}})).await;
    scene.until_value("configmaps", "b", "/data/loose", "1").await;
    app.healthy(&commit).await;
    let live = scene.expect("configmaps", "a").await;
    assert_eq!(live["data"], json!({"loose": "9", "strict": "1"}));
    assert_eq!(live["metadata"]["annotations"]["example.com/note"], "9");
    assert_eq!(scene.expect("deployments", "web").await["spec"]["replicas"], 3);
    // As soon as the rules go, it is drift.
    app.patch(&json!({"spec": {"ignoreDifferences": null}})).await;
    scene.until_value("configmaps", "a", "/data/loose", "1").await;
    scene.until_value("deployments", "web", "/spec/replicas", 1).await;
    app.healthy(&commit).await;
}

#[tokio::test]
async fn what_a_named_manager_owns_never_counts() {
    let scene = Scene::shared("ignore-manager").await;
    let commit = scene.commit(&[
        ("app/a.yaml", Some(&config_map("a", &[("loose", "1"), ("strict", "1")]))),
        ("app/b.yaml", Some(&config_map("b", &[("loose", "1")]))),
    ]);
    let rules = json!([{"kind": "ConfigMap", "name": "a", "managedFieldsManagers": ["injector"]}]);
    let app = scene.create(scene.application().automated(true, true).set("/spec", "ignoreDifferences", rules)).await;
    app.healthy(&commit).await;
    let change = |key: &str| json!({"data": {key: "9"}});
    let injected = scene.path("configmaps", "a");
    scene.somebody.merge(&injected, "injector", &change("loose")).await;
    // What others change in the same object is drift; so is what the manager changes elsewhere.
    scene.somebody.merge(&scene.path("configmaps", "b"), "injector", &change("loose")).await;
    scene.until_value("configmaps", "b", "/data/loose", "1").await;
    assert_eq!(scene.expect("configmaps", "a").await["data"], json!({"loose": "9", "strict": "1"}));
    app.healthy(&commit).await;
    app.patch(&json!({"spec": {"ignoreDifferences": null}})).await;
    scene.until_value("configmaps", "a", "/data/loose", "1").await;
}

#[tokio::test]
async fn an_extraneous_object_counts_for_nothing_and_stays() {
    let scene = Scene::shared("ignore-extraneous").await;
    let extraneous = annotated("made", &[("argocd.argoproj.io/compare-options", "IgnoreExtraneous")]);
    let first = scene.commit(&[
        ("app/made.yaml", Some(&extraneous)),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let second = scene.commit(&[("app/made.yaml", None), ("app/goes.yaml", None)]);
    scene.until_gone("configmaps", "goes").await;
    let seen = app.synced(&second).await;
    let made = seen["status"]["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == "made");
    assert!(made.is_none_or(|made| made["requiresPruning"].is_null()), "{:#}", seen["status"]["resources"]);
    scene.expect("configmaps", "made").await;
    // It says so itself, so it is an object like any other as soon as it no longer does.
    let plain = json!({"metadata": {"annotations": {"argocd.argoproj.io/compare-options": null}}});
    scene.edit("configmaps", "made", &plain).await;
    scene.until_gone("configmaps", "made").await;
    app.synced(&second).await;
}
