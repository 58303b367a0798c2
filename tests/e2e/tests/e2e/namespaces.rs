//! Applications in other namespaces than the controller's own.

use serde_json::Value;
use serde_json::json;
use trueup_bed::ControllerOptions;
use trueup_bed::until;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::bound;
use trueup_e2e::manifests::bound_in;
use trueup_e2e::manifests::cluster_role;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

fn options(control: &str, namespaces: &str) -> ControllerOptions {
    let arguments = vec![format!("--application-namespaces={namespaces}")];
    ControllerOptions { arguments, ..controller_options(control) }
}

/// A project that takes Applications of some namespaces.
async fn project(scene: &Scene<'_>, source_namespaces: Value) {
    let spec = json!({
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        "sourceNamespaces": source_namespaces,
    });
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "teams"}, "spec": spec,
    });
    scene.admin.create(&objects("appprojects", &scene.control), &project).await;
}

#[tokio::test]
async fn applications_of_one_name_live_in_several_namespaces() {
    let world = World::shared();
    let own = Scene::new(world, "nsx-own", "nsx-control").await;
    project(&own, json!(["nsx-team-*", "/^nsx-late-[0-9]$/"])).await;
    let _controller = world.controller(&options("nsx-control", "nsx-team-*,nsx-other,/^nsx-late-[0-9]$/")).await;
    let shop = |scene: &Scene<'_>| scene.application_named("shop").project("teams").automated(true, true).cascade();
    // The namespaces come later than the controller.
    let a = Scene::new(world, "nsx-a", "nsx-team-a").await;
    let b = Scene::new(world, "nsx-b", "nsx-late-7").await;
    let elsewhere = Scene::new(world, "nsx-elsewhere", "nsx-elsewhere").await;
    let unseen = elsewhere.create(shop(&elsewhere)).await;
    let mut apps = Vec::new();
    for (scene, instance) in [(&own, "shop"), (&a, "nsx-team-a_shop"), (&b, "nsx-late-7_shop")] {
        let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
        let app = scene.create(shop(scene)).await;
        let seen = app.healthy(&commit).await;
        assert_eq!(seen["status"]["controllerNamespace"], "nsx-control");
        let config = scene.expect("configmaps", "config").await;
        let expected = format!("{instance}:/ConfigMap:{}/config", scene.namespace);
        assert_eq!(config["metadata"]["annotations"][TRACKING_ID], expected);
        scene.until_event("shop", &["OperationCompleted"]).await;
        apps.push(app);
    }
    // Each heals its own, and is asked by its own letter box.
    a.edit("configmaps", "config", &json!({"data": {"a": "9"}})).await;
    a.until_value("configmaps", "config", "/data/a", "1").await;
    apps[2].ask(json!({})).await;
    apps[2].operated("Succeeded").await;
    // The flag takes this one, the project does not.
    let other = Scene::new(world, "nsx-other", "nsx-other").await;
    let commit = other.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let refused = other.create(shop(&other)).await;
    let words =
        ["application 'shop' in namespace 'nsx-other' is not permitted to use project 'teams'", "sourceNamespaces"];
    refused.condition("InvalidSpecError", &words).await;
    assert!(other.object("configmaps", "config").await.is_none());
    let amended = json!({"spec": {"sourceNamespaces": ["nsx-*"]}});
    let path = format!("{}/teams", objects("appprojects", &own.control));
    own.admin.merge(&path, "somebody", &amended).await;
    refused.healthy(&commit).await;
    // This one nobody takes.
    assert_eq!(unseen.get().await["status"], Value::Null);
    // One goes with its objects, and the others stay.
    apps[1].delete().await;
    apps[1].gone().await;
    a.until_gone("configmaps", "config").await;
    for scene in [&own, &b, &other] {
        scene.expect("configmaps", "config").await;
    }
}

#[tokio::test]
async fn a_project_that_takes_an_application_no_more_stops_its_deletion() {
    let world = World::shared();
    let own = Scene::new(world, "nsy-own", "nsy-control").await;
    project(&own, json!(["nsy-team"])).await;
    // Names only: each namespace is watched by itself.
    let _controller = world.controller(&options("nsy-control", "nsy-team,nsy-missing")).await;
    let team = Scene::new(world, "nsy-team", "nsy-team").await;
    let commit = team.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = team.create(team.application_named("shop").project("teams").automated(true, true).cascade()).await;
    app.synced(&commit).await;
    let path = format!("{}/teams", objects("appprojects", &own.control));
    own.admin.merge(&path, "somebody", &json!({"spec": {"sourceNamespaces": null}})).await;
    app.condition("InvalidSpecError", &["not permitted to use project 'teams'"]).await;
    app.delete().await;
    app.condition("DeletionError", &["not permitted to use project 'teams'", "remove the finalizer"]).await;
    team.expect("configmaps", "config").await;
    own.admin.merge(&path, "somebody", &json!({"spec": {"sourceNamespaces": ["nsy-team"]}})).await;
    app.gone().await;
    team.until_gone("configmaps", "config").await;
}

