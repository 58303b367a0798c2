//! While Argo CD's own controller runs, nothing is written.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::until;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

#[tokio::test]
async fn a_running_argo_cd_controller_stops_all_writes_until_it_is_scaled_to_zero() {
    let control = "t-rival-argocd";
    let scene = Scene::new(World::shared(), "rival", control).await;
    let labels = json!({"app.kubernetes.io/name": "argocd-application-controller"});
    let rival = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "argocd-application-controller", "labels": labels},
        "spec": {
            "replicas": 1, "serviceName": "x", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "registry.example/c:1"}]}},
        },
    });
    scene.admin.create(&objects("statefulsets", control), &rival).await;
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let controller = scene.world.controller(&controller_options(control)).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    scene.until_event("rival", &["CompareOnly", "argocd-application-controller", "scale it to 0"]).await;
    until("the metric", SLOW, async || {
        let value = controller.metric("trueup_compare_only").await.map_err(|error| error.to_string())?;
        if value == Some(1.0) { Ok(()) } else { Err(format!("{value:?}")) }
    })
    .await
    .unwrap();
    // Whatever is asked for meanwhile waits too.
    let asked =
        json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}, "operation": {"sync": {}}});
    app.patch(&asked).await;
    let later = scene.create(scene.application_named("rival-later").path("later").automated(true, true)).await;
    scene.until_event("rival-later", &["CompareOnly"]).await;
    for app in [&app, &later] {
        assert_eq!(app.get().await["status"], Value::Null, "{}", app.brief().await);
    }
    assert!(app.get().await["operation"].is_object());
    assert!(scene.object("configmaps", "config").await.is_none());
    let written = audit.since(mark).await.unwrap().by("trueup").writes();
    let ours = written.filtered(|request| {
        request.resource != "events" && (request.namespace == control || request.namespace == scene.namespace)
    });
    assert!(ours.is_empty(), "{ours:?}");

    let path = format!("{}/argocd-application-controller", objects("statefulsets", control));
    scene.admin.merge(&path, "kubectl", &json!({"spec": {"replicas": 0}})).await;
    app.synced(&commit).await;
    scene.expect("configmaps", "config").await;
    assert_eq!(controller.metric("trueup_compare_only").await.unwrap(), Some(0.0));
}

#[tokio::test]
async fn a_write_by_an_argo_cd_controller_from_elsewhere_stops_all_writes_too() {
    let control = "t-rival-writes-argocd";
    let scene = Scene::new(World::shared(), "rival-writes", control).await;
    let _controller = scene.world.controller(&controller_options(control)).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let touched = json!({"status": {"observedAt": "2026-01-01T00:00:00Z"}});
    scene.somebody.merge(app.path(), "argocd-application-controller", &touched).await;
    scene.until_event("rival-writes", &["CompareOnly", "argocd-application-controller"]).await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    // Whoever comes now is told the same, after it has been looked at: nothing is synced, no status is written.
    let later = scene.create(scene.application_named("rival-writes-later").automated(true, true)).await;
    scene.until_event("rival-writes-later", &["CompareOnly"]).await;
    assert_eq!(later.get().await["status"], Value::Null);
    assert_eq!(app.get().await["status"]["sync"]["revision"], first);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
}
