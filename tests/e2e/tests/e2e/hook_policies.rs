//! When hooks are deleted, what their names are, and what is none of theirs.

use serde_json::Value;
use serde_json::json;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::definition;
use trueup_e2e::objects;

use crate::jobs::Jobs;
use crate::jobs::deleted_hook;
use crate::jobs::hook;
use crate::jobs::message;
use crate::jobs::result;
use crate::jobs::vanishing_hook;
use crate::jobs::waits;

/// An application of these files and a ConfigMap, which syncs when it is asked to, and was.
async fn asked(name: &str, files: &[(&str, &str)]) -> (Scene<'static>, App) {
    let scene = Scene::shared(name).await;
    let config = config_map("config", &[("a", "1")]);
    let files = files.iter().map(|(path, text)| (*path, Some(*text)));
    let files: Vec<(&str, Option<&str>)> = files.chain([("app/config.yaml", Some(&*config))]).collect();
    scene.commit(&files);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    (scene, app)
}

#[tokio::test]
async fn each_policy_deletes_at_its_time() {
    let (scene, app) = asked(
        "hooks-policies",
        &[
            ("app/anew.yaml", &hook("anew", "PreSync")),
            ("app/succeeded.yaml", &deleted_hook("succeeded", "PreSync", "HookSucceeded")),
            ("app/failed.yaml", &deleted_hook("failed", "PreSync", "HookFailed")),
            ("app/always.yaml", &deleted_hook("always", "PreSync", "HookSucceeded,HookFailed")),
        ],
    )
    .await;
    let jobs = Jobs(&scene);
    let anew = jobs.succeed("anew").await;
    let failed = jobs.succeed("failed").await;
    jobs.succeed("always").await;
    // What has ended well stays until the whole operation has.
    let succeeded = jobs.begun("succeeded").await;
    app.until("the end of the first", |app| result(app, "always")["hookPhase"] == "Succeeded").await;
    scene.expect("jobs", "always").await;
    jobs.end("succeeded", true).await;
    app.operated("Succeeded").await;
    scene.until_gone("jobs", "succeeded").await;
    scene.until_gone("jobs", "always").await;
    assert_eq!(scene.uid("jobs", "anew").await, anew);
    assert_eq!(scene.uid("jobs", "failed").await, failed);
    // A second sync makes one anew; another is as it was, and has ended already.
    app.ask(json!({})).await;
    let again = jobs.begun_anew("succeeded", &succeeded).await;
    jobs.begun_anew("anew", &anew).await;
    jobs.end("anew", true).await;
    jobs.succeed("always").await;
    let seen = app.until("its end", |app| result(app, "failed")["hookPhase"] == "Succeeded").await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Running");
    assert_eq!(scene.uid("jobs", "failed").await, failed);
    jobs.end("succeeded", false).await;
    app.operated("Failed").await;
    scene.until_gone("jobs", "failed").await;
    scene.until_gone("jobs", "always").await;
    assert_eq!(scene.uid("jobs", "succeeded").await, again, "it may be looked at");
    scene.expect("jobs", "anew").await;
}

#[tokio::test]
async fn a_hook_whose_name_is_made_up_is_another_one_every_time() {
    let nameless = hook("run", "PreSync").replace("  name: run\n", "  generateName: run-\n");
    let (scene, app) = asked("hooks-names", &[("app/run.yaml", &nameless)]).await;
    let jobs = Jobs(&scene);
    let of_phase = |commit: &str| format!("run-{}-presync-", &commit[..7]);
    let mut commit = app.get().await["status"]["sync"]["revision"].as_str().unwrap().to_owned();
    for round in 1..=2 {
        let wanted = of_phase(&commit);
        let name = until("the hook", SLOW, async || {
            let all = scene.admin.list(&objects("jobs", &scene.namespace)).await;
            let names = all.iter().filter_map(|job| job["metadata"]["name"].as_str());
            let found = names.clone().find(|name| name.starts_with(&wanted)).map(str::to_owned);
            found.ok_or_else(|| format!("{:?}", names.collect::<Vec<_>>()))
        })
        .await
        .unwrap();
        jobs.end(&name, true).await;
        let seen = app
            .until("its end", |app| {
                app["status"]["operationState"]["phase"] == "Succeeded"
                    && result(app, &name)["hookPhase"] == "Succeeded"
            })
            .await;
        // What nobody deletes is neither pruned nor asked to be.
        assert_eq!(scene.admin.list(&objects("jobs", &scene.namespace)).await.len(), round);
        assert_eq!(seen["status"]["sync"]["status"], "Synced", "{}", app.brief().await);
        if round == 1 {
            commit = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
            app.until("OutOfSync at the next commit", |app| {
                app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == commit
            })
            .await;
            app.ask(json!({"prune": true})).await;
        }
    }
}

