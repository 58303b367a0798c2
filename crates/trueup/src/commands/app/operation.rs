//! An operation that is asked for: written into the Application's letter box, and followed until it has ended. Entry point:
//! [`carry_out`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};
use trueup_api::{NameValue, SyncOperation};
use trueup_object::Node;

use crate::command_error::{CommandError, Outcome, unmet, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::follow::{Verdict, follow};
use crate::commands::app::story::Story;
use crate::commands::app::sync_args::merged;
use crate::commands::app::view::{self, View};
use crate::commands::app::wait;
use crate::duration;
use crate::output::style::one_line;
use crate::output::table::{Cell, Table};
use crate::output::{Output, talk};

/// What a sync is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wish {
    /// The sync, with the options that add to the Application's own.
    pub(crate) sync: SyncOperation,
    /// How it is retried.
    pub(crate) retry: Option<Value>,
    /// Facts to keep with it.
    pub(crate) info: Vec<NameValue>,
}

/// How long the end of an operation is waited for.
#[derive(Debug, Args)]
pub(crate) struct PatienceArgs {
    /// Do not wait for the end.
    #[arg(long = "async")]
    pub(crate) is_async: bool,
    /// How long to wait for the end; what was asked for goes on after that. 0 means without end.
    #[arg(long, value_name = "DURATION", default_value = "0", allow_hyphen_values = true, value_parser = duration::parse)]
    timeout: Duration,
}

/// An operation that was asked for, and has ended if that was waited for.
#[derive(Debug)]
pub(crate) struct Carried {
    /// The Application then.
    pub(crate) app: Node,
    /// Whether it has ended.
    ended: bool,
}

/// How an operation ended.
#[derive(Debug, PartialEq)]
enum End {
    /// In this state of the Application.
    Seen(Node),
    /// Somebody took it back, or put another in its place.
    Withdrawn,
}

/// The name under which an operation carries the mark of who asked for it.
const MARK: &str = "trueup.dev/request";
/// How the controller says of an object that it is as it should be.
const UNCHANGED: &str = " unchanged";
/// A user's name is shown in the status; longer ones are not names, in bytes.
const USER_BYTES_MAX: usize = 64;

/// Asks for the sync that `wish` makes of the present state, and waits for its end.
pub(crate) async fn carry_out(
    client: &Client,
    name: &str,
    patience: &PatienceArgs,
    mut wish: impl FnMut(View<'_>) -> Result<Wish, CommandError>,
) -> Result<Carried, CommandError> {
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
        return Ok(Carried { app: asked, ended: false });
    }
    let mut story = Story::default();
    let end = follow(client, name, &asked, patience.timeout(), |app| Ok(judge(app, &mark, &mut story))).await?;
    match end {
        End::Withdrawn => Err(unmet(format!("the sync of {qualified} was withdrawn, or replaced by another"))
            .hinted(format!("see what happened: trueup app get {qualified}"))),
        End::Seen(app) => {
            for line in story.news(View(&app)) {
                talk::note(&format!("{qualified}: {line}"));
            }
            Ok(Carried { app, ended: true })
        }
    }
}

// === impl PatienceArgs ===

impl PatienceArgs {
    /// How long to wait, if not without end.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        (!self.timeout.is_zero()).then_some(self.timeout)
    }
}

// === impl Carried ===

impl Carried {
    /// Says how it ended, after a table of what it did if `table`.
    pub(crate) fn judge(&self, table: bool) -> Result<Outcome, CommandError> {
        let app = View(&self.app);
        match app.operation_state().filter(|_| self.ended) {
            Some(state) => report(&app.qualified_name(), state, table),
            None => Ok(Outcome::Done),
        }
    }
}

