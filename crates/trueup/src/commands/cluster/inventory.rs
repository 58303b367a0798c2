//! The kinds that Applications have brought to the cluster so far, and where. Entry point: [`read`].

use std::collections::BTreeSet;

use trueup_api::crd;
use trueup_cluster::Cluster;
use trueup_object::{Gvk, Node};

/// One kind in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Brought {
    /// Empty for objects without a namespace.
    pub(super) namespace: String,
    pub(super) group: String,
    /// The plural name.
    pub(super) resource: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Inventory(BTreeSet<Brought>);

/// What can be read of the Applications.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) inventory: Inventory,
    /// How many Applications there are.
    pub(super) count: usize,
    /// Why some could not be read.
    pub(super) failed: Option<String>,
}

/// Reads the Applications of these namespaces, as far as that is permitted.
pub(super) async fn read(cluster: &Cluster, namespaces: &[String]) -> Read {
    let gvk = Gvk { group: crd::GROUP.into(), version: crd::VERSION.into(), kind: "Application".into() };
    let kind = match cluster.kind(&gvk).await {
        Ok(kind) => kind,
        Err(error) => return Read { failed: Some(error.to_string()), ..Read::default() },
    };
    let (mut all, mut count, mut failed) = (BTreeSet::new(), 0, None);
    for namespace in namespaces {
        let listed = match cluster.list_raw(&kind, Some(namespace), None).await {
            Ok(listed) => listed,
            Err(error) => {
                failed = Some(format!("those in namespace '{namespace}' cannot be read: {error}"));
                continue;
            }
        };
        for raw in &listed {
            let Ok(node) = Node::from_json(raw.json.get().as_bytes()) else { continue };
            count += 1;
            for resource in node.list_at(&["status", "resources"]) {
                let text = |key: &str| resource.str_at(&[key]).unwrap_or_default();
                let gvk =
                    Gvk { group: text("group").into(), version: text("version").into(), kind: text("kind").into() };
                // What is not served cannot be granted either.
                let Some(served) = cluster.known_kind(&gvk) else { continue };
                let namespace = if served.namespaced { text("namespace").to_owned() } else { String::new() };
                all.insert(Brought { namespace, group: gvk.group.to_string(), resource: served.plural });
            }
        }
    }
    Read { inventory: Inventory(all), count, failed }
}

// === impl Inventory ===

impl Inventory {
    /// An inventory of these.
    #[cfg(test)]
    pub(super) fn of(brought: impl IntoIterator<Item = Brought>) -> Self {
        Self(brought.into_iter().collect())
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Brought> {
        self.0.iter()
    }

    /// How many kinds there are, whatever the namespace.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|kind| (&kind.group, &kind.resource)).collect::<BTreeSet<_>>().len()
    }
}
