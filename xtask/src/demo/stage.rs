//! What the story plays on: the control plane, the git server, the controller. Dropping it ends and removes all.

use std::cell::RefCell;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use kube::core::ApiResource;
use serde_json::Value;
use trueup_bed::ApplicationBuilder;
use trueup_bed::ControlPlane;
use trueup_bed::ControlPlaneOptions;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::GitServer;
use trueup_bed::Repository;

use super::application::Application;
use super::examples::Examples;
use super::failure::Unexpected;
use super::own_cluster::KUBECTL;
use super::own_cluster::OwnCluster;
use crate::definitions;

/// The user that the controller is towards the API server.
const USER: &str = "trueup";
/// How often the controller looks at Git here: two minutes is the default, and too long to watch.
pub(crate) const RESYNC: Duration = Duration::from_secs(2);

/// Everything that runs. The fields are dropped in this order.
pub(crate) struct Stage {
    controller: Option<RefCell<Controller>>,
    /// Held for its end only.
    _server: GitServer,
    repository: Repository,
    client: Client,
    version: String,
    examples: Examples,
    cluster: Cluster,
}

/// Where it plays.
enum Cluster {
    /// A control plane that ends with us.
    Bed(ControlPlane),
    /// A cluster of the user's.
    Own(OwnCluster),
}

// === impl Stage ===

impl Stage {
    /// Starts a control plane, and a git server with an empty repository.
    pub(crate) async fn set(keep: bool) -> Result<Self, Unexpected> {
        // The examples have autoscalers.
        let options = ControlPlaneOptions { keep, metrics: true };
        let control_plane = ControlPlane::start_with(&[USER], options).await?;
        let client = control_plane.client("admin").await?;
        Self::on(Cluster::Bed(control_plane), client, Examples::of_the_bed()?).await
    }

    /// Sets it on a cluster of the user's.
    pub(crate) async fn set_on(own: OwnCluster, examples: Examples) -> Result<Self, Unexpected> {
        let kubeconfig = Kubeconfig::read_from(own.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        Self::on(Cluster::Own(own), client, examples).await
    }

    async fn on(cluster: Cluster, client: Client, mut examples: Examples) -> Result<Self, Unexpected> {
        // If this process is killed, only the control plane is left to remove it.
        let server = GitServer::start_in(cluster.dir()).await?;
        let repository = server.create("platform")?;
        examples.at(repository.url());
        let version = client.apiserver_version().await?.git_version;
        Ok(Self { controller: None, _server: server, repository, client, version, examples, cluster })
    }

    /// Installs our kinds and makes the namespace of the Applications.
    pub(crate) async fn furnish(&mut self) -> Result<(), Unexpected> {
        match &mut self.cluster {
            Cluster::Own(own) => own.furnish(&self.examples.namespace, &self.examples.application).await,
            Cluster::Bed(control_plane) => {
                definitions::install(control_plane).await.map_err(|error| Unexpected(format!("{error:#}")))
            }
        }
    }

    /// Ends the controller, and removes what was made on a cluster that does not end with us. Answers what did not work.
    pub(crate) async fn take_down(mut self) -> Vec<String> {
        self.controller = None;
        match &mut self.cluster {
            Cluster::Bed(_) => Vec::new(),
            Cluster::Own(own) => own.clean_up().await,
        }
    }

    /// The namespace of the Applications.
    pub(crate) fn namespace(&self) -> &str {
        &self.examples.namespace
    }

    /// The Application that things happen to, and the namespace that it deploys to.
    pub(crate) fn application_name(&self) -> &str {
        &self.examples.application
    }

    /// The image of the Deployment that is changed, before and after.
    pub(crate) fn images(&self) -> [&'static str; 2] {
        self.examples.images
    }

    /// What the nodes are.
    pub(crate) fn nodes(&self) -> &'static str {
        match &self.cluster {
            Cluster::Bed(_) => "API server, controllers, scheduler; the nodes are simulated",
            Cluster::Own(_) => "your own cluster",
        }
    }

    /// The API server's version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Commits the examples, and answers the commit.
    pub(crate) fn commit_examples(&self) -> Result<String, Unexpected> {
        let files: Vec<(&str, Option<&str>)> =
            self.examples.files.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect();
        Ok(self.repository.commit(&files, "The shop and its environments")?)
    }

    /// The Applications of the examples, as one stream of documents.
    pub(crate) fn applications_to_apply(&self) -> String {
        self.examples.applications()
    }

    /// Starts the controller and waits until it says that it is ready.
    pub(crate) async fn start_controller(&mut self, binary: PathBuf) -> Result<(), Unexpected> {
        let options = ControllerOptions {
            binary: Some(binary),
            user: USER.to_owned(),
            namespace: self.namespace().to_owned(),
            resync: Some(RESYNC),
            ..ControllerOptions::default()
        };
        let mut controller = match &self.cluster {
            Cluster::Bed(control_plane) => Controller::start(control_plane, &options)?,
            Cluster::Own(own) => Controller::start_in(own.dir(), &own.kubeconfig(), &options)?,
        };
        let ready = controller.wait_ready().await;
        self.controller = Some(RefCell::new(controller));
        Ok(ready?)
    }

