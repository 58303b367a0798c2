//! The tasks of this project, as `cargo xtask TASK`: whatever a task needs beyond Rust, Go and git, it builds itself.

mod bench;
mod build;
mod ci;
mod crds;
mod definitions;
mod demo;
mod parity;
mod soak;
mod terminal;
mod test;

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::terminal::Terminal;

/// What one can do right after a clone.
const EXAMPLES: &str = "Examples:
  cargo xtask demo            see it work: Git, a real API server, and what happens between them
  cargo xtask test            build and test everything, end to end included
  cargo xtask bench --quick   first sync of 100 applications, beside the floor

The first run builds a Kubernetes control plane (4 to 8 minutes on two cores, only once).";

/// The tasks of this project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shows Trueup at work on a real control plane, step by step.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Options),
    /// Builds what the tests need and runs all of them, end to end included.
    #[command(after_help = test::EXAMPLES)]
    Test(test::Options),
    /// Measures a first sync beside the floor: the same objects by a bare client.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Options),
    /// Lets everything happen to hundreds of applications, and judges what is left of them.
    #[command(after_help = soak::EXAMPLES)]
    Soak(soak::Options),
    /// Runs what CI runs: format, lints, licences, tests.
    Ci,
    /// Writes the CustomResourceDefinitions into crds/.
    #[command(after_help = crds::EXAMPLES)]
    Crds(crds::Options),
    /// Writes the page on what of Argo CD's API is honoured.
    #[command(after_help = parity::EXAMPLES)]
    Parity(parity::Options),
}

fn main() -> ExitCode {
    let terminal = Terminal::new();
    let outcome = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options, terminal),
        Task::Test(options) => test::run(&options, terminal),
        Task::Bench(options) => bench::run(&options, terminal),
        Task::Soak(options) => soak::run(&options, terminal),
        Task::Ci => ci::run(),
        Task::Crds(options) => crds::run(&options),
        Task::Parity(options) => parity::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        terminal.error(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
