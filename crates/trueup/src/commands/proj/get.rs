//! `trueup proj get`.

use clap::Args;
use jiff::Timestamp;
use trueup_api::Project;
use trueup_api::project_spec::SyncWindow;
use trueup_object::Node;
use trueup_plan::WindowState;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::proj::view::{NONE, View};
use crate::commands::projects::Projects;
use crate::output::style::{Paint, Palette, one_line};
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, Output, talk};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup proj get default
  trueup proj get team-a -o yaml";

/// Where the values begin, in characters: one behind the longest name.
const VALUES_AT: usize = 30;

/// The arguments of `trueup proj get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The AppProject.
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Print the whole object instead of the summary.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<DataFormat>,
}

/// Prints one project.
pub(crate) async fn run(args: &GetArgs) -> Result<Outcome, CommandError> {
    let projects = Projects::connect(&args.access).await?;
    let project = projects.get(&args.name).await?.unwrap_or_else(|| {
        talk::note(&format!(
            "nobody has made a project in namespace '{}': this is what 'default' is until somebody does",
            projects.namespace()
        ));
        built_in()
    });
    let mut output = Output::stdout();
    if let Some(format) = args.output {
        output.data(&View(&project).printable(), format)?;
    } else {
        let text = summary(View(&project), output.palette, Timestamp::now());
        output.text(&text)?;
    }
    output.finish()?;
    Ok(Outcome::Done)
}

/// The project `default` before anybody makes one.
fn built_in() -> Node {
    let mut node = Node::map();
    let any = || Node::from("*");
    node.set_at(&["apiVersion"], "argoproj.io/v1alpha1".into());
    node.set_at(&["kind"], "AppProject".into());
    node.set_at(&["metadata", "name"], Node::from(Project::default_project().name));
    node.set_at(&["spec", "sourceRepos"], Node::List(vec![any()]));
    let mut destination = Node::map();
    destination.set_at(&["server"], any());
    destination.set_at(&["namespace"], any());
    node.set_at(&["spec", "destinations"], Node::List(vec![destination]));
    let mut kind = Node::map();
    kind.set_at(&["group"], any());
    kind.set_at(&["kind"], any());
    node.set_at(&["spec", "clusterResourceWhitelist"], Node::List(vec![kind]));
    node
}

fn summary(project: View<'_>, palette: Palette, now: Timestamp) -> String {
    let mut text = String::new();
    let mut lines = |name: &str, values: &[String]| {
        let mut name = name;
        for value in values {
            let line = format!("{name:<VALUES_AT$}{}", one_line(value));
            text.push_str(line.trim_end());
            text.push('\n');
            name = "";
        }
    };
    let none = || vec![NONE.to_owned()];
    let or_none = |values: Vec<String>| if values.is_empty() { none() } else { values };
    lines("Name:", &[project.name().to_owned()]);
    lines("Description:", &[project.description().to_owned()]);
    lines("Destinations:", &or_none(project.destinations()));
    lines("Repositories:", &or_none(project.sources()));
    lines("Source Namespaces:", &or_none(project.texts("sourceNamespaces")));
    lines("Allowed Cluster Resources:", &or_none(project.kinds("clusterResourceWhitelist")));
    lines("Denied Cluster Resources:", &or_none(project.kinds("clusterResourceBlacklist")));
    // Without a list every namespaced kind is allowed, with an empty one none is.
    let allowed = project.kinds("namespaceResourceWhitelist");
    let allowed = if project.has("namespaceResourceWhitelist") { or_none(allowed) } else { vec!["*/*".to_owned()] };
    lines("Allowed Namespaced Resources:", &allowed);
    lines("Denied Namespaced Resources:", &or_none(project.kinds("namespaceResourceBlacklist")));
    lines("Signature keys:", &or_none(project.keys()));
    lines("Orphaned Resources:", &[project.orphans()]);
    lines("Service Accounts:", &or_none(project.accounts()));
    for table in [windows(project, now), refused(project)] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table.print(palette));
        }
    }
    text
}

