//! `trueup app get`.

use std::collections::HashMap;

use clap::Args;
use clap_complete::ArgValueCompleter;
use trueup_api::annotations::SKIP_RECONCILE;
use trueup_object::{Node, ObjectKey};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::app::client::Client;
use crate::commands::app::view::{self, View};
use crate::commands::drift::{self, Columns, Told};
use crate::complete;
use crate::output::style::{self, Palette, one_line};
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, Output, talk};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app get shop-dev
  trueup app get shop-dev -o yaml
  trueup app get team-a/shop-dev";

/// Where the values of the summary begin, in characters: as in Argo CD's command line.
const VALUES_AT: usize = 20;

/// The arguments of `trueup app get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Print the whole object instead of the summary.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<DataFormat>,
}

/// Prints one Application.
pub(crate) async fn run(args: &GetArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.get(&name).await?;
    let mut output = Output::stdout();
    if let Some(format) = args.output {
        output.data(&view::printable(&app), format)?;
    } else {
        let text = summary(View(&app), output.palette);
        output.text(&text)?;
    }
    output.finish()?;
    if args.output.is_some() {
        view::left_out(&app).into_iter().for_each(talk::note);
    }
    Ok(Outcome::Done)
}

/// The whole summary.
pub(crate) fn summary(app: View<'_>, palette: Palette) -> String {
    let mut text = head(app, palette);
    for table in [conditions(app), drift(app), resources(app)] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table.print(palette));
        }
    }
    text
}

fn head(app: View<'_>, palette: Palette) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let line = format!("{name:<VALUES_AT$}{value}");
        text.push_str(line.trim_end());
        text.push('\n');
    };
    let word = |word: &str| match style::of_word(word) {
        Some(paint) => palette.paint(paint, &one_line(word)),
        None => one_line(word),
    };
    line("Name:", &app.qualified_name());
    line("Project:", &one_line(app.project()));
    line("Server:", &one_line(app.cluster()));
    line("Namespace:", &one_line(app.destination_namespace()));
    for (at, source) in app.sources().into_iter().enumerate() {
        let value = |key: &str| source.str_at(&[key]).unwrap_or_default();
        line("Source:", &one_line(&view::redacted_url(value("repoURL"))));
        line("  Target:", &one_line(view::or(value("targetRevision"), "HEAD")));
        for (name, value) in place(app, at, source) {
            line(name, &one_line(value));
        }
    }
    line("Sync Policy:", &policy(app));
    if app.is_left_alone() {
        line("Paused:", &format!("by the annotation {SKIP_RECONCILE}: neither compared nor synced"));
    } else if let Some(pause) = app.pause() {
        let until = pause.until.map_or_else(|| "until it is resumed".to_owned(), |until| format!("until {until}"));
        let reason = if pause.reason.is_empty() { "no reason given" } else { &pause.reason };
        line("Paused:", &format!("{until}: {}", one_line(reason)));
    }
    line("Sync Status:", &format!("{}{}", word(app.sync_status()), compared_to(app)));
    line("Health Status:", &word(app.health_status()));
    if !app.health_message().is_empty() {
        line("", &one_line(app.health_message()));
    }
    if let Some(count) = app.drift_count() {
        let since = app.text(&["status", "drift", "since"]);
        let since = if since.is_empty() { String::new() } else { format!(" since {}", one_line(since)) };
        line("Drift:", &format!("{count}{since}"));
    }
    if app.is_deleting() {
        line("Deletion:", &format!("since {}", app.text(&["metadata", "deletionTimestamp"])));
    }
    for (name, value) in operation(app, &word) {
        line(name, &value);
    }
    if app.awaits_approval().is_some() {
        line("Approval:", &format!("asked for: trueup app confirm-deletion {}", app.qualified_name()));
    }
    text
}

/// What of a source is taken, how it is rendered, and what one of several is at.
fn place<'a>(app: View<'a>, at: usize, source: &'a Node) -> Vec<(&'static str, &'a str)> {
    let value = |key: &str| source.str_at(&[key]).unwrap_or_default();
    // Others refer to it, and nothing of it is rendered.
    let referred = value("chart").is_empty() && value("path").is_empty() && !value("ref").is_empty();
    let kinds = app.0.list_at(&["status", "sourceTypes"]);
    let kind = if app.is_several() {
        kinds.get(at).and_then(Node::as_str).unwrap_or_default()
    } else {
        app.text(&["status", "sourceType"])
    };
    let revision = app.revisions().get(at).copied().filter(|_| app.is_several()).unwrap_or_default();
    let mut lines = vec![("  Name:", value("name")), ("  Chart:", value("chart")), ("  Path:", value("path"))];
    lines.extend([("  Ref:", value("ref")), ("  Type:", if referred { "" } else { kind })]);
    lines.push(("  Revision:", view::short_revision(revision)));
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

