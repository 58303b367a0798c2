//! What the story plays on: the control plane, the git server, the controller. Dropping it ends and removes all.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::core::ApiResource;
use serde_json::Value;
use trueup_bed::ApplicationBuilder;
use trueup_bed::ControlPlane;
use trueup_bed::ControlPlaneOptions;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::GitServer;
use trueup_bed::Repository;
use trueup_bed::workspace;

use super::application::Application;
use super::failure::Unexpected;

/// The namespace of the Applications.
pub(crate) const NAMESPACE: &str = "argocd";
/// The user that the controller is towards the API server.
const USER: &str = "trueup";
/// What stands in the examples where the address of the repository belongs.
const EXAMPLE_URL: &str = "https://git.example.com/platform.git";
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
    control_plane: ControlPlane,
}

// === impl Stage ===

impl Stage {
    /// Starts the control plane, and a git server with an empty repository.
    pub(crate) async fn set(keep: bool) -> Result<Self, Unexpected> {
        // The examples have autoscalers.
        let options = ControlPlaneOptions { keep, metrics: true };
        let control_plane = ControlPlane::start_with(&[USER], options).await?;
        let client = control_plane.client("admin").await?;
        // If this process is killed, only the control plane is left to remove it.
        let server = GitServer::start_in(control_plane.dir()).await?;
        let repository = server.create("platform")?;
        let version = client.apiserver_version().await?.git_version;
        Ok(Self { controller: None, _server: server, repository, client, version, control_plane })
    }

    /// The API server's version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Commits the examples, with our repository's address in the place of theirs, and answers the commit.
    pub(crate) fn commit_examples(&self) -> Result<String, Unexpected> {
        let files: Vec<(String, String)> = examples()?
            .into_iter()
            .map(|(path, content)| (path, content.replace(EXAMPLE_URL, self.repository.url())))
            .collect();
        let files: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect();
        Ok(self.repository.commit(&files, "The shop in three environments")?)
    }

    /// The Applications of the examples, with our repository's address, as one stream of documents.
    pub(crate) fn applications_to_apply(&self) -> Result<String, Unexpected> {
        let ours: Vec<String> = examples()?
            .into_iter()
            .filter(|(path, _)| path.starts_with("applications/"))
            .map(|(_, content)| content.replace(EXAMPLE_URL, self.repository.url()))
            .collect();
        Ok(ours.join("---\n"))
    }

    /// Starts the controller and waits until it says that it is ready.
    pub(crate) async fn start_controller(&mut self, binary: PathBuf) -> Result<(), Unexpected> {
        let options = ControllerOptions {
            binary: Some(binary),
            user: USER.to_owned(),
            namespace: NAMESPACE.to_owned(),
            resync: Some(RESYNC),
            ..ControllerOptions::default()
        };
        let mut controller = Controller::start(&self.control_plane, &options)?;
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
        let list = self.api(&ApplicationBuilder::resource(), NAMESPACE).list(&ListParams::default()).await?;
        list.items.into_iter().map(|object| Ok(Application(serde_json::to_value(object)?))).collect()
    }

    /// One Application.
    pub(crate) async fn application(&self, name: &str) -> Result<Application, Unexpected> {
        match self.object(&ApplicationBuilder::resource(), NAMESPACE, name).await? {
            Some(value) => Ok(Application(value)),
            None => Err(Unexpected(format!("there is no Application {NAMESPACE}/{name}"))),
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
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(self.client.clone(), NAMESPACE);
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
        said(args, &self.control_plane.kubectl_with_input(args, input).await?)
    }

    /// Runs `kubectl edit` with a line of sed in the place of a person at an editor.
    pub(crate) async fn edit(&self, args: &[&str], sed: &str) -> Result<String, Unexpected> {
        let output = tokio::process::Command::new(self.control_plane.kubectl_binary())
            .arg("edit")
            .args(args)
            .env("KUBECONFIG", self.control_plane.kubeconfig())
            .env("KUBERC", "off")
            .env("KUBECACHEDIR", self.control_plane.dir().join("kubectl-cache"))
            .env("KUBE_EDITOR", format!("sed -i '{sed}'"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        said(args, &output)
    }

    /// What one can do while it stays up: a purpose and a command each.
    pub(crate) fn ways_to_look(&self) -> Vec<(&'static str, String)> {
        let kubectl = self.control_plane.kubectl_binary().display().to_string();
        let kubeconfig = self.control_plane.kubeconfig().display().to_string();
        let on = |rest: &str| format!("KUBECONFIG={kubeconfig} {kubectl} -n {NAMESPACE} {rest}");
        let checkout = self.control_plane.dir().join("platform");
        let mut ways = vec![
            ("the applications, and where they stand", on("get applications")),
            ("what drifted, and who did it", on("get application shop-dev -o yaml")),
            (
                "spoil something, and see it healed",
                format!("KUBECONFIG={kubeconfig} {kubectl} -n shop-dev edit deployment storefront"),
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

fn said(args: &[&str], output: &Output) -> Result<String, Unexpected> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Unexpected(format!("kubectl {} ended with {}: {}", args.join(" "), output.status, stderr.trim())))
}

/// Every file of the examples: its path from there, and its content.
fn examples() -> Result<Vec<(String, String)>, Unexpected> {
    let root = workspace().join("examples");
    let mut files = Vec::new();
    read(&root, &root, &mut files)?;
    files.sort();
    Ok(files)
}

fn read(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) -> Result<(), Unexpected> {
    let named = |error: std::io::Error, path: &Path| Unexpected(format!("cannot read '{}': {error}", path.display()));
    for entry in fs::read_dir(dir).map_err(|error| named(error, dir))? {
        let path = entry?.path();
        if path.is_dir() {
            read(root, &path, files)?;
        } else {
            let content = fs::read_to_string(&path).map_err(|error| named(error, &path))?;
            let from_root = path.strip_prefix(root)?.to_string_lossy().into_owned();
            files.push((from_root, content));
        }
    }
    Ok(())
}
