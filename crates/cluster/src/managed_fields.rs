//! Rewrites who owns the fields of an object, and nothing else. Entry point: [`Cluster::patch_managed_fields`].

use std::sync::Arc;

use serde_json::json;
use trueup_diff::MANAGER;
use trueup_object::{Node, ObjectKey};

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::Kind;
use crate::live::Live;
use crate::request::{Call, JSON_PATCH};

impl Cluster {
    /// Replaces `metadata.managedFields` of the object at this version; a conflict if it has another by now.
    ///
    /// The guard is a `replace` of the version, not a `test`: what fails a test is told by the server like an invalid
    /// object, what carries an old version is told as a conflict.
    pub async fn patch_managed_fields(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        resource_version: &str,
        fields: &Node,
    ) -> Result<Arc<Live>, ClusterError> {
        let patch = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        ]);
        let address = format!("{}?fieldManager={MANAGER}", self.shared().object(kind, &key.namespace, &key.name)?);
        let call = Call::new(Verb::Patch, kind, address);
        let call = call.with_body(JSON_PATCH, patch.to_string().into_bytes(), kind.is_secret());
        let _writing = self.writing(kind, key.clone());
        let answer = self.write(call).await?;
        self.enter(kind, answer)
    }
}
