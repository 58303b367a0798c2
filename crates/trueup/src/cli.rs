//! The arguments of the program. Each command's own are in its file.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::command_error::{CommandError, EXIT_CODES, Outcome};
use crate::commands::app::AppCommand;
use crate::commands::cluster::ClusterCommand;
use crate::commands::completion::CompletionArgs;
use crate::commands::controller::ControllerArgs;
use crate::commands::drift::DriftArgs;
use crate::commands::health::HealthArgs;
use crate::commands::preview::PreviewArgs;
use crate::commands::proj::ProjCommand;
use crate::commands::render::RenderArgs;
use crate::commands::repo::RepoCommand;
use crate::commands::version::VersionArgs;
use crate::commands::{completion, controller, crds, drift, health, preview, render, version};
use crate::output::style::ColorChoice;

/// The hidden subcommand that is a fetch process. It is handled before arguments are read.
pub(crate) const GIT_FETCH: &str = "git-fetch";

/// Keeps Kubernetes clusters exactly as Git says.
#[derive(Debug, Parser)]
#[command(
    name = "trueup",
    version,
    about,
    long_about = "Trueup keeps Kubernetes clusters exactly as Git says. It understands the Applications of Argo CD.\n\n\
                  'trueup controller' is the operator. The other commands need no server: they talk to the cluster of your \
                  kubeconfig, or to nobody at all.",
    after_help = EXIT_CODES,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub(crate) struct Cli {
    /// When to use colours; 'auto' means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColorChoice,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the operator.
    #[command(long_about = controller::ABOUT, after_long_help = controller::EXAMPLES)]
    Controller(ControllerArgs),
    /// Lists, compares, syncs and waits for Applications.
    #[command(subcommand)]
    App(AppCommand),
    /// Shows what drifted, over all Applications.
    #[command(long_about = drift::ABOUT, after_long_help = drift::EXAMPLES)]
    Drift(DriftArgs),
    /// Lists and shows AppProjects.
    #[command(subcommand)]
    Proj(ProjCommand),
    /// Lists repositories and connects to them with their logins.
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Tells what the controller may do on a cluster.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Prints what a directory renders to.
    #[command(long_about = render::ABOUT, after_long_help = render::EXAMPLES)]
    Render(RenderArgs),
    /// Shows what a change of a repository does to the objects of its Applications.
    #[command(long_about = preview::ABOUT, after_long_help = preview::EXAMPLES)]
    Preview(PreviewArgs),
    /// Prints how healthy objects are.
    #[command(long_about = health::ABOUT, after_long_help = health::EXAMPLES)]
    Health(HealthArgs),
    /// Prints the script by which a shell completes commands and names.
    #[command(long_about = completion::ABOUT, after_long_help = completion::EXAMPLES)]
    Completion(CompletionArgs),
    /// Prints the CustomResourceDefinitions of Trueup.
    #[command(long_about = crds::ABOUT, after_long_help = crds::EXAMPLES)]
    Crds,
    /// Prints the version of this program.
    #[command(after_long_help = version::EXAMPLES)]
    Version(VersionArgs),
}

// === impl Cli ===

impl Cli {
    /// Reads the arguments; or says what is wrong with them.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments).map_err(with_usage_of_the_command)
    }
}

/// The library composes the usage of an error from what is set, and takes what the environment sets for an argument: told instead
/// is how the command is called.
fn with_usage_of_the_command(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::StyledStr(composed)) = error.get(ContextKind::Usage) else { return error };
    let composed = composed.to_string();
    let mut command = Cli::command();
    command.build();
    // "Usage: trueup app get …"
    for word in composed.split_whitespace().skip(2) {
        let Some(next) = command.find_subcommand(word).cloned() else { break };
        command = next;
    }
    let usage = command.render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

