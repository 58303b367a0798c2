//! An operation that is asked for: written into the Application's letter box, and followed until it has ended. Entry point:
//! [`carry_out`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};
use trueup_object::Node;

use crate::command_error::{CommandError, Outcome, unmet, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::follow::{Verdict, follow};
use crate::commands::app::view::{self, View};
use crate::commands::app::wait;
use crate::duration;
use crate::output::style::one_line;
use crate::output::table::{Cell, Table};
use crate::output::{Output, talk};

/// What a sync is asked for, besides what an Application says about all its syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Instead of the Application's own.
    pub(crate) revision: Option<String>,
    /// Delete what is no longer in Git.
    pub(crate) prune: bool,
}

/// How long the end of an operation is waited for.
#[derive(Debug, Args)]
pub(crate) struct PatienceArgs {
    /// Do not wait for the end.
    #[arg(long = "async")]
    is_async: bool,
    /// How long to wait for the end; the sync goes on after that. 0 means without end.
    #[arg(long, value_name = "DURATION", default_value = "0", allow_hyphen_values = true, value_parser = duration::parse)]
    timeout: Duration,
}

/// How an operation ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With this `status.operationState`.
    State(Node),
    /// Somebody took it back, or put another in its place.
    Withdrawn,
}

/// The name under which an operation carries the mark of who asked for it.
const MARK: &str = "trueup.dev/request";
/// A user's name is shown in the status; longer ones are not names, in bytes.
const USER_BYTES_MAX: usize = 64;

/// Asks for the sync that `wish` makes of the present state, and waits for its end.
pub(crate) async fn carry_out(
    client: &Client,
    name: &str,
    patience: &PatienceArgs,
    mut wish: impl FnMut(View<'_>) -> Result<Wish, CommandError>,
) -> Result<Outcome, CommandError> {
    let mark = mark();
    let asked = client
        .patch(name, |app| {
            ready(app)?;
            Ok(request(app, &wish(app)?, &mark))
        })
        .await?;
    let qualified = View(&asked).qualified_name();
    if patience.is_async {
        talk::note(&format!("{qualified}: sync asked for"));
        return Ok(Outcome::Done);
    }
    let timeout = (!patience.timeout.is_zero()).then_some(patience.timeout);
    let end = follow(client, name, &asked, timeout, |app| Ok(judge(app, &mark))).await?;
    match end {
        End::Withdrawn => Err(unmet(format!("the sync of {qualified} was withdrawn, or replaced by another"))
            .hinted(format!("see what happened: trueup app get {qualified}"))),
        End::State(state) => report(&qualified, &state),
    }
}

/// Why nothing can be asked for now.
fn ready(app: View<'_>) -> Result<(), CommandError> {
    let name = app.qualified_name();
    if app.is_deleting() {
        return Err(user_error(format!("{name} is being deleted: it cannot be synced")));
    }
    wait::not_left_alone(app)?;
    if let Some(pause) = app.pause() {
        return Err(user_error(format!("{name} is {}: nothing of it is synced", one_line(&pause.to_string())))
            .hinted(format!("let it go on: trueup app resume {name}")));
    }
    if app.operation().is_some() {
        return Err(user_error(format!("{name} has an operation already")).hinted(format!(
            "wait for its end: trueup app wait {name} --operation; or end it: trueup app terminate-op {name}"
        )));
    }
    Ok(())
}

/// The patch that asks for it.
fn request(app: View<'_>, wish: &Wish, mark: &str) -> Vec<Value> {
    // With a look at Git now: whoever syncs after a push means that push, not the last one that was polled.
    let mut patch = wait::refresh(app);
    patch.push(json!({"op": "add", "path": "/operation", "value": operation(app, wish, mark)}));
    patch
}

/// The operation, with what an Application says about all its syncs.
fn operation(app: View<'_>, wish: &Wish, mark: &str) -> Value {
    let mut sync = serde_json::Map::new();
    if let Some(revision) = &wish.revision {
        sync.insert("revision".to_owned(), json!(revision));
    }
    if wish.prune {
        sync.insert("prune".to_owned(), json!(true));
    }
    let policy = |key: &str| app.0.at(&["spec", "syncPolicy", key]).filter(|node| !node.is_null());
    if let Some(options) = policy("syncOptions") {
        sync.insert("syncOptions".to_owned(), json!(options));
    }
    let mut operation = json!({
        "initiatedBy": {"username": user()},
        "info": [{"name": MARK, "value": mark}],
        "sync": sync,
    });
    if let Some(retry) = policy("retry") {
        operation["retry"] = json!(retry);
    }
    operation
}

/// Tells this request from every other, so that its end is not taken for another's.
fn mark() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{nanos:x}-{:x}", std::process::id())
}

