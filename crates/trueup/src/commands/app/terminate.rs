//! `trueup app terminate-op`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::output::talk;

pub(crate) const ABOUT: &str = "\
Ends the running operation of an Application between two of its steps, or takes back one that waits. What it has applied by then \
stays. An operation that waits for its next attempt is not tried again.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app terminate-op shop-dev
  trueup app terminate-op shop-dev && trueup app wait shop-dev --operation";

/// The arguments of `trueup app terminate-op`.
#[derive(Debug, Args)]
pub(crate) struct TerminateArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
}

/// Asks for the end.
pub(crate) async fn run(args: &TerminateArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let mut done = "";
    let app = client
        .patch(&name, |app| {
            let (words, patch) = request(app)?;
            done = words;
            Ok(patch)
        })
        .await?;
    talk::note(&format!("{}: {done}", View(&app).qualified_name()));
    Ok(Outcome::Done)
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
    use trueup_object::Node;

    use super::*;

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
