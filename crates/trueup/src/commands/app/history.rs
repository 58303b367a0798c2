//! `trueup app history`.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::app::client::Client;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::output::table::Table;
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Lists the successful syncs of an Application that are remembered, oldest first. What is shown last is what was synced last.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app history shop-dev
  trueup app history shop-dev -o wide
  trueup app rollback shop-dev $(trueup app history shop-dev -o id | tail -n 2 | head -n 1)";

const COLUMNS: [&str; 4] = ["ID", "DATE", "REVISION", "BY"];
const WIDE_COLUMNS: [&str; 2] = ["REPO", "PATH"];

/// The arguments of `trueup app history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// How to print the list.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: HistoryFormat,
}

/// How a history is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HistoryFormat {
    /// A table.
    Table,
    /// A table with more columns.
    Wide,
    /// The ids alone, one a line.
    Id,
    /// A JSON array of the whole entries.
    Json,
    /// A YAML list of the whole entries.
    Yaml,
}

/// Prints the history.
pub(crate) async fn run(args: &HistoryArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.get(&name).await?;
    let history = View(&app).history();
    let mut output = Output::stdout();
    let whole = || view::printable(&Node::List(history.to_vec()));
    match args.output {
        HistoryFormat::Table | HistoryFormat::Wide if history.is_empty() => {
            talk::note(&format!("{} has not been synced yet", View(&app).qualified_name()));
        }
        HistoryFormat::Table | HistoryFormat::Wide => {
            let text = table(history, args.output == HistoryFormat::Wide).print(output.palette);
            output.text(&text)?;
        }
        HistoryFormat::Id => {
            for entry in history {
                output.line(&id(entry))?;
            }
        }
        HistoryFormat::Json => output.data(&whole(), DataFormat::Json)?,
        HistoryFormat::Yaml => output.yaml(&whole())?,
    }
    output.finish()?;
    Ok(Outcome::Done)
}

/// The id of an entry, as it is shown; 0 is what an absent one means.
pub(crate) fn id(entry: &Node) -> String {
    entry.i64_at(&["id"]).unwrap_or_default().to_string()
}

fn table(history: &[Node], wide: bool) -> Table {
    let mut heading = COLUMNS.to_vec();
    if wide {
        heading.extend(WIDE_COLUMNS);
    }
    let mut table = Table::new(&heading);
    for entry in history {
        let text = |path: &[&str]| entry.str_at(path).unwrap_or_default();
        let mut row =
            vec![id(entry).into(), text(&["deployedAt"]).into(), revision(entry).into(), initiator(entry).into()];
        if wide {
            let several: Vec<&Node> = entry.list_at(&["sources"]).iter().collect();
            let sources = if several.is_empty() { entry.get("source").into_iter().collect() } else { several };
            let (repos, paths) = view::places(&sources);
            row.extend([repos.into(), paths.into()]);
        }
        table.row(row);
    }
    table
}

/// `main (0123456)`, as Argo CD shows it; of several sources what each was at.
fn revision(entry: &Node) -> String {
    let commit = view::short_revisions(entry);
    let target = entry.str_at(&["source", "targetRevision"]).unwrap_or_default();
    match (target.is_empty(), commit.is_empty()) {
        (false, false) if view::short_revision(target) != commit => format!("{target} ({commit})"),
        (_, false) => commit,
        (_, true) => target.to_owned(),
    }
}

fn initiator(entry: &Node) -> &str {
    if entry.at(&["initiatedBy", "automated"]).and_then(Node::as_bool) == Some(true) {
        "automated"
    } else {
        entry.str_at(&["initiatedBy", "username"]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;

    #[test]
    fn the_history_shows_commits_and_who_asked() {
        let history = Node::from_json(
            br#"[{"revision":"0123456789abcdef0123456789abcdef01234567","deployedAt":"2026-11-24T10:00:00Z",
                "source":{"repoURL":"http://u:hunter2@git.example/shop","path":"dev","targetRevision":"main"},"initiatedBy":{"automated":true}},
                {"id":1,"revision":"fedcba9876543210fedcba9876543210fedcba98","deployedAt":"2026-11-24T11:00:00Z","initiatedBy":{"username":"jane"}},
                {"id":2,"revisions":["fedcba9876543210fedcba9876543210fedcba98","1.2.3"],
                    "sources":[{"repoURL":"http://git/a","path":"p"},{"repoURL":"https://charts.example/c","chart":"redis"}]}]"#,
        )
        .unwrap();
        let history = history.as_list().unwrap();
        let expected = "\
ID  DATE                  REVISION        BY
0   2026-11-24T10:00:00Z  main (0123456)  automated
1   2026-11-24T11:00:00Z  fedcba9         jane
2                         fedcba9,1.2.3
";
        assert_eq!(table(history, false).print(Palette::PLAIN), expected);
        let wide = table(history, true).print(Palette::PLAIN);
        assert!(wide.contains("git.example/shop") && wide.contains("  dev\n") && !wide.contains("hunter2"), "{wide}");
        assert!(wide.contains("http://git/a,https://charts.example/c  p,redis\n"), "{wide}");
    }
}
