//! `trueup proj`: AppProjects, from a kubeconfig and without a server.

mod get;
mod list;
mod view;

use clap::Subcommand;

use crate::command_error::{CommandError, Outcome};
use crate::commands::block_on;

/// What to do with AppProjects.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjCommand {
    /// Lists AppProjects.
    #[command(after_long_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Shows one AppProject: what its Applications may deploy, and what of it Trueup does not honour.
    #[command(after_long_help = get::EXAMPLES)]
    Get(get::GetArgs),
}

// === impl ProjCommand ===

impl ProjCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, CommandError> {
        block_on(async {
            match self {
                Self::List(args) => list::run(&args).await,
                Self::Get(args) => get::run(&args).await,
            }
        })
    }
}
