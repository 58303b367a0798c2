//! Waves: the next one begins when the last is healthy, what was removed goes the other way round.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::App;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::jobs::message;
use crate::jobs::result;
use crate::jobs::waits;

/// A ConfigMap in a wave, with further annotations.
fn in_wave(name: &str, wave: i64, more: &[(&str, &str)]) -> String {
    let wave = format!("argocd.argoproj.io/sync-wave: \"{wave}\"");
    let more = more.iter().map(|(key, value)| format!("{key}: \"{value}\""));
    let annotations = std::iter::once(wave).chain(more).collect::<Vec<_>>().join("\n    ");
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations:\n    {annotations}\ndata: {{a: \"1\"}}\n"
    )
}

/// A Deployment whose Pods find no node before somebody labels one.
fn waiting_deployment(scene: &Scene<'_>) -> String {
    let open = format!("      nodeSelector: {{e2e.dev/{}: open}}\n      containers:\n", scene.name);
    deployment("web", 1, "blue").replace("      containers:\n", &open)
}

/// Lets the Pods of that Deployment run.
async fn open(scene: &Scene<'_>) {
    let nodes = scene.admin.list("/api/v1/nodes").await;
    let path = format!("/api/v1/nodes/{}", nodes[0]["metadata"]["name"].as_str().unwrap());
    let label = format!("e2e.dev/{}", scene.name);
    scene.admin.merge(&path, "somebody", &json!({"metadata": {"labels": {label: "open"}}})).await;
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|value| value.parse().ok()).unwrap()
}