/// Why nothing can be asked for now.
pub(crate) fn ready(app: View<'_>) -> Result<(), CommandError> {
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

/// The operation, with the options that an Application says about all its syncs.
fn operation(app: View<'_>, wish: &Wish, mark: &str) -> Value {
    let own = app.0.list_at(&["spec", "syncPolicy", "syncOptions"]);
    let own: Vec<String> = own.iter().filter_map(Node::as_str).map(str::to_owned).collect();
    let sync = SyncOperation { sync_options: merged(&own, &wish.sync.sync_options), ..wish.sync.clone() };
    let mark = NameValue { name: MARK.to_owned(), value: mark.to_owned() };
    let info: Vec<&NameValue> = wish.info.iter().chain([&mark]).collect();
    let mut operation = json!({"initiatedBy": {"username": user()}, "info": info, "sync": sync});
    if let Some(retry) = &wish.retry {
        operation["retry"] = retry.clone();
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

fn judge(app: View<'_>, mark: &str, story: &mut Story) -> Verdict<End> {
    let state =
        app.operation_state().filter(|state| state.get("operation").is_some_and(|operation| has_mark(operation, mark)));
    let asked = app.operation().is_some_and(|operation| has_mark(operation, mark));
    let waiting = |what: String, unanswered: bool| Verdict::Waiting { what, unanswered, news: Vec::new() };
    match state {
        Some(state) if view::has_ended(state) && !asked => Verdict::Done(End::Seen(app.0.clone())),
        Some(state) => Verdict::Waiting { what: running(state), unanswered: false, news: story.news(app) },
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
fn report(qualified: &str, state: &Node, table: bool) -> Result<Outcome, CommandError> {
    let results = results(state);
    if table && !results.is_empty() {
        let mut output = Output::stdout();
        let text = results.print(output.palette);
        output.text(&text)?;
        output.finish()?;
    }
    let phase = view::phase(state);
    let message = state.str_at(&["message"]).unwrap_or_default();
    let revision = state.at(&["syncResult"]).map(view::short_revisions).unwrap_or_default();
    let to = if revision.is_empty() { String::new() } else { format!(" to {revision}") };
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    if phase != "Succeeded" {
        return Err(unmet(format!("the sync of {qualified}{to} ended as {phase}{why}"))
            .hinted(format!("see all conditions: trueup app get {qualified}")));
    }
    let partial = !state.list_at(&["operation", "sync", "resources"]).is_empty();
    if partial && state.list_at(&["syncResult", "resources"]).is_empty() {
        // A slip in a name must not look as if all were well.
        return Err(unmet(format!("the sync of {qualified}{to} took no object: none is called as --resource says"))
            .hinted(format!("see what there is: trueup app resources {qualified}")));
    }
    talk::note(&format!("{qualified}: sync{to} succeeded{why}"));
    if is_trial(state) && results.is_empty() {
        talk::note(&format!("{qualified}: nothing would change"));
    }
    Ok(Outcome::Done)
}

/// Whether nothing was to be written.
fn is_trial(state: &Node) -> bool {
    state.at(&["operation", "sync", "dryRun"]).and_then(Node::as_bool) == Some(true)
}

/// What it did to each object; of a trial what it would have done, where that is anything.
fn results(state: &Node) -> Table {
    let results = state.list_at(&["syncResult", "resources"]);
    // Where there are none the column would say nothing.
    let hooks = results.iter().any(|result| result.str_at(&["hookType"]).is_some_and(|hook| !hook.is_empty()));
    let mut heading = vec!["GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "HOOK", "MESSAGE"];
    heading.retain(|column| hooks || *column != "HOOK");
    let mut table = Table::new(&heading);
    let trial = is_trial(state);
    for result in results {
        let text = |key: &str| result.str_at(&[key]).unwrap_or_default();
        if trial && text("status") == "Synced" && text("message").ends_with(UNCHANGED) {
            continue;
        }
        let hook = text("hookType");
        // Of a hook it counts how it ended, as Argo CD's command line shows it.
        let status = if hook.is_empty() { text("status") } else { view::or(text("hookPhase"), text("status")) };
        let mut row: Vec<Cell> = vec![
            text("group").into(),
            text("kind").into(),
            text("namespace").into(),
            text("name").into(),
            Cell::word(status),
        ];
        if hooks {
            row.push(hook.into());
        }
        row.push(text("message").into());
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
    fn a_sync_takes_the_options_of_the_application_with_its_own() {
        let app = node(&json!({"spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true", "Replace=true"]}}}));
        let options = vec!["Replace=false".to_owned()];
        let sync =
            SyncOperation { revision: "v1".to_owned(), prune: true, sync_options: options, ..SyncOperation::default() };
        let info = vec![NameValue { name: "reason".to_owned(), value: "a".to_owned() }];
        let wish = Wish { sync, retry: Some(json!({"limit": 3})), info };
        let patch = request(View(&app), &wish, "m");
        let paths: Vec<&str> = patch.iter().filter_map(|operation| operation["path"].as_str()).collect();
        assert_eq!(paths, ["/metadata/annotations", "/operation"]);
        let operation = &patch[1]["value"];
        assert_eq!(
            operation["sync"],
            json!({"revision": "v1", "prune": true, "syncOptions": ["CreateNamespace=true", "Replace=false"]})
        );
        assert_eq!(operation["info"][0], json!({"name": "reason", "value": "a"}));
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
        let verdict = |app: Value| judge(View(&node(&app)), "m", &mut Story::default());
        let waits = |app: Value| match verdict(app) {
            Verdict::Waiting { what, unanswered, .. } => (what, unanswered),
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

        let end = json!({"status": {"operationState": ended(&mine)}});
        assert_eq!(verdict(end.clone()), Verdict::Done(End::Seen(node(&end))));
        assert_eq!(verdict(json!({"status": {"operationState": ended(&other)}})), Verdict::Done(End::Withdrawn));
    }

    #[test]
    fn a_trial_tells_only_what_would_change() {
        let entry = |name: &str, message: &str| json!({"kind": "ConfigMap", "name": name, "status": "Synced", "message": message});
        let results = json!({"resources": [entry("a", "configmap/a (dry run)"), entry("b", "configmap/b unchanged")]});
        let told = |trial: bool| {
            let state = node(&json!({"operation": {"sync": {"dryRun": trial}}, "syncResult": results}));
            super::results(&state).print(crate::output::style::Palette::PLAIN).lines().count()
        };
        assert_eq!((told(true), told(false)), (2, 3));
    }

    #[test]
    fn a_sync_of_objects_that_nobody_has_is_not_a_success() {
        let partial = |results: Value| {
            let state = json!({"phase": "Succeeded", "operation": {"sync": {"resources": [{"kind": "A", "name": "b"}]}},
                "syncResult": {"resources": results}});
            report("argocd/shop", &node(&state), false)
        };
        let refused = partial(json!([])).unwrap_err();
        assert_eq!(refused.kind, crate::command_error::CommandErrorKind::Unmet);
        assert!(partial(json!([{"kind": "A", "name": "b", "status": "Synced"}])).is_ok());
    }

    #[test]
    fn a_sync_that_failed_is_not_a_success() {
        let failed =
            node(&json!({"phase": "Failed", "message": "one object was refused", "syncResult": {"revision": "main"}}));
        let error = report("argocd/shop", &failed, false).unwrap_err();
        assert_eq!(error.error.to_string(), "the sync of argocd/shop to main ended as Failed: one object was refused");
        assert_eq!(error.kind, crate::command_error::CommandErrorKind::Unmet);
    }
}
