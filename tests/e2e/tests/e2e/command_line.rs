//! `trueup app …`, as people run it against a cluster with a controller.

use serde_json::Value;
use trueup_bed::trueup_binary;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn trueup(scene: &Scene<'_>, line: &str) -> Said {
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap();
    let output = tokio::process::Command::new(trueup_binary().unwrap())
        .args(line.split(' '))
        .args(["-n", NAMESPACE, "--kubeconfig"])
        .arg(kubeconfig)
        .env("TRUEUP_CACHE_DIR", scene.world.control_plane.dir().join("command-line-cache"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Said {
    /// What it printed, if it ended with this code.
    fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self.out
    }
}

#[tokio::test]
async fn an_application_is_shown_compared_synced_and_waited_for() {
    let scene = Scene::shared("command").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue")]));
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    let diff = trueup(&scene, "app diff command").await.with(1);
    assert!(diff.contains('+') && diff.contains("colour: blue"), "{diff}");
    trueup(&scene, "app sync command").await.with(0);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["colour"], "blue");
    trueup(&scene, "app wait command").await.with(0);
    trueup(&scene, "app diff command").await.with(0);

    let list = trueup(&scene, "app list").await.with(0);
    let line = list.lines().find(|line| line.starts_with("argocd/command ")).unwrap_or_else(|| panic!("{list}"));
    assert!(line.contains("Synced") && line.contains("Healthy"), "{list}");
    let json: Value = serde_json::from_str(&trueup(&scene, "app get command -o json").await.with(0)).unwrap();
    assert_eq!(json["status"]["sync"]["revision"], first, "{json:#}");

    scene.edit("configmaps", "config", &serde_json::json!({"data": {"colour": "red"}})).await;
    let diff = trueup(&scene, "app diff command").await.with(1);
    assert!(diff.contains('-') && diff.contains("red") && diff.contains("blue"), "{diff}");
    app.sync_status("OutOfSync").await;
    let shown = trueup(&scene, "app get command").await.with(0);
    assert!(shown.contains("kubectl-edit") && shown.contains("config"), "{shown}");
    trueup(&scene, "app sync command").await.with(0);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["colour"], "blue");

    let nobody = trueup(&scene, "app get nobody").await;
    assert_eq!(nobody.code, Some(2), "{}", nobody.err);
    assert!(nobody.err.contains("nobody"), "{}", nobody.err);
}
