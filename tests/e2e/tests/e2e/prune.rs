//! What is removed from Git goes from the cluster, where that is wanted.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

fn result<'a>(app: &'a Value, name: &str) -> &'a Value {
    let results = app["status"]["operationState"]["syncResult"]["resources"].as_array();
    results.into_iter().flatten().find(|result| result["name"] == name).unwrap_or(&Value::Null)
}

fn resource<'a>(app: &'a Value, name: &str) -> &'a Value {
    let resources = app["status"]["resources"].as_array();
    resources.into_iter().flatten().find(|resource| resource["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_removed_file_is_pruned() {
    let scene = Scene::shared("prune-file").await;
    let first = scene.commit(&[
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
    ]);
    let app = scene.create(scene.application().automated(true, false)).await;
    app.healthy(&first).await;
    let foreign = json!({"metadata": {"name": "foreign"}, "data": {"a": "1"}});
    scene.somebody.create(&trueup_e2e::objects("configmaps", &scene.namespace), &foreign).await;
    let second = scene.commit(&[("app/goes.yaml", None), ("app/web.yaml", None)]);
    scene.until_gone("configmaps", "goes").await;
    scene.until_gone("deployments", "web").await;
    let seen = app.synced(&second).await;
    assert_eq!(result(&seen, "goes")["status"], "Pruned", "{:#}", seen["status"]["operationState"]);
    assert_eq!(result(&seen, "goes")["message"], "pruned");
    app.until("an inventory without it", |app| resource(app, "goes").is_null() && resource(app, "web").is_null()).await;
    scene.expect("configmaps", "stays").await;
    scene.expect("configmaps", "foreign").await;
}

#[tokio::test]
async fn without_prune_a_removed_file_is_only_reported() {
    let scene = Scene::shared("prune-off").await;
    let first = scene.commit(&[
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(false, true)).await;
    app.synced(&first).await;
    let second =
        scene.commit(&[("app/goes.yaml", None), ("app/stays.yaml", Some(&config_map("stays", &[("a", "2")])))]);
    scene.until_value("configmaps", "stays", "/data/a", "2").await;
    let seen = app
        .until("the sync at the new revision", |app| {
            app["status"]["operationState"]["syncResult"]["revision"] == second
                && app["status"]["sync"]["status"] == "OutOfSync"
        })
        .await;
    assert_eq!(resource(&seen, "goes")["requiresPruning"], true, "{:#}", seen["status"]["resources"]);
    assert_eq!(resource(&seen, "goes")["status"], "OutOfSync");
    assert_eq!(seen["status"]["drift"]["count"], 0, "it is no drift that Git moved");
    assert_eq!(result(&seen, "goes")["status"], "PruneSkipped", "{:#}", seen["status"]["operationState"]);
    assert_eq!(result(&seen, "goes")["message"], "ignored (requires pruning)");
    scene.expect("configmaps", "goes").await;
    // Put back into Git, it is in line again without a write.
    let third = scene.put("app/goes.yaml", &config_map("goes", &[("a", "1")]));
    app.synced(&third).await;
}

#[tokio::test]
async fn what_asks_to_be_kept_is_kept() {
    let scene = Scene::shared("prune-kept").await;
    let kept: [(&str, &[(&str, &str)]); 3] = [
        ("by-option", &[("argocd.argoproj.io/sync-options", "Prune=false")]),
        ("by-options", &[("argocd.argoproj.io/sync-options", "Validate=true, Prune=false")]),
        ("by-helm", &[("helm.sh/resource-policy", "keep")]),
    ];
    let files: Vec<(String, String)> =
        kept.iter().map(|(name, annotations)| (format!("app/{name}.yaml"), annotated(name, annotations))).collect();
    let mut commit: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    let (goes, stays) = (config_map("goes", &[("a", "1")]), config_map("stays", &[("a", "1")]));
    commit.extend([("app/goes.yaml", Some(&*goes)), ("app/stays.yaml", Some(&*stays))]);
    let first = scene.commit(&commit);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let gone: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, _)| (&**path, None)).chain([("app/goes.yaml", None)]).collect();
    let second = scene.commit(&gone);
    scene.until_gone("configmaps", "goes").await;
    let seen = app
        .until("the sync at the new revision", |app| {
            app["status"]["operationState"]["syncResult"]["revision"] == second
                && app["status"]["operationState"]["phase"] == "Succeeded"
        })
        .await;
    for (name, _) in kept {
        assert_eq!(result(&seen, name)["status"], "PruneSkipped", "{name}: {:#}", seen["status"]["operationState"]);
        scene.expect("configmaps", name).await;
    }
    assert!(result(&seen, "by-option")["message"].as_str().unwrap().contains("no prune"));
}