/// Who asks, as far as this machine knows; the API server's audit log knows better.
fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty() && user.len() <= USER_BYTES_MAX);
    named("USER").or_else(|| named("LOGNAME")).unwrap_or_else(|| "trueup".to_owned())
}

fn has_mark(operation: &Node, mark: &str) -> bool {
    operation
        .list_at(&["info"])
        .iter()
        .any(|info| info.str_at(&["name"]) == Some(MARK) && info.str_at(&["value"]) == Some(mark))
}

fn judge(app: View<'_>, mark: &str) -> Verdict<End> {
    let state =
        app.operation_state().filter(|state| state.get("operation").is_some_and(|operation| has_mark(operation, mark)));
    let asked = app.operation().is_some_and(|operation| has_mark(operation, mark));
    let waiting = |what: String, unanswered: bool| Verdict::Waiting { what, unanswered };
    match state {
        Some(state) if view::has_ended(state) && !asked => Verdict::Done(End::State(state.clone())),
        Some(state) => waiting(running(state), false),
        None if asked && app.operation_state().is_some_and(|state| !view::has_ended(state)) => {
            waiting("waiting for another operation to end".to_owned(), false)
        }
        None if asked => waiting("waiting for the controller to start the sync".to_owned(), true),
        None => Verdict::Done(End::Withdrawn),
    }
}

/// What a running operation does, in one line.
pub(crate) fn running(state: &Node) -> String {
    let message = state.str_at(&["message"]).unwrap_or_default();
    let retries = state.i64_at(&["retryCount"]).filter(|count| *count > 0);
    let retries = retries.map(|count| format!(", attempt {}", count + 1)).unwrap_or_default();
    let results = state.list_at(&["syncResult", "resources"]);
    let objects = match results.len() {
        0 => String::new(),
        1 => ", 1 object".to_owned(),
        count => format!(", {count} objects"),
    };
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("sync {}{objects}{retries}{message}", view::or(view::phase(state), "Running"))
}

/// Prints what the sync did, and judges it.
fn report(qualified: &str, state: &Node) -> Result<Outcome, CommandError> {
    let mut output = Output::stdout();
    let table = results(state);
    if !table.is_empty() {
        let text = table.print(output.palette);
        output.text(&text)?;
        output.finish()?;
    }
    let phase = view::phase(state);
    let message = state.str_at(&["message"]).unwrap_or_default();
    let revision = view::short_revision(state.str_at(&["syncResult", "revision"]).unwrap_or_default());
    let to = if revision.is_empty() { String::new() } else { format!(" to {revision}") };
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    if phase == "Succeeded" {
        talk::note(&format!("{qualified}: sync{to} succeeded{why}"));
        return Ok(Outcome::Done);
    }
    Err(unmet(format!("the sync of {qualified}{to} ended as {phase}{why}"))
        .hinted(format!("see all conditions: trueup app get {qualified}")))
}

