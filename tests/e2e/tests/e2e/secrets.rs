//! A value of a Secret appears nowhere: no log, status, Event, metric or diff, whatever is refused.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::trueup_binary;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::secret;
use trueup_e2e::objects;

/// What is planted. None is a part of another, and none occurs by chance.
const PLANTED: [&str; 9] = [
    "plantedOne4f9a",
    "plantedTwo77b1",
    "plantedThree0c3d",
    "plantedFour91ee",
    "plantedFive5a5a",
    "plantedSix3b8c",
    "plantedSeven2d6f",
    "plantedEight8e01",
    "plantedNine6c44",
];

const CONTROL: &str = "t-secrets-argocd";

fn manifest(name: &str, rest: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{rest}\n")
}

/// One application per case, so that each is refused, or drifts, by itself.
async fn one(scene: &Scene<'_>, name: &str, text: &str) -> App {
    scene.put(&format!("{name}/secret.yaml"), text);
    let app = format!("secrets-{name}");
    scene.create(scene.application_named(&app).path(name).automated(true, true)).await
}

async fn refused(app: &App, words: &[&str]) {
    app.until(&format!("a refusal with {words:?}"), |app| {
        let state = &app["status"]["operationState"];
        let message = state["message"].as_str().unwrap_or_default();
        !state["finishedAt"].is_null() && words.iter().all(|word| message.contains(word))
    })
    .await;
}

#[tokio::test]
async fn a_planted_value_appears_nowhere() {
    let world = World::shared();
    let scene = Scene::new(world, "secrets", CONTROL).await;
    let options = ControllerOptions { log_filter: "trace".to_owned(), ..controller_options(CONTROL) };
    let controller = world.controller(&options).await;
    let [good, drifted, bad_base64, wrong_type, in_place, immutable, changed, applied, unknown] = PLANTED;

    // It is synced, and changed by hand to another: both sides of the drift are values.
    let commit = scene.put("good/secret.yaml", &secret("good", &[("word", good)]));
    let app = scene.create(scene.application_named("secrets-good").path("good").automated(true, true)).await;
    app.synced(&commit).await;
    scene.edit("secrets", "good", &json!({"stringData": {"word": drifted}})).await;
    let healed = |app: &Value| app["status"]["drift"]["events"][0]["outcome"] == "healed";
    let seen = app.until("the healed drift", healed).await;
    assert_eq!(seen["status"]["drift"]["events"][0]["fields"][0]["path"], ".data.word");
    scene.until_event("secrets-good", &["DriftHealed", "good"]).await;
    // Reported only, which is compared and told in another way.
    app.patch(&json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}}}})).await;
    scene.edit("secrets", "good", &json!({"stringData": {"word": drifted, "more": drifted}})).await;
    app.sync_status("OutOfSync").await;

    // No base64: a refusal with HTTP 500, whose text quotes it.
    let app = one(&scene, "base64", &manifest("base64", &format!("data: {{word: \"!{bad_base64}\"}}"))).await;
    refused(&app, &["base64", "500"]).await;
    // A list where a text belongs.
    let app = one(&scene, "type", &manifest("type", &format!("data: {{word: [\"{wrong_type}\"]}}"))).await;
    app.until("a refusal", |app| app["status"].to_string().contains("type")).await;
    // A text where the map belongs.
    let app = one(&scene, "place", &manifest("place", &format!("stringData: \"{in_place}\""))).await;
    app.until("a refusal", |app| app["status"].to_string().contains("place")).await;
    // A field that does not exist, with a value as its name's neighbour.
    let app = one(&scene, "unknown", &manifest("unknown", &format!("dataa: {{word: \"{unknown}\"}}"))).await;
    refused(&app, &["unknown"]).await;
    // Immutable: HTTP 422.
    let text = |value: &str| manifest("immutable", &format!("immutable: true\nstringData: {{word: \"{value}\"}}"));
    let app = one(&scene, "immutable", &text(immutable)).await;
    app.sync_status("Synced").await;
    scene.put("immutable/secret.yaml", &text(changed));
    refused(&app, &["immutable", "422"]).await;

    // Applied by a client, which keeps a copy of everything in an annotation; then that stands in Git, and is changed.
    let client_side = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "applied", "namespace": scene.namespace},
        "stringData": {"word": applied},
    });
    kubectl_with_input(&world.control_plane, &["apply", "-f", "-"], &client_side.to_string()).await;
    let args = ["get", "secret", "applied", "-n", &scene.namespace, "-o", "yaml"];
    let printed = kubectl_with_input(&world.control_plane, &args, "").await;
    assert!(printed.contains("last-applied-configuration") && printed.contains(applied), "{printed}");
    let app = one(&scene, "applied", &printed).await;
    app.sync_status("Synced").await;
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let edited =
        json!({"metadata": {"annotations": {annotation: format!("{{\"stringData\":\"{applied}{drifted}\"}}")}}});
    scene.edit("secrets", "applied", &edited).await;
    app.until("the drift of the annotation", |app| !app["status"]["drift"]["events"].is_null()).await;

    // What is shown, and by whom.
    let good_diff = diff(&scene, "secrets-good").await;
    assert!(good_diff.contains("Secret"), "the diff shows nothing: {good_diff}");
    let diffs = [good_diff, diff(&scene, "secrets-immutable").await, diff(&scene, "secrets-applied").await];
    appears_nowhere(&scene, &controller, &diffs).await;
}

