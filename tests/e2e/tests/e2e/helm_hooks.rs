//! Helm's annotations for hooks, on plain manifests as `helm template` prints them.

use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

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

#[tokio::test]
async fn a_hook_that_holds_data_or_objects_is_kept() {
    let scene = Scene::shared("helm-data").await;
    let group = "helm-data.e2e.dev";
    let claim = "\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}
";
    let namespace = "\
apiVersion: v1
kind: Namespace
metadata: {name: t-helm-data-more, annotations: {argocd.argoproj.io/hook: PreSync}}
";
    let definition = format!(
        "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: gears.{group}, annotations: {{argocd.argoproj.io/hook: PreSync}}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Gear, listKind: GearList, plural: gears, singular: gear}}
  versions:
    - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}
"
    );
    scene.commit(&[
        ("app/claim.yaml", Some(claim)),
        ("app/namespace.yaml", Some(namespace)),
        ("app/definition.yaml", Some(&definition)),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    waits(&app, "PersistentVolumeClaim/data").await;
    let bound = format!("{}/status", scene.path("persistentvolumeclaims", "data"));
    scene.admin.merge(&bound, "binder", &json!({"status": {"phase": "Bound"}})).await;
    app.operated("Succeeded").await;
    let paths = [
        scene.path("persistentvolumeclaims", "data"),
        format!("{}/t-helm-data-more", objects("namespaces", "")),
        format!("{}/gears.{group}", objects("customresourcedefinitions", "")),
    ];
    let uids = async || {
        let mut uids = Vec::new();
        for path in &paths {
            let there = scene.admin.get(path).await.unwrap();
            assert!(there["metadata"]["deletionTimestamp"].is_null(), "{path}");
            uids.push(there["metadata"]["uid"].to_string());
        }
        uids
    };
    let first = uids().await;
    // What they say may change; the objects are the same.
    let changed = namespace.replace("annotations: {", "labels: {second: 'yes'}, annotations: {");
    let commit = scene.commit(&[("app/namespace.yaml", Some(&changed))]);
    app.ask(json!({"revision": commit})).await;
    let seen = app
        .until("the end of the second", |app| {
            let state = &app["status"]["operationState"];
            state["operation"]["sync"]["revision"] == commit && !state["finishedAt"].is_null()
        })
        .await;
    assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded", "{}", app.brief().await);
    assert_eq!(uids().await, first);
    let there = scene.admin.get(&paths[1]).await.unwrap();
    assert_eq!(there["metadata"]["labels"]["second"], "yes");
}
