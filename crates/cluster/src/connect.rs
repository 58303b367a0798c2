//! How the cluster is found: a kubeconfig, or the service account of the pod. Entry point: [`client`].

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::error::ClusterError;
use crate::gate::Connections;
use crate::proxy::excluded;

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent while an answer is due. The API server sends a bookmark a minute even on the
/// watch of a silent kind, so after two and a half there is nobody.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(150);

/// How to find the cluster, and how to introduce oneself.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The kubeconfig; else `$KUBECONFIG` or `~/.kube/config`, else the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; else its current one.
    pub context: Option<String>,
    /// What the audit log calls us.
    pub user_agent: String,
}

/// A client whose connections are run so, and the address of the API server. Nothing is asked yet.
///
/// Answers are never decoded by the client itself: it would log a body that does not decode, and with it its secrets.
/// Nor does it try again by itself: who asks knows whether and when that is right.
pub(crate) async fn client(config: Config, connections: Connections) -> Result<(Client, String), ClusterError> {
    let options = KubeConfigOptions { context: config.context, ..KubeConfigOptions::default() };
    let mut settings = match &config.kubeconfig {
        Some(path) => {
            let wrong = |error: &dyn std::error::Error| wrong(&format!("kubeconfig {}", path.display()), error);
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| wrong(&error))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| wrong(&error))?
        }
        None if options.context.is_some() => {
            kube::Config::from_kubeconfig(&options).await.map_err(|error| wrong("kubeconfig", &error))?
        }
        None => kube::Config::infer().await.map_err(|error| wrong("no kubeconfig and no service account", &error))?,
    };
    if let Some(proxy) = &settings.proxy_url {
        let variable =
            |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
        // A proxy that the kubeconfig names is meant for this very server.
        let of_environment = variable(["HTTPS_PROXY", "https_proxy"])
            .is_some_and(|url| url.parse::<http::Uri>().is_ok_and(|url| url == *proxy));
        let host = settings.cluster_url.host().unwrap_or_default();
        if of_environment && variable(["NO_PROXY", "no_proxy"]).is_some_and(|list| excluded(host, &list)) {
            settings.proxy_url = None;
        }
    }
    let agent = HeaderValue::from_str(&config.user_agent).map_err(|error| wrong("user agent", &error))?;
    settings.headers.push((USER_AGENT, agent));
    settings.connect_timeout = Some(CONNECT_TIMEOUT);
    settings.read_timeout = Some(SILENCE_MAX);
    // The time that a connection lay idle in the pool is not the server's silence.
    settings.reset_reader_on_write = true;
    settings.default_retry = false;
    let server = settings.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = ClientBuilder::try_from((settings, connections)).map_err(|error| wrong("client", &error))?;
    Ok((client.build(), server))
}

fn wrong(what: &str, error: &dyn std::error::Error) -> ClusterError {
    ClusterError::Configuration { message: format!("{what}: {}", chain(error)) }
}

/// An error with its causes, none of them twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
