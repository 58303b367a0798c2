//! A kind and its objects in one application.

use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

fn definition(plural: &str, kind: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.e2e.example}}\n\
         spec:\n  group: e2e.example\n  scope: Namespaced\n  names: {{kind: {kind}, plural: {plural}}}\n  versions:\n\
         \x20   - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema:\n\
         \x20         type: object\n          properties: {{spec: {{type: object, properties: {{size: {{type: string}}, level: {{type: integer, default: 1}}}}}}}}\n"
    )
}

fn object(kind: &str, name: &str, size: &str) -> String {
    format!("apiVersion: e2e.example/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{size: \"{size}\"}}\n")
}

#[tokio::test]
async fn a_kind_and_its_objects_arrive_together() {
    let scene = Scene::shared("crd-both").await;
    // The objects come first, by name of file.
    let first = scene.commit(&[
        ("app/a.yaml", Some(&object("Widget", "one", "1000m"))),
        ("app/b.yaml", Some(&object("Widget", "two", "2"))),
        ("app/z.yaml", Some(&definition("widgets", "Widget"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let seen = app.healthy(&first).await;
    assert_eq!(seen["status"]["resources"].as_array().unwrap().len(), 3);
    assert_eq!(
        seen["status"]["operationState"]["retryCount"],
        serde_json::Value::Null,
        "{:#}",
        seen["status"]["operationState"]
    );
    let path = |name: &str| format!("{}/{name}", objects("widgets.e2e.example/v1", &scene.namespace));
    let one = scene.admin.get(&path("one")).await.unwrap();
    assert_eq!(one["spec"], json!({"size": "1000m", "level": 1}));
    // A custom resource knows no quantities: this is another value.
    scene.somebody.merge(&path("one"), "kubectl-edit", &json!({"spec": {"size": "1"}})).await;
    trueup_bed::until("the healing", trueup_e2e::SLOW, async || {
        let live = scene.admin.get(&path("one")).await.unwrap();
        if live["spec"]["size"] == "1000m" { Ok(()) } else { Err(app.brief().await) }
    })
    .await
    .unwrap();
    let second = scene.commit(&[("app/b.yaml", None)]);
    trueup_bed::until("the prune", trueup_e2e::SLOW, async || match scene.admin.get(&path("two")).await {
        None => Ok(()),
        Some(_) => Err(app.brief().await),
    })
    .await
    .unwrap();
    app.synced(&second).await;
}

#[tokio::test]
async fn the_end_of_an_application_leaves_its_kinds() {
    let scene = Scene::shared("crd-stays").await;
    let commit = scene.commit(&[
        ("app/a.yaml", Some(&object("Gadget", "one", "1"))),
        ("app/z.yaml", Some(&definition("gadgets", "Gadget"))),
    ]);
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    app.healthy(&commit).await;
    app.delete().await;
    app.gone().await;
    let path = format!("{}/one", objects("gadgets.e2e.example/v1", &scene.namespace));
    assert!(scene.admin.get(&path).await.is_none());
    let definition = format!("{}/gadgets.e2e.example", objects("customresourcedefinitions", ""));
    assert!(scene.admin.get(&definition).await.is_some());
}

#[tokio::test]
async fn an_object_whose_kind_comes_later_arrives_then() {
    let scene = Scene::shared("crd-later").await;
    let commit = scene.commit(&[
        ("app/a.yaml", Some(&object("Gizmo", "one", "1"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.until("a word about the kind", |app| app["status"]["operationState"]["message"].to_string().contains("Gizmo"))
        .await;
    scene.world.control_plane.apply(&definition("gizmos", "Gizmo")).await.unwrap();
    app.healthy(&commit).await;
    let path = format!("{}/one", objects("gizmos.e2e.example/v1", &scene.namespace));
    assert!(scene.admin.get(&path).await.is_some());
}
