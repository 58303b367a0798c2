//! `trueup app manifests`.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use trueup_api::Application;
use trueup_cluster::KindError;
use trueup_diff::masked;
use trueup_object::{Gvk, Node, ObjectKey};

use crate::access::{self, AccessArgs};
use crate::command_error::{CommandError, Outcome, cluster_error, user_error, user_error_with_message};
use crate::commands::app::client::Client;
use crate::commands::app::diff;
use crate::commands::app::diff::wanted::Whose;
use crate::commands::app::revision_args::RevisionArgs;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::credentials::Logins;
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Prints the manifests of an Application: what Git says at its target revision, with the namespace and the tracking annotation that \
the controller gives them, or what the cluster has. Values of Secrets are masked.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app manifests shop-dev
  trueup app manifests shop-dev --revision v1.4.2 -o name
  trueup app manifests shop-dev --revisions v1.4.2 --source-positions 2
  trueup app manifests shop-dev --source live -o json | jq '.items[].kind'";

/// How many objects are asked for at the same time: a person waits, but the API server has others to serve.
const OBJECTS_AT_ONCE: usize = 8;
/// What of a live object is no manifest: it is the server's, and long.
const LEFT_OUT: [&[&str]; 2] =
    [&["metadata", "managedFields"], &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]];

/// The arguments of `trueup app manifests`.
#[derive(Debug, Args)]
pub(crate) struct ManifestsArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    revisions: RevisionArgs,
    /// Where to look.
    #[arg(long, value_enum, default_value = "git")]
    source: Origin,
    /// How to print them.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "yaml")]
    output: ManifestFormat,
    /// Where to keep what is fetched; the user's cache if not given.
    #[arg(long, env = "TRUEUP_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Where manifests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Origin {
    /// Git.
    Git,
    /// The cluster: the objects that the Application's status lists.
    Live,
}

/// How manifests are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ManifestFormat {
    /// YAML documents.
    Yaml,
    /// One JSON list.
    Json,
    /// Kind and name alone, one a line, as kubectl prints them.
    Name,
}

/// Prints the manifests.
pub(crate) async fn run(args: &ManifestsArgs) -> Result<Outcome, CommandError> {
    if args.source == Origin::Live && !args.revisions.is_empty() {
        return Err(user_error("a revision is for --source git: the cluster has only one state"));
    }
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let text = client.get_text(&name).await?;
    let application = Application::read(&text)
        .map_err(|error| user_error_with_message(format!("Application '{name}' cannot be read"), error))?;
    let objects = match args.source {
        Origin::Git => from_git(&client, &name, &application, &client.read(&text)?, args).await?,
        Origin::Live => from_cluster(&client, &name, &application).await?,
    };
    let mut output = Output::stdout();
    let nodes = objects.iter().map(|(key, node)| masked(&key.kind, node));
    match args.output {
        ManifestFormat::Yaml => output.objects(nodes, DataFormat::Yaml)?,
        ManifestFormat::Json => output.objects(nodes, DataFormat::Json)?,
        ManifestFormat::Name => {
            for (key, _) in &objects {
                output.line(&view::object_name(key))?;
            }
        }
    }
    output.finish()?;
    Ok(Outcome::Done)
}

/// What Git says, as the controller would apply it.
async fn from_git(
    client: &Client,
    name: &str,
    application: &Application,
    node: &Node,
    args: &ManifestsArgs,
) -> Result<Vec<(ObjectKey, Node)>, CommandError> {
    let app = diff::valid(name, application)?;
    let revision = diff::wanted::revision(app, args.revisions.asked(View(node))?);
    let controller_namespace = client.governed_from(View(node));
    let logins = Logins { cluster: client.cluster(), namespace: controller_namespace };
    let rendered =
        diff::wanted::at_revision(logins, Whose { meta: &application.meta, app }, args.cache_dir.as_ref(), &revision)
            .await?;
    let mut kinds = HashMap::new();
    for gvk in diff::add_kinds(client, &rendered, &mut kinds).await? {
        talk::warning(&format!("the cluster does not serve {gvk} yet"));
    }
    let tracking_name = application.meta.app_instance(controller_namespace);
    diff::placed::learn_installation(client.cluster(), controller_namespace).await;
    let targets = diff::placed::placed(&rendered, app, &client.cluster().installation(), &tracking_name, &kinds);
    diff::complain(&targets)?;
    Ok(targets.objects.iter().map(|target| (target.key.clone(), target.manifest.node().clone())).collect())
}

/// What the cluster has of what the status lists.
async fn from_cluster(
    client: &Client,
    name: &str,
    application: &Application,
) -> Result<Vec<(ObjectKey, Node)>, CommandError> {
    diff::check_destination(diff::valid(name, application)?)?;
    let found: Vec<(ObjectKey, Option<Node>)> = stream::iter(&application.status.resources)
        .map(|resource| async move {
            let gvk = Gvk {
                group: resource.group.as_str().into(),
                version: resource.version.as_str().into(),
                kind: resource.kind.as_str().into(),
            };
            let key = ObjectKey::new(&resource.group, &resource.kind, &resource.namespace, &resource.name);
            let kind = match client.cluster().kind(&gvk).await {
                Ok(kind) => kind,
                Err(KindError::NotServed(_)) => return Ok((key, None)),
                Err(error @ KindError::Failed { .. }) => return Err(cluster_error(error)),
            };
            let live = client.cluster().fetch(&kind, &key).await;
            let live = live.map_err(|error| access::explained(&format!("cannot read {key}"), error))?;
            let node = live.map(|live| {
                let mut node = live.node();
                for field in LEFT_OUT {
                    node.remove_at(field);
                }
                node
            });
            Ok((key, node))
        })
        .buffered(OBJECTS_AT_ONCE)
        .try_collect()
        .await?;
    let there = |(key, node): (ObjectKey, Option<Node>)| {
        if node.is_none() {
            talk::warning(&format!("{key} is not in the cluster"));
        }
        Some((key, node?))
    };
    Ok(found.into_iter().filter_map(there).collect())
}