    /// How the controller ended, if it did.
    pub(crate) fn controller_ended(&self) -> Option<String> {
        let mut controller = self.controller.as_ref()?.borrow_mut();
        controller.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// The last lines that the controller logged.
    pub(crate) fn last_log_lines(&self, count: usize) -> Vec<String> {
        let log = self.controller.as_ref().map(|controller| controller.borrow().log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
    }

    /// Every Application.
    pub(crate) async fn applications(&self) -> Result<Vec<Application>, Unexpected> {
        let list = self.api(&ApplicationBuilder::resource(), self.namespace()).list(&ListParams::default()).await?;
        list.items.into_iter().map(|object| Ok(Application(serde_json::to_value(object)?))).collect()
    }

    /// One Application.
    pub(crate) async fn application(&self, name: &str) -> Result<Application, Unexpected> {
        match self.object(&ApplicationBuilder::resource(), self.namespace(), name).await? {
            Some(value) => Ok(Application(value)),
            None => Err(Unexpected(format!("there is no Application {}/{name}", self.namespace()))),
        }
    }

    /// Any object, if it is there.
    pub(crate) async fn object(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Unexpected> {
        let object = self.api(resource, namespace).get_opt(name).await?;
        Ok(object.map(serde_json::to_value).transpose()?)
    }

    /// The messages of the Events on an Application, those of one reason or all, oldest first.
    pub(crate) async fn events(&self, application: &str, reason: Option<&str>) -> Result<Vec<String>, Unexpected> {
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(self.client.clone(), self.namespace());
        let fields = format!("involvedObject.kind=Application,involvedObject.name={application}");
        let mut events = events.list(&ListParams::default().fields(&fields)).await?.items;
        events.retain(|event| reason.is_none_or(|reason| event.reason.as_deref() == Some(reason)));
        events.sort_by_key(|event| event.metadata.creation_timestamp.clone());
        let text = |event: &k8s_openapi::api::core::v1::Event| {
            let reason = event.reason.as_deref().unwrap_or("?");
            format!("{reason}: {}", event.message.as_deref().unwrap_or("?"))
        };
        Ok(events.iter().map(text).collect())
    }

    /// Runs kubectl, and answers what it says if it succeeds.
    pub(crate) async fn kubectl(&self, args: &[&str], input: &str) -> Result<String, Unexpected> {
        let output = match &self.cluster {
            Cluster::Bed(control_plane) => control_plane.kubectl_with_input(args, input).await?,
            Cluster::Own(own) => own.run(args, input).await?,
        };
        said(args, &output)
    }

    /// Runs `kubectl edit` with a line of sed in the place of a person at an editor.
    pub(crate) async fn edit(&self, args: &[&str], sed: &str) -> Result<String, Unexpected> {
        let output = tokio::process::Command::new(self.cluster.kubectl_binary())
            .arg("edit")
            .args(args)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("KUBERC", "off")
            .env("KUBECACHEDIR", self.cluster.dir().join("kubectl-cache"))
            .env("KUBE_EDITOR", format!("sed -i '{sed}'"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        said(args, &output)
    }

    /// What one can do while it stays up: a purpose and a command each.
    pub(crate) fn ways_to_look(&self) -> Vec<(&'static str, String)> {
        let kubectl = self.cluster.kubectl_binary().display().to_string();
        let kubeconfig = self.cluster.kubeconfig().display().to_string();
        let on = |rest: &str| format!("KUBECONFIG={kubeconfig} {kubectl} -n {} {rest}", self.namespace());
        let checkout = self.cluster.dir().join("platform");
        let mut ways = vec![
            ("the applications, and where they stand", on("get applications")),
            ("what drifted, and who did it", on(&format!("get application {} -o yaml", self.application_name()))),
            (
                "spoil something, and see it healed",
                format!("KUBECONFIG={kubeconfig} {kubectl} -n {} edit deployment storefront", self.application_name()),
            ),
            (
                "commit and push something, and see it arrive",
                format!("git clone {} {}", self.repository.dir().display(), checkout.display()),
            ),
        ];
        if let Some(controller) = &self.controller {
            let controller = controller.borrow();
            ways.push(("the controller's log", format!("tail -f {}", controller.log_file().display())));
            ways.push(("its metrics", format!("curl http://127.0.0.1:{}/metrics", controller.port())));
        }
        ways
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }
}

impl Cluster {
    fn dir(&self) -> &Path {
        match self {
            Self::Bed(control_plane) => control_plane.dir(),
            Self::Own(own) => own.dir(),
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Bed(control_plane) => control_plane.kubeconfig().to_owned(),
            Self::Own(own) => own.kubeconfig(),
        }
    }

    fn kubectl_binary(&self) -> PathBuf {
        match self {
            Self::Bed(control_plane) => control_plane.kubectl_binary(),
            Self::Own(_) => PathBuf::from(KUBECTL),
        }
    }
}

/// What a kubectl said, if it succeeded.
pub(super) fn said(args: &[&str], output: &Output) -> Result<String, Unexpected> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Unexpected(format!("kubectl {} ended with {}: {}", args.join(" "), output.status, stderr.trim())))
}
