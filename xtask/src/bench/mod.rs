//! `cargo xtask bench`: a first sync by Trueup beside the floor, in the same run, and the step from wave to wave.
//!
//! The floor is what nobody can avoid: the same objects and namespaces and one status-sized patch per Application, by a
//! bare client with server-side apply over 16 connections. Each side gets a control plane of its own, fresh and empty
//! but for the definitions; both create every namespace themselves. The Applications lie there before the clocks
//! start; that of Trueup includes the start of its process.

mod floor;
mod load;
mod measure;
mod report;
mod side;
mod step;
mod sync;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap::ValueEnum;

use crate::build;
use crate::build::Profile;
use crate::terminal::Terminal;

pub(crate) use measure::mib;

use load::Load;
use report::Report;
use report::Round;

/// How it is called.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask bench --quick            100 applications × 10 objects, once: about a minute
  cargo xtask bench                    the same three times (the median counts), then 500 applications
  cargo xtask bench --quick -o json    for machines
  cargo xtask bench --quick --write    put the table into docs/performance.md

Builds are release builds. On a machine that does something else meanwhile, only the counts
mean anything.";

/// Applications of a quick run, and objects of each.
const APPLICATIONS: usize = 100;
const OBJECTS: usize = 10;
/// Applications of the large round that a full run ends with.
const APPLICATIONS_LARGE: usize = 500;
/// Rounds of a full run: the fewest with a median.
const ROUNDS: usize = 3;

/// What to measure, and how to tell it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One round of 100 applications only.
    #[arg(long)]
    quick: bool,
    /// Applications, instead of the sizes above.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=5000))]
    applications: Option<u16>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Write the table into docs/performance.md too.
    #[arg(long)]
    write: bool,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// Measures.
pub(crate) fn run(options: &Options, terminal: Terminal) -> anyhow::Result<ExitCode> {
    build::control_plane(terminal)?;
    if cfg!(debug_assertions) {
        return measure_optimised();
    }
    let trueup = build::trueup(Profile::Release)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = rounds(options, terminal, &trueup) => report,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    })?;
    match options.output {
        Format::Table => terminal.line(&report.table()),
        Format::Json => terminal.line(&report.json()?),
    }
    if options.write {
        let path = report.write()?;
        terminal.progress(&format!("written into {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures with an optimised build of this program: the floor is a client too, and an unoptimised one would make it
/// seem higher than it is.
fn measure_optimised() -> anyhow::Result<ExitCode> {
    let built = build::cargo(Profile::Release, &["xtask", "trueup"])?;
    let [xtask, trueup] = built.as_slice() else { anyhow::bail!("cargo built something else than was asked for") };
    let mut command = Command::new(xtask);
    command.args(std::env::args_os().skip(1));
    if std::env::var_os("TRUEUP_BIN").is_none() {
        command.env("TRUEUP_BIN", trueup);
    }
    Err(command.exec()).with_context(|| format!("cannot run '{}'", xtask.display()))
}

async fn rounds(options: &Options, terminal: Terminal, trueup: &Path) -> anyhow::Result<Report> {
    let plan: Vec<(usize, usize)> = match (options.applications, options.quick) {
        (Some(applications), _) => vec![(applications.into(), 1)],
        (None, true) => vec![(APPLICATIONS, 1)],
        (None, false) => vec![(APPLICATIONS, ROUNDS), (APPLICATIONS_LARGE, 1)],
    };
    let mut results = Vec::new();
    for (applications, times) in plan {
        let mut of_this_size = Vec::new();
        for number in 1..=times {
            let load = Load::new(applications, OBJECTS);
            let name = format!("{applications} applications, round {number} of {times}");
            terminal.progress(&format!("{name}: the floor"));
            let floor = floor::run(&load).await.context("the floor")?;
            terminal.progress(&format!("{name}: trueup (the floor took {:.1} s)", floor.wall_seconds));
            let ours = sync::run(&load, trueup, terminal).await.context("the first sync by trueup")?;
            of_this_size.push(Round { applications, objects: OBJECTS, rounds: times, floor, trueup: ours });
        }
        results.push(report::median(of_this_size).context("no round was run")?);
    }
    terminal.progress("trueup: from wave to wave");
    let steps = step::run(trueup).await.context("the steps from wave to wave")?;
    Ok(Report::new(results, steps))
}
