//! Hooks before and after the deletion of an Application.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::Mark;
use trueup_e2e::App;
use trueup_e2e::NAMESPACE;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;

use crate::jobs::Jobs;
use crate::jobs::deleted_hook;
use crate::jobs::hook;
use crate::jobs::job;
use crate::jobs::waits;

const CASCADE: &str = "resources-finalizer.argocd.argoproj.io";
const PRE: &str = "pre-delete-finalizer.argocd.argoproj.io";
const POST: &str = "post-delete-finalizer.argocd.argoproj.io";

/// An application with these files beside a ConfigMap, synced. Answers it and the commit.
async fn synced(scene: &Scene<'_>, finalizers: &[&str], files: &[(&str, &str)]) -> (App, String) {
    let config = config_map("config", &[("a", "1")]);
    let files = files.iter().copied().chain([("app/config.yaml", config.as_str())]);
    let files: Vec<(&str, Option<&str>)> = files.map(|(path, text)| (path, Some(text))).collect();
    let commit = scene.commit(&files);
    let built = scene.application().automated(true, true).set("/metadata", "finalizers", json!(finalizers));
    let app = scene.create(built).await;
    app.synced(&commit).await;
    (app, commit)
}

async fn scene(name: &str) -> Scene<'static> {
    Scene::shared(name).await
}

