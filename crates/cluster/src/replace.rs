//! An object put in the place of another, as a whole. Entry point: [`Cluster::replace`].

use std::sync::Arc;

use trueup_diff::MANAGER;
use trueup_object::Node;

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::Kind;
use crate::live::Live;
use crate::request::{Call, JSON};

impl Cluster {
    /// Replaces an object if it still has this version; else the answer is a conflict. What the body lacks goes, but for what
    /// the server keeps itself. The answer is in the index.
    pub async fn replace(
        &self,
        kind: &Kind,
        body: &Node,
        resource_version: &str,
        validate: bool,
    ) -> Result<Arc<Live>, ClusterError> {
        let namespace = body.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let name = body.str_at(&["metadata", "name"]).unwrap_or_default();
        let validation = if validate { "Strict" } else { "Ignore" };
        let address = self.shared().object(kind, namespace, name)?;
        let address = format!("{address}?fieldManager={MANAGER}&fieldValidation={validation}");
        let mut body = body.clone();
        body.set_at(&["metadata", "resourceVersion"], resource_version.into());
        let call = Call::new(Verb::Replace, kind, address).with_body(JSON, body.to_json(), kind.is_secret());
        let _writing = self.writing(kind, kind.key(namespace, name));
        let answer = self.write(call).await?;
        self.enter(kind, answer)
    }
}
