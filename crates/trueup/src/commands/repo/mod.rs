//! `trueup repo`: how repositories are reached, by the Secrets of the controller's namespace.

mod check;
mod list;

use clap::Subcommand;

use crate::command_error::{CommandError, Outcome};
use crate::commands::block_on;

/// What to do with repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Lists the repositories that there are Secrets for, and which kind of login each has.
    #[command(long_about = list::ABOUT, after_long_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Connects to a repository with the login that an Application would use.
    #[command(long_about = check::ABOUT, after_long_help = check::EXAMPLES)]
    Check(check::CheckArgs),
}

// === impl RepoCommand ===

impl RepoCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        block_on(async {
            match self {
                Self::List(args) => list::run(&args).await,
                Self::Check(args) => check::run(&args).await,
            }
        })
    }
}
