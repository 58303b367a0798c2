//! `trueup cluster check` and `trueup proj`, as people run them, for accounts of limited rights.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;
use trueup_bed::trueup_binary;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::kubectl;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::objects;

const ACCOUNT: &str = "limited";

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// What it printed, if it ended with this code.
    #[track_caller]
    fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self.out
    }
}

async fn trueup(kubeconfig: &Path, namespace: &str, line: &str) -> Said {
    let output = tokio::process::Command::new(trueup_binary().unwrap())
        .args(line.split(' '))
        .args(["-n", namespace, "--kubeconfig"])
        .arg(kubeconfig)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Whether a line of the table says so of a resource.
fn says(table: &str, granted: &str, place: &str, resource: &str) -> bool {
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first() == Some(&granted) && words.get(1) == Some(&place) && words.get(2) == Some(&resource)
    })
}

/// The administrator's kubeconfig with another token in it, or another server.
async fn kubeconfig(scene: &Scene<'_>, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let control_plane = &scene.world.control_plane;
    let mut config: Value = serde_json::from_str(&kubectl(control_plane, "config view --raw -o json").await).unwrap();
    change(&mut config);
    let path = control_plane.dir().join(format!("{name}.kubeconfig"));
    // JSON is YAML.
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

async fn limited(name: &str) -> Scene<'static> {
    let control = format!("t-{name}-argocd");
    let scene = Scene::new(World::shared(), name, &control).await;
    let control_plane = &scene.world.control_plane;
    kubectl(control_plane, &format!("create serviceaccount {ACCOUNT} -n {control}")).await;
    scene
}

#[tokio::test]
async fn what_is_missing_is_told_and_can_be_applied() {
    let scene = limited("check").await;
    let control = scene.control.as_str();
    let control_plane = &scene.world.control_plane;
    let admin = control_plane.kubeconfig().to_owned();
    let check = format!("cluster check --as-service-account {control}/{ACCOUNT}");

    // Nothing is granted, and no Application tells which kinds there will be.
    let table = trueup(&admin, control, &check).await.with(1);
    assert!(says(&table, "NO", control, "leases.coordination.k8s.io"), "{table}");
    assert!(says(&table, "NO", "cluster", "all"), "{table}");
    assert!(table.contains("kind: ClusterRole") && table.contains("server-side apply"), "{table}");

    // An Application that has brought something narrows it to that.
    let mut application = scene.application().build();
    application["status"] = json!({"resources": [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web", "status": "Synced"},
        {"version": "v1", "kind": "Namespace", "name": "shop", "status": "Synced"},
    ]});
    scene.admin.create(&objects("applications", control), &application).await;
    let rules = trueup(&admin, control, &format!("{check} -o yaml")).await.with(1);
    for expected in ["kind: Role\n", "kind: RoleBinding", "namespace: shop", "- deployments"] {
        assert!(rules.contains(expected), "'{expected}' is not in\n{rules}");
    }
    assert!(!rules.contains('*'), "{rules}");

    // What it prints is what is missing: applied, nothing is.
    kubectl(control_plane, "create namespace shop").await;
    kubectl_with_input(control_plane, &["apply", "-f", "-"], &rules).await;
    let table = trueup_bed::until("the rules to count", trueup_e2e::SLOW, async || {
        let said = trueup(&admin, control, &check).await;
        if said.code == Some(0) { Ok(said.out) } else { Err(said.out) }
    })
    .await
    .unwrap();
    assert!(says(&table, "yes", "shop", "deployments.apps") && !table.contains("kind: "), "{table}");

    // What another Application brings is added: what was applied before still holds.
    let mut application = scene.application().build();
    application["metadata"]["name"] = json!("more");
    application["status"] = json!({"resources": [
        {"group": "apps", "version": "v1", "kind": "StatefulSet", "namespace": "shop", "name": "db", "status": "Synced"},
    ]});
    scene.admin.create(&objects("applications", control), &application).await;
    let rules = trueup(&admin, control, &format!("{check} -o yaml")).await.with(1);
    assert!(rules.contains("- statefulsets") && !rules.contains("- deployments"), "{rules}");
    kubectl_with_input(control_plane, &["apply", "-f", "-"], &rules).await;
    let table = trueup_bed::until("the added rules to count", trueup_e2e::SLOW, async || {
        let said = trueup(&admin, control, &check).await;
        if said.out.contains("statefulsets.apps") && said.code == Some(0) { Ok(said.out) } else { Err(said.out) }
    })
    .await
    .unwrap();
    assert!(says(&table, "yes", "shop", "deployments.apps,statefulsets.apps"), "{table}");

    // The account itself sees the same; it may not ask for others.
    let token = kubectl(control_plane, &format!("create token {ACCOUNT} -n {control}")).await;
    let own = kubeconfig(&scene, "limited", |config| config["users"][0]["user"] = json!({"token": token.trim()})).await;
    let table = trueup(&own, control, "cluster check").await.with(0);
    assert!(says(&table, "yes", control, "leases.coordination.k8s.io"), "{table}");
    let said = trueup(&own, control, &check).await;
    assert!(said.err.contains("forbidden"), "{}", said.err);
    said.with(2);
    let patterns = trueup(&own, control, "cluster check --application-namespaces team-*,team-a -o json").await.with(1);
    let report: Value = serde_json::from_str(&patterns).unwrap();
    let missing: Vec<&Value> =
        report["rules"].as_array().unwrap().iter().filter(|rule| rule["granted"] == false).collect();
    assert!(missing.iter().all(|rule| rule["onlyFor"] == "--application-namespaces"), "{missing:#?}");
    assert!(!missing.is_empty());
}

