//! What the API server never lets change: what is said of it, and when it is made anew.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

/// A Deployment whose selector is this.
fn deployment(label: &str, template: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {label}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {template}}}}}\n    spec: {{containers: [{{name: web, image: \"registry.example/web:1\"}}]}}\n"
    )
}

fn job(image: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: once}}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
         containers: [{{name: once, image: \"registry.example/{image}\"}}]\n"
    )
}

fn stateful_set(size: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  replicas: 1\n  serviceName: db\n  \
         selector: {{matchLabels: {{app: db}}}}\n  template:\n    metadata: {{labels: {{app: db}}}}\n    \
         spec: {{containers: [{{name: db, image: \"registry.example/db:1\"}}]}}\n  volumeClaimTemplates:\n    - metadata: {{name: data}}\n      \
         spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}}}\n"
    )
}

fn claim(class: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data}}\nspec:\n  storageClassName: {class}\n  \
         accessModes: [ReadWriteOnce]\n  resources: {{requests: {{storage: 1Gi}}}}\n"
    )
}

fn sealed(kind: &str, name: &str, value: &str) -> String {
    let field = if kind == "Secret" { "stringData" } else { "data" };
    format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\nimmutable: true\n{field}: {{key: {value}}}\n")
}

fn message(app: &Value) -> &str {
    app["status"]["operationState"]["message"].as_str().unwrap_or_default()
}

/// Waits until an operation on this commit failed with a message that holds all of these words, in its result if it is long.
async fn refused(app: &App, commit: &str, words: &[&str]) -> Value {
    app.until(&format!("a refusal with {words:?}"), |app| {
        let state = &app["status"]["operationState"];
        let said = format!("{} {}", message(app), state["syncResult"]["resources"]);
        state["syncResult"]["revision"] == commit && words.iter().all(|word| said.contains(word))
    })
    .await
}

#[tokio::test]
async fn a_refused_change_names_the_field_both_values_and_what_would_help() {
    let scene = Scene::shared("immutable-told").await;
    let first = scene.commit(&[
        ("app/web.yaml", Some(&deployment("blue", "blue"))),
        ("app/db.yaml", Some(&stateful_set("1Gi"))),
        ("app/secret.yaml", Some(&sealed("Secret", "sealed", "hunter2"))),
        ("app/claim.yaml", Some(&claim("slow"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let mut uids = Vec::new();
    for (plural, name) in
        [("deployments", "web"), ("statefulsets", "db"), ("secrets", "sealed"), ("persistentvolumeclaims", "data")]
    {
        uids.push((plural, name, scene.uid(plural, name).await));
    }
    let second = scene.commit(&[
        ("app/web.yaml", Some(&deployment("green", "green"))),
        ("app/db.yaml", Some(&stateful_set("2Gi"))),
        ("app/secret.yaml", Some(&sealed("Secret", "sealed", "swordfish"))),
        ("app/claim.yaml", Some(&claim("fast"))),
        ("app/other.yaml", Some(&config_map("other", &[("a", "1")]))),
    ]);
    let seen = refused(
        &app,
        &second,
        &[
            ".spec.selector cannot be changed from",
            "blue",
            "green",
            "Recreate=true",
            ".spec.volumeClaimTemplates cannot be changed from",
            "storageClassName cannot be changed from",
            "slow",
            "its data may go with it",
            "secret/sealed",
        ],
    )
    .await;
    let told = seen["status"].to_string();
    // Neither the words of a Secret nor what they are encoded as.
    for word in ["hunter2", "swordfish", "aHVudGVyMg", "c3dvcmRmaXNo"] {
        assert!(!told.contains(word), "{told}");
    }
    for (plural, name, uid) in uids {
        assert_eq!(scene.uid(plural, name).await, uid, "{plural}");
    }
}

#[tokio::test]
async fn what_may_be_made_anew_is_where_somebody_asks_for_it() {
    let scene = Scene::shared("immutable-anew").await;
    let kept = sealed("ConfigMap", "kept", "one").replace(
        "metadata: {name: kept}",
        "metadata: {name: kept, annotations: {argocd.argoproj.io/sync-options: Prune=false}}",
    );
    let first = scene.commit(&[
        ("app/web.yaml", Some(&deployment("blue", "blue"))),
        ("app/db.yaml", Some(&stateful_set("1Gi"))),
        ("app/once.yaml", Some(&job("one"))),
        ("app/sealed.yaml", Some(&sealed("ConfigMap", "sealed", "one"))),
        ("app/kept.yaml", Some(&kept)),
        ("app/claim.yaml", Some(&claim("slow"))),
    ]);
    let app = scene.create(scene.application().automated(true, true).sync_option("Recreate=true")).await;
    app.synced(&first).await;
    scene.until_value("statefulsets", "db", "/status/replicas", 1).await;
    let pod = scene.uid("pods", "db-0").await;
    let mut anew = Vec::new();
    for (plural, name) in [("deployments", "web"), ("statefulsets", "db"), ("jobs", "once"), ("configmaps", "sealed")] {
        anew.push((plural, name, scene.uid(plural, name).await));
    }
    let (claimed, protected) =
        (scene.uid("persistentvolumeclaims", "data").await, scene.uid("configmaps", "kept").await);
    let second = scene.commit(&[
        ("app/web.yaml", Some(&deployment("green", "green"))),
        ("app/db.yaml", Some(&stateful_set("2Gi"))),
        ("app/once.yaml", Some(&job("two"))),
        ("app/sealed.yaml", Some(&sealed("ConfigMap", "sealed", "two"))),
        ("app/kept.yaml", Some(&kept.replace("one", "two"))),
        ("app/claim.yaml", Some(&claim("fast"))),
    ]);
    // What holds data is not deleted for it, and what says that it stays neither.
    let seen = refused(&app, &second, &["its data may go with it", "because of its own 'Prune=false'"]).await;
    let results = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap().clone();
    for (plural, name, uid) in anew {
        assert_ne!(scene.uid(plural, name).await, uid, "{plural}");
        let result = results.iter().find(|result| result["name"] == name).unwrap();
        assert!(result["message"].as_str().unwrap().ends_with("deleted and created anew"), "{result}");
    }
    assert_eq!(scene.uid("persistentvolumeclaims", "data").await, claimed);
    assert_eq!(scene.uid("configmaps", "kept").await, protected);
    // Its Pod was handed over.
    assert_eq!(scene.uid("pods", "db-0").await, pod);
    let third = scene.commit(&[("app/kept.yaml", Some(&kept)), ("app/claim.yaml", Some(&claim("slow")))]);
    app.synced(&third).await;
}

#[tokio::test]
async fn nothing_is_deleted_for_what_would_not_be_taken() {
    let scene = Scene::shared("immutable-invalid").await;
    let first = scene.put("app/web.yaml", &deployment("blue", "blue"));
    let app = scene.create(scene.application().automated(true, true).sync_option("Recreate=true")).await;
    app.synced(&first).await;
    let uid = scene.uid("deployments", "web").await;
    // It does not select its own Pods.
    let second = scene.put("app/web.yaml", &deployment("green", "red"));
    refused(&app, &second, &["it is not deleted, because it would not be taken as a new object either"]).await;
    assert_eq!(scene.uid("deployments", "web").await, uid);
}

#[tokio::test]
async fn force_makes_anew_what_nobody_knows_and_never_what_holds_data() {
    let scene = Scene::shared("immutable-force").await;
    let service = |address: &str, annotation: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web, annotations: {{argocd.argoproj.io/sync-options: \"{annotation}\"}}}}\n\
             spec: {{{address}selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
        )
    };
    let first = scene
        .commit(&[("app/web.yaml", Some(&service("clusterIP: None, ", ""))), ("app/claim.yaml", Some(&claim("slow")))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let (uid, claimed) = (scene.uid("services", "web").await, scene.uid("persistentvolumeclaims", "data").await);
    let second = scene.put("app/web.yaml", &service("clusterIP: 10.96.77.1, ", ""));
    refused(&app, &second, &[".spec.clusterIP", "Force=true"]).await;
    assert_eq!(scene.uid("services", "web").await, uid);
    let third = scene.put("app/web.yaml", &service("clusterIP: 10.96.77.1, ", "Force=true"));
    app.synced(&third).await;
    let forced = scene.uid("services", "web").await;
    assert_ne!(forced, uid);
    // A sync that somebody asks for may force all, and does not force what holds data.
    let fourth = scene
        .commit(&[("app/web.yaml", Some(&service("clusterIP: None, ", ""))), ("app/claim.yaml", Some(&claim("fast")))]);
    refused(&app, &fourth, &[".spec.clusterIP", "its data may go with it"]).await;
    app.ask(json!({"syncStrategy": {"apply": {"force": true}}})).await;
    app.until("the forced sync", |app| {
        app["status"]["operationState"]["operation"]["sync"]["syncStrategy"]["apply"]["force"] == true
            && app["status"]["operationState"]["phase"] == "Failed"
    })
    .await;
    assert_ne!(scene.uid("services", "web").await, forced);
    assert_eq!(scene.uid("persistentvolumeclaims", "data").await, claimed);
}
