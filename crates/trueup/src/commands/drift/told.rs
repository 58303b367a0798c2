//! One drift as an Application's status tells it, and how it is printed. Entry points: [`Told::all`], [`print`].

use std::cmp::Reverse;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_diff::drift::Outcome;
use trueup_object::{Node, ObjectKey};

use crate::command_error::CommandError;
use crate::commands::app::client::typed_name;
use crate::commands::app::view::{self, View};
use crate::output::style::Paint;
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, ListFormat, Output};

/// One event of an Application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    app: View<'a>,
    event: &'a Node,
}

/// Which columns there are besides those that always are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Columns {
    /// The Application.
    pub(crate) application: bool,
    /// When it was first seen, and how it was done.
    pub(crate) wide: bool,
}

// === impl Told ===

impl<'a> Told<'a> {
    /// All events of an Application.
    pub(crate) fn all(app: View<'a>) -> impl Iterator<Item = Self> {
        app.drift_events().iter().map(move |event| Self { app, event })
    }

    /// Whether it is there now.
    pub(crate) fn is_open(&self) -> bool {
        Outcome::read(self.text("outcome")).is_some_and(Outcome::is_open)
    }

    pub(crate) fn object(&self) -> ObjectKey {
        view::key(self.event)
    }

    fn text(&self, key: &str) -> &'a str {
        self.event.str_at(&[key]).unwrap_or_default()
    }

    /// The event as data, with the Application that it is of.
    fn data(&self) -> Node {
        let mut node = self.event.clone();
        let map = node.force_map();
        map.insert("application", Node::string(self.app.qualified_name()));
        map.insert("open", Node::Bool(self.is_open()));
        node
    }

    fn outcome(&self) -> Cell {
        let word = self.text("outcome");
        match Outcome::read(word) {
            Some(Outcome::HealingFailed) => Cell::painted(word, Paint::Bad),
            Some(outcome) if outcome.is_open() => Cell::painted(word, Paint::Warning),
            _ => word.into(),
        }
    }
}

/// Whether it was seen within this time, or is there now. What has no time that can be read is not known to be older.
pub(crate) fn seen_since(told: &Told<'_>, since: Duration) -> bool {
    let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
    let begin = Timestamp::now().checked_sub(since).unwrap_or(Timestamp::MIN);
    told.is_open() || told.text("lastDetectedAt").parse::<Timestamp>().map_or(true, |at| at >= begin)
}

