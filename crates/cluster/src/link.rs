//! Whether the API server can be reached.
//!
//! Invariant: a change of the answer is told once, in order. Entry points: [`Link::up`] and [`Link::down`], said after
//! every request.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::change::{Change, Outbox};

/// So many requests in a row must fail by the network: one alone may have met a connection that the server just closed.
const FAILURES: u32 = 2;

/// Whether the API server can be reached.
pub(crate) struct Link {
    failures: Mutex<u32>,
    reachable: watch::Sender<bool>,
    outbox: Arc<Outbox>,
}

impl Link {
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        Self { failures: Mutex::new(0), reachable: watch::Sender::new(true), outbox }
    }

    /// The server answered, whatever it said.
    pub(crate) fn up(&self) {
        self.note(|_| 0);
    }

    /// The network failed.
    pub(crate) fn down(&self) {
        self.note(|failures| failures.saturating_add(1));
    }

    pub(crate) fn reachable(&self) -> bool {
        *self.reachable.borrow()
    }

    /// Waits for the server to be reachable again after it was not.
    pub(crate) async fn recovered(&self) {
        let mut reachable = self.reachable.subscribe();
        // Neither can fail: the sender is our own.
        if reachable.wait_for(|reachable| !reachable).await.is_ok() {
            let _ = reachable.wait_for(|reachable| *reachable).await;
        }
    }

    fn note(&self, failures: impl FnOnce(u32) -> u32) {
        // Held until the change is told, so that two changes cannot be told in the wrong order.
        let mut count = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *count = failures(*count);
        let reachable = *count < FAILURES;
        let changed = self.reachable.send_if_modified(|was| std::mem::replace(was, reachable) != reachable);
        if changed {
            self.outbox.push([Change::Connection(reachable)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_none_and_every_flip_is_told() {
        let link = Link::new(Arc::default());
        link.down();
        assert!(link.reachable());
        link.up();
        link.down();
        assert!(link.reachable());
        link.down();
        assert!(!link.reachable());
        link.down();
        link.up();
        assert!(link.reachable());
    }
}
