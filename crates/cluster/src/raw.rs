//! Our own kinds, as the API server sends them: who reads them decodes item by item, so that one that does not decode
//! is its own error. Entry points: [`Cluster::watch_raw`], [`Cluster::get_raw`], [`Cluster::patch_json`].

use std::fmt;
use std::sync::Arc;

use futures::Stream;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

use crate::Cluster;
use crate::counters::Verb;
use crate::error::{Absent, ClusterError};
use crate::feed::{Feed, FeedEvent, Form, Sink};
use crate::head::Head;
use crate::kind::Kind;
use crate::request::{Call, JSON_PATCH};

/// How many events wait for their reader before the watch itself waits.
const EVENTS_WAITING: usize = 64;

/// An object as the API server sent it, and what tells it from others.
#[derive(Clone)]
pub struct Raw {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The identity.
    pub uid: String,
    /// The version.
    pub resource_version: String,
    /// The whole text.
    pub json: Box<RawValue>,
}

/// What a raw watch tells.
#[derive(Clone, Debug)]
pub enum RawEvent {
    /// A listing begins: what it does not show until [`Self::InitDone`] is gone.
    Init,
    /// An object of the listing.
    InitApply(Raw),
    /// The listing is complete.
    InitDone,
    /// An object came or changed.
    Apply(Raw),
    /// An object went.
    Delete(Raw),
    /// Something failed and is tried again.
    Error(ClusterError),
}

struct RawSink(mpsc::Sender<RawEvent>);

