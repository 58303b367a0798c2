//! What bad input gets: a condition that says what and where, nothing done by half knowledge, nobody else harmed, and
//! recovery by itself once the cause is gone.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::App;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;
use trueup_e2e::objects;

/// A synced application that is about to get bad input, and its neighbour in the same repository.
struct Trouble {
    scene: Scene<'static>,
    app: App,
    neighbour: App,
    /// The identity of the object that leaves Git together with the bad input.
    uid: String,
}

impl Trouble {
    async fn new(name: &str) -> Self {
        let scene = Scene::shared(name).await;
        let commit = scene.commit(&[
            ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
            ("app/leaves.yaml", Some(&config_map("leaves", &[("a", "1")]))),
            ("neighbour/neighbour.yaml", Some(&config_map("neighbour", &[("a", "1")]))),
        ]);
        let app = scene.create(scene.application().automated(true, true)).await;
        let built = scene.application_named(&format!("{name}-neighbour")).path("neighbour");
        let neighbour = scene.create(built.automated(true, true)).await;
        app.synced(&commit).await;
        neighbour.synced(&commit).await;
        let uid = scene.uid("configmaps", "leaves").await;
        Self { scene, app, neighbour, uid }
    }

    /// Commits bad input, together with a change of everything else.
    fn spoil(&self, file: &str, content: &str) -> String {
        self.scene.commit(&[
            (file, Some(content)),
            ("app/config.yaml", Some(&config_map("config", &[("a", "2")]))),
            ("app/leaves.yaml", None),
            ("neighbour/neighbour.yaml", Some(&config_map("neighbour", &[("a", "2")]))),
        ])
    }

    /// Nothing is known: a condition says why, and nothing is applied or pruned.
    async fn unknown(&self, kind: &str, words: &[&str]) {
        let seen = self.app.condition(kind, words).await;
        assert_eq!(seen["status"]["sync"]["status"], "Unknown", "{}", self.app.brief().await);
        self.untouched().await;
    }

    /// The sync fails, and says on which object and why.
    async fn refused(&self, words: &[&str]) {
        self.app
            .until(&format!("a refusal with {words:?}"), |app| {
                let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
                words.iter().all(|word| message.contains(word))
            })
            .await;
        assert_eq!(self.app.get().await["status"]["sync"]["status"], "OutOfSync", "{}", self.app.brief().await);
    }

    async fn untouched(&self) {
        self.app.refresh("normal").await;
        assert_eq!(self.scene.expect("configmaps", "config").await["data"]["a"], "1");
        self.stays().await;
    }

    async fn stays(&self) {
        assert_eq!(self.scene.uid("configmaps", "leaves").await, self.uid);
    }

    /// The neighbour is where Git is.
    async fn neighbour_is_well(&self, commit: &str) {
        let seen = self.neighbour.synced(commit).await;
        assert_eq!(seen["status"]["conditions"], Value::Null, "{}", self.neighbour.brief().await);
    }

    /// The cause is gone, and with it every trace.
    async fn recovers(&self, commit: &str) {
        self.app.synced(commit).await;
        self.app.until("no condition left", |app| app["status"]["conditions"].is_null()).await;
        self.neighbour_is_well(commit).await;
    }
}

