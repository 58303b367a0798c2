//! The controller is killed at any moment: the cluster ends in line, and nothing that Git holds was ever deleted.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::Secret;
use kube::core::ApiResource;
use trueup_bed::ControlPlane;
use trueup_bed::ControllerOptions;
use trueup_bed::Recorder;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Random;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;
use trueup_e2e::manifests::secret;
use trueup_e2e::objects;

/// How many syncs are disturbed.
const SYNCS: usize = 50;
/// Objects of each application that change with every commit.
const WIDTH: usize = 8;
/// A change is about so many writes: objects, their prune, status and Events.
const WRITES: usize = 2 * (WIDTH + 5);
/// How long a write may take to come; then the moment is one at which nothing moves, which is a moment too.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the audit log is read: more often than anything is written.
const GLANCE: Duration = Duration::from_millis(1);

#[tokio::test]
async fn killed_at_any_moment_it_ends_in_line_and_deletes_nothing_that_git_holds() {
    let seed = std::env::var("TRUEUP_KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(50);
    println!("moments from seed {seed}");
    let mut random = Random::new(seed);
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "kill", NAMESPACE).await;
    let kinds = [
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<Secret>(&()),
    ];
    let recorder = Recorder::start(scene.admin.client().clone(), &kinds).await.unwrap();
    let mut commit = change(&scene, 0);
    let mut apps = Vec::new();
    for name in ["a", "b"] {
        apps.push(
            scene.create(scene.application_named(&format!("kill-{name}")).path(name).automated(true, true)).await,
        );
    }
    let options = ControllerOptions { resync: Some(Duration::from_secs(1)), ..controller_options(NAMESPACE) };
    let mut controller = world.controller(&options).await;
    for round in 1..=SYNCS {
        let writes = Writes::from_here(&world.control_plane);
        commit = change(&scene, round);
        writes.reach(random.below(WRITES)).await;
        controller.restart().unwrap();
        // Now and then it gets no further than its start; otherwise it works when the next commit comes.
        if random.below(4) > 0 {
            controller.wait_ready().await.unwrap();
        }
    }
    controller.wait_ready().await.unwrap();
    for app in &apps {
        app.healthy(&commit).await;
    }
    in_line(&scene).await;

    // Moments between syncs would prove nothing.
    let log = controller.log();
    let (begun, ended) = (log.matches("sync begins").count(), log.matches("sync ends").count());
    println!("{begun} syncs began, {ended} ended");
    assert!(begun >= ended + SYNCS / 3, "only {} syncs were disturbed", begun.saturating_sub(ended));

    recorder.settle().await.unwrap();
    let wrong: Vec<String> = recorder
        .deletions()
        .into_iter()
        .filter(|deleted| deleted.namespace == scene.namespace && !deleted.name.starts_with("goes-"))
        .map(|deleted| format!("{} {}", deleted.kind, deleted.name))
        .collect();
    assert!(wrong.is_empty(), "deleted although Git holds it: {wrong:?}");
    // What is there was made once: nothing came a second time under its name.
    for name in ["moves", "web"] {
        let identities: BTreeSet<String> = ["ConfigMap", "Deployment"]
            .into_iter()
            .flat_map(|kind| recorder.story(kind, &scene.namespace, name))
            .map(|sighting| sighting.uid)
            .collect();
        assert_eq!(identities.len(), 1, "{name}");
    }
}

/// The writes of the controller from some moment on, as the audit log tells them.
struct Writes {
    log: File,
}

impl Writes {
    fn from_here(control_plane: &ControlPlane) -> Self {
        let mut log = File::open(control_plane.audit_log()).unwrap();
        log.seek(SeekFrom::End(0)).unwrap();
        Self { log }
    }

    /// Waits until there were so many.
    async fn reach(mut self, wanted: usize) {
        let mut text = String::new();
        // In vain is a moment too.
        let _ = trueup_bed::until_every(GLANCE, format!("{wanted} writes"), PATIENCE, async || {
            self.log.read_to_string(&mut text).unwrap();
            let seen = writes(&text);
            if seen >= wanted { Ok(()) } else { Err(seen) }
        })
        .await;
    }
}

fn writes(audit: &str) -> usize {
    let write = |line: &&str| {
        line.contains("\"username\":\"trueup\"")
            && ["patch", "create", "delete"].iter().any(|verb| line.contains(&format!("\"verb\":\"{verb}\"")))
    };
    audit.lines().filter(write).count()
}

/// Everything changes a little: values, what comes and goes, and in which application one object is.
fn change(scene: &Scene<'_>, round: usize) -> String {
    let value = round.to_string();
    let mut files: Vec<(String, Option<String>)> = Vec::new();
    for app in ["a", "b"] {
        for number in 0..WIDTH {
            let name = format!("config-{app}-{number}");
            files.push((format!("{app}/{name}.yaml"), Some(config_map(&name, &[("round", &value)]))));
        }
        files.push((format!("{app}/secret.yaml"), Some(secret(&format!("secret-{app}"), &[("round", &value)]))));
    }
    files.push(("a/web.yaml".to_owned(), Some(deployment("web", 1, &value))));
    let homes = if round.is_multiple_of(2) { ["a", "b"] } else { ["b", "a"] };
    files.push((format!("{}/moves.yaml", homes[0]), Some(config_map("moves", &[("round", &value)]))));
    if round > 0 {
        files.push((format!("{}/moves.yaml", homes[1]), None));
        files.push((format!("b/goes-{}.yaml", round - 1), None));
    }
    files.push((format!("b/goes-{round}.yaml"), Some(config_map(&format!("goes-{round}"), &[("round", &value)]))));
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, text.as_deref())).collect();
    scene.commit(&files)
}

async fn in_line(scene: &Scene<'_>) {
    let last = SYNCS.to_string();
    trueup_bed::until("what is not in Git to go", trueup_e2e::SLOW, async || {
        let maps = scene.admin.list(&objects("configmaps", &scene.namespace)).await;
        let names: Vec<String> = maps
            .iter()
            .filter_map(|map| map["metadata"]["name"].as_str())
            .filter(|name| name.starts_with("goes-"))
            .map(str::to_owned)
            .collect();
        if names == [format!("goes-{SYNCS}")] { Ok(()) } else { Err(names) }
    })
    .await
    .unwrap();
    let maps = scene.admin.list(&objects("configmaps", &scene.namespace)).await;
    let ours: Vec<&serde_json::Value> = maps.iter().filter(|map| !map["data"]["round"].is_null()).collect();
    assert_eq!(ours.len(), 2 * WIDTH + 2);
    assert!(ours.iter().all(|map| map["data"]["round"] == last.as_str()), "{ours:#?}");
    let home = if SYNCS.is_multiple_of(2) { "kill-a" } else { "kill-b" };
    let moved = scene.expect("configmaps", "moves").await;
    let id = moved["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap_or_default();
    assert!(id.starts_with(&format!("{home}:")), "{id}");
    let colour =
        scene.expect("deployments", "web").await["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
            .clone();
    assert_eq!(colour, last);
}
