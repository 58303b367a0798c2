//! How a command reaches the cluster, and what to do if it cannot.

use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCompleter;
use trueup_cluster::{Cluster, ClusterError, Config, KindError};

use crate::command_error::{CommandError, cluster_error, cluster_error_with_message};
use crate::commands::version::VERSION;
use crate::complete;

/// The namespace where none is named: Argo CD's.
pub(crate) const DEFAULT_NAMESPACE: &str = "argocd";

/// The arguments of every command that talks to a cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct AccessArgs {
    /// The namespace of the Applications.
    #[arg(
        short = 'n',
        long,
        env = "TRUEUP_NAMESPACE",
        default_value = DEFAULT_NAMESPACE,
        visible_short_alias = 'N',
        visible_alias = "app-namespace",
        help_heading = "Cluster",
        add = ArgValueCompleter::new(complete::namespaces)
    )]
    pub(crate) namespace: String,
    /// The kubeconfig; without it $KUBECONFIG, then ~/.kube/config, then the pod's own account.
    #[arg(long, env = "TRUEUP_KUBECONFIG", value_name = "FILE", help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one if not given.
    #[arg(long, value_name = "NAME", help_heading = "Cluster", add = ArgValueCompleter::new(complete::contexts))]
    pub(crate) context: Option<String>,
}

/// How to install the definitions that are missing.
const INSTALL: &str = "install them: trueup crds | kubectl apply --server-side --force-conflicts -f -";

// === impl AccessArgs ===

impl AccessArgs {
    /// Connects; nothing is asked yet.
    pub(crate) async fn connect(&self) -> Result<Cluster, CommandError> {
        let config = Config {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            user_agent: format!("trueup-cli/{VERSION}"),
        };
        Cluster::connect(config).await.map_err(|error| explained("cannot use the cluster", error))
    }
}

/// An error of the cluster with what to do next.
pub(crate) fn explained(doing: &str, error: ClusterError) -> CommandError {
    let hint = match &error {
        // The library's own words are for the controller, which looks again.
        ClusterError::Conflict => {
            return cluster_error(format!("{doing}: somebody else changes it at the same time, again and again"))
                .hinted("nothing was changed: try again");
        }
        ClusterError::Configuration { .. } => {
            "name a kubeconfig with --kubeconfig or KUBECONFIG, and its context with --context"
        }
        ClusterError::Unavailable { .. } => {
            "check that the cluster runs and that this is the right context: kubectl get --raw /readyz"
        }
        ClusterError::Forbidden { .. } => "ask for a role that may do this, or use another --kubeconfig or --context",
        _ => return cluster_error_with_message(doing, error),
    };
    cluster_error_with_message(doing, error).hinted(hint)
}

/// Why there are no Applications in this cluster at all.
pub(crate) fn without_applications(error: KindError) -> CommandError {
    match error {
        KindError::NotServed(_) => {
            cluster_error("the cluster does not know Applications: the CustomResourceDefinitions are not installed")
                .hinted(INSTALL)
                .hinted("or this is not the cluster that you mean: check --kubeconfig and --context")
        }
        KindError::Failed { .. } => cluster_error(error)
            .hinted("check that the cluster runs and that this is the right context: kubectl get --raw /readyz"),
    }
}
