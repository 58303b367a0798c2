//! `cargo xtask test`: everything that can be tested, end to end included.
//!
//! Standard output is that of `cargo test`, to its last line; what is built before is told on standard error.

use std::num::NonZero;
use std::process::Command;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use trueup_bed::workspace;

use crate::build;
use crate::build::Profile;
use crate::terminal::Terminal;

/// How it is called.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask test                        everything
  cargo xtask test -p trueup-diff         one crate
  cargo xtask test -p trueup-e2e prune    end-to-end tests whose name contains 'prune'
  TRUEUP_KEEP=1 cargo xtask test …        leave the directories of the control planes behind

Tests of crates that never need a cluster run with plain 'cargo test -p CRATE' too.";

/// Tests at a time for each core, where nobody says how many ('RUST_TEST_THREADS', '-- --test-threads'): those end to end, which take
/// nearly all the time, wait for a cluster most of theirs.
const TESTS_PER_CORE: usize = 2;
/// Where the test harness reads how many run at a time.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Passed on to 'cargo test'; the whole workspace is tested if no package is named.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Builds and tests, and ends as `cargo test` does.
pub(crate) fn run(options: &Options, terminal: Terminal) -> anyhow::Result<ExitCode> {
    build::control_plane(terminal)?;
    let everything = !names_a_package(&options.arguments);
    // Unoptimised: what is tested is what it does, and a second build of everything would take minutes.
    let trueup = match std::env::var_os("TRUEUP_BIN") {
        None if everything => build::tests()?,
        _ => None,
    };
    let trueup = trueup.map_or_else(|| build::trueup(Profile::Debug), Ok)?;
    let mut command = Command::new(build::program());
    // One broken test must not hide the others.
    command.current_dir(workspace()).args(["test", "--no-fail-fast"]).env("TRUEUP_BIN", trueup);
    if everything {
        command.arg("--workspace");
    }
    if std::env::var_os(TEST_THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        command.env(TEST_THREADS, (cores * TESTS_PER_CORE).to_string());
    }
    let status = command.args(&options.arguments).status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells whether the arguments for cargo, up to those for the tests themselves, name a package.
fn names_a_package(arguments: &[String]) -> bool {
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    let names = |argument: &&String| argument.starts_with("-p") || argument.starts_with("--package");
    for_cargo.filter(names).count() > 0
}

#[cfg(test)]
mod tests {
    use super::names_a_package;

    #[test]
    fn tells_a_package_from_what_is_for_the_tests() {
        let names = |line: &str| names_a_package(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(names("-p trueup-diff") && names("--package=x"));
        assert!(!names("prune") && !names("prune -- -p x"));
    }
}
