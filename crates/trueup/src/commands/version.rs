//! `trueup version`.

use clap::Args;
use serde::Serialize;

use crate::command_error::{CommandError, Outcome};
use crate::output::{DataFormat, Output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup version
  trueup version -o json";

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, if the build said so.
const COMMIT: Option<&str> = option_env!("TRUEUP_BUILD_COMMIT");

/// The arguments of `trueup version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Print it as data.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<DataFormat>,
}

#[derive(Debug, Serialize)]
struct Build {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'static str>,
    platform: String,
}

/// Prints the version.
pub(crate) fn run(args: &VersionArgs) -> Result<Outcome, CommandError> {
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    let build = Build { version: VERSION, commit: COMMIT, platform };
    let mut output = Output::stdout();
    if let Some(format) = args.output {
        output.data(&build, format)?;
    } else {
        let commit = COMMIT.map(|commit| format!(" ({commit})")).unwrap_or_default();
        output.line(&format!("trueup {VERSION}{commit} {}", build.platform))?;
    }
    output.finish()?;
    Ok(Outcome::Done)
}
