//! How the cluster is found: a kubeconfig, or the service account of the pod. Entry point: [`client`].

use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::Client;
use kube::client::{AuthError, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::error::ClusterError;
use crate::gate::Connections;
use crate::proxy::excluded;

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent while an answer is due. The API server sends a bookmark a minute even on the
/// watch of a silent kind, so after two and a half there is nobody.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(150);

/// How much of a plugin's words is shown, in characters: a sentence or two.
const COMPLAINT_MAX: usize = 300;

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
            let wrong = |error: &(dyn Error + 'static)| wrong(&format!("kubeconfig {}", path.display()), error);
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
    let plugin = settings.auth_info.exec.as_ref().and_then(|plugin| plugin.command.clone());
    let client =
        ClientBuilder::try_from((settings, connections)).map_err(|error| match (plugin_fault(&error), plugin) {
            (Some(fault), Some(plugin)) => {
                ClusterError::Configuration { message: format!("the exec plugin '{plugin}' of the kubeconfig {fault}") }
            }
            _ => wrong("client", &error),
        })?;
    Ok((client.build(), server))
}

fn wrong(what: &str, error: &(dyn Error + 'static)) -> ClusterError {
    ClusterError::Configuration { message: format!("{what}: {}", chain(error)) }
}

/// What is wrong with the program that a kubeconfig has for its logins, if that is it. The client's own words hold all that it
/// was called with and all that it printed: tokens.
fn plugin_fault(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<AuthError>() {
            Some(AuthError::AuthExecStart(why)) if why.kind() == ErrorKind::NotFound => {
                return Some("is not there: install it, or write its whole path".to_owned());
            }
            Some(AuthError::AuthExecStart(why)) => return Some(format!("cannot be started: {why}")),
            Some(AuthError::AuthExecRun { out, .. }) => {
                return Some(format!("ended with {}{}", out.status, complaint(&out.stderr)));
            }
            Some(AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed) => {
                return Some("printed no ExecCredential with a status: run it by hand to see why".to_owned());
            }
            _ => cause = error.source(),
        }
    }
    None
}

/// What a program said on stderr, which is meant for people, on one line.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = words.chars().filter(|it| !it.is_control()).take(COMPLAINT_MAX).collect();
    if shown.is_empty() { ": it does not say why".to_owned() } else { format!(": {shown}") }
}

/// An error with its causes, none of them twice.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(fault) = plugin_fault(error) {
        return format!("the exec plugin of the kubeconfig {fault}");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;

    async fn said(plugin: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}],
             clusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:1'}}}}], users: [{{name: a, user: {{exec: {{
             apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, env: [{{name: TOKEN, value: hunter2}}], {plugin}}}}}}}]}}"
        );
        std::fs::write(&path, text).unwrap();
        let config = Config { kubeconfig: Some(path), ..Config::default() };
        client(config, Gate::new().connections()).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_plugin_that_fails_is_named_and_nothing_that_it_knows() {
        let missing = said("command: no-such-plugin, args: [--token=hunter2]").await;
        assert!(missing.contains("the exec plugin 'no-such-plugin' of the kubeconfig is not there"), "{missing}");
        let failing = said("command: sh, args: [-c, 'echo hunter2; echo log in first >&2; exit 3']").await;
        let words = "the exec plugin 'sh' of the kubeconfig ended with exit status: 3: log in first";
        assert!(failing.contains(words), "{failing}");
        let silent = said("command: sh, args: [-c, 'exit 1']").await;
        assert!(silent.contains("exit status: 1: it does not say why"), "{silent}");
        let garbage = said("command: echo, args: [token, hunter2]").await;
        assert!(garbage.contains("printed no ExecCredential"), "{garbage}");
        for words in [missing, failing, silent, garbage] {
            assert!(!words.contains("hunter2"), "{words}");
        }
    }
}
