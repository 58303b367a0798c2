//! A real Kubernetes control plane in a temporary directory, running as long as its handle lives.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

use crate::Error;
use crate::Result;
use crate::orders::Orders;
use crate::tools;
use crate::wait::Deadline;
use crate::wait::until;

/// How long a start or restart may take: 3 to 6 seconds on an idle machine, but it may be compiling.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// How long the components may take to end before their parent is killed, and they with it.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// The file of its directory in which `up` says what it does.
const UP_LOG: &str = "up.log";

/// A running control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kwok for the kubelets.
///
/// Its end is the drop of this value, or of this process by whatever cause. It stays in its directory if `TRUEUP_KEEP`
/// is set. It may be shared by tests with runtimes of their own; clients may not: make one per test.
pub struct ControlPlane {
    dir: PathBuf,
    binary: PathBuf,
    up: Child,
    /// None when it has been told to end.
    orders: Mutex<Option<Orders>>,
    summary: Summary,
    keep: bool,
}

/// What only few want of a control plane.
#[derive(Debug, Clone, Copy)]
pub struct ControlPlaneOptions {
    /// Its directory, with data and logs, outlives it; by default if `TRUEUP_KEEP` is set.
    pub keep: bool,
    /// It serves pod metrics, made up, so that autoscalers work: without any, every autoscaler counts as failing.
    pub metrics: bool,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self { keep: env::var_os("TRUEUP_KEEP").is_some(), metrics: false }
    }
}

/// What `up` says when all is ready.
#[derive(Debug, Deserialize)]
struct Summary {
    kubeconfig: PathBuf,
    server: String,
    audit: PathBuf,
    users: BTreeMap<String, PathBuf>,
    pids: BTreeMap<String, u32>,
}

impl ControlPlane {
    /// Starts a control plane that knows the given users, each of whom may do everything. `NAME:GROUP` puts a user into
    /// that group instead, where RBAC decides.
    pub async fn start(users: &[&str]) -> Result<Self> {
        Self::start_with(users, ControlPlaneOptions::default()).await
    }

