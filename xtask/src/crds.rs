//! `cargo xtask crds`: the CustomResourceDefinitions, generated from the types in `api`, as files.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use trueup_bed::workspace;

/// How it is called.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask crds            write crds/ anew, after a change of the types in crates/api
  cargo xtask crds --check    only say whether crds/ is up to date

Install them: kubectl apply --server-side --force-conflicts -f crds/";

/// What to do with the definitions.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a file is not as it would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the definitions, or checks them.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let dir = workspace().join("crds");
    let mut stale = Vec::new();
    for (name, content) in trueup_api::crd::files() {
        let path = dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|there| there == content) {
            println!("{} is up to date", shown(&path));
        } else if options.check {
            stale.push(shown(&path));
        } else {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make '{}'", dir.display()))?;
            fs::write(&path, content).with_context(|| format!("cannot write '{}'", path.display()))?;
            println!("{} is written", shown(&path));
        }
    }
    anyhow::ensure!(stale.is_empty(), "{} is stale; run 'cargo xtask crds' and commit it", stale.join(" and "));
    Ok(ExitCode::SUCCESS)
}

/// A path as people see it from the top of the workspace.
fn shown(path: &std::path::Path) -> String {
    let short = path.strip_prefix(workspace()).map_or_else(|_| path.to_path_buf(), PathBuf::from);
    short.display().to_string()
}
