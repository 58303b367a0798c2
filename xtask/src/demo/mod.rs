//! `cargo xtask demo`: Trueup at work on a real control plane, told as a story of steps that each must hold.

mod application;
mod examples;
mod failure;
mod own_cluster;
mod stage;
mod story;
mod trouble;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::build;
use crate::build::Profile;
use crate::terminal::Look;
use crate::terminal::Terminal;

use examples::Examples;
use own_cluster::OwnCluster;
use stage::Stage;
use story::Story;

/// How it is called.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask demo                 the story, then a cluster to look around in, until Ctrl-C
  cargo xtask demo --once          the story only; exit code 0 if every step held
  cargo xtask demo --once --keep   leave the directory with logs and data behind
  cargo xtask demo --context kind-kind --once
                                   a smaller story on a cluster of your own, which must be able to pull
                                   registry.k8s.io/pause; asks first, and removes all that it made

It needs Rust, Go and git, and builds everything else itself, without a container engine:
the control plane is a real API server with real controllers; its nodes are simulated.
TRUEUP_BIN names a binary to use instead of building one.";

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End after the story instead of staying up.
    #[arg(long)]
    once: bool,
    /// Leave the control plane's directory behind: logs, audit log, kubeconfigs.
    #[arg(long)]
    keep: bool,
    /// Play on the cluster of this context of your kubeconfig instead, in namespaces of its own. With --keep they stay.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Do not ask before writing to it.
    #[arg(long, requires = "context")]
    yes: bool,
}

/// Runs the demo.
pub(crate) fn run(options: &Options, terminal: Terminal) -> anyhow::Result<ExitCode> {
    if options.context.is_none() {
        build::control_plane(terminal)?;
    }
    // What people see is what they would run.
    let trueup = build::trueup(Profile::Release)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let own = match &options.context {
            None => None,
            Some(context) => match own_cluster(context, options).await? {
                Some(own) => Some(own),
                None => return Ok(ExitCode::FAILURE),
            },
        };
        let mut stage = None;
        let code = tokio::select! {
            code = play(options, terminal, trueup, own, &mut stage) => code,
            () = interrupted() => {
                terminal.line("");
                terminal.line("Interrupted.");
                ExitCode::from(INTERRUPTED)
            }
        };
        // Everything that runs ends here, and every directory goes.
        let trouble = match stage {
            Some(stage) => stage.take_down().await,
            None => Vec::new(),
        };
        for trouble in trouble {
            terminal.progress(&trouble);
        }
        Ok(code)
    })
}

/// The user's cluster, if it is free for us and the user wants it; what is committed there beside it.
async fn own_cluster(context: &str, options: &Options) -> anyhow::Result<Option<(OwnCluster, Examples)>> {
    let examples = Examples::of_a_cluster().map_err(|failure::Unexpected(error)| anyhow::anyhow!(error))?;
    let own = OwnCluster::open(context, options.keep).await?;
    let namespaces = [examples.namespace.as_str(), examples.application.as_str()];
    own.refuse_if_taken(&namespaces).await?;
    let wanted = own.ask(options.yes, &namespaces)?;
    Ok(wanted.then_some((own, examples)))
}

/// Plays the story, and stays up after it if that is wanted. The stage is the caller's to take down.
async fn play(
    options: &Options,
    terminal: Terminal,
    trueup: std::path::PathBuf,
    own: Option<(OwnCluster, Examples)>,
    stage: &mut Option<Stage>,
) -> ExitCode {
    terminal.line("");
    terminal.line(&terminal.dress(Look::Bold, "Trueup: a cluster exactly as Git says"));
    let mut story = Story::new(terminal);
    match story.play(trueup, options.keep, own, stage).await {
        Ok(()) => {
            terminal.line("");
            terminal.line(&terminal.dress(Look::Good, &story.sum()));
        }
        Err(failure) => {
            trouble::report(terminal, &failure, stage.as_ref()).await;
            return ExitCode::FAILURE;
        }
    }
    if options.once {
        return ExitCode::SUCCESS;
    }
    if let Some(stage) = stage {
        look_around(terminal, stage, options.keep);
        // Until a signal ends it all.
        std::future::pending::<()>().await;
    }
    ExitCode::SUCCESS
}

/// Says what one can do while it stays up.
fn look_around(terminal: Terminal, stage: &Stage, keep: bool) {
    let lines = stage.ways_to_look();
    terminal.title("It stays up. Look around, in another terminal:");
    for (what, command) in lines {
        terminal.line("");
        terminal.line(&format!("  {}", terminal.dress(Look::Dim, &format!("# {what}"))));
        terminal.line(&format!("  {command}"));
    }
    terminal.line("");
    let left = if keep { "the directory with logs and data" } else { "nothing" };
    terminal.line(&format!("Ctrl-C ends everything and leaves {left} behind."));
}

/// Waits for a signal that asks us to end.
async fn interrupted() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let waits = kinds.map(|kind| {
        Box::pin(async move {
            match signal(kind) {
                Ok(mut signal) => drop(signal.recv().await),
                // A signal that cannot be listened to ends us without our help.
                Err(_) => std::future::pending().await,
            }
        })
    });
    futures::future::select_all(waits).await;
}

/// How long a wait may last, for what normally takes a few seconds: the machine may be compiling.
const PATIENCE: Duration = Duration::from_secs(90);
