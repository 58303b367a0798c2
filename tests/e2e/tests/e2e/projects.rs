//! What a project permits, and what it does not.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Controller;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::secret;
use trueup_e2e::objects;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::jobs::hook;
use crate::jobs::message;
use crate::jobs::result;
use crate::jobs::waits;

const SERVER: &str = "https://kubernetes.default.svc";

/// A namespace of its own for Applications: a project changes what `default` is for all of them.
pub(crate) async fn scene(name: &str) -> (Scene<'static>, Controller) {
    let control = format!("t-{name}-argocd");
    let scene = Scene::new(World::shared(), name, &control).await;
    let controller = scene.world.controller(&controller_options(&control)).await;
    (scene, controller)
}

/// A project, whose Applications may have the namespaces of their destinations made where it says nothing of kinds without one.
pub(crate) async fn project(scene: &Scene<'_>, name: &str, mut spec: Value) {
    if spec.get("clusterResourceWhitelist").is_none() {
        spec["clusterResourceWhitelist"] = json!([{"group": "", "kind": "Namespace"}]);
    }
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": name}, "spec": spec,
    });
    scene.admin.create(&objects("appprojects", &scene.control), &project).await;
}

pub(crate) async fn amend(scene: &Scene<'_>, name: &str, spec: Value) {
    let path = format!("{}/{name}", objects("appprojects", &scene.control));
    scene.admin.merge(&path, "somebody", &json!({"spec": spec})).await;
}

#[tokio::test]
async fn what_is_not_permitted_is_not_done() {
    let (scene, _controller) = scene("projects").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let allowed = json!({
        "sourceRepos": [scene.repository.url()],
        "destinations": [{"server": SERVER, "namespace": "t-projects*"}],
    });
    project(&scene, "team", allowed.clone()).await;
    // What is permitted works, while what is not is told.
    let good = scene.create(scene.application_named("projects-good").project("team").automated(true, true)).await;
    good.synced(&commit).await;
    let built = scene.application_named("projects-source").project("team").repo("https://git.example/other.git");
    let source = scene.create(built.automated(true, true)).await;
    let words = ["application repo https://git.example/other.git is not permitted in project 'team'"];
    let seen = source.condition("InvalidSpecError", &words).await;
    assert_eq!(seen["status"]["sync"]["status"], "Unknown");
    assert_eq!(seen["status"]["health"]["status"], "Unknown");
    let built = scene.application_named("projects-place").project("team").destination("elsewhere");
    let place = scene.create(built.automated(true, true)).await;
    let words = [SERVER, "'elsewhere'", "do not match any of the allowed destinations in project 'team'"];
    let seen = place.condition("InvalidSpecError", &words).await;
    assert_eq!(seen["status"]["sync"]["status"], "Unknown");
    assert!(scene.admin.get("/api/v1/namespaces/elsewhere").await.is_none());
    // As soon as it is permitted, it happens.
    amend(&scene, "team", json!({"destinations": [{"server": SERVER, "namespace": "*"}]})).await;
    place.synced(&commit).await;
    place.without_condition("InvalidSpecError").await;
    // And what was permitted once is not taken away by half: it is only no longer touched.
    amend(&scene, "team", json!({"sourceRepos": ["https://git.example/*"]})).await;
    good.condition("InvalidSpecError", &["is not permitted in project 'team'"]).await;
    scene.expect("configmaps", "config").await;
    amend(&scene, "team", allowed).await;
    good.synced(&commit).await;
}

#[tokio::test]
async fn kinds_that_are_not_permitted_stop_the_sync() {
    let (scene, _controller) = scene("kinds").await;
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: t-kinds}\nrules: []\n";
    let commit =
        scene.commit(&[("app/config.yaml", Some(&config_map("config", &[("a", "1")]))), ("app/role.yaml", Some(role))]);
    let everything = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    project(&scene, "team", everything).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    let refused = "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project team";
    let seen = app.until(refused, |app| app["status"]["operationState"].to_string().contains(refused)).await;
    assert_ne!(seen["status"]["sync"]["status"], "Synced");
    assert!(scene.object("configmaps", "config").await.is_none(), "nothing is done by half");
    amend(
        &scene,
        "team",
        json!({"clusterResourceWhitelist": [
            {"group": "", "kind": "Namespace"}, {"group": "rbac.authorization.k8s.io", "kind": "ClusterRole"},
        ]}),
    )
    .await;
    app.synced(&commit).await;
    // A kind of a namespace may be refused too, and what is there of it stays.
    amend(&scene, "team", json!({"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]})).await;
    scene.commit(&[("app/config.yaml", None), ("app/other.yaml", Some(&config_map("other", &[("a", "1")])))]);
    let refused = "resource :ConfigMap is not permitted in project team";
    app.until(refused, |app| app["status"].to_string().contains(refused)).await;
    scene.expect("configmaps", "config").await;
    assert!(scene.object("configmaps", "other").await.is_none());
}

#[tokio::test]
async fn the_namespace_of_the_destination_is_a_kind_that_has_to_be_permitted() {
    let (scene, _controller) = scene("labelled").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let spec = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-labelled"}],
        "clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "other"}],
    });
    project(&scene, "team", spec).await;
    let labels = json!({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}});
    let built = scene.application().project("team").automated(true, true);
    let app = scene.create(built.set("/spec/syncPolicy", "managedNamespaceMetadata", labels)).await;
    let refused = "resource :Namespace is not permitted in project team";
    app.until(refused, |app| app["status"]["operationState"].to_string().contains(refused)).await;
    let namespaces = objects("namespaces", "");
    let path = format!("{namespaces}/t-labelled");
    assert!(scene.admin.get(&path).await.is_none());
    // Nor does it get labels by which its Pods may do more.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t-labelled"}});
    scene.admin.create(&namespaces, &namespace).await;
    app.condition("ComparisonWarning", &["managedNamespaceMetadata", refused]).await;
    app.ask(json!({"revision": commit})).await;
    let seen = app.operated("Failed").await;
    assert!(seen["status"]["operationState"]["message"].as_str().unwrap().contains(refused), "{seen}");
    let label = "/metadata/labels/pod-security.kubernetes.io~1enforce";
    assert_eq!(scene.admin.get(&path).await.unwrap().pointer(label), None);
    // As soon as it is permitted, it happens.
    amend(
        &scene,
        "team",
        json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "t-labelled"}]}),
    )
    .await;
    app.synced(&commit).await;
    assert_eq!(scene.admin.get(&path).await.unwrap().pointer(label), Some(&json!("privileged")));
}

