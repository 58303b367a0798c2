//! What the controller finds on a cluster besides permissions: the server, our definitions, and whether Argo CD runs.
//! Entry point: [`Facts::read`].

use serde::Serialize;
use trueup_api::crd;
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_object::{Gvk, Node};

use crate::commands::rival::rival;

/// The first minor version of Kubernetes 1 whose server-side apply is not a preview.
const APPLY_SINCE_MINOR: u32 = 22;

/// One thing, how it is, and whether that will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) message: String,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum State {
    /// As it should be.
    Good,
    /// It works, but somebody should know.
    Notable,
    /// Nothing works without it.
    Missing,
}

/// What is found, in the order to tell it.
#[derive(Debug)]
pub(super) struct Facts(pub(super) Vec<Fact>);

// === impl Facts ===

impl Facts {
    /// Asks; an error means that the API server cannot be asked at all.
    pub(super) async fn read(cluster: &Cluster, namespace: &str) -> Result<Self, ClusterError> {
        let version = cluster.version().await?;
        let mut facts = vec![server(cluster.server(), &version.git_version, &version.major, &version.minor)];
        for (name, kind, plural) in
            [("Applications", "Application", "applications"), ("AppProjects", "AppProject", "appprojects")]
        {
            facts.push(definition(cluster, name, kind, plural).await);
        }
        facts.push(argo_cd(cluster, namespace).await);
        Ok(Self(facts))
    }

    /// Whether something is missing.
    pub(super) fn lack(&self) -> bool {
        self.0.iter().any(|fact| fact.state == State::Missing)
    }
}

fn server(address: &str, version: &str, major: &str, minor: &str) -> Fact {
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>();
    // A server that numbers itself otherwise is no older than this.
    let old = number(major) == Ok(1) && number(minor).is_ok_and(|minor| minor < APPLY_SINCE_MINOR);
    let (state, apply) = if old {
        (State::Missing, format!("has no finished server-side apply: upgrade to 1.{APPLY_SINCE_MINOR} or newer"))
    } else {
        (State::Good, "server-side apply".to_owned())
    };
    Fact { name: "Server", state, message: format!("{version} at {address}, {apply}") }
}

async fn definition(cluster: &Cluster, name: &'static str, kind: &str, plural: &str) -> Fact {
    let fact = |state, message: String| Fact { name, state, message };
    let gvk = Gvk { group: crd::GROUP.into(), version: crd::VERSION.into(), kind: kind.into() };
    if let Err(error) = cluster.kind(&gvk).await {
        let install = "install: trueup crds | kubectl apply --server-side --force-conflicts -f -";
        return fact(State::Missing, format!("{error}; {install}"));
    }
    let served = format!("served at {}/{}", crd::GROUP, crd::VERSION);
    let definitions = Kind {
        gvk: Gvk::from_api_version("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        plural: "customresourcedefinitions".to_owned(),
        namespaced: false,
        scale: false,
        status: true,
        watchable: true,
    };
    let text = match cluster.get_raw(&definitions, "", &format!("{plural}.{}", crd::GROUP)).await {
        Ok(Some(text)) => text,
        Ok(None) => return fact(State::Good, served),
        Err(error) => return fact(State::Good, format!("{served}; the definition cannot be read: {error}")),
    };
    if kind == "Application" && !keeps_drift(&text) {
        let message = format!("{served}, but Argo CD's: status.drift is not kept; install ours with 'trueup crds'");
        return fact(State::Notable, message);
    }
    fact(State::Good, served)
}

/// Whether the API server keeps what we add to the status.
fn keeps_drift(definition: &[u8]) -> bool {
    let Ok(definition) = Node::from_json(definition) else { return false };
    let path = ["schema", "openAPIV3Schema", "properties", "status", "properties", "drift"];
    let ours = |version: &&Node| version.str_at(&["name"]) == Some(crd::VERSION);
    let versions = definition.list_at(&["spec", "versions"]);
    versions.iter().find(ours).is_some_and(|version| version.at(&path).is_some())
}

async fn argo_cd(cluster: &Cluster, namespace: &str) -> Fact {
    let fact = |state, message: String| Fact { name: "Argo CD", state, message };
    match rival(cluster, namespace).await {
        Ok(None) => fact(State::Good, format!("no application controller of it runs in namespace '{namespace}'")),
        Ok(Some(rival)) => fact(
            State::Notable,
            format!("{rival} runs its application controller: Trueup only compares until it is scaled to 0"),
        ),
        Err(error) => fact(State::Notable, format!("cannot be looked for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_told() {
        let state = |minor: &str| server("https://a", "v", "1", minor).state;
        assert_eq!(
            [state("21"), state("21+"), state("22+"), state("36")].map(|it| it == State::Missing),
            [true, true, false, false]
        );
    }

    #[test]
    fn only_our_definition_keeps_drift() {
        let ours = crd::application().to_string();
        assert!(keeps_drift(ours.as_bytes()));
        assert!(!keeps_drift(ours.replace("\"drift\"", "\"other\"").as_bytes()));
    }
}
