//! The API server and etcd restart, forget, and refuse: everything ends in line, and nothing is deleted by mistake.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::Secret;
use kube::core::ApiResource;
use serde_json::json;
use trueup_bed::ApiCall;
use trueup_bed::ApiFault;
use trueup_bed::Audit;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::FaultProxy;
use trueup_bed::Recorder;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::NAMESPACE;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::secret;

/// Objects of the application.
const WIDTH: usize = 40;
/// More than the controller ever needs for so little, and less than it would take to hold answers up.
const MEMORY_BYTES_MAX: u64 = 400 << 20;

/// Lines of warning per outage: that it is there, and what each server says while it starts. There are 20 watches.
const COMPLAINTS_MAX: usize = 10;

/// A world, an application in it, and who watches.
struct Play {
    world: &'static World,
    scene: Scene<'static>,
    app: App,
    recorder: Recorder,
    controller: Controller,
}

impl Play {
    async fn begin(world: &'static World, name: &str, options: &ControllerOptions) -> Self {
        let scene = Scene::new(world, name, NAMESPACE).await;
        let kinds = [ApiResource::erase::<ConfigMap>(&()), ApiResource::erase::<Secret>(&())];
        let recorder = Recorder::start(scene.admin.client().clone(), &kinds).await.unwrap();
        let controller = world.controller(options).await;
        let commit = change(&scene, 0);
        let app = scene.create(scene.application().automated(true, true)).await;
        app.synced(&commit).await;
        Self { world, scene, app, recorder, controller }
    }

    /// Everything is as the round has it, changes by hand are still seen, and nothing else ever went.
    async fn in_line(&self, round: usize, commit: &str) {
        self.app.synced(commit).await;
        self.app.until("no condition left", |app| app["status"]["conditions"].is_null()).await;
        for number in [0, WIDTH - 1] {
            let name = format!("config-{number}");
            self.scene.until_value("configmaps", &name, "/data/round", round.to_string()).await;
        }
        for gone in 0..round {
            self.scene.until_gone("configmaps", &format!("goes-{gone}")).await;
        }
        self.scene.edit("configmaps", "config-0", &json!({"data": {"round": "by hand"}})).await;
        self.scene.until_value("configmaps", "config-0", "/data/round", round.to_string()).await;
        self.recorder.settle().await.unwrap();
        let wrong: Vec<String> = self
            .recorder
            .deletions()
            .into_iter()
            .filter(|deleted| deleted.namespace == self.scene.namespace && !deleted.name.starts_with("goes-"))
            .map(|deleted| deleted.name)
            .collect();
        assert!(wrong.is_empty(), "deleted although Git holds it: {wrong:?}");
        let used = self.controller.usage().unwrap();
        assert!(used.peak_rss_bytes < MEMORY_BYTES_MAX, "{used:?}");
    }
}

/// Everything changes, and one object goes.
fn change(scene: &Scene<'_>, round: usize) -> String {
    let value = round.to_string();
    let mut files: Vec<(String, Option<String>)> = (0..WIDTH)
        .map(|number| {
            let name = format!("config-{number}");
            (format!("app/{name}.yaml"), Some(config_map(&name, &[("round", &value)])))
        })
        .collect();
    files.push(("app/secret.yaml".to_owned(), Some(secret("secret", &[("round", &value)]))));
    files.push((format!("app/goes-{round}.yaml"), Some(config_map(&format!("goes-{round}"), &[("a", "1")]))));
    if round > 0 {
        files.push((format!("app/goes-{}.yaml", round - 1), None));
    }
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, text.as_deref())).collect();
    scene.commit(&files)
}

fn options(kubeconfig: Option<&FaultProxy>) -> ControllerOptions {
    let resync = Some(Duration::from_secs(1));
    let kubeconfig = kubeconfig.map(|proxy| proxy.kubeconfig().to_owned());
    ControllerOptions { kubeconfig, resync, ..controller_options(NAMESPACE) }
}

