//! Hooks: what runs before, within and after a sync, and what becomes of it.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::ApiResource;
use serde_json::Value;
use serde_json::json;
use trueup_bed::Asked;
use trueup_bed::Audit;
use trueup_bed::Change;
use trueup_bed::Recorder;
use trueup_bed::Requests;
use trueup_bed::until;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::definition;
use trueup_e2e::objects;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::jobs::Jobs;
use crate::jobs::hook;
use crate::jobs::message;
use crate::jobs::result;
use crate::jobs::waits;

/// A definition in wave 0, an object of its kind in wave 1, and a hook of each phase. Answers the group of the kind.
fn commit_all(scene: &Scene<'_>) -> (String, String) {
    let group = format!("{}.e2e.dev", scene.name);
    let definition = definition("Gear", "gears", &group);
    let gear = format!(
        "apiVersion: {group}/v1\nkind: Gear\nmetadata:\n  name: gear\n  annotations: {{argocd.argoproj.io/sync-wave: \"1\"}}\nspec: {{teeth: 12}}\n"
    );
    let commit = scene.commit(&[
        ("app/definition.yaml", Some(&definition)),
        ("app/gear.yaml", Some(&gear)),
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/after.yaml", Some(&hook("after", "PostSync"))),
        ("app/rescue.yaml", Some(&hook("rescue", "SyncFail"))),
    ]);
    (group, commit)
}

fn is_hook(app: &Value, name: &str, hook_type: &str, phase: &str, words: &str) {
    let told = result(app, name);
    assert_eq!(told["hookType"], hook_type, "{told:#}");
    assert_eq!(told["syncPhase"], hook_type, "{told:#}");
    assert_eq!(told["hookPhase"], phase, "{told:#}");
    assert!(told["message"].as_str().is_some_and(|message| message.contains(words)), "{told:#}");
}

