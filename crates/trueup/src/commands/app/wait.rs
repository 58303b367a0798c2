//! `trueup app wait`.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::Value;
use trueup_api::annotations::{REFRESH, SKIP_RECONCILE};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::follow::{Verdict, follow};
use crate::commands::app::operation::running;
use crate::commands::app::patch::annotate;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::duration;
use crate::output::talk;

pub(crate) const ABOUT: &str = "\
Asks the controller to look at an Application now, and waits until it is as it should be: synced, healthy, and without a running \
operation, or those of them that are named. Ends with 1 if that has not come after --timeout.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app wait shop-dev
  trueup app wait shop-dev --health --timeout 10m
  trueup app wait shop-dev --operation";

/// The arguments of `trueup app wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Wait until it is synced.
    #[arg(long)]
    sync: bool,
    /// Wait until it is healthy.
    #[arg(long)]
    health: bool,
    /// Wait until no operation is asked for or runs.
    #[arg(long)]
    operation: bool,
    /// How long to wait. 0 means without end.
    #[arg(long, value_name = "DURATION", default_value = "0", allow_hyphen_values = true, value_parser = duration::parse)]
    timeout: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Goals {
    sync: bool,
    health: bool,
    operation: bool,
}

/// Waits.
pub(crate) async fn run(args: &WaitArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let goals = Goals::of(args);
    let asked = client
        .patch(&name, |app| {
            not_left_alone(app)?;
            Ok(refresh(app))
        })
        .await?;
    let timeout = (!args.timeout.is_zero()).then_some(args.timeout);
    let words = follow(&client, &name, &asked, timeout, |app| Ok(goals.judge(app))).await?;
    talk::note(&format!("{}: {words}", View(&asked).qualified_name()));
    Ok(Outcome::Done)
}

/// Why the controller would never answer.
pub(crate) fn not_left_alone(app: View<'_>) -> Result<(), CommandError> {
    if !app.is_left_alone() || app.is_deleting() {
        return Ok(());
    }
    let name = app.qualified_name();
    Err(user_error(format!("{name} is paused by {SKIP_RECONCILE}: the controller neither compares nor syncs it"))
        .hinted(format!("let it go on: trueup app resume {name}")))
}

/// The patch that asks for a look. One that is asked for already, perhaps a hard one, serves as well.
pub(crate) fn refresh(app: View<'_>) -> Vec<Value> {
    if app.annotation(REFRESH).is_some() {
        return Vec::new();
    }
    annotate(app, [(REFRESH, "normal")])
}

// === impl Goals ===

impl Goals {
    /// All, if none is named.
    fn of(args: &WaitArgs) -> Self {
        let all = !(args.sync || args.health || args.operation);
        Self { sync: all || args.sync, health: all || args.health, operation: all || args.operation }
    }

    fn judge(self, app: View<'_>) -> Verdict<String> {
        let waiting = |what: String, unanswered: bool| Verdict::Waiting { what, unanswered, news: Vec::new() };
        if app.annotation(REFRESH).is_some() {
            return waiting("waiting for the controller to look at it".to_owned(), true);
        }
        let mut missing = Vec::new();
        let mut reached = Vec::new();
        if self.operation {
            match app.operation_state() {
                Some(state) if !view::has_ended(state) => missing.push(running(state)),
                _ if app.operation().is_some() => missing.push("an operation waits to be started".to_owned()),
                _ => reached.push("no operation".to_owned()),
            }
        }
        if self.sync {
            let status = app.sync_status();
            if status == "Synced" {
                reached.push(format!(
                    "synced to {}",
                    app.0.at(&["status", "sync"]).map(view::short_revisions).unwrap_or_default()
                ));
            } else {
                let why = app.conditions().find(|condition| condition.kind.ends_with("Error"));
                let why =
                    why.map(|condition| format!(" ({}: {})", condition.kind, condition.message)).unwrap_or_default();
                missing.push(format!("sync status is {status}{why}"));
            }
        }
        if self.health {
            let status = app.health_status();
            if status == "Healthy" {
                reached.push("healthy".to_owned());
            } else {
                let why = app.health_message();
                let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                missing.push(format!("health is {status}{why}"));
            }
        }
        if missing.is_empty() { Verdict::Done(reached.join(", ")) } else { waiting(missing.join("; "), false) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trueup_object::Node;

    use super::*;

    const ALL: Goals = Goals { sync: true, health: true, operation: true };

    fn node(value: &Value) -> Node {
        Node::from_json(value.to_string().as_bytes()).unwrap()
    }

    fn waits(goals: Goals, app: &Value) -> (String, bool) {
        match goals.judge(View(&node(app))) {
            Verdict::Waiting { what, unanswered, .. } => (what, unanswered),
            Verdict::Done(words) => panic!("{words}"),
        }
    }

    #[test]
    fn every_goal_is_waited_for_and_named() {
        let mut app = json!({
            "metadata": {"annotations": {REFRESH: "normal"}},
            "status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Progressing", "message": "Caused by Pod:a/b"},
                "operationState": {"phase": "Running"}, "conditions": [{"type": "SyncError", "message": "refused"}]},
        });
        assert_eq!(waits(ALL, &app), ("waiting for the controller to look at it".to_owned(), true));
        app["metadata"] = json!({});
        let all =
            "sync Running; sync status is OutOfSync (SyncError: refused); health is Progressing (Caused by Pod:a/b)";
        assert_eq!(waits(ALL, &app), (all.to_owned(), false));
        app["status"]["operationState"]["phase"] = json!("Failed");
        app["operation"] = json!({"sync": {}});
        assert_eq!(
            waits(Goals { sync: false, health: false, operation: true }, &app),
            ("an operation waits to be started".to_owned(), false)
        );
        app["operation"] = json!(null);
        app["status"]["sync"] = json!({"status": "Synced", "revision": "main"});
        app["status"]["health"] = json!({"status": "Healthy"});
        assert_eq!(ALL.judge(View(&node(&app))), Verdict::Done("no operation, synced to main, healthy".to_owned()));
    }

    #[test]
    fn a_look_is_asked_for_once() {
        let path = |app: &Value| {
            refresh(View(&node(app))).first().map(|operation| operation["path"].as_str().unwrap().to_owned())
        };
        let key = REFRESH.replace('/', "~1");
        assert_eq!(path(&json!({"metadata": {}})).as_deref(), Some("/metadata/annotations"));
        assert_eq!(
            path(&json!({"metadata": {"annotations": {"a": "b"}}})),
            Some(format!("/metadata/annotations/{key}"))
        );
        assert_eq!(path(&json!({"metadata": {"annotations": {REFRESH: "hard"}}})), None);
    }
}
