//! Labels and annotations of the destination namespace.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

/// Waits until the namespace of a scene has these labels and annotations, besides those of the server.
async fn until_namespace(scene: &Scene<'_>, labels: Value, annotations: Value) -> Value {
    let path = objects("namespaces", "") + "/" + &scene.namespace;
    trueup_bed::until("the namespace's metadata", trueup_e2e::SLOW, async || {
        let mut namespace = scene.admin.get(&path).await.ok_or_else(|| "no namespace".to_owned())?;
        let metadata = namespace["metadata"].as_object_mut().unwrap();
        let mut found = metadata.get("labels").cloned().unwrap_or_default();
        found.as_object_mut().map(|labels| labels.remove("kubernetes.io/metadata.name"));
        let noted = metadata.get("annotations").cloned().unwrap_or(Value::Null);
        if found == labels && noted == annotations {
            Ok(namespace)
        } else {
            Err(format!("{found} {noted}; {}", scene.app(&scene.name).brief().await))
        }
    })
    .await
    .unwrap()
}

fn managed(labels: &Value, annotations: &Value) -> Value {
    json!({"spec": {"syncPolicy": {"managedNamespaceMetadata": {"labels": labels, "annotations": annotations}}}})
}

#[tokio::test]
async fn the_namespace_has_the_metadata_that_it_is_to_have_and_keeps_what_is_others() {
    let scene = Scene::shared("options-namespace").await;
    let commit = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let wanted = json!({"labels": {"team": "blue", "old": "1"}, "annotations": {"example.com/note": "one"}});
    let built =
        scene.application().automated(true, true).set("/spec/syncPolicy", "managedNamespaceMetadata", wanted.clone());
    let app = scene.create(built).await;
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["operationState"]["syncResult"]["managedNamespaceMetadata"], wanted);
    let made = until_namespace(&scene, json!({"team": "blue", "old": "1"}), json!({"example.com/note": "one"})).await;
    // What others set stays; what they change of ours is put back, without a commit.
    scene.edit_namespace(&json!({"metadata": {"labels": {"theirs": "1", "team": "red"}}})).await;
    until_namespace(&scene, json!({"team": "blue", "old": "1", "theirs": "1"}), json!({"example.com/note": "one"}))
        .await;
    // The specification moves: a key changes, one comes, one goes.
    app.patch(&managed(
        &json!({"team": "green", "old": null}),
        &json!({"example.com/note": null, "example.com/new": "1"}),
    ))
    .await;
    until_namespace(&scene, json!({"team": "green", "theirs": "1"}), json!({"example.com/new": "1"})).await;
    app.synced(&commit).await;
    // It goes altogether, and the namespace stays.
    app.patch(&json!({"spec": {"syncPolicy": {"managedNamespaceMetadata": null}}})).await;
    let left = until_namespace(&scene, json!({"theirs": "1"}), Value::Null).await;
    app.synced(&commit).await;
    assert_eq!(left["metadata"]["uid"], made["metadata"]["uid"]);
}

#[tokio::test]
async fn a_namespace_that_differs_is_told_where_nothing_heals() {
    let scene = Scene::shared("options-namespace-told").await;
    let commit = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let wanted = json!({"labels": {"team": "blue"}});
    let built = scene.application().automated(true, false).set("/spec/syncPolicy", "managedNamespaceMetadata", wanted);
    let app = scene.create(built).await;
    app.synced(&commit).await;
    scene.edit_namespace(&json!({"metadata": {"labels": {"team": "red"}}})).await;
    app.sync_status("OutOfSync").await;
    app.condition("ComparisonWarning", &[&scene.namespace, "managedNamespaceMetadata", ".metadata.labels[team]"]).await;
    app.ask(json!({"revision": commit})).await;
    until_namespace(&scene, json!({"team": "blue"}), Value::Null).await;
    app.synced(&commit).await;
    app.without_condition("ComparisonWarning").await;
}
