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
use crate::commands::app::view::{self, View};
use crate::complete;

pub(crate) const ABOUT: &str = "\
Syncs an Application to the commits and versions that it was synced to before, and waits until that has ended: to the entry of its history with \
this ID, or to the one before the last; from the sources of then, if those were others. Refused while automated sync is on, which would undo it at once. Git keeps the last word: \
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
    to_sources(app, entry)
        .map_err(|why| user_error(format!("entry {} of the history of {name} {why}", history::id(entry))).hinted(see))
}

/// What an entry of the history was at, and its sources, if they are others now.
fn to_sources(app: View<'_>, entry: &Node) -> Result<SyncOperation, String> {
    let revisions: Vec<String> = view::revisions(entry).into_iter().map(str::to_owned).collect();
    if revisions.is_empty() {
        return Err("names no revision".to_owned());
    }
    let several = !entry.list_at(&["revisions"]).is_empty();
    let then: Vec<&Node> =
        if several { entry.list_at(&["sources"]).iter().collect() } else { entry.get("source").into_iter().collect() };
    let then = read(&then)?;
    // An entry without sources means the present ones, if they can be meant.
    let alike = app.is_several() == several && app.sources().len() == revisions.len();
    if (then.is_empty() && !alike) || (several && !then.is_empty() && then.len() != revisions.len()) {
        return Err(format!("does not say of which sources its {} revisions are", revisions.len()));
    }
    // One that cannot be read is another one.
    let same = alike && (then.is_empty() || read(&app.sources()).is_ok_and(|now| places(&now) == places(&then)));
    let mut sources = if same { Vec::new() } else { then };
    Ok(if several {
        SyncOperation { revisions, sources, ..SyncOperation::default() }
    } else {
        SyncOperation { revision: revisions.concat(), source: sources.pop(), ..SyncOperation::default() }
    })
}

fn read(sources: &[&Node]) -> Result<Vec<ApplicationSource>, String> {
    let one = |source: &&Node| ApplicationSource::deserialize(serde_json::to_value(source)?);
    sources
        .iter()
        .map(one)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("has a source that cannot be read: {error}"))
}

/// Sources without their target revisions.
fn places(sources: &[ApplicationSource]) -> Vec<ApplicationSource> {
    sources.iter().map(|source| ApplicationSource { target_revision: String::new(), ..source.clone() }).collect()
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
        let several = app("null", SOURCE, r#"[{"id":0,"revisions":["a","b"]},{"id":1}]"#);
        assert!(
            to(&several, Some(0)).unwrap_err().contains("entry 0 of the history of argocd/shop does not say of which")
        );
        assert!(to(&several, Some(1)).unwrap_err().contains("names no revision"));
    }

    #[test]
    fn several_sources_go_back_together() {
        let chart =
            |version: &str| format!(r#"{{"repoURL":"https://charts","chart":"shop","targetRevision":"{version}"}}"#);
        let several = |first: &str| {
            let spec = format!(r#"{{"sources":[{first},{SOURCE}]}}"#);
            let history = format!(
                r#"[{{"id":0,"revisions":["1.0.0","c0"],"sources":[{},{SOURCE}]}},{{"id":1,"revision":"c1","source":{SOURCE}}},{{"id":2,"revisions":["x","y"]}}]"#,
                chart("1.0.0")
            );
            let text = format!(
                r#"{{"metadata":{{"name":"shop","namespace":"argocd"}},"spec":{spec},"status":{{"history":{history}}}}}"#
            );
            Node::from_json(text.as_bytes()).unwrap()
        };
        let sent = |app: &Node, id: i64| serde_json::to_value(to_entry(View(app), &mut Some(id)).unwrap()).unwrap();
        let same = several(&chart("1.x"));
        assert_eq!(sent(&same, 0), serde_json::json!({"revisions": ["1.0.0", "c0"]}));
        assert_eq!(sent(&same, 2), serde_json::json!({"revisions": ["x", "y"]}), "of the present sources");
        let one = sent(&same, 1);
        assert_eq!((&one["revision"], &one["source"]["path"]), (&"c1".into(), &"dev".into()), "when it was one source");
        let other = sent(&several(r#"{"repoURL":"https://charts","chart":"other","targetRevision":"1"}"#), 0);
        assert_eq!(other["sources"][0]["chart"], "shop", "{other}");
        assert_eq!(other["sources"].as_array().map(Vec::len), Some(2));
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