#[tokio::test]
async fn what_needs_approval_waits_for_it_with_the_whole_sync() {
    let scene = Scene::shared("prune-confirm").await;
    let asks = annotated("asks", &[("argocd.argoproj.io/sync-options", "Prune=confirm")]);
    let first =
        scene.commit(&[("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))), ("app/asks.yaml", Some(&asks))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let second =
        scene.commit(&[("app/asks.yaml", None), ("app/stays.yaml", Some(&config_map("stays", &[("a", "2")])))]);
    let waits = app
        .until("the wait for an approval", |app| {
            let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
            message.starts_with("waiting for pruning confirmation of ConfigMap")
                && message.contains("deletion-approved")
        })
        .await;
    assert_eq!(waits["status"]["operationState"]["phase"], "Running");
    let listed = waits["status"]["resources"].as_array().unwrap().iter().find(|it| it["name"] == "asks").unwrap();
    assert_eq!(listed["requiresDeletionConfirmation"], true);
    // As upstream: nothing of the commit is applied meanwhile.
    let stays = scene.expect("configmaps", "stays").await;
    assert_eq!(stays["data"]["a"], "1");
    // An approval of before counts for nothing.
    let approve = |at: &str| json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": at}}});
    app.patch(&approve("2020-01-01T00:00:00Z")).await;
    app.refresh("normal").await;
    scene.expect("configmaps", "asks").await;
    app.patch(&approve(&k8s_openapi::jiff::Timestamp::now().to_string())).await;
    scene.until_gone("configmaps", "asks").await;
    app.synced(&second).await;
}

#[tokio::test]
async fn an_application_may_keep_everything() {
    let scene = Scene::shared("prune-app").await;
    let always = annotated("always", &[("argocd.argoproj.io/sync-options", "Prune=true")]);
    let first = scene.commit(&[
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
        ("app/kept.yaml", Some(&config_map("kept", &[("a", "1")]))),
        ("app/always.yaml", Some(&always)),
    ]);
    let app = scene.create(scene.application().automated(true, true).sync_option("Prune=false")).await;
    app.synced(&first).await;
    let second = scene.commit(&[("app/kept.yaml", None), ("app/always.yaml", None)]);
    // What an object says goes before what the application says.
    scene.until_gone("configmaps", "always").await;
    app.until("the sync at the new revision", |app| {
        app["status"]["operationState"]["syncResult"]["revision"] == second
    })
    .await;
    scene.expect("configmaps", "kept").await;
}

#[tokio::test]
async fn an_empty_directory_wipes_out_nothing_unless_it_may() {
    let scene = Scene::shared("prune-empty").await;
    let first = scene.commit(&[
        ("app/a.yaml", Some(&config_map("a", &[("a", "1")]))),
        ("app/readme.md", Some("a file that is no manifest")),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let second = scene.commit(&[("app/a.yaml", None)]);
    app.condition("SyncError", &["Skipping sync attempt to", &second, "auto-sync will wipe out all resources"]).await;
    app.refresh("normal").await;
    scene.expect("configmaps", "a").await;
    app.patch(&json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}})).await;
    scene.until_gone("configmaps", "a").await;
    app.synced(&second).await;
    app.without_condition("SyncError").await;
}

#[tokio::test]
async fn nothing_is_pruned_while_an_apply_fails() {
    let scene = Scene::shared("prune-failed").await;
    let first = scene.commit(&[
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let second = scene.commit(&[("app/goes.yaml", None), ("app/bad.yaml", Some(bad))]);
    let seen = app
        .until("the failed sync", |app| {
            app["status"]["operationState"]["syncResult"]["revision"] == second
                && !app["status"]["operationState"]["finishedAt"].is_null()
        })
        .await;
    assert_eq!(result(&seen, "bad")["status"], "SyncFailed", "{:#}", seen["status"]["operationState"]);
    assert_eq!(result(&seen, "goes")["status"], "PruneSkipped");
    scene.expect("configmaps", "goes").await;
    let third = scene.commit(&[("app/bad.yaml", None)]);
    scene.until_gone("configmaps", "goes").await;
    app.synced(&third).await;
}