#[tokio::test]
async fn the_next_wave_begins_when_the_last_is_healthy() {
    let scene = Scene::shared("waves-next").await;
    let commit = scene.commit(&[
        ("app/early.yaml", Some(&in_wave("early", -5, &[]))),
        ("app/web.yaml", Some(&waiting_deployment(&scene))),
        ("app/late.yaml", Some(&in_wave("late", 1, &[]))),
        ("app/later.yaml", Some(&in_wave("later", 2, &[]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let seen = waits(&app, "waiting for healthy state of apps/Deployment/web since 20").await;
    assert!(seen["status"]["operationState"]["finishedAt"].is_null());
    app.refresh("normal").await;
    assert!(scene.object("configmaps", "late").await.is_none(), "its wave has not begun");
    open(&scene).await;
    let seen = app.healthy(&commit).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded");
    let mut versions = Vec::new();
    for name in ["early", "late", "later"] {
        let object = scene.expect("configmaps", name).await;
        versions.push(number(&object["metadata"]["resourceVersion"]));
    }
    let web = scene.expect("deployments", "web").await;
    versions.insert(1, number(&web["metadata"]["resourceVersion"]));
    assert!(versions.is_sorted(), "the Deployment was last written when it had become ready: {versions:?}");
    for name in ["early", "web", "late", "later"] {
        assert_eq!(result(&seen, name)["hookPhase"], "Succeeded", "{:#}", result(&seen, name));
    }
}

#[tokio::test]
async fn the_last_wave_is_not_waited_for() {
    let scene = Scene::shared("waves-last").await;
    let commit = scene
        .commit(&[("app/early.yaml", Some(&in_wave("early", -1, &[]))), ("app/balancer.yaml", Some(LOAD_BALANCER))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded");
    app.until("Progressing", |app| app["status"]["health"]["status"] == "Progressing").await;
}

#[tokio::test]
async fn an_object_whose_health_counts_for_nothing_holds_nothing_up() {
    let scene = Scene::shared("waves-ignore").await;
    let ignored = LOAD_BALANCER.replace(
        "{name: balancer}",
        "{name: balancer, annotations: {argocd.argoproj.io/ignore-healthcheck: \"true\"}}",
    );
    let commit =
        scene.commit(&[("app/balancer.yaml", Some(&ignored)), ("app/late.yaml", Some(&in_wave("late", 1, &[])))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    scene.expect("configmaps", "late").await;
    scene.expect("services", "balancer").await;
}

#[tokio::test]
async fn a_wave_that_is_degraded_fails_the_operation() {
    let scene = Scene::shared("waves-degraded").await;
    let hopeless =
        waiting_deployment(&scene).replace("  replicas: 1\n", "  replicas: 1\n  progressDeadlineSeconds: 1\n");
    scene.commit(&[("app/web.yaml", Some(&hopeless)), ("app/late.yaml", Some(&in_wave("late", 1, &[])))]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let seen = app.operated("Failed").await;
    assert!(message(&seen).contains("deployment.apps/web: "), "{}", message(&seen));
    assert!(message(&seen).contains("progress deadline"), "{}", message(&seen));
    assert!(scene.object("configmaps", "late").await.is_none());
}

#[tokio::test]
async fn a_wave_has_as_long_as_its_deadline_says() {
    let scene = Scene::shared("waves-deadline").await;
    scene.commit(&[("app/balancer.yaml", Some(LOAD_BALANCER)), ("app/late.yaml", Some(&in_wave("late", 1, &[])))]);
    let app = scene.create(scene.application().annotation("trueup.dev/wave-deadline", "2s")).await;
    app.sync_status("OutOfSync").await;
    app.patch(&json!({"operation": {"sync": {}, "retry": {"limit": 5}}})).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    let seen = app.operated("Failed").await;
    for words in ["2s (trueup.dev/wave-deadline)", "waiting for healthy state of Service/balancer"] {
        assert!(message(&seen).contains(words), "{}", message(&seen));
    }
    assert!(scene.object("configmaps", "late").await.is_none());
    assert!(seen["status"]["operationState"]["retryCount"].as_i64().unwrap_or_default() == 0, "its time is over");
}

/// The deletions in a scene's namespace, in their order.
async fn deletions(scene: &Scene<'_>, audit: &Audit, mark: trueup_bed::Mark) -> Vec<(String, String)> {
    let asked = audit.since(mark).await.unwrap().by("trueup").writes();
    let here = asked.filtered(|asked| asked.namespace == scene.namespace && asked.resource != "events");
    here.iter().map(|asked| (asked.verb.clone(), asked.name.clone())).collect()
}

async fn prunes(app: &App, commit: &str) -> Value {
    app.until(&format!("OutOfSync at {commit}"), |app| {
        app["status"]["sync"]["status"] == "OutOfSync" && app["status"]["sync"]["revision"] == commit
    })
    .await;
    app.ask(json!({"prune": true})).await
}

#[tokio::test]
async fn what_was_removed_goes_after_what_is_applied_from_the_highest_wave_to_the_lowest() {
    let scene = Scene::shared("waves-prune").await;
    let last = [("argocd.argoproj.io/sync-options", "PruneLast=true")];
    let first = scene.commit(&[
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
        ("app/goes-low.yaml", Some(&in_wave("goes-low", -1, &[]))),
        ("app/goes-high.yaml", Some(&in_wave("goes-high", 3, &[]))),
        ("app/goes-middle.yaml", Some(&in_wave("goes-middle", 1, &[]))),
        ("app/goes-last.yaml", Some(&in_wave("goes-last", 5, &last))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    app.synced(&first).await;
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let second = scene.commit(&[
        ("app/goes-low.yaml", None),
        ("app/goes-high.yaml", None),
        ("app/goes-middle.yaml", None),
        ("app/goes-last.yaml", None),
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "2")]))),
    ]);
    prunes(&app, &second).await;
    // What goes last waits until everything that stays is healthy.
    waits(&app, "waiting for healthy state of Service/balancer").await;
    scene.expect("configmaps", "goes-last").await;
    for gone in ["goes-low", "goes-middle", "goes-high"] {
        assert!(scene.object("configmaps", gone).await.is_none(), "{gone}");
    }
    Balancer(&scene).ready(true).await;
    let seen = app.synced(&second).await;
    assert_eq!(result(&seen, "goes-last")["status"], "Pruned");
    let expected = [
        ("patch", "stays"),
        ("patch", "balancer"),
        ("delete", "goes-high"),
        ("delete", "goes-middle"),
        ("delete", "goes-low"),
        ("delete", "goes-last"),
    ];
    let done = deletions(&scene, &audit, mark).await;
    let mut done: Vec<(&str, &str)> = done.iter().map(|(verb, name)| (&**verb, &**name)).collect();
    // Side by side, in any order.
    done[..2].sort_by_key(|(_, name)| *name != "stays");
    assert_eq!(done, expected);
}

#[tokio::test]
async fn a_wave_of_prunes_waits_until_the_one_before_is_gone() {
    let scene = Scene::shared("waves-gone").await;
    let first = scene.commit(&[
        ("app/stays.yaml", Some(&config_map("stays", &[("a", "1")]))),
        ("app/low.yaml", Some(&in_wave("low", 1, &[]))),
        ("app/high.yaml", Some(&in_wave("high", 2, &[]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    app.synced(&first).await;
    scene.edit("configmaps", "high", &json!({"metadata": {"finalizers": ["e2e.dev/test"]}})).await;
    let second = scene.commit(&[("app/low.yaml", None), ("app/high.yaml", None)]);
    prunes(&app, &second).await;
    waits(&app, "waiting for deletion of ConfigMap/high").await;
    scene.expect("configmaps", "low").await;
    scene.edit("configmaps", "high", &json!({"metadata": {"finalizers": null}})).await;
    scene.until_gone("configmaps", "low").await;
    app.synced(&second).await;
}

#[tokio::test]
async fn what_leaves_the_application_while_a_wave_waits_is_not_pruned() {
    let scene = Scene::shared("waves-leaves").await;
    let names = ["gone", "moved", "asks", "extraneous"];
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("app/{name}.yaml"), in_wave(name, 0, &[]))).collect();
    scene.commit(&files.iter().map(|(path, text)| (&**path, Some(&**text))).collect::<Vec<_>>());
    let app = scene.create(scene.application().sync_option("PruneLast=true")).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    app.operated("Succeeded").await;
    let removed = files.iter().map(|(path, _)| (&**path, None));
    let late = in_wave("late", 1, &[]);
    let added = [("app/balancer.yaml", Some(LOAD_BALANCER)), ("app/late.yaml", Some(&*late))];
    let commit = scene.commit(&removed.chain(added).collect::<Vec<_>>());
    app.ask(json!({"prune": true, "revision": commit})).await;
    waits(&app, "Service/balancer").await;
    let annotations = [
        ("moved", "argocd.argoproj.io/tracking-id", format!("another:/ConfigMap:{}/moved", scene.namespace)),
        ("asks", "argocd.argoproj.io/sync-options", "Prune=confirm".to_owned()),
        ("extraneous", "argocd.argoproj.io/compare-options", "IgnoreExtraneous".to_owned()),
    ];
    for (name, annotation, value) in &annotations {
        scene.edit("configmaps", name, &json!({"metadata": {"annotations": {*annotation: value}}})).await;
    }
    app.refresh("normal").await;
    Balancer(&scene).ready(true).await;
    let seen = app
        .until("its end", |app| {
            let state = &app["status"]["operationState"];
            state["operation"]["sync"]["revision"] == commit && !state["finishedAt"].is_null()
        })
        .await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded", "{}", app.brief().await);
    assert_eq!(result(&seen, "gone")["status"], "Pruned");
    assert!(result(&seen, "moved").is_null(), "{:#}", result(&seen, "moved"));
    for name in ["asks", "extraneous"] {
        assert_eq!(result(&seen, name)["status"], "PruneSkipped", "{:#}", result(&seen, name));
    }
    scene.until_gone("configmaps", "gone").await;
    for name in ["moved", "asks", "extraneous"] {
        scene.expect("configmaps", name).await;
    }
}
