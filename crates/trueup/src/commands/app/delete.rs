//! `trueup app delete`.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};
use trueup_api::annotations::{BACKGROUND_FINALIZER, RESOURCES_FINALIZER};
use trueup_cluster::{ClusterError, Propagation};
use trueup_object::Node;

use crate::access::{self, AccessArgs};
use crate::command_error::{CommandError, Outcome, internal_error_with_message, unmet, user_error};
use crate::commands::app::client::{Client, PATCH_ROUNDS, named};
use crate::commands::app::follow::{Verdict, follow_to_end};
use crate::commands::app::remains::{CASCADING, remains};
use crate::commands::app::view::View;
use crate::complete;
use crate::duration;
use crate::output::style::one_line;
use crate::output::talk;

pub(crate) const ABOUT: &str = "\
Deletes Applications, and with them all their objects in the cluster; with --cascade=false only the Applications, and their objects \
stay. It asks on a terminal; elsewhere --yes is needed. The objects are deleted by the controller, as for kubectl: an Application \
is gone when they are.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app delete shop-dev
  trueup app delete shop-dev --yes --wait --timeout 5m
  trueup app delete shop-dev --cascade=false";

/// The arguments of `trueup app delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The Applications, each as NAME or NAMESPACE/NAME.
    #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(complete::applications))]
    names: Vec<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// Delete the objects of the Application too.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    cascade: bool,
    /// Whether what the objects made in their turn is deleted before or after them; 'foreground' if not given.
    #[arg(short = 'p', long, value_enum, value_name = "POLICY")]
    propagation_policy: Option<Policy>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Wait until the Applications are gone.
    #[arg(long)]
    wait: bool,
    /// How long to wait; the deletion goes on after that. 0 means without end.
    #[arg(long, value_name = "DURATION", default_value = "0", allow_hyphen_values = true, value_parser = duration::parse, requires = "wait")]
    timeout: Duration,
}

/// What becomes of the objects that an object made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// They go first.
    Foreground,
    /// They go afterwards.
    Background,
}

/// Deletes one after the other. The first that cannot be ends it.
pub(crate) async fn run(args: &DeleteArgs) -> Result<Outcome, CommandError> {
    if let (false, Some(_)) = (args.cascade, args.propagation_policy) {
        return Err(user_error("with --cascade=false no object is deleted, so --propagation-policy would say nothing")
            .hinted("leave one of the two out"));
    }
    let policy = args.propagation_policy.unwrap_or(Policy::Foreground);
    let mut marked = Vec::new();
    for name in once_each(&args.access.namespace, &args.names)? {
        let (client, name) = Client::connect_for(&args.access, name).await?;
        // A slip in a name, or what is not possible, should not be found out after half of them are gone.
        let app = client.get(&name).await?;
        drop(request(View(&app), args.cascade, policy)?);
        marked.push((client, name, app));
    }
    if !args.yes {
        let names: Vec<String> = marked.iter().map(|(_, _, app)| View(app).qualified_name()).collect();
        confirm(&names, args.cascade)?;
    }
    for (client, name, seen) in &marked {
        let deleted = delete(client, name, seen, args).await?;
        let qualified = View(&deleted).qualified_name();
        if args.wait {
            wait(client, name, &deleted, args).await?;
            talk::note(&format!("{qualified}: deleted"));
        } else if args.cascade {
            talk::note(&format!("{qualified}: is being deleted, with its objects"));
        } else {
            talk::note(&format!("{qualified}: deleted, its objects are left"));
        }
    }
    Ok(Outcome::Done)
}

/// The names without those that mean the same Application as one before.
fn once_each<'a>(namespace: &str, names: &'a [String]) -> Result<Vec<&'a String>, CommandError> {
    let mut known = BTreeSet::new();
    let mut once = Vec::new();
    for text in names {
        let (namespace, name) = named(namespace, text)?;
        if known.insert((namespace.to_owned(), name.to_owned())) {
            once.push(text);
        }
    }
    Ok(once)
}

