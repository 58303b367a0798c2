//! The controller is killed in the middle of each phase: the operation goes on where it was, and no hook runs twice.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::core::ApiResource;
use serde_json::json;
use trueup_bed::ApiFault;
use trueup_bed::Audit;
use trueup_bed::Change;
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
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;

use crate::balancer::Balancer;
use crate::balancer::LOAD_BALANCER;
use crate::jobs::Jobs;
use crate::jobs::deleted_hook;
use crate::jobs::hook;
use crate::jobs::result;
use crate::jobs::vanishing_hook;
use crate::jobs::waits;

/// When the controller is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The first hook runs.
    HookRuns,
    /// It ends while there is no controller.
    HookEndsMeanwhile,
    /// It ends and vanishes while there is no controller.
    HookVanishes,
    /// Its end was seen, and nothing came of it yet.
    HookEnded,
    /// The first hook is made, and that was not heard of.
    HookMade,
    /// A wave waits for its health.
    WaveWaits,
    /// The last hook runs.
    LastHookRuns,
    /// All hooks have ended, and that is not written down.
    End,
}

const MOMENTS: [Moment; 8] = [
    Moment::HookRuns,
    Moment::HookEndsMeanwhile,
    Moment::HookVanishes,
    Moment::HookEnded,
    Moment::HookMade,
    Moment::WaveWaits,
    Moment::LastHookRuns,
    Moment::End,
];

/// One application, on its way.
struct Stage {
    scene: Scene<'static>,
    app: App,
    commit: String,
}

impl Stage {
    /// A hook before, two waves, a hook after.
    async fn set(world: &'static World, moment: Moment) -> Self {
        let name = format!("kill-{moment:?}").to_lowercase();
        let scene = Scene::new(world, &name, NAMESPACE).await;
        let late = config_map("late", &[("a", "1")])
            .replace("  name: late\n", "  name: late\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n");
        let make = if moment == Moment::HookVanishes { vanishing_hook } else { hook };
        let before = make("before", "PreSync");
        let commit = scene.commit(&[
            ("app/before.yaml", Some(&before)),
            ("app/balancer.yaml", Some(LOAD_BALANCER)),
            ("app/late.yaml", Some(&late)),
            // Deleted at the end, it must not be missed after that.
            ("app/after.yaml", Some(&deleted_hook("after", "PostSync", "HookSucceeded"))),
        ]);
        let app = scene.create(scene.application().automated(true, true)).await;
        Self { scene, app, commit }
    }

