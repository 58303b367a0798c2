//! Deletion of exactly the object that was judged. Entry point: [`Cluster::delete`].

use serde_json::json;
use trueup_object::ObjectKey;

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::Kind;
use crate::request::{Call, JSON};

/// What becomes of the objects that belong to a deleted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go first; the object stays, marked, until they are gone.
    #[default]
    Foreground,
    /// The object goes at once, they afterwards.
    Background,
    /// They stay.
    Orphan,
}

impl Propagation {
    fn name(self) -> &'static str {
        match self {
            Self::Foreground => "Foreground",
            Self::Background => "Background",
            Self::Orphan => "Orphan",
        }
    }
}

impl Cluster {
    /// Deletes an object if it is still the one with this uid at this version; else the answer is a conflict. The index
    /// learns of it from the watch alone.
    pub async fn delete(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        uid: &str,
        resource_version: &str,
        propagation: Propagation,
    ) -> Result<(), ClusterError> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
            "propagationPolicy": propagation.name(),
        });
        let call = Call::new(Verb::Delete, kind, self.shared().object(kind, &key.namespace, &key.name)?);
        let call = call.with_body(JSON, options.to_string().into_bytes(), false);
        self.write(call).await.map(drop)
    }
}
