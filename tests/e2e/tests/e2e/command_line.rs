//! `trueup app …`, as people run it against a cluster with a controller.

use serde_json::Value;
use trueup_bed::renderer_binary;
use trueup_bed::trueup_binary;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a line as somebody, with the Applications of the shared world.
pub(crate) async fn trueup(scene: &Scene<'_>, line: &str) -> Said {
    let output = command(scene, line).output().await.unwrap();
    let said = Said::of(&output);
    eprintln!("ECHO $ trueup {line}\n{}{}[{:?}]", said.out, said.err, said.code);
    said
}

/// The same, not started yet.
pub(crate) fn command(scene: &Scene<'_>, line: &str) -> tokio::process::Command {
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap();
    let mut command = tokio::process::Command::new(trueup_binary().unwrap());
    command
        .args(line.split(' '))
        .args(["-n", NAMESPACE, "--kubeconfig"])
        .arg(kubeconfig)
        .env("TRUEUP_RENDERER", renderer_binary().unwrap())
        .env("TRUEUP_CACHE_DIR", scene.world.control_plane.dir().join("command-line-cache"))
        .kill_on_drop(true);
    command
}

impl Said {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What it printed, if it ended with this code.
    pub(crate) fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self.out
    }

    /// Asserts that it failed with this code, and said these words.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "'{word}' is not in:\n{}", self.err);
        }
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

    let names = trueup(&scene, "app ls -A -o name").await.with(0);
    assert!(names.lines().any(|line| line == "application.argoproj.io/command"), "{names}");
    trueup(&scene, "app wait application.argoproj.io/command").await.with(0);
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

    trueup(&scene, "app get comand").await.fails(2, &["no Application 'comand'", "did you mean", "command"]);
}

/// Whose field it is that has left Git cannot be told from the cluster any more; what Git said at the last sync tells.
#[tokio::test]
async fn a_diff_knows_a_field_that_left_git_after_an_edit_was_reverted() {
    let scene = Scene::shared("command-base").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1"), ("b", "2")]));
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app sync command-base").await.with(0);
    app.synced(&commit).await;
    for value in ["x", "2"] {
        scene.edit("configmaps", "config", &serde_json::json!({"data": {"b": value}})).await;
    }
    app.synced(&commit).await;
    trueup(&scene, "app diff command-base").await.with(0);
    scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let diff = trueup(&scene, "app diff command-base").await.with(1);
    assert!(diff.lines().any(|line| line.starts_with('-') && line.contains("b: \"2\"")), "{diff}");
    trueup(&scene, "app sync command-base").await.with(0);
    assert_eq!(scene.expect("configmaps", "config").await["data"], serde_json::json!({"a": "1"}));
    trueup(&scene, "app diff command-base").await.with(0);
}