    fn jobs(&self) -> Jobs<'_> {
        Jobs(&self.scene)
    }

    /// Does what comes until the moment, kills the controller then, and starts it again.
    async fn kill(&self, moment: Moment, controller: &mut Controller, proxy: &FaultProxy) {
        let application = format!("/applications/{}", self.scene.name);
        match moment {
            // The fault waits since before there was an application.
            Moment::HookMade => {}
            Moment::HookEnded => {
                self.jobs().begun("before").await;
                self.runs("before").await;
                proxy.misbehave(move |call| {
                    let is_end = call.method == "PATCH" && call.path.ends_with(&application);
                    (is_end && call.body.contains("\"hookPhase\":\"Succeeded\"")).then_some(ApiFault::Swallow)
                });
                self.jobs().end("before", true).await;
            }
            Moment::HookRuns | Moment::HookEndsMeanwhile | Moment::HookVanishes => {
                self.jobs().begun("before").await;
                self.runs("before").await;
            }
            Moment::WaveWaits => {
                self.jobs().succeed("before").await;
                waits(&self.app, "waiting for healthy state of Service/balancer").await;
            }
            Moment::LastHookRuns | Moment::End => {
                self.jobs().succeed("before").await;
                waits(&self.app, "waiting for healthy state of Service/balancer").await;
                Balancer(&self.scene).ready(true).await;
                self.jobs().begun("after").await;
                self.runs("after").await;
                if moment == Moment::End {
                    proxy.misbehave(move |call| {
                        let is_end = call.method == "PATCH" && call.path.ends_with(&application);
                        (is_end && call.body.contains("\"finishedAt\"")).then_some(ApiFault::Swallow)
                    });
                    self.jobs().end("after", true).await;
                }
            }
        }
        if matches!(moment, Moment::HookMade | Moment::HookEnded | Moment::End) {
            proxy.until_caught(1).await.unwrap_or_else(|error| panic!("{moment:?}: {error}\n{}", controller.log()));
        }
        controller.kill9();
        proxy.behave();
        if matches!(moment, Moment::HookEndsMeanwhile | Moment::HookVanishes) {
            self.jobs().end("before", true).await;
        }
        if moment == Moment::HookVanishes {
            // The cluster deletes it; it stays until its end was seen.
            until("its deletion", SLOW, async || {
                let job = self.scene.expect("jobs", "before").await;
                if job["metadata"]["deletionTimestamp"].is_null() { Err(job["status"].clone()) } else { Ok(()) }
            })
            .await
            .unwrap();
        }
        controller.restart().unwrap();
        controller.wait_ready().await.unwrap();
    }

    /// Waits until it is written down that a hook runs.
    async fn runs(&self, name: &str) {
        self.app.until("a hook that runs", |app| result(app, name)["hookPhase"] == "Running").await;
    }

    /// Does what is left to do, and waits for the end.
    async fn go_on(&self, moment: Moment) {
        if matches!(moment, Moment::HookRuns | Moment::HookMade) {
            self.jobs().succeed("before").await;
        }
        if !matches!(moment, Moment::LastHookRuns | Moment::End) {
            waits(&self.app, "waiting for healthy state of Service/balancer").await;
            Balancer(&self.scene).ready(true).await;
        }
        if moment != Moment::End {
            self.jobs().succeed("after").await;
        }
        let seen = self.app.healthy(&self.commit).await;
        assert_eq!(seen["status"]["operationState"]["phase"], "Succeeded", "{moment:?}: {}", self.app.brief().await);
        assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1), "{moment:?}");
        for name in ["before", "after"] {
            assert_eq!(result(&seen, name)["hookPhase"], "Succeeded", "{moment:?}: {name}");
        }
        self.scene.expect("configmaps", "late").await;
    }
}

fn options(proxy: &FaultProxy) -> ControllerOptions {
    let resync = Some(Duration::from_secs(1));
    ControllerOptions { kubeconfig: Some(proxy.kubeconfig().to_owned()), resync, ..controller_options(NAMESPACE) }
}

#[tokio::test]
async fn killed_in_any_phase_it_goes_on_and_no_hook_runs_twice() {
    let world: &'static World = World::start().await.kept();
    let proxy = FaultProxy::start(&world.control_plane, "trueup").await.unwrap();
    let admin = world.rest("admin").await;
    let recorder = Recorder::start(admin.client().clone(), &[ApiResource::erase::<Job>(&())]).await.unwrap();
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let mut controller = world.controller(&options(&proxy)).await;
    for moment in MOMENTS {
        println!("{moment:?}");
        if moment == Moment::HookMade {
            proxy.misbehave(|call| {
                let made = call.method == "POST" && call.path.ends_with("/namespaces/t-kill-hookmade/jobs");
                made.then_some(ApiFault::Withhold)
            });
        }
        let stage = Stage::set(world, moment).await;
        stage.kill(moment, &mut controller, &proxy).await;
        stage.go_on(moment).await;
    }
    recorder.settle().await.unwrap();
    let asked = audit.since(mark).await.unwrap().by("trueup");
    for moment in MOMENTS {
        let namespace = format!("t-kill-{moment:?}").to_lowercase();
        for name in ["before", "after"] {
            let made = recorder.story("Job", &namespace, name);
            let made = made.iter().filter(|sighting| sighting.change == Change::Added).count();
            assert_eq!(made, 1, "{moment:?}: {name} ran once");
        }
        let created = asked.filtered(|asked| {
            asked.namespace == namespace && asked.resource == "jobs" && asked.verb == "create" && asked.code == 201
        });
        assert_eq!(created.len(), 2, "{moment:?}");
    }
}

