//! `--log-format json`: whoever collects the logs finds an object in every line, and all that differs in fields.

use serde_json::Value;
use serde_json::json;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::until;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

/// The lines of a log; every one must be an object with the fields that every line has.
fn lines(log: &str) -> Vec<Value> {
    let read = |line: &str| -> Value {
        let line = serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        line
    };
    log.lines().map(read).collect()
}

#[tokio::test]
async fn every_line_is_an_object_with_fields() {
    let world = World::shared();
    let control = "json-logs";
    let scene = Scene::new(world, "logged", control).await;
    let arguments = vec!["--log-format=json".to_owned()];
    let log_filter = "info,trueup_controller=debug,trueup_cluster=debug,trueup_git=debug".to_owned();
    let options = ControllerOptions { arguments, log_filter, ..controller_options(control) };
    let mut controller = world.controller(&options).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    scene.edit("configmaps", "config", &json!({"data": {"colour": "red"}})).await;
    scene.until_value("configmaps", "config", "/data/colour", "blue").await;
    let nowhere = scene.application_named("nowhere").repo("http://127.0.0.1:1/x.git");
    scene.create(nowhere).await.condition("ComparisonError", &[]).await;
    until("the drift in the log", Deadline::SHORT, async || {
        let log = controller.log();
        if log.contains("\"outcome\":\"healed\"") { Ok(()) } else { Err(log.lines().last().map(str::to_owned)) }
    })
    .await
    .unwrap();
    assert!(controller.terminate().await.unwrap().success());

    let lines = lines(&controller.log());
    let find = |message: &str| {
        let found = lines.iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("no '{message}' in {lines:#?}"))
    };
    let ended = find("sync ends");
    assert_eq!((&ended["application"], &ended["revision"]), (&json!("logged"), &json!(commit)));
    assert_eq!((&ended["phase"], &ended["level"]), (&json!("Succeeded"), &json!("INFO")));
    let drift = find("drift");
    assert_eq!((&drift["application"], &drift["manager"]), (&json!("logged"), &json!("kubectl-edit")));
    assert_eq!((&drift["fields"], &drift["object"]), (&json!(".data.colour"), &json!("ConfigMap t-logged/config")));
    let unlisted = find("the refs cannot be listed");
    assert!(unlisted["repository"].as_str().unwrap().contains("127.0.0.1:1") && unlisted["error"].is_string());
    find("ending");
}

#[tokio::test]
async fn the_last_words_are_an_object_too() {
    let kubeconfig = World::shared().control_plane.user_kubeconfig("trueup").unwrap();
    let mut command = tokio::process::Command::new(trueup_bed::trueup_binary().unwrap());
    let listen = "--listen=192.0.2.1:1";
    command.args(["controller", "--no-lease", "--log-format=json", listen, "--kubeconfig"]).arg(kubeconfig);
    let cache = World::shared().control_plane.dir().join("json-logs-cache");
    let output = command.arg("--cache-dir").arg(cache).kill_on_drop(true).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let lines = lines(&String::from_utf8_lossy(&output.stderr));
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["message"]), (&json!("ERROR"), &json!("the program ends")));
    assert!(last["error"].as_str().unwrap().contains("192.0.2.1:1"), "{last}");
}
