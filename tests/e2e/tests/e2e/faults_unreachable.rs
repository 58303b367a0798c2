//! What is not there: an API server, a kubeconfig, a Git server that answers.

use std::fs;
use std::time::Duration;

use serde_json::json;
use trueup_bed::Asked;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::Fault;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

#[tokio::test]
async fn a_kubeconfig_that_points_nowhere() {
    let world = World::shared();
    let dir = tempfile::tempdir().unwrap();
    let (missing, broken, nowhere) =
        (dir.path().join("missing"), dir.path().join("broken"), dir.path().join("nowhere"));
    fs::write(&broken, "clusters: [").unwrap();
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    });
    fs::write(&nowhere, content.to_string()).unwrap();
    let options = |kubeconfig| ControllerOptions { kubeconfig: Some(kubeconfig), ..controller_options(NAMESPACE) };
    for path in [missing, broken] {
        let mut controller = Controller::start(&world.control_plane, &options(path.clone())).unwrap();
        let ended = until("it to end", Deadline::SHORT, async || match controller.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
        .await
        .unwrap();
        let log = controller.log();
        assert_eq!(ended.code(), Some(2), "{log}");
        assert!(log.contains(&path.display().to_string()) && log.contains("--kubeconfig"), "{log}");
    }
    // A server may come yet: it waits for it, alive and not ready, says so, and ends when asked to.
    let mut controller = Controller::start(&world.control_plane, &options(nowhere)).unwrap();
    until("it to say so", Deadline::SHORT, async || {
        let log = controller.log();
        if log.contains("the API server cannot be asked") && log.contains("127.0.0.1:1") { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
    assert!(controller.readiness().await.is_err());
    let ended = controller.terminate().await.unwrap();
    assert!(ended.code().is_some(), "{}", controller.log());
}

#[tokio::test]
async fn a_git_server_that_hangs_or_lies() {
    let world: &'static World = World::start().await.kept();
    let options = ControllerOptions { resync: Some(Duration::from_secs(1)), ..controller_options(NAMESPACE) };
    let _controller = world.controller(&options).await;
    let other = Scene::new(world, "git-well", NAMESPACE).await;
    let commit = other.put("app/config.yaml", &config_map("config", &[("a", "0")]));
    let well = other.create(other.application().automated(true, true)).await;
    well.synced(&commit).await;
    let rows: [(&str, Option<Asked>, Fault); 4] = [
        ("hangs", None, Fault::Hang),
        ("cuts", None, Fault::Truncate(60)),
        ("cuts-packs", Some(Asked::Fetch), Fault::Truncate(200)),
        ("refuses", None, Fault::Status(503)),
    ];
    for (number, (name, only, fault)) in rows.into_iter().enumerate() {
        let scene = Scene::new(world, &format!("git-{name}"), NAMESPACE).await;
        let first = scene.commit(&[
            ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
            ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
        ]);
        let app = scene.create(scene.application().automated(true, true)).await;
        app.synced(&first).await;
        let uid = scene.uid("configmaps", "goes").await;
        match only {
            Some(only) => scene.repository.misbehave_at(only, fault),
            None => scene.repository.misbehave(fault),
        }
        let second =
            scene.commit(&[("app/config.yaml", Some(&config_map("config", &[("a", "2")]))), ("app/goes.yaml", None)]);
        app.condition("ComparisonError", &[&scene.name]).await;
        assert_eq!(scene.uid("configmaps", "goes").await, uid);
        // Everything else goes on meanwhile.
        let value = (number + 1).to_string();
        let commit = other.put("app/config.yaml", &config_map("config", &[("a", &value)]));
        let seen = well.synced(&commit).await;
        assert!(seen["status"]["conditions"].is_null(), "{}", well.brief().await);
        scene.repository.behave();
        app.synced(&second).await;
        scene.until_gone("configmaps", "goes").await;
        app.until("no condition left", |app| app["status"]["conditions"].is_null()).await;
    }
}