/// In Argo CD's words, and self-heal.
fn policy(app: View<'_>) -> String {
    let Some(automated) = app.automated() else { return "Manual".to_owned() };
    let parts: Vec<&str> = [(automated.prune, "Prune"), (automated.self_heal, "Self-Heal")]
        .into_iter()
        .filter_map(|(on, word)| on.then_some(word))
        .collect();
    if parts.is_empty() { "Automated".to_owned() } else { format!("Automated ({})", parts.join(", ")) }
}

/// ` to main (0123456)`. What several are at stands with each.
fn compared_to(app: View<'_>) -> String {
    let (targets, revisions) = (app.targets(), app.revisions());
    let ([revision], [target]) = (revisions.as_slice(), targets.as_slice()) else { return String::new() };
    if app.is_several() {
        return String::new();
    }
    let preposition = if app.sync_status() == "Synced" { "to" } else { "from" };
    let (target, at) = (one_line(target), one_line(view::short_revision(revision)));
    if target == at { format!(" {preposition} {at}") } else { format!(" {preposition} {target} ({at})") }
}

fn operation(app: View<'_>, word: &dyn Fn(&str) -> String) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let state = app.operation_state();
    if app.operation().is_some() && state.is_none_or(view::has_ended) {
        lines.push(("Operation:", "asked for, not started yet".to_owned()));
    }
    let Some(state) = state else { return lines };
    let text = |path: &[&str]| one_line(state.str_at(path).unwrap_or_default());
    let by = if state.at(&["operation", "initiatedBy", "automated"]).and_then(Node::as_bool) == Some(true) {
        "automated".to_owned()
    } else {
        view::or(&text(&["operation", "initiatedBy", "username"]), "somebody").to_owned()
    };
    let at = |path: &[&str]| state.at(path).map(view::short_revisions).unwrap_or_default();
    let revision = one_line(view::or(&at(&["syncResult"]), &at(&["operation", "sync"])));
    let revision = if revision.is_empty() { revision } else { format!(" of {revision}") };
    lines.push(("Last Operation:", format!("{} sync{revision} by {by}", word(view::phase(state)))));
    let (started, finished) = (text(&["startedAt"]), text(&["finishedAt"]));
    lines.push((
        "",
        if finished.is_empty() { format!("since {started}") } else { format!("from {started} to {finished}") },
    ));
    let message = text(&["message"]);
    if !message.is_empty() {
        lines.push(("", message));
    }
    lines
}

fn conditions(app: View<'_>) -> Table {
    let mut table = Table::new(&["CONDITION", "SINCE", "MESSAGE"]);
    for condition in app.conditions() {
        table.row(vec![condition.kind.into(), condition.since.into(), Cell::lines(condition.message)]);
    }
    table
}

fn drift(app: View<'_>) -> Table {
    let told: Vec<Told<'_>> = Told::all(app).collect();
    drift::table(&told, Columns::default())
}