#[tokio::test]
async fn the_api_server_goes_and_comes_back_in_every_phase() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "hook-outage", NAMESPACE).await;
    let commit = scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/balancer.yaml", Some(LOAD_BALANCER)),
        ("app/config.yaml", Some(&annotated("config", &[("argocd.argoproj.io/sync-wave", "1")]))),
        ("app/after.yaml", Some(&hook("after", "PostSync"))),
    ]);
    let _controller = world.controller(&controller_options(NAMESPACE)).await;
    let app = scene.create(scene.application().automated(true, true)).await;
    let jobs = Jobs(&scene);
    let restart = async || world.control_plane.restart_apiserver().await.unwrap();
    let before = jobs.begun("before").await;
    waits(&app, "batch/Job/before").await;
    restart().await;
    jobs.end("before", true).await;
    waits(&app, "waiting for healthy state of Service/balancer").await;
    restart().await;
    assert!(scene.object("configmaps", "config").await.is_none(), "the wave before is not healthy");
    Balancer(&scene).ready(true).await;
    let after = jobs.begun("after").await;
    waits(&app, "batch/Job/after").await;
    restart().await;
    jobs.end("after", true).await;
    let seen = app.healthy(&commit).await;
    assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1));
    scene.expect("configmaps", "config").await;
    // Made once each.
    assert_eq!((scene.uid("jobs", "before").await, scene.uid("jobs", "after").await), (before, after));
}

#[tokio::test]
async fn the_api_server_goes_and_comes_back_while_a_hook_for_failures_runs() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "rescue-outage", NAMESPACE).await;
    scene.commit(&[
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/rescue.yaml", Some(&hook("rescue", "SyncFail"))),
    ]);
    let _controller = world.controller(&controller_options(NAMESPACE)).await;
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let jobs = Jobs(&scene);
    jobs.fail("before").await;
    let rescue = jobs.begun("rescue").await;
    waits(&app, "batch/Job/rescue").await;
    world.control_plane.restart_apiserver().await.unwrap();
    jobs.end("rescue", true).await;
    let seen = app.operated("Failed").await;
    assert_eq!(result(&seen, "rescue")["hookPhase"], "Succeeded");
    assert_eq!(scene.uid("jobs", "rescue").await, rescue);
    assert!(scene.object("configmaps", "config").await.is_none());
}

#[tokio::test]
async fn killed_while_a_hook_for_failures_runs_it_ends_as_failed() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "kill-rescue", NAMESPACE).await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/after.yaml", Some(&hook("after", "PostSync"))),
        ("app/rescue.yaml", Some(&hook("rescue", "SyncFail"))),
    ]);
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    app.ask(json!({})).await;
    let jobs = Jobs(&scene);
    let after = jobs.fail("after").await;
    let rescue = jobs.begun("rescue").await;
    waits(&app, "batch/Job/rescue").await;
    controller.restart().unwrap();
    controller.wait_ready().await.unwrap();
    jobs.end("rescue", true).await;
    let seen = app.operated("Failed").await;
    assert_eq!(result(&seen, "after")["hookPhase"], "Failed");
    assert_eq!(result(&seen, "rescue")["hookPhase"], "Succeeded");
    assert!(seen["status"]["operationState"]["message"].as_str().unwrap().contains("job.batch/after"));
    assert_eq!((scene.uid("jobs", "after").await, scene.uid("jobs", "rescue").await), (after, rescue));
}

#[tokio::test]
async fn ended_by_somebody_while_there_is_no_controller_it_ends_with_its_hook() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "kill-terminate", NAMESPACE).await;
    scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/before.yaml", Some(&hook("before", "PreSync"))),
    ]);
    let mut controller = world.controller(&controller_options(NAMESPACE)).await;
    let app = scene.create(scene.application().automated(true, true)).await;
    Jobs(&scene).begun("before").await;
    waits(&app, "batch/Job/before").await;
    controller.kill9();
    app.patch(&json!({"status": {"operationState": {"phase": "Terminating"}}})).await;
    controller.restart().unwrap();
    controller.wait_ready().await.unwrap();
    let seen = app.operated("Failed").await;
    assert_eq!(seen["status"]["operationState"]["message"], "Operation terminated");
    scene.until_gone("jobs", "before").await;
    assert!(scene.object("configmaps", "config").await.is_none());
}
