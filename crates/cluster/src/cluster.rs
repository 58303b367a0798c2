//! One cluster: the requests to it and what is known of it.
//!
//! Entry point: [`Cluster::connect`]. A [`Cluster`] is cheap to clone; with the last clone its watches end. One that acts as a
//! user ([`Cluster::acting_as`]) writes objects with that user's permissions and reads with our own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use trueup_object::{Gvk, ObjectKey};

use crate::change::{Change, Outbox};
use crate::connect::{Config, client};
use crate::counters::{Counters, Verb};
use crate::definitions::{self, Definitions};
use crate::discovery::{Discovery, Kinds};
use crate::error::{Absent, ClusterError};
use crate::gate::{Gate, Writes};
use crate::head::Head;
use crate::index::{Index, Sight, WatchState};
use crate::kind::{Kind, KindError};
use crate::link::Link;
use crate::live::{Live, answered};
use crate::openapi::Schemas;
use crate::reach::Reach;
use crate::request::{Call, Requests};
use crate::watch::Watches;

/// One cluster.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    /// As whom objects are written, if not as ourselves.
    user: Option<Arc<str>>,
}

struct Inner {
    shared: Arc<Shared>,
    /// Ends with the last clone; what runs in it holds [`Shared`] only.
    tasks: Mutex<JoinSet<()>>,
    changes: Mutex<Option<UnboundedReceiver<Change>>>,
}

/// What the tasks of a cluster share.
pub(crate) struct Shared {
    pub(crate) requests: Requests,
    pub(crate) server: String,
    pub(crate) discovery: Discovery,
    pub(crate) definitions: Definitions,
    pub(crate) schemas: Schemas,
    pub(crate) watches: Watches,
    pub(crate) reach: Reach,
    pub(crate) outbox: Arc<Outbox>,
    index: Mutex<Index>,
}

/// What the API server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The whole version, for example `v1.36.3`.
    pub git_version: String,
    /// The major version.
    #[serde(default)]
    pub major: String,
    /// The minor version; some distributions add a sign.
    #[serde(default)]
    pub minor: String,
}

// === impl Cluster ===

