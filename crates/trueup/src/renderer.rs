//! Where the renderer of charts, overlays and Jsonnet is, for this program. Entry points: [`RendererArgs::program`], and
//! [`workers`] for a command that has no flag for it.

use std::path::Path;

use clap::Args;
use trueup_render::workers::{Program, ProgramError, Workers, WorkersConfig};

use crate::command_error::{CommandError, internal_error_with_message, user_error_with_message};

/// Names the renderer.
pub(crate) const VARIABLE: &str = "TRUEUP_RENDERER";

/// Which renderer.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RendererArgs {
    /// What renders charts, overlays and Jsonnet: the path of trueup-renderer, or unix: and the path of the socket that it
    /// listens on. If not given, the one beside this program; without any, only plain manifests are read.
    #[arg(long, env = VARIABLE, value_name = "PATH|unix:PATH")]
    pub(crate) renderer: Option<Program>,
}

// === impl RendererArgs ===

impl RendererArgs {
    /// The renderer that is named, or that lies beside this program.
    pub(crate) fn program(&self, exe: &Path) -> Option<Program> {
        self.renderer.clone().or_else(|| Program::beside(exe))
    }
}

/// The workers of the renderer that is named here or in the environment, or that lies beside this program; none if there is none.
pub(crate) fn workers(named: Option<&Program>) -> Result<Option<Workers>, CommandError> {
    let renderer = match (named, std::env::var(VARIABLE)) {
        (Some(named), _) => Some(named.clone()),
        (None, Ok(text)) => {
            let program = text
                .parse()
                .map_err(|error: ProgramError| user_error_with_message(format!("{VARIABLE} is wrong"), error));
            Some(program?)
        }
        (None, Err(_)) => None,
    };
    let exe = std::env::current_exe()
        .map_err(|error| internal_error_with_message("cannot find the program's own file", error))?;
    let program = RendererArgs { renderer }.program(&exe);
    Ok(program.map(|program| Workers::new(WorkersConfig::new(program))))
}
