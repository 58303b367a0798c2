//! `trueup drift`: what drifted, over all Applications.

mod told;

use clap::Args;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::app::client::Client;
use crate::commands::app::list;
use crate::commands::app::view::View;
use crate::commands::block_on;
use crate::duration;
use crate::output::{ListFormat, Output, talk};

pub(crate) use told::{Columns, Told, newest_first, print, seen_since, table};

pub(crate) const ABOUT: &str = "\
Shows what the cluster has otherwise than Git, over all Applications: who did it, when, what Git says and what is there. It reads \
what the controller wrote into the Applications; nothing is compared anew.

Without --since it is what is there now. With it, whatever was seen in that time, and what became of it.

Exits with 1 if there is drift now, with 0 if there is none.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup drift
  trueup drift -A --since 24h
  trueup drift -l team=shop -o wide
  trueup drift -o name | xargs -n 1 trueup app sync
  trueup drift --since 1h -o json | jq -r '.[] | select(.outcome == \"healed\") | .manager' | sort | uniq -c";

/// Names that one warning tells; the number of the others follows.
const NAMES_MAX: usize = 3;

/// The arguments of `trueup drift`.
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Only Applications with these labels, as kubectl takes them.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Applications of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Also what is over, if it was seen in this time; as 90m or 24h.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    since: Option<std::time::Duration>,
    /// How to print the events; 'name' prints the Applications that drift now.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: ListFormat,
}

/// Does it.
pub(crate) fn run(args: &DriftArgs) -> Result<Outcome, CommandError> {
    block_on(show(args))
}

async fn show(args: &DriftArgs) -> Result<Outcome, CommandError> {
    let client = Client::connect(&args.access).await?;
    let namespace = (!args.all_namespaces).then_some(client.namespace());
    let mut apps = client.list_in(namespace, args.selector.as_deref()).await?;
    apps.sort_by_cached_key(|app| View(app).qualified_name());
    let apps: Vec<View<'_>> = apps.iter().map(View).collect();
    if apps.is_empty() {
        talk::note(&list::nothing(namespace, args.selector.as_deref()));
    }
    let all = apps.iter().flat_map(|app| Told::all(*app));
    let mut told: Vec<Told<'_>> = match args.since {
        None => all.filter(Told::is_open).collect(),
        Some(since) => all.filter(|told| seen_since(told, since)).collect(),
    };
    newest_first(&mut told);
    let drifting: Vec<View<'_>> = apps.iter().copied().filter(|app| drifts(*app)).collect();
    let mut output = Output::stdout();
    print(&mut output, &told, &drifting, client.namespace(), args.output, true)?;
    if let Some(text) = unknown(&apps) {
        talk::warning(&text);
    }
    for app in &drifting {
        if let Some(text) = cut(*app) {
            talk::note(&text);
        }
    }
    if told.is_empty() && !apps.is_empty() && matches!(args.output, ListFormat::Table | ListFormat::Wide) {
        talk::note(if args.since.is_some() { "no drift was seen in that time" } else { "there is no drift" });
    }
    output.finish()?;
    Ok(if drifting.is_empty() { Outcome::Done } else { Outcome::Differs })
}

/// Whether there is drift now.
pub(crate) fn drifts(app: View<'_>) -> bool {
    app.drift_count().unwrap_or_default() > 0
}

/// More drifted than the status has events of.
pub(crate) fn cut(app: View<'_>) -> Option<String> {
    let mut objects: Vec<_> = Told::all(app).filter(Told::is_open).map(|told| told.object()).collect();
    objects.sort_unstable();
    objects.dedup();
    let count = app.drift_count().unwrap_or_default();
    let told = i64::try_from(objects.len()).unwrap_or(i64::MAX);
    (told < count)
        .then(|| format!("{}: {count} objects drifted, the newest events tell of {told} of them", app.qualified_name()))
}

/// Applications of which nothing is known, or not what is there now.
fn unknown(apps: &[View<'_>]) -> Option<String> {
    let unknown: Vec<String> = apps
        .iter()
        .filter(|app| app.drift_count().is_none() || app.sync_status() == "Unknown")
        .map(|app| app.qualified_name())
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let shown = unknown.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = unknown.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("not known at the moment: {shown}{more}; see why: trueup app get {}", unknown[0]))
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_not_known_is_named_and_not_all_of_it() {
        let known = node(
            r#"{"metadata":{"name":"a","namespace":"n"},"status":{"sync":{"status":"Synced"},"drift":{"count":0}}}"#,
        );
        let broken = node(
            r#"{"metadata":{"name":"b","namespace":"n"},"status":{"sync":{"status":"Unknown"},"drift":{"count":2}}}"#,
        );
        let fresh = node(r#"{"metadata":{"name":"c","namespace":"n"}}"#);
        assert_eq!(unknown(&[View(&known)]), None);
        let of = [View(&known), View(&broken), View(&fresh), View(&fresh), View(&fresh)];
        assert_eq!(
            unknown(&of).as_deref(),
            Some("not known at the moment: n/b, n/c, n/c and 1 more; see why: trueup app get n/b")
        );
        assert_eq!(of.map(drifts), [false, true, false, false, false]);
    }

    #[test]
    fn events_that_the_status_could_not_keep_are_counted() {
        let app = |count: i64| {
            node(&format!(
                r#"{{"metadata":{{"name":"a","namespace":"n"}},"status":{{"drift":{{"count":{count},"events":[
                    {{"kind":"ConfigMap","name":"x","outcome":"detected"}},{{"kind":"ConfigMap","name":"x","outcome":"reported"}},
                    {{"kind":"ConfigMap","name":"y","outcome":"healed"}}]}}}}}}"#
            ))
        };
        assert_eq!(cut(View(&app(1))), None);
        let told = "n/a: 30 objects drifted, the newest events tell of 1 of them";
        assert_eq!(cut(View(&app(30))).as_deref(), Some(told));
    }
}
