//! A new object by POST, where apply cannot be: it must not exist yet. Entry point: [`Cluster::create`].

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
    /// Creates an object; [`ClusterError::AlreadyExists`] if there is one of this name. The answer is in the index. Fields that
    /// the server does not know are left out by it.
    pub async fn create(&self, kind: &Kind, body: &Node) -> Result<Arc<Live>, ClusterError> {
        self.post(kind, body, "").await
    }

    /// The same; with `validate`, unknown and duplicate fields are refused.
    pub async fn create_validated(&self, kind: &Kind, body: &Node, validate: bool) -> Result<Arc<Live>, ClusterError> {
        self.post(kind, body, if validate { "&fieldValidation=Strict" } else { "&fieldValidation=Ignore" }).await
    }

    /// Asks whether the server would take an object that is there already as a new one: it checks an object before it looks
    /// whether there is one of this name.
    pub async fn would_create(&self, kind: &Kind, body: &Node) -> Result<(), ClusterError> {
        let namespace = body.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let address = format!("{}?fieldManager={MANAGER}&dryRun=All", self.shared().collection_in(kind, namespace)?);
        let call = Call::new(Verb::Create, kind, address).with_body(JSON, body.to_json(), kind.is_secret());
        match self.write(call).await {
            Ok(_) | Err(ClusterError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, kind: &Kind, body: &Node, further: &str) -> Result<Arc<Live>, ClusterError> {
        let namespace = body.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let address = format!("{}?fieldManager={MANAGER}{further}", self.shared().collection_in(kind, namespace)?);
        let call = Call::new(Verb::Create, kind, address).with_body(JSON, body.to_json(), kind.is_secret());
        let name = body.str_at(&["metadata", "name"]).unwrap_or_default();
        let _writing = self.writing(kind, kind.key(namespace, name));
        let answer = self.write(call).await?;
        self.enter(kind, answer)
    }

    /// Creates an object of our own kinds, or asks what would come of it; unknown and duplicate fields are refused. The answer
    /// is its text, and stays out of the index.
    pub async fn create_raw(&self, kind: &Kind, body: &Node, dry_run: bool) -> Result<Vec<u8>, ClusterError> {
        let namespace = body.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        // Without a manager the server takes the name from the user agent.
        let address = format!("{}?fieldValidation=Strict{dry_run}", kind.collection(Some(namespace))?);
        let call = Call::new(Verb::Create, kind, address).with_body(JSON, body.to_json(), kind.is_secret());
        self.write(call).await
    }
}
