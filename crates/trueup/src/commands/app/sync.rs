//! `trueup app sync`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::ArgValueCompleter;
use trueup_api::{Application, SyncOperation};
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error, user_error_with_message};
use crate::commands::app::client::{Client, named};
use crate::commands::app::diff;
use crate::commands::app::diff::wanted::Whose;
use crate::commands::app::list::nothing;
use crate::commands::app::local::{self, Local};
use crate::commands::app::operation::{PatienceArgs, Wish, carry_out, ready};
use crate::commands::app::revision_args::RevisionArgs;
use crate::commands::app::selection::{Pattern, chosen, unlisted};
use crate::commands::app::sync_args::HowArgs;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::credentials::Logins;
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Asks the controller to bring the cluster to what Git says, and waits until it has; hooks, waves and what is waited for are told \
meanwhile. It takes the sync options and the retries of the Application, with what is said here. Several Applications are synced \
one after the other; the first that fails ends it. Ends with 0 only if every sync succeeded.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app sync shop-dev
  trueup app sync shop-dev --prune --timeout 5m
  trueup app sync shop-dev --revision v1.4.2
  trueup app sync shop-dev --revisions 1.5.0 --source-positions 1
  trueup app sync shop-dev --async && trueup app wait shop-dev --health

What would it do? The controller asks the API server, and nothing is changed:
  trueup app sync shop-dev --prune --dry-run

Only some objects, without hooks; '!' leaves out, '*' is any part:
  trueup app sync shop-dev --resource apps:Deployment:web --resource :Service:web
  trueup app sync shop-dev --resource '!batch:Job:*'

Manifests of this machine, until the next sync:
  trueup app sync shop-dev --local environments/dev

What cannot be changed in place:
  trueup app sync shop-dev --replace --force --resource batch:Job:migrate

Several:
  trueup app sync shop-dev shop-prod
  trueup app sync -l team=shop --retry-limit 3 --info ticket=OPS-42";

/// The arguments of `trueup app sync`.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The Applications, each as NAME or NAMESPACE/NAME.
    #[arg(value_name = "NAME", required_unless_present = "selector", add = ArgValueCompleter::new(complete::applications))]
    names: Vec<String>,
    /// Instead of names: all Applications of the namespace with these labels, as kubectl takes them.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "names")]
    selector: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    revisions: RevisionArgs,
    /// Delete objects that are no longer in Git.
    #[arg(long)]
    prune: bool,
    /// Change nothing: tell what the API server would make of it.
    #[arg(long)]
    dry_run: bool,
    /// Only this object; with '!' before it all others. May be repeated.
    #[arg(long = "resource", value_name = "[!]GROUP:KIND:[NAMESPACE/]NAME", value_parser = Pattern::parse)]
    resources: Vec<Pattern>,
    /// Sync to this directory of this machine, which stands for the Application's path, instead of Git.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["revision", "revisions"])]
    local: Option<PathBuf>,
    #[command(flatten)]
    patience: PatienceArgs,
    /// Print the whole Application afterwards instead of a table; of several a list.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<DataFormat>,
    #[command(flatten)]
    how: HowArgs,
}

/// Asks for a sync of each and waits for its end.
pub(crate) async fn run(args: &SyncArgs) -> Result<Outcome, CommandError> {
    let names = names(args).await?;
    if let (Some(_), [_, _, ..]) = (&args.local, names.as_slice()) {
        return Err(user_error("--local is for one Application: a directory stands for the path of one"));
    }
    let mut apps = Vec::new();
    for name in &names {
        let (client, name) = Client::connect_for(&args.access, name).await?;
        let local = match &args.local {
            Some(dir) => from_disk(&client, &name, dir).await?,
            None => Local::default(),
        };
        if names.len() > 1 {
            // A slip in a name, or what is not possible, should not be found out after half of them are synced.
            let app = client.get(&name).await?;
            ready(View(&app))?;
            drop(wish(View(&app), args, &local)?);
        }
        apps.push((client, name, local));
    }
    let mut seen = Vec::new();
    let mut outcome = Ok(Outcome::Done);
    for (client, name, local) in &apps {
        let carried = carry_out(client, name, &args.patience, |app| wish(app, args, local)).await;
        outcome = carried.and_then(|carried| {
            seen.push(view::printable(&carried.app));
            carried.judge(args.output.is_none())
        });
        if outcome.is_err() {
            break;
        }
    }
    if let (Some(format), false) = (args.output, seen.is_empty()) {
        print(seen, names.len() > 1, format)?;
    }
    outcome
}

