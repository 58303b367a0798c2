//! What SOPS encrypted is decrypted with the keys of the project, in memory only; without keys it is refused.

use std::path::Path;

use serde_json::Value;
use serde_json::json;
use trueup_bed::ControllerOptions;
use trueup_bed::renderer_binary;
use trueup_bed::trueup_binary;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::objects;

use crate::secrets::base64;

const CONTROL: &str = "t-sops-argocd";
const PROJECT: &str = "sealed";
const NAMED: &str = "trueup.dev/decryption-secret";

/// Encrypted by the real command, for the first of the recorded keys; and what is in them.
const MANIFEST: (&str, &str) = (include_str!("sops/secret.yaml"), "plantedManifest71c2");
const VALUES: (&str, &str) = (include_str!("sops/values.yaml"), "plantedValues38fa");
const ENVIRONMENT: (&str, &str) = (include_str!("sops/secret.env"), "plantedEnvironment5d09");

const TEMPLATE: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: chart\nstringData:\n  password: {{ .Values.password | quote }}\n";
const OVERLAY: &str =
    "generatorOptions:\n  disableNameSuffixHash: true\nsecretGenerator:\n- name: overlay\n  envs: [secret.env]\n";

/// One of the recorded keys.
fn key(name: &str) -> String {
    let keys: Value = serde_json::from_str(include_str!("../../../../crates/sops/tests/data/keys.json")).unwrap();
    keys["secret"][name].as_str().unwrap().to_owned()
}

fn keys(text: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": CONTROL},
        "stringData": {"mine.agekey": format!("# of the tests\n{text}\n")},
    })
}

#[tokio::test]
async fn encrypted_files_are_decrypted_in_memory_or_refused() {
    let world = World::shared();
    let scene = Scene::new(world, "sops", CONTROL).await;
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": PROJECT, "namespace": CONTROL},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]},
    });
    scene.admin.create(&objects("appprojects", CONTROL), &project).await;
    let options = ControllerOptions { log_filter: "trace".to_owned(), ..controller_options(CONTROL) };
    let controller = world.controller(&options).await;
    let commit = scene.commit(&[
        ("manifest/secret.yaml", Some(MANIFEST.0)),
        ("chart/Chart.yaml", Some("apiVersion: v2\nname: chart\nversion: 1.0.0\n")),
        ("chart/templates/secret.yaml", Some(TEMPLATE)),
        ("chart/secrets.yaml", Some(VALUES.0)),
        ("overlay/kustomization.yaml", Some(OVERLAY)),
        ("overlay/secret.env", Some(ENVIRONMENT.0)),
    ]);
    let built =
        |name: &str| scene.application_named(&format!("sops-{name}")).path(name).project(PROJECT).automated(true, true);
    // An Application cannot name a Secret: only its project can.
    let app = scene.create(built("manifest").annotation(NAMED, "keys")).await;

    app.condition("ComparisonError", &["secret.yaml", PROJECT, NAMED, "age197plnvd"]).await;
    let name_it = json!({"metadata": {"annotations": {NAMED: "keys"}}});
    let path = format!("{}/{PROJECT}", objects("appprojects", CONTROL));
    scene.admin.merge(&path, "admin", &name_it).await;
    app.condition("ComparisonError", &["secret.yaml", PROJECT, "t-sops-argocd/keys", "does not exist"]).await;
    scene.admin.create(&objects("secrets", CONTROL), &keys(&key("two"))).await;
    app.condition("ComparisonError", &["secret.yaml", "none of the keys", "t-sops-argocd/keys"]).await;
    assert!(scene.object("secrets", "login").await.is_none(), "nothing encrypted goes live");

    // The Secret's change wakes the application: nobody asks for a refresh.
    scene.admin.merge(&format!("{}/keys", objects("secrets", CONTROL)), "admin", &keys(&key("one"))).await;
    app.synced(&commit).await;
    let options = json!({"valueFiles": ["secrets.yaml"]});
    let chart = scene.create(built("chart").set("/spec/source", "helm", options)).await;
    let overlay = scene.create(built("overlay")).await;
    chart.synced(&commit).await;
    overlay.synced(&commit).await;
    let cases =
        [("login", "password", MANIFEST.1), ("chart", "password", VALUES.1), ("overlay", "PASSWORD", ENVIRONMENT.1)];
    for (name, field, planted) in cases {
        assert_eq!(scene.expect("secrets", name).await["data"][field], base64(planted), "{name}");
    }

    // Without self-heal a drift stays, so that something is shown.
    let mut shown = Vec::new();
    for (app, name, field) in
        [(&app, "login", "password"), (&chart, "chart", "password"), (&overlay, "overlay", "PASSWORD")]
    {
        app.patch(&json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}}}})).await;
        // A look that knew nothing of that would still heal.
        app.refresh("normal").await;
        scene.edit("secrets", name, &json!({"stringData": {field: "changed"}})).await;
        app.sync_status("OutOfSync").await;
    }
    for name in ["sops-manifest", "sops-chart", "sops-overlay"] {
        for command in ["diff", "manifests"] {
            let printed = trueup(&scene, command, name).await;
            assert!(printed.contains("Secret"), "{command} {name}: {printed}");
            shown.push(printed);
        }
    }
    let list = async |collection: &str| serde_json::to_string(&scene.admin.list(collection).await).unwrap();
    let mut places = vec![
        ("the log".to_owned(), controller.log().into_bytes()),
        ("a status".to_owned(), list(&objects("applications", CONTROL)).await.into_bytes()),
        ("an Event".to_owned(), list(&objects("events", "")).await.into_bytes()),
        ("the metrics".to_owned(), controller.metrics().await.unwrap().into_bytes()),
        ("what is printed".to_owned(), shown.join("\n").into_bytes()),
    ];
    let before = places.len();
    files(controller.cache_dir(), &mut places);
    files(&cache(&scene), &mut places);
    assert!(places.len() > before + 4, "there are caches");
    for planted in [MANIFEST.1, VALUES.1, ENVIRONMENT.1, &key("one"), &key("two")] {
        let encoded = base64(planted);
        // The last letters of base64 depend on what follows.
        for form in [planted, &encoded[..encoded.len() - 4]] {
            let held = places.iter().find(|(_, text)| text.windows(form.len()).any(|part| part == form.as_bytes()));
            assert!(held.is_none(), "{} holds {form}", held.map_or("", |(place, _)| place));
        }
    }
}

fn cache(scene: &Scene<'_>) -> std::path::PathBuf {
    scene.world.control_plane.dir().join("sops-cli-cache")
}

async fn trueup(scene: &Scene<'_>, command: &str, app: &str) -> String {
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap().display().to_string();
    let output = tokio::process::Command::new(trueup_binary().unwrap())
        .args(["app", command, app, "-n", CONTROL, "--kubeconfig", &kubeconfig])
        .env("TRUEUP_CACHE_DIR", cache(scene))
        .env("TRUEUP_RENDERER", renderer_binary().unwrap())
        .output()
        .await
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The contents of all files below a directory.
fn files(directory: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.is_file() {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
}
