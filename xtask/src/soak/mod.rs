//! `cargo xtask soak`: hundreds of applications, and everything that happens to them, for as long as one likes.
//!
//! Half of the time it is rough: pushes, changes by hand, kills of the controller, restarts of the API server. In the other
//! half the controller is left alone, so that its memory tells something. After each half everything must come to rest as Git
//! says. What happens, and in which order, follows from the seed; how much of it fits into the time, from the machine.

mod act;
mod field;
mod judge;
mod kind;
mod memory;
mod report;
mod run;
mod wanted;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::build;
use crate::build::Profile;
use crate::terminal::Terminal;

/// How it is called.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask soak                            half an hour over 300 applications
  cargo xtask soak --minutes 2 --apps 60      a short one
  cargo xtask soak --seed 7 --keep            the same acts as another run with seed 7; data and logs stay

Exit code 0: in line with Git, nothing wrongly deleted, memory flat, at rest no request. Exit code 1: it says what is not.
TRUEUP_BIN names a binary to use instead of building one.";

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// How it runs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// For how long things happen; the first sync and coming to rest take their time besides.
    #[arg(long, default_value_t = 30, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1440))]
    minutes: u16,
    /// Applications.
    #[arg(long, default_value_t = 300, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=2000))]
    apps: u16,
    /// Decides what happens.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Leave the control plane's directory behind: logs, audit log, kubeconfigs.
    #[arg(long)]
    keep: bool,
}

/// Runs it.
pub(crate) fn run(options: &Options, terminal: Terminal) -> anyhow::Result<ExitCode> {
    build::control_plane(terminal)?;
    let trueup = build::trueup(Profile::Release)?;
    let plan = run::Plan {
        length: Duration::from_mins(options.minutes.into()),
        applications: options.apps.into(),
        seed: options.seed,
        keep: options.keep,
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        tokio::select! {
            report = run::run(&plan, trueup, terminal) => {
                let report = report?;
                terminal.line(&report.table());
                Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            _ = tokio::signal::ctrl_c() => {
                terminal.error("interrupted");
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    })
}
