//! Signed commits and tags, with real keys of gpg and of SSH: what a project asks for, and what is not synced without it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use trueup_bed::Controller;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

use crate::jobs::message;
use crate::projects;
use crate::projects::amend;

/// The ConfigMap of the keys.
const KEYS: &str = "argocd-gpg-keys-cm";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A home of gpg with a key of each name in it.
struct Gpg(TempDir);

impl Gpg {
    fn new(names: &[&str]) -> Self {
        // The path of the agent's socket must be short.
        let gpg = Self(tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap());
        for name in names {
            let user = format!("{name} <{name}@example.com>");
            gpg.run(&["--quick-generate-key", &user, "ed25519", "sign,cert", "never"]);
        }
        gpg
    }

    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.0.path());
        command.args(["--batch", "--yes", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
        run(command.args(args))
    }

    /// The id of a key: 16 digits.
    fn id(&self, name: &str) -> String {
        let listed = self.run(&["--list-keys", "--with-colons", name]);
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
        fingerprint.trim_end_matches(':')[24..].to_owned()
    }

    fn export(&self, name: &str) -> String {
        self.run(&["--armor", "--export", name])
    }

    fn git(&self, scene: &Scene<'_>, args: &[&str]) -> String {
        git(scene, Some(self.0.path()), args)
    }

    /// Commits a value with a signature.
    fn commit(&self, scene: &Scene<'_>, name: &str, value: &str) -> String {
        let args = ["-c".to_owned(), format!("user.signingkey={}", self.id(name))];
        sign_commit(scene, Some(self.0.path()), &args, value)
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Its agent would live on.
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.0.path()).args(["--kill", "all"]).status();
    }
}

/// Runs git in the scene's repository.
fn git(scene: &Scene<'_>, home: Option<&Path>, args: &[&str]) -> String {
    let mut command = Command::new("git");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Bed").env(format!("GIT_{role}_EMAIL"), "bed@example.com");
    }
    if let Some(home) = home {
        command.env("GNUPGHOME", home);
    }
    run(command.arg("-C").arg(scene.repository.dir()).args(args))
}

/// Commits a value, and lets `main` point to that commit with a signature.
fn sign_commit(scene: &Scene<'_>, home: Option<&Path>, settings: &[String], value: &str) -> String {
    let before = scene.repository.resolve("main").unwrap();
    // On a branch of its own, so that nobody sees it on `main` before it is signed.
    if let Some(before) = &before {
        scene.repository.branch("unsigned", before).unwrap();
    }
    let text = config_map("config", &[("value", value)]);
    let unsigned = scene.repository.commit_to("unsigned", &[("app/config.yaml", Some(&text))], "a change").unwrap();
    let tree = format!("{unsigned}^{{tree}}");
    let mut args: Vec<&str> = settings.iter().map(String::as_str).collect();
    args.extend(["commit-tree", "-S", "-m", "signed", &tree]);
    if let Some(before) = &before {
        args.extend(["-p", before]);
    }
    let signed = git(scene, home, &args);
    scene.repository.branch("main", &signed).unwrap();
    signed
}

fn put(scene: &Scene<'_>, value: &str) -> String {
    scene.put("app/config.yaml", &config_map("config", &[("value", value)]))
}

async fn keys(scene: &Scene<'_>, data: Value) {
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": KEYS}, "data": data});
    scene.admin.create(&objects("configmaps", &scene.control), &config_map).await;
}

async fn amend_keys(scene: &Scene<'_>, data: Value) {
    let path = format!("{}/{KEYS}", objects("configmaps", &scene.control));
    scene.admin.merge(&path, "somebody", &json!({"data": data})).await;
}

/// A controller of its own, and a project `team` that asks for something.
async fn scene(name: &str, asks: Value) -> (Scene<'static>, Controller) {
    let (scene, controller) = projects::scene(name).await;
    let mut spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]});
    spec.as_object_mut().unwrap().extend(asks.as_object().unwrap().clone());
    projects::project(&scene, "team", spec).await;
    (scene, controller)
}

async fn value(scene: &Scene<'_>) -> Value {
    scene.expect("configmaps", "config").await["data"]["value"].clone()
}

