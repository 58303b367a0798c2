//! `trueup.dev/depends-on`: an application begins nothing by itself while another one is not where it has to be.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;

const DEPENDS_ON: &str = "trueup.dev/depends-on";
const WARNING: &str = "DependencyWarning";

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn it_waits_until_the_other_is_synced_and_healthy() {
    let scene = Scene::shared("dep-waits").await;
    let files = [("base/lb.yaml", Some(LOAD_BALANCER)), ("app/top.yaml", None)];
    let top = config_map("top", &[("a", "1")]);
    let commit = scene.commit(&[files[0], ("app/top.yaml", Some(&top))]);
    // The one that waits is there first.
    let built = scene.application().automated(true, true).annotation(DEPENDS_ON, "dep-waits-base");
    let app = scene.create(built).await;
    app.condition(WARNING, &["there is no application argocd/dep-waits-base"]).await;
    assert!(scene.object("configmaps", "top").await.is_none());

    let base = scene.application_named("dep-waits-base").path("base").automated(true, true);
    let base = scene.create(base).await;
    base.until("Progressing", |app| app["status"]["health"]["status"] == "Progressing").await;
    app.condition(WARNING, &["application argocd/dep-waits-base is Progressing"]).await;
    assert!(scene.object("configmaps", "top").await.is_none());
    // Who asks for a sync waits, too.
    app.ask(json!({})).await;
    let words =
        "waiting for the applications that this one depends on: application argocd/dep-waits-base is Progressing";
    app.until("the operation that waits", |app| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Running" && state["message"] == words && !app["operation"].is_null()
    })
    .await;
    app.patch(&json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    let seen = app.operated("Failed").await;
    assert_eq!(seen["status"]["operationState"]["message"], "Operation terminated");
    assert!(scene.object("configmaps", "top").await.is_none());

    let balancer = Balancer(&scene);
    app.ask(json!({})).await;
    app.until("the operation that waits", |app| app["status"]["operationState"]["message"] == words).await;
    balancer.ready(true).await;
    let seen = app.synced(&commit).await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded");
    app.without_condition(WARNING).await;

    // What drifts meanwhile is told, and healed when the other is back.
    balancer.ready(false).await;
    base.until("Progressing", |app| app["status"]["health"]["status"] == "Progressing").await;
    scene.edit("configmaps", "top", &json!({"data": {"a": "9"}})).await;
    app.until("drift that is told", |app| app["status"]["drift"]["count"] == 1).await;
    app.condition(WARNING, &["application argocd/dep-waits-base is Progressing"]).await;
    assert_eq!(scene.expect("configmaps", "top").await["data"]["a"], "9");
    balancer.ready(true).await;
    scene.until_value("configmaps", "top", "/data/a", "1").await;
    app.without_condition(WARNING).await;
}

#[tokio::test]
async fn a_commit_that_concerns_both_goes_through_the_other_first() {
    let scene = Scene::shared("dep-order").await;
    let files = |value: &str| {
        [
            ("app/top.yaml", config_map("top", &[("a", value)])),
            ("base/config.yaml", config_map("base", &[("a", value)])),
            ("middle/config.yaml", config_map("middle", &[("a", value)])),
        ]
    };
    let commit = |value: &str| {
        let files = files(value);
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect();
        scene.commit(&files)
    };
    let first = commit("1");
    let label = json!({"tier": "dep-order"});
    let base = scene.application_named("dep-order-base").path("base").automated(true, true);
    let base = scene.create(base.set("/metadata", "labels", label)).await;
    let middle = scene.application_named("dep-order-middle").path("middle").automated(true, true);
    scene.create(middle.annotation(DEPENDS_ON, "label:tier=dep-order@synced")).await;
    let app = scene.application().automated(true, true).annotation(DEPENDS_ON, "dep-order-middle");
    let app = scene.create(app).await;
    app.synced(&first).await;
    let order = async || {
        let mut versions = Vec::new();
        for name in ["base", "middle", "top"] {
            versions.push(version(&scene.expect("configmaps", name).await));
        }
        versions
    };
    let versions = order().await;
    assert!(versions.is_sorted(), "{versions:?}");
    for round in ["2", "3"] {
        let commit = commit(round);
        app.synced(&commit).await;
        let versions = order().await;
        assert!(versions.is_sorted(), "round {round}: {versions:?}");
        assert_eq!(scene.expect("configmaps", "base").await["data"]["a"], round);
    }
    // Whom labels choose may change at any time.
    let other = json!({"metadata": {"labels": {"tier": "none"}}});
    base.patch(&other).await;
    let middle = scene.app("dep-order-middle");
    middle.condition(WARNING, &["there is no application label:tier=dep-order"]).await;
    base.patch(&json!({"metadata": {"labels": {"tier": "dep-order"}}})).await;
    middle.without_condition(WARNING).await;
}

