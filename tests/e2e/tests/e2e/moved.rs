//! An object that moves from one application to another in one commit is never deleted.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ApiResource;
use trueup_bed::Recorder;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

/// Both applications prune and heal: each would take what it thinks is its own.
async fn moves(name: &str, from: &str, to: &str) {
    let scene = Scene::shared(name).await;
    let first = scene.commit(&[
        (&format!("{from}/config.yaml"), Some(&config_map("config", &[("a", "1")]))),
        (&format!("{from}/web.yaml"), Some(&deployment("web", 1, "blue"))),
        (&format!("{from}/own.yaml"), Some(&config_map("own-from", &[("a", "1")]))),
        (&format!("{to}/own.yaml"), Some(&config_map("own-to", &[("a", "1")]))),
    ]);
    let names = [format!("{name}-{from}"), format!("{name}-{to}")];
    let mut apps = Vec::new();
    for (app, path) in names.iter().zip([from, to]) {
        apps.push(scene.create(scene.application_named(app).path(path).automated(true, true)).await);
    }
    for app in &apps {
        app.healthy(&first).await;
    }
    let uids = [scene.uid("configmaps", "config").await, scene.uid("deployments", "web").await];
    let kinds = [ApiResource::erase::<ConfigMap>(&()), ApiResource::erase::<Deployment>(&())];
    let recorder = Recorder::start(scene.admin.client().clone(), &kinds).await.unwrap();
    let second = scene.commit(&[
        (&format!("{from}/config.yaml"), None),
        (&format!("{from}/web.yaml"), None),
        (&format!("{to}/config.yaml"), Some(&config_map("config", &[("a", "1")]))),
        (&format!("{to}/web.yaml"), Some(&deployment("web", 1, "blue"))),
    ]);
    for app in &apps {
        app.healthy(&second).await;
    }
    for (plural, kind, name) in [("configmaps", "ConfigMap", "config"), ("deployments", "Deployment", "web")] {
        let group = if kind == "Deployment" { "apps" } else { "" };
        let id = format!("{}:{group}/{kind}:{}/{name}", names[1], scene.namespace);
        scene.until_value(plural, name, "/metadata/annotations/argocd.argoproj.io~1tracking-id", id).await;
    }
    assert_eq!([scene.uid("configmaps", "config").await, scene.uid("deployments", "web").await], uids);
    recorder.settle().await.unwrap();
    let deleted: Vec<String> = recorder
        .deletions()
        .into_iter()
        .filter(|sighting| sighting.namespace == scene.namespace)
        .map(|sighting| sighting.name)
        .collect();
    assert!(deleted.is_empty(), "{deleted:?}");
    let listed = |app: &serde_json::Value| app["status"]["resources"].as_array().map_or(0, Vec::len);
    apps[0].until("an inventory of one", |app| listed(app) == 1).await;
    apps[1].until("an inventory of three", |app| listed(app) == 3).await;
}

#[tokio::test]
async fn it_keeps_its_identity_on_the_way_there() {
    moves("move-there", "a", "b").await;
}

#[tokio::test]
async fn it_keeps_its_identity_on_the_way_back() {
    moves("move-back", "z", "b").await;
}