/// The newest first; times of one format and zone sort as text.
pub(crate) fn newest_first(told: &mut [Told<'_>]) {
    told.sort_by_key(|told| Reverse(told.text("lastDetectedAt")));
}

/// Prints events; by `name`, the Applications that drift, for commands with this `--namespace`.
pub(crate) fn print(
    output: &mut Output,
    told: &[Told<'_>],
    drifting: &[View<'_>],
    namespace: &str,
    format: ListFormat,
    application: bool,
) -> Result<(), CommandError> {
    let data = || Node::List(told.iter().map(Told::data).collect());
    match format {
        ListFormat::Table | ListFormat::Wide if told.is_empty() => Ok(()),
        ListFormat::Table | ListFormat::Wide => {
            let columns = Columns { application, wide: format == ListFormat::Wide };
            let text = table(told, columns).print(output.palette);
            output.text(&text)
        }
        ListFormat::Name => drifting.iter().try_for_each(|app| output.line(&typed_name(namespace, *app))),
        ListFormat::Json => output.data(&data(), DataFormat::Json),
        ListFormat::Yaml => output.yaml(&data()),
    }
}

/// A row for each field; what is the same for all fields of an event stands in its first row.
pub(crate) fn table(told: &[Told<'_>], columns: Columns) -> Table {
    let mut heading = vec!["DRIFT", "FIELD", "BY"];
    if columns.application {
        heading.insert(0, "APPLICATION");
    }
    if columns.wide {
        heading.extend(["HOW", "FIRST SEEN"]);
    }
    heading.extend(["LAST SEEN", "TIMES", "OUTCOME", "GIT -> LIVE"]);
    let mut table = Table::new(&heading);
    for event in told {
        let fields = event.event.list_at(&["fields"]);
        // An event about a whole object that is gone may have no fields.
        let all: Vec<Option<&Node>> = if fields.is_empty() { vec![None] } else { fields.iter().map(Some).collect() };
        for (at, field) in all.into_iter().enumerate() {
            table.row(row(event, field, columns, at == 0));
        }
    }
    table
}

fn row(told: &Told<'_>, field: Option<&Node>, columns: Columns, first: bool) -> Vec<Cell> {
    let value = |key: &str| field.and_then(|field| field.get(key)).map(value).unwrap_or_default();
    let change = if field.is_some() { format!("{} -> {}", value("git"), value("live")) } else { String::new() };
    let path: Cell = field.and_then(|field| field.str_at(&["path"])).unwrap_or_default().into();
    // What is told once per event.
    let once = |cell: Cell| if first { cell } else { "".into() };
    let mut row = Vec::new();
    if columns.application {
        row.push(once(told.app.qualified_name().into()));
    }
    row.extend([once(told.object().to_string().into()), path]);
    row.push(once(view::or(told.text("manager"), "unknown").into()));
    if columns.wide {
        row.extend([once(told.text("operation").into()), once(told.text("firstDetectedAt").into())]);
    }
    row.push(once(told.text("lastDetectedAt").into()));
    row.push(once(told.event.i64_at(&["count"]).unwrap_or(1).to_string().into()));
    row.extend([once(told.outcome()), change.into()]);
    row
}

/// A value of a drift event: a text as it is, everything else as JSON.
fn value(node: &Node) -> String {
    node.as_str().map_or_else(|| node.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;

    const APP: &str = r#"{"metadata":{"name":"shop","namespace":"argocd"},"status":{"drift":{"count":1,"events":[
        {"group":"apps","kind":"Deployment","namespace":"shop","name":"web","manager":"kubectl-edit","operation":"Update","count":3,
            "fields":[{"path":".spec.replicas","git":"2","live":"5"},{"path":".spec.paused","git":"","live":"true"}],
            "firstDetectedAt":"2026-11-24T09:00:00Z","lastDetectedAt":"2026-11-24T10:00:00Z","outcome":"healed"},
        {"kind":"ConfigMap","namespace":"shop","name":"c","manager":"unknown","count":1,
            "fields":[{"path":".","git":"present","live":"deleted"}],
            "firstDetectedAt":"2026-11-24T10:00:00Z","lastDetectedAt":"2026-11-24T11:00:00Z","outcome":"reported"}]}}}"#;

    #[test]
    fn it_tells_who_what_when_and_what_became_of_it() {
        let app = Node::from_json(APP.as_bytes()).unwrap();
        let mut told: Vec<Told<'_>> = Told::all(View(&app)).collect();
        newest_first(&mut told);
        let plain = "\
DRIFT                     FIELD           BY            LAST SEEN             TIMES  OUTCOME   GIT -> LIVE
ConfigMap shop/c          .               unknown       2026-11-24T11:00:00Z  1      reported  present -> deleted
apps/Deployment shop/web  .spec.replicas  kubectl-edit  2026-11-24T10:00:00Z  3      healed    2 -> 5
                          .spec.paused                                                         -> true
";
        assert_eq!(table(&told, Columns::default()).print(Palette::PLAIN), plain);
        let wide = table(&told, Columns { application: true, wide: true }).print(Palette::PLAIN);
        let heading = "APPLICATION  DRIFT                     FIELD           BY            HOW     FIRST SEEN";
        assert!(wide.starts_with(heading), "{wide}");
        assert!(wide.contains("argocd/shop  apps/Deployment shop/web  .spec.replicas  kubectl-edit  Update"), "{wide}");
        let open: Vec<bool> = told.iter().map(Told::is_open).collect();
        assert_eq!(open, [true, false]);
        let data = told[1].data();
        assert_eq!((data.str_at(&["application"]), data.get("open")), (Some("argocd/shop"), Some(&Node::Bool(false))));
        assert_eq!(data.list_at(&["fields"]).len(), 2);
    }

    #[test]
    fn what_is_there_counts_as_seen_whenever_that_was() {
        let app = Node::from_json(APP.as_bytes()).unwrap();
        let seen = |since| {
            Told::all(View(&app))
                .filter(|told| seen_since(told, since))
                .map(|told| told.object().kind.to_string())
                .collect::<Vec<_>>()
        };
        let year = Duration::from_hours(100 * 365 * 24);
        assert_eq!(seen(year), ["Deployment", "ConfigMap"]);
        assert_eq!(seen(Duration::ZERO), ["ConfigMap"]);
    }
}