#[tokio::test]
async fn files_that_are_no_manifests() {
    let large = "# nothing but words\n".repeat(600_000);
    let rows: [(&str, &str, &[&str]); 7] = [
        ("yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n data: {}\n", &["bad.yaml", "5"]),
        ("tab", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: x\n", &["bad.yaml", "4"]),
        ("kind", "apiVersion: v1\nmetadata: {name: x}\n", &["bad.yaml", "kind"]),
        ("name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {a: b}}\n", &["bad.yaml", "name"]),
        (
            "second",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\nkind: Service\nmetadata: {name: y}\n",
            &["bad.yaml", "apiVersion"],
        ),
        (
            "bomb",
            "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
            &["bad.yaml"],
        ),
        ("large", &large, &["10"]),
    ];
    for (row, content, words) in rows {
        let trouble = Trouble::new(&format!("bad-file-{row}")).await;
        let commit = trouble.spoil("app/bad.yaml", content);
        trouble.unknown("ComparisonError", words).await;
        trouble.neighbour_is_well(&commit).await;
        let mended = trouble.scene.commit(&[("app/bad.yaml", None)]);
        trouble.recovers(&mended).await;
        trouble.scene.until_gone("configmaps", "leaves").await;
    }
}

#[tokio::test]
async fn a_repository_that_does_not_exist() {
    let trouble = Trouble::new("bad-repository").await;
    let url = trouble.scene.repository.url().replace("bad-repository", "bad-repository-to-come");
    trouble.app.patch(&json!({"spec": {"source": {"repoURL": url}}})).await;
    trouble.unknown("ComparisonError", &["bad-repository-to-come"]).await;
    let commit = trouble.scene.put("neighbour/neighbour.yaml", &config_map("neighbour", &[("a", "3")]));
    trouble.neighbour_is_well(&commit).await;
    let other = trouble.scene.world.git.create("bad-repository-to-come").unwrap();
    let commit = other.commit(&[("app/config.yaml", Some(&config_map("config", &[("a", "5")])))], "it exists").unwrap();
    trouble.app.synced(&commit).await;
    trouble.app.without_condition("ComparisonError").await;
    trouble.scene.until_value("configmaps", "config", "/data/a", "5").await;
}

#[tokio::test]
async fn a_repository_that_fails_for_a_while() {
    let trouble = Trouble::new("bad-server").await;
    trouble.scene.repository.misbehave(trueup_bed::Fault::Status(500));
    trouble.unknown("ComparisonError", &["bad-server"]).await;
    let commit = trouble.spoil("app/more.yaml", &config_map("more", &[("a", "1")]));
    trouble.untouched().await;
    trouble.scene.repository.behave();
    trouble.recovers(&commit).await;
}

#[tokio::test]
async fn a_revision_that_does_not_exist() {
    let trouble = Trouble::new("bad-revision").await;
    trouble.app.patch(&json!({"spec": {"source": {"targetRevision": "release/9"}}})).await;
    trouble.unknown("ComparisonError", &["release/9"]).await;
    let commit = trouble.scene.put("neighbour/neighbour.yaml", &config_map("neighbour", &[("a", "3")]));
    trouble.neighbour_is_well(&commit).await;
    trouble.scene.repository.branch("release/9", &commit).unwrap();
    trouble.recovers(&commit).await;
}

#[tokio::test]
async fn a_path_that_does_not_exist() {
    let trouble = Trouble::new("bad-path").await;
    trouble.app.patch(&json!({"spec": {"source": {"path": "no/such/place"}}})).await;
    trouble.unknown("ComparisonError", &["no/such/place"]).await;
    let commit = trouble.scene.commit(&[
        ("no/such/place/config.yaml", Some(&config_map("config", &[("a", "7")]))),
        ("neighbour/neighbour.yaml", Some(&config_map("neighbour", &[("a", "3")]))),
    ]);
    trouble.recovers(&commit).await;
    trouble.scene.until_value("configmaps", "config", "/data/a", "7").await;
    // A path that goes with its files wipes out nothing.
    let commit = trouble.scene.commit(&[("no/such/place/config.yaml", None)]);
    trouble.app.condition("ComparisonError", &["no/such/place"]).await;
    trouble.neighbour_is_well(&commit).await;
    trouble.scene.expect("configmaps", "config").await;
}

#[tokio::test]
async fn an_unknown_kind() {
    let trouble = Trouble::new("bad-kind").await;
    let commit = trouble.spoil("app/bad.yaml", "apiVersion: no.such/v1\nkind: Nothing\nmetadata: {name: x}\n");
    trouble.refused(&["Nothing", "no.such"]).await;
    trouble.untouched().await;
    trouble.neighbour_is_well(&commit).await;
    let mended = trouble.scene.commit(&[("app/bad.yaml", None)]);
    trouble.recovers(&mended).await;
}

#[tokio::test]
async fn refused_applies_name_the_field() {
    let range = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let kind = deployment("bad", 1, "x").replace("replicas: 1", "replicas: \"three\"");
    let rows: [(&str, &str, &[&str]); 2] = [
        ("range", range, &["service", "bad", "spec.ports[0].port"]),
        ("type", &kind, &["deployment", "bad", ".spec.replicas"]),
    ];
    for (row, content, words) in rows {
        let trouble = Trouble::new(&format!("bad-apply-{row}")).await;
        let commit = trouble.spoil("app/bad.yaml", content);
        trouble.refused(words).await;
        // What can be applied is; what should go waits until nothing is missing.
        trouble.scene.until_value("configmaps", "config", "/data/a", "2").await;
        trouble.stays().await;
        trouble.neighbour_is_well(&commit).await;
        let mended = trouble.scene.commit(&[("app/bad.yaml", None)]);
        trouble.recovers(&mended).await;
        trouble.scene.until_gone("configmaps", "leaves").await;
    }
}

#[tokio::test]
async fn an_object_without_a_namespace() {
    let trouble = Trouble::new("bad-namespace").await;
    let options = json!({"destination": {"namespace": null}, "syncPolicy": {"syncOptions": null}});
    trouble.app.patch(&json!({"spec": options})).await;
    let seen = trouble.app.until("a word about the namespace", |app| {
        let told = app["status"]["conditions"].to_string();
        told.contains("namespace") && told.contains("config")
    });
    assert_ne!(seen.await["status"]["sync"]["status"], "Synced");
    trouble.untouched().await;
    let commit = trouble.scene.put("neighbour/neighbour.yaml", &config_map("neighbour", &[("a", "3")]));
    trouble.neighbour_is_well(&commit).await;
    trouble.app.patch(&json!({"spec": {"destination": {"namespace": trouble.scene.namespace}}})).await;
    trouble.recovers(&commit).await;
    trouble.stays().await;
}

#[tokio::test]
async fn destinations_that_cannot_be() {
    let server = "https://kubernetes.default.svc";
    let rows = [
        ("both", json!({"server": server, "name": "in-cluster"}), "InvalidSpecError", "name"),
        ("neither", json!({"server": null}), "InvalidSpecError", "destination"),
        ("elsewhere", json!({"server": "https://other.example"}), "InvalidSpecError", "https://other.example"),
        ("nobody", json!({"server": null, "name": "nobody"}), "InvalidSpecError", "nobody"),
    ];
    for (row, destination, kind, word) in rows {
        let trouble = Trouble::new(&format!("bad-destination-{row}")).await;
        trouble.app.patch(&json!({"spec": {"destination": destination}})).await;
        trouble.unknown(kind, &[word]).await;
        assert_eq!(trouble.app.get().await["status"]["health"]["status"], "Unknown");
        let commit = trouble.scene.put("neighbour/neighbour.yaml", &config_map("neighbour", &[("a", "3")]));
        trouble.neighbour_is_well(&commit).await;
        trouble.app.patch(&json!({"spec": {"destination": {"server": null, "name": "in-cluster"}}})).await;
        trouble.recovers(&commit).await;
        trouble.stays().await;
    }
}

#[tokio::test]
async fn an_object_that_another_application_holds() {
    let trouble = Trouble::new("bad-shared").await;
    let commit = trouble.spoil("app/stolen.yaml", &config_map("neighbour", &[("a", "stolen")]));
    let name = &trouble.neighbour.name;
    trouble.app.condition("SharedResourceWarning", &["neighbour", name]).await;
    trouble.neighbour.condition("SharedResourceWarning", &["neighbour", "bad-shared"]).await;
    trouble.scene.until_value("configmaps", "neighbour", "/data/a", "2").await;
    trouble.neighbour.synced(&commit).await;
    // As soon as its holder lets it go, it is the other's.
    let uid = trouble.scene.uid("configmaps", "neighbour").await;
    let given = trouble.scene.commit(&[
        ("neighbour/neighbour.yaml", None),
        ("neighbour/other.yaml", Some(&config_map("other", &[("a", "1")]))),
    ]);
    trouble.scene.until_value("configmaps", "neighbour", "/data/a", "stolen").await;
    assert_eq!(trouble.scene.uid("configmaps", "neighbour").await, uid);
    trouble.recovers(&given).await;
}

#[tokio::test]
async fn the_same_object_twice() {
    let trouble = Trouble::new("bad-twice").await;
    let commit = trouble.spoil("app/z-again.yaml", &config_map("config", &[("a", "9")]));
    trouble.app.condition("RepeatedResourceWarning", &["ConfigMap", "config"]).await;
    trouble.scene.until_value("configmaps", "config", "/data/a", "9").await;
    trouble.app.synced(&commit).await;
    let mended = trouble.scene.commit(&[("app/z-again.yaml", None)]);
    trouble.recovers(&mended).await;
    trouble.scene.until_value("configmaps", "config", "/data/a", "2").await;
}

/// Our schema lets no such Application in; one that was there before, under another schema, may still be there.
#[tokio::test]
async fn an_application_that_does_not_decode() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "bad-decode", NAMESPACE).await;
    let definition = format!("{}/applications.argoproj.io", objects("customresourcedefinitions", ""));
    let mut crd = scene.admin.get(&definition).await.unwrap();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
    let patch = json!([{"op": "replace", "path": "/spec/versions", "value": crd["spec"]["versions"]}]);
    scene.admin.try_json_patch(&definition, "test", &patch).await.unwrap();
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let undecodable = [
        ("undecodable-source", "source", json!("a text")),
        ("undecodable-destination", "destination", json!(42)),
        ("undecodable-policy", "syncPolicy", json!({"automated": "yes"})),
    ];
    for (name, field, value) in &undecodable {
        let mut object = scene.application_named(name).automated(true, true).build();
        object["spec"][field] = value.clone();
        // A new schema is honoured a moment after it is stored.
        trueup_bed::until("the loose schema", trueup_e2e::SLOW, async || {
            scene
                .admin
                .try_create(&objects("applications", NAMESPACE), &object)
                .await
                .map_err(|error| error.to_string())
        })
        .await
        .unwrap();
    }
    let good = scene.create(scene.application().automated(true, true)).await;
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    good.synced(&commit).await;
    for (name, field, _) in &undecodable {
        let app = scene.app(name);
        let seen = app.condition("InvalidSpecError", &[field]).await;
        assert_eq!(seen["status"]["sync"]["status"], "Unknown");
    }
    let mended = scene.application_named("undecodable-source").automated(true, true).build();
    let app = scene.app("undecodable-source");
    app.patch(&json!({"spec": {"source": mended["spec"]["source"]}})).await;
    app.until("the mended one to be looked at", |app| app["status"]["sync"]["status"] != "Unknown").await;
    app.without_condition("InvalidSpecError").await;
    assert!(controller.try_wait().unwrap().is_none(), "the controller has ended");
}
