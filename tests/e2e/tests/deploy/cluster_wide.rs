//! The controller as the Pod of an overlay runs it, with nothing but what `deploy/` grants.

use std::fs;

use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::workspace;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

use crate::container::possible;
use crate::kustomize::built;
use crate::pod::Answer;
use crate::pod::Pod;
use crate::pod::confined;

const OVERLAY: &str = "deploy/overlays/dev";
const CHART: &str = "apiVersion: v2\nname: shop\nversion: 1.2.3\n";

#[tokio::test]
async fn as_its_pod_it_works_with_nothing_but_what_deploy_grants() {
    use Answer::Bad;
    use Answer::Good;
    if !possible() {
        return;
    }
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "pod", NAMESPACE).await;
    let overlay = workspace().join(OVERLAY);
    kubectl(&world.control_plane, &format!("apply --server-side --force-conflicts -k {}", overlay.display())).await;
    let dir = tempfile::tempdir().unwrap();
    let pod = Pod::of(&built(OVERLAY), NAMESPACE, world, dir.path()).await;
    let first = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;

    let audit = Audit::of(&world.control_plane).await.unwrap();
    let begin = audit.mark().await.unwrap();
    // It starts while the API server is away: it is up, so that nothing restarts it, and not ready.
    world.control_plane.stop_apiserver().await.unwrap();
    let mut container = pod.start();
    pod.probes.until(&mut container, [Good, Good, Bad]).await;
    confined(&container);
    world.control_plane.start_apiserver().await.unwrap();
    pod.probes.until(&mut container, [Good, Good, Good]).await;
    app.healthy(&first).await;
    let uid = scene.uid("deployments", "web").await;

    // The API server goes: only readiness says so. What Git brings meanwhile is done when it is back.
    world.control_plane.stop_apiserver().await.unwrap();
    pod.probes.until(&mut container, [Good, Good, Bad]).await;
    let second =
        scene.commit(&[("app/config.yaml", Some(&config_map("config", &[("a", "2")]))), ("app/goes.yaml", None)]);
    world.control_plane.start_apiserver().await.unwrap();
    pod.probes.until(&mut container, [Good, Good, Good]).await;
    app.healthy(&second).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    scene.until_gone("configmaps", "goes").await;
    // What somebody changes by hand is seen and brought back: watches and applies work with these permissions, too.
    scene.edit("configmaps", "config", &json!({"data": {"a": "by hand"}})).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    scene.until_event("pod", &["DriftHealed"]).await;
    assert_eq!(scene.uid("deployments", "web").await, uid, "nothing was made twice");

    // A chart waits for the renderer, which comes late, and goes and comes again under the controller.
    let template = |value: &str| format!("{}  chart: {{{{ .Chart.Version }}}}\n", config_map("chart", &[("a", value)]));
    scene.commit(&[("chart/Chart.yaml", Some(CHART)), ("chart/templates/config.yaml", Some(&template("1")))]);
    let chart = trueup_bed::application("chart").namespace(NAMESPACE).repo(scene.repository.url()).path("chart");
    let chart = scene.create(chart.destination(&scene.namespace).automated(true, true)).await;
    chart.until("the renderer to be missed", |app| app["status"].to_string().contains("cannot be reached")).await;
    let mut renderer = pod.start_renderer(1);
    scene.until_value("configmaps", "chart", "/data/chart", "1.2.3").await;
    confined(&renderer);
    assert!(renderer.ended().is_none());
    drop(renderer);
    let renderer = pod.start_renderer(2);
    scene.commit(&[("chart/templates/config.yaml", Some(&template("2")))]);
    scene.until_value("configmaps", "chart", "/data/a", "2").await;
    confined(&renderer);

    // It wrote to its cache, and nowhere else; nobody refused it anything.
    confined(&container);
    assert!(pod.cache.join("git").is_dir(), "its cache is not where the Deployment says");
    for empty in ["tmp", "home/nonroot"] {
        assert_eq!(fs::read_dir(container.root().join(empty)).unwrap().count(), 0, "/{empty}");
    }
    let log = container.log();
    for word in ["Read-only file system", "Permission denied", "Operation not permitted"] {
        assert!(!log.contains(word), "'{word}' in its log:\n{log}");
    }
    let requests = audit.since(begin).await.unwrap();
    assert!(pod.refused(&requests).is_empty(), "{:?}", pod.refused(&requests));
    for (verb, group, resource) in
        [("patch", "argoproj.io", "applications"), ("create", "", "events"), ("delete", "", "configmaps")]
    {
        let wanted = (verb.to_owned(), group.to_owned(), resource.to_owned());
        assert!(pod.granted(&requests).contains(&wanted), "{wanted:?}");
    }
}
