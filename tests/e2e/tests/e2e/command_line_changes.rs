//! What `trueup app` changes: rollbacks, terminated operations, pauses, deletions, what flags create and set.

use std::process::Stdio;

use serde_json::Value;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::config_map;

use crate::command_line::{Said, command, trueup};

/// An Application that was synced to two commits, by hand.
async fn synced_twice(name: &str) -> (Scene<'static>, App, String, String) {
    let scene = Scene::shared(name).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, &format!("app sync {name}")).await.with(0);
    let second = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "2")]))),
        ("app/more.yaml", Some(&config_map("more", &[("a", "2")]))),
    ]);
    trueup(&scene, &format!("app sync {name}")).await.with(0);
    app.synced(&second).await;
    (scene, app, first, second)
}

#[tokio::test]
async fn what_was_synced_before_can_be_gone_back_to() {
    let (scene, app, first, second) = synced_twice("cli-back").await;
    let history = trueup(&scene, "app history cli-back").await.with(0);
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 3, "{history}");
    assert!(lines[1].contains(&first[..7]) && lines[2].contains(&second[..7]), "{history}");
    assert_eq!(trueup(&scene, "app history cli-back -o id").await.with(0), "0\n1\n");
    let json: Value = serde_json::from_str(&trueup(&scene, "app history cli-back -o json").await.with(0)).unwrap();
    assert_eq!(json[1]["revision"], second, "{json:#}");

    trueup(&scene, "app rollback cli-back 7").await.fails(2, &["no entry 7", "app history"]);
    trueup(&scene, "app rollback cli-back --prune").await.with(0);
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
    scene.until_gone("configmaps", "more").await;
    app.sync_status("OutOfSync").await;
    // A short id is no revision that a server knows, but the Application does.
    trueup(&scene, &format!("app sync cli-back --revision {}", &second[..7])).await.with(0);
    app.synced(&second).await;

    trueup(&scene, "app set cli-back --sync-policy automated").await.with(0);
    trueup(&scene, "app set cli-back --auto-prune --self-heal").await.with(0);
    let refused = trueup(&scene, "app rollback cli-back 0").await;
    refused.fails(2, &["would be undone at once", "--sync-policy none"]);
    let off = trueup(&scene, "app set cli-back --sync-policy none").await;
    assert!(off.err.contains("--sync-policy automated --auto-prune --self-heal"), "{}", off.err);
    off.with(0);
}

#[tokio::test]
async fn manifests_and_resources_are_shown() {
    let (scene, _, first, _) = synced_twice("cli-shown").await;
    let names = trueup(&scene, "app manifests cli-shown -o name").await.with(0);
    assert_eq!(names, "configmap/config\nconfigmap/more\n");
    let before = trueup(&scene, &format!("app manifests cli-shown --revision {}", &first[..7])).await.with(0);
    assert!(before.contains("a: \"1\"") && !before.contains("more"), "{before}");
    assert!(before.contains("argocd.argoproj.io/tracking-id: cli-shown:/ConfigMap:"), "{before}");
    let live: Value =
        serde_json::from_str(&trueup(&scene, "app manifests cli-shown --source live -o json").await.with(0)).unwrap();
    assert_eq!(live["items"][0]["data"]["a"], "2", "{live:#}");
    assert!(live["items"][0]["metadata"]["uid"].is_string(), "{live:#}");
    trueup(&scene, "app manifests cli-shown --revision nosuch").await.fails(2, &["nosuch"]);
    trueup(&scene, "app manifests cli-shown --source live --revision main").await.fails(2, &["--source git"]);

    let names = trueup(&scene, "app resources cli-shown -o name").await.with(0);
    assert_eq!(names, "configmap/config\nconfigmap/more\n");
    let table = trueup(&scene, "app resources cli-shown").await.with(0);
    assert!(table.starts_with("GROUP") && table.contains("Synced"), "{table}");
    trueup(&scene, "app resources cli-show").await.fails(2, &["there is no Application", "did you mean", "cli-shown"]);
}

