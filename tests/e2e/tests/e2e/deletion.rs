//! What becomes of the objects when their Application is deleted.

use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;
use trueup_e2e::objects;

async fn synced(name: &str, finalizer: Option<&str>) -> (Scene<'static>, App) {
    let scene = Scene::shared(name).await;
    let by_option = annotated("kept-by-option", &[("argocd.argoproj.io/sync-options", "Delete=false")]);
    let by_helm = annotated("kept-by-helm", &[("helm.sh/resource-policy", "keep")]);
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
        ("app/option.yaml", Some(&by_option)),
        ("app/helm.yaml", Some(&by_helm)),
    ]);
    let mut built = scene.application().automated(true, true);
    if let Some(finalizer) = finalizer {
        built = built.set("/metadata", "finalizers", json!([finalizer]));
    }
    let app = scene.create(built).await;
    app.healthy(&commit).await;
    (scene, app)
}

/// Objects that are none of the application's: one without a tracking id, one of another application that exists, and
/// one whose tracking id was copied with the rest.
async fn strangers(scene: &Scene<'_>) {
    let other = format!("{}-other", scene.name);
    let commit = scene.put("other/theirs.yaml", &config_map("theirs", &[("a", "1")]));
    let app = scene.create(scene.application_named(&other).path("other").automated(true, true)).await;
    app.synced(&commit).await;
    let copied = format!("{}:/ConfigMap:{}/config", scene.name, scene.namespace);
    for object in [
        json!({"metadata": {"name": "foreign"}, "data": {"a": "1"}}),
        json!({"metadata": {"name": "copied", "annotations": {"argocd.argoproj.io/tracking-id": copied}}}),
    ] {
        scene.somebody.create(&objects("configmaps", &scene.namespace), &object).await;
    }
}

#[tokio::test]
async fn without_the_finalizer_everything_stays() {
    let (scene, app) = synced("delete-plain", None).await;
    app.delete().await;
    app.gone().await;
    // The controller has seen that it is gone once another application takes over what it had.
    let commit = scene.put("heir/config.yaml", &config_map("config", &[("a", "2")]));
    let heir = scene.create(scene.application_named("delete-plain-heir").path("heir").automated(true, true)).await;
    heir.synced(&commit).await;
    for (plural, name) in [("configmaps", "config"), ("deployments", "web"), ("configmaps", "kept-by-option")] {
        assert!(scene.expect(plural, name).await["metadata"]["deletionTimestamp"].is_null());
    }
}

#[tokio::test]
async fn with_the_finalizer_what_is_its_own_goes_and_nothing_else() {
    for (name, finalizer) in [
        ("delete-cascade", "resources-finalizer.argocd.argoproj.io"),
        ("delete-background", "resources-finalizer.argocd.argoproj.io/background"),
        ("delete-foreground", "resources-finalizer.argocd.argoproj.io/foreground"),
    ] {
        let (scene, app) = synced(name, Some(finalizer)).await;
        strangers(&scene).await;
        app.delete().await;
        app.gone().await;
        assert!(scene.object("configmaps", "config").await.is_none());
        // In the background its dependents go later, itself at once.
        assert!(scene.object("deployments", "web").await.is_none());
        for kept in ["kept-by-option", "kept-by-helm", "foreign", "copied", "theirs"] {
            let object = scene.expect("configmaps", kept).await;
            assert!(object["metadata"]["deletionTimestamp"].is_null(), "{kept}");
        }
        assert!(scene.admin.get(&format!("/api/v1/namespaces/{}", scene.namespace)).await.is_some());
    }
}

#[tokio::test]
async fn the_finalizer_of_a_broken_application_still_does_its_work() {
    let (scene, app) = synced("delete-broken", Some("resources-finalizer.argocd.argoproj.io")).await;
    app.patch(&json!({"spec": {"source": {"repoURL": format!("{}-gone", scene.repository.url())}}})).await;
    app.condition("ComparisonError", &[]).await;
    app.delete().await;
    app.gone().await;
    assert!(scene.object("configmaps", "config").await.is_none());
    scene.expect("configmaps", "kept-by-option").await;
}

#[tokio::test]
async fn nothing_is_left_behind_where_the_destination_is_unknown() {
    let (scene, app) = synced("delete-elsewhere", Some("resources-finalizer.argocd.argoproj.io")).await;
    let destination = |server: &str| json!({"spec": {"destination": {"server": server}}});
    app.patch(&destination("https://elsewhere.example")).await;
    app.condition("InvalidSpecError", &["elsewhere.example"]).await;
    app.delete().await;
    app.condition("DeletionError", &["the destination is not this cluster", "remove the finalizer"]).await;
    assert!(scene.expect("configmaps", "config").await["metadata"]["deletionTimestamp"].is_null());
    app.patch(&destination("https://kubernetes.default.svc")).await;
    app.gone().await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn what_cannot_go_is_told_and_waited_for() {
    let (scene, app) = synced("delete-stuck", Some("resources-finalizer.argocd.argoproj.io")).await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    scene.edit("configmaps", "config", &hold).await;
    app.delete().await;
    scene.until_gone("deployments", "web").await;
    let seen = app.get().await;
    assert_eq!(seen["metadata"]["finalizers"], json!(["resources-finalizer.argocd.argoproj.io"]));
    scene.edit("configmaps", "config", &json!({"metadata": {"finalizers": null}})).await;
    app.gone().await;
}

/// A ConfigMap of a wave.
fn of_wave(name: &str, wave: &str) -> String {
    annotated(name, &[("argocd.argoproj.io/sync-wave", wave)])
}

#[tokio::test]
async fn waves_go_from_the_highest_to_the_lowest_each_gone_before_the_next() {
    let scene = Scene::shared("delete-waves").await;
    let commit = scene.commit(&[
        ("app/base.yaml", Some(&of_wave("base", "-3"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
        ("app/last.yaml", Some(&of_wave("last", "7"))),
        ("app/last-too.yaml", Some(&of_wave("last-too", "7"))),
    ]);
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    app.healthy(&commit).await;
    scene.edit("configmaps", "last", &json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    app.delete().await;
    scene.until_gone("configmaps", "last-too").await;
    app.condition("DeletionError", &["waiting for objects of wave 7 to go", "last", "example.com/hold"]).await;
    for (plural, name) in [("deployments", "web"), ("configmaps", "config"), ("configmaps", "base")] {
        assert!(scene.expect(plural, name).await["metadata"]["deletionTimestamp"].is_null(), "{name}");
    }
    scene.edit("configmaps", "last", &json!({"metadata": {"finalizers": null}})).await;
    app.gone().await;
    let requests = audit.since(mark).await.unwrap().by("trueup");
    let deletions = requests.filtered(|request| request.verb == "delete" && request.namespace == scene.namespace);
    // A second one may have come before the first was seen.
    let deletions = deletions.filtered(|request| request.code == 200);
    let mut order: Vec<&str> = deletions.iter().map(|request| request.name.as_str()).collect();
    order[..2].sort_unstable();
    assert_eq!(order, ["last", "last-too", "web", "config", "base"]);
}
