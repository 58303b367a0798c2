//! `trueup app terminate-op`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::follow::{Verdict, follow};
use crate::commands::app::operation::{self, PatienceArgs};
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::output::talk;

pub(crate) const ABOUT: &str = "\
Ends the running operation of an Application between two of its steps, or takes back one that has not started, and waits until it has \
ended. What it has applied by then stays. An operation that waits for its next attempt is not tried again.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app terminate-op shop-dev
  trueup app terminate-op shop-dev --timeout 1m
  trueup app terminate-op shop-dev --async";

/// The arguments of `trueup app terminate-op`.
#[derive(Debug, Args)]
pub(crate) struct TerminateArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    patience: PatienceArgs,
}

/// Asks for the end, and waits for it.
pub(crate) async fn run(args: &TerminateArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let mut done = "";
    let mut begun = None;
    let app = client
        .patch(&name, |app| {
            let (words, patch) = request(app)?;
            done = words;
            begun = running(app).map(str::to_owned);
            Ok(patch)
        })
        .await?;
    let qualified = View(&app).qualified_name();
    let Some(begun) = begun.filter(|_| !args.patience.is_async) else {
        talk::note(&format!("{qualified}: {done}"));
        return Ok(Outcome::Done);
    };
    let ended = follow(&client, &name, &app, args.patience.timeout(), |app| Ok(judge(app, &begun))).await?;
    talk::note(&format!("{qualified}: {ended}"));
    Ok(Outcome::Done)
}

/// When the operation that runs was begun; it is known by that.
fn running(app: View<'_>) -> Option<&str> {
    app.operation_state().filter(|state| !view::has_ended(state))?.str_at(&["startedAt"])
}

fn judge(app: View<'_>, begun: &str) -> Verdict<String> {
    let text = |state: &Node, key: &str| state.str_at(&[key]).unwrap_or_default().to_owned();
    let state = app.operation_state().filter(|state| text(state, "startedAt") == begun);
    if let Some(state) = state.filter(|state| !view::has_ended(state)) {
        return Verdict::Waiting { what: operation::running(state), unanswered: true, news: Vec::new() };
    }
    Verdict::Done(state.map_or_else(
        || "the operation has ended, and another has begun".to_owned(),
        |state| format!("the operation has ended as {}: {}", view::phase(state), text(state, "message")),
    ))
}

/// What is done, and the patch that does it.
fn request(app: View<'_>) -> Result<(&'static str, Vec<Value>), CommandError> {
    match app.operation_state().filter(|state| !view::has_ended(state)) {
        Some(state) if view::phase(state) == "Terminating" => Ok(("the operation is ending already", Vec::new())),
        Some(_) => {
            let end = json!({"op": "replace", "path": "/status/operationState/phase", "value": "Terminating"});
            Ok(("the operation is told to end", vec![end]))
        }
        None if app.operation().is_some() => {
            Ok(("the operation is taken back: it had not started", vec![json!({"op": "remove", "path": "/operation"})]))
        }
        None => Err(user_error(format!("{} has no operation that could be ended", app.qualified_name()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_this_very_operation_is_waited_for() {
        let state = |phase: &str, begun: &str| {
            let app = json!({"status": {"operationState": {"phase": phase, "startedAt": begun, "message": "Operation terminated"}}});
            judge(View(&Node::from_json(app.to_string().as_bytes()).unwrap()), "t1")
        };
        assert!(matches!(state("Terminating", "t1"), Verdict::Waiting { unanswered: true, .. }));
        let ended = "the operation has ended as Failed: Operation terminated";
        assert_eq!(state("Failed", "t1"), Verdict::Done(ended.to_owned()));
        let another = "the operation has ended, and another has begun";
        assert_eq!(state("Running", "t2"), Verdict::Done(another.to_owned()));
    }

    #[test]
    fn what_runs_is_told_to_end_and_what_waits_is_taken_back() {
        let patch = |app: &str| {
            let node = Node::from_json(app.as_bytes()).unwrap();
            request(View(&node)).map(|(_, patch)| patch.first().map(|operation| operation["path"].to_string()))
        };
        let phase = |phase: &str| format!(r#"{{"status":{{"operationState":{{"phase":"{phase}"}}}}}}"#);
        assert_eq!(patch(&phase("Running")).unwrap().as_deref(), Some(r#""/status/operationState/phase""#));
        assert_eq!(patch(&phase("Terminating")).unwrap(), None);
        assert!(patch(&phase("Failed")).is_err());
        assert!(patch("{}").is_err());
        let waits = r#"{"operation":{"sync":{}},"status":{"operationState":{"phase":"Succeeded"}}}"#;
        assert_eq!(patch(waits).unwrap().as_deref(), Some(r#""/operation""#));
    }
}
