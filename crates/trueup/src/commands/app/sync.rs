//! `trueup app sync`.

use clap::Args;
use clap_complete::ArgValueCompleter;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::operation::{PatienceArgs, Wish, carry_out};
use crate::commands::app::view::{self, View};
use crate::complete;

pub(crate) const ABOUT: &str = "\
Asks the controller to bring the cluster to what Git says, and waits until it has. It takes the sync options and the retries of \
the Application. Ends with 0 only if the sync succeeded.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app sync shop-dev
  trueup app sync shop-dev --prune --timeout 5m
  trueup app sync shop-dev --revision v1.4.2
  trueup app sync shop-dev --async && trueup app wait shop-dev --health";

/// The arguments of `trueup app sync`.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Sync to this branch, tag or commit instead of the Application's own.
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Delete objects that are no longer in Git.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    patience: PatienceArgs,
    /// Not supported yet: see 'trueup app diff'.
    #[arg(long)]
    dry_run: bool,
}

/// Asks for a sync and waits for its end.
pub(crate) async fn run(args: &SyncArgs) -> Result<Outcome, CommandError> {
    if args.dry_run {
        return Err(user_error("a dry run of a sync is not supported yet")
            .hinted(format!("see what a sync would change: trueup app diff {}", args.name)));
    }
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    carry_out(&client, &name, &args.patience, |app| wish(app, args)).await
}

/// What is asked for, or why that makes no sense.
fn wish(app: View<'_>, args: &SyncArgs) -> Result<Wish, CommandError> {
    let own = app.sources().first().and_then(|source| source.str_at(&["targetRevision"])).unwrap_or_default();
    let own = view::or(own, "HEAD");
    if let Some(revision) = args.revision.as_deref().filter(|revision| *revision != own)
        && app.automated().is_some()
    {
        let name = app.qualified_name();
        return Err(user_error(format!(
            "{name} syncs to '{own}' by itself: a sync to '{revision}' would be undone at once"
        ))
        .hinted(format!("change spec.source.targetRevision in Git, or turn automated sync off first: trueup app set {name} --sync-policy none")));
    }
    let revision = args.revision.as_deref().map(|revision| app.full_commit(revision).unwrap_or(revision).to_owned());
    Ok(Wish { revision, prune: args.prune })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use trueup_object::Node;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SyncArgs,
    }

    fn asked(app: &str, extra: &[&str]) -> Result<Wish, CommandError> {
        let args = Line::parse_from([&["sync", "shop"], extra].concat()).args;
        wish(View(&Node::from_json(app.as_bytes()).unwrap()), &args)
    }

    #[test]
    fn another_revision_is_for_those_that_do_not_sync_by_themselves() {
        let automated = r#"{"spec":{"source":{"targetRevision":"main"},"syncPolicy":{"automated":{}}}}"#;
        let refused = asked(automated, &["--revision", "old"]).unwrap_err();
        assert!(refused.error.to_string().contains("would be undone at once"), "{refused:?}");
        assert!(asked(automated, &["--revision", "main"]).is_ok());
        let wish = asked(r#"{"spec":{}}"#, &["--revision", "old", "--prune"]).unwrap();
        assert_eq!(wish, Wish { revision: Some("old".to_owned()), prune: true });
    }

    #[test]
    fn a_short_commit_id_is_sent_in_full() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let app = format!(r#"{{"status":{{"history":[{{"revision":"{commit}"}}]}}}}"#);
        assert_eq!(asked(&app, &["--revision", "0123456"]).unwrap().revision.as_deref(), Some(commit));
    }
}