/// How many applications wait, each for as many others.
const CROWD: usize = 20;

#[tokio::test]
async fn many_that_wait_for_many_cost_no_more_than_what_they_do() {
    let scene = Scene::shared("dep-crowd").await;
    let commit = |value: &str| {
        let mut files = Vec::new();
        for number in 0..CROWD {
            let config = |name: &str| config_map(&format!("{name}-{number}"), &[("a", value)]);
            files.push((format!("base/{number}/config.yaml"), config("base")));
            files.push((format!("top/{number}/config.yaml"), config("top")));
        }
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        scene.commit(&files)
    };
    let first = commit("1");
    let mut tops = Vec::new();
    for number in 0..CROWD {
        let base = scene.application_named(&format!("dep-crowd-base-{number}")).path(&format!("base/{number}"));
        scene.create(base.automated(true, true).set("/metadata", "labels", json!({"tier": "dep-crowd"}))).await;
    }
    for number in 0..CROWD {
        let top = scene.application_named(&format!("dep-crowd-top-{number}")).path(&format!("top/{number}"));
        tops.push(scene.create(top.automated(true, true).annotation(DEPENDS_ON, "label:tier=dep-crowd")).await);
    }
    for top in &tops {
        top.healthy(&first).await;
    }
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let second = commit("2");
    for top in &tops {
        top.healthy(&second).await;
    }
    let mut last_base = 0;
    let mut first_top = u64::MAX;
    for number in 0..CROWD {
        last_base = last_base.max(version(&scene.expect("configmaps", &format!("base-{number}")).await));
        first_top = first_top.min(version(&scene.expect("configmaps", &format!("top-{number}")).await));
    }
    assert!(last_base < first_top, "{last_base} {first_top}");
    // Its start, its end, and what it says of a long wait: for what it waits now, and that it no longer waits.
    let asked = audit.since(mark).await.unwrap().by("trueup").writes();
    for top in &tops {
        let own = asked.filtered(|request| request.resource == "applications" && request.name == top.name);
        assert!(own.len() <= 8, "{}: {} status writes", top.name, own.len());
    }
}

#[tokio::test]
async fn a_circle_is_told_to_every_member_and_ends_with_the_annotation() {
    let scene = Scene::shared("dep-circle").await;
    let commit = scene.commit(&[
        ("app/a.yaml", Some(&config_map("a", &[("a", "1")]))),
        ("b/b.yaml", Some(&config_map("b", &[("a", "1")]))),
    ]);
    let a = scene.create(scene.application().automated(true, true).annotation(DEPENDS_ON, "dep-circle-b")).await;
    let b = scene.application_named("dep-circle-b").path("b").automated(true, true);
    let b = scene.create(b.annotation(DEPENDS_ON, "dep-circle@synced")).await;
    a.condition(WARNING, &["waits for itself: dep-circle -> dep-circle-b -> dep-circle"]).await;
    b.condition(WARNING, &["waits for itself: dep-circle-b -> dep-circle -> dep-circle-b"]).await;
    assert!(scene.object("configmaps", "a").await.is_none() && scene.object("configmaps", "b").await.is_none());
    b.patch(&json!({"metadata": {"annotations": {DEPENDS_ON: null}}})).await;
    b.synced(&commit).await;
    a.synced(&commit).await;
    for app in [a, b] {
        app.without_condition(WARNING).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_begins_nothing() {
    let scene = Scene::shared("dep-wrong").await;
    let commit = scene.put("app/a.yaml", &config_map("a", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true).annotation(DEPENDS_ON, "one,two")).await;
    app.condition(WARNING, &["nobody knows what to wait for", "'one,two'"]).await;
    assert!(scene.object("configmaps", "a").await.is_none());
    app.patch(&json!({"metadata": {"annotations": {DEPENDS_ON: null}}})).await;
    app.synced(&commit).await;
    app.without_condition(WARNING).await;
}