#[tokio::test]
async fn the_default_project_is_there_until_there_are_others() {
    let (scene, _controller) = scene("default").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    project(&scene, "team", json!({})).await;
    let words = ["Application referencing project default which does not exist"];
    let seen = app.condition("InvalidSpecError", &words).await;
    assert_eq!(seen["status"]["sync"]["status"], "Unknown");
    scene.expect("configmaps", "config").await;
    let everything = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    });
    project(&scene, "default", everything).await;
    app.synced(&commit).await;
    app.without_condition("InvalidSpecError").await;
}

#[tokio::test]
async fn a_rule_that_is_not_evaluated_stops_the_sync() {
    let (scene, _controller) = scene("unread").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let limited = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
        "permitOnlyProjectScopedClusters": true,
    });
    project(&scene, "team", limited).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.until("a condition about the clusters", |app| {
        app["status"]["conditions"].to_string().contains("spec.permitOnlyProjectScopedClusters")
    })
    .await;
    assert!(scene.object("configmaps", "config").await.is_none());
    amend(&scene, "team", json!({"permitOnlyProjectScopedClusters": null})).await;
    app.synced(&commit).await;
}

#[tokio::test]
async fn what_is_not_permitted_any_more_stays_where_it_is_and_is_named() {
    let (scene, _controller) = scene("kept").await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/secret.yaml", Some(&secret("token", &[("a", "1")]))),
    ]);
    let everything = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-kept"}]});
    project(&scene, "team", everything).await;
    let app = scene.create(scene.application().project("team").automated(true, true).cascade()).await;
    app.until("Synced", |app| app["status"]["sync"]["status"] == "Synced").await;
    // Git gives up what the project does not permit any more, and moves on beside it.
    amend(&scene, "team", json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]})).await;
    scene.commit(&[("app/secret.yaml", None), ("app/config.yaml", Some(&config_map("config", &[("a", "2")])))]);
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    let seen = app.operated("Succeeded").await;
    let results = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap();
    let of_the_secret = results.iter().find(|result| result["kind"] == "Secret").unwrap();
    assert_eq!(of_the_secret["status"], "PruneSkipped");
    assert_eq!(of_the_secret["message"], "resource :Secret is not permitted in project team");
    let uid = scene.uid("secrets", "token").await;
    // Nor does it go with the Application, which says so.
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "config").await;
    scene.until_event("kept", &["ObjectsNotPermitted", "token", "is not permitted in project team"]).await;
    assert_eq!(scene.uid("secrets", "token").await, uid);
}

#[tokio::test]
async fn a_project_that_may_write_to_the_controllers_own_namespace_is_told_of() {
    let (scene, _controller) = scene("own").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let everywhere = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    project(&scene, "team", everywhere).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.synced(&commit).await;
    let words = ["project 'team' may write to namespace 't-own-argocd', where the controller lives"];
    app.condition("ComparisonWarning", &words).await;
    let not_there = json!([{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!t-own-argocd"}]);
    amend(&scene, "team", json!({"destinations": not_there})).await;
    app.without_condition("ComparisonWarning").await;
}

#[tokio::test]
async fn what_is_no_longer_permitted_while_a_sync_waits_is_not_done() {
    let (scene, _controller) = scene("projects-meanwhile").await;
    let late = secret("late", &[("a", "1")])
        .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
    let commit = scene.commit(&[
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/late.yaml", Some(&late)),
        ("app/after.yaml", Some(&hook("after", "PostSync"))),
    ]);
    project(&scene, "team", json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-*"}]})).await;
    let app = scene.create(scene.application().project("team")).await;
    app.sync_status("OutOfSync").await;
    let options: [&[&str]; 2] = [&["ApplyOutOfSyncOnly=true", "CreateNamespace=true"], &[]];
    for ((kind, name, group), options) in [("Secret", "late", ""), ("Job", "after", "batch")].into_iter().zip(options) {
        amend(&scene, "team", json!({"namespaceResourceBlacklist": []})).await;
        app.sync_status("OutOfSync").await;
        app.ask(json!({"revision": commit, "syncOptions": options})).await;
        waits(&app, "Service/balancer").await;
        amend(&scene, "team", json!({"namespaceResourceBlacklist": [{"group": group, "kind": kind}]})).await;
        app.sync_status("Unknown").await;
        Balancer(&scene).ready(true).await;
        let seen = app.operated("Failed").await;
        assert!(message(&seen).contains("is not permitted in project team"), "{}", message(&seen));
        assert_eq!(result(&seen, name)["status"], "SyncFailed", "{:#}", seen["status"]["operationState"]);
        let plural = format!("{}s", kind.to_lowercase());
        assert!(scene.object(&plural, name).await.is_none(), "{kind}");
        Balancer(&scene).ready(false).await;
    }
}