impl Cluster {
    /// Watches a kind, in one namespace or all, where labels match or all. It never ends and backs off by itself; when it
    /// is dropped, the watch ends.
    pub fn watch_raw(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> impl Stream<Item = RawEvent> + Send + Unpin + use<> {
        self.raw_feed(kind, namespace, labels, None)
    }

    /// Watches one object by its name, whether it is there or not: as [`Self::watch_raw`].
    pub fn watch_one(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> impl Stream<Item = RawEvent> + Send + Unpin + use<> {
        self.raw_feed(kind, Some(namespace), None, Some(name))
    }

    fn raw_feed(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: Option<&str>,
        name: Option<&str>,
    ) -> impl Stream<Item = RawEvent> + Send + Unpin + use<> {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
        let path = kind.collection(namespace);
        let (plural, labels, name) = (kind.plural.clone(), labels.map(str::to_owned), name.map(str::to_owned));
        let shared = Arc::clone(self.shared());
        let task = tokio::spawn(async move {
            match path {
                Ok(path) => {
                    let kick = Arc::new(Notify::new());
                    let feed = Feed { path, plural, labels, name, form: Form::Whole, kick };
                    feed.run(&shared.requests, &mut RawSink(sender)).await;
                }
                Err(error) => {
                    let _ = sender.send(RawEvent::Error(error)).await;
                    // An address that cannot be asked for never can be: the promise not to end is kept by silence.
                    std::future::pending::<()>().await;
                }
            }
        });
        let ended = AbortOnDrop(task);
        Box::pin(futures::stream::unfold((receiver, ended), async |(mut receiver, ended)| {
            let event = receiver.recv().await?;
            Some((event, (receiver, ended)))
        }))
    }

    /// Reads one object; `None` if it is not there.
    pub async fn get_raw(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, ClusterError> {
        let call = Call::new(Verb::Get, kind, kind.object(namespace, name)?);
        match self.requests().send(&call).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ClusterError::NotFound(Absent::Object | Absent::Namespace)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all objects of a kind, in one namespace or all, where labels match or all.
    pub async fn list_raw(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Vec<Raw>, ClusterError> {
        let feed = Feed {
            path: kind.collection(namespace)?,
            plural: kind.plural.clone(),
            labels: labels.map(str::to_owned),
            name: None,
            form: Form::Whole,
            kick: Arc::default(),
        };
        let mut collected = Collect(Vec::new());
        feed.list_once(self.requests(), &mut collected).await?;
        Ok(collected.0)
    }

    /// Lists the heads of all objects of a kind, without spec and status, and answers those that an application of our
    /// installation claims.
    pub async fn sweep(&self, kind: &Kind) -> Result<Vec<Claimed>, ClusterError> {
        let feed = Feed {
            path: self.shared().collection(kind)?,
            plural: kind.plural.clone(),
            labels: None,
            name: None,
            form: Form::Metadata,
            kick: Arc::default(),
        };
        let installation = self.installation();
        let mut found = Sweep { kind: kind.clone(), installation, found: Vec::new() };
        feed.list_once(self.requests(), &mut found).await?;
        Ok(found.found)
    }

    /// Changes one object by a JSON patch, and answers it as it is now. A `test` that fails and an object that is not
    /// valid are both [`ClusterError::Refused`] with code 422: the server does not tell them apart.
    pub async fn patch_json(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        operations: &serde_json::Value,
    ) -> Result<Vec<u8>, ClusterError> {
        self.send_json_patch(kind, kind.object(namespace, name)?, operations).await
    }

    /// Asks what would come of the same patch.
    pub async fn try_json_patch(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        operations: &serde_json::Value,
    ) -> Result<Vec<u8>, ClusterError> {
        let address = format!("{}?fieldValidation=Strict&dryRun=All", kind.object(namespace, name)?);
        self.send_json_patch(kind, address, operations).await
    }

    async fn send_json_patch(
        &self,
        kind: &Kind,
        address: String,
        operations: &serde_json::Value,
    ) -> Result<Vec<u8>, ClusterError> {
        // Without a manager the server takes the name from the user agent: `trueup`, or who else connected.
        let call = Call::new(Verb::Patch, kind, address);
        let call = call.with_body(JSON_PATCH, operations.to_string().into_bytes(), kind.is_secret());
        self.write(call).await
    }
}

/// An object that an application of our installation claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The object.
    pub key: trueup_object::ObjectKey,
    /// The application that its annotation names, which also names this very object.
    pub app: String,
    /// Whether it belongs to another object, which then removes it.
    pub owned: bool,
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Names the object and its size; the text may hold secret values.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.json.get().len();
        write!(f, "{}/{} at {} ({bytes} bytes)", self.namespace, self.name, self.resource_version)
    }
}

// === impl Raw ===

impl Raw {
    fn new(head: &Head<'_>, json: &RawValue) -> Self {
        Self {
            namespace: head.namespace.to_string(),
            name: head.name.to_string(),
            uid: head.uid.to_string(),
            resource_version: head.resource_version.to_string(),
            json: json.to_owned(),
        }
    }
}

// === impl RawSink ===

impl Sink for RawSink {
    async fn take(&mut self, event: FeedEvent<'_>) -> bool {
        let event = match event {
            FeedEvent::Listing => RawEvent::Init,
            FeedEvent::Listed(head, json) => RawEvent::InitApply(Raw::new(head, json)),
            FeedEvent::Complete(_) => RawEvent::InitDone,
            FeedEvent::Changed(head, json) => RawEvent::Apply(Raw::new(head, json)),
            FeedEvent::Deleted(head, json) => RawEvent::Delete(Raw::new(head, json)),
            FeedEvent::Failed(failure) => RawEvent::Error(failure.error.clone()),
            FeedEvent::Following | FeedEvent::Progress(_) => return !self.0.is_closed(),
        };
        self.0.send(event).await.is_ok()
    }
}

/// Keeps every object of one listing.
struct Collect(Vec<Raw>);

impl Sink for Collect {
    async fn take(&mut self, event: FeedEvent<'_>) -> bool {
        match event {
            FeedEvent::Listing => self.0.clear(),
            FeedEvent::Listed(head, json) => self.0.push(Raw::new(head, json)),
            _ => {}
        }
        true
    }
}

/// Keeps the claimed objects of one listing.
struct Sweep {
    kind: Kind,
    installation: Arc<str>,
    found: Vec<Claimed>,
}

impl Sink for Sweep {
    async fn take(&mut self, event: FeedEvent<'_>) -> bool {
        match event {
            FeedEvent::Listing => self.found.clear(),
            FeedEvent::Listed(head, _) => {
                let key = crate::live::key(&self.kind.gvk, head);
                if let Some(claim) = head.claim(&key, &self.installation) {
                    let (app, owned) = (claim.app.to_owned(), head.owned());
                    self.found.push(Claimed { key, app, owned });
                }
            }
            _ => {}
        }
        true
    }
}