#[tokio::test]
async fn phases_and_waves_come_in_their_order() {
    let scene = Scene::shared("hooks-order").await;
    let (group, commit) = commit_all(&scene);
    let kinds = [ApiResource::erase::<Job>(&()), ApiResource::erase::<CustomResourceDefinition>(&())];
    let recorder = Recorder::start(scene.admin.client().clone(), &kinds).await.unwrap();
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application().automated(true, true)).await;
    jobs.begun("before").await;
    let seen = waits(&app, "waiting for completion of hook batch/Job/before since 20").await;
    is_hook(&seen, "before", "PreSync", "Running", "");
    let definition = format!("{}/gears.{group}", objects("customresourcedefinitions", ""));
    assert!(scene.admin.get(&definition).await.is_none(), "a hook that runs before holds up everything");
    jobs.end("before", true).await;
    jobs.begun("after").await;
    let gear = scene.expect(&format!("gears.{group}/v1"), "gear").await;
    jobs.end("after", true).await;
    let seen = app.healthy(&commit).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded", "{}", app.brief().await);
    is_hook(&seen, "before", "PreSync", "Succeeded", "the test says Complete");
    is_hook(&seen, "after", "PostSync", "Succeeded", "the test says Complete");
    assert_eq!(result(&seen, "gear")["syncPhase"], "Sync");
    assert!(result(&seen, "gear")["hookType"].is_null());
    assert!(result(&seen, "rescue").is_null());
    assert!(scene.object("jobs", "rescue").await.is_none(), "nothing failed");
    // Hooks are none of the application's resources, and no drift.
    let resources = seen["status"]["resources"].as_array().unwrap();
    assert!(resources.iter().all(|resource| resource["kind"] != "Job" || resource["hook"] == true), "{resources:#?}");
    assert_eq!(seen["status"]["drift"]["count"], 0);

    recorder.settle().await.unwrap();
    let born = |kind: &str, namespace: &str, name: &str| -> u64 {
        let story = recorder.story(kind, namespace, name);
        let added: Vec<_> = story.iter().filter(|sighting| sighting.change == Change::Added).collect();
        assert_eq!(added.len(), 1, "{kind} {name} was made once: {story:?}");
        added[0].resource_version.parse().unwrap()
    };
    let order = [
        born("Job", &scene.namespace, "before"),
        born("CustomResourceDefinition", "", &format!("gears.{group}")),
        gear["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap(),
        born("Job", &scene.namespace, "after"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    let asked = audit.since(mark).await.unwrap().by("trueup").writes().filtered(|request| {
        (request.namespace == scene.namespace && request.resource != "events") || request.name.ends_with(&group)
    });
    let writes: Vec<(&str, &str)> = asked.iter().map(|asked| (&*asked.verb, &*asked.resource)).collect();
    let expected = [("create", "jobs"), ("patch", "customresourcedefinitions"), ("patch", "gears"), ("create", "jobs")];
    assert_eq!(writes, expected, "one write each, in this order");
}

#[tokio::test]
async fn a_hook_that_fails_brings_those_for_that_and_fails_the_operation() {
    let scene = Scene::shared("hooks-fail").await;
    let (group, _) = commit_all(&scene);
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    jobs.succeed("before").await;
    jobs.fail("after").await;
    jobs.begun("rescue").await;
    let seen = waits(&app, "waiting for completion of hook batch/Job/rescue").await;
    is_hook(&seen, "after", "PostSync", "Failed", "the test says Failed");
    jobs.end("rescue", true).await;
    let seen = app.operated("Failed").await;
    is_hook(&seen, "before", "PreSync", "Succeeded", "");
    is_hook(&seen, "after", "PostSync", "Failed", "the test says Failed");
    is_hook(&seen, "rescue", "SyncFail", "Succeeded", "");
    assert_eq!(result(&seen, "after")["status"], "SyncFailed");
    assert_eq!(result(&seen, "gear")["status"], "Synced", "what was applied stays");
    assert!(message(&seen).contains("job.batch/after"), "{}", message(&seen));
    assert!(seen["status"]["history"].is_null(), "a sync that failed is no history");
    scene.expect(&format!("gears.{group}/v1"), "gear").await;
}

#[tokio::test]
async fn a_hook_that_fails_before_the_sync_keeps_it_from_beginning() {
    let scene = Scene::shared("hooks-fail-first").await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    Jobs(&scene).fail("before").await;
    let seen = app.operated("Failed").await;
    is_hook(&seen, "before", "PreSync", "Failed", "the test says Failed");
    assert!(scene.object("configmaps", "config").await.is_none());
}

/// How often the status is written for a sync of a hook, a wave that waits and another one: its start, that the hook runs, its
/// end before anything follows, that the wave waits, and its own end with the health that is seen then. One more, if the
/// health comes later.
const WRITES_MAX: usize = 6;

#[tokio::test]
async fn each_turn_costs_one_write_and_rest_costs_none() {
    let scene = Scene::shared("hooks-cost").await;
    let late = config_map("late", &[("a", "1")])
        .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    let commit = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/late.yaml", Some(&late)),
    ]);
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let own = |requests: &Requests| {
        requests.by("trueup").filtered(|asked| {
            let application = asked.resource == "applications" && asked.name == scene.name;
            (application || asked.namespace == scene.namespace) && asked.verb != "watch"
        })
    };
    let app = scene.create(scene.application().automated(true, true)).await;
    Jobs(&scene).begun("before").await;
    waits(&app, "batch/Job/before").await;
    Jobs(&scene).end("before", true).await;
    waits(&app, "Service/balancer").await;
    Balancer(&scene).ready(true).await;
    app.healthy(&commit).await;
    // Rest is when the refs are listed again and nothing follows from it.
    let seen = until("rest", SLOW, async || {
        let mark = audit.mark().await.unwrap();
        scene.listed(scene.repository.asked(Asked::LsRefs) + 2).await;
        let moved = own(&audit.since(mark).await.unwrap());
        if moved.is_empty() { Ok(()) } else { Err(moved.counts()) }
    });
    seen.await.unwrap();
    let all = own(&audit.since(mark).await.unwrap());
    let writes = all.filtered(|asked| asked.resource == "applications" && asked.writes());
    assert!(writes.len() <= WRITES_MAX, "{:#?}", writes.iter().map(|write| write.at).collect::<Vec<_>>());
    assert_eq!(all.count("create", "jobs"), 1, "{:?}", all.counts());
    assert_eq!(all.count("patch", "services") + all.count("patch", "configmaps"), 2, "{:?}", all.counts());
    let reads = all.filtered(|asked| ["get", "list"].contains(&&*asked.verb));
    assert!(reads.is_empty(), "everything is known from watches: {:?}", reads.counts());
}

