//! Manifests that server-side apply refuses and client-side apply takes.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

/// A Deployment with a variable and a port that are there twice.
const TWICE: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example/web:1
          env: [{name: A, value: first}, {name: B, value: b}, {name: A, value: last}]
          ports: [{containerPort: 80, name: old}, {containerPort: 80, name: new}]
";

#[tokio::test]
async fn the_last_of_several_with_one_key_counts() {
    let scene = Scene::shared("fallback-twice").await;
    let commit = scene.put("app/web.yaml", TWICE);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.healthy(&commit).await;
    let container = scene.expect("deployments", "web").await["spec"]["template"]["spec"]["containers"][0].clone();
    let variables = container["env"].as_array().unwrap();
    assert_eq!(variables.len(), 2, "{container:#}");
    assert!(variables.contains(&json!({"name": "A", "value": "last"})), "{container:#}");
    assert_eq!(container["ports"].as_array().unwrap().len(), 1);
    assert_eq!(container["ports"][0]["name"], "new");
    app.condition("ComparisonWarning", &["Deployment", r#"env[name="A"]"#]).await;
    // It stays so: the second look finds nothing to do, the warning stands as long as its cause.
    let version = scene.expect("deployments", "web").await["metadata"]["generation"].clone();
    let seen = app.refresh("hard").await;
    assert_eq!(seen["status"]["sync"]["status"], "Synced");
    assert_eq!(scene.expect("deployments", "web").await["metadata"]["generation"], version);
    app.condition("ComparisonWarning", &[r#"env[name="A"]"#]).await;
    let commit = scene.put("app/web.yaml", &deployment("web", 1, "blue"));
    app.healthy(&commit).await;
    app.without_condition("ComparisonWarning").await;
}

/// A Service with fields that do not exist.
fn misspelt(annotation: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: {{argocd.argoproj.io/sync-options: \"{annotation}\"}}\n\
         spec:\n  selectr: {{app: web}}\n  selector: {{app: web}}\n  ports: [{{port: 80, prot: TCP}}]\n"
    )
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_refused_and_named() {
    let scene = Scene::shared("fallback-strict").await;
    scene.put("app/web.yaml", &misspelt("Validate=true"));
    let app = scene.create(scene.application().automated(true, true)).await;
    let seen = app
        .until("the refusal", |app| {
            let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
            message.contains("web") && (message.contains(".spec.selectr") || message.contains(".prot"))
        })
        .await;
    assert_eq!(seen["status"]["sync"]["status"], "OutOfSync");
    assert!(scene.object("services", "web").await.is_none());
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_dropped_where_validation_is_off() {
    for (name, annotation, option) in
        [("fallback-object", "Validate=false", ""), ("fallback-option", "Validate=true", "Validate=false")]
    {
        // An object's own word goes first: with Validate=true of its own, the application's option does not help it.
        let scene = Scene::shared(name).await;
        let annotation = if option.is_empty() { annotation } else { "" };
        let commit = scene.put("app/web.yaml", &misspelt(annotation));
        let mut built = scene.application().automated(true, true);
        if !option.is_empty() {
            built = built.sync_option(option);
        }
        let app = scene.create(built).await;
        app.synced(&commit).await;
        let live = scene.expect("services", "web").await;
        assert_eq!(live["spec"]["selector"], json!({"app": "web"}));
        app.condition("ComparisonWarning", &["Service", ".spec.selectr"]).await;
        app.condition("ComparisonWarning", &["prot"]).await;
        let seen = app.refresh("normal").await;
        assert_eq!(seen["status"]["sync"]["status"], "Synced", "{}", app.brief().await);
    }
}

fn binding(role: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: readers}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n\
         subjects: [{{kind: ServiceAccount, name: default, namespace: default}}]\n"
    )
}

#[tokio::test]
async fn a_binding_whose_role_changed_is_made_anew() {
    let scene = Scene::shared("fallback-role").await;
    let first = scene.put("app/binding.yaml", &binding("view"));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let uid = scene.uid("rolebindings", "readers").await;
    let second = scene.put("app/binding.yaml", &binding("edit"));
    scene.until_value("rolebindings", "readers", "/roleRef/name", "edit").await;
    app.synced(&second).await;
    assert_ne!(scene.uid("rolebindings", "readers").await, uid);
}

#[tokio::test]
async fn what_kubectl_prints_may_stand_in_git() {
    let scene = Scene::shared("fallback-printed").await;
    let world = &scene.world.control_plane;
    let namespace = json!({"metadata": {"name": scene.namespace}});
    scene.admin.create("/api/v1/namespaces", &namespace).await;
    let path = scene.path("deployments", "web");
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
            },
        },
    });
    scene.somebody.apply(&path, "kubectl", &object).await;
    scene.until_value("deployments", "web", "/status/availableReplicas", 1).await;
    let printed = kubectl(world, &format!("get deploy web -n {} -o yaml --show-managed-fields", scene.namespace)).await;
    for field in ["managedFields:", "resourceVersion:", "uid:", "status:", "creationTimestamp:"] {
        assert!(printed.contains(field), "{printed}");
    }
    let commit = scene.put("app/web.yaml", &printed);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.healthy(&commit).await;
    // And it is as good for making it anew.
    let uid = scene.uid("deployments", "web").await;
    scene.somebody.delete(&path).await;
    trueup_bed::until("another one", trueup_e2e::SLOW, async || match scene.object("deployments", "web").await {
        Some(object) if object["metadata"]["uid"] != uid => Ok(()),
        _ => Err(app.brief().await),
    })
    .await
    .unwrap();
    app.healthy(&commit).await;
}

#[tokio::test]
async fn strategic_directives_are_refused_with_the_reason() {
    let scene = Scene::shared("fallback-strategic").await;
    let text = config_map("config", &[("a", "1")]) + "$patch: delete\n";
    scene.put("app/config.yaml", &text);
    let app = scene.create(scene.application().automated(true, true)).await;
    let told = |app: &Value| app["status"].to_string().contains("$patch");
    app.until("a word about $patch", told).await;
    assert!(scene.object("configmaps", "config").await.is_none());
}
