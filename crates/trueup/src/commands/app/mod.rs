//! `trueup app`: Applications, from a kubeconfig and without a server.

mod checks;
pub(crate) mod client;
mod confirm;
pub(super) mod create;
mod delete;
pub(crate) mod diff;
mod drift;
pub(crate) mod follow;
pub(crate) mod get;
mod history;
pub(crate) mod list;
mod local;
mod manifests;
pub(crate) mod operation;
pub(crate) mod patch;
mod pause;
mod remains;
mod resources;
mod revision_args;
mod rollback;
mod selection;
mod set;
mod silence;
mod source_args;
mod spec_args;
mod story;
pub(crate) mod sync;
mod sync_args;
mod terminate;
pub(crate) mod view;
pub(crate) mod wait;

use clap::Subcommand;

use crate::command_error::{CommandError, Outcome};
use crate::commands::block_on;

/// What to do with Applications.
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Lists Applications.
    #[command(visible_alias = "ls", after_long_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Shows one Application: its status, what drifted and who did it, its last operation, its objects.
    #[command(after_long_help = get::EXAMPLES)]
    Get(get::GetArgs),
    /// Shows how the cluster differs from Git.
    #[command(long_about = diff::ABOUT, after_long_help = diff::EXAMPLES)]
    Diff(diff::DiffArgs),
    /// Shows what drifted in an Application, who did it, and what became of it.
    #[command(long_about = drift::ABOUT, after_long_help = drift::EXAMPLES)]
    Drift(drift::DriftArgs),
    /// Syncs Applications, and waits until that has ended.
    #[command(long_about = sync::ABOUT, after_long_help = sync::EXAMPLES)]
    Sync(Box<sync::SyncArgs>),
    /// Waits until an Application is as it should be.
    #[command(long_about = wait::ABOUT, after_long_help = wait::EXAMPLES)]
    Wait(wait::WaitArgs),
    /// Lists what was synced, and when.
    #[command(long_about = history::ABOUT, after_long_help = history::EXAMPLES)]
    History(history::HistoryArgs),
    /// Syncs an Application to what it was synced to before.
    #[command(long_about = rollback::ABOUT, after_long_help = rollback::EXAMPLES)]
    Rollback(rollback::RollbackArgs),
    /// Ends a running operation, and waits until it has ended.
    #[command(long_about = terminate::ABOUT, after_long_help = terminate::EXAMPLES)]
    TerminateOp(terminate::TerminateArgs),
    /// Approves that objects are deleted which ask for that.
    #[command(long_about = confirm::ABOUT, after_long_help = confirm::EXAMPLES)]
    ConfirmDeletion(confirm::ConfirmArgs),
    /// Prints the manifests of Git, or of the cluster.
    #[command(long_about = manifests::ABOUT, after_long_help = manifests::EXAMPLES)]
    Manifests(manifests::ManifestsArgs),
    /// Lists the objects of an Application.
    #[command(long_about = resources::ABOUT, after_long_help = resources::EXAMPLES)]
    Resources(resources::ResourcesArgs),
    /// Lets the controller sync nothing of an Application.
    #[command(long_about = pause::PAUSE_ABOUT, after_long_help = pause::PAUSE_EXAMPLES)]
    Pause(pause::PauseArgs),
    /// Lets an Application that is paused go on.
    #[command(long_about = pause::RESUME_ABOUT, after_long_help = pause::RESUME_EXAMPLES)]
    Resume(pause::ResumeArgs),
    /// Creates an Application.
    #[command(long_about = create::ABOUT, after_long_help = create::EXAMPLES)]
    Create(Box<create::CreateArgs>),
    /// Changes an Application.
    #[command(long_about = set::ABOUT, after_long_help = set::EXAMPLES)]
    Set(Box<set::SetArgs>),
    /// Deletes Applications with their objects.
    #[command(visible_alias = "rm", long_about = delete::ABOUT, after_long_help = delete::EXAMPLES)]
    Delete(delete::DeleteArgs),
}

// === impl AppCommand ===

impl AppCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        block_on(async {
            match self {
                Self::List(args) => list::run(&args).await,
                Self::Get(args) => get::run(&args).await,
                Self::Diff(args) => Box::pin(diff::run(&args)).await,
                Self::Drift(args) => drift::run(&args).await,
                Self::Sync(args) => Box::pin(sync::run(&args)).await,
                Self::Wait(args) => wait::run(&args).await,
                Self::History(args) => history::run(&args).await,
                Self::Rollback(args) => rollback::run(&args).await,
                Self::TerminateOp(args) => terminate::run(&args).await,
                Self::ConfirmDeletion(args) => confirm::run(&args).await,
                Self::Manifests(args) => Box::pin(manifests::run(&args)).await,
                Self::Resources(args) => resources::run(&args).await,
                Self::Pause(args) => pause::pause(&args).await,
                Self::Resume(args) => pause::resume(&args).await,
                Self::Create(args) => create::run(&args).await,
                Self::Set(args) => set::run(&args).await,
                Self::Delete(args) => delete::run(&args).await,
            }
        })
    }
}