/// All that the controller needs, but Applications only where a Role says so.
fn roles() -> String {
    let groups = "['', apps, apiextensions.k8s.io, apiregistration.k8s.io]";
    let work = cluster_role("work", &format!("  - {{apiGroups: {groups}, resources: ['*'], verbs: ['*']}}"));
    let applications = cluster_role("applications", "  - {apiGroups: [argoproj.io], resources: ['*'], verbs: ['*']}");
    format!("{work}{}{applications}", bound("work"))
}

/// The binding of a namespace.
fn binding(namespace: &str) -> String {
    bound_in(namespace, "ClusterRole", "applications")
}

#[tokio::test]
async fn a_namespace_without_its_role_keeps_nobody_else_from_work_and_loses_nothing() {
    let world: &'static World = World::start_for(&["first:operators"]).await.kept();
    let own = Scene::new(world, "nsz-own", "nsz-control").await;
    project(&own, json!(["nsz-a", "nsz-b"])).await;
    let a = Scene::new(world, "nsz-in-a", "nsz-a").await;
    let b = Scene::new(world, "nsz-in-b", "nsz-b").await;
    let apply = ["apply", "--server-side", "-f", "-"];
    for roles in [&roles(), &binding("nsz-control"), &binding("nsz-a")] {
        kubectl_with_input(&world.control_plane, &apply, roles).await;
    }
    // What b's application holds, from before: a's render has it too, and so had a render of a's before that.
    let shop = |scene: &Scene<'_>| scene.application_named("shop").project("teams").automated(true, true).cascade();
    let there = b.create(shop(&b)).await;
    let commit_of_b = b.put("app/shared.yaml", &config_map("shared", &[("a", "b")]));
    b.admin.create(&objects("namespaces", ""), &json!({"metadata": {"name": b.namespace}})).await;
    let tracking_id = format!("nsz-b_shop:/ConfigMap:{}/shared", b.namespace);
    let held = json!({
        "metadata": {"name": "shared", "annotations": {TRACKING_ID: tracking_id}}, "data": {"a": "from before"},
    });
    b.admin.create(&objects("configmaps", &b.namespace), &held).await;
    let greedy = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: shared, namespace: {}}}\ndata: {{a: \"a\"}}\n",
        b.namespace
    );
    let mine = config_map("mine", &[("a", "1")]);
    a.commit(&[("app/mine.yaml", Some(&mine)), ("app/greedy.yaml", Some(&greedy))]);
    let works = a.create(shop(&a)).await;
    let options = ControllerOptions { user: "first".to_owned(), ..options("nsz-control", "nsz-a,nsz-b") };
    let controller = world.controller(&options).await;
    works.condition("SharedResourceWarning", &["nsz-b_shop", "nsz-a_shop"]).await;
    a.until_value("configmaps", "mine", "/data/a", "1").await;
    let words = ["the Applications of namespace 'nsz-b' cannot be listed", "forbidden", "RoleBinding"];
    let readiness = controller.readiness().await.unwrap();
    for said in [&readiness, &controller.log()] {
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains("namespace 'nsz-a' cannot"), "{said}");
    }
    assert_eq!(controller.log().matches(words[0]).count(), 1, "it is said once: {}", controller.log());
    // Neither taken over nor pruned, when a lets go of it.
    let shared = b.expect("configmaps", "shared").await;
    assert_eq!(shared["data"]["a"], "from before");
    let commit = a.commit(&[("app/greedy.yaml", None)]);
    works.healthy(&commit).await;
    let still = b.expect("configmaps", "shared").await;
    assert_eq!(still["metadata"]["resourceVersion"], shared["metadata"]["resourceVersion"]);
    assert_eq!(there.get().await["status"], Value::Null);
    // With its binding it works, without a restart.
    kubectl_with_input(&world.control_plane, &apply, &binding("nsz-b")).await;
    there.healthy(&commit_of_b).await;
    b.until_value("configmaps", "shared", "/data/a", "b").await;
    until("readiness to say no more of it", SLOW, async || {
        let words = controller.readiness().await.map_err(|error| error.to_string())?;
        if words == "ok\n" { Ok(()) } else { Err(words) }
    })
    .await
    .unwrap();
}

