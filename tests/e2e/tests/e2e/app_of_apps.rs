//! Applications that bring Applications: the next wave begins when those of the last are what this commit says.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;

/// A child of a scene's application: it brings the directory of its name.
fn child(scene: &Scene<'_>, name: &str, wave: &str, note: &str) -> String {
    let built = scene.application_named(&format!("{}-{name}", scene.name)).path(name).automated(true, true);
    let built = built.annotation("argocd.argoproj.io/sync-wave", wave).annotation("example.com/note", note);
    built.build().to_string()
}

fn waits_for(app: &Value, words: &[&str]) -> bool {
    let state = &app["status"]["operationState"];
    let message = state["message"].as_str().unwrap_or_default();
    state["phase"] == "Running" && words.iter().all(|word| message.contains(word))
}

#[tokio::test]
async fn the_next_wave_waits_for_children_that_are_what_the_commit_says() {
    let scene = Scene::shared("apps-waves").await;
    let first = scene.commit(&[
        ("app/one.yaml", Some(&child(&scene, "one", "0", "1"))),
        ("app/two.yaml", Some(&child(&scene, "two", "1", "1"))),
        ("one/lb.yaml", Some(LOAD_BALANCER)),
        ("two/config.yaml", Some(&config_map("two", &[("a", "1")]))),
    ]);
    let parent = scene.create(scene.application().automated(true, true)).await;
    let (one, two) = (scene.app("apps-waves-one"), scene.app("apps-waves-two"));
    let message = ["waiting for healthy state of argoproj.io/Application/apps-waves-one"];
    parent.until("the wave that waits", |app| waits_for(app, &message)).await;
    one.until("Progressing", |app| app["status"]["health"]["status"] == "Progressing").await;
    let applications = trueup_e2e::objects("applications", &scene.control);
    assert!(scene.admin.get(&format!("{applications}/apps-waves-two")).await.is_none());
    Balancer(&scene).ready(true).await;
    parent.healthy(&first).await;
    two.healthy(&first).await;

    // A commit that leaves the first child's Application alone and changes what it brings: that comes first.
    let other = LOAD_BALANCER.replace("name: balancer", "name: other");
    let second =
        scene.commit(&[("app/two.yaml", Some(&child(&scene, "two", "1", "2"))), ("one/other.yaml", Some(&other))]);
    parent.until("the wave that waits", |app| waits_for(app, &message)).await;
    one.until("Progressing at the second commit", |app| {
        app["status"]["health"]["status"] == "Progressing" && app["status"]["sync"]["revision"] == second
    })
    .await;
    let note = |app: &Value| app["metadata"]["annotations"]["example.com/note"].clone();
    assert_eq!(note(&two.get().await), "1");
    let path = format!("{}/status", scene.path("services", "other"));
    scene.admin.merge(&path, "cloud", &json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}}})).await;
    two.until("the second commit", |app| note(app) == "2").await;
    parent.healthy(&second).await;
}

#[tokio::test]
async fn a_child_whose_specification_is_new_is_not_healthy_by_its_old_status() {
    let scene = Scene::shared("apps-spec").await;
    let at = |revision: &str| {
        let built = scene.application_named("apps-spec-one").path("one").revision(revision).automated(true, true);
        built.build().to_string()
    };
    let commit = scene.commit(&[
        ("app/one.yaml", Some(&at("main"))),
        ("app/two.yaml", Some(&child(&scene, "two", "1", "1"))),
        ("one/config.yaml", Some(&config_map("one", &[("a", "1")]))),
        ("two/config.yaml", Some(&config_map("two", &[("a", "1")]))),
    ]);
    let parent = scene.create(scene.application().automated(true, true)).await;
    parent.healthy(&commit).await;
    // A revision that is not there: what it was is still Synced and Healthy, what it is nobody knows.
    let commit =
        scene.commit(&[("app/one.yaml", Some(&at("v2"))), ("app/two.yaml", Some(&child(&scene, "two", "1", "2")))]);
    let message = ["waiting for healthy state of argoproj.io/Application/apps-spec-one"];
    parent.until("the wave that waits", |app| waits_for(app, &message)).await;
    scene.app("apps-spec-one").condition("ComparisonError", &["v2"]).await;
    let note = |app: &Value| app["metadata"]["annotations"]["example.com/note"].clone();
    assert_eq!(note(&scene.app("apps-spec-two").get().await), "1");
    scene.repository.tag("v2", &commit).unwrap();
    parent.healthy(&commit).await;
    assert_eq!(note(&scene.app("apps-spec-two").get().await), "2");
}

#[tokio::test]
async fn a_child_that_waits_for_its_parents_health_is_told() {
    let scene = Scene::shared("apps-circle").await;
    let depending = |on: &str| {
        let built = scene.application_named("apps-circle-one").path("one").automated(true, true);
        built.annotation("trueup.dev/depends-on", on).build().to_string()
    };
    let put = |on: &str| {
        let config = config_map("one", &[("a", "1")]);
        scene.commit(&[("app/one.yaml", Some(&depending(on))), ("one/config.yaml", Some(&config))])
    };
    put("apps-circle");
    scene.create(scene.application().automated(true, true)).await;
    let one = scene.app("apps-circle-one");
    let applications = trueup_e2e::objects("applications", &scene.control);
    trueup_bed::until("the child", trueup_e2e::SLOW, async || {
        scene.admin.get(&format!("{applications}/apps-circle-one")).await.map(|_| ()).ok_or("not there")
    })
    .await
    .unwrap();
    one.condition("DependencyWarning", &["the health of argocd/apps-circle, which brings it"]).await;
    assert!(scene.object("configmaps", "one").await.is_none());
    // That it is synced can be waited for.
    let commit = put("apps-circle@synced");
    one.synced(&commit).await;
    one.without_condition("DependencyWarning").await;
}

#[tokio::test]
async fn details_of_a_child_cost_its_parent_nothing() {
    let scene = Scene::shared("apps-quiet").await;
    let commit = scene.commit(&[
        ("app/one.yaml", Some(&child(&scene, "one", "0", "1"))),
        ("one/config.yaml", Some(&config_map("one", &[("a", "1")]))),
    ]);
    let parent = scene.create(scene.application().automated(true, true)).await;
    parent.healthy(&commit).await;
    let one = scene.app("apps-quiet-one");
    one.healthy(&commit).await;
    // Drift that is only told changes the child's status, and neither its health nor what its parent says of it.
    one.patch(&json!({"metadata": {"annotations": {"trueup.dev/drift-policy": "report"}}})).await;
    parent.healthy(&commit).await;
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    for value in ["2", "3"] {
        scene.edit("configmaps", "one", &json!({"data": {"a": value}})).await;
        one.until("drift that is told", |app| app["status"]["drift"]["events"][0]["fields"][0]["live"] == value).await;
    }
    let asked = audit.since(mark).await.unwrap().by("trueup");
    let writes = |name: &str| {
        asked.filtered(|request| request.resource == "applications" && request.name == name).writes().len()
    };
    assert!(writes("apps-quiet-one") >= 2);
    assert_eq!(writes("apps-quiet"), 0);
    assert_eq!(parent.get().await["status"]["health"]["status"], "Healthy");
}

#[tokio::test]
async fn an_application_that_brings_itself_is_as_healthy_as_the_rest() {
    let scene = Scene::shared("apps-self").await;
    let own = scene.application().automated(true, true);
    let commit = scene.commit(&[
        ("app/self.yaml", Some(&own.clone().build().to_string())),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(own).await;
    app.healthy(&commit).await;
}
