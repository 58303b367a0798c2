//! `trueup controller`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use trueup_controller::{DURATION_MAX, DURATION_MIN, LeaseConfig};
use trueup_git::FetchProgram;

use crate::cache::CacheDir;
use crate::cli::GIT_FETCH;
use crate::command_error::{CommandError, Outcome, internal_error_with_message};
use crate::commands::version::VERSION;
use crate::duration;
use crate::logging::{self, LogFormat};
use crate::renderer::RendererArgs;

pub(crate) const ABOUT: &str = "\
Runs the operator: watches the Applications of its namespace and the objects that they name, reads their Git repositories, and \
keeps the cluster as they say.

Its log goes to stderr, filtered by RUST_LOG (default 'info'). SIGTERM and SIGINT end it after what it is just writing; a second \
one ends it at once.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup controller
  trueup controller --kubeconfig ~/.kube/config --listen 127.0.0.1:8080 --resync 10s --no-lease
  RUST_LOG=info,trueup_controller=debug trueup controller --namespace gitops";

/// The exit status of a program that a signal ended, less the signal's number.
const SIGNALLED: i32 = 128;
/// The variable in which a pod is told its name; its host's name may be another.
const POD_NAME: &str = "POD_NAME";
/// The shortest interval: each is a listing of every repository, and a slip such as '10ms' would be an attack on their servers.
const RESYNC_MIN: Duration = Duration::from_millis(100);

/// The arguments of `trueup controller`.
#[derive(Debug, Args)]
pub(crate) struct ControllerArgs {
    /// The namespace of the Applications and AppProjects.
    #[arg(long, env = "TRUEUP_NAMESPACE", default_value = "argocd")]
    pub(crate) namespace: String,
    /// Further namespaces of Applications, as names, globs or '/regular expressions/', separated by commas. A project says
    /// with spec.sourceNamespaces which of them it takes.
    #[arg(long, env = "TRUEUP_APPLICATION_NAMESPACES", value_name = "PATTERN", value_delimiter = ',')]
    pub(crate) application_namespaces: Vec<String>,
    /// The kubeconfig; without it $KUBECONFIG, then ~/.kube/config, then the pod's own account.
    #[arg(long, env = "TRUEUP_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Where to serve /health/live, /health/ready, /health/startup and /metrics.
    #[arg(long, env = "TRUEUP_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Where to keep what can be fetched and rendered again; the user's cache, or a temporary directory, if not given.
    #[arg(long, env = "TRUEUP_CACHE_DIR", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) renderer: RendererArgs,
    /// Where to take webhooks (POST /api/webhook); nowhere, if not given.
    #[arg(long, env = "TRUEUP_WEBHOOK_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) webhook_listen: Option<SocketAddr>,
    /// How often repositories are asked for new commits, and failed things are tried again; as 10s, 1m30s or 2m. If not given, 2m,
    /// or for repositories what 'timeout.reconciliation' of argocd-cm says.
    #[arg(long, env = "TRUEUP_RESYNC", value_name = "DURATION", value_parser = resync)]
    pub(crate) resync: Option<Duration>,
    /// What becomes of the status of Applications that a commit leaves alone, where only the revision is new.
    #[arg(long, env = "TRUEUP_UNTOUCHED_REVISIONS", value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) untouched_revisions: UntouchedRevisions,
    /// Look after the objects of one namespace only, where permissions reach no further; without it, of the whole cluster.
    #[arg(long, env = "TRUEUP_DESTINATION_NAMESPACE", value_name = "NAMESPACE")]
    pub(crate) destination_namespace: Option<String>,
    /// Do not take part in the election of one active controller.
    #[arg(long, env = "TRUEUP_NO_LEASE", value_parser = BoolishValueParser::new())]
    pub(crate) no_lease: bool,
    /// How long a controller that died is waited for before another takes over; whole seconds, 5s to 10m.
    #[arg(long, env = "TRUEUP_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = lease_duration)]
    pub(crate) lease_duration: Duration,
    /// How logs are written.
    #[arg(long, env = "TRUEUP_LOG_FORMAT", value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// When the revision of an Application that a commit leaves alone is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UntouchedRevisions {
    /// When nobody is kept waiting by it, at most ten per second.
    #[default]
    Deferred,
    /// Not for that alone; only if somebody asks by a refresh.
    Never,
}

