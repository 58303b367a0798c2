//! Private repositories: reached by the Secrets and ConfigMaps that Argo CD reads, corrected without a restart, shown nowhere.

use std::path::Path;

use serde_json::Value;
use serde_json::json;
use trueup_bed::Asked;
use trueup_bed::Authority;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Fault;
use trueup_bed::GitServer;
use trueup_bed::GitServerOptions;
use trueup_bed::Repository;
use trueup_bed::SshKey;
use trueup_bed::SshServer;
use trueup_bed::trueup_binary;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

use crate::secrets::base64;

/// What is planted. None is a part of another, and none occurs by chance.
const PASSWORDS: [&str; 3] = ["privatePlanted4f9a", "privateWrong77b1", "privateLater0c3d"];
const USER: &str = "privateUser91ee";

/// A namespace and a controller of its own.
async fn scene(name: &str) -> (Scene<'static>, Controller) {
    let control = format!("t-{name}-argocd");
    let scene = Scene::new(World::shared(), name, &control).await;
    let options = ControllerOptions { log_filter: "trace".to_owned(), ..controller_options(&control) };
    let controller = scene.world.controller(&options).await;
    (scene, controller)
}

fn put(repository: &Repository, value: &str) -> String {
    let text = config_map("config", &[("value", value)]);
    repository.commit(&[("app/config.yaml", Some(&text))], "a change").unwrap()
}

async fn create_secret(scene: &Scene<'_>, kind: &str, name: &str, data: Value) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": kind}}, "stringData": data,
    });
    scene.admin.create(&objects("secrets", &scene.control), &secret).await;
}

async fn amend_secret(scene: &Scene<'_>, name: &str, data: Value) {
    let path = format!("{}/{name}", objects("secrets", &scene.control));
    scene.admin.merge(&path, "somebody", &json!({"stringData": data})).await;
}

async fn create_config_map(scene: &Scene<'_>, name: &str, data: Value) {
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    scene.admin.create(&objects("configmaps", &scene.control), &config_map).await;
}

async fn project(scene: &Scene<'_>, name: &str) {
    let spec = json!({
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
    });
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": name}, "spec": spec,
    });
    scene.admin.create(&objects("appprojects", &scene.control), &project).await;
}

async fn told(app: &App, words: &[&str]) {
    app.condition("ComparisonError", words).await;
}

/// What a command prints, and how it ends.
async fn trueup(scene: &Scene<'_>, arguments: &[&str]) -> (String, Option<i32>) {
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap();
    let output = tokio::process::Command::new(trueup_binary().unwrap())
        .args(arguments)
        .args(["-n", &scene.control, "--kubeconfig"])
        .arg(kubeconfig)
        .env("TRUEUP_CACHE_DIR", scene.world.control_plane.dir().join("cli-cache-private"))
        .env("XDG_CACHE_HOME", scene.world.control_plane.dir().join("cli-cache-private"))
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (format!("{}{}", text(&output.stdout), text(&output.stderr)), output.status.code())
}

/// Arguments and environment of a process and of those that it started.
fn processes(pid: u32) -> (String, usize) {
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let (mut text, mut children) = (String::new(), 0);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let dir = entry.path();
        let status = read(&dir.join("status"));
        let child =
            status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == pid.to_string()));
        if child || entry.file_name().to_string_lossy() == pid.to_string() {
            children += usize::from(child);
            text = format!("{text}{}{}", read(&dir.join("cmdline")), read(&dir.join("environ")));
        }
    }
    (text, children)
}

/// Searches everything that comes out of a controller, and what else is given, for what is planted.
async fn appears_nowhere(scene: &Scene<'_>, controller: &Controller, planted: &[&str], more: &str) {
    let list = async |collection: &str| serde_json::to_string(&scene.admin.list(collection).await).unwrap();
    let places = [
        ("the log", controller.log()),
        ("a status", list(&objects("applications", &scene.control)).await),
        ("an Event", list(&objects("events", &scene.control)).await),
        ("the metrics", controller.metrics().await.unwrap()),
        ("arguments and environments", processes(controller.pid().unwrap()).0),
        ("what commands print", more.to_owned()),
    ];
    assert!(places[0].1.contains(&scene.name) && places[4].1.contains("controller"), "it was looked at something else");
    // As they are, as a Secret has them, and as they go over the wire.
    let mut forms: Vec<String> = planted.iter().map(|value| (*value).to_owned()).collect();
    forms.extend(planted.iter().map(|value| base64(value)));
    forms.extend(planted.iter().map(|value| base64(&format!("{USER}:{value}"))));
    for (place, text) in &places {
        for form in &forms {
            // The last letters of base64 depend on what follows.
            let form = &form[..form.len() - 4];
            assert!(!text.contains(form), "{place} holds {form}");
        }
    }
}

