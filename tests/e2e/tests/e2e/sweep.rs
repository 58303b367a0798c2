//! Objects that an application left behind and that no inventory lists are found by a search of the whole cluster.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::ControllerOptions;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::bound;
use trueup_e2e::manifests::cluster_role;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// An object of a kind that no application of these tests has in Git.
fn template(name: &str) -> Value {
    let spec = json!({"containers": [{"name": "c", "image": "registry.example/c:1"}]});
    json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name}, "template": {"spec": spec}})
}

/// Somebody creates an object that says of itself whose it is.
async fn leave(scene: &Scene<'_>, name: &str, tracking_id: String) {
    let mut object = template(name);
    object["metadata"]["annotations"] = json!({TRACKING_ID: tracking_id});
    scene.somebody.create(&objects("podtemplates", &scene.namespace), &object).await;
}

/// Such an object of the scene's application, applied as the controller applies it.
async fn leave_applied(scene: &Scene<'_>, name: &str) {
    let mut object = template(name);
    object["metadata"]["annotations"] = json!({TRACKING_ID: of(&scene.name, scene, name)});
    scene.admin.apply(&scene.path("podtemplates", name), "trueup", &object).await;
}

fn of(app: &str, scene: &Scene<'_>, name: &str) -> String {
    format!("{app}:/PodTemplate:{}/{name}", scene.namespace)
}

/// What is another's, or only seems to be an application's.
async fn leave_foreign(scene: &Scene<'_>) -> [&'static str; 3] {
    leave(scene, "foreign", of("somebody-elses", scene, "foreign")).await;
    leave(scene, "copied", of(&scene.name, scene, "original")).await;
    scene.somebody.create(&objects("podtemplates", &scene.namespace), &template("nobodys")).await;
    ["foreign", "copied", "nobodys"]
}

fn lists(app: &Value, name: &str) -> bool {
    app["status"]["resources"].as_array().into_iter().flatten().any(|resource| resource["name"] == name)
}

#[tokio::test]
async fn a_hard_refresh_finds_what_was_left_behind() {
    let scene = Scene::shared("sweep-hard").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application()).await;
    app.ask(json!({})).await;
    app.synced(&commit).await;
    leave(&scene, "left", of("sweep-hard", &scene, "left")).await;
    let foreign = leave_foreign(&scene).await;
    app.refresh("hard").await;
    let seen = app.until("the leftover in the inventory", |app| lists(app, "left")).await;
    assert_eq!(seen["status"]["sync"]["status"], "OutOfSync");
    assert!(foreign.iter().all(|name| !lists(&seen, name)), "{:#}", seen["status"]["resources"]);
    // Nobody asked for its deletion yet.
    scene.expect("podtemplates", "left").await;
    app.ask(json!({"prune": true})).await;
    scene.until_gone("podtemplates", "left").await;
    app.synced(&commit).await;
    for name in foreign {
        scene.expect("podtemplates", name).await;
    }
}

#[tokio::test]
async fn what_no_inventory_lists_and_we_never_applied_is_pruned_on_request_only() {
    let scene = Scene::shared("sweep-unproven").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    leave(&scene, "theirs", of(&scene.name, &scene, "theirs")).await;
    // Of a kind that is watched anyway.
    let id = format!("{}:/ConfigMap:{}/theirs", scene.name, scene.namespace);
    let watched = json!({"metadata": {"name": "theirs", "annotations": {TRACKING_ID: id}}});
    scene.somebody.create(&objects("configmaps", &scene.namespace), &watched).await;
    leave_applied(&scene, "ours").await;
    app.refresh("hard").await;
    scene.until_gone("podtemplates", "ours").await;
    app.condition("ComparisonWarning", &["PodTemplate", "theirs", "no inventory"]).await;
    let seen = app.condition("ComparisonWarning", &["ConfigMap", "theirs", "no inventory"]).await;
    assert_eq!(seen["status"]["sync"]["status"], "OutOfSync");
    for plural in ["podtemplates", "configmaps"] {
        scene.expect(plural, "theirs").await;
    }
    // What a status lists so is not trusted more than before.
    let marked = seen["status"]["resources"].as_array().into_iter().flatten();
    let marked = marked.filter(|it| it["requiresPruning"] == true && it["requiresDeletionConfirmation"] == true);
    assert_eq!(marked.count(), 2, "{:#}", seen["status"]["resources"]);
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    let over = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["syncResult"]["revision"] == second.as_str() && state["phase"] == "Succeeded"
    };
    app.until("the second sync", over).await;
    scene.expect("podtemplates", "theirs").await;
    app.ask(json!({"prune": true})).await;
    for plural in ["podtemplates", "configmaps"] {
        scene.until_gone(plural, "theirs").await;
    }
    app.synced(&second).await;
    app.without_condition("ComparisonWarning").await;
}