#[tokio::test]
async fn what_else_is_not_as_it_should_be_is_told() {
    let scene = limited("checked").await;
    let control = scene.control.as_str();
    let admin = scene.world.control_plane.kubeconfig().to_owned();
    let table = trueup(&admin, control, "cluster check").await.with(0);
    assert!(says(&table, "yes", "cluster", "all") && table.contains("no application controller"), "{table}");

    let said = trueup(&admin, control, &format!("cluster check --as-service-account {control}/nobody")).await.with(1);
    assert!(said.contains("MISSING: 'nobody' does not exist"), "{said}");

    let said = trueup(&admin, "nosuchns", "cluster check").await.with(1);
    assert!(said.contains("MISSING: 'nosuchns' does not exist"), "{said}");
    let said = trueup(&admin, control, "cluster check --application-namespaces [").await;
    assert_eq!(said.code, Some(2), "{}", said.out);
    assert!(said.err.contains("'[' is not a valid pattern"), "{}", said.err);

    let name = "argocd-application-controller";
    let deployment = trueup_e2e::manifests::deployment(name, 1, "x");
    kubectl_with_input(&scene.world.control_plane, &["create", "-n", control, "-f", "-"], &deployment).await;
    let label = format!("label deployment {name} -n {control} app.kubernetes.io/name={name} --overwrite");
    kubectl(&scene.world.control_plane, &label).await;
    let table = trueup(&admin, control, "cluster check").await.with(0);
    assert!(table.contains("runs its application controller"), "{table}");

    let nowhere = kubeconfig(&scene, "nowhere", |config| {
        config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    })
    .await;
    let said = trueup(&nowhere, control, "cluster check").await;
    assert!(said.err.contains("cannot ask the cluster"), "{}", said.err);
    said.with(2);
}

#[tokio::test]
async fn who_may_not_watch_does_not_wait_for_ever() {
    let scene = limited("unwatched").await;
    let control = scene.control.as_str();
    let control_plane = &scene.world.control_plane;
    scene.admin.create(&objects("applications", control), &scene.application().build()).await;
    let role = format!("create role {ACCOUNT} -n {control} --verb=get,patch --resource=applications.argoproj.io");
    kubectl(control_plane, &role).await;
    let binding =
        format!("create rolebinding {ACCOUNT} -n {control} --role={ACCOUNT} --serviceaccount={control}:{ACCOUNT}");
    kubectl(control_plane, &binding).await;
    let token = kubectl(control_plane, &format!("create token {ACCOUNT} -n {control}")).await;
    let own =
        kubeconfig(&scene, "unwatched", |config| config["users"][0]["user"] = json!({"token": token.trim()})).await;
    let said = trueup_bed::until("the role to count", trueup_e2e::SLOW, async || {
        let said = trueup(&own, control, "app wait unwatched").await;
        if said.err.contains("cannot read the Application") { Err(said.err) } else { Ok(said) }
    })
    .await
    .unwrap();
    assert!(said.err.contains("cannot watch the Application") && said.err.contains("forbidden"), "{}", said.err);
    assert!(said.err.contains("trueup app get"), "{}", said.err);
    said.with(2);
}

#[tokio::test]
async fn projects_are_listed_and_shown() {
    let scene = limited("proj").await;
    let control = scene.control.as_str();
    let admin = scene.world.control_plane.kubeconfig().to_owned();
    let shown = trueup(&admin, control, "proj get default").await.with(0);
    assert!(shown.contains("Repositories:") && shown.contains('*'), "{shown}");
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "team"},
        "spec": {"sourceRepos": ["https://git.example/*"], "permitOnlyProjectScopedClusters": true},
    });
    scene.admin.create(&objects("appprojects", control), &project).await;
    let list = trueup(&admin, control, "proj list").await.with(0);
    assert!(list.lines().any(|line| line.starts_with("team ") && line.contains("https://git.example/*")), "{list}");
    assert_eq!(trueup(&admin, control, "proj list -o name").await.with(0), "appproject.argoproj.io/team\n");
    let shown = trueup(&admin, control, "proj get team").await.with(0);
    assert!(shown.contains("NOT HONOURED") && shown.contains("permitOnlyProjectScopedClusters"), "{shown}");
    let json: Value = serde_json::from_str(&trueup(&admin, control, "proj get team -o json").await.with(0)).unwrap();
    assert_eq!(json["spec"]["sourceRepos"][0], "https://git.example/*");
    let said = trueup(&admin, control, "proj get taem").await;
    assert!(
        said.err.contains("there is no AppProject 'taem'") && said.err.contains("did you mean team?"),
        "{}",
        said.err
    );
    said.with(2);
}
