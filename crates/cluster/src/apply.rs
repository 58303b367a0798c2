//! Server-side apply: the one way by which we change what Git describes. Entry point: [`Cluster::apply`].

use std::sync::Arc;

use trueup_diff::MANAGER;
use trueup_object::Node;

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::Kind;
use crate::live::{Live, answered};
use crate::request::{APPLY_PATCH, Call};

/// How an object is applied.
#[derive(Clone, Debug, Default)]
pub struct Apply {
    /// Only ask what would come of it.
    pub dry_run: bool,
    /// Only if the object still has this version; else the answer is a conflict.
    pub resource_version: Option<String>,
    /// Whether unknown and duplicate fields are refused (`fieldValidation`). Server-side apply refuses unknown fields of
    /// kinds with a schema either way.
    pub validate: bool,
}

impl Cluster {
    /// Applies an object as manager `trueup`, by force. The answer is the object as it is now, or would be; after a real
    /// apply it is in the index.
    pub async fn apply(&self, kind: &Kind, body: &Node, how: Apply) -> Result<Arc<Live>, ClusterError> {
        let namespace = body.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let name = body.str_at(&["metadata", "name"]).unwrap_or_default();
        let address = self.shared().object(kind, namespace, name)?;
        let validation = if how.validate { "Strict" } else { "Ignore" };
        let dry_run = if how.dry_run { "&dryRun=All" } else { "" };
        let address = format!("{address}?fieldManager={MANAGER}&force=true&fieldValidation={validation}{dry_run}");
        let json = match how.resource_version {
            None => body.to_json(),
            Some(version) => {
                let mut body = body.clone();
                body.set_at(&["metadata", "resourceVersion"], Node::from(version));
                body.to_json()
            }
        };
        let verb = if how.dry_run { Verb::DryRun } else { Verb::Apply };
        let call = Call::new(verb, kind, address).with_body(APPLY_PATCH, json, kind.is_secret());
        if how.dry_run {
            return answered(kind, self.write(call).await?);
        }
        let _writing = self.writing(kind, kind.key(namespace, name));
        let answer = self.write(call).await?;
        self.enter(kind, answer)
    }
}