fn print(mut apps: Vec<Node>, several: bool, format: DataFormat) -> Result<(), CommandError> {
    let mut output = Output::stdout();
    match apps.pop() {
        Some(app) if !several => output.data(&app, format)?,
        last => output.data(&Node::List(apps.into_iter().chain(last).collect()), format)?,
    }
    output.finish()
}

/// The names of the Applications, each once.
async fn names(args: &SyncArgs) -> Result<Vec<String>, CommandError> {
    let Some(selector) = &args.selector else {
        let mut known = BTreeSet::new();
        let mut names = Vec::new();
        for text in &args.names {
            let (namespace, name) = named(&args.access.namespace, text)?;
            if known.insert((namespace, name)) {
                names.push(text.clone());
            }
        }
        return Ok(names);
    };
    let client = Client::connect(&args.access).await?;
    let mut names: Vec<String> =
        client.list(Some(selector)).await?.iter().map(|app| View(app).qualified_name()).collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(user_error(nothing(Some(client.namespace()), Some(selector)))
            .hinted("see what labels there are: trueup app list -o json"));
    }
    Ok(names)
}

async fn from_disk(client: &Client, name: &str, dir: &Path) -> Result<Local, CommandError> {
    let text = client.get_text(name).await?;
    let application = Application::read(&text)
        .map_err(|error| user_error_with_message(format!("Application '{name}' cannot be read"), error))?;
    let node = client.read(&text)?;
    let logins = Logins { cluster: client.cluster(), namespace: client.governed_from(View(&node)) };
    local::read(logins, Whose { meta: &application.meta, app: diff::valid(name, &application)? }, dir).await
}

