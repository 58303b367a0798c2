//! `cargo xtask ci`: what CI runs, here.

use std::process::Command;
use std::process::ExitCode;

use anyhow::Context as _;
use trueup_bed::workspace;

/// Runs the script of CI, and ends as it does.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let mut command = Command::new("bash");
    command.arg(".ci/run").current_dir(workspace());
    if std::env::var_os("TRUEUP_CI_CACHE").is_none() {
        // Here the builds of this clone are the cache.
        command.env("TRUEUP_CI_CACHE", "");
    }
    if std::env::var_os("CI").is_none() {
        // On a developer's machine nobody has to be root; what is skipped says so.
        command.env("CI", "");
    }
    let status = command.status().context("cannot run bash")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