impl Cluster {
    /// Reads the configuration and begins to watch which kinds there are. It does not wait for the API server: whether
    /// that can be reached is told by [`Self::reachable`] and [`Change::Connection`].
    pub async fn connect(config: Config) -> Result<Self, ClusterError> {
        let gate = Gate::new();
        let (client, server) = client(config, gate.connections()).await?;
        let outbox = Arc::new(Outbox::default());
        let link = Arc::new(Link::new(Arc::clone(&outbox)));
        let shared = Arc::new(Shared {
            requests: Requests::new(client, link, gate),
            server,
            discovery: Discovery::default(),
            definitions: Definitions::default(),
            schemas: Schemas::default(),
            watches: Watches::default(),
            reach: Reach::default(),
            outbox: Arc::clone(&outbox),
            index: Mutex::default(),
        });
        let (sender, receiver) = unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { outbox.deliver(sender).await });
        definitions::watch(&shared, &mut tasks);
        let changes = Mutex::new(Some(receiver));
        Ok(Self { inner: Arc::new(Inner { shared, tasks: Mutex::new(tasks), changes }), user: None })
    }

    /// The same cluster, whose objects are written as that user: applied, asked about by a dry run, patched, made, replaced and
    /// deleted. The API server judges such requests by the user's permissions; we need the one to impersonate it.
    #[must_use]
    pub fn acting_as(&self, user: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), user: Some(user.into()) }
    }

    /// The user as whom objects are written, if not as ourselves.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.shared().server
    }

    /// What the API server says of itself.
    pub async fn version(&self) -> Result<Version, ClusterError> {
        let answer = self.requests().send(&Call::read(Verb::Discover, "/version".to_owned())).await?;
        serde_json::from_slice(&answer).map_err(|_| ClusterError::Malformed { message: "it is no version".to_owned() })
    }

    /// Whether the last requests reached the API server.
    pub fn reachable(&self) -> bool {
        self.requests().link.reachable()
    }

    /// Sets whether writes may be under way from now on; always, if never set. Dry runs and Leases are not concerned.
    pub fn allow(&self, writes: Writes) {
        self.requests().gate.set(writes);
    }

    /// What changes from now on. There is one receiver: who asks again gets one that is closed.
    pub fn changes(&self) -> UnboundedReceiver<Change> {
        lock(&self.inner.changes).take().unwrap_or_else(|| unbounded_channel().1)
    }

    /// The kind, as the API server serves it. Known kinds cost no request; an unknown one makes the group to be read
    /// again, at most once per few seconds.
    pub async fn kind(&self, gvk: &Gvk) -> Result<Kind, KindError> {
        self.shared().kind(gvk).await
    }

    /// The kind, if it is known by now.
    pub fn known_kind(&self, gvk: &Gvk) -> Option<Kind> {
        self.shared().discovery.known(gvk)
    }

    /// The id of our installation; empty if it has none.
    pub fn installation(&self) -> Arc<str> {
        self.shared().index().installation()
    }

    /// Sets the id of our installation: from now on only objects with the same one are claimed by applications.
    pub fn set_installation(&self, id: &str) {
        self.shared().index().set_installation(id);
    }

    /// Every kind that is known by now, each at every version that is served, and what could not be read. Reads them first
    /// if none is known, and again what could not be read.
    pub async fn kinds(&self) -> Result<Kinds, ClusterError> {
        self.shared().kinds().await
    }

    /// Watches a kind over the whole cluster; nothing happens if it is watched already.
    pub fn watch(&self, kind: &Kind) {
        crate::watch::start(self.shared(), kind, &mut lock(&self.inner.tasks));
    }

    /// Ceases to watch a kind and forgets its objects.
    pub fn unwatch(&self, gvk: &Gvk) {
        crate::watch::stop(self.shared(), gvk);
    }

    /// How far the watch of a kind is; pending if there is none.
    pub fn watch_state(&self, gvk: &Gvk) -> WatchState {
        self.shared().index().state(gvk)
    }

    /// Sets which objects an application asks for besides those that it claims. From then on it is told of both.
    pub fn want(&self, app: &str, keys: impl IntoIterator<Item = (Gvk, ObjectKey)>) {
        self.shared().index().want(app, keys.into_iter());
    }

    /// Forgets an application: it wants nothing and is told nothing any more.
    pub fn forget(&self, app: &str) {
        self.shared().index().forget(app);
    }

    /// The object as it was last seen, if its text is kept.
    pub fn live(&self, gvk: &Gvk, key: &ObjectKey) -> Option<Arc<Live>> {
        self.shared().index().live(gvk, key)
    }

    /// Whether there is such an object of which only the key is kept: [`Self::fetch`] reads it.
    pub fn knows_foreign(&self, gvk: &Gvk, key: &ObjectKey) -> bool {
        self.shared().index().knows_foreign(gvk, key)
    }

    /// The objects whose tracking annotation names this application and themselves, without those that belong to
    /// another object.
    pub fn tracked(&self, app: &str) -> Vec<(Gvk, ObjectKey)> {
        self.shared().index().tracked(app)
    }

    /// Every application that an object of a watched kind names, known or not.
    pub fn claimants(&self) -> Vec<compact_str::CompactString> {
        self.shared().index().claimants()
    }

    /// Reads one object; `None` if it is not there. The answer is in the index from now on if an application claims or
    /// wants it.
    pub async fn fetch(&self, kind: &Kind, key: &ObjectKey) -> Result<Option<Arc<Live>>, ClusterError> {
        let call = Call::new(Verb::Get, kind, self.shared().object(kind, &key.namespace, &key.name)?);
        match self.requests().send(&call).await {
            Ok(answer) => self.enter(kind, answer).map(Some),
            Err(ClusterError::NotFound(Absent::Object | Absent::Namespace)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Counts for the metrics.
    pub fn counters(&self) -> Counters {
        let requests = self.requests();
        let sizes = self.shared().index().sizes();
        Counters {
            under_way: requests.concurrency.under_way(),
            limit: requests.concurrency.limit(),
            watches: sizes.watches,
            objects: sizes.objects,
            object_bytes: sizes.object_bytes,
            foreign: sizes.foreign,
            ..requests.tally.read()
        }
    }

    /// Announces a write of an object, until the answer's drop: see [`Index::begin_write`].
    pub(crate) fn writing(&self, kind: &Kind, key: ObjectKey) -> Writing<'_> {
        self.shared().index().begin_write(&kind.gvk, &key);
        Writing { shared: self.shared(), gvk: kind.gvk.clone(), key }
    }

    /// Puts the answer of a request of our own into the index.
    pub(crate) fn enter(&self, kind: &Kind, answer: Vec<u8>) -> Result<Arc<Live>, ClusterError> {
        let live = answered(kind, answer)?;
        if let Some(head) = Head::read(live.json()) {
            let changes = self.shared().index().see(&kind.gvk, &head, Sight::Answer, || Arc::clone(&live));
            self.shared().outbox.push(changes);
        }
        Ok(live)
    }

    /// Sends what writes an object, or asks what would come of that.
    pub(crate) async fn write(&self, call: Call) -> Result<Vec<u8>, ClusterError> {
        let answer = self.requests().send(&call.by(self.user.clone())).await;
        match (answer, &self.user) {
            // What is said in our own words does not name whose permission is missing.
            (Err(ClusterError::Forbidden { message }), Some(user)) if !message.contains(&**user) => {
                Err(ClusterError::Forbidden { message: format!("{message} (asked as {user})") })
            }
            (answer, _) => answer,
        }
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.inner.shared.requests
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }
}

/// A write under way.
pub(crate) struct Writing<'a> {
    shared: &'a Shared,
    gvk: Gvk,
    key: ObjectKey,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let changes = self.shared.index().end_write(&self.gvk, &self.key);
        self.shared.outbox.push(changes);
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }
}

/// Takes a lock; what a panicking holder left behind is still whole, since nothing is held over an await.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
