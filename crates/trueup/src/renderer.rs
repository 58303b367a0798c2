//! Where the renderer of charts, overlays and Jsonnet is, for this program. Entry points: [`RendererArgs::program`], and
//! [`workers`] for a command that has no flag for it.

use std::path::Path;

use clap::Args;
use trueup_render::workers::{Program, Workers, WorkersConfig};

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

/// The workers of the renderer that the environment names, or that lies beside this program; none if there is none.
pub(crate) fn workers() -> Option<Workers> {
    let named = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    let program = RendererArgs { renderer: named }.program(&std::env::current_exe().ok()?)?;
    Some(Workers::new(WorkersConfig::new(program)))
}