// === impl Command ===

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        match self {
            Self::Controller(args) => controller::run(args),
            Self::App(command) => command.run(),
            Self::Drift(args) => drift::run(&args),
            Self::Proj(command) => command.run(),
            Self::Repo(command) => command.run(),
            Self::Cluster(command) => command.run(),
            Self::Render(args) => render::run(&args),
            Self::Preview(args) => preview::run(&args),
            Self::Health(args) => health::run(&args),
            Self::Completion(args) => completion::run(&args),
            Self::Crds => crds::run(),
            Self::Version(args) => version::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::error::ErrorKind;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, ErrorKind> {
        let arguments = std::iter::once("trueup").chain(arguments.iter().copied());
        Cli::try_parse_from(arguments).map(|cli| cli.command).map_err(|error| error.kind())
    }

    fn controller(arguments: &[&str]) -> ControllerArgs {
        match parse(&[&["controller"], arguments].concat()) {
            Ok(Command::Controller(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_controller_has_its_defaults() {
        let args = controller(&[]);
        assert_eq!(args.namespace, "argocd");
        assert_eq!(args.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(args.resync, None);
        assert_eq!(args.webhook_listen, None);
        assert_eq!(args.lease_duration, Duration::from_secs(15));
        assert!(!args.no_lease);
    }

    #[test]
    fn the_controller_takes_its_flags() {
        let args = controller(&[
            "--namespace=gitops",
            "--kubeconfig=/k",
            "--listen=127.0.0.1:0",
            "--webhook-listen=127.0.0.1:1",
            "--cache-dir=/c",
            "--renderer=unix:/r.sock",
            "--resync=10s",
            "--no-lease",
            "--lease-duration=20s",
        ]);
        assert_eq!(args.namespace, "gitops");
        assert_eq!(args.kubeconfig.as_deref(), Some(std::path::Path::new("/k")));
        assert_eq!(args.listen.to_string(), "127.0.0.1:0");
        assert_eq!(args.cache_dir.as_deref(), Some(std::path::Path::new("/c")));
        assert_eq!(args.renderer.renderer.map(|program| program.to_string()).as_deref(), Some("unix:/r.sock"));
        assert_eq!(args.webhook_listen.map(|address| address.port()), Some(1));
        assert_eq!(args.resync, Some(Duration::from_secs(10)));
        assert_eq!(args.lease_duration, Duration::from_secs(20));
        assert!(args.no_lease);
    }

    #[test]
    fn what_users_of_kubectl_and_argocd_guess_is_taken() {
        let lines = [
            "app ls -A -o name",
            "app rm a b -y",
            "app delete a --cascade=true -p background",
            "app rollback a 3 --prune --timeout 60",
            "app set a --sync-policy auto --self-heal",
            "app set a --sync-policy manual",
            "app create a -N team --dest-server https://kubernetes.default.svc",
            "app sync a b --prune --dry-run --timeout 60",
            "app sync -l team=shop -N team --async",
            "app sync a --resource apps:Deployment:ns/web --resource !:Service:* --strategy apply",
            "app sync a --force --replace --server-side --apply-out-of-sync-only --local dir -o yaml",
            "app sync a --retry-limit 3 --retry-backoff-duration 5s --retry-backoff-factor 2 --retry-backoff-max-duration 3m --retry-refresh",
            "app sync a --info k=v --revision main",
            "app confirm-deletion a",
            "app terminate-op a",
        ];
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(parse(&words).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let cases: [(&[&str], ErrorKind); 16] = [
            (&["app", "history"], ErrorKind::MissingRequiredArgument),
            (&["app", "rollback", "a", "first"], ErrorKind::ValueValidation),
            (&["app", "delete", "a", "--timeout=5s"], ErrorKind::MissingRequiredArgument),
            (&["app", "delete", "a", "--cascade=maybe"], ErrorKind::InvalidValue),
            (&["app", "set", "a", "--dest-server=x", "--dest-name=y"], ErrorKind::ArgumentConflict),
            (&["completion", "tcsh"], ErrorKind::InvalidValue),
            (&["controller", "--resync=soon"], ErrorKind::ValueValidation),
            (&["controller", "--resync=1ms"], ErrorKind::ValueValidation),
            (&["controller", "--listen=8080"], ErrorKind::ValueValidation),
            (&["controllers"], ErrorKind::InvalidSubcommand),
            (&["render"], ErrorKind::MissingRequiredArgument),
            (&["health"], ErrorKind::MissingRequiredArgument),
            (&["app", "sync"], ErrorKind::MissingRequiredArgument),
            (&["app", "list", "-o", "xml"], ErrorKind::InvalidValue),
            (&["app", "diff", "a", "--local=.", "--revision=main"], ErrorKind::ArgumentConflict),
            (&["version", "--verbose"], ErrorKind::UnknownArgument),
        ];
        for (arguments, kind) in cases {
            assert_eq!(parse(arguments).map(|_| ()), Err(kind), "{arguments:?}");
        }
    }
}
