//! `trueup proj list`.

use clap::Args;
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::proj::view::{NONE, View, counted};
use crate::commands::projects::Projects;
use crate::output::style::Paint;
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, ListFormat, Output, talk};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup proj list
  trueup proj list -o wide
  trueup proj list -o name | cut -d/ -f2 | xargs -n1 trueup proj get";

const COLUMNS: [&str; 9] = [
    "NAME",
    "DESCRIPTION",
    "DESTINATIONS",
    "SOURCES",
    "CLUSTER-RESOURCE-WHITELIST",
    "NAMESPACE-RESOURCE-BLACKLIST",
    "SIGNATURE-KEYS",
    "ORPHANED-RESOURCES",
    "DESTINATION-SERVICE-ACCOUNTS",
];
const WIDE_COLUMNS: [&str; 3] = ["SYNC-WINDOWS", "SOURCE-NAMESPACES", "NOT-HONOURED"];

/// What stands before a name, as kubectl prints it.
const NAME_PREFIX: &str = "appproject.argoproj.io/";

/// The arguments of `trueup proj list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// How to print the list; 'json' and 'yaml' print whole objects.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: ListFormat,
}

/// Prints the projects.
pub(crate) async fn run(args: &ListArgs) -> Result<Outcome, CommandError> {
    let projects = Projects::connect(&args.access).await?;
    let all = projects.list().await?;
    let mut output = Output::stdout();
    match args.output {
        ListFormat::Table | ListFormat::Wide if all.is_empty() => talk::note(&format!(
            "there are no AppProjects in namespace '{}'; until there is one, the project 'default' allows everything",
            projects.namespace()
        )),
        ListFormat::Table | ListFormat::Wide => {
            let table = table(&all, args.output == ListFormat::Wide).print(output.palette);
            output.text(&table)?;
        }
        ListFormat::Json => output.data(&whole(&all), DataFormat::Json)?,
        ListFormat::Yaml => output.yaml(&whole(&all))?,
        ListFormat::Name => {
            for project in &all {
                output.line(&format!("{NAME_PREFIX}{}", View(project).name()))?;
            }
        }
    }
    output.finish()?;
    Ok(Outcome::Done)
}

fn whole(projects: &[Node]) -> Node {
    Node::List(projects.iter().map(|project| View(project).printable()).collect())
}

fn table(projects: &[Node], wide: bool) -> Table {
    let mut heading = COLUMNS.to_vec();
    if wide {
        heading.extend(WIDE_COLUMNS);
    }
    let mut table = Table::new(&heading);
    for project in projects {
        let project = View(project);
        let mut row: Vec<Cell> = vec![
            project.name().into(),
            project.description().into(),
            counted(&project.destinations(), "destinations").into(),
            counted(&project.sources(), "repos").into(),
            counted(&project.kinds("clusterResourceWhitelist"), "resources").into(),
            counted(&project.kinds("namespaceResourceBlacklist"), "resources").into(),
            counted(&project.keys(), "keys").into(),
            project.orphans().into(),
            counted(&project.accounts(), "accounts").into(),
        ];
        if wide {
            let windows = project.list("syncWindows").len();
            let windows = if windows == 0 { NONE.to_owned() } else { windows.to_string() };
            row.extend([windows.into(), counted(&project.texts("sourceNamespaces"), "namespaces").into()]);
            row.push(match project.refused() {
                Ok(refused) if refused.is_empty() => NONE.into(),
                Ok(refused) => {
                    let fields: Vec<&str> = refused.iter().map(|refused| refused.field.as_str()).collect();
                    Cell::painted(&fields.join(","), Paint::Warning)
                }
                Err(_) => Cell::painted("all: it cannot be read", Paint::Bad),
            });
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;

    #[test]
    fn the_columns_are_those_of_argo_cd() {
        let team = r#"{"metadata":{"name":"team"},"spec":{"description":"the team","sourceRepos":["https://git.example/*"],
            "destinations":[{"server":"https://kubernetes.default.svc","namespace":"team-*"},{"name":"in-cluster","namespace":"x"}],
            "clusterResourceWhitelist":[{"group":"","kind":"Namespace"}],"orphanedResources":{"warn":true}}}"#;
        let projects = [team, r#"{"metadata":{"name":"empty"}}"#].map(|json| Node::from_json(json.as_bytes()).unwrap());
        let text = table(&projects, false).print(Palette::PLAIN);
        let words = |line: usize| {
            text.lines()
                .nth(line)
                .unwrap()
                .split("  ")
                .filter(|word| !word.is_empty())
                .map(str::trim)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(0), COLUMNS);
        assert_eq!(
            words(1),
            [
                "team",
                "the team",
                "2 destinations",
                "https://git.example/*",
                "/Namespace",
                NONE,
                NONE,
                "enabled (warn=true)",
                NONE
            ]
        );
        assert_eq!(words(2), ["empty", NONE, NONE, NONE, NONE, NONE, "disabled", NONE]);
    }

    #[test]
    fn wide_names_what_is_not_honoured() {
        let malformed = r#"{"metadata":{"name":"a"},"spec":{"sourceRepos":["[a"]}}"#;
        let broken = r#"{"metadata":{"name":"b"},"spec":{"sourceRepos":7}}"#;
        let projects = [malformed, broken].map(|json| Node::from_json(json.as_bytes()).unwrap());
        let text = table(&projects, true).print(Palette::PLAIN);
        assert!(text.lines().nth(1).unwrap().ends_with("spec.sourceRepos"), "{text}");
        assert!(text.lines().nth(2).unwrap().ends_with("cannot be read"), "{text}");
    }
}
