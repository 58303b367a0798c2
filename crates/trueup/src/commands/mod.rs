//! The commands, one file each: its arguments, its help, and `run`. Those that talk to a cluster run by [`block_on`].

pub(crate) mod app;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod controller;
pub(crate) mod crds;
pub(crate) mod drift;
pub(crate) mod health;
pub(crate) mod preview;
pub(crate) mod proj;
mod projects;
pub(crate) mod render;
pub(crate) mod repo;
mod rival;
pub(crate) mod version;

use crate::command_error::{CommandError, Outcome, internal_error_with_message};
use crate::logging::{self, LogFormat};

/// Runs a command that talks to a cluster, to its end.
pub(crate) fn block_on(command: impl Future<Output = Result<Outcome, CommandError>>) -> Result<Outcome, CommandError> {
    // What matters is said by the commands themselves.
    logging::start(LogFormat::Text, "off")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| internal_error_with_message("cannot start the runtime", error))?;
    let outcome = runtime.block_on(command);
    // Watches and lookups that still run have nobody to tell.
    runtime.shutdown_background();
    outcome
}
