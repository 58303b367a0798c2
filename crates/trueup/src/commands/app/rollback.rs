//! `trueup app rollback`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde::Deserialize as _;
use trueup_api::{ApplicationSource, SyncOperation};
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::history;
use crate::commands::app::operation::{PatienceArgs, Wish, carry_out};
use crate::commands::app::view::View;
use crate::complete;

pub(crate) const ABOUT: &str = "\
Syncs an Application to a commit that it was synced to before, and waits until that has ended: to the entry of its history with \
this ID, or to the one before the last; from the source of then, if that was another. Refused while automated sync is on, which would undo it at once. Git keeps the last word: \
the Application is OutOfSync until Git says the same.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app rollback shop-dev
  trueup app history shop-dev && trueup app rollback shop-dev 3
  trueup app set shop-dev --sync-policy none && trueup app rollback shop-dev --prune";

/// The arguments of `trueup app rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    /// Which entry of the history; the one before the last, if not given.
    id: Option<i64>,
    #[command(flatten)]
    access: AccessArgs,
    /// Delete objects that Git did not have then.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    patience: PatienceArgs,
}

/// Rolls back.
pub(crate) async fn run(args: &RollbackArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    // The history may move while it is looked at; which entry is meant is settled by the first look.
    let mut id = args.id;
    let carried = carry_out(&client, &name, &args.patience, |app| {
        let sync = SyncOperation { prune: args.prune, ..to_entry(app, &mut id)? };
        let retry = app.0.at(&["spec", "syncPolicy", "retry"]).filter(|retry| !retry.is_null());
        Ok(Wish { sync, retry: retry.map(|retry| serde_json::json!(retry)), ..Wish::default() })
    })
    .await?;
    carried.judge(true)
}

/// The sync that goes back, or why that is not possible.
fn to_entry(app: View<'_>, id: &mut Option<i64>) -> Result<SyncOperation, CommandError> {
    let name = app.qualified_name();
    if app.automated().is_some() {
        return Err(user_error(format!("{name} syncs by itself: a rollback would be undone at once"))
            .hinted(format!("turn that off first: trueup app set {name} --sync-policy none"))
            .hinted("or go back in Git: git revert"));
    }
    let history = app.history();
    let see = format!("see what there is: trueup app history {name}");
    let entry = match *id {
        Some(id) => history
            .iter()
            .find(|entry| history::id(entry) == id.to_string())
            .ok_or_else(|| user_error(format!("the history of {name} has no entry {id}")).hinted(see.as_str()))?,
        None => history.len().checked_sub(2).and_then(|before_last| history.get(before_last)).ok_or_else(|| {
            user_error(format!("the history of {name} has no entry before the last one")).hinted(see.as_str())
        })?,
    };
    *id = history::id(entry).parse().ok();
    let revision = entry.str_at(&["revision"]).unwrap_or_default();
    if revision.is_empty() || !entry.list_at(&["sources"]).is_empty() || app.sources().len() > 1 {
        return Err(user_error(format!(
            "entry {} of the history of {name} is of several sources, which are not supported yet",
            history::id(entry)
        )));
    }
    let source = other_source(entry.get("source"), app.sources().first().copied());
    Ok(SyncOperation { revision: revision.to_owned(), source, ..SyncOperation::default() })
}

/// The source of then, if it differs in more than the revision. An entry without one means the present source.
fn other_source(then: Option<&Node>, now: Option<&Node>) -> Option<ApplicationSource> {
    let read = |node: &Node| ApplicationSource::deserialize(serde_json::to_value(node).ok()?).ok();
    let place = |source: &ApplicationSource| ApplicationSource { target_revision: String::new(), ..source.clone() };
    let then = read(then?)?;
    (read(now?).as_ref().map(place) != Some(place(&then))).then_some(then)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(policy: &str, source: &str, history: &str) -> Node {
        let text = format!(
            r#"{{"metadata":{{"name":"shop","namespace":"argocd"}},"spec":{{"source":{source},"syncPolicy":{policy}}},"status":{{"history":{history}}}}}"#
        );
        Node::from_json(text.as_bytes()).unwrap()
    }

    const SOURCE: &str = r#"{"repoURL":"http://git/a","path":"dev","targetRevision":"main"}"#;

    fn to(app: &Node, id: Option<i64>) -> Result<String, String> {
        let sync = to_entry(View(app), &mut id.clone()).map_err(|error| error.error.to_string())?;
        let source = sync.source.map(|source| format!(" of {}", source.path)).unwrap_or_default();
        Ok(format!("{}{source}", sync.revision))
    }

    #[test]
    fn the_entry_before_the_last_is_what_one_goes_back_to() {
        let other = r#"{"repoURL":"http://git/a","path":"prod"}"#;
        let history = format!(
            r#"[{{"id":3,"revision":"c3","source":{other}}},{{"id":4,"revision":"c4","source":{SOURCE}}},{{"id":5,"revision":"c5"}}]"#
        );
        let app = app("null", r#"{"repoURL":"http://git/a","path":"dev","targetRevision":"v2"}"#, &history);
        assert_eq!(to(&app, None), Ok("c4".to_owned()));
        assert_eq!(to(&app, Some(5)), Ok("c5".to_owned()));
        assert_eq!(to(&app, Some(7)), Err("the history of argocd/shop has no entry 7".to_owned()));
        assert_eq!(to(&app, Some(3)), Ok("c3 of prod".to_owned()), "with the source of then");
    }

    #[test]
    fn what_would_not_last_is_refused() {
        let automated = app(r#"{"automated":{}}"#, SOURCE, r#"[{"id":0,"revision":"a"},{"id":1,"revision":"b"}]"#);
        assert!(to(&automated, None).unwrap_err().contains("would be undone at once"));
        let first = app("null", SOURCE, r#"[{"id":0,"revision":"a"}]"#);
        assert!(to(&first, None).unwrap_err().contains("no entry before the last one"));
        let several = app("null", SOURCE, r#"[{"id":0,"revisions":["a","b"]}]"#);
        assert!(to(&several, Some(0)).unwrap_err().contains("several sources"));
    }

    #[test]
    fn a_second_look_means_the_same_entry() {
        let mut id = None;
        let first = app("null", SOURCE, r#"[{"id":0,"revision":"a"},{"id":1,"revision":"b"}]"#);
        assert_eq!(to_entry(View(&first), &mut id).unwrap().revision, "a");
        let then = app("null", SOURCE, r#"[{"id":0,"revision":"a"},{"id":1,"revision":"b"},{"id":2,"revision":"c"}]"#);
        assert_eq!(to_entry(View(&then), &mut id).unwrap().revision, "a");
    }
}
