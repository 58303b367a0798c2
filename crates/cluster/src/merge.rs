//! A patch that is merged into an object: client-side apply, where the server's own cannot be. Entry point: [`Cluster::merge`].

use std::sync::Arc;

use trueup_diff::MANAGER;
use trueup_object::{Node, ObjectKey};

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::Kind;
use crate::live::Live;
use crate::request::{Call, MERGE_PATCH, STRATEGIC_PATCH};

/// How a patch is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// As the kind itself says, lists item by item, with directives: built-in kinds only.
    Strategic,
    /// Maps key by key, lists as a whole (RFC 7386): every kind.
    Json,
}

impl Cluster {
    /// Merges a patch into an object if it still has this version; else the answer is a conflict. The answer is in the index.
    pub async fn merge(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        patch: &Node,
        how: Merge,
        resource_version: &str,
        validate: bool,
    ) -> Result<Arc<Live>, ClusterError> {
        let validation = if validate { "Strict" } else { "Ignore" };
        let address = self.shared().object(kind, &key.namespace, &key.name)?;
        let address = format!("{address}?fieldManager={MANAGER}&fieldValidation={validation}");
        let content_type = match how {
            Merge::Strategic => STRATEGIC_PATCH,
            Merge::Json => MERGE_PATCH,
        };
        let mut patch = patch.clone();
        patch.set_at(&["metadata", "resourceVersion"], resource_version.into());
        let call = Call::new(Verb::Patch, kind, address).with_body(content_type, patch.to_json(), kind.is_secret());
        let _writing = self.writing(kind, key.clone());
        let answer = self.write(call).await?;
        self.enter(kind, answer)
    }
}
