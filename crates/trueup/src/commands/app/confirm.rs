//! `trueup app confirm-deletion`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use trueup_api::annotations::DELETION_APPROVED;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::patch::annotate;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::output::talk;

pub(crate) const ABOUT: &str = "\
Approves that objects are deleted which ask for that: those with Prune=confirm that a sync is about to prune, and those with \
Delete=confirm of an Application that is being deleted. It sets the annotation argocd.argoproj.io/deletion-approved, which counts \
for what waits now and for nothing that comes later.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app get shop-dev                 # tells which objects wait
  trueup app confirm-deletion shop-dev";

/// The arguments of `trueup app confirm-deletion`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
}

/// Approves.
pub(crate) async fn run(args: &ConfirmArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let mut what = String::new();
    let app = client
        .patch(&name, |app| {
            let approval = approval(app, Timestamp::now())?;
            what = app.awaits_approval().map_or_else(String::new, |message| format!(": {}", objects(message)));
            Ok(annotate(app, [(DELETION_APPROVED, approval.as_str())]))
        })
        .await?;
    talk::note(&format!("{}: approved{what}", View(&app).qualified_name()));
    Ok(Outcome::Done)
}

/// The time of the approval, or why it would count for nothing.
fn approval(app: View<'_>, now: Timestamp) -> Result<String, CommandError> {
    let running = app.operation_state().filter(|state| !view::has_ended(state));
    let begun = match running {
        Some(state) => state.str_at(&["startedAt"]).unwrap_or_default(),
        None if app.is_deleting() => app.text(&["metadata", "deletionTimestamp"]),
        None => {
            let name = app.qualified_name();
            return Err(user_error(format!(
                "nothing of {name} waits for an approval: no sync runs, and it is not being deleted"
            ))
            .hinted("an approval counts from the time of a sync or a deletion on: begin that first"));
        }
    };
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    let now = now.round(whole).unwrap_or(now);
    // The clock of this machine may be behind, and what is older than what waits is no approval of it.
    let at = begun.parse::<Timestamp>().map_or(now, |begun| begun.max(now));
    Ok(at.to_string())
}

/// The objects that a message of the controller names.
fn objects(message: &str) -> &str {
    let after = message.split_once(" confirmation of ").map_or(message, |(_, after)| after);
    let end = [" since ", ": "].iter().filter_map(|end| after.find(end)).min();
    &after[..end.unwrap_or(after.len())]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use trueup_object::Node;

    use super::*;

    fn approved(app: &Value) -> Result<String, String> {
        let node = Node::from_json(app.to_string().as_bytes()).unwrap();
        let now = "2026-11-24T10:00:00.9Z".parse().unwrap();
        approval(View(&node), now).map_err(|error| error.error.to_string())
    }

    #[test]
    fn an_approval_is_never_older_than_what_it_is_of() {
        let running = |started: &str| json!({"status": {"operationState": {"phase": "Running", "startedAt": started}}});
        assert_eq!(approved(&running("2026-11-24T09:00:00Z")), Ok("2026-11-24T10:00:00Z".to_owned()));
        assert_eq!(approved(&running("2026-11-24T10:00:05Z")), Ok("2026-11-24T10:00:05Z".to_owned()));
        let going = json!({"metadata": {"deletionTimestamp": "2026-11-24T10:00:07Z"}});
        assert_eq!(approved(&going), Ok("2026-11-24T10:00:07Z".to_owned()));
        let ended = json!({"status": {"operationState": {"phase": "Succeeded", "startedAt": "2026-11-24T09:00:00Z"}}});
        assert!(approved(&ended).unwrap_err().contains("waits for an approval"));
    }

    #[test]
    fn what_is_approved_is_named() {
        for message in [
            "waiting for pruning confirmation of ConfigMap a/b, apps/Deployment a/c since 2026-11-24T10:00:00Z: set the annotation",
            "waiting for deletion confirmation of ConfigMap a/b, apps/Deployment a/c: nothing is deleted before",
        ] {
            assert_eq!(objects(message), "ConfigMap a/b, apps/Deployment a/c");
        }
    }
}
