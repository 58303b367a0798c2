//! Objects that are written as the service account that a project names.

use serde_json::json;
use trueup_bed::Audit;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::secret;

use crate::projects::amend;
use crate::projects::project;

const ACCOUNT: &str = "system:serviceaccount:t-accounts:deployer";

/// What the account may do with ConfigMaps.
const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: t-accounts}
rules:
- {apiGroups: [\"\"], resources: [configmaps, secrets], verbs: [create, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: t-accounts}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects:
- {kind: ServiceAccount, name: deployer, namespace: t-accounts}
";

#[tokio::test]
async fn objects_are_written_with_the_permissions_of_the_projects_account() {
    let control = "t-accounts-argocd";
    let scene = Scene::new(World::shared(), "accounts", control).await;
    let settings =
        |data| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": data});
    let settings = settings(json!({"application.sync.impersonation.enabled": "true"}));
    scene.admin.create(&format!("/api/v1/namespaces/{control}/configmaps"), &settings).await;
    let _controller = scene.world.controller(&controller_options(control)).await;
    let account = json!([{"server": "*", "namespace": "t-acc*", "defaultServiceAccount": "deployer"}]);
    let spec = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-accounts"}],
        "destinationServiceAccounts": account,
    });
    project(&scene, "team", spec).await;
    // The account may not make it.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t-accounts"}});
    scene.admin.create("/api/v1/namespaces", &namespace).await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/goes.yaml", Some(&secret("goes", &[("a", "1")]))),
    ]);
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let begin = audit.mark().await.unwrap();
    let app = scene.create(scene.application().project("team").automated(true, true)).await;

    // Without permissions it is refused, object by object, and the refusal names the account.
    let refused = |app: &serde_json::Value| {
        let results =
            app["status"]["operationState"]["syncResult"]["resources"].as_array().cloned().unwrap_or_default();
        results.len() == 2
            && results.iter().all(|result| {
                result["status"] == "SyncFailed"
                    && result["message"]
                        .as_str()
                        .is_some_and(|message| message.contains(ACCOUNT) && message.contains("forbidden"))
            })
    };
    app.until("both refused", refused).await;
    assert!(scene.object("configmaps", "config").await.is_none());

    // With them it goes on: applies, prunes, and the deletion of the Application.
    kubectl_with_input(&scene.world.control_plane, &["apply", "-f", "-"], ROLE).await;
    app.ask(json!({"revision": "HEAD"})).await;
    app.operated("Succeeded").await;
    scene.expect("configmaps", "config").await;
    let second = scene.commit(&[("app/goes.yaml", None)]);
    app.synced(&second).await;
    scene.until_gone("secrets", "goes").await;
    app.patch(&json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}})).await;
    app.delete().await;
    app.gone().await;
    scene.until_gone("configmaps", "config").await;

    let requests = audit.since(begin).await.unwrap().by("trueup");
    let written = requests.filtered(|request| {
        request.namespace == "t-accounts" && ["configmaps", "secrets"].contains(&&*request.resource)
    });
    let written = written.filtered(|request| !matches!(request.verb.as_str(), "get" | "list" | "watch"));
    assert!(written.iter().all(|request| request.impersonated == ACCOUNT), "{written:#?}");
    for (verb, code) in [("patch", 403), ("patch", 201), ("delete", 200)] {
        assert!(
            written.iter().any(|request| request.verb == verb && request.code == code),
            "no {verb} with {code}: {written:#?}"
        );
    }
    // Everything else is the controller's own.
    let own = requests.filtered(|request| request.resource == "applications" && request.verb == "patch");
    assert!(own.iter().all(|request| request.impersonated.is_empty()));
}

#[tokio::test]
async fn without_an_account_nothing_is_written_where_one_is_wanted() {
    let control = "t-nobody-argocd";
    let scene = Scene::new(World::shared(), "nobody", control).await;
    let _controller = scene.world.controller(&controller_options(control)).await;
    let other = json!([{"server": "*", "namespace": "elsewhere", "defaultServiceAccount": "deployer"}]);
    let spec = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-nobody"}],
        "destinationServiceAccounts": other,
    });
    project(&scene, "team", spec).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    // Where it is off nobody is impersonated, which is told.
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.synced(&commit).await;
    let words = ["spec.destinationServiceAccounts of project 'team' is not used"];
    app.condition("ComparisonWarning", &words).await;
    // As soon as it is on, nothing goes on without an account.
    let configs = format!("/api/v1/namespaces/{control}/configmaps");
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"},
        "data": {"application.sync.impersonation.enabled": "true"},
    });
    scene.admin.create(&configs, &settings).await;
    let words = ["no matching service account found for destination server", "namespace t-nobody", "project 'team'"];
    app.condition("SyncError", &words).await;
    scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    app.sync_status("OutOfSync").await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
    // But where the settings do not insist.
    let lenient = json!({"data": {"application.sync.impersonation.enforced": "false"}});
    scene.admin.merge(&format!("{configs}/argocd-cm"), "somebody", &lenient).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    // An account that is none is never passed over.
    let wrong = json!([{"server": "*", "namespace": "*", "defaultServiceAccount": "*"}]);
    amend(&scene, "team", json!({"destinationServiceAccounts": wrong})).await;
    app.condition("SyncError", &["'*' is no service account"]).await;
}
