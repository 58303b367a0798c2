//! `trueup app`: Applications, from a kubeconfig and without a server.

pub(crate) mod client;
pub(crate) mod diff;
pub(crate) mod follow;
pub(crate) mod get;
pub(crate) mod list;
mod silence;
pub(crate) mod sync;
pub(crate) mod view;
pub(crate) mod wait;

use clap::Subcommand;

use crate::command_error::{CommandError, Outcome, internal_error_with_message};
use crate::logging::{self, LogFormat};

/// What to do with Applications.
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Lists Applications.
    #[command(after_long_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Shows one Application: its status, what drifted and who did it, its last operation, its objects.
    #[command(after_long_help = get::EXAMPLES)]
    Get(get::GetArgs),
    /// Shows how the cluster differs from Git.
    #[command(long_about = diff::ABOUT, after_long_help = diff::EXAMPLES)]
    Diff(diff::DiffArgs),
    /// Syncs an Application, and waits until that has ended.
    #[command(long_about = sync::ABOUT, after_long_help = sync::EXAMPLES)]
    Sync(sync::SyncArgs),
    /// Waits until an Application is as it should be.
    #[command(long_about = wait::ABOUT, after_long_help = wait::EXAMPLES)]
    Wait(wait::WaitArgs),
}

// === impl AppCommand ===

impl AppCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        // What matters is said by the commands themselves.
        logging::start(LogFormat::Text, "off")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| internal_error_with_message("cannot start the runtime", error))?;
        let outcome = runtime.block_on(async {
            match self {
                Self::List(args) => list::run(&args).await,
                Self::Get(args) => get::run(&args).await,
                Self::Diff(args) => diff::run(&args).await,
                Self::Sync(args) => sync::run(&args).await,
                Self::Wait(args) => wait::run(&args).await,
            }
        });
        // Watches and lookups that still run have nobody to tell.
        runtime.shutdown_background();
        outcome
    }
}