// === impl UntouchedRevisions ===

impl From<UntouchedRevisions> for trueup_controller::UntouchedRevisions {
    fn from(choice: UntouchedRevisions) -> Self {
        match choice {
            UntouchedRevisions::Deferred => Self::Deferred,
            UntouchedRevisions::Never => Self::Never,
        }
    }
}

/// Runs until a signal or an error that ends all.
pub(crate) fn run(args: ControllerArgs) -> Result<Outcome, CommandError> {
    logging::start(args.log_format, "info")?;
    let cache = CacheDir::open(args.cache_dir, "controller")?;
    let exe = std::env::current_exe().map_err(|error| {
        internal_error_with_message("cannot find the program's own file, which fetches run as", error)
    })?;
    let config = trueup_controller::Config {
        namespace: args.namespace,
        application_namespaces: args.application_namespaces,
        kubeconfig: args.kubeconfig,
        listen: args.listen,
        cache_dir: cache.path.clone(),
        renderer: args.renderer.program(&exe),
        webhook_listen: args.webhook_listen,
        resync: args.resync,
        destination_namespace: args.destination_namespace,
        untouched_revisions: args.untouched_revisions.into(),
        fetch_program: FetchProgram { exe, args: vec![GIT_FETCH.to_owned()] },
        version: VERSION,
        lease: (!args.no_lease).then(|| LeaseConfig { duration: args.lease_duration, name: own_name() }),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("trueup").build();
    let runtime = runtime.map_err(|error| internal_error_with_message("cannot start the runtime", error))?;
    runtime.block_on(async {
        let shutdown =
            Shutdown::new().map_err(|error| internal_error_with_message("cannot listen to signals", error))?;
        // The error itself says what to do next.
        let ended = trueup_controller::run(config, shutdown.wait()).await;
        ended.map_err(|error| internal_error_with_message("the controller ended", error))
    })?;
    Ok(Outcome::Done)
}

fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text).map_err(|error| error.to_string())?;
    match duration {
        _ if duration < DURATION_MIN => Err(format!("less than {DURATION_MIN:?} would be lost to one slow answer")),
        _ if duration > DURATION_MAX => {
            Err(format!("for more than {DURATION_MAX:?} after a crash nothing would be done"))
        }
        _ if duration.subsec_nanos() > 0 => Err("a Lease lasts whole seconds".to_owned()),
        _ => Ok(duration),
    }
}

/// The name of the pod, or of the host.
fn own_name() -> String {
    let pod = std::env::var(POD_NAME).ok().filter(|name| !name.is_empty());
    pod.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

fn resync(text: &str) -> Result<Duration, String> {
    let every = duration::parse(text).map_err(|error| error.to_string())?;
    if every < RESYNC_MIN { Err(format!("less than {RESYNC_MIN:?} would overrun the Git servers")) } else { Ok(every) }
}

/// The signals that end the program.
struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

// === impl Shutdown ===

impl Shutdown {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ends at the first signal. A second one ends the program at once: somebody does not want to wait.
    async fn wait(mut self) {
        let kind = self.next().await;
        tracing::info!(signal = kind.as_raw_value(), "ending");
        tokio::spawn(async move {
            let kind = self.next().await;
            tracing::warn!(signal = kind.as_raw_value(), "ending at once");
            std::process::exit(SIGNALLED + kind.as_raw_value());
        });
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_whole_seconds_within_bounds() {
        for (text, good) in [
            ("15s", true),
            ("5", true),
            ("10m", true),
            ("4s", false),
            ("10m1s", false),
            ("0", false),
            ("-5s", false),
            ("5500ms", false),
            ("soon", false),
        ] {
            assert_eq!(lease_duration(text).is_ok(), good, "{text}");
        }
    }
}
