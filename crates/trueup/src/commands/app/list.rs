//! `trueup app list`.

use clap::Args;
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::app::client::{Client, typed_name};
use crate::commands::app::view::{self, View};
use crate::output::style::Paint;
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, ListFormat, Output, talk};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app list
  trueup app list -l team=shop -o wide
  trueup app list -A
  trueup app list -o name | xargs -n 1 trueup app wait
  trueup app list -o json | jq -r '.[] | select(.status.drift.count > 0) | .metadata.name'";

const COLUMNS: [&str; 9] =
    ["NAME", "CLUSTER", "NAMESPACE", "PROJECT", "STATUS", "HEALTH", "DRIFT", "SYNCPOLICY", "CONDITIONS"];
const WIDE_COLUMNS: [&str; 4] = ["REPO", "PATH", "TARGET", "REVISION"];

/// The arguments of `trueup app list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Only Applications with these labels, as kubectl takes them.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Applications of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How to print the list; 'json' and 'yaml' print whole objects.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: ListFormat,
}

/// Prints the Applications.
pub(crate) async fn run(args: &ListArgs) -> Result<Outcome, CommandError> {
    let client = Client::connect(&args.access).await?;
    let namespace = (!args.all_namespaces).then_some(client.namespace());
    let mut apps = client.list_in(namespace, args.selector.as_deref()).await?;
    apps.sort_by_cached_key(|app| View(app).qualified_name());
    let mut output = Output::stdout();
    match args.output {
        ListFormat::Table | ListFormat::Wide => {
            if apps.is_empty() {
                talk::note(&nothing(namespace, args.selector.as_deref()));
            } else {
                let table = table(&apps, args.output == ListFormat::Wide).print(output.palette);
                output.text(&table)?;
            }
        }
        ListFormat::Name => {
            for app in &apps {
                output.line(&typed_name(client.namespace(), View(app)))?;
            }
        }
        ListFormat::Json => output.data(&whole(&apps), DataFormat::Json)?,
        ListFormat::Yaml => output.yaml(&whole(&apps))?,
    }
    output.finish()?;
    if matches!(args.output, ListFormat::Json | ListFormat::Yaml) {
        apps.iter().find_map(view::left_out).into_iter().for_each(talk::note);
    }
    Ok(Outcome::Done)
}

pub(crate) fn nothing(namespace: Option<&str>, selector: Option<&str>) -> String {
    let selected = selector.filter(|selector| !selector.is_empty());
    let selected = selected.map(|selector| format!(" that the selector '{selector}' matches")).unwrap_or_default();
    let place = namespace.map_or_else(|| "any namespace".to_owned(), |namespace| format!("namespace '{namespace}'"));
    format!("there are no Applications{selected} in {place}")
}

fn whole(apps: &[Node]) -> Node {
    Node::List(apps.iter().map(view::printable).collect())
}

fn table(apps: &[Node], wide: bool) -> Table {
    let mut heading = COLUMNS.to_vec();
    if wide {
        heading.extend(WIDE_COLUMNS);
    }
    let mut table = Table::new(&heading);
    for app in apps {
        let app = View(app);
        let mut row: Vec<Cell> = vec![
            app.qualified_name().into(),
            app.cluster().into(),
            app.destination_namespace().into(),
            app.project().into(),
            Cell::word(app.sync_status()),
            Cell::word(app.health_status()),
            drift(app),
            policy(app).into(),
            app.conditions_summary().into(),
        ];
        if wide {
            let sources = app.sources();
            let (repos, paths) = view::places(&sources);
            let targets: Vec<&str> =
                sources.iter().map(|source| source.str_at(&["targetRevision"]).unwrap_or_default()).collect();
            row.extend([repos.into(), paths.into(), targets.join(",").into()]);
            row.push(app.0.at(&["status", "sync"]).map(view::short_revisions).unwrap_or_default().into());
        }
        table.row(row);
    }
    table
}