#[tokio::test]
async fn a_repository_behind_tls_and_a_login_is_reached_as_soon_as_its_secret_is_right() {
    let (scene, controller) = scene("private-https").await;
    let authority = Authority::new("The authority of a test").unwrap();
    let tls = Some(authority.certify(&["localhost"]).unwrap());
    let options = GitServerOptions { tls, ..GitServerOptions::default() };
    let server = GitServer::start_with(scene.world.control_plane.dir(), options).await.unwrap();
    let repository = server.create("team/private").unwrap();
    let [right, wrong, later] = PASSWORDS;
    repository.require_login(USER, right);
    let first = put(&repository, "1");
    let app = scene.create(scene.application().repo(repository.url()).automated(true, true)).await;

    told(&app, &["certificate", "argocd-tls-certs-cm"]).await;
    create_config_map(&scene, "argocd-tls-certs-cm", json!({"localhost": authority.pem()})).await;
    told(&app, &["asks for a login", "401"]).await;
    let data = json!({"url": repository.url(), "type": "git", "username": USER, "password": wrong});
    create_secret(&scene, "repository", "private", data).await;
    told(&app, &["refuses ours", "401"]).await;
    let (refused, code) = trueup(&scene, &["repo", "check", "private"]).await;
    assert!(code == Some(2) && refused.contains("401"), "{refused}");
    amend_secret(&scene, "private", json!({"password": right})).await;
    app.healthy(&first).await;
    app.without_condition("ComparisonError").await;

    // The command line goes the same way.
    let (listed, _) = trueup(&scene, &["repo", "list", "-o", "wide"]).await;
    assert!(listed.contains(repository.url()) && listed.contains("basic"), "{listed}");
    let (json, _) = trueup(&scene, &["repo", "list", "-o", "json"]).await;
    let (checked, code) = trueup(&scene, &["repo", "check", repository.url()]).await;
    assert!(code == Some(0) && checked.contains(&first) && checked.contains("'private'"), "{checked}");
    let (diff, code) = trueup(&scene, &["app", "diff", &scene.name]).await;
    assert_eq!(code, Some(0), "{diff}");

    // The login is revoked, and replaced.
    repository.require_login(USER, later);
    told(&app, &["refuses ours", "401"]).await;
    assert!(scene.object("configmaps", "config").await.is_some(), "what is synced stays");
    amend_secret(&scene, "private", json!({"password": later})).await;
    app.without_condition("ComparisonError").await;
    // A fetch that hangs is one whose process can be looked at.
    repository.misbehave_at(Asked::Fetch, Fault::Hang);
    let second = put(&repository, "2");
    let pid = controller.pid().unwrap();
    let looked_at = until("the fetch process", SLOW, async || match processes(pid) {
        (text, children) if children > 0 => Ok(text),
        (text, _) => Err(text.len()),
    });
    let looked_at = looked_at.await.unwrap();
    assert!(looked_at.contains("git-fetch"));
    let printed = [refused, listed, json, checked, diff, looked_at].concat();
    appears_nowhere(&scene, &controller, &[right, wrong, later, USER], &printed).await;
    repository.behave();
    // Another login again, so that nobody waits for the fetch that hangs.
    repository.require_login(USER, right);
    amend_secret(&scene, "private", json!({"password": right})).await;
    app.healthy(&second).await;
    // Without its Secret it is asked as anybody.
    scene.admin.delete(&format!("{}/private", objects("secrets", &scene.control))).await;
    told(&app, &["asks for a login"]).await;
}

#[tokio::test]
async fn a_repository_over_ssh_needs_its_key_and_a_known_host() {
    let (scene, controller) = scene("private-ssh").await;
    let server = SshServer::start().await.unwrap();
    let repository = server.create("private").unwrap();
    let (key, stranger) = (SshKey::generate("ed25519", "").unwrap(), SshKey::generate("ed25519", "").unwrap());
    server.authorize(&key.public).unwrap();
    let first = put(&repository, "1");
    // The login is that of the longest prefix.
    let prefix = repository.url().rsplit_once('/').unwrap().0.to_owned();
    create_secret(&scene, "repo-creds", "all", json!({"url": prefix, "sshPrivateKey": stranger.private})).await;
    let app = scene.create(scene.application().repo(repository.url()).automated(true, true)).await;

    told(&app, &["is not known", "argocd-ssh-known-hosts-cm"]).await;
    create_config_map(&scene, "argocd-ssh-known-hosts-cm", json!({"ssh_known_hosts": server.known_hosts()})).await;
    told(&app, &["refuses the key"]).await;
    amend_secret(&scene, "all", json!({"sshPrivateKey": key.private})).await;
    app.healthy(&first).await;
    let (checked, code) = trueup(&scene, &["repo", "check", repository.url()]).await;
    assert!(code == Some(0) && checked.contains("ssh key"), "{checked}");

    // Somebody else answers at its address.
    let path = format!("{}/argocd-ssh-known-hosts-cm", objects("configmaps", &scene.control));
    let other = json!({"data": {"ssh_known_hosts": server.known_host(&stranger.public)}});
    scene.admin.merge(&path, "somebody", &other).await;
    told(&app, &["HAS CHANGED"]).await;
    scene.admin.merge(&path, "somebody", &json!({"data": {"ssh_known_hosts": server.known_hosts()}})).await;
    app.without_condition("ComparisonError").await;
    let secret_lines: Vec<&str> =
        [&key, &stranger].iter().flat_map(|key| key.private.lines()).filter(|line| line.len() > 60).collect();
    assert!(secret_lines.len() > 4);
    appears_nowhere(&scene, &controller, &secret_lines, &checked).await;
}