#[tokio::test]
async fn a_hook_that_vanishes_after_its_end_has_ended_well() {
    let vanishes = vanishing_hook("brief", "PreSync");
    let (scene, app) = asked(
        "hooks-vanish",
        &[("app/brief.yaml", &vanishes), ("app/config.yaml", &config_map("config", &[("a", "1")]))],
    )
    .await;
    let jobs = Jobs(&scene);
    let first = jobs.succeed("brief").await;
    // The cluster deletes it.
    let seen = app.operated("Succeeded").await;
    assert_eq!(result(&seen, "brief")["hookPhase"], "Succeeded");
    scene.until_gone("jobs", "brief").await;
    scene.expect("configmaps", "config").await;
    app.ask(json!({})).await;
    jobs.begun_anew("brief", &first).await;
    jobs.end("brief", false).await;
    let seen = app.operated("Failed").await;
    assert_eq!(result(&seen, "brief")["hookPhase"], "Failed", "{}", app.brief().await);
    scene.until_gone("jobs", "brief").await;
}

#[tokio::test]
async fn a_hook_that_is_deleted_while_it_runs_fails_the_operation() {
    let vanishes = vanishing_hook("brief", "PreSync");
    let (scene, app) = asked("hooks-deleted", &[("app/plain.yaml", &hook("plain", "PreSync"))]).await;
    let jobs = Jobs(&scene);
    jobs.begun("plain").await;
    waits(&app, "batch/Job/plain").await;
    scene.somebody.delete(&scene.path("jobs", "plain")).await;
    let seen = app.operated("Failed").await;
    assert!(message(&seen).contains("job.batch/plain: it was deleted before its end was seen"), "{}", message(&seen));
    assert_eq!(result(&seen, "plain")["hookPhase"], "Failed");
    // One that we keep until its end was seen.
    let commit = scene.commit(&[("app/plain.yaml", None), ("app/brief.yaml", Some(&vanishes))]);
    app.until("the next commit", |app| app["status"]["sync"]["revision"] == commit).await;
    app.ask(json!({})).await;
    jobs.begun("brief").await;
    waits(&app, "batch/Job/brief").await;
    scene.somebody.delete(&scene.path("jobs", "brief")).await;
    let seen = app.operated("Failed").await;
    assert!(message(&seen).contains("job.batch/brief: it was deleted before its end was seen"), "{}", message(&seen));
    scene.until_gone("jobs", "brief").await;
}