#[tokio::test]
async fn values_of_secrets_are_in_no_manifest() {
    let scene = Scene::shared("cli-masked").await;
    scene.put("app/secret.yaml", &trueup_e2e::manifests::secret("secret", &[("password", "hunter2")]));
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app sync cli-masked").await.with(0);
    for line in ["app manifests cli-masked", "app manifests cli-masked --source live -o json"] {
        let printed = trueup(&scene, line).await.with(0);
        assert!(printed.contains("password"), "{printed}");
        assert!(!printed.contains("hunter2") && !printed.contains("aHVudGVyMg"), "{printed}");
    }
}

#[tokio::test]
async fn an_application_is_created_changed_and_deleted() {
    let scene = Scene::shared("cli-made").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let url = scene.repository.url();
    let namespace = &scene.namespace;
    let create = format!(
        "app create cli-made --repo {url} --path app --revision main --dest-name in-cluster --dest-namespace {namespace} \
         --sync-option CreateNamespace=true --label team=shop"
    );
    let dry = trueup(&scene, &format!("{create} --dry-run -o json")).await;
    assert!(dry.err.contains("would be created"), "{}", dry.err);
    let dry: Value = serde_json::from_str(&dry.with(0)).unwrap();
    assert_eq!(dry["spec"]["project"], "default", "{dry:#}");
    assert_eq!(dry["metadata"]["uid"], Value::Null, "{dry:#}");
    trueup(&scene, &format!("{create} --directory-include {{")).await.fails(2, &["include '{' is not a valid glob"]);
    trueup(&scene, "app get cli-made").await.fails(2, &["there is no Application"]);

    trueup(&scene, &create).await.with(0);
    trueup(&scene, &create).await.with(0);
    let other = create.replace("--path app", "--path other");
    trueup(&scene, &other).await.fails(2, &["is there already", "--upsert"]);
    let dry = trueup(&scene, &format!("{other} --set-finalizer --upsert --dry-run -o json")).await;
    assert!(dry.err.contains("would be changed"), "{}", dry.err);
    let dry: Value = serde_json::from_str(&dry.with(0)).unwrap();
    assert_eq!((&dry["spec"]["source"]["path"], &dry["metadata"]["labels"]["team"]), (&json!("other"), &json!("shop")));
    assert_eq!(dry["metadata"]["finalizers"], json!(["resources-finalizer.argocd.argoproj.io"]), "{dry:#}");
    assert_eq!(scene.app("cli-made").get().await["spec"]["source"]["path"], "app");
    trueup(&scene, &format!("{create} --sync-policy automated --set-finalizer --upsert")).await.with(0);
    let app = scene.app("cli-made");
    app.synced(&commit).await;
    let seen = app.get().await;
    assert_eq!(seen["metadata"]["labels"]["team"], "shop");
    assert_eq!(seen["metadata"]["finalizers"], json!(["resources-finalizer.argocd.argoproj.io"]));
    assert_eq!(seen["spec"]["syncPolicy"], json!({"automated": {}, "syncOptions": ["CreateNamespace=true"]}));

    trueup(&scene, "app set cli-made --self-heal --auto-prune=false").await.with(0);
    let seen = app.get().await;
    assert_eq!(seen["spec"]["syncPolicy"]["automated"], json!({"selfHeal": true, "prune": false}));
    // What a person changes is not the controller's doing: a parent application must see it as drift.
    let entries = seen["metadata"]["managedFields"].as_array().unwrap();
    let owner = entries
        .iter()
        .find(|entry| !entry["fieldsV1"]["f:spec"]["f:syncPolicy"]["f:automated"]["f:selfHeal"].is_null());
    assert_eq!(owner.unwrap()["manager"], "trueup-cli", "{entries:#?}");
    trueup(&scene, "app set cli-made --path ../x").await.fails(2, &["outside root"]);
    trueup(&scene, "app set cli-made --project nosuch").await.fails(2, &["nosuch", "--validate=false"]);
    trueup(&scene, "app set cli-made").await.fails(2, &["nothing to set"]);
    assert_eq!(app.get().await["spec"], seen["spec"]);

    trueup(&scene, "app delete cli-made").await.fails(2, &["nobody can be asked", "--yes"]);
    trueup(&scene, "app rm cli-made --yes --wait --timeout 60s").await.with(0);
    assert!(scene.admin.get(app.path()).await.is_none());
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn a_file_is_checked_by_the_server_and_objects_can_be_left() {
    let scene = Scene::shared("cli-file").await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let mut file = scene.application().build();
    file["spec"]["sourc"] = json!({});
    let path = scene.world.control_plane.dir().join("cli-file.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let create = format!("app create -f {}", path.display());
    trueup(&scene, &create).await.fails(2, &["cannot create the Application", "sourc"]);
    file["spec"].as_object_mut().unwrap().remove("sourc");
    std::fs::write(&path, file.to_string()).unwrap();
    trueup(&scene, &create).await.with(0);
    trueup(&scene, "app sync cli-file").await.with(0);
    trueup(&scene, "app delete cli-file --cascade=false -y --wait").await.with(0);
    scene.expect("configmaps", "config").await;

    // What already goes without its objects cannot take them along any more.
    file["metadata"]["finalizers"] = json!(["test.trueup.dev/stays"]);
    std::fs::write(&path, file.to_string()).unwrap();
    trueup(&scene, &create).await.with(0);
    trueup(&scene, "app delete cli-file --cascade=false -y").await.with(0);
    trueup(&scene, "app delete cli-file -y").await.fails(2, &["being deleted already, without its objects"]);
    scene.app("cli-file").patch(&json!({"metadata": {"finalizers": null}})).await;
    scene.app("cli-file").gone().await;
}

#[tokio::test]
async fn an_application_in_another_namespace_is_asked_of_the_controllers_project() {
    let scene = Scene::shared("cli-other").await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let namespace = "t-cli-other-apps";
    kubectl(&scene.world.control_plane, &format!("create namespace {namespace}")).await;
    let mut file = scene.application().build();
    file["metadata"]["namespace"] = json!(namespace);
    let path = scene.world.control_plane.dir().join("cli-other.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let refusal = [namespace, "sourceNamespaces", "--validate=false"];
    for line in [format!("app create -f {}", path.display()), format!("app create {namespace}/x -f {}", path.display())]
    {
        trueup(&scene, &line).await.fails(2, &refusal);
    }
    trueup(&scene, &format!("app create -f {} --validate=false", path.display())).await.with(0);
    trueup(&scene, &format!("app set {namespace}/cli-other --path more")).await.fails(2, &refusal);
    let diff = trueup(&scene, &format!("app diff {namespace}/cli-other")).await;
    assert!(diff.err.contains("sourceNamespaces"), "{}", diff.err);
    diff.with(1);

    // What is printed as a name means the same Application.
    let names = trueup(&scene, "app ls -A -o name").await.with(0);
    let name = format!("application.argoproj.io/{namespace}/cli-other");
    assert!(names.lines().any(|line| line == name), "{names}");
    trueup(&scene, &format!("app delete {name} --cascade=false -y --wait")).await.with(0);
}

#[tokio::test]
async fn what_is_paused_is_left_alone() {
    let scene = Scene::shared("cli-paused").await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    trueup(&scene, "app pause cli-paused").await.fails(2, &["--reason"]);
    trueup(&scene, "app pause cli-paused --reason freeze").await.with(0);
    let list = trueup(&scene, "app list").await.with(0);
    let line = list.lines().find(|line| line.starts_with("argocd/cli-paused ")).unwrap_or_else(|| panic!("{list}"));
    assert!(line.contains("Paused"), "{list}");
    assert!(
        trueup(&scene, "app get cli-paused").await.with(0).contains("Paused:             until it is resumed: freeze")
    );
    trueup(&scene, "app sync cli-paused").await.fails(2, &["is paused: freeze", "app resume"]);
    // It is compared, so that it can be waited for.
    trueup(&scene, "app wait cli-paused").await.with(0);
    let skip = json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}});
    app.patch(&skip).await;
    trueup(&scene, "app sync cli-paused").await.fails(2, &["is paused by argocd.argoproj.io/skip-reconcile"]);
    trueup(&scene, "app wait cli-paused").await.fails(2, &["is paused", "app resume"]);
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    trueup(&scene, "app resume cli-paused").await.with(0);
    app.synced(&second).await;
    trueup(&scene, "app resume cli-paused").await.with(0);
}

