//! `trueup app sync` in all its ways, and what goes with it: for trial, of some objects, of a directory, of several applications;
//! what is told meanwhile; approvals and ends.

use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::secret;

use crate::command_line::{Said, command, trueup};
use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::waits;

/// An Application with two objects that was never synced.
async fn two(name: &str) -> (Scene<'static>, App, String) {
    let scene = Scene::shared(name).await;
    let commit = scene.commit(&[
        ("app/one.yaml", Some(&config_map("one", &[("a", "1")]))),
        ("app/two.yaml", Some(&config_map("two", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    (scene, app, commit)
}

/// Starts a line that takes as long as the test wants it to.
fn begin(scene: &Scene<'_>, line: &str) -> tokio::task::JoinHandle<Output> {
    let running = command(scene, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tokio::spawn(async move { running.wait_with_output().await.unwrap() })
}

#[tokio::test]
async fn a_trial_tells_what_would_change() {
    let (scene, app, commit) = two("cli-trial").await;
    trueup(&scene, "app sync cli-trial").await.with(0);
    app.synced(&commit).await;
    scene.commit(&[("app/one.yaml", None), ("app/new.yaml", Some(&config_map("new", &[("a", "1")])))]);
    let trial = trueup(&scene, "app sync cli-trial --prune --dry-run").await;
    assert!(trial.err.contains("(dry run)"), "{}", trial.err);
    let table = trial.with(0);
    let line = |name: &str| table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{table}"));
    assert!(line(" one ").contains("Pruned") && line(" new ").contains("configmap/new (dry run)"), "{table}");
    assert!(!table.contains(" two "), "what would not change is left out: {table}");
    assert!(scene.object("configmaps", "new").await.is_none());
    scene.expect("configmaps", "one").await;
    // What the API server refuses, the trial tells.
    scene.put("app/wrong.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Wrong_Name}\n");
    trueup(&scene, "app sync cli-trial --dry-run").await.fails(1, &["ended as Failed", "Wrong_Name"]);
}

#[tokio::test]
async fn some_objects_are_synced() {
    let (scene, app, commit) = two("cli-some").await;
    let table = trueup(&scene, "app sync cli-some --resource :ConfigMap:one").await.with(0);
    assert!(table.contains(" one ") && !table.contains(" two "), "{table}");
    assert!(scene.object("configmaps", "two").await.is_none());
    let slip = trueup(&scene, "app sync cli-some --resource :ConfigMap:tow").await;
    slip.fails(1, &["no object that argocd/cli-some is known to have: :ConfigMap:tow", "took no object"]);
    trueup(&scene, "app sync cli-some --resource ConfigMap/one").await.fails(2, &["GROUP:KIND:NAME"]);
    trueup(&scene, "app sync cli-some --resource !*:*:*").await.fails(2, &["leaves no object", "app resources"]);
    let table = trueup(&scene, "app sync cli-some --resource !:ConfigMap:one").await.with(0);
    assert!(table.contains(" two ") && !table.contains(" one "), "{table}");
    app.synced(&commit).await;
}

#[tokio::test]
async fn a_directory_of_this_machine_is_synced() {
    let (scene, app, commit) = two("cli-local").await;
    trueup(&scene, "app sync cli-local").await.with(0);
    app.synced(&commit).await;
    let dir = scene.world.control_plane.dir().join("cli-local");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("one.yaml"), config_map("one", &[("a", "local")])).unwrap();
    std::fs::write(dir.join("secret.yaml"), secret("login", &[("password", "hunter2")])).unwrap();
    let line = format!("app sync cli-local --local {}", dir.display());
    let refused = trueup(&scene, &line).await;
    refused.fails(2, &["Secret login", "everybody would see"]);
    assert!(!refused.err.contains("hunter2"));
    std::fs::remove_file(dir.join("secret.yaml")).unwrap();
    trueup(&scene, &format!("{line} --dry-run")).await.with(0);
    assert_eq!(scene.expect("configmaps", "one").await["data"]["a"], "1");
    trueup(&scene, &line).await.with(0);
    assert_eq!(scene.expect("configmaps", "one").await["data"]["a"], "local");
    scene.expect("configmaps", "two").await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app set cli-local --sync-policy automated").await.with(0);
    trueup(&scene, &line).await.fails(2, &["would be undone at once", "app diff argocd/cli-local --local"]);
}

#[tokio::test]
async fn hooks_and_waves_are_told_as_they_go() {
    let (scene, app, _) = two("cli-told").await;
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/after.yaml", Some(&hook("after", "PostSync"))),
        ("app/two.yaml", Some(&annotated("two", &[("argocd.argoproj.io/sync-wave", "3")]))),
    ]);
    let jobs = Jobs(&scene);
    let running = begin(&scene, "app sync cli-told");
    jobs.begun("before").await;
    waits(&app, "waiting for completion of hook batch/Job/before").await;
    jobs.end("before", true).await;
    jobs.begun("after").await;
    waits(&app, "waiting for completion of hook batch/Job/after").await;
    jobs.end("after", true).await;
    let said = Said::of(&running.await.unwrap());
    let namespace = &scene.namespace;
    let told = [
        format!("argocd/cli-told: PreSync hook batch/Job {namespace}/before Running"),
        format!("argocd/cli-told: PreSync hook batch/Job {namespace}/before Succeeded"),
        "argocd/cli-told: wave 0: 1 object\n".to_owned(),
        "argocd/cli-told: wave 3: 1 object\n".to_owned(),
        format!("argocd/cli-told: PostSync hook batch/Job {namespace}/after Succeeded"),
        "argocd/cli-told: sync to ".to_owned(),
    ];
    let places: Vec<Option<usize>> = told.iter().map(|line| said.err.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{}", said.err);
    assert!(said.err.contains("waiting for completion of hook batch/Job/before since "), "{}", said.err);
    let table = said.with(0);
    let before = table.lines().find(|line| line.contains(" before ")).unwrap_or_else(|| panic!("{table}"));
    assert!(before.contains("Succeeded") && before.contains("PreSync"), "{table}");
    let resources = trueup(&scene, "app resources cli-told").await.with(0);
    let heading = resources.lines().next().unwrap();
    assert!(heading.contains("HOOK") && heading.contains("WAVE"), "{resources}");

    // One that ends is waited for.
    let running = begin(&scene, "app sync cli-told -o json --timeout 5m");
    waits(&app, "waiting for completion of hook batch/Job/before").await;
    let ended = trueup(&scene, "app terminate-op cli-told --timeout 2m").await;
    assert_eq!(app.get().await["status"]["operationState"]["phase"], "Failed", "{}", ended.err);
    assert!(ended.err.contains("ended as Failed"), "{}", ended.err);
    ended.with(0);
    let said = Said::of(&running.await.unwrap());
    said.fails(1, &["ended as Failed"]);
    let data: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(data["status"]["operationState"]["phase"], "Failed", "nothing but data: {}", said.out);
}

#[tokio::test]
async fn what_is_to_be_deleted_is_approved() {
    let scene = Scene::shared("cli-approve").await;
    let asks = annotated("asks", &[("argocd.argoproj.io/sync-options", "Prune=confirm")]);
    scene.commit(&[("app/one.yaml", Some(&config_map("one", &[("a", "1")]))), ("app/asks.yaml", Some(&asks))]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app sync cli-approve").await.with(0);
    trueup(&scene, "app confirm-deletion cli-approve").await.fails(2, &["nothing of argocd/cli-approve waits"]);
    scene.commit(&[("app/asks.yaml", None)]);
    let running = begin(&scene, "app sync cli-approve --prune");
    waits(&app, "waiting for pruning confirmation of ConfigMap").await;
    let summary = trueup(&scene, "app get cli-approve").await.with(0);
    assert!(
        summary.contains("Approval:           asked for: trueup app confirm-deletion argocd/cli-approve"),
        "{summary}"
    );
    let approved = trueup(&scene, "app confirm-deletion cli-approve").await;
    let words = format!("argocd/cli-approve: approved: ConfigMap {}/asks\n", scene.namespace);
    assert_eq!(approved.err, words);
    approved.with(0);
    let said = Said::of(&running.await.unwrap());
    assert!(said.err.contains("to approve of that: trueup app confirm-deletion argocd/cli-approve"), "{}", said.err);
    said.with(0);
    scene.until_gone("configmaps", "asks").await;
}

#[tokio::test]
async fn a_deletion_is_approved() {
    let scene = Scene::shared("cli-approve-all").await;
    let asks = annotated("asks", &[("argocd.argoproj.io/sync-options", "Delete=confirm")]);
    scene.commit(&[("app/one.yaml", Some(&config_map("one", &[("a", "1")]))), ("app/asks.yaml", Some(&asks))]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app sync cli-approve-all").await.with(0);
    let running = begin(&scene, "app delete cli-approve-all --yes --wait --timeout 5m");
    app.condition("DeletionError", &["waiting for deletion confirmation of ConfigMap"]).await;
    let summary = trueup(&scene, "app get cli-approve-all").await.with(0);
    assert!(summary.contains("trueup app confirm-deletion argocd/cli-approve-all"), "{summary}");
    scene.expect("configmaps", "one").await;
    trueup(&scene, "app confirm-deletion cli-approve-all").await.with(0);
    let said = Said::of(&running.await.unwrap());
    assert!(
        said.err.contains("to approve of that: trueup app confirm-deletion argocd/cli-approve-all"),
        "{}",
        said.err
    );
    said.with(0);
    app.gone().await;
    scene.until_gone("configmaps", "asks").await;
}

#[tokio::test]
async fn several_are_synced_one_after_the_other() {
    let scene = Scene::shared("cli-several").await;
    scene.commit(&[
        ("left/one.yaml", Some(&config_map("left", &[("a", "1")]))),
        ("right/one.yaml", Some(&config_map("right", &[("a", "1")]))),
    ]);
    for side in ["left", "right"] {
        let name = format!("cli-several-{side}");
        let built = scene.application_named(&name).path(side);
        scene.create(built.set("/metadata", "labels", json!({"e2e": "several"}))).await.sync_status("OutOfSync").await;
    }
    trueup(&scene, "app sync -l e2e=nosuch").await.fails(2, &["there are no Applications", "e2e=nosuch"]);
    trueup(&scene, "app sync cli-several-left cli-several-lef").await.fails(2, &["there is no Application"]);
    assert!(scene.object("configmaps", "left").await.is_none(), "a slip is found out before anything is asked for");
    let both = trueup(&scene, "app sync -l e2e=several --info ticket=OPS-42 -o json").await.with(0);
    let both: Value = serde_json::from_str(&both).unwrap();
    for (at, side) in ["left", "right"].into_iter().enumerate() {
        let state = &both[at]["status"]["operationState"];
        assert_eq!(
            (&both[at]["metadata"]["name"], &state["phase"]),
            (&json!(format!("cli-several-{side}")), &json!("Succeeded"))
        );
        assert_eq!(state["operation"]["info"][0], json!({"name": "ticket", "value": "OPS-42"}));
        scene.expect("configmaps", side).await;
    }
}

#[tokio::test]
async fn a_rollback_takes_the_source_of_then() {
    let (scene, app, commit) = two("cli-source").await;
    trueup(&scene, "app sync cli-source").await.with(0);
    app.synced(&commit).await;
    scene.put("other/one.yaml", &config_map("one", &[("a", "other")]));
    trueup(&scene, "app set cli-source --path other").await.with(0);
    trueup(&scene, "app sync cli-source").await.with(0);
    assert_eq!(scene.expect("configmaps", "one").await["data"]["a"], "other");
    trueup(&scene, "app rollback cli-source").await.with(0);
    assert_eq!(scene.expect("configmaps", "one").await["data"]["a"], "1");
    let last = until("the entry of the rollback", SLOW, async || {
        let seen = app.get().await;
        let last = seen["status"]["history"].as_array().and_then(|all| all.get(2)).cloned();
        last.ok_or_else(|| seen["status"]["history"].to_string())
    })
    .await
    .unwrap();
    assert_eq!((&last["source"]["path"], &last["revision"]), (&json!("app"), &json!(commit)));
}
