//! What became of each drift: told in the status, and by `trueup drift`.

use serde_json::Value;
use serde_json::json;
use trueup_bed::trueup_binary;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

/// What the program printed, which must have ended with this code.
async fn trueup(scene: &Scene<'_>, code: i32, line: &str) -> String {
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap();
    let mut command = tokio::process::Command::new(trueup_binary().unwrap());
    command.args(line.split(' ')).args(["-n", &scene.control, "--kubeconfig"]).arg(kubeconfig).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}: {}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn outcome<'a>(app: &'a Value, name: &str) -> &'a str {
    let events = app["status"]["drift"]["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let event = events.iter().find(|event| event["name"] == name);
    event.and_then(|event| event["outcome"].as_str()).unwrap_or_default()
}

#[tokio::test]
async fn each_drift_keeps_what_became_of_it() {
    let scene = Scene::shared("drift-history").await;
    let file = |name: &str, colour: &str| (format!("app/{name}.yaml"), config_map(name, &[("colour", colour)]));
    let put = |files: &[(String, String)]| {
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
        scene.commit(&files)
    };
    let names = ["accepted", "overwritten", "reverted"];
    let commit = put(&names.map(|name| file(name, "blue")));
    let app = scene.create(scene.application().automated(true, false)).await;
    app.synced(&commit).await;
    trueup(&scene, 0, "app drift drift-history").await;
    for name in names {
        scene.edit("configmaps", name, &json!({"data": {"colour": "red"}})).await;
    }
    let seen = app.until("three drifts", |app| app["status"]["drift"]["count"] == 3).await;
    for name in names {
        assert_eq!(outcome(&seen, name), "detected", "{seen:#}");
    }
    // All of them are told, with who did it and what, and the exit code says that there is drift.
    let told = trueup(&scene, 1, "app drift drift-history").await;
    assert_eq!(told.matches("kubectl-edit").count(), 3, "{told}");
    assert!(told.contains("blue -> red") && told.contains("detected"), "{told}");
    assert!(trueup(&scene, 1, "drift").await.contains("argocd/drift-history"));
    assert!(trueup(&scene, 1, "drift -A -o name").await.contains("application.argoproj.io/drift-history\n"));
    trueup(&scene, 0, "drift -l no=such").await;

    // One is undone by hand.
    scene.edit("configmaps", "reverted", &json!({"data": {"colour": "blue"}})).await;
    app.until("the reverted drift", |app| outcome(app, "reverted") == "reverted").await;
    // Git takes one over and moves another one elsewhere.
    let commit = put(&[file("accepted", "red"), file("overwritten", "green")]);
    let seen = app.synced(&commit).await;
    let seen = if outcome(&seen, "accepted") == "accepted" {
        seen
    } else {
        app.until("the accepted drift", |app| outcome(app, "accepted") == "accepted").await
    };
    assert_eq!(names.map(|name| outcome(&seen, name)), names, "{:#}", seen["status"]["drift"]);
    assert_eq!(seen["status"]["drift"]["count"], 0);
    assert_eq!(scene.expect("configmaps", "overwritten").await["data"]["colour"], "green");

    // It is history now: of this application it is told, over all only if somebody asks for the past.
    let told = trueup(&scene, 0, "app drift drift-history -o json").await;
    let told: Vec<Value> = serde_json::from_str(&told).unwrap();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| event["open"] == false && event["application"] == "argocd/drift-history"));
    let select = "-l drift-history=only";
    app.patch(&json!({"metadata": {"labels": {"drift-history": "only"}}})).await;
    assert_eq!(trueup(&scene, 0, &format!("drift {select}")).await, "");
    let past = trueup(&scene, 0, &format!("drift {select} --since 1h -o wide")).await;
    assert_eq!(past.lines().count(), 4, "{past}");
}

#[tokio::test]
async fn an_application_that_was_never_compared_is_not_called_free_of_drift() {
    let scene = Scene::shared("drift-unknown").await;
    let app = scene.create(scene.application().repo("http://127.0.0.1:1/x.git")).await;
    app.condition("ComparisonError", &["127.0.0.1:1"]).await;
    assert_eq!(trueup(&scene, 2, "app drift drift-unknown").await, "");
}