/// The objects that the status lists.
pub(crate) fn resources(app: View<'_>) -> Table {
    let results: HashMap<ObjectKey, &Node> = app
        .operation_state()
        .map(|state| state.list_at(&["syncResult", "resources"]))
        .unwrap_or_default()
        .iter()
        .map(|result| (view::key(result), result))
        .collect();
    let resources = app.0.list_at(&["status", "resources"]);
    // Where all is of one wave the column would say nothing.
    let waves = resources.iter().any(|resource| view::wave(resource) != 0);
    let mut heading = vec!["GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "HOOK", "WAVE", "MESSAGE"];
    heading.retain(|column| waves || *column != "WAVE");
    let mut table = Table::new(&heading);
    for resource in resources {
        let text = |path: &[&str]| resource.str_at(path).unwrap_or_default();
        let result = results.get(&view::key(resource));
        let result = |key: &str| result.and_then(|result| result.str_at(&[key])).unwrap_or_default();
        // Why it is not well tells more than that its apply worked.
        let message = view::or(text(&["health", "message"]), result("message"));
        let hook = if view::is_hook(resource) { view::or(result("hookType"), "true") } else { "" };
        let is = |key: &str| resource.get(key).and_then(Node::as_bool) == Some(true);
        let message = match (is("requiresPruning"), is("requiresDeletionConfirmation")) {
            (true, true) => "no longer in Git: pruned only on request, or once that is approved",
            (true, false) => view::or(message, "no longer in Git: to be pruned"),
            (false, _) => message,
        };
        let mut row: Vec<Cell> = vec![
            text(&["group"]).into(),
            text(&["kind"]).into(),
            text(&["namespace"]).into(),
            text(&["name"]).into(),
            Cell::word(text(&["status"])),
            Cell::word(text(&["health", "status"])),
            hook.into(),
        ];
        if waves {
            let wave = view::wave(resource);
            row.push(if wave == 0 { "".into() } else { wave.to_string().as_str().into() });
        }
        row.push(message.into());
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = r#"{"metadata":{"name":"shop","namespace":"argocd"},
        "spec":{"project":"default","source":{"repoURL":"http://git.example/shop","path":"dev","targetRevision":"main"},
            "destination":{"server":"https://kubernetes.default.svc","namespace":"shop"},
            "syncPolicy":{"automated":{"prune":true,"selfHeal":true}}},
        "status":{"sync":{"status":"OutOfSync","revision":"0123456789abcdef0123456789abcdef01234567"},
            "health":{"status":"Progressing","message":"Caused by apps/Deployment:shop/web"},
            "drift":{"count":2,"since":"2026-11-24T10:00:00Z","events":[{"group":"apps","kind":"Deployment","namespace":"shop","name":"web",
                "fields":[{"path":".spec.replicas","git":"2","live":"5"},{"path":".spec.paused","git":"","live":"true"}],
                "manager":"kubectl-edit","operation":"Update","lastDetectedAt":"2026-11-24T10:00:00Z","count":3,"outcome":"healed"}]},
            "conditions":[{"type":"SyncError","message":"one:\n  two","lastTransitionTime":"2026-11-24T09:00:00Z"}],
            "operationState":{"phase":"Succeeded","message":"1 object applied","startedAt":"2026-11-24T09:59:58Z","finishedAt":"2026-11-24T09:59:59Z",
                "operation":{"initiatedBy":{"automated":true},"sync":{}},
                "syncResult":{"revision":"0123456789abcdef0123456789abcdef01234567",
                    "resources":[{"group":"apps","kind":"Deployment","namespace":"shop","name":"web","message":"applied"}]}},
            "resources":[{"group":"apps","version":"v1","kind":"Deployment","namespace":"shop","name":"web","status":"OutOfSync","health":{"status":"Healthy"}},
                {"version":"v1","kind":"ConfigMap","namespace":"shop","name":"old","status":"OutOfSync","requiresPruning":true}]}}"#;

    #[test]
    fn the_summary_tells_all_that_matters() {
        let app = Node::from_json(APP.as_bytes()).unwrap();
        let expected = "\
Name:               argocd/shop
Project:            default
Server:             https://kubernetes.default.svc
Namespace:          shop
Source:             http://git.example/shop
  Target:           main
  Path:             dev
Sync Policy:        Automated (Prune, Self-Heal)
Sync Status:        OutOfSync from main (0123456)
Health Status:      Progressing
                    Caused by apps/Deployment:shop/web
Drift:              2 since 2026-11-24T10:00:00Z
Last Operation:     Succeeded sync of 0123456 by automated
                    from 2026-11-24T09:59:58Z to 2026-11-24T09:59:59Z
                    1 object applied

CONDITION  SINCE                 MESSAGE
SyncError  2026-11-24T09:00:00Z  one:
                                   two

DRIFT                     FIELD           BY            LAST SEEN             TIMES  OUTCOME  GIT -> LIVE
apps/Deployment shop/web  .spec.replicas  kubectl-edit  2026-11-24T10:00:00Z  3      healed   2 -> 5
                          .spec.paused                                                        -> true

GROUP  KIND        NAMESPACE  NAME  STATUS     HEALTH   HOOK  MESSAGE
apps   Deployment  shop       web   OutOfSync  Healthy        applied
       ConfigMap   shop       old   OutOfSync                 no longer in Git: to be pruned
";
        assert_eq!(summary(View(&app), Palette::PLAIN), expected);
    }

    #[test]
    fn each_of_several_sources_is_told() {
        let app = r#"{"metadata":{"name":"shop","namespace":"argocd"},
            "spec":{"sources":[{"name":"chart","repoURL":"https://charts.example/c","chart":"shop","targetRevision":"1.x"},
                {"repoURL":"http://git/values","ref":"values"},{"repoURL":"http://git/a","path":"plain","targetRevision":"main"}]},
            "status":{"sync":{"status":"Synced","revisions":["1.2.3","0123456789abcdef0123456789abcdef01234567","fedcba9876543210fedcba9876543210fedcba98"]},
                "sourceTypes":["Helm","Directory","Directory"],
                "operationState":{"phase":"Succeeded","syncResult":{"revision":"","revisions":["1.2.3","0123456789abcdef0123456789abcdef01234567"]}}}}"#;
        let text = summary(View(&Node::from_json(app.as_bytes()).unwrap()), Palette::PLAIN);
        let expected = "\
Source:             https://charts.example/c
  Target:           1.x
  Name:             chart
  Chart:            shop
  Type:             Helm
  Revision:         1.2.3
Source:             http://git/values
  Target:           HEAD
  Ref:              values
  Revision:         0123456
Source:             http://git/a
  Target:           main
  Path:             plain
  Type:             Directory
  Revision:         fedcba9
";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("Sync Status:        Synced\n") && text.contains(" sync of 1.2.3,0123456 by "), "{text}");
        let exact = r#"{"spec":{"source":{"chart":"shop","targetRevision":"1.2.3"}},"status":{"sync":{"status":"Synced","revision":"1.2.3"}}}"#;
        let text = summary(View(&Node::from_json(exact.as_bytes()).unwrap()), Palette::PLAIN);
        assert!(text.contains("Synced to 1.2.3\n"), "{text}");
    }

    #[test]
    fn that_it_is_paused_is_told() {
        let app = br#"{"metadata":{"annotations":{"argocd.argoproj.io/skip-reconcile":"true"}}}"#;
        let text = summary(View(&Node::from_json(app).unwrap()), Palette::PLAIN);
        assert!(text.contains("\nPaused:             by the annotation argocd.argoproj.io/skip-reconcile"), "{text}");
        for (annotations, told) in [
            (r#"{"trueup.dev/pause":"freeze\nnow"}"#, "until it is resumed: freeze"),
            (r#"{"trueup.dev/pause-until":"9999-01-01T00:00:00Z"}"#, "until 9999-01-01T00:00:00Z: no reason given"),
        ] {
            let json = format!(r#"{{"metadata":{{"annotations":{annotations}}}}}"#);
            let text = summary(View(&Node::from_json(json.as_bytes()).unwrap()), Palette::PLAIN);
            assert!(text.contains(&format!("\nPaused:             {told}")), "{text}");
        }
    }

    #[test]
    fn hooks_waves_and_approvals_are_told() {
        let app = r#"{"metadata":{"name":"shop","namespace":"argocd"},"status":{
            "operationState":{"phase":"Running","message":"waiting for pruning confirmation of ConfigMap shop/old since x",
                "syncResult":{"resources":[{"group":"batch","kind":"Job","namespace":"shop","name":"migrate","hookType":"PreSync","message":"done"}]}},
            "resources":[{"kind":"ConfigMap","namespace":"shop","name":"old","status":"OutOfSync","requiresPruning":true,"requiresDeletionConfirmation":true},
                {"kind":"ConfigMap","namespace":"shop","name":"web","status":"Synced","syncWave":-1},
                {"group":"batch","kind":"Job","namespace":"shop","name":"migrate","status":"Synced","hook":true}]}}"#;
        let text = summary(View(&Node::from_json(app.as_bytes()).unwrap()), Palette::PLAIN);
        assert!(text.contains("\nApproval:           asked for: trueup app confirm-deletion argocd/shop\n"), "{text}");
        let expected = "
GROUP  KIND       NAMESPACE  NAME     STATUS     HEALTH  HOOK     WAVE  MESSAGE
       ConfigMap  shop       old      OutOfSync                         no longer in Git: pruned only on request, or once that is approved
       ConfigMap  shop       web      Synced                      -1
batch  Job        shop       migrate  Synced             PreSync        done
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn an_operation_that_waits_is_told() {
        let app =
            Node::from_json(br#"{"metadata":{"name":"a","namespace":"argocd"},"operation":{"sync":{}}}"#).unwrap();
        let text = summary(View(&app), Palette::PLAIN);
        assert!(text.contains("Operation:          asked for, not started yet\n"), "{text}");
    }
}
