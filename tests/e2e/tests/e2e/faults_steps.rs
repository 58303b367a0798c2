//! Killed at every kind of write, right before the API server has it and right after: the next start brings it to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ApiResource;
use serde_json::json;
use trueup_bed::ApiCall;
use trueup_bed::ApiFault;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::FaultProxy;
use trueup_bed::Recorder;
use trueup_e2e::App;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Namespace,
    Apply,
    Status,
    Takeover,
    Prune,
    Cascade,
    Finalizer,
}

const STEPS: [Step; 7] =
    [Step::Namespace, Step::Apply, Step::Status, Step::Takeover, Step::Prune, Step::Cascade, Step::Finalizer];

impl Step {
    fn is(self, call: &ApiCall, scene: &str) -> bool {
        let (application, namespace) = (format!("/applications/{scene}"), format!("/t-{scene}/"));
        let of_application = call.method == "PATCH" && call.path.ends_with(&application);
        let of_object = call.path.contains(&namespace);
        let applies = call.content_type.starts_with("application/apply-patch") && !call.query.contains("dryRun");
        match self {
            Self::Namespace => call.method == "POST" && call.path.ends_with("/namespaces"),
            Self::Apply => applies && of_object && call.path.ends_with("/changes"),
            Self::Status => of_application && call.body.contains("operationState"),
            Self::Takeover => call.method == "PATCH" && of_object && call.body.contains("managedFields"),
            Self::Prune | Self::Cascade => call.method == "DELETE" && of_object,
            Self::Finalizer => of_application && call.body.contains("/metadata/finalizers"),
        }
    }

    fn deletes_all(self) -> bool {
        matches!(self, Self::Cascade | Self::Finalizer)
    }
}

/// One application, brought to where the step comes next.
struct Stage<'a> {
    scene: Scene<'a>,
    app: Option<App>,
}

impl<'a> Stage<'a> {
    async fn set(world: &'a World, name: &str, step: Step) -> Self {
        let scene = Scene::new(world, name, NAMESPACE).await;
        let mut stage = Self { scene, app: None };
        match step {
            Step::Namespace => {}
            Step::Takeover => {
                let scene = &stage.scene;
                scene.admin.create(&objects("namespaces", ""), &json!({"metadata": {"name": scene.namespace}})).await;
                let object = config_map("changes", &[("a", "0"), ("goes", "yes")]);
                let apply = ["apply", "-n", &scene.namespace, "-f", "-"];
                kubectl_with_input(&world.control_plane, &apply, &object).await;
            }
            Step::Apply | Step::Status | Step::Prune | Step::Cascade | Step::Finalizer => {
                let commit = stage.commit("1", true);
                let app = stage.create().await;
                app.synced(&commit).await;
                stage.app = Some(app);
            }
        }
        stage
    }

    fn commit(&self, value: &str, goes: bool) -> String {
        let goes = goes.then(|| config_map("goes", &[("a", "1")]));
        let mut files = vec![
            ("app/changes.yaml", Some(config_map("changes", &[("a", value)]))),
            ("app/stays.yaml", Some(config_map("stays", &[("a", "1")]))),
        ];
        if goes.is_some() || self.app.is_some() {
            files.push(("app/goes.yaml", goes));
        }
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (*path, text.as_deref())).collect();
        self.scene.commit(&files)
    }

    async fn create(&self) -> App {
        self.scene.create(self.scene.application().automated(true, true).cascade()).await
    }

    /// Does what the step follows from, and answers the commit.
    async fn act(&mut self, step: Step) -> String {
        match step {
            Step::Namespace | Step::Takeover => {
                let commit = self.commit("2", false);
                self.app = Some(self.create().await);
                commit
            }
            Step::Apply | Step::Status | Step::Prune => self.commit("2", false),
            Step::Cascade | Step::Finalizer => {
                self.app().delete().await;
                String::new()
            }
        }
    }

    fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    async fn ends_well(&self, step: Step, commit: &str) {
        if step.deletes_all() {
            self.app().gone().await;
            for name in ["changes", "stays", "goes"] {
                self.scene.until_gone("configmaps", name).await;
            }
            return;
        }
        self.app().synced(commit).await;
        self.scene.until_value("configmaps", "changes", "/data", json!({"a": "2"})).await;
        self.scene.until_gone("configmaps", "goes").await;
        self.app().until("no condition left", |app| app["status"]["conditions"].is_null()).await;
    }
}

fn through(proxy: &FaultProxy) -> ControllerOptions {
    let resync = Some(Duration::from_secs(1));
    ControllerOptions { kubeconfig: Some(proxy.kubeconfig().to_owned()), resync, ..controller_options(NAMESPACE) }
}

#[tokio::test]
async fn killed_before_and_after_each_kind_of_write_it_is_brought_to_its_end() {
    let world: &'static World = World::start().await.kept();
    let proxy = FaultProxy::start(&world.control_plane, "trueup").await.unwrap();
    let admin = world.rest("admin").await;
    let recorder = Recorder::start(admin.client().clone(), &[ApiResource::erase::<ConfigMap>(&())]).await.unwrap();
    let mut controller: Controller = world.controller(&through(&proxy)).await;
    for step in STEPS {
        for (moment, fault) in [("before", ApiFault::Swallow), ("after", ApiFault::Withhold)] {
            let name = format!("step-{step:?}-{moment}").to_lowercase();
            println!("{name}");
            let mut stage = Stage::set(world, &name, step).await;
            let met = name.clone();
            proxy.misbehave(move |call| step.is(call, &met).then_some(fault));
            let commit = stage.act(step).await;
            proxy.until_caught(1).await.unwrap_or_else(|error| panic!("{name}: {error}\n{}", controller.log()));
            controller.kill9();
            proxy.behave();
            controller.restart().unwrap();
            controller.wait_ready().await.unwrap();
            stage.ends_well(step, &commit).await;
        }
    }
    recorder.settle().await.unwrap();
    for step in STEPS {
        for moment in ["before", "after"] {
            let namespace = format!("t-step-{step:?}-{moment}").to_lowercase();
            for name in ["changes", "stays", "goes"] {
                let story = recorder.story("ConfigMap", &namespace, name);
                let identities: BTreeSet<&str> = story.iter().map(|sighting| &*sighting.uid).collect();
                assert!(identities.len() <= 1, "{namespace}/{name} was made twice");
                let deleted = story.iter().any(|sighting| sighting.change == trueup_bed::Change::Deleted);
                assert!(!deleted || name == "goes" || step.deletes_all(), "{namespace}/{name} was deleted");
            }
        }
    }
}
