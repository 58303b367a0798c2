//! `cargo xtask ci`: what CI runs, here.

use std::process::Command;
use std::process::ExitCode;

use anyhow::Context as _;
use trueup_bed::workspace;

/// Runs the script of CI, and ends as it does.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let status = Command::new("bash").arg(".ci/run").current_dir(workspace()).status().context("cannot run bash")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
