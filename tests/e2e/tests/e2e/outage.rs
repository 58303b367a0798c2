//! The API server goes away and comes back; the controller is asked to end.

use serde_json::json;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

/// The status that a path of the controller's listener answers.
async fn answers(port: u16, path: &str) -> Option<u16> {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

async fn until_ready_answers(port: u16, wanted: u16) {
    until(format!("/health/ready to answer {wanted}"), SLOW, async || match answers(port, "/health/ready").await {
        Some(code) if code == wanted => Ok(()),
        other => Err(other),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn it_is_not_ready_while_the_api_server_is_away_and_goes_on_afterwards() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "outage", NAMESPACE).await;
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let first = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.healthy(&first).await;
    let uids = [scene.uid("configmaps", "config").await, scene.uid("deployments", "web").await];
    for (round, value) in [(1, "2"), (2, "3")] {
        world.control_plane.stop_apiserver().await.unwrap();
        until_ready_answers(controller.port(), 503).await;
        assert_eq!(answers(controller.port(), "/health/live").await, Some(200));
        // What happens in Git meanwhile is done afterwards.
        let mut files = vec![("app/config.yaml", Some(config_map("config", &[("a", value)])))];
        if round == 1 {
            files.push(("app/goes.yaml", None));
        }
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (*path, text.as_deref())).collect();
        let commit = scene.commit(&files);
        world.control_plane.start_apiserver().await.unwrap();
        until_ready_answers(controller.port(), 200).await;
        app.healthy(&commit).await;
        scene.until_value("configmaps", "config", "/data/a", value).await;
        scene.until_gone("configmaps", "goes").await;
        // Its watches work again, too.
        scene.edit("configmaps", "config", &json!({"data": {"a": "by hand"}})).await;
        scene.until_value("configmaps", "config", "/data/a", value).await;
    }
    assert_eq!([scene.uid("configmaps", "config").await, scene.uid("deployments", "web").await], uids);
    let ended = controller.terminate().await.unwrap();
    assert!(ended.success(), "{ended}: {}", controller.log());
}
