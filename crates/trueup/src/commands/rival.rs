//! Argo CD's own controller beside ours: while it runs, ours writes nothing. Entry point: [`rival`].

use std::fmt;

use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_controller::RIVAL_LABELS;
use trueup_object::{Gvk, Node};

/// The kinds that run it, with their plural names.
const KINDS: [(&str, &str); 2] = [("StatefulSet", "statefulsets"), ("Deployment", "deployments")];

/// A workload that runs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    kind: &'static str,
    name: String,
}

/// The workload that runs it in a namespace, if there is one.
pub(crate) async fn rival(cluster: &Cluster, namespace: &str) -> Result<Option<Rival>, ClusterError> {
    for (name, plural) in KINDS {
        let kind = Kind {
            gvk: Gvk::from_api_version("apps/v1", name),
            plural: plural.to_owned(),
            namespaced: true,
            scale: true,
            status: true,
            watchable: true,
        };
        let listed = cluster.list_raw(&kind, Some(namespace), Some(RIVAL_LABELS)).await?;
        let mut nodes = listed.iter().filter_map(|raw| Node::from_json(raw.json.get().as_bytes()).ok());
        if let Some(rival) = nodes.find_map(|node| Rival::running(name, &node)) {
            return Ok(Some(rival));
        }
    }
    Ok(None)
}

// === impl Rival ===

impl Rival {
    fn running(kind: &'static str, workload: &Node) -> Option<Self> {
        // Absent replicas are one.
        let replicas = workload.i64_at(&["spec", "replicas"]).unwrap_or(1);
        let name = workload.str_at(&["metadata", "name"]).unwrap_or_default();
        (replicas > 0).then(|| Self { kind, name: name.to_owned() })
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}'", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_while_it_has_replicas() {
        let running = |json: &str| {
            let rival = Rival::running("StatefulSet", &Node::from_json(json.as_bytes()).unwrap());
            rival.map(|rival| rival.to_string())
        };
        let expected = Some("StatefulSet 'c'".to_owned());
        assert_eq!(running(r#"{"metadata":{"name":"c"},"spec":{"replicas":1}}"#), expected);
        assert_eq!(running(r#"{"metadata":{"name":"c"}}"#), expected);
        assert_eq!(running(r#"{"metadata":{"name":"c"},"spec":{"replicas":0}}"#), None);
    }
}
