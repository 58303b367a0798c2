//! `ignoreDifferences` by JSON pointer.

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
