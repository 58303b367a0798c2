//! What the soak runs on: a control plane, a git server with a repository per thirty applications, the controller, and a
//! recorder beside them. Dropping it ends and removes all.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use kube::Api;
use kube::Client;
use kube::api::DeleteParams;
use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::core::ApiResource;
use serde_json::Value;
use trueup_bed::ApplicationBuilder;
use trueup_bed::Audit;
use trueup_bed::ControlPlane;
use trueup_bed::ControlPlaneOptions;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::GitServer;
use trueup_bed::Recorder;
use trueup_bed::Repository;
use trueup_bed::Usage;
use trueup_bed::application;
use trueup_bed::until;

use crate::definitions;
use crate::definitions::NAMESPACE;

use super::act::Act;
use super::act::Change;
use super::kind::KINDS;
use super::kind::Kind;
use super::kind::NAMESPACE as NAMESPACES;
use super::wanted::Key;
use super::wanted::Wanted;

/// The user that the controller is towards the API server.
pub(super) const USER: &str = "trueup";
/// The user that the people are.
const SOMEBODY: &str = "somebody";
/// How often the controller looks at Git: often, so that pushes meet edits.
const RESYNC: Duration = Duration::from_secs(2);
/// How many requests of ours are under way at once.
const AT_ONCE: usize = 8;

/// Everything that runs. The fields are dropped in this order.
pub(super) struct Field {
    controller: Controller,
    recorder: Recorder,
    /// Held for its end only.
    _server: GitServer,
    repositories: Vec<Repository>,
    admin: Client,
    somebody: Client,
    control_plane: ControlPlane,
    /// The controller stays away for so many acts more.
    down: Option<usize>,
    /// What people deleted: its key and its identity.
    pub(super) deleted: Vec<(Key, String)>,
}

// === impl Field ===

impl Field {
    /// Starts everything; the controller begins with all Applications there.
    pub(super) async fn start(wanted: &Wanted, binary: PathBuf, keep: bool) -> anyhow::Result<Self> {
        let options = ControlPlaneOptions { keep, ..ControlPlaneOptions::default() };
        let control_plane = ControlPlane::start_with(&[USER, SOMEBODY], options).await?;
        definitions::install(&control_plane).await?;
        let server = GitServer::start_in(control_plane.dir()).await?;
        let mut repositories = Vec::new();
        for at in 0..wanted.repositories() {
            let repository = server.create(&format!("team-{at:02}"))?;
            commit(&repository, &wanted.files(at), "As it begins")?;
            repositories.push(repository);
        }
        let admin = control_plane.client("admin").await?;
        let somebody = control_plane.client(SOMEBODY).await?;
        let kinds: Vec<ApiResource> = KINDS.iter().copied().chain([&NAMESPACES]).map(Kind::resource).collect();
        let recorder = Recorder::start(admin.clone(), &kinds).await?;
        create_applications(&admin, wanted, &repositories).await?;
        let options = ControllerOptions {
            binary: Some(binary),
            user: USER.to_owned(),
            namespace: NAMESPACE.to_owned(),
            resync: Some(RESYNC),
            ..ControllerOptions::default()
        };
        let mut controller = Controller::start(&control_plane, &options)?;
        controller.wait_ready().await?;
        Ok(Self {
            controller,
            recorder,
            _server: server,
            repositories,
            admin,
            somebody,
            control_plane,
            down: None,
            deleted: Vec::new(),
        })
    }

    /// Lets one thing happen.
    pub(super) async fn perform(&mut self, act: Act) -> anyhow::Result<()> {
        match act {
            Act::Push(push) => {
                commit(&self.repositories[push.repository], &push.files, "A change")?;
            }
            Act::Edit(change) => self.merge(&change, "kubectl-edit").await?,
            Act::Scale(change) => self.merge(&change, "kubectl-scale").await?,
            Act::Seize(change) => self.seize(&change).await?,
            Act::Delete(kind, key) => self.delete(kind, key).await?,
            Act::Kill(acts) => {
                self.controller.kill9();
                self.down = Some(acts);
            }
            Act::RestartApiServer => self.control_plane.restart_apiserver().await?,
        }
        if let Some(left) = self.down {
            self.down = left.checked_sub(1);
            if self.down.is_none() {
                self.controller.restart()?;
            }
        }
        Ok(())
    }