#[tokio::test]
async fn an_application_that_is_deleted_takes_what_it_left_behind_along() {
    let scene = Scene::shared("sweep-cascade").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    app.synced(&commit).await;
    leave_applied(&scene, "left").await;
    leave(&scene, "theirs", of(&scene.name, &scene, "theirs")).await;
    let foreign = leave_foreign(&scene).await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "config").await;
    scene.until_gone("podtemplates", "left").await;
    for name in foreign {
        scene.expect("podtemplates", name).await;
    }
    // It may be somebody else's, so it stays, and that is said.
    scene.until_event(&scene.name, &["ObjectsLeft", "PodTemplate", "theirs"]).await;
    scene.expect("podtemplates", "theirs").await;
}

#[tokio::test]
async fn a_deletion_says_what_could_not_be_searched() {
    let world = World::start().await;
    let scene = Scene::new(&world, "sweep-unread", trueup_e2e::NAMESPACE).await;
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.broken.example.com"},
        "spec": {
            "group": "broken.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
            "insecureSkipTLSVerify": true, "service": {"name": "nothing", "namespace": "default"},
        },
    });
    scene.admin.create("/apis/apiregistration.k8s.io/v1/apiservices", &service).await;
    let _controller = world.controller(&controller_options(&scene.control)).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true).cascade()).await;
    app.synced(&commit).await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "config").await;
    scene.until_event(&scene.name, &["NotSearched", "broken.example.com"]).await;
}

#[tokio::test]
async fn a_lost_status_loses_no_object() {
    let scene = Scene::new(World::shared(), "sweep-start", "sweep-start-control").await;
    let mut controller = scene.world.controller(&controller_options(&scene.control)).await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/left.yaml", Some(&template("left").to_string())),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.until("the first sync", |app| app["status"]["operationState"]["phase"] == "Succeeded").await;
    scene.expect("podtemplates", "left").await;
    controller.kill9();
    let second = scene.commit(&[("app/left.yaml", None)]);
    app.patch(&json!({"status": null})).await;
    controller.restart().unwrap();
    scene.until_gone("podtemplates", "left").await;
    let seen = app.synced(&second).await;
    assert!(!lists(&seen, "left"), "{:#}", seen["status"]["resources"]);
    app.without_condition("OrphanedResourceWarning").await;
    scene.expect("configmaps", "config").await;
}

/// All that the controller needs, but no PodTemplates.
const RULES: &str = "  - apiGroups: ['']
    resources: [configmaps, componentstatuses, endpoints, events, limitranges, namespaces, nodes, persistentvolumeclaims,
      persistentvolumes, pods, replicationcontrollers, resourcequotas, secrets, serviceaccounts, services]
    verbs: ['*']
  - apiGroups: [admissionregistration.k8s.io, apiextensions.k8s.io, apiregistration.k8s.io, apps, argoproj.io,
      authentication.k8s.io, authorization.k8s.io, autoscaling, batch, certificates.k8s.io, coordination.k8s.io,
      discovery.k8s.io, events.k8s.io, flowcontrol.apiserver.k8s.io, networking.k8s.io, node.k8s.io, policy,
      rbac.authorization.k8s.io, resource.k8s.io, scheduling.k8s.io, storage.k8s.io]
    resources: ['*']
    verbs: ['*']";

/// What is missing then.
const FURTHER: &str = "  - {apiGroups: [''], resources: [podtemplates], verbs: ['*']}";

/// A ClusterRole of the controller's.
fn granted(name: &str, rules: &str) -> String {
    cluster_role(name, rules) + &bound(name)
}

#[tokio::test]
async fn what_may_be_listed_later_is_searched_then_and_nothing_else() {
    let world: &'static World = World::start_for(&["first:operators"]).await.kept();
    let scene = Scene::new(world, "sweep-later", trueup_e2e::NAMESPACE).await;
    let apply = ["apply", "--server-side", "-f", "-"];
    kubectl_with_input(&world.control_plane, &apply, &granted("work", RULES)).await;
    scene.admin.create(&objects("namespaces", ""), &json!({"metadata": {"name": scene.namespace}})).await;
    leave_applied(&scene, "left").await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application()).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let options = ControllerOptions { user: "first".to_owned(), ..controller_options(&scene.control) };
    let controller = world.controller(&options).await;
    let words = ["PodTemplate cannot be listed", "tried again by themselves", "hard refresh"];
    let seen = app.condition("OrphanedResourceWarning", &words).await;
    assert!(!lists(&seen, "left"));
    kubectl_with_input(&world.control_plane, &apply, &granted("further", FURTHER)).await;
    let seen = app.until("the leftover in the inventory", |app| lists(app, "left")).await;
    assert_eq!(seen["status"]["sync"]["status"], "OutOfSync", "{}", app.brief().await);
    app.without_condition("OrphanedResourceWarning").await;
    let log = controller.log();
    assert_eq!(log.matches("some kinds cannot be listed").count(), 1, "{log}");
    assert!(log.contains("tried again by themselves") && log.contains("searched for what was left behind"), "{log}");
    let asked = audit.since(mark).await.unwrap().by("first");
    assert!(asked.count("list", "podtemplates") >= 2, "refused first, and then not");
    assert_eq!(asked.count("list", "limitranges"), 1, "what could be listed is not searched again");
}
