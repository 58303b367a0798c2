//! One watch per kind and version over all that is looked after, feeding the index. Entry point: [`start`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use trueup_object::Gvk;

use crate::change::Change;
use crate::cluster::{Shared, lock};
use crate::error::{Absent, ClusterError};
use crate::feed::{Feed, FeedEvent, Form, Sink};
use crate::index::Sight;
use crate::kind::Kind;
use crate::live::Live;
use crate::request::Failure;

/// The watches that run.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<Gvk, Running>>);

struct Running {
    kick: Arc<Notify>,
    task: AbortHandle,
}

/// Brings what a feed tells into the index.
struct IndexSink {
    shared: Arc<Shared>,
    gvk: Gvk,
}

/// Begins to watch a kind; nothing happens if it is watched already.
pub(crate) fn start(shared: &Arc<Shared>, kind: &Kind, tasks: &mut JoinSet<()>) {
    if !shared.index().watch(&kind.gvk) {
        return;
    }
    // The tasks that ended since, so that they do not pile up.
    while tasks.try_join_next().is_some() {}
    // The address of a whole collection holds nothing that came from Git but what discovery confirmed.
    let Ok(path) = shared.collection(kind) else { return };
    let kick = Arc::new(Notify::new());
    let feed = Feed {
        path,
        plural: kind.plural.clone(),
        labels: None,
        name: None,
        form: Form::Whole,
        kick: Arc::clone(&kick),
    };
    let mut sink = IndexSink { shared: Arc::clone(shared), gvk: kind.gvk.clone() };
    let task = tasks.spawn(async move {
        let shared = Arc::clone(&sink.shared);
        feed.run(&shared.requests, &mut sink).await;
    });
    lock(&shared.watches.0).insert(kind.gvk.clone(), Running { kick, task });
}

/// Ceases to watch a kind.
pub(crate) fn stop(shared: &Shared, gvk: &Gvk) {
    if let Some(running) = lock(&shared.watches.0).remove(gvk) {
        running.task.abort();
    }
    shared.index().unwatch(gvk);
}

impl Watches {
    /// Lets a watch that waits after a failure try again at once.
    pub(crate) fn kick(&self, gvk: &Gvk) {
        if let Some(running) = lock(&self.0).get(gvk) {
            running.kick.notify_one();
        }
    }
}

// === impl IndexSink ===

impl Sink for IndexSink {
    async fn take(&mut self, event: FeedEvent<'_>) -> bool {
        let mut kind_changed = false;
        let changes = {
            let mut index = self.shared.index();
            let gvk = &self.gvk;
            match event {
                FeedEvent::Listing => {
                    index.begin_listing(gvk);
                    Vec::new()
                }
                FeedEvent::Listed(head, json) => index.see(gvk, head, Sight::Listed, || keep(gvk, head, json)),
                FeedEvent::Changed(head, json) => index.see(gvk, head, Sight::Event, || keep(gvk, head, json)),
                FeedEvent::Deleted(head, _) => index.gone(gvk, head),
                FeedEvent::Complete(version) => {
                    let changes = index.complete_listing(gvk, version);
                    kind_changed = index.following(gvk);
                    changes
                }
                FeedEvent::Following => {
                    kind_changed = index.following(gvk);
                    Vec::new()
                }
                FeedEvent::Progress(version) => {
                    index.progress(gvk, version);
                    Vec::new()
                }
                // The connection as a whole tells of that.
                FeedEvent::Failed(Failure { network: true, .. }) => Vec::new(),
                FeedEvent::Failed(failure) => {
                    if failure.error == ClusterError::NotFound(Absent::Kind) {
                        crate::definitions::doubt(&self.shared, &gvk.group);
                    }
                    let lasting = !matches!(failure.error, ClusterError::Unavailable { .. });
                    kind_changed = index.failed(gvk, &failure.error.to_string(), lasting);
                    Vec::new()
                }
            }
        };
        if kind_changed {
            tracing::debug!(gvk = %self.gvk, state = ?self.shared.index().state(&self.gvk), "watch");
        }
        self.shared
            .outbox
            .push(changes.into_iter().chain(kind_changed.then(|| Change::Kind { gvk: self.gvk.clone() })));
        true
    }
}

fn keep(gvk: &Gvk, head: &crate::head::Head<'_>, json: &serde_json::value::RawValue) -> Arc<Live> {
    Arc::new(Live::new(gvk, head, json.get().as_bytes().into()))
}
