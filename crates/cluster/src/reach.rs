//! Which objects are looked after: those of the whole cluster, or of one namespace and what has none.
//!
//! Invariant: an object of another namespace is neither watched nor asked for nor written, so that what is not seen there
//! cannot be taken for missing and made. Entry points: [`Cluster::confine`], and [`Shared::object`] and
//! [`Shared::collection`] for the addresses of everything that comes from Git.

use std::sync::OnceLock;

use crate::Cluster;
use crate::cluster::Shared;
use crate::error::ClusterError;
use crate::kind::Kind;

/// The namespace that is looked after, if only one is.
#[derive(Default)]
pub(crate) struct Reach(OnceLock<String>);

impl Cluster {
    /// Looks after the objects of one namespace only. To be called before anything is watched; the first call counts.
    pub fn confine(&self, namespace: &str) {
        let _ = self.shared().reach.0.set(namespace.to_owned());
    }
}

// === impl Shared ===

impl Shared {
    /// The address of all objects of a kind that are looked after.
    pub(crate) fn collection(&self, kind: &Kind) -> Result<String, ClusterError> {
        kind.collection(self.reach.0.get().map(String::as_str))
    }

    /// The address of one object.
    pub(crate) fn object(&self, kind: &Kind, namespace: &str, name: &str) -> Result<String, ClusterError> {
        self.within(kind, namespace)?;
        kind.object(namespace, name)
    }

    /// The address that makes objects in a namespace.
    pub(crate) fn collection_in(&self, kind: &Kind, namespace: &str) -> Result<String, ClusterError> {
        self.within(kind, namespace)?;
        kind.collection(Some(namespace))
    }

    fn within(&self, kind: &Kind, namespace: &str) -> Result<(), ClusterError> {
        match self.reach.0.get() {
            Some(only) if kind.namespaced && only != namespace => Err(ClusterError::Forbidden {
                message: format!(
                    "namespace '{namespace}' is not looked after: this controller was started for '{only}' alone (--destination-namespace)"
                ),
            }),
            _ => Ok(()),
        }
    }
}