fn drift(app: View<'_>) -> Cell {
    match app.drift_count() {
        None => "-".into(),
        Some(0) => "0".into(),
        Some(count) => Cell::painted(&count.to_string(), Paint::Warning),
    }
}

/// In Argo CD's words; while it is paused, that counts.
fn policy(app: View<'_>) -> &'static str {
    match app.automated() {
        _ if app.is_left_alone() || app.pause().is_some() => "Paused",
        None => "Manual",
        Some(automated) if automated.prune => "Auto-Prune",
        Some(_) => "Auto",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;

    #[test]
    fn an_empty_list_names_what_was_looked_for() {
        assert_eq!(nothing(Some("argocd"), None), "there are no Applications in namespace 'argocd'");
        assert_eq!(
            nothing(Some("argocd"), Some("team=shpo")),
            "there are no Applications that the selector 'team=shpo' matches in namespace 'argocd'"
        );
    }

    #[test]
    fn the_columns_are_those_of_argo_cd_and_drift() {
        let synced = r#"{"metadata":{"name":"shop-dev","namespace":"argocd"},
            "spec":{"project":"shop","source":{"repoURL":"http://u:hunter2@git.example/shop.git","path":"environments/dev","targetRevision":"main"},
                "destination":{"server":"https://kubernetes.default.svc","namespace":"shop-dev"},"syncPolicy":{"automated":{"prune":true}}},
            "status":{"sync":{"status":"Synced","revision":"0123456789abcdef0123456789abcdef01234567"},"health":{"status":"Healthy"},"drift":{"count":0}}}"#;
        let broken = r#"{"metadata":{"name":"broken","namespace":"argocd"},"spec":{"destination":{"name":"in-cluster"}},
            "status":{"conditions":[{"type":"InvalidSpecError","message":"no source"}],"drift":{"count":3}}}"#;
        let apps = [synced, broken].map(|json| Node::from_json(json.as_bytes()).unwrap());
        let expected = "\
NAME             CLUSTER                         NAMESPACE  PROJECT  STATUS   HEALTH   DRIFT  SYNCPOLICY  CONDITIONS
argocd/shop-dev  https://kubernetes.default.svc  shop-dev   shop     Synced   Healthy  0      Auto-Prune  <none>
argocd/broken    in-cluster                                 default  Unknown  Unknown  3      Manual      InvalidSpecError
";
        assert_eq!(table(&apps, false).print(Palette::PLAIN), expected);
        let paused = br#"{"metadata":{"annotations":{"argocd.argoproj.io/skip-reconcile":"true"}},"spec":{"syncPolicy":{"automated":{}}}}"#;
        assert!(table(&[Node::from_json(paused).unwrap()], false).print(Palette::PLAIN).contains("Paused"));
        let until = |until: &str| {
            let json = format!(r#"{{"metadata":{{"annotations":{{"trueup.dev/pause-until":"{until}"}}}}}}"#);
            table(&[Node::from_json(json.as_bytes()).unwrap()], false).print(Palette::PLAIN).contains("Paused")
        };
        assert!(until("9999-01-01T00:00:00Z") && !until("2000-01-01T00:00:00Z"));
        let wide = table(&apps[..1], true).print(Palette::PLAIN);
        assert!(wide.contains("environments/dev  main    0123456\n"), "{wide}");
        assert!(wide.contains("git.example/shop") && !wide.contains("hunter2"), "{wide}");
        let several = br#"{"spec":{"sources":[{"repoURL":"https://charts.example/c","chart":"redis","targetRevision":"1.x"},{"repoURL":"http://git/a","path":"p"}]},
            "status":{"sync":{"revisions":["1.2.3","0123456789abcdef0123456789abcdef01234567"]}}}"#;
        let wide = table(&[Node::from_json(several).unwrap()], true).print(Palette::PLAIN);
        assert!(wide.contains("https://charts.example/c,http://git/a  redis,p  1.x,    1.2.3,0123456\n"), "{wide}");
    }
}