/// Asks whoever sits there.
fn confirm(names: &[String], cascade: bool) -> Result<(), CommandError> {
    let what = if cascade { " and all its objects" } else { ", without its objects" };
    let what = match names {
        [name] => format!("{name}{what}"),
        _ => format!("{}{}", names.join(", "), what.replace("its", "their")),
    };
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(user_error(format!("not deleted: {what}; nobody can be asked whether that is meant"))
            .hinted("say so with --yes"));
    }
    let failed = |error| internal_error_with_message("cannot ask", error);
    let mut stderr = io::stderr().lock();
    write!(stderr, "Delete {what}? [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    if agreed(&answer) { Ok(()) } else { Err(unmet("nothing was deleted")) }
}

fn agreed(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Marks it for deletion, with or without its objects, exactly as it was judged.
async fn delete(client: &Client, name: &str, seen: &Node, args: &DeleteArgs) -> Result<Node, CommandError> {
    let uid = View(seen).text(&["metadata", "uid"]);
    let mut round = 1;
    loop {
        let app = client
            .patch(name, |app| {
                if app.text(&["metadata", "uid"]) != uid {
                    return Err(user_error(format!(
                        "{} was deleted meanwhile, and another of this name created: that one is left",
                        app.qualified_name()
                    )));
                }
                request(app, args.cascade, args.propagation_policy.unwrap_or(Policy::Foreground))
            })
            .await?;
        let view = View(&app);
        let key = client.kind().key(client.namespace(), name);
        let version = view.resource_version();
        match client.cluster().delete(client.kind(), &key, uid, version, Propagation::Background).await {
            Ok(()) | Err(ClusterError::NotFound(_)) => return Ok(app),
            // Its status is written now and then.
            Err(ClusterError::Conflict) if round < PATCH_ROUNDS => round += 1,
            Err(error) => return Err(access::explained("cannot delete the Application", error)),
        }
    }
}

/// The patch after which a deletion does what is wanted, or why it cannot.
fn request(app: View<'_>, cascade: bool, policy: Policy) -> Result<Vec<Value>, CommandError> {
    let before: Vec<&str> = app.0.list_at(&["metadata", "finalizers"]).iter().filter_map(Node::as_str).collect();
    let wanted = match policy {
        Policy::Foreground => RESOURCES_FINALIZER,
        Policy::Background => BACKGROUND_FINALIZER,
    };
    let same = |finalizer: &str| match policy {
        Policy::Foreground => finalizer != BACKGROUND_FINALIZER,
        Policy::Background => finalizer == BACKGROUND_FINALIZER,
    };
    let is_cascading = |finalizer: &&str| CASCADING.contains(finalizer);
    let there: Vec<&str> = before.iter().copied().filter(is_cascading).collect();
    if (cascade && there.len() == 1 && same(there[0])) || (!cascade && there.is_empty()) {
        return Ok(Vec::new());
    }
    // Once it is being deleted, the API server takes no further finalizers.
    if cascade && app.is_deleting() {
        if !there.is_empty() {
            return Ok(Vec::new());
        }
        let name = app.qualified_name();
        return Err(user_error(format!(
            "{name} is being deleted already, without its objects: that cannot be changed any more"
        ))
        .hinted(format!("see which objects it has, and delete them yourself: trueup app resources {name} -o name"))
        .hinted("or leave them: --cascade=false"));
    }
    let mut after: Vec<&str> = before.into_iter().filter(|finalizer| !is_cascading(finalizer)).collect();
    if cascade {
        after.push(wanted);
    }
    Ok(vec![json!({"op": "add", "path": "/metadata/finalizers", "value": after})])
}

async fn wait(client: &Client, name: &str, app: &Node, args: &DeleteArgs) -> Result<(), CommandError> {
    let timeout = (!args.timeout.is_zero()).then_some(args.timeout);
    let uid = View(app).text(&["metadata", "uid"]);
    let mut asked = false;
    let judge = |app: View<'_>| {
        if app.text(&["metadata", "uid"]) != uid {
            return Ok(Verdict::Done(()));
        }
        let why = app.conditions().find(|condition| condition.kind == "DeletionError");
        let unanswered = args.cascade && why.is_none();
        let what = match why {
            Some(condition) => one_line(condition.message),
            None if args.cascade => format!("waiting for {} to go", objects(app)),
            None => "waiting for it to go".to_owned(),
        };
        let asks = app.awaits_approval().is_some() && !asked;
        asked |= asks;
        let news = asks.then(|| format!("to approve of that: trueup app confirm-deletion {}", app.qualified_name()));
        Ok(Verdict::Waiting { what, unanswered, news: news.into_iter().collect() })
    };
    let ended = tokio::select! {
        // Listened for before the first word: who reads that may interrupt at once.
        biased;
        _ = tokio::signal::ctrl_c() => Err(unmet("interrupted: the deletion goes on")),
        ended = follow_to_end(client, name, app, timeout, judge, || Ok(())) => ended,
    };
    let Err(error) = ended else { return Ok(()) };
    // Who interrupts again does not want to know.
    let left = tokio::select! {
        left = remains(client, name, args.cascade) => left,
        _ = tokio::signal::ctrl_c() => None,
    };
    Err(left.into_iter().fold(error, CommandError::hinted))
}

