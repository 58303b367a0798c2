//! `trueup app diff`: the controller's own comparison, made here and now.

mod corrected;
mod judge;
mod wanted;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use trueup_api::{App, Application};
use trueup_cluster::{Kind, KindError};
use trueup_object::{Gvk, Manifest};
use trueup_render::{Placement, Targets, targets};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, cluster_error, user_error, user_error_with_message};
use crate::commands::app::client::Client;
use crate::commands::app::diff::judge::{Change, Frame};
use crate::commands::app::view;
use crate::output::{Output, talk, unified};

pub(crate) const ABOUT: &str = "\
Shows what a sync would change, as a unified diff from the cluster to Git, one object after the other. Git is read and rendered \
here; the cluster is asked for each object, and where only the API server knows (defaults, canonical forms), what it would make of \
it. Nothing is written. Values of Secrets are masked.

Ends with 0 if nothing differs, with 1 if something does, with 2 if that cannot be found out.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app diff shop-dev
  trueup app diff shop-dev --revision feature/new-cache
  trueup app diff shop-dev --local environments/dev
  trueup app diff shop-dev > /dev/null || echo 'differs, or could not be compared'";

/// How many objects are asked for at the same time: a person waits, but the API server has others to serve.
const OBJECTS_AT_ONCE: usize = 8;
/// The cluster that an Application lives in, as a destination names it.
const IN_CLUSTER: [&str; 2] = ["https://kubernetes.default.svc", "in-cluster"];

/// The arguments of `trueup app diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Compare with this branch, tag or commit instead of the Application's own.
    #[arg(long, value_name = "REVISION", conflicts_with = "local")]
    revision: Option<String>,
    /// Compare with this directory on disk, which stands for the Application's path, instead of Git.
    #[arg(long, value_name = "DIR")]
    local: Option<PathBuf>,
    /// Where to keep what is fetched; the user's cache if not given.
    #[arg(long, env = "TRUEUP_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Shows the differences.
pub(crate) async fn run(args: &DiffArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let application = Application::read(&client.get_text(&name).await?)
        .map_err(|error| user_error_with_message(format!("Application '{name}' cannot be read"), error))?;
    let app = application
        .spec
        .as_ref()
        .map_err(|errors| user_error(format!("the specification of Application '{name}' is not valid: {errors}")))?;
    check_destination(app)?;
    for unsupported in &app.unsupported {
        let effect = if unsupported.stops { "the controller syncs nothing because of it" } else { "it has no effect" };
        talk::warning(&format!("{}: {} ({effect})", unsupported.field, unsupported.message));
    }
    let wanted = wanted::load(app, args).await?;
    let kinds = kinds(&client, wanted.rendered.manifests.iter().map(Manifest::gvk)).await?;
    let namespaced = |gvk: &Gvk| kinds.get(gvk).map(|kind| kind.namespaced);
    let controller_namespace = view::or(&application.status.controller_namespace, client.namespace());
    let tracking_name = application.meta.app_instance(controller_namespace);
    let placement = Placement { app: &tracking_name, namespace: &app.destination.namespace, namespaced: &namespaced };
    let targets = targets(&wanted.rendered, &placement);
    complain(&targets)?;
    let frame = Frame::new(&client, &application, app, &targets, &tracking_name, &kinds);
    let compared: Vec<Option<Change>> = stream::iter(&targets.objects)
        .map(|target| frame.judge(target))
        .buffered(OBJECTS_AT_ONCE)
        .try_collect()
        .await?;
    let leaving: Vec<Option<Change>> = stream::iter(frame.leaving())
        .map(|extra| frame.judge_leaving(extra))
        .buffered(OBJECTS_AT_ONCE)
        .try_collect()
        .await?;
    let changes: Vec<Change> = compared.into_iter().chain(leaving).flatten().collect();
    show(&changes, &wanted.name)?;
    Ok(if changes.is_empty() { Outcome::Done } else { Outcome::Differs })
}

/// Only the cluster of the kubeconfig can be asked.
fn check_destination(app: &App) -> Result<(), CommandError> {
    let destination = &app.destination;
    let named = if destination.server.is_empty() { &destination.name } else { &destination.server };
    if IN_CLUSTER.contains(&named.trim_end_matches('/')) {
        return Ok(());
    }
    Err(user_error(format!(
        "the destination '{named}' is another cluster than the Application's own, which is not supported yet"
    )))
}

/// How the cluster serves the kinds of the manifests; those that it does not serve are absent.
async fn kinds(client: &Client, gvks: impl Iterator<Item = Gvk>) -> Result<HashMap<Gvk, Kind>, CommandError> {
    let mut kinds = HashMap::new();
    let mut unserved = Vec::new();
    for gvk in gvks {
        if kinds.contains_key(&gvk) || unserved.contains(&gvk) {
            continue;
        }
        match client.cluster().kind(&gvk).await {
            Ok(kind) => drop(kinds.insert(gvk, kind)),
            Err(KindError::NotServed(_)) => {
                talk::warning(&format!("the cluster does not serve {gvk} yet: objects of this kind are shown as new"));
                unserved.push(gvk);
            }
            Err(error @ KindError::Failed { .. }) => return Err(cluster_error(error)),
        }
    }
    Ok(kinds)
}

/// Tells what the manifests lack; invalid ones make every statement a half one.
fn complain(targets: &Targets) -> Result<(), CommandError> {
    for warning in &targets.warnings {
        talk::warning(warning);
    }
    for key in &targets.duplicates {
        talk::warning(&format!("{key} appears more than once: the last one counts"));
    }
    match targets.invalid.as_slice() {
        [] => Ok(()),
        invalid => Err(user_error(format!("the manifests cannot be applied: {}", invalid.join("; ")))),
    }
}

fn show(changes: &[Change], wanted: &str) -> Result<(), CommandError> {
    let mut output = Output::stdout();
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            output.line("")?;
        }
        let heading = format!("===== {} ======", change.object);
        let heading = output.palette.paint(crate::output::style::Paint::Heading, &heading);
        output.line(&heading)?;
        for remark in &change.remarks {
            let remark = output.palette.paint(crate::output::style::Paint::Faint, &format!("# {remark}"));
            output.line(&remark)?;
        }
        let text = unified::diff(("live", &change.live), (wanted, &change.wanted), output.palette);
        output.text(&text)?;
    }
    output.finish()
}
