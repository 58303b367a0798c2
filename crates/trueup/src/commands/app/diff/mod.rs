//! `trueup app diff`: the controller's own comparison, made here and now.

mod base;
mod corrected;
mod judge;
pub(super) mod placed;
pub(super) mod project;
pub(super) mod wanted;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCompleter;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use trueup_api::{App, Application, Revision, object_unsupported};
use trueup_cluster::{Kind, KindError};
use trueup_object::{Gvk, Manifest};
use trueup_render::{Rendered, Targets};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, cluster_error, user_error, user_error_with_message};
use crate::commands::app::client::Client;
use crate::commands::app::diff::base::{At, Base, synced};
use crate::commands::app::diff::judge::{Change, Frame};
use crate::commands::app::diff::placed::placed;
use crate::commands::app::diff::project::{Seat, problems, told};
use crate::commands::app::diff::wanted::Whose;
use crate::commands::app::revision_args::RevisionArgs;
use crate::commands::app::view::View;
use crate::complete;
use crate::credentials::Logins;
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
  trueup app diff shop-dev --revisions 1.5.0 --source-positions 1
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
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    revisions: RevisionArgs,
    /// Compare with this directory on disk, which stands for the Application's path, instead of Git.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["revision", "revisions"])]
    local: Option<PathBuf>,
    /// Where to keep what is fetched; the user's cache if not given.
    #[arg(long, env = "TRUEUP_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Shows the differences.
pub(crate) async fn run(args: &DiffArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let text = client.get_text(&name).await?;
    let node = client.read(&text)?;
    let asked = args.revisions.asked(View(&node))?;
    let application = Application::read(&text)
        .map_err(|error| user_error_with_message(format!("Application '{name}' cannot be read"), error))?;
    let app = valid(&name, &application)?;
    check_destination(app)?;
    for unsupported in &app.unsupported {
        talk::warning(&told(unsupported));
    }
    let controller_namespace = client.governed_from(View(&node));
    let logins = Logins { cluster: client.cluster(), namespace: controller_namespace };
    let wanted = wanted::load(logins, Whose { meta: &application.meta, app }, args, asked).await?;
    let mut kinds = HashMap::new();
    for gvk in add_kinds(&client, &wanted.rendered, &mut kinds).await? {
        talk::warning(&format!("the cluster does not serve {gvk} yet: objects of this kind are shown as new"));
    }
    let tracking_name = application.meta.app_instance(controller_namespace);
    placed::learn_installation(client.cluster(), controller_namespace).await;
    let targets = placed(&wanted.rendered, app, &client.cluster().installation(), &tracking_name, &kinds);
    complain(&targets)?;
    match client.project(controller_namespace, &app.project).await {
        Ok(project) => {
            let seat = Seat { namespace: client.namespace(), controller_namespace };
            for problem in problems(&project, app, seat, &targets, &kinds) {
                talk::warning(&problem);
            }
        }
        Err(error) => talk::warning(&format!("the project is not known: {}", error.lines().join(": "))),
    }
    let synced = synced(&application.status, &targets.digest.to_string());
    let base =
        base(&client, logins, Whose { meta: &application.meta, app }, args, &synced.at, &tracking_name, &mut kinds)
            .await;
    let frame = Frame::new(&client, &application, app, &targets, &tracking_name, &kinds, (&synced, &base));
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

/// The specification, if it is one that can be followed.
pub(super) fn valid<'a>(name: &str, application: &'a Application) -> Result<&'a App, CommandError> {
    let app = application.spec.as_ref();
    app.map_err(|errors| user_error(format!("the specification of Application '{name}' is not valid: {errors}")))
}

/// Only the cluster of the kubeconfig can be asked.
pub(super) fn check_destination(app: &App) -> Result<(), CommandError> {
    let destination = &app.destination;
    let named = if destination.server.is_empty() { &destination.name } else { &destination.server };
    if IN_CLUSTER.contains(&named.trim_end_matches('/')) {
        return Ok(());
    }
    Err(user_error(format!(
        "the destination '{named}' is another cluster than the Application's own, which is not supported yet"
    )))
}

/// Adds how the cluster serves the kinds of a render; answers those that it does not serve.
pub(super) async fn add_kinds(
    client: &Client,
    rendered: &Rendered,
    kinds: &mut HashMap<Gvk, Kind>,
) -> Result<Vec<Gvk>, CommandError> {
    let mut unserved = Vec::new();
    for gvk in rendered.manifests.iter().map(Manifest::gvk) {
        if kinds.contains_key(&gvk) || unserved.contains(&gvk) {
            continue;
        }
        match client.cluster().kind(&gvk).await {
            Ok(kind) => drop(kinds.insert(gvk, kind)),
            Err(KindError::NotServed(_)) => unserved.push(gvk),
            Err(error @ KindError::Failed { .. }) => return Err(cluster_error(error)),
        }
    }
    Ok(unserved)
}

/// What Git said at the last successful sync. That it cannot be had is told, and then only the API server's records count.
async fn base(
    client: &Client,
    logins: Logins<'_>,
    whose: Whose<'_>,
    args: &DiffArgs,
    at: &At,
    tracking_name: &str,
    kinds: &mut HashMap<Gvk, Kind>,
) -> Base {
    let why = match at {
        At::Nowhere => return Base::Nothing,
        At::Here => return Base::Same,
        At::Unknown(why) => (*why).to_owned(),
        At::Revision(revision) => {
            match synced_before(client, logins, whose, args, revision, tracking_name, kinds).await {
                Ok(targets) => return Base::Other(targets),
                Err(error) => error.lines().join(": "),
            }
        }
    };
    talk::warning(&format!(
        "what Git said at the last sync cannot be had ({why}): fields that have left Git since may be missing below"
    ));
    Base::Unknown
}

/// Renders again what was synced last.
async fn synced_before(
    client: &Client,
    logins: Logins<'_>,
    whose: Whose<'_>,
    args: &DiffArgs,
    revision: &Revision,
    tracking_name: &str,
    kinds: &mut HashMap<Gvk, Kind>,
) -> Result<Targets, CommandError> {
    let rendered = wanted::at_revision(logins, whose, args.cache_dir.as_ref(), revision).await?;
    add_kinds(client, &rendered, kinds).await?;
    Ok(placed(&rendered, whose.app, &client.cluster().installation(), tracking_name, kinds))
}

/// Tells what the manifests lack; invalid ones make every statement a half one.
pub(super) fn complain(targets: &Targets) -> Result<(), CommandError> {
    for warning in &targets.warnings {
        talk::warning(warning);
    }
    for target in &targets.objects {
        for unsupported in object_unsupported(&target.manifest) {
            talk::warning(&format!("{}: {}", target.key, told(&unsupported)));
        }
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
