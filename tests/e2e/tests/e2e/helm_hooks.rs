//! Helm's annotations for hooks, on plain manifests as `helm template` prints them.

use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::jobs::Jobs;
use crate::jobs::job;
use crate::jobs::result;
use crate::jobs::waits;

fn helm(name: &str, hook: &str, weight: &str, policy: &str) -> String {
    job(
        name,
        &[
            &format!("helm.sh/hook: {hook}"),
            &format!("helm.sh/hook-weight: \"{weight}\""),
            &format!("helm.sh/hook-delete-policy: {policy}"),
        ],
    )
}

#[tokio::test]
async fn they_run_by_their_weights_before_and_after() {
    let scene = Scene::shared("helm-order").await;
    let both = "before-hook-creation";
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/second.yaml", Some(&helm("second", "pre-install,pre-upgrade", "5", both))),
        ("app/first.yaml", Some(&helm("first", "pre-install", "-5", both))),
        ("app/last.yaml", Some(&helm("last", "post-upgrade", "0", "hook-succeeded"))),
        ("app/never.yaml", Some(&helm("never", "test", "0", both))),
        ("app/not-here.yaml", Some(&helm("not-here", "pre-rollback", "0", both))),
        // Its own annotation goes before Helm's.
        ("app/own.yaml", Some(&job("own", &["helm.sh/hook: pre-install", "argocd.argoproj.io/hook: PostSync"]))),
    ]);
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    jobs.begun("first").await;
    waits(&app, "waiting for completion of hook batch/Job/first").await;
    assert!(scene.object("jobs", "second").await.is_none());
    jobs.end("first", true).await;
    jobs.succeed("second").await;
    jobs.succeed("last").await;
    jobs.succeed("own").await;
    let seen = app.operated("Succeeded").await;
    for (name, phase) in [("first", "PreSync"), ("second", "PreSync"), ("last", "PostSync"), ("own", "PostSync")] {
        assert_eq!(result(&seen, name)["hookType"], phase, "{name}: {:#}", result(&seen, name));
        assert_eq!(result(&seen, name)["hookPhase"], "Succeeded", "{name}");
    }
    for name in ["never", "not-here"] {
        assert!(scene.object("jobs", name).await.is_none(), "{name}");
        assert!(result(&seen, name).is_null(), "{name}");
    }
    assert!(seen["status"]["conditions"].is_null(), "{:#}", seen["status"]["conditions"]);
    scene.until_gone("jobs", "last").await;
    let asked = audit.since(mark).await.unwrap().by("trueup").filtered(|asked| {
        asked.namespace == scene.namespace && ["create", "patch"].contains(&&*asked.verb) && asked.writes()
    });
    let order: Vec<&str> =
        asked.iter().map(|asked| &*asked.resource).filter(|resource| *resource != "events").collect();
    assert_eq!(order, ["jobs", "jobs", "configmaps", "jobs", "jobs"]);
}

#[tokio::test]
async fn their_delete_policies_are_kept_to() {
    let scene = Scene::shared("helm-policies").await;
    let all = "before-hook-creation,hook-failed";
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/anew.yaml", Some(&helm("anew", "pre-install", "0", all))),
        ("app/succeeded.yaml", Some(&helm("succeeded", "pre-install", "0", "hook-succeeded"))),
    ]);
    let jobs = Jobs(&scene);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let first = jobs.succeed("anew").await;
    jobs.succeed("succeeded").await;
    app.operated("Succeeded").await;
    scene.until_gone("jobs", "succeeded").await;
    app.ask(json!({})).await;
    jobs.begun_anew("anew", &first).await;
    jobs.end("anew", false).await;
    jobs.succeed("succeeded").await;
    app.operated("Failed").await;
    scene.until_gone("jobs", "anew").await;
    scene.expect("jobs", "succeeded").await;
}