#[tokio::test]
async fn the_api_server_and_etcd_restart_in_the_middle_of_syncs() {
    let world: &'static World = World::start().await.kept();
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let play = Play::begin(world, "restarts", &options(None)).await;
    for round in 1..=4 {
        let mark = audit.mark().await.unwrap();
        let commit = change(&play.scene, round);
        until("the sync to begin", SLOW, async || {
            let requests = audit.since(mark).await.map_err(|error| error.to_string())?;
            let writes = requests.by("trueup").writes().len();
            if writes >= 5 { Ok(()) } else { Err(writes.to_string()) }
        })
        .await
        .unwrap();
        if round % 2 == 1 {
            play.world.control_plane.restart_etcd().await.unwrap();
        } else {
            play.world.control_plane.restart_apiserver().await.unwrap();
        }
        play.in_line(round, &commit).await;
    }
    // An outage is told, and not once per watch, request and status.
    let log = play.controller.log();
    let complaints: Vec<&str> =
        log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    assert!(log.contains("the API server cannot be reached"), "{log}");
    assert!(complaints.len() <= 4 * COMPLAINTS_MAX, "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[tokio::test]
async fn all_watches_expire_at_once() {
    let world: &'static World = World::start().await.kept();
    let proxy = FaultProxy::start(&world.control_plane, "trueup").await.unwrap();
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let play = Play::begin(world, "expire", &options(Some(&proxy))).await;
    for round in 1..=3 {
        let mark = audit.mark().await.unwrap();
        proxy.expire_watches();
        let commit = change(&play.scene, round);
        // While it lists everything anew it expires again.
        proxy.expire_watches();
        play.in_line(round, &commit).await;
        // A watch that ends again and again is begun again ever later: the application may be in line before.
        let kinds = ["applications", "appprojects", "configmaps", "secrets", "customresourcedefinitions"];
        let listed = until("everything to be listed anew", SLOW, async || {
            let listed = audit.since(mark).await.map_err(|error| error.to_string())?.by("trueup");
            if kinds.iter().all(|kind| listed.count("list", kind) >= 1) {
                Ok(listed)
            } else {
                Err(format!("{:#?}", listed.counts()))
            }
        })
        .await
        .unwrap();
        for kind in kinds {
            assert!(listed.count("list", kind) <= 20, "{kind} are listed without end: {:#?}", listed.counts());
        }
    }
}

/// The API server refuses for a while, more or less of what it is asked.
async fn storm(name: &str, refuse: impl Fn(usize, &ApiCall) -> Option<ApiFault> + Copy + Send + Sync + 'static) {
    let world: &'static World = World::start().await.kept();
    let proxy = FaultProxy::start(&world.control_plane, "trueup").await.unwrap();
    let play = Play::begin(world, name, &options(Some(&proxy))).await;
    for round in 1..=2 {
        let asked = AtomicUsize::new(0);
        proxy.misbehave(move |call| refuse(asked.fetch_add(1, Ordering::Relaxed), call));
        proxy.expire_watches();
        let commit = change(&play.scene, round);
        proxy.until_caught(15).await.unwrap();
        // It begins anew in the middle of it, which has to list and discover everything.
        if round == 2 {
            proxy.expire_watches();
            proxy.until_caught(30).await.unwrap();
        }
        proxy.behave();
        play.in_line(round, &commit).await;
    }
}

#[tokio::test]
async fn a_storm_of_429() {
    storm("storm-429", |number, _| number.is_multiple_of(2).then_some(ApiFault::Status(429))).await;
}

#[tokio::test]
async fn a_storm_of_500() {
    storm("storm-500", |number, _| number.is_multiple_of(2).then_some(ApiFault::Status(500))).await;
}

#[tokio::test]
async fn nothing_but_refusals_for_a_while() {
    storm("storm-503", |_, _| Some(ApiFault::Status(503))).await;
}