fn objects(app: View<'_>) -> String {
    match app.0.list_at(&["status", "resources"]).len() {
        1 => "1 object".to_owned(),
        count => format!("{count} objects"),
    }
}

#[cfg(test)]
mod tests {
    use trueup_api::annotations::FOREGROUND_FINALIZER;

    use super::*;

    fn finalizers(before: &str, cascade: bool, policy: Policy) -> Option<String> {
        let app = Node::from_json(format!(r#"{{"metadata":{{"finalizers":{before}}}}}"#).as_bytes()).unwrap();
        request(View(&app), cascade, policy).unwrap().first().map(|operation| operation["value"].to_string())
    }

    #[test]
    fn the_finalizer_says_what_goes_along() {
        let (plain, behind) = (RESOURCES_FINALIZER, BACKGROUND_FINALIZER);
        let list = |names: &[&str]| json!(names).to_string();
        let cases = [
            (list(&[]), true, Policy::Foreground, Some(list(&[plain]))),
            (list(&[]), true, Policy::Background, Some(list(&[behind]))),
            (list(&[plain]), true, Policy::Foreground, None),
            (list(&[FOREGROUND_FINALIZER]), true, Policy::Foreground, None),
            (list(&["other", plain]), true, Policy::Background, Some(list(&["other", behind]))),
            (list(&[behind]), true, Policy::Foreground, Some(list(&[plain]))),
            (list(&["other", plain]), false, Policy::Foreground, Some(list(&["other"]))),
            (list(&["other"]), false, Policy::Foreground, None),
            ("null".to_owned(), true, Policy::Foreground, Some(list(&[plain]))),
        ];
        for (before, cascade, policy, after) in cases {
            assert_eq!(finalizers(&before, cascade, policy), after, "{before} {cascade} {policy:?}");
        }
    }

    #[test]
    fn what_goes_without_its_objects_cannot_take_them_along_any_more() {
        let app = |finalizers: &[&str]| {
            let metadata = json!({"name": "a", "namespace": "n", "deletionTimestamp": "x", "finalizers": finalizers});
            Node::from_json(json!({"metadata": metadata}).to_string().as_bytes()).unwrap()
        };
        let asked = |finalizers: &[&str], cascade| request(View(&app(finalizers)), cascade, Policy::Foreground);
        let refused = asked(&["other"], true).unwrap_err();
        assert_eq!(
            refused.error.to_string(),
            "n/a is being deleted already, without its objects: that cannot be changed any more"
        );
        assert!(asked(&["other"], false).unwrap().is_empty());
        assert!(asked(&[BACKGROUND_FINALIZER], true).unwrap().is_empty());
        assert_eq!(asked(&[RESOURCES_FINALIZER, "other"], false).unwrap()[0]["value"], json!(["other"]));
    }

    #[test]
    fn an_application_that_is_named_twice_is_one() {
        let names = ["a", "b", "argocd/a", "application.argoproj.io/b", "other/a"].map(str::to_owned);
        assert_eq!(once_each("argocd", &names).unwrap(), ["a", "b", "other/a"]);
        assert!(once_each("argocd", &["../a".to_owned()]).is_err());
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(["y\n", "Yes", " YES \n"].into_iter().all(agreed));
        assert!(!["", "\n", "n", "yep", "no"].into_iter().any(agreed));
    }
}