/// A project that lets Applications of one namespace deploy to what is called so.
async fn project_for(scene: &Scene<'_>, name: &str, source_namespace: &str, destinations: &[&str]) {
    let destinations: Vec<Value> =
        destinations.iter().map(|namespace| json!({"server": "*", "namespace": namespace})).collect();
    let spec = json!({
        "sourceRepos": ["*"], "destinations": destinations, "sourceNamespaces": [source_namespace],
        "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
    });
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": name}, "spec": spec,
    });
    scene.admin.create(&objects("appprojects", &scene.control), &project).await;
}

#[tokio::test]
async fn what_an_application_that_cannot_be_listed_may_hold_waits_and_nothing_else_does() {
    let world: &'static World = World::start_for(&["first:operators"]).await.kept();
    let own = Scene::new(world, "nsd-own", "nsd-control").await;
    let a = Scene::new(world, "nsd-in-a", "nsd-a").await;
    let b = Scene::new(world, "nsd-in-b", "nsd-b").await;
    let apply = ["apply", "--server-side", "-f", "-"];
    for roles in [&roles(), &binding("nsd-control"), &binding("nsd-a"), &binding("nsd-b")] {
        kubectl_with_input(&world.control_plane, &apply, roles).await;
    }
    // Both may have the shared namespace, and a one of its own besides.
    project_for(&own, "for-a", "nsd-a", &[&a.namespace, "t-nsd-shared"]).await;
    project_for(&own, "for-b", "nsd-b", &[&b.namespace, "t-nsd-shared"]).await;
    own.admin.create(&objects("namespaces", ""), &json!({"metadata": {"name": "t-nsd-shared"}})).await;
    let map = |name: &str, namespace: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{a: \"1\"}}\n"
        )
    };
    let (both, alone) = (map("both", "t-nsd-shared"), map("alone", "t-nsd-shared"));
    let files = [
        ("app/kept.yaml", map("kept", &a.namespace)),
        ("app/mine.yaml", map("mine", &a.namespace)),
        ("app/both.yaml", both.clone()),
        ("app/alone.yaml", alone),
    ];
    let commit = a.commit(&files.each_ref().map(|(path, text)| (*path, Some(text.as_str()))));
    let options = ControllerOptions { user: "first".to_owned(), ..options("nsd-control", "nsd-a,nsd-b") };
    let mut controller = world.controller(&options).await;
    let shop = |scene: &Scene<'_>, project: &str| {
        scene.application_named("shop").project(project).automated(true, true).cascade()
    };
    let of_a = a.create(shop(&a, "for-a")).await;
    of_a.synced(&commit).await;
    // a's object, which b's application has in Git as well.
    let commit_of_b = b.put("app/both.yaml", &both);
    let of_b = b.create(shop(&b, "for-b")).await;
    of_b.condition("SharedResourceWarning", &["both", "nsd-a_shop", "nsd-b_shop"]).await;

    // A controller that starts without the Role does not know b's.
    controller.kill9();
    let unbound = "/apis/rbac.authorization.k8s.io/v1/namespaces/nsd-b/rolebindings/applications";
    own.admin.delete(unbound).await;
    controller.restart().unwrap();
    a.commit(&[("app/mine.yaml", None), ("app/both.yaml", None), ("app/alone.yaml", None)]);
    a.until_gone("configmaps", "mine").await;
    let words = ["not pruned until", "both", "alone", "the Applications of namespace 'nsd-b' cannot be listed", "Role"];
    let seen = of_a.condition("ComparisonWarning", &words).await;
    assert_eq!(seen["status"]["sync"]["status"], "OutOfSync", "{}", of_a.brief().await);
    // Not on request either.
    of_a.ask(json!({"prune": true})).await;
    let seen = of_a.operated("Succeeded").await;
    let results = seen["status"]["operationState"]["syncResult"]["resources"].as_array().unwrap();
    let skipped: Vec<&Value> = results.iter().filter(|result| result["status"] == "PruneSkipped").collect();
    assert_eq!(skipped.len(), 2, "{results:#?}");
    let shared = |name: &str| format!("{}/{name}", objects("configmaps", "t-nsd-shared"));
    assert!(own.admin.get(&shared("both")).await.is_some() && own.admin.get(&shared("alone")).await.is_some());
    // Nor with the Application.
    of_a.delete().await;
    of_a.condition("DeletionError", &["not deleted until", "both", "alone", "'nsd-b'", "finalizer"]).await;
    a.until_gone("configmaps", "kept").await;
    assert!(own.admin.get(&shared("both")).await.is_some() && own.admin.get(&shared("alone")).await.is_some());

    // Once b's are known, what they hold stays and the rest goes.
    kubectl_with_input(&world.control_plane, &apply, &binding("nsd-b")).await;
    of_a.gone().await;
    assert!(own.admin.get(&shared("alone")).await.is_none());
    of_b.synced(&commit_of_b).await;
    assert!(own.admin.get(&shared("both")).await.is_some());
}
