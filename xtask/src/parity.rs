//! `cargo xtask parity`: what of Argo CD's API is honoured, as a page, from rows that the code and the tests vouch for.
//!
//! Keeps nothing: `docs/parity.yaml` holds the rows, `docs/parity.md` is made of them. Invariant: no page is written, and no
//! check passes, while a row claims what no test shows, or something of the API has no row. Entry point: [`run`].

mod check;
mod code;
mod page;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use trueup_bed::workspace;

use crate::parity::code::Code;

/// How it is called.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask parity          write docs/parity.md anew, after a change of docs/parity.yaml
  cargo xtask parity --check  only say what is missing

Each row of docs/parity.yaml that claims something names the tests that show it, by module and function.";

/// Where the rows stand.
const ROWS: &str = "docs/parity.yaml";
/// What is made of them.
const PAGE: &str = "docs/parity.md";

/// What to do with the page.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write nothing; fail if the page is not as it would be written.
    #[arg(long)]
    check: bool,
}

/// All rows, in the order of the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    groups: Vec<Group>,
}

/// The rows of one table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    title: String,
    /// What is to be known before one reads the table.
    #[serde(default)]
    about: String,
    /// The kind whose fields the rows name.
    #[serde(default)]
    kind: Option<Kind>,
    rows: Vec<Row>,
}

/// A kind of Argo CD's.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Kind {
    Application,
    AppProject,
}

/// A thing that users may write, read or rely on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// In Markdown. What stands between backticks is a name: of a field with its path (`spec.source.helm.*` is everything
    /// below it), of an annotation, a finalizer, a condition, an option with its value.
    what: String,
    here: State,
    /// How it differs, and why; or what happens instead.
    #[serde(default)]
    note: String,
    /// The tests that show it, as `crate::module::function`; those of a test binary as `binary::module::function`.
    #[serde(default)]
    tests: Vec<String>,
}

/// What becomes of it here.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum State {
    AsUpstream,
    Differs,
    Refused,
    Warned,
    NotYet,
    Ignored,
    Ours,
}

/// Writes the page, or checks it.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let rows = read(ROWS)?;
    let rows: Rows = yaml_serde::from_str(&rows).with_context(|| format!("cannot read '{ROWS}'"))?;
    let code = Code::read(&workspace())?;
    let missing = check::missing(&rows, &code);
    anyhow::ensure!(missing.is_empty(), "{ROWS}: {} to be mended:\n  {}", missing.len(), missing.join("\n  "));
    let page = page::of(&rows, &code);
    if fs::read_to_string(workspace().join(PAGE)).is_ok_and(|there| there == page) {
        println!("{PAGE} is up to date");
    } else {
        anyhow::ensure!(!options.check, "{PAGE} is stale; run 'cargo xtask parity' and commit it");
        fs::write(workspace().join(PAGE), page).with_context(|| format!("cannot write '{PAGE}'"))?;
        println!("{PAGE} is written");
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a file of the workspace.
fn read(path: impl AsRef<Path>) -> anyhow::Result<String> {
    let path = workspace().join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))
}

// === impl Group ===

impl Group {
    /// The names of all rows.
    fn names(&self) -> HashSet<&str> {
        self.rows.iter().flat_map(Row::names).collect()
    }
}

// === impl Row ===

impl Row {
    /// What stands between backticks.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.what.split('`').skip(1).step_by(2)
    }
}

// === impl State ===

impl State {
    /// All of them, in the order of the legend.
    const ALL: [Self; 7] =
        [Self::AsUpstream, Self::Differs, Self::Ours, Self::Refused, Self::Warned, Self::NotYet, Self::Ignored];

    fn name(self) -> &'static str {
        match self {
            Self::AsUpstream => "as upstream",
            Self::Differs => "differs",
            Self::Refused => "refused",
            Self::Warned => "warned",
            Self::NotYet => "not yet",
            Self::Ignored => "ignored",
            Self::Ours => "ours",
        }
    }

    fn means(self) -> &'static str {
        match self {
            Self::AsUpstream => "it does what it does in Argo CD",
            Self::Differs => {
                "it is honoured, and something about it is otherwise on purpose: the row says what, and why"
            }
            Self::Ours => "Argo CD does not have it",
            Self::Refused => "the sync of that one Application is stopped, and a condition names it",
            Self::Warned => "a condition says that it has no effect; the sync goes on",
            Self::NotYet => "it is not there, and nothing says so: the row says what happens instead",
            Self::Ignored => "kept as it is and never read, because nothing here needs it",
        }
    }

    /// Whether only a test can vouch for it.
    fn needs_a_test(self) -> bool {
        !matches!(self, Self::NotYet | Self::Ignored)
    }
}
