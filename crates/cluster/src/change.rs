//! What has changed in the cluster, as told to the controller.
//!
//! Keeps what has not been told yet, each thing once: a burst of events about one object is one message. Entry points:
//! [`Outbox::push`] and [`Outbox::deliver`].

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use trueup_object::{Gvk, ObjectKey};

/// How long a change waits for others like it. A rollout writes a Deployment's status several times within this time;
/// nobody notices the wait.
const COALESCE: Duration = Duration::from_millis(10);

/// Something changed in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// An object changed that this application tracks or wants.
    Object {
        /// The application.
        app: CompactString,
        /// The object.
        key: ObjectKey,
    },
    /// The watch of a kind became ready or failed, or the kind came, went or changed.
    Kind {
        /// The kind.
        gvk: Gvk,
    },
    /// The API server became reachable or ceased to be.
    Connection(bool),
}

/// Changes on their way.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    changes: Vec<Change>,
    known: HashSet<Change>,
}

impl Outbox {
    /// Adds changes that are not waiting already.
    pub(crate) fn push(&self, changes: impl IntoIterator<Item = Change>) {
        let mut added = false;
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                // The connection may flip twice, and the last flip must be told last.
                if matches!(change, Change::Connection(_)) || waiting.known.insert(change.clone()) {
                    waiting.changes.push(change);
                    added = true;
                }
            }
        }
        if added {
            self.filled.notify_one();
        }
    }

    /// Delivers until nobody listens.
    pub(crate) async fn deliver(&self, to: UnboundedSender<Change>) {
        while !to.is_closed() {
            self.filled.notified().await;
            tokio::time::sleep(COALESCE).await;
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            for change in waiting.changes {
                if to.send(change).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_message_and_flips_keep_their_order() {
        let outbox = std::sync::Arc::new(Outbox::default());
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let delivery = std::sync::Arc::clone(&outbox);
        tokio::spawn(async move { delivery.deliver(sender).await });
        let object = Change::Object { app: "a".into(), key: ObjectKey::new("", "ConfigMap", "n", "x") };
        let flips = [Change::Connection(false), Change::Connection(true), Change::Connection(false)];
        outbox.push([object.clone(), object.clone()]);
        outbox.push(flips.clone());
        outbox.push([object.clone()]);
        let mut told = Vec::new();
        receiver.recv_many(&mut told, 100).await;
        assert_eq!(told, [&[object.clone()][..], &flips].concat());
        outbox.push([object.clone()]);
        assert_eq!(receiver.recv().await, Some(object));
    }
}
