//! `trueup cluster`: the cluster itself, apart from any Application.

mod ask;
pub(crate) mod check;
mod facts;
mod inventory;
mod roles;
mod rule;

use clap::Subcommand;

use crate::command_error::{CommandError, Outcome};
use crate::commands::block_on;

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Tells what the controller may and may not do on this cluster, and which rules are missing.
    #[command(long_about = check::ABOUT, after_long_help = check::EXAMPLES)]
    Check(check::CheckArgs),
}

// === impl ClusterCommand ===

impl ClusterCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        block_on(async {
            match self {
                Self::Check(args) => check::run(&args).await,
            }
        })
    }
}
