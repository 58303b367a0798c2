//! The controller under test: the built binary, as a process of its own.

use std::fs;
use std::fs::OpenOptions;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use crate::ControlPlane;
use crate::Deadline;
use crate::Error;
use crate::Result;
use crate::Usage;
use crate::free_port;
use crate::leash::Leash;
use crate::metrics;
use crate::tools;
use crate::until;

/// How a controller is started.
#[derive(Debug, Clone)]
pub struct ControllerOptions {
    /// The binary; [`crate::trueup_binary`] if not set.
    pub binary: Option<PathBuf>,
    /// The user of the control plane that it is, so that the audit log tells its requests apart.
    pub user: String,
    /// The kubeconfig, if not the user's.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace of the Applications.
    pub namespace: String,
    /// How often it looks at repositories; its own default if not set.
    pub resync: Option<Duration>,
    /// Whether it takes part in the election by Lease.
    pub lease: bool,
    /// What `RUST_LOG` is.
    pub log_filter: String,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(String, String)>,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            binary: None,
            user: "trueup".to_owned(),
            kubeconfig: None,
            namespace: "argocd".to_owned(),
            resync: None,
            lease: false,
            log_filter: "info".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A running `trueup controller`. It ends, by kill -9, with this value or with this process.
pub struct Controller {
    command: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
    log: PathBuf,
    cache: PathBuf,
    running: Option<Running>,
}

/// Dropped in this order: the leash is let go before the process id is free for others.
struct Running {
    leash: Leash,
    child: Child,
}

impl Controller {
    /// Starts the controller against a control plane; its log and cache lie in the control plane's directory.
    /// [`Self::wait_ready`] tells when it works.
    pub fn start(control_plane: &ControlPlane, options: &ControllerOptions) -> Result<Self> {
        let kubeconfig = match &options.kubeconfig {
            Some(kubeconfig) => kubeconfig,
            None => control_plane.user_kubeconfig(&options.user)?,
        };
        Self::start_in(control_plane.dir(), kubeconfig, options)
    }

    /// As [`Self::start`], against any cluster; its log goes into `logs` of a directory, its cache beside.
    pub fn start_in(dir: &Path, kubeconfig: &Path, options: &ControllerOptions) -> Result<Self> {
        let port = free_port()?;
        let log = dir.join(format!("logs/trueup-{port}.log"));
        let cache = dir.join(format!("trueup-cache-{port}"));
        let binary = options.binary.clone().map_or_else(tools::trueup_binary, Ok)?;
        let mut command = vec![
            binary.display().to_string(),
            "controller".to_owned(),
            format!("--namespace={}", options.namespace),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--listen=127.0.0.1:{port}"),
            format!("--cache-dir={}", cache.display()),
            format!("--renderer={}", tools::renderer_binary()?.display()),
        ];
        command.extend(options.resync.map(|every| format!("--resync={}s", every.as_secs_f64())));
        command.extend((!options.lease).then(|| "--no-lease".to_owned()));
        command.extend(options.arguments.iter().cloned());
        let mut environment = vec![("RUST_LOG".to_owned(), options.log_filter.clone())];
        environment.extend(options.environment.iter().cloned());
        let mut controller = Self { command, environment, port, log, cache, running: None };
        controller.launch()?;
        Ok(controller)
    }

    /// Starts the controller again, with the same arguments and cache; it is killed first if it still runs.
    pub fn restart(&mut self) -> Result<()> {
        self.kill9();
        self.launch()
    }

    /// Ends the controller as a crash would, at once.
    pub fn kill9(&mut self) {
        if let Some(Running { leash, mut child }) = self.running.take() {
            drop(leash);
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the controller to end, and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        let pid = self.pid()?.to_string();
        let asked = Command::new("kill").arg(&pid).status().map_err(Error::spawn("kill"))?;
        if !asked.success() {
            eprintln!("the controller had ended before it was asked to");
        }
        let status = until("the controller to end", Deadline::SHORT, async || match self.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(other),
        })
        .await?;
        self.kill9();
        Ok(status)
    }

    /// Stops the controller where it is, as a machine does that hangs; [`Self::thaw`] lets it go on.
    pub fn freeze(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Lets the controller go on after [`Self::freeze`].
    pub fn thaw(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args([signal, &self.pid()?.to_string()]).status();
        let status = status.map_err(Error::spawn("kill"))?;
        if status.success() {
            return Ok(());
        }
        let stderr = String::from("the controller had ended before");
        Err(Error::Failed { program: format!("kill {signal}"), status: status.to_string(), stderr })
    }

    /// How the controller ended, if it has.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.running {
            Some(running) => running.child.try_wait().map_err(Error::spawn(&self.command[0])),
            None => Ok(None),
        }
    }

    /// Waits until `/health/ready` answers 200. The error ends with the log, if that does not happen or the controller
    /// ends instead.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let ready = until("the controller to be ready", Deadline::LONG, async || {
            if let Ok(Some(status)) = self.try_wait() {
                return Ok(Some(status));
            }
            metrics::get(self.port, "/health/ready").await.map(|_| None).map_err(|error| error.to_string())
        });
        let ended = match ready.await {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => Error::Failed {
                program: "trueup controller".to_owned(),
                status: status.to_string(),
                stderr: self.log(),
            },
            Err(Error::Deadline { what, seconds, last }) => {
                let last = format!("{last}; its log:\n{}", self.log());
                Error::Deadline { what, seconds, last }
            }
            Err(error) => error,
        };
        Err(ended)
    }

    /// What `/health/ready` says, if it is 200.
    pub async fn readiness(&self) -> Result<String> {
        metrics::get(self.port, "/health/ready").await
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        metrics::get(self.port, "/metrics").await
    }

    /// The value of one metric, summed over its labels; nothing if it is not there.
    pub async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let text = self.metrics().await?;
        let values = text.lines().filter_map(|line| metric_value(line, name));
        Ok(values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value)))
    }

    /// Everything it has logged, over all its restarts.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The file that it logs to, over all its restarts.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The directory of its cache, which survives restarts.
    pub fn cache_dir(&self) -> &PathBuf {
        &self.cache
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has used of the machine since its last start.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid()?)
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        let running = self.running.as_ref().map(|running| running.child.id());
        running.ok_or_else(|| Error::Spawn {
            program: self.command[0].clone(),
            source: std::io::Error::other("it does not run"),
        })
    }

    fn launch(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(Error::file(&self.log))?;
        let errors = log.try_clone().map_err(Error::file(&self.log))?;
        let child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(Error::spawn(&self.command[0]))?;
        let leash = Leash::tie(child.id())?;
        self.running = Some(Running { leash, child });
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The value of a line of the metrics' text, if it is of this metric.
fn metric_value(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let value = match rest.strip_prefix('{') {
        Some(labels) => labels.rsplit_once('}')?.1,
        None => rest.strip_prefix(' ')?,
    };
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::metric_value;

    #[test]
    fn reads_values_with_and_without_labels() {
        assert_eq!(metric_value("renders_total 3", "renders_total"), Some(3.0));
        assert_eq!(metric_value(r#"renders_total{kind="a b"} 4.5"#, "renders_total"), Some(4.5));
        assert_eq!(metric_value("renders_total_created 3", "renders_total"), None);
        assert_eq!(metric_value("# TYPE renders_total counter", "renders_total"), None);
    }
}