    /// As [`Self::start`], with what only few want.
    pub async fn start_with(users: &[&str], options: ControlPlaneOptions) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(tools::controlplane_binary)
            .await
            .map_err(|error| Error::ControlPlane(format!("build panicked: {error}")))??;
        let dir =
            tempfile::Builder::new().prefix("trueup-bed-").tempdir().map_err(Error::file(env::temp_dir()))?.keep();
        let log = dir.join(UP_LOG);
        let mut up = spawn(&binary, &dir, &log, users, options)?;
        let (Some(stdin), Some(stdout)) = (up.stdin.take(), up.stdout.take()) else {
            return Err(Error::ControlPlane("has no pipes".to_owned()));
        };
        let mut orders = Orders::new(stdin, stdout);
        let answer = orders.answer(START_DEADLINE).await;
        let summary = answer.and_then(|line| {
            serde_json::from_value(line.clone()).map_err(|_| Error::ControlPlane(format!("reported '{line}'")))
        });
        match summary {
            Ok(summary) => Ok(Self { dir, binary, up, orders: Mutex::new(Some(orders)), summary, keep: options.keep }),
            Err(error) => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                drop(orders);
                end(&mut up);
                forget(&dir, options.keep);
                Err(Error::ControlPlane(format!("did not start ({error}): {said}")))
            }
        }
    }

    /// The kubectl that belongs to it.
    pub fn kubectl_binary(&self) -> PathBuf {
        self.binary.with_file_name("kubectl")
    }

    /// The directory with data, kubeconfigs and logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.summary.kubeconfig
    }

    /// The kubeconfig of a user named at the start, or of `admin`.
    pub fn user_kubeconfig(&self, name: &str) -> Result<&Path> {
        if name == "admin" {
            return Ok(self.kubeconfig());
        }
        self.summary.users.get(name).map(PathBuf::as_path).ok_or_else(|| Error::NoSuchUser(name.to_owned()))
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.summary.server
    }

    /// The API server's audit log.
    pub fn audit_log(&self) -> &Path {
        &self.summary.audit
    }

    /// The process ids of the components as they were at the start, by name.
    pub fn pids(&self) -> &BTreeMap<String, u32> {
        &self.summary.pids
    }

    /// The process id of `up`, the parent of the components.
    pub fn pid(&self) -> u32 {
        self.up.id()
    }

    /// A new client of a user. It belongs to the runtime that it is made in.
    pub async fn client(&self, user: &str) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.user_kubeconfig(user)?)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Waits until definitions are served; `which` names them in kubectl's words.
    pub async fn established(&self, which: &[&str]) -> Result<()> {
        let arguments = [&["wait", "--for=condition=Established", "--timeout=30s"], which].concat();
        // kubectl gives up on one whose status nobody has written yet.
        until("the definitions to be served", Deadline::LONG, async || {
            let output = self.kubectl(&arguments).await.map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(said) }
        })
        .await
    }

    /// Runs kubectl as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> Result<Output> {
        self.kubectl_with_input(args, "").await
    }

    /// Runs kubectl as the administrator with something on its standard input.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<Output> {
        let program = self.kubectl_binary();
        let mut child = tokio::process::Command::new(&program)
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            // Nothing of the user's own: neither preferences nor the discovery cache.
            .env("KUBERC", "off")
            .env("KUBECACHEDIR", self.dir.join("kubectl-cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::spawn(&program))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that does not read has closed the pipe; what it says then is what matters.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await.map_err(Error::spawn(&program))
    }

    /// Applies manifests as kubectl does, and answers what it says.
    pub async fn apply(&self, manifests: &str) -> Result<String> {
        let args = ["apply", "--server-side", "-f", "-"];
        let output = self.kubectl_with_input(&args, manifests).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Failed { program: "kubectl apply".to_owned(), status: output.status.to_string(), stderr })
    }

    /// What it has said of itself: why it ended, if it did.
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir.join(UP_LOG)).unwrap_or_default()
    }

    /// Kills the API server; it stays away until [`Self::start_apiserver`].
    pub async fn stop_apiserver(&self) -> Result<()> {
        self.order("stop-apiserver", "stopped").await
    }

    /// Starts the API server after [`Self::stop_apiserver`], and waits until it is ready.
    pub async fn start_apiserver(&self) -> Result<()> {
        self.order("start-apiserver", "started").await
    }

    /// Kills the API server, starts it again on the same port, and waits until it is ready.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.order("restart-apiserver", "restarted").await
    }

    /// Kills etcd, starts it again on what it has on disk, and waits until the API server can work with it.
    pub async fn restart_etcd(&self) -> Result<()> {
        self.order("restart-etcd", "restarted").await
    }

    async fn order(&self, order: &str, key: &str) -> Result<()> {
        match &mut *self.orders.lock().await {
            Some(orders) => orders.give(order, key, START_DEADLINE).await,
            None => Err(Error::ControlPlane("is being dropped".to_owned())),
        }
    }

    /// Tells it to end, which it does by itself: for one that is not dropped.
    pub fn end(&self) {
        // Nobody gives orders any more when that is called; closing the pipe is the order to stop.
        if let Ok(mut orders) = self.orders.try_lock() {
            *orders = None;
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Closes the pipe: the order to stop.
        *self.orders.get_mut() = None;
        end(&mut self.up);
        forget(&self.dir, self.keep);
    }
}

fn spawn(binary: &Path, dir: &Path, log: &Path, users: &[&str], options: ControlPlaneOptions) -> Result<Child> {
    let out = File::create(log).map_err(Error::file(log))?;
    let mut command = Command::new(binary);
    command.args(["up", "--parent-stdin", "--dir"]).arg(dir);
    if options.metrics {
        command.arg("--metrics");
    }
    if !options.keep {
        // Ours to remove too; but if this process is killed, only `up` is left to do it.
        command.arg("--ephemeral");
    }
    for user in users {
        let (name, group) = user.split_once(':').unwrap_or((user, "system:masters"));
        command.arg("--user").arg(format!("{name}=token-of-{name}:{group}"));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(out)).spawn().map_err(Error::spawn(binary))
}

/// Waits for a process that has been asked to end, and kills it if it does not.
fn end(up: &mut Child) {
    let begun = Instant::now();
    while begun.elapsed() < STOP_DEADLINE {
        if !matches!(up.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = up.kill();
    let _ = up.wait();
}

fn forget(dir: &Path, keep: bool) {
    if keep {
        eprintln!("kept {}", dir.display());
    } else {
        let _ = fs::remove_dir_all(dir);
    }
}
