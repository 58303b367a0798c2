//! `trueup app pause` and `trueup app resume`.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};
use trueup_api::annotations::{PAUSE, PAUSE_UNTIL, SKIP_RECONCILE};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::patch::{annotate, annotation_path};
use crate::commands::app::view::View;
use crate::output::talk;
use crate::{complete, duration};

pub(crate) const PAUSE_ABOUT: &str = "\
Lets the controller sync nothing of an Application, neither by itself nor on request: it is compared and its drift is told, and a \
running operation waits before its next step. Deleting it still works. It sets the annotations trueup.dev/pause and \
trueup.dev/pause-until; another Application that brings this one from Git leaves them.";

pub(crate) const PAUSE_EXAMPLES: &str = "\
Examples:
  trueup app pause shop-dev --reason 'the database is being moved'
  trueup app pause shop-dev --reason 'release freeze' --for 48h
  trueup app list | grep Paused";

pub(crate) const RESUME_ABOUT: &str = "\
Lets an Application that is paused go on: takes the annotations trueup.dev/pause and trueup.dev/pause-until away, and \
argocd.argoproj.io/skip-reconcile, by which it is not even compared.";

pub(crate) const RESUME_EXAMPLES: &str = "\
Examples:
  trueup app resume shop-dev
  trueup app resume shop-dev && trueup app wait shop-dev";

/// The arguments of `trueup app pause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    /// Why, for whoever wonders.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long; without it until somebody resumes it.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    how_long: Option<Duration>,
    #[command(flatten)]
    access: AccessArgs,
}

/// The arguments of `trueup app resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
}

/// Pauses an Application, or changes why and until when.
pub(crate) async fn pause(args: &PauseArgs) -> Result<Outcome, CommandError> {
    let until = args.how_long.map(|how_long| later(Timestamp::now(), how_long)).transpose()?;
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.patch(&name, |app| Ok(to_pause(app, args.reason.trim(), until.as_deref()))).await?;
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    talk::note(&format!("{}: paused{until}", View(&app).qualified_name()));
    Ok(Outcome::Done)
}

/// Lets it go on.
pub(crate) async fn resume(args: &ResumeArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let mut words = "";
    let app = client
        .patch(&name, |app| {
            let patch = to_resume(app);
            words = if patch.is_empty() { "is not paused" } else { "resumed" };
            Ok(patch)
        })
        .await?;
    talk::note(&format!("{}: {words}", View(&app).qualified_name()));
    Ok(Outcome::Done)
}

/// When it ends, in whole seconds.
fn later(now: Timestamp, how_long: Duration) -> Result<String, CommandError> {
    let end = SignedDuration::try_from(how_long).ok().and_then(|how_long| now.checked_add(how_long).ok());
    let end = end.ok_or_else(|| user_error("--for is too long: leave it out for a pause without an end"))?;
    let seconds = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    Ok(end.round(seconds).unwrap_or(end).to_string())
}

fn to_pause(app: View<'_>, reason: &str, until: Option<&str>) -> Vec<Value> {
    let mut patch = annotate(app, [(PAUSE, reason)].into_iter().chain(until.map(|until| (PAUSE_UNTIL, until))));
    if until.is_none() {
        patch.extend(remove(app, PAUSE_UNTIL));
    }
    patch
}

fn to_resume(app: View<'_>) -> Vec<Value> {
    [PAUSE, PAUSE_UNTIL, SKIP_RECONCILE].into_iter().filter_map(|name| remove(app, name)).collect()
}

fn remove(app: View<'_>, name: &str) -> Option<Value> {
    app.annotation(name).map(|_| json!({"op": "remove", "path": annotation_path(name)}))
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;

    fn patched(annotations: &str, patch: impl Fn(View<'_>) -> Vec<Value>) -> Vec<String> {
        let text = format!(r#"{{"metadata":{{"annotations":{annotations}}}}}"#);
        let node = Node::from_json(text.as_bytes()).unwrap();
        let short = |operation: Value| format!("{} {} {}", operation["op"], operation["path"], operation["value"]);
        patch(View(&node)).into_iter().map(|operation| short(operation).replace('"', "")).collect()
    }

    #[test]
    fn a_pause_says_why_and_until_when() {
        let pause = |annotations: &str, until: Option<&str>| patched(annotations, |app| to_pause(app, "freeze", until));
        let whole = ["add /metadata/annotations {trueup.dev/pause:freeze}"];
        assert_eq!(pause("null", None), whole);
        let at = "/metadata/annotations/trueup.dev~1pause";
        assert_eq!(pause(r#"{"a":"b"}"#, None), [format!("add {at} freeze")]);
        assert_eq!(pause(r#"{"a":"b"}"#, Some("t")), [format!("add {at} freeze"), format!("add {at}-until t")]);
        // Another pause takes the place of the one before, with its end.
        let timed = r#"{"trueup.dev/pause":"x","trueup.dev/pause-until":"t"}"#;
        assert_eq!(pause(timed, None), [format!("add {at} freeze"), format!("remove {at}-until null")]);
    }

    #[test]
    fn whatever_pauses_is_taken_away() {
        let resume = |annotations: &str| patched(annotations, to_resume);
        assert_eq!(resume("null"), [""; 0]);
        assert_eq!(resume(r#"{"a":"b"}"#), [""; 0]);
        let at = "remove /metadata/annotations/";
        assert_eq!(
            resume(
                r#"{"trueup.dev/pause":"","trueup.dev/pause-until":"t","argocd.argoproj.io/skip-reconcile":"true"}"#
            ),
            [
                format!("{at}trueup.dev~1pause null"),
                format!("{at}trueup.dev~1pause-until null"),
                format!("{at}argocd.argoproj.io~1skip-reconcile null")
            ]
        );
    }

    #[test]
    fn an_end_is_a_time_that_can_be_read() {
        let now: Timestamp = "2026-11-24T10:00:00.25Z".parse().unwrap();
        assert_eq!(later(now, Duration::from_hours(2)).unwrap(), "2026-11-24T12:00:01Z");
        assert!(later(now, Duration::MAX).is_err());
    }
}