#[tokio::test]
async fn what_has_begun_comes_to_its_end_before_the_operation_fails() {
    let scene = Scene::shared("hooks-side").await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/one.yaml", Some(&hook("one", "PreSync"))),
        ("app/other.yaml", Some(&hook("other", "PreSync"))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let jobs = Jobs(&scene);
    jobs.fail("one").await;
    let seen = app.until("the first failure", |app| result(app, "one")["hookPhase"] == "Failed").await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Running");
    waits(&app, "waiting for completion of hook batch/Job/other").await;
    jobs.succeed("other").await;
    let seen = app.operated("Failed").await;
    is_hook(&seen, "other", "PreSync", "Succeeded", "");
    assert!(message(&seen).contains("job.batch/one") && !message(&seen).contains("job.batch/other"));
}

#[tokio::test]
async fn a_hook_of_the_sync_itself_holds_up_the_next_wave() {
    let scene = Scene::shared("hooks-within").await;
    let late = config_map("late", &[("a", "1")])
        .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/within.yaml", Some(&hook("within", "Sync"))),
        ("app/late.yaml", Some(&late)),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let jobs = Jobs(&scene);
    jobs.begun("within").await;
    waits(&app, "waiting for completion of hook batch/Job/within").await;
    scene.expect("configmaps", "config").await;
    assert!(scene.object("configmaps", "late").await.is_none());
    jobs.end("within", true).await;
    let seen = app.healthy(&commit).await;
    is_hook(&seen, "within", "Sync", "Succeeded", "");
    scene.expect("configmaps", "late").await;
}

#[tokio::test]
async fn a_hook_that_is_refused_fails_the_operation_in_the_servers_words() {
    let scene = Scene::shared("hooks-refused").await;
    let bad = hook("bad", "PreSync").replace("restartPolicy: Never", "restartPolicy: Sometimes");
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/bad.yaml", Some(&bad)),
        ("app/good.yaml", Some(&hook("good", "PreSync"))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    // The other one of its wave has begun with it.
    Jobs(&scene).succeed("good").await;
    let seen = app.operated("Failed").await;
    is_hook(&seen, "bad", "PreSync", "Failed", "restartPolicy");
    assert!(message(&seen).contains("job.batch/bad") && message(&seen).contains("Sometimes"), "{}", message(&seen));
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn hooks_that_share_a_generated_name_all_run() {
    let scene = Scene::shared("hooks-namesakes").await;
    let named = |image: &str| {
        hook("run", "PreSync").replace("  name: run\n", "  generateName: run-\n").replace("work:1", image)
    };
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/one.yaml", Some(&named("one:1"))),
        ("app/two.yaml", Some(&named("two:1"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let images = |jobs: &[Value]| -> Vec<String> {
        let image = |job: &Value| job["spec"]["template"]["spec"]["containers"][0]["image"].to_string();
        jobs.iter().map(image).collect()
    };
    let made = until("both hooks", SLOW, async || {
        let made = scene.admin.list(&objects("jobs", &scene.namespace)).await;
        if made.len() == 2 { Ok(made) } else { Err(images(&made)) }
    })
    .await
    .unwrap();
    let mut ran = images(&made);
    ran.sort();
    assert_eq!(ran, [r#""registry.example/one:1""#, r#""registry.example/two:1""#]);
    assert!(scene.object("configmaps", "config").await.is_none());
    for job in &made {
        Jobs(&scene).end(job["metadata"]["name"].as_str().unwrap(), true).await;
    }
    app.healthy(&commit).await;
}

#[tokio::test]
async fn a_hook_comes_to_its_end_though_automation_is_switched_off() {
    let scene = Scene::shared("hooks-off").await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let jobs = Jobs(&scene);
    let uid = jobs.begun("before").await;
    waits(&app, "batch/Job/before").await;
    app.patch(&json!({"spec": {"syncPolicy": {"automated": null}}})).await;
    app.refresh("normal").await;
    assert_eq!(scene.uid("jobs", "before").await, uid, "what it has begun is not left half done");
    waits(&app, "batch/Job/before").await;
    jobs.end("before", true).await;
    let seen = app.operated("Failed").await;
    assert_eq!(message(&seen), "automated sync was switched off before the operation had ended");
    is_hook(&seen, "before", "PreSync", "Succeeded", "the test says Complete");
    assert!(scene.object("configmaps", "config").await.is_none(), "nothing follows from it");
}

#[tokio::test]
async fn a_hook_comes_to_its_end_though_the_application_points_elsewhere_by_now() {
    for (name, change) in [
        ("hooks-path", json!({"source": {"path": "other"}})),
        ("hooks-place", json!({"destination": {"namespace": "t-hooks-place-else"}})),
    ] {
        let scene = Scene::shared(name).await;
        scene.commit(&[
            ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
            ("app/before.yaml", Some(&hook("before", "PreSync"))),
            ("other/other.yaml", Some(&config_map("other", &[("a", "1")]))),
        ]);
        let app = scene.create(scene.application()).await;
        app.sync_status("OutOfSync").await;
        app.ask(json!({})).await;
        let jobs = Jobs(&scene);
        let uid = jobs.begun("before").await;
        waits(&app, "batch/Job/before").await;
        app.patch(&json!({"spec": change})).await;
        app.refresh("normal").await;
        waits(&app, "batch/Job/before").await;
        assert_eq!(scene.uid("jobs", "before").await, uid);
        for namespace in [&*scene.namespace, "t-hooks-place-else"] {
            let maps = scene.admin.list(&objects("configmaps", namespace)).await;
            assert!(maps.iter().all(|map| map["metadata"]["name"] == "kube-root-ca.crt"), "{maps:#?}");
        }
        assert!(scene.admin.list(&objects("jobs", "t-hooks-place-else")).await.is_empty(), "it is not made twice");
        jobs.end("before", true).await;
        let seen = app.operated("Failed").await;
        let words = "the source or the destination of the application was changed before the operation had ended";
        assert_eq!(message(&seen), words);
        is_hook(&seen, "before", "PreSync", "Succeeded", "the test says Complete");
    }
}