#[tokio::test]
async fn an_operation_that_waits_for_its_next_attempt_is_ended() {
    let scene = Scene::shared("cli-ended").await;
    scene.put("app/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_Valid}\n");
    let retry = json!({"limit": 5, "backoff": {"duration": "10m", "maxDuration": "1h"}});
    let app = scene.create(scene.application().set("/spec/syncPolicy", "retry", retry)).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app terminate-op cli-ended").await.fails(2, &["no operation"]);
    trueup(&scene, "app sync cli-ended --async").await.with(0);
    app.until("the wait for the next attempt", |app| {
        app["status"]["operationState"]["phase"] == "Running" && app["status"]["operationState"]["retryCount"] == 1
    })
    .await;
    trueup(&scene, "app terminate-op cli-ended").await.with(0);
    trueup(&scene, "app wait cli-ended --operation --timeout 60s").await.with(0);
    let seen = app.get().await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Failed", "{:#}", seen["status"]["operationState"]);
    trueup(&scene, "app terminate-op cli-ended").await.fails(2, &["no operation"]);
}

#[tokio::test]
async fn a_shell_is_told_the_names_of_applications() {
    let scene = Scene::shared("cli-names").await;
    scene.create(scene.application()).await;
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap();
    let offered = async |words: &[&str]| {
        let output = tokio::process::Command::new(trueup_bed::trueup_binary().unwrap())
            .args(["--", "trueup"])
            .args(words)
            .env("TRUEUP_COMPLETE", "fish")
            .env("TRUEUP_KUBECONFIG", kubeconfig)
            .output()
            .await
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        Said::of(&output).out
    };
    let names = offered(&["app", "get", "cli-nam"]).await;
    assert_eq!(names.trim(), "cli-names");
    assert_eq!(offered(&["app", "get", "argocd/cli-nam"]).await.trim(), "argocd/cli-names");
    let namespaces = offered(&["app", "list", "-n", "argo"]).await;
    assert_eq!(namespaces.trim(), "argocd");
    assert_eq!(offered(&["app", "get", "-n", "nowhere", "cli-nam"]).await.trim(), "");
}

#[tokio::test]
async fn a_deletion_that_does_not_end_says_what_is_left() {
    let (scene, app, ..) = synced_twice("cli-stuck").await;
    scene.edit("configmaps", "config", &json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let left = "still there: ConfigMap t-cli-stuck/config, kept by the finalizers example.com/hold\n";
    let late = trueup(&scene, "app delete cli-stuck -y --wait --timeout 5s").await;
    late.fails(1, &["timed out after 5s", left, "trueup app get argocd/cli-stuck"]);

    let mut waiting = command(&scene, "app delete cli-stuck -y --wait").stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting for") {
        assert_ne!(stderr.read_line(&mut said).await.unwrap(), 0, "{said}");
    }
    let interrupt = format!("kill -INT {}", waiting.id().unwrap());
    assert!(std::process::Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    stderr.read_to_string(&mut said).await.unwrap();
    assert_eq!(waiting.wait().await.unwrap().code(), Some(1), "{said}");
    assert!(said.contains("interrupted: the deletion goes on") && said.contains(left), "{said}");

    scene.edit("configmaps", "config", &json!({"metadata": {"finalizers": null}})).await;
    app.gone().await;
}