#[tokio::test]
async fn what_is_not_the_applications_own_is_not_touched() {
    let scene = Scene::shared("hooks-foreign").await;
    scene.admin.create(&objects("namespaces", ""), &json!({"metadata": {"name": scene.namespace}})).await;
    let foreign = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "before"},
        "spec": {"managedBy": "e2e.dev/test", "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "work", "image": "registry.example/work:1"}],
        }}},
    });
    let made = scene.somebody.create(&objects("jobs", &scene.namespace), &foreign).await;
    scene.commit(&[
        ("app/before.yaml", Some(&deleted_hook("before", "PreSync", "BeforeHookCreation,HookSucceeded,HookFailed"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let seen = app.operated("Failed").await;
    for words in ["job.batch/before", "not this application's", "rename the hook"] {
        assert!(message(&seen).contains(words), "{}", message(&seen));
    }
    let now = scene.expect("jobs", "before").await;
    assert_eq!(now["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(now["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn of_two_applications_with_a_hook_of_one_name_the_first_has_it() {
    let scene = Scene::shared("hooks-two").await;
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("other/before.yaml", Some(&hook("before", "PreSync"))),
        ("other/config.yaml", Some(&config_map("other", &[("a", "1")]))),
    ]);
    let jobs = Jobs(&scene);
    let one = scene.create(scene.application()).await;
    let other = scene.create(scene.application_named("hooks-two-other").path("other")).await;
    one.sync_status("OutOfSync").await;
    other.sync_status("OutOfSync").await;
    one.ask(json!({})).await;
    let uid = jobs.begun("before").await;
    other.ask(json!({})).await;
    let seen = other.operated("Failed").await;
    assert!(message(&seen).contains("not this application's"), "{}", message(&seen));
    assert_eq!(scene.uid("jobs", "before").await, uid);
    jobs.end("before", true).await;
    one.operated("Succeeded").await;
    assert!(scene.object("configmaps", "other").await.is_none());
}

#[tokio::test]
async fn of_two_hooks_of_one_name_one_runs_and_it_is_said() {
    let other = hook("before", "PreSync").replace("work:1", "work:2");
    let (scene, app) =
        asked("hooks-twice", &[("app/a.yaml", &hook("before", "PreSync")), ("app/b.yaml", &other)]).await;
    app.condition("RepeatedResourceWarning", &["before"]).await;
    let jobs = Jobs(&scene);
    let uid = jobs.succeed("before").await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(scene.uid("jobs", "before").await, uid);
    let results: &Vec<Value> = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap();
    assert_eq!(results.iter().filter(|result| result["kind"] == "Job").count(), 1, "{results:#?}");
}

#[tokio::test]
async fn a_hook_of_two_phases_runs_in_each() {
    let (scene, app) = asked("hooks-phases", &[("app/both.yaml", &hook("both", "PreSync,PostSync"))]).await;
    let jobs = Jobs(&scene);
    let first = jobs.succeed("both").await;
    jobs.begun_anew("both", &first).await;
    scene.expect("configmaps", "config").await;
    waits(&app, "batch/Job/both").await;
    jobs.end("both", true).await;
    let seen = app.operated("Succeeded").await;
    let results = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap();
    let phases: Vec<&Value> =
        results.iter().filter(|result| result["name"] == "both").map(|result| &result["hookType"]).collect();
    assert_eq!(phases, ["PreSync", "PostSync"], "{results:#?}");
}

#[tokio::test]
async fn a_hook_may_be_of_a_kind_that_the_sync_brings() {
    let group = "hooks-kind.e2e.dev";
    let definition = definition("Bell", "bells", group);
    let bell = format!(
        "apiVersion: {group}/v1\nkind: Bell\nmetadata:\n  name: bell\n  annotations: {{argocd.argoproj.io/hook: PostSync}}\n"
    );
    let (scene, app) = asked("hooks-kind", &[("app/definition.yaml", &definition), ("app/bell.yaml", &bell)]).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(result(&seen, "bell")["hookPhase"], "Succeeded", "{:#}", result(&seen, "bell"));
    scene.expect(&format!("bells.{group}/v1"), "bell").await;
}

#[tokio::test]
async fn a_hook_of_a_kind_that_nobody_serves_fails_the_operation() {
    let unknown = "apiVersion: nowhere.e2e.dev/v1\nkind: Ghost\nmetadata:\n  name: ghost\n  annotations:\n    argocd.argoproj.io/hook: PreSync\n    argocd.argoproj.io/sync-options: SkipDryRunOnMissingResource=true\n";
    let (scene, app) = asked("hooks-ghost", &[("app/ghost.yaml", unknown)]).await;
    let seen = app.operated("Failed").await;
    assert!(message(&seen).contains("does not serve the kind nowhere.e2e.dev/v1"), "{}", message(&seen));
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn a_hook_is_made_once_the_one_of_before_is_gone() {
    let (scene, app) = asked("hooks-room", &[("app/before.yaml", &hook("before", "PreSync"))]).await;
    let jobs = Jobs(&scene);
    let first = jobs.succeed("before").await;
    app.operated("Succeeded").await;
    scene.edit("jobs", "before", &json!({"metadata": {"finalizers": ["e2e.dev/test"]}})).await;
    app.ask(json!({})).await;
    waits(&app, "waiting for completion of hook batch/Job/before").await;
    waits(&app, "the one of an earlier sync is being deleted").await;
    assert_eq!(scene.uid("jobs", "before").await, first);
    scene.edit("jobs", "before", &json!({"metadata": {"finalizers": null}})).await;
    jobs.begun_anew("before", &first).await;
    jobs.end("before", true).await;
    app.operated("Succeeded").await;
}

#[tokio::test]
async fn a_hook_may_be_of_any_kind() {
    let settings = config_map("settings", &[("a", "1")]).replace(
        "  name: settings\n",
        "  name: settings\n  annotations: {argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded}\n",
    );
    let (scene, app) = asked("hooks-any", &[("app/settings.yaml", &settings)]).await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(result(&seen, "settings")["hookPhase"], "Succeeded", "{:#}", seen["status"]["operationState"]);
    scene.until_gone("configmaps", "settings").await;
    scene.expect("configmaps", "config").await;
}