/// What `trueup app diff` prints.
async fn diff(scene: &Scene<'_>, app: &str) -> String {
    let kubeconfig = scene.world.control_plane.user_kubeconfig("somebody").unwrap().display().to_string();
    let output = tokio::process::Command::new(trueup_binary().unwrap())
        .args(["app", "diff", app, "-n", CONTROL, "--kubeconfig", &kubeconfig])
        .env("TRUEUP_CACHE_DIR", scene.world.control_plane.dir().join("cli-cache"))
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

async fn appears_nowhere(scene: &Scene<'_>, controller: &Controller, diffs: &[String]) {
    // Events are told in the background: the last of them names the last of the drifts.
    until("the last Event", SLOW, async || {
        let events = scene.events("secrets-applied").await;
        if events.iter().any(|event| event.contains("Drift")) { Ok(()) } else { Err(events) }
    })
    .await
    .unwrap();
    let list = async |collection: &str| serde_json::to_string(&scene.admin.list(collection).await).unwrap();
    let places = [
        ("the log", controller.log()),
        ("a status", list(&objects("applications", CONTROL)).await),
        ("an Event", list(&objects("events", "")).await),
        ("the metrics", controller.metrics().await.unwrap()),
        ("a diff", diffs.join("\n")),
    ];
    assert!(
        places
            .iter()
            .all(|(_, text)| text.contains("secrets-good") || text.contains("trueup_") || text.contains("Secret"))
    );
    for value in PLANTED {
        let forms = [value.to_owned(), base64(value), base64(&format!("!{value}"))];
        for (place, text) in &places {
            for form in &forms {
                // The last letters of base64 depend on what follows.
                let form = &form[..form.len() - 4];
                if let Some(at) = text.find(form) {
                    let context: String =
                        text[..at].chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect();
                    panic!("{place} holds {value}: …{context}>>>{}", &text[at..text.len().min(at + 100)]);
                }
            }
        }
    }
}

pub(crate) fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        encoded.extend(
            (0..4).map(
                |place| if place > chunk.len() { '=' } else { char::from(ALPHABET[bits >> (18 - 6 * place) & 63]) },
            ),
        );
    }
    encoded
}

#[test]
fn the_forms_that_are_looked_for_are_right() {
    assert_eq!(base64("plantedOne4f9a"), "cGxhbnRlZE9uZTRmOWE=");
}