#[tokio::test]
async fn a_secret_of_one_project_is_of_no_use_to_another() {
    let (scene, controller) = scene("private-project").await;
    let repository = scene.world.git.create("private-of-red").unwrap();
    let password = PASSWORDS[0];
    repository.require_login(USER, password);
    let first = put(&repository, "1");
    for name in ["red", "blue"] {
        project(&scene, name).await;
    }
    let data = json!({"url": repository.url(), "username": USER, "password": password, "project": "red"});
    create_secret(&scene, "repository", "of-red", data).await;
    let built = |name: &str| {
        let built = scene.application_named(&format!("private-{name}")).project(name).repo(repository.url());
        built.destination(&format!("t-private-{name}")).automated(true, true)
    };
    let red = scene.create(built("red")).await;
    red.healthy(&first).await;
    let blue = scene.create(built("blue")).await;
    told(&blue, &["asks for a login"]).await;
    // A Secret that does not decode, and one that is not supported, are nobody else's business.
    create_secret(&scene, "repository", "no-url", json!({"password": password})).await;
    let unsupported = json!({"url": repository.url(), "gcpServiceAccountKey": password, "project": "blue"});
    create_secret(&scene, "repository", "of-blue", unsupported).await;
    told(&blue, &["Secret 'of-blue'", "is not supported"]).await;
    let second = put(&repository, "2");
    red.healthy(&second).await;
    assert_eq!(blue.get().await["status"]["sync"]["status"], "Unknown");
    // For all projects, it is for this one too.
    scene.admin.delete(&format!("{}/of-blue", objects("secrets", &scene.control))).await;
    create_secret(
        &scene,
        "repo-creds",
        "all",
        json!({"url": repository.url(), "username": USER, "password": password}),
    )
    .await;
    blue.healthy(&second).await;
    appears_nowhere(&scene, &controller, &[password, USER], "").await;
}

/// All that a controller needs for ConfigMaps, and nothing about Secrets.
const WITHOUT_SECRETS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: without-secrets}
rules:
- {apiGroups: [argoproj.io, apps, apiextensions.k8s.io, apiregistration.k8s.io], resources: ['*'], verbs: ['*']}
- {apiGroups: [''], resources: [configmaps, namespaces, events], verbs: ['*']}
";

#[tokio::test]
async fn who_may_not_list_secrets_goes_on_with_public_repositories() {
    let scene = Scene::new(World::shared(), "private-rbac", "t-private-rbac-argocd").await;
    let (control_plane, control) = (&scene.world.control_plane, scene.control.as_str());
    kubectl(control_plane, &format!("create serviceaccount limited -n {control}")).await;
    kubectl_with_input(control_plane, &["apply", "-f", "-"], WITHOUT_SECRETS).await;
    let binding = "create clusterrolebinding without-secrets --clusterrole=without-secrets";
    kubectl(control_plane, &format!("{binding} --serviceaccount={control}:limited")).await;
    let token = kubectl(control_plane, &format!("create token limited -n {control}")).await;
    let mut config: Value = serde_json::from_str(&kubectl(control_plane, "config view --raw -o json").await).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let kubeconfig = control_plane.dir().join("without-secrets.kubeconfig");
    // JSON is YAML.
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let options = ControllerOptions { kubeconfig: Some(kubeconfig), ..controller_options(control) };
    let controller = scene.world.controller(&options).await;

    let public = put(&scene.repository, "1");
    let app = scene.create(scene.application().automated(true, true)).await;
    app.healthy(&public).await;
    let repository = scene.world.git.create("private-rbac-private").unwrap();
    repository.require_login(USER, PASSWORDS[0]);
    let first = put(&repository, "1");
    let built =
        scene.application_named("private-rbac-login").repo(repository.url()).destination("t-private-rbac-login");
    let private = scene.create(built.automated(true, true)).await;
    told(&private, &["the Secrets that may hold one cannot be listed", "no permission to list secrets"]).await;
    let said = controller.log().matches("the Secrets of repositories cannot be watched").count();
    assert_eq!(said, 1, "it is said once");

    let data = json!({"url": repository.url(), "username": USER, "password": PASSWORDS[0]});
    create_secret(&scene, "repository", "login", data).await;
    kubectl(control_plane, &format!("create role secrets --verb=get,list,watch --resource=secrets -n {control}")).await;
    let binding = format!("create rolebinding secrets --role=secrets --serviceaccount={control}:limited -n {control}");
    kubectl(control_plane, &binding).await;
    private.healthy(&first).await;
}
