//! The schemas of kinds, reduced to what comparisons need.
//!
//! Keeps one reduced schema per kind that was asked for. Invariants: a document of the API server is held only while it
//! is reduced, one at a time; a schema of a definition is kept for the definition's generation only. Entry point:
//! [`Cluster::openapi`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use trueup_diff::Schema;
use trueup_object::{Gvk, Node};

use crate::Cluster;
use crate::cluster::lock;
use crate::counters::Verb;
use crate::error::{Absent, ClusterError};
use crate::kind::{Kind, KindError, escape};
use crate::request::Call;

/// The schemas that were asked for.
#[derive(Default)]
pub(crate) struct Schemas {
    known: Mutex<HashMap<Gvk, Known>>,
    /// The addresses of the documents by group and version, once read. Held while a document is.
    documents: tokio::sync::Mutex<Option<HashMap<String, String>>>,
}

struct Known {
    schema: Arc<Schema>,
    /// The generation of the definition that it was read from.
    generation: Option<i64>,
}

#[derive(Deserialize)]
struct Documents {
    paths: HashMap<String, Document>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "serverRelativeURL")]
    address: String,
}

// === impl Schemas ===

impl Schemas {
    /// Forgets the schema of a kind.
    pub(crate) fn forget(&self, gvk: &Gvk) {
        lock(&self.known).remove(gvk);
    }

    fn get(&self, gvk: &Gvk, generation: Option<i64>) -> Option<Arc<Schema>> {
        let known = lock(&self.known);
        known.get(gvk).filter(|known| known.generation == generation).map(|known| Arc::clone(&known.schema))
    }

    fn keep(&self, gvk: &Gvk, schema: Schema, generation: Option<i64>) -> Arc<Schema> {
        let schema = Arc::new(schema);
        lock(&self.known).insert(gvk.clone(), Known { schema: Arc::clone(&schema), generation });
        schema
    }
}

// === impl Cluster ===

impl Cluster {
    /// The reduced schema of a kind; one that knows nothing if the server has none. The first asking costs one or two
    /// requests, all others of its kind none.
    pub async fn openapi(&self, gvk: &Gvk) -> Result<Arc<Schema>, ClusterError> {
        let kind = self.kind(gvk).await.map_err(|error| match error {
            KindError::NotServed(_) => ClusterError::NotFound(Absent::Kind),
            KindError::Failed { message, .. } => ClusterError::Unavailable { message },
        })?;
        let shared = self.shared();
        let generation = shared.definitions.generation(&gvk.group, &kind.plural);
        if let Some(schema) = shared.schemas.get(gvk, generation) {
            return Ok(schema);
        }
        let mut documents = shared.schemas.documents.lock().await;
        // Who waited for another's reading has its answer.
        if let Some(schema) = shared.schemas.get(gvk, generation) {
            return Ok(schema);
        }
        if generation.is_some()
            && let Some(schema) = self.read_definition(&kind).await?
        {
            return Ok(shared.schemas.keep(gvk, schema, generation));
        }
        self.read_document(gvk, &mut documents, generation).await
    }

    /// Forgets all schemas: they are read again when they are next asked for. For a server that has been upgraded.
    pub async fn forget_schemas(&self) {
        let mut documents = self.shared().schemas.documents.lock().await;
        *documents = None;
        lock(&self.shared().schemas.known).clear();
    }

    /// From the definition itself: the document shows it up to a second later.
    async fn read_definition(&self, kind: &Kind) -> Result<Option<Schema>, ClusterError> {
        let mut address = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/".to_owned();
        escape(&mut address, &format!("{}.{}", kind.plural, kind.gvk.group));
        let answer = match self.requests().send(&Call::read(Verb::Discover, address)).await {
            Ok(answer) => answer,
            Err(ClusterError::NotFound(_) | ClusterError::Forbidden { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let definition = Node::from_json(&answer).map_err(|_| unreadable("definition"))?;
        Ok(Schema::from_crd(&definition, &kind.gvk.version))
    }

    async fn read_document(
        &self,
        gvk: &Gvk,
        documents: &mut Option<HashMap<String, String>>,
        generation: Option<i64>,
    ) -> Result<Arc<Schema>, ClusterError> {
        let schemas = &self.shared().schemas;
        let addresses = match documents {
            Some(addresses) => addresses,
            None => documents.insert(self.documents().await?),
        };
        let path = if gvk.group.is_empty() { "api/v1".to_owned() } else { format!("apis/{}", gvk.api_version()) };
        let Some(address) = addresses.get(&path) else {
            // A group that came after the addresses were read: they are read anew for the next who asks.
            *documents = None;
            return Ok(Arc::new(Schema::unknown()));
        };
        let answer = match self.requests().send(&Call::read(Verb::Discover, address.clone())).await {
            Ok(answer) => answer,
            Err(error) => {
                // The address holds a hash, which may be of yesterday.
                *documents = None;
                return Err(error);
            }
        };
        // The document holds all kinds of its group and version: what is watched will be asked for too.
        for other in self.shared().index().watched(&gvk.group, &gvk.version) {
            if other != *gvk
                && schemas.get(&other, None).is_none()
                && let Ok(schema) = Schema::from_openapi_v3(&answer, &other)
            {
                schemas.keep(&other, schema, None);
            }
        }
        let schema = Schema::from_openapi_v3(&answer, gvk).unwrap_or_else(|error| {
            tracing::debug!(%gvk, %error, "no schema");
            Schema::unknown()
        });
        Ok(schemas.keep(gvk, schema, generation))
    }

    async fn documents(&self) -> Result<HashMap<String, String>, ClusterError> {
        let answer = self.requests().send(&Call::read(Verb::Discover, "/openapi/v3".to_owned())).await?;
        let documents: Documents = serde_json::from_slice(&answer).map_err(|_| unreadable("list of documents"))?;
        Ok(documents.paths.into_iter().map(|(path, document)| (path, document.address)).collect())
    }
}

fn unreadable(what: &str) -> ClusterError {
    ClusterError::Malformed { message: format!("it is no {what}") }
}