/// What is asked for, or why that makes no sense.
fn wish(app: View<'_>, args: &SyncArgs, local: &Local) -> Result<Wish, CommandError> {
    let name = app.qualified_name();
    let off = format!("turn automated sync off first: trueup app set {name} --sync-policy none");
    let automated = app.automated().is_some();
    let asked = args.revisions.asked(app)?.unwrap_or_default();
    let own = app.targets();
    if !asked.is_empty() && asked != own && automated && !args.dry_run {
        let (own, asked) = (own.join(", "), asked.join(", "));
        return Err(user_error(format!(
            "{name} syncs to '{own}' by itself: a sync to '{asked}' would be undone at once"
        ))
        .hinted(format!("change targetRevision in Git, or {off}")));
    }
    if let Some(dir) = args.local.as_deref().filter(|_| automated) {
        return Err(user_error(format!("{name} syncs by itself: what is not in Git would be undone at once"))
            .hinted(off)
            .hinted(format!("see what it would change: trueup app diff {name} --local {}", dir.display())));
    }
    let (revision, revisions) = if app.is_several() { (String::new(), asked) } else { (asked.concat(), Vec::new()) };
    let mut sync = SyncOperation {
        revision,
        revisions,
        prune: args.prune,
        dry_run: args.dry_run,
        resources: chosen(app, &args.resources, &local.objects)?,
        manifests: local.manifests.clone(),
        ..SyncOperation::default()
    };
    args.how.apply(&mut sync);
    let own = app.0.at(&["spec", "syncPolicy", "retry"]).filter(|retry| !retry.is_null());
    let retry = args.how.retry(own.map(|retry| serde_json::json!(retry)))?;
    let unknown = unlisted(app, &sync.resources);
    if !unknown.is_empty() && local.objects.is_empty() {
        talk::warning(&format!("no object that {name} is known to have: {}", unknown.join(", ")));
    }
    Ok(Wish { sync, retry, info: args.how.info().to_vec() })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::{Value, json};

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SyncArgs,
    }

    fn asked(app: &str, extra: &[&str]) -> Result<Wish, CommandError> {
        let args = Line::parse_from([&["sync", "shop"], extra].concat()).args;
        wish(View(&Node::from_json(app.as_bytes()).unwrap()), &args, &Local::default())
    }

    fn sync(app: &str, extra: &[&str]) -> Value {
        serde_json::to_value(asked(app, extra).unwrap().sync).unwrap()
    }

    #[test]
    fn another_revision_is_for_those_that_do_not_sync_by_themselves() {
        let automated = r#"{"spec":{"source":{"targetRevision":"main"},"syncPolicy":{"automated":{}}}}"#;
        let refused = asked(automated, &["--revision", "old"]).unwrap_err();
        assert!(refused.error.to_string().contains("would be undone at once"), "{refused:?}");
        assert!(asked(automated, &["--revision", "main"]).is_ok());
        assert!(asked(automated, &["--revision", "old", "--dry-run"]).is_ok(), "which undoes nothing");
        let refused = asked(automated, &["--local", "dev"]).unwrap_err();
        assert!(refused.error.to_string().contains("would be undone at once"), "{refused:?}");
        let asked = sync(r#"{"spec":{}}"#, &["--revision", "old", "--prune"]);
        assert_eq!(asked, json!({"revision": "old", "prune": true}));
    }

    #[test]
    fn a_short_commit_id_is_sent_in_full() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let app = format!(r#"{{"status":{{"history":[{{"revision":"{commit}"}}]}}}}"#);
        assert_eq!(sync(&app, &["--revision", "0123456"]), json!({"revision": commit}));
    }

    #[test]
    fn several_sources_are_asked_for_together() {
        let app = r#"{"spec":{"sources":[{"chart":"c","targetRevision":"1.x"},{"path":"p"}]}}"#;
        let one = ["--revisions", "1.0.0", "--source-positions", "1"];
        assert_eq!(sync(app, &one), json!({"revisions": ["1.0.0", "HEAD"]}));
        assert_eq!(sync(app, &[]), json!({}), "what it is to follow is the controller's to find out");
        let automated = app.replacen("\"sources\"", "\"syncPolicy\":{\"automated\":{}},\"sources\"", 1);
        let refused = asked(&automated, &one).unwrap_err().error.to_string();
        assert!(refused.contains("to '1.x, HEAD' by itself: a sync to '1.0.0, HEAD' would be undone"), "{refused}");
    }

    #[test]
    fn flags_become_an_operation() {
        let app = r#"{"spec":{"syncPolicy":{"retry":{"limit":2}}},"status":{"resources":[{"kind":"Service","name":"web","namespace":"n"}]}}"#;
        assert_eq!(sync(app, &["--dry-run"]), json!({"dryRun": true}));
        let web = json!([{"kind": "Service", "name": "web"}]);
        assert_eq!(sync(app, &["--resource", ":Service:web"]), json!({"resources": web}));
        let all = ["--force", "--replace", "--retry-refresh", "--info", "a=b"];
        let wish = asked(app, &all).unwrap();
        assert_eq!(wish.retry, Some(json!({"limit": 2, "refresh": true})));
        assert_eq!(serde_json::to_value(&wish.info).unwrap(), json!([{"name": "a", "value": "b"}]));
        let sent = json!({"syncStrategy": {"hook": {"force": true}}, "syncOptions": ["Replace=true"]});
        assert_eq!(serde_json::to_value(&wish.sync).unwrap(), sent);
    }

    #[test]
    fn names_or_labels_say_which() {
        let read = |line: &[&str]| Line::try_parse_from([&["sync"], line].concat()).is_ok();
        assert!(read(&["a", "b"]) && read(&["-l", "team=shop"]));
        for wrong in
            [&[][..], &["a", "-l", "x"], &["a", "--local", "d", "--revision", "main"], &["a", "--resource", "web"]]
        {
            assert!(!read(wrong), "{wrong:?}");
        }
    }
}
