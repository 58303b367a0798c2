//! Labels and annotations of an object that is otherwise not ours. Entry point: [`Cluster::apply_metadata`].

use std::sync::Arc;

use trueup_object::Node;

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::{Kind, escape};
use crate::live::Live;
use crate::request::{APPLY_PATCH, Call};

impl Cluster {
    /// Applies an object that holds labels and annotations alone, as a field manager of their own: what that manager applied
    /// before and the object lacks now goes, and nothing else is touched. The answer is in the index.
    pub async fn apply_metadata(&self, kind: &Kind, body: &Node, manager: &str) -> Result<Arc<Live>, ClusterError> {
        let namespace = body.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let name = body.str_at(&["metadata", "name"]).unwrap_or_default();
        let mut address = format!("{}?force=true&fieldManager=", self.shared().object(kind, namespace, name)?);
        escape(&mut address, manager);
        let call = Call::new(Verb::Apply, kind, address).with_body(APPLY_PATCH, body.to_json(), kind.is_secret());
        let _writing = self.writing(kind, kind.key(namespace, name));
        let answer = self.write(call).await?;
        self.enter(kind, answer)
    }
}