    /// Makes sure that the controller runs, and waits until it works.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        if self.down.take().is_some() {
            self.controller.restart()?;
        }
        Ok(self.controller.wait_ready().await?)
    }

    /// Fails if the controller ended without being asked to.
    pub(super) fn alive(&mut self) -> anyhow::Result<()> {
        match self.controller.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the controller ended by itself: {status}"),
        }
    }

    /// What the controller's present process has used.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Ok(self.controller.usage()?)
    }

    /// The head of a repository.
    pub(super) fn head(&self, repository: usize) -> anyhow::Result<String> {
        let head = self.repositories[repository].resolve("refs/heads/main")?;
        head.with_context(|| format!("repository {repository} has no branch main"))
    }

    /// All objects of a kind, in all namespaces.
    pub(super) async fn list(&self, resource: &ApiResource) -> anyhow::Result<Vec<Value>> {
        let api: Api<DynamicObject> = Api::all_with(self.admin.clone(), resource);
        let listed = api.list(&ListParams::default()).await?;
        listed.items.into_iter().map(|object| Ok(serde_json::to_value(object)?)).collect()
    }

    /// The audit log.
    pub(super) async fn audit(&self) -> anyhow::Result<Audit> {
        Ok(Audit::of(&self.control_plane).await?)
    }

    /// What became of every object, up to now.
    pub(super) async fn recorder(&self) -> anyhow::Result<&Recorder> {
        self.recorder.settle().await?;
        Ok(&self.recorder)
    }

    /// The controller's log so far, over all its restarts.
    pub(super) fn log(&self) -> String {
        self.controller.log()
    }

    /// Where everything lies.
    pub(super) fn dir(&self) -> &std::path::Path {
        self.control_plane.dir()
    }

    async fn merge(&self, change: &Change, manager: &str) -> anyhow::Result<()> {
        let parameters = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.patch(change, &parameters, &Patch::Merge(&change.patch)).await
    }

    async fn seize(&self, change: &Change) -> anyhow::Result<()> {
        // Server-side apply would make an object that is not there: nobody would know whose it is.
        let api = self.api(change.kind, &change.key);
        let there = self.patiently(async || api.get_opt(&change.key.name).await).await?;
        if there.is_none() {
            return Ok(());
        }
        self.patch(change, &PatchParams::apply("another-program").force(), &Patch::Apply(&change.patch)).await
    }

    async fn patch(&self, change: &Change, parameters: &PatchParams, patch: &Patch<&Value>) -> anyhow::Result<()> {
        let api = self.api(change.kind, &change.key);
        let patched = self.patiently(async || match api.patch(&change.key.name, parameters, patch).await {
            // It is not there just now: there is nothing to edit.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        });
        patched.await.with_context(|| format!("cannot change {:?}", change.key))
    }

    async fn delete(&mut self, kind: &'static Kind, key: Key) -> anyhow::Result<()> {
        let api = self.api(kind, &key);
        let found = self.patiently(async || api.get_opt(&key.name).await).await?;
        let Some(uid) = found.and_then(|object| object.metadata.uid) else { return Ok(()) };
        // The answer may be lost with the API server: whether it was deleted is told by the recorder.
        let parameters = DeleteParams { preconditions: Some(only(&uid)), ..DeleteParams::default() };
        self.patiently(async || match api.delete(&key.name, &parameters).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            other => other.map(drop),
        })
        .await?;
        self.deleted.push((key, uid));
        Ok(())
    }

    /// Asks until there is an answer: the API server may just have come back.
    async fn patiently<T>(&self, ask: impl AsyncFn() -> kube::Result<T>) -> anyhow::Result<T> {
        let answer = until("the API server to answer", Deadline::LONG, async || match ask().await {
            Ok(answer) => Ok(Ok(answer)),
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                Ok(Err(kube::Error::Api(status)))
            }
            Err(error) => Err(error.to_string()),
        });
        Ok(answer.await??)
    }

    fn api(&self, kind: &Kind, key: &Key) -> Api<DynamicObject> {
        Api::namespaced_with(self.somebody.clone(), &key.namespace, &kind.resource())
    }
}

fn only(uid: &str) -> kube::api::Preconditions {
    kube::api::Preconditions { uid: Some(uid.to_owned()), resource_version: None }
}

fn commit(repository: &Repository, files: &[(String, Option<String>)], message: &str) -> anyhow::Result<()> {
    let files: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_deref())).collect();
    repository.commit(&files, message)?;
    Ok(())
}

async fn create_applications(client: &Client, wanted: &Wanted, repositories: &[Repository]) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &ApplicationBuilder::resource());
    let created = futures::stream::iter(&wanted.applications).map(async |it| {
        let built = application(&it.name)
            .repo(repositories[it.repository].url())
            .path(&it.name)
            .destination(&it.namespace)
            .automated(true, true)
            .sync_option("CreateNamespace=true")
            .build();
        let object: DynamicObject = serde_json::from_value(built)?;
        api.create(&PostParams::default(), &object).await.context("cannot create an Application")?;
        anyhow::Ok(())
    });
    created.buffer_unordered(AT_ONCE).try_collect().await
}