#[tokio::test]
async fn only_what_a_listed_key_has_signed_is_synced() {
    let gpg = Gpg::new(&["ann", "bob", "eve"]);
    let (ann, bob, eve) = (gpg.id("ann"), gpg.id("bob"), gpg.id("eve"));
    let (scene, _controller) = scene("signed", json!({"signatureKeys": [{"keyID": ann}]})).await;
    keys(&scene, json!({&ann: gpg.export("ann"), &bob: gpg.export("bob")})).await;
    let first = gpg.commit(&scene, "ann", "1");
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.synced(&first).await;
    let unsigned = put(&scene, "2");
    app.condition("ComparisonError", &["it is not signed", &unsigned, "project 'team'"]).await;
    gpg.commit(&scene, "bob", "3");
    app.condition("ComparisonError", &[&bob, "which the project does not list"]).await;
    gpg.commit(&scene, "eve", "4");
    app.condition("ComparisonError", &[&eve, "which is not in the ConfigMap"]).await;
    assert_eq!(value(&scene).await, "1", "none of them was synced");
    // Nobody gets there by hand either, whatever the target revision is.
    let last = gpg.commit(&scene, "ann", "5");
    app.synced(&last).await;
    app.without_condition("ComparisonError").await;
    app.patch(&json!({"spec": {"syncPolicy": {"automated": null}}})).await;
    app.ask(json!({"revision": unsigned})).await;
    let refused = app.operated("Error").await;
    assert!(message(&refused).contains("it is not signed"), "{}", message(&refused));
    app.ask(json!({"manifests": [config_map("config", &[("value", "local")])]})).await;
    let refused = app.operated("Error").await;
    assert!(message(&refused).contains("asks for signatures"), "{}", message(&refused));
    assert_eq!(value(&scene).await, "5");
    // What was signed before is what one may go back to.
    app.ask(json!({"revision": first})).await;
    app.operated("Succeeded").await;
    assert_eq!(value(&scene).await, "1");
}

#[tokio::test]
async fn keys_count_from_the_moment_that_they_are_there() {
    let gpg = Gpg::new(&["ann"]);
    let ann = gpg.id("ann");
    let (scene, _controller) = scene("signed-keys", json!({"signatureKeys": [{"keyID": ann}]})).await;
    let commit = gpg.commit(&scene, "ann", "1");
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.condition("ComparisonError", &[&ann, "which is not in the ConfigMap"]).await;
    assert!(scene.object("configmaps", "config").await.is_none());
    keys(&scene, json!({&ann: gpg.export("ann")})).await;
    app.synced(&commit).await;
    amend_keys(&scene, json!({&ann: null})).await;
    app.condition("ComparisonError", &["which is not in the ConfigMap"]).await;
    amend_keys(&scene, json!({&ann: "no key"})).await;
    app.condition("ComparisonError", &["is not used"]).await;
    amend(&scene, "team", json!({"signatureKeys": null})).await;
    app.without_condition("ComparisonError").await;
}

#[tokio::test]
async fn a_tag_is_signed_itself() {
    let gpg = Gpg::new(&["ann"]);
    let ann = gpg.id("ann");
    let (scene, _controller) = scene("signed-tag", json!({})).await;
    let policy = json!({"repos": [{"url": scene.repository.url()}], "gpg": {"mode": "head", "keys": [&ann]}});
    amend(&scene, "team", json!({"sourceIntegrity": {"git": {"policies": [policy]}}})).await;
    keys(&scene, json!({&ann: gpg.export("ann")})).await;
    let commit = put(&scene, "1");
    scene.repository.annotated_tag("v1", &commit).unwrap();
    let built = scene.application().project("team").revision("v1").automated(true, true);
    let app = scene.create(built).await;
    app.condition("ComparisonError", &["tag ", &commit, "it is not signed"]).await;
    let key = format!("user.signingkey={ann}");
    gpg.git(&scene, &["-c", &key, "tag", "-s", "-m", "v2", "v2", &commit]);
    app.patch(&json!({"spec": {"source": {"targetRevision": "v2"}}})).await;
    app.synced(&commit).await;
    assert_eq!(value(&scene).await, "1");
}

#[tokio::test]
async fn policies_are_for_their_repositories() {
    let ssh = tempfile::tempdir().unwrap();
    let private = ssh.path().join("key");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&private));
    let public = std::fs::read_to_string(ssh.path().join("key.pub")).unwrap();
    let fingerprint = run(Command::new("ssh-keygen").arg("-lf").arg(&private));
    let fingerprint = fingerprint.split(' ').nth(1).unwrap().to_owned();
    let (scene, _controller) = scene("signed-policies", json!({})).await;
    let url = scene.repository.url().to_owned();
    let policy = |repository: &str, mode: &str| json!({"repos": [{"url": repository}], "gpg": {"mode": mode, "keys": [&fingerprint]}});
    let policies = async |list: &[Value]| {
        amend(&scene, "team", json!({"sourceIntegrity": {"git": {"policies": list}}})).await;
    };
    policies(&[policy("https://elsewhere.example/*", "head"), policy(&url, "none")]).await;
    let commit = put(&scene, "1");
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.synced(&commit).await;
    policies(&[policy("*", "head"), policy(&url, "none")]).await;
    app.condition("ComparisonError", &["policies 1 and 2"]).await;
    policies(&[policy(&url, "strict")]).await;
    app.condition("ComparisonError", &["strict"]).await;
    policies(&[policy("*", "head")]).await;
    app.condition("ComparisonError", &["it is not signed"]).await;
    keys(&scene, json!({"trueup.ssh-signers": format!("ann@example.com {public}")})).await;
    let settings = ["-c", "gpg.format=ssh", "-c", &format!("user.signingkey={}", private.display())];
    let commit = sign_commit(&scene, None, &settings.map(str::to_owned), "2");
    app.synced(&commit).await;
    assert_eq!(value(&scene).await, "2");
}