fn results(state: &Node) -> Table {
    let mut table = Table::new(&["GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "MESSAGE"]);
    for result in state.list_at(&["syncResult", "resources"]) {
        let text = |key: &str| result.str_at(&[key]).unwrap_or_default();
        let row: Vec<Cell> = vec![
            text("group").into(),
            text("kind").into(),
            text("namespace").into(),
            text("name").into(),
            Cell::word(text("status")),
            text("message").into(),
        ];
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(value: &Value) -> Node {
        Node::from_json(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_sync_takes_options_and_retries_of_the_application() {
        let app =
            node(&json!({"spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true"], "retry": {"limit": 3}}}}));
        let wish = Wish { revision: Some("v1".to_owned()), prune: true };
        let patch = request(View(&app), &wish, "m");
        let paths: Vec<&str> = patch.iter().filter_map(|operation| operation["path"].as_str()).collect();
        assert_eq!(paths, ["/metadata/annotations", "/operation"]);
        let operation = &patch[1]["value"];
        assert_eq!(
            operation["sync"],
            json!({"revision": "v1", "prune": true, "syncOptions": ["CreateNamespace=true"]})
        );
        assert_eq!(operation["retry"], json!({"limit": 3}));
        assert!(has_mark(&node(operation), "m") && !has_mark(&node(operation), "n"));
    }

    #[test]
    fn what_cannot_be_asked_for_says_why() {
        let refused = |mut app: Value, key: &str, value: Value| {
            app["metadata"][key] = value;
            app["metadata"]["name"] = json!("shop");
            app["metadata"]["namespace"] = json!("argocd");
            ready(View(&node(&app))).unwrap_err().error.to_string()
        };
        let busy = refused(json!({"operation": {"sync": {}}}), "labels", json!({}));
        assert_eq!(busy, "argocd/shop has an operation already");
        let going = refused(json!({}), "deletionTimestamp", json!("2026-11-24T10:00:00Z"));
        assert_eq!(going, "argocd/shop is being deleted: it cannot be synced");
        let paused = refused(json!({}), "annotations", json!({"argocd.argoproj.io/skip-reconcile": "true"}));
        assert!(paused.starts_with("argocd/shop is paused by argocd.argoproj.io/skip-reconcile"), "{paused}");
        let paused = refused(json!({}), "annotations", json!({"trueup.dev/pause": "freeze\n"}));
        assert!(paused.starts_with("argocd/shop is paused: freeze (annotation trueup.dev/pause)"), "{paused}");
    }

    #[test]
    fn only_the_end_of_this_very_operation_counts() {
        let mine = json!({"info": [{"name": MARK, "value": "m"}], "sync": {}});
        let other = json!({"info": [{"name": MARK, "value": "n"}], "sync": {}});
        let ended = |operation: &Value| json!({"phase": "Succeeded", "operation": operation, "finishedAt": "x"});
        let verdict = |app: Value| judge(View(&node(&app)), "m");
        let waits = |app: Value| match verdict(app) {
            Verdict::Waiting { what, unanswered } => (what, unanswered),
            Verdict::Done(end) => panic!("{end:?}"),
        };

        let before = json!({"operation": mine, "status": {"operationState": ended(&other)}});
        assert_eq!(waits(before), ("waiting for the controller to start the sync".to_owned(), true));
        let busy = json!({"operation": mine, "status": {"operationState": {"phase": "Running", "operation": other}}});
        assert_eq!(waits(busy), ("waiting for another operation to end".to_owned(), false));
        let running = json!({"operation": mine, "status": {"operationState": {
            "phase": "Running", "operation": mine, "message": "one of two", "retryCount": 1}}});
        assert_eq!(waits(running), ("sync Running, attempt 2: one of two".to_owned(), false));
        let ending = json!({"operation": mine, "status": {"operationState": ended(&mine)}});
        assert_eq!(waits(ending), ("sync Succeeded".to_owned(), false));

        let done = verdict(json!({"status": {"operationState": ended(&mine)}}));
        assert_eq!(done, Verdict::Done(End::State(node(&ended(&mine)))));
        assert_eq!(verdict(json!({"status": {"operationState": ended(&other)}})), Verdict::Done(End::Withdrawn));
    }

    #[test]
    fn a_sync_that_failed_is_not_a_success() {
        let failed =
            node(&json!({"phase": "Failed", "message": "one object was refused", "syncResult": {"revision": "main"}}));
        let error = report("argocd/shop", &failed).unwrap_err();
        assert_eq!(error.error.to_string(), "the sync of argocd/shop to main ended as Failed: one object was refused");
        assert_eq!(error.kind, crate::command_error::CommandErrorKind::Unmet);
    }
}