fn windows(project: View<'_>, now: Timestamp) -> Table {
    let heading = [
        "WINDOW",
        "NOW",
        "UNTIL",
        "SCHEDULE",
        "DURATION",
        "TIMEZONE",
        "APPLICATIONS",
        "NAMESPACES",
        "CLUSTERS",
        "MANUALSYNC",
        "SYNCOVERRUN",
    ];
    let mut table = Table::new(&heading);
    for window in project.list("syncWindows") {
        let text = |key: &str| window.str_at(&[key]).unwrap_or_default();
        let all = |key: &str| {
            let texts: Vec<&str> = window.list_at(&[key]).iter().filter_map(Node::as_str).collect();
            if texts.is_empty() { "-".to_owned() } else { texts.join(",") }
        };
        let enabled =
            |key: &str| if window.get(key).and_then(Node::as_bool) == Some(true) { "Enabled" } else { "Disabled" };
        let (state, until) = state(window, now);
        let zone = if text("timeZone").is_empty() { "UTC" } else { text("timeZone") };
        table.row(vec![
            text("kind").into(),
            state,
            until.into(),
            text("schedule").into(),
            text("duration").into(),
            zone.into(),
            all("applications").into(),
            all("namespaces").into(),
            all("clusters").into(),
            enabled("manualSync").into(),
            enabled("syncOverrun").into(),
        ]);
    }
    table
}

/// How a window is now, and until when.
fn state(window: &Node, now: Timestamp) -> (Cell, String) {
    let Ok(window) = serde_json::from_slice::<SyncWindow>(&window.to_json()) else {
        return (Cell::painted("wrong", Paint::Bad), "-".to_owned());
    };
    let state = WindowState::of(&window, now);
    let until = state.changes_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    match state.wrong {
        Some(why) => (Cell::painted(&format!("wrong: {why}"), Paint::Bad), until),
        None if state.open => ("open".into(), until),
        None => ("shut".into(), until),
    }
}

/// What Trueup does not honour of it.
fn refused(project: View<'_>) -> Table {
    let mut table = Table::new(&["NOT HONOURED", "SYNCS", "WHY"]);
    match project.refused() {
        Ok(refused) => {
            for refused in refused {
                let syncs = if refused.stops {
                    Cell::painted("stopped", Paint::Bad)
                } else {
                    Cell::painted("go on", Paint::Warning)
                };
                table.row(vec![refused.field.as_str().into(), syncs, Cell::lines(&refused.message)]);
            }
        }
        Err(why) => {
            table.row(vec!["the whole project".into(), Cell::painted("stopped", Paint::Bad), Cell::lines(&why)]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> String {
        summary(
            View(&Node::from_json(json.as_bytes()).unwrap()),
            Palette::PLAIN,
            "2026-11-24T22:30:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn the_summary_tells_all_that_matters() {
        let text = told(
            r#"{"metadata":{"name":"team"},"spec":{"description":"ours","sourceRepos":["https://git.example/a","https://git.example/b"],
            "destinations":[{"server":"https://kubernetes.default.svc","namespace":"team"}],"namespaceResourceWhitelist":[],
            "syncWindows":[{"kind":"deny","schedule":"0 22 * * *","duration":"1h","applications":["*"]}],"signatureKeys":[{"keyID":"4AEE18F83AFDEB23"}],"permitOnlyProjectScopedClusters":true}}"#,
        );
        let expected = "\
Name:                         team
Description:                  ours
Destinations:                 https://kubernetes.default.svc,team
Repositories:                 https://git.example/a
                              https://git.example/b
Source Namespaces:            <none>
Allowed Cluster Resources:    <none>
Denied Cluster Resources:     <none>
Allowed Namespaced Resources: <none>
Denied Namespaced Resources:  <none>
Signature keys:               4AEE18F83AFDEB23
Orphaned Resources:           disabled
Service Accounts:             <none>

WINDOW  NOW   UNTIL                 SCHEDULE    DURATION  TIMEZONE  APPLICATIONS  NAMESPACES  CLUSTERS  MANUALSYNC  SYNCOVERRUN
deny    open  2026-11-24T23:00:00Z  0 22 * * *  1h        UTC       *             -           -         Disabled    Disabled
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("NOT HONOURED") && text.contains("permitOnlyProjectScopedClusters"), "{text}");
    }

    #[test]
    fn a_project_that_cannot_be_read_says_so() {
        let text = told(r#"{"metadata":{"name":"team"},"spec":{"sourceRepos":7}}"#);
        assert!(text.contains("the whole project") && text.contains("stopped"), "{text}");
    }

    #[test]
    fn the_built_in_project_is_what_the_controller_takes_it_for() {
        let project = Project::read(&built_in().to_json()).unwrap();
        assert!(project.permits_source("https://git.example/x") && project.permits_destination("s", "n", "any"));
        assert!(
            project.permits_kind("", "Namespace", "a", false) && project.permits_kind("apps", "Deployment", "a", true)
        );
        assert!(project.unsupported().is_empty());
        assert!(!told(&built_in().to_string()).contains("NOT HONOURED"));
    }
}
