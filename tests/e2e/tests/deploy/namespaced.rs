//! A team's own controller in its one namespace, with Roles alone.

use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::trueup_binary;
use trueup_bed::workspace;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

use crate::container::possible;
use crate::kustomize::built;
use crate::pod::Answer::Good;
use crate::pod::Pod;

const TEAM: &str = "tests/e2e/tests/deploy/team";
const NAMESPACE: &str = "t-team";

#[test]
fn it_has_nothing_of_the_cluster() {
    for object in built(TEAM) {
        assert_eq!(object["metadata"]["namespace"], NAMESPACE, "{}", object["metadata"]);
    }
}

#[tokio::test]
async fn with_roles_alone_it_keeps_its_namespace_in_line_and_looks_nowhere_else() {
    if !possible() {
        return;
    }
    let world: &'static World = World::start().await.kept();
    // Applications and their objects lie in the same namespace.
    let scene = Scene::new(world, "team", NAMESPACE).await;
    let other = Scene::new(world, "other", "t-other").await;
    kubectl(&world.control_plane, &format!("apply --server-side -k {}", workspace().join(TEAM).display())).await;
    nothing_is_missing(world).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let begin = audit.mark().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pod = Pod::of(&built(TEAM), NAMESPACE, world, dir.path()).await;
    let mut container = pod.start();
    pod.probes.until(&mut container, [Good, Good, Good]).await;
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
    ]);
    let here = || trueup_bed::application("team").namespace(NAMESPACE).repo(scene.repository.url()).path("app");
    let app = scene.create(here().destination(NAMESPACE).automated(true, true)).await;
    app.healthy(&commit).await;
    let commit = scene.commit(&[("app/goes.yaml", None)]);
    app.healthy(&commit).await;
    scene.until_gone("configmaps", "goes").await;
    scene.edit("configmaps", "config", &json!({"data": {"a": "by hand"}})).await;
    scene.until_value("configmaps", "config", "/data/a", "1").await;

    // What goes elsewhere is refused before anybody is asked, and says which setting it is.
    let there = trueup_bed::application("elsewhere").namespace(NAMESPACE).repo(scene.repository.url()).path("app");
    let elsewhere = scene.create(there.destination(&other.control).automated(true, true)).await;
    let words = "namespace 't-other' is not looked after: this controller was started for 't-team' alone";
    elsewhere.until(words, |app| app["status"].to_string().contains(words)).await;
    assert!(world.rest("admin").await.get("/api/v1/namespaces/t-other/configmaps/config").await.is_none());

    let requests = audit.since(begin).await.unwrap();
    for request in requests.iter().filter(|request| request.user.starts_with("system:serviceaccount:t-team:")) {
        assert!(request.namespace.is_empty() || request.namespace == NAMESPACE, "{request:?}");
        assert!(!request.namespace.is_empty() || !request.writes(), "{request:?}");
    }
}

/// What its Roles grant is all that `trueup cluster check` asks for, told which namespace it looks after.
async fn nothing_is_missing(world: &World) {
    let check = async |destination: &[&str]| {
        let output = tokio::process::Command::new(trueup_binary().unwrap())
            .args(["cluster", "check", "-n", NAMESPACE, "--as-service-account", "t-team/trueup-controller"])
            .args(destination)
            .arg("--kubeconfig")
            .arg(world.control_plane.kubeconfig())
            .output()
            .await
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    trueup_bed::until("the Roles to count", trueup_e2e::SLOW, async || {
        let (code, table) = check(&["--destination-namespace", NAMESPACE]).await;
        if code == Some(0) && !table.contains("cluster  all") { Ok(()) } else { Err(table) }
    })
    .await
    .unwrap();
    let (code, table) = check(&[]).await;
    assert!(code == Some(1) && table.contains("kind: ClusterRole"), "{table}");
}
