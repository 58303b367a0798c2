//! `trueup app pause` and `trueup app resume`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};
use trueup_api::annotations::SKIP_RECONCILE;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::app::client::Client;
use crate::commands::app::patch::{annotate, annotation_path};
use crate::commands::app::view::View;
use crate::complete;
use crate::output::talk;

pub(crate) const PAUSE_ABOUT: &str = "\
Lets the controller leave an Application alone: it is neither compared nor synced, its status stays as it is, and a running \
operation goes no further. Deleting it still works. It sets the annotation argocd.argoproj.io/skip-reconcile; one that Git manages \
will be set back from there.";

pub(crate) const PAUSE_EXAMPLES: &str = "\
Examples:
  trueup app pause shop-dev
  trueup app list | grep Paused";

pub(crate) const RESUME_EXAMPLES: &str = "\
Examples:
  trueup app resume shop-dev
  trueup app resume shop-dev && trueup app wait shop-dev";

/// The arguments of `trueup app pause` and `trueup app resume`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
}

/// Pauses an Application.
pub(crate) async fn pause(args: &PauseArgs) -> Result<Outcome, CommandError> {
    set(args, true, ("paused", "is paused already")).await
}

/// Lets it go on.
pub(crate) async fn resume(args: &PauseArgs) -> Result<Outcome, CommandError> {
    set(args, false, ("resumed", "is not paused")).await
}

async fn set(args: &PauseArgs, paused: bool, (done, nothing): (&str, &str)) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let mut words = done;
    let app = client
        .patch(&name, |app| {
            let patch = request(app, paused);
            words = if patch.is_empty() { nothing } else { done };
            Ok(patch)
        })
        .await?;
    talk::note(&format!("{}: {words}", View(&app).qualified_name()));
    Ok(Outcome::Done)
}

fn request(app: View<'_>, paused: bool) -> Vec<Value> {
    match (paused, app.annotation(SKIP_RECONCILE)) {
        (true, _) if app.is_paused() => Vec::new(),
        (true, _) => annotate(app, [(SKIP_RECONCILE, "true")]),
        (false, None) => Vec::new(),
        (false, Some(_)) => {
            vec![json!({"op": "remove", "path": annotation_path(SKIP_RECONCILE)})]
        }
    }
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;

    #[test]
    fn what_is_as_wanted_is_not_written() {
        let patch = |annotations: &str, paused: bool| {
            let text = format!(r#"{{"metadata":{{"annotations":{annotations}}}}}"#);
            Value::Array(request(View(&Node::from_json(text.as_bytes()).unwrap()), paused)).to_string()
        };
        let on = r#"{"argocd.argoproj.io/skip-reconcile":"true"}"#;
        assert_eq!((patch(on, true), patch("null", false)), ("[]".to_owned(), "[]".to_owned()));
        assert!(patch("null", true).contains(r#""path":"/metadata/annotations""#));
        let path = r#""path":"/metadata/annotations/argocd.argoproj.io~1skip-reconcile""#;
        assert!(patch(r#"{"a":"b"}"#, true).contains(path));
        assert!(patch(on, false).contains(path) && patch(on, false).contains("remove"));
        // Present and off is another way of saying no.
        assert!(patch(r#"{"argocd.argoproj.io/skip-reconcile":"false"}"#, true).contains(path));
    }
}