/// Waits until the finalizers are these, in any order.
async fn finalizers(app: &App, wanted: &[&str]) {
    let mut wanted: Vec<&str> = wanted.to_vec();
    wanted.sort_unstable();
    app.until(&format!("the finalizers {wanted:?}"), |app| {
        let mut there: Vec<&str> =
            app["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        there.sort_unstable();
        there == wanted
    })
    .await;
}

/// The Jobs that were created in the scene's namespace since then, and the other objects that were deleted, in their order.
async fn story(audit: &Audit, mark: Mark, scene: &Scene<'_>) -> Vec<String> {
    let requests = audit.since(mark).await.unwrap().by("trueup").writes();
    let requests = requests.filtered(|request| request.namespace == scene.namespace && request.code < 300);
    let told = requests.filtered(|request| match request.verb.as_str() {
        "create" => request.resource == "jobs",
        verb => verb == "delete",
    });
    told.iter().map(|request| format!("{} {} {}", request.verb, request.resource, request.name)).collect()
}

#[tokio::test]
async fn hooks_run_before_and_after_the_objects_each_once_and_wave_by_wave() {
    let scene = scene("delete-hooks").await;
    let later = job("later", &["argocd.argoproj.io/hook: PreDelete,PreSync", "argocd.argoproj.io/sync-wave: \"1\""]);
    let files = [
        ("app/before.yaml", deleted_hook("before", "PreDelete", "HookSucceeded")),
        ("app/later.yaml", later.clone()),
        ("app/after.yaml", hook("after", "PostDelete")),
    ];
    let config = config_map("config", &[("a", "1")]);
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect();
    let commit = scene.commit(&[&files[..], &[("app/config.yaml", Some(config.as_str()))]].concat());
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    let jobs = Jobs(&scene);
    // One of two phases runs in the sync too.
    let of_sync = jobs.succeed("later").await;
    app.synced(&commit).await;
    let all = [CASCADE, PRE, &format!("{PRE}/cleanup"), POST, &format!("{POST}/cleanup")];
    finalizers(&app, &all).await;
    assert!(scene.object("jobs", "before").await.is_none() && scene.object("jobs", "after").await.is_none());

    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    app.delete().await;
    let first = jobs.begun("before").await;
    let since = "waiting for completion of PreDelete hook batch/Job/before since 20";
    app.condition("DeletionError", &[since, "no deadline", PRE]).await;
    assert_eq!(scene.uid("jobs", "later").await, of_sync, "the next wave waits");
    jobs.end("before", true).await;
    jobs.begun_anew("later", &of_sync).await;
    assert_eq!(scene.uid("jobs", "before").await, first);
    assert!(scene.expect("configmaps", "config").await["metadata"]["deletionTimestamp"].is_null());
    jobs.end("later", true).await;
    scene.until_gone("configmaps", "config").await;
    let after = jobs.begun("after").await;
    finalizers(&app, &[POST, &format!("{POST}/cleanup")]).await;
    app.condition("DeletionError", &["PostDelete hook batch/Job/after"]).await;
    jobs.end("after", true).await;
    app.gone().await;
    assert!(scene.object("jobs", "before").await.is_none(), "it says so (HookSucceeded)");
    let left = scene.expect("jobs", "after").await;
    assert_eq!(left["metadata"]["uid"], after.as_str());
    assert!(left["metadata"]["deletionTimestamp"].is_null() && left["metadata"]["finalizers"].is_null(), "{left:#}");
    let told = story(&audit, mark, &scene).await;
    let made = told.iter().enumerate().filter(|(_, line)| line.starts_with("create")).map(|(at, _)| at);
    let made: Vec<usize> = made.collect();
    let config = told.iter().position(|line| line == "delete configmaps config").unwrap_or_default();
    assert!(matches!(made[..], [_, later, after] if later < config && config < after), "{told:?}");
}

#[tokio::test]
async fn the_finalizers_follow_the_hooks_in_git() {
    let scene = scene("delete-finalizers").await;
    let (app, _) = synced(&scene, &["example.com/other"], &[("app/after.yaml", &hook("after", "PostDelete"))]).await;
    finalizers(&app, &["example.com/other", POST, &format!("{POST}/cleanup")]).await;
    // They are written when they change, and then no more.
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    app.refresh("normal").await;
    let writes = audit.since(mark).await.unwrap().by("trueup").writes();
    assert_eq!(writes.filtered(|request| request.name == scene.name).iter().count(), 1, "the refresh alone");
    let before = annotated("before", &[("helm.sh/hook", "pre-delete")]);
    let commit = scene.commit(&[("app/after.yaml", None), ("app/before.yaml", Some(&before))]);
    app.synced(&commit).await;
    finalizers(&app, &["example.com/other", PRE, &format!("{PRE}/cleanup")]).await;
    let commit = scene.commit(&[("app/before.yaml", None)]);
    app.synced(&commit).await;
    finalizers(&app, &["example.com/other"]).await;
    app.patch(&json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test]
async fn a_hook_that_fails_is_told_and_made_anew() {
    let scene = scene("delete-fails").await;
    let (app, _) = synced(&scene, &[CASCADE], &[("app/before.yaml", &hook("before", "PreDelete"))]).await;
    let jobs = Jobs(&scene);
    app.delete().await;
    let first = jobs.fail("before").await;
    app.condition("DeletionError", &["PreDelete hook batch/Job/before failed", "the test says Failed", "anew at 20"])
        .await;
    scene.expect("configmaps", "config").await;
    let second = jobs.begun_anew("before", &first).await;
    app.condition("DeletionError", &["waiting for completion", "attempt 2", "the test says Failed"]).await;
    assert_eq!(scene.uid("jobs", "before").await, second);
    jobs.end("before", true).await;
    app.gone().await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn a_hook_that_somebody_takes_away_is_made_anew() {
    let scene = scene("delete-taken").await;
    let (app, _) = synced(&scene, &[CASCADE], &[("app/before.yaml", &hook("before", "PreDelete"))]).await;
    let jobs = Jobs(&scene);
    app.delete().await;
    let first = jobs.begun("before").await;
    app.condition("DeletionError", &["waiting for completion"]).await;
    scene.somebody.delete(&scene.path("jobs", "before")).await;
    app.condition("DeletionError", &["batch/Job/before failed: it was deleted before its end was seen"]).await;
    jobs.begun_anew("before", &first).await;
    assert!(scene.expect("configmaps", "config").await["metadata"]["deletionTimestamp"].is_null());
    jobs.end("before", true).await;
    app.gone().await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn a_hook_that_never_ends_has_its_time_and_the_finalizer_is_the_way_out() {
    let scene = scene("delete-hangs").await;
    let hangs = job("hangs", &["argocd.argoproj.io/hook: PostDelete", "trueup.dev/hook-deadline: 2s"]);
    let (app, _) = synced(&scene, &[CASCADE], &[("app/hangs.yaml", &hangs)]).await;
    app.delete().await;
    let jobs = Jobs(&scene);
    let first = jobs.begun("hangs").await;
    app.condition("DeletionError", &["it did not end within 2s (trueup.dev/hook-deadline)", POST]).await;
    let second = jobs.begun_anew("hangs", &first).await;
    assert_ne!(first, second);
    assert!(scene.object("configmaps", "config").await.is_none());
    app.patch(&json!({"metadata": {"finalizers": null}})).await;
    app.gone().await;
}

#[tokio::test]
async fn hooks_that_cannot_be_had_are_waited_for() {
    let scene = scene("delete-git").await;
    let (app, _) = synced(&scene, &[CASCADE], &[("app/before.yaml", &hook("before", "PreDelete"))]).await;
    let url = scene.repository.url();
    app.patch(&json!({"spec": {"source": {"repoURL": format!("{url}-gone")}}})).await;
    app.condition("ComparisonError", &[]).await;
    app.delete().await;
    app.condition("DeletionError", &["the PreDelete hooks are not known", PRE]).await;
    assert!(scene.expect("configmaps", "config").await["metadata"]["deletionTimestamp"].is_null());
    app.patch(&json!({"spec": {"source": {"repoURL": url}}})).await;
    Jobs(&scene).succeed("before").await;
    app.gone().await;
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn without_the_cascade_hooks_run_and_objects_stay() {
    let scene = scene("delete-orphans").await;
    let nameless = hook("before", "PreDelete").replace("  name: before\n", "  generateName: before-\n");
    let (app, _) = synced(&scene, &[], &[("app/before.yaml", &nameless)]).await;
    let uid = app.get().await["metadata"]["uid"].as_str().unwrap()[..7].to_owned();
    app.delete().await;
    let seen = app.condition("DeletionError", &[&format!("batch/Job/before-{uid}-predelete-")]).await;
    let message = seen["status"]["conditions"].to_string();
    let name = message.split("batch/Job/").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    Jobs(&scene).end(name, true).await;
    app.gone().await;
    scene.expect("configmaps", "config").await;
    scene.expect("jobs", name).await;
}

#[tokio::test]
async fn nothing_begins_before_somebody_has_approved() {
    let scene = scene("delete-confirm").await;
    let precious = annotated("precious", &[("argocd.argoproj.io/sync-options", "Delete=confirm")]);
    let (app, _) = synced(
        &scene,
        &[CASCADE],
        &[("app/precious.yaml", &precious), ("app/before.yaml", &hook("before", "PreDelete"))],
    )
    .await;
    let approve = |at: &str| json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": at}}});
    app.patch(&approve("2026-01-01T00:00:00Z")).await;
    app.delete().await;
    let words = ["waiting for deletion confirmation of ConfigMap", "precious", "deletion-approved"];
    app.condition("DeletionError", &words).await;
    assert!(scene.object("jobs", "before").await.is_none(), "{}", app.brief().await);
    assert!(scene.expect("configmaps", "config").await["metadata"]["deletionTimestamp"].is_null());
    let deletion = app.get().await["metadata"]["deletionTimestamp"].as_str().unwrap().to_owned();
    app.patch(&approve(&deletion)).await;
    Jobs(&scene).succeed("before").await;
    app.gone().await;
    assert!(scene.object("configmaps", "precious").await.is_none());
}

#[tokio::test]
async fn a_sync_whose_hook_hangs_keeps_no_deletion() {
    for (name, cascade) in [("delete-running", true), ("delete-running-orphan", false)] {
        let scene = scene(name).await;
        let hangs =
            hook("hangs", "PreSync").replace("spec:\n  managedBy", "spec:\n  ttlSecondsAfterFinished: 0\n  managedBy");
        scene.commit(&[
            ("app/hangs.yaml", Some(&hangs)),
            ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ]);
        let finalizers = if cascade { json!([CASCADE]) } else { json!(["example.com/other"]) };
        let app =
            scene.create(scene.application().automated(true, true).set("/metadata", "finalizers", finalizers)).await;
        waits(&app, "batch/Job/hangs").await;
        app.delete().await;
        scene.until_gone("jobs", "hangs").await;
        if !cascade {
            let seen =
                app.until("the end of the sync", |app| app["status"]["operationState"]["phase"] == "Failed").await;
            assert!(seen.to_string().contains("the application is being deleted"), "{seen:#}");
            app.patch(&json!({"metadata": {"finalizers": null}})).await;
        }
        app.gone().await;
        assert!(scene.object("configmaps", "config").await.is_none());
    }
}

/// Waits until no finalizer keeps a Job.
async fn let_go(scene: &Scene<'_>, name: &str) {
    trueup_bed::until(format!("the Job {name} to be let go"), SLOW, async || {
        let job = scene.expect("jobs", name).await;
        if job["metadata"]["finalizers"].is_null() { Ok(()) } else { Err(job["metadata"]["finalizers"].clone()) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_hooks_of_an_application_that_vanished_are_let_go() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "delete-vanished", NAMESPACE).await;
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let brief =
        hook("brief", "PreSync").replace("spec:\n  managedBy", "spec:\n  ttlSecondsAfterFinished: 900\n  managedBy");
    scene.commit(&[("app/brief.yaml", Some(&brief)), ("app/config.yaml", Some(&config_map("config", &[("a", "1")])))]);
    for away in [false, true] {
        let app = scene.create(scene.application().automated(true, true)).await;
        waits(&app, "batch/Job/brief").await;
        // It is waited for as well while the one of before is still known.
        Jobs(&scene).begun("brief").await;
        let keeps = scene.expect("jobs", "brief").await["metadata"]["finalizers"].clone();
        assert_eq!(keeps, json!(["argocd.argoproj.io/hook-finalizer"]));
        if away {
            controller.kill9();
        }
        app.delete().await;
        app.gone().await;
        if away {
            controller.restart().unwrap();
        }
        let_go(&scene, "brief").await;
        scene.admin.delete(&scene.path("jobs", "brief")).await;
        scene.until_gone("jobs", "brief").await;
    }
}

#[tokio::test]
async fn killed_in_the_middle_it_goes_on_and_no_hook_runs_twice() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "delete-killed", NAMESPACE).await;
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let files = [("app/before.yaml", hook("before", "PreDelete")), ("app/after.yaml", hook("after", "PostDelete"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let (app, _) = synced(&scene, &[CASCADE], &files).await;
    let jobs = Jobs(&scene);
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    app.delete().await;
    jobs.begun("before").await;
    // While one runs.
    controller.kill9();
    controller.restart().unwrap();
    controller.wait_ready().await.unwrap();
    app.condition("DeletionError", &["PreDelete hook batch/Job/before"]).await;
    // And after it has ended, unseen.
    controller.kill9();
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    scene.edit("configmaps", "config", &hold).await;
    jobs.end("before", true).await;
    controller.restart().unwrap();
    scene.until_value("configmaps", "config", "/metadata/deletionGracePeriodSeconds", 0).await;
    // In the middle of the objects.
    controller.restart().unwrap();
    scene.edit("configmaps", "config", &json!({"metadata": {"finalizers": null}})).await;
    jobs.begun("after").await;
    controller.restart().unwrap();
    jobs.succeed("after").await;
    app.gone().await;
    let told = story(&audit, mark, &scene).await;
    assert_eq!(told.iter().filter(|line| line.starts_with("create")).count(), 2, "{told:?}");
}
