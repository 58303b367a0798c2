//! Whether writes may be under way, and until when: what keeps a controller that lost its Lease from writing.
//!
//! Invariants: no write begins when its time is over, and one that is under way then is broken off. Both are asked of this
//! process's own clock whenever it gets to run, so that one that was stopped and wakes up finds out before it goes on. What
//! the connection or the server has in hand already nobody calls back: the time that is allowed ends early enough for that.
//! Entry point: [`Gate::pass`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::error::ClusterError;
use crate::request::Failure;

/// Whether writes may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Always: nobody else writes.
    Always,
    /// Until then.
    Until(Instant),
    /// Not now.
    Never,
}

/// Lets writes pass while they may.
pub(crate) struct Gate(watch::Sender<Writes>);

// === impl Writes ===

impl Writes {
    fn open(self) -> bool {
        match self {
            Self::Always => true,
            Self::Until(end) => Instant::now() < end,
            Self::Never => false,
        }
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Writes::Always))
    }

    /// Sets whether writes may be under way.
    pub(crate) fn set(&self, writes: Writes) {
        self.0.send_replace(writes);
    }

    /// Runs a write: not at all if the gate is shut, and no longer than until it shuts.
    pub(crate) async fn pass<T>(&self, write: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut allowed = self.0.subscribe();
        if !allowed.borrow().open() {
            return Err(barred("nothing was sent"));
        }
        let (mut write, mut shut) = (pin!(write), pin!(shut(allowed.clone())));
        poll_fn(|context| {
            // The clock itself first: the timer of a process that was stopped fires only after others had their turn.
            if !allowed.borrow_and_update().open() || shut.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(barred("whether what was under way was done is not known")));
            }
            write.as_mut().poll(context)
        })
        .await
    }
}

/// Waits until the gate is shut.
async fn shut(mut allowed: watch::Receiver<Writes>) {
    loop {
        let now = *allowed.borrow_and_update();
        let end = match now {
            Writes::Never => return,
            Writes::Until(end) if Instant::now() >= end => return,
            Writes::Until(end) => Some(end),
            Writes::Always => None,
        };
        // The sender is the gate itself, which outlives what passes it.
        match end {
            Some(end) => tokio::select! { () = sleep_until(end) => {} _ = allowed.changed() => {} },
            None => drop(allowed.changed().await),
        }
    }
}

fn barred(done: &'static str) -> Failure {
    Failure::here(ClusterError::Barred { done })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn takes(time: Duration) -> Result<(), Failure> {
        tokio::time::sleep(time).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_ends_with_its_time() {
        let gate = Gate::new();
        assert!(gate.pass(takes(SECOND * 100)).await.is_ok());
        gate.set(Writes::Until(Instant::now() + SECOND * 3));
        assert!(gate.pass(takes(SECOND * 2)).await.is_ok());
        let begun = Instant::now();
        assert!(gate.pass(takes(SECOND * 2)).await.is_err());
        assert_eq!(begun.elapsed(), SECOND);
        let over = gate.pass(async { Ok(()) }).await.map_err(|failure| failure.error);
        // It says nothing about the object that was to be written.
        assert_eq!(over, Err(ClusterError::Barred { done: "nothing was sent" }), "over is over");
        gate.set(Writes::Never);
        assert!(gate.pass(async { Ok(()) }).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn more_time_is_more_time_for_what_is_under_way() {
        let gate = Gate::new();
        gate.set(Writes::Until(Instant::now() + SECOND * 2));
        let longer = async {
            tokio::time::sleep(SECOND).await;
            gate.set(Writes::Until(Instant::now() + SECOND * 4));
        };
        let (done, ()) = tokio::join!(gate.pass(takes(SECOND * 4)), longer);
        assert!(done.is_ok());
        let never = async {
            tokio::time::sleep(SECOND / 2).await;
            gate.set(Writes::Never);
        };
        gate.set(Writes::Always);
        let (done, ()) = tokio::join!(gate.pass(takes(SECOND)), never);
        assert!(done.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_counts_even_if_no_timer_has_fired() {
        let gate = Gate::new();
        gate.set(Writes::Until(Instant::now() + SECOND));
        let mut asked = 0;
        let mut write = Box::pin(gate.pass(poll_fn(|_| {
            asked += 1;
            Poll::<Result<(), Failure>>::Pending
        })));
        let polled = poll_fn(|context| Poll::Ready(write.as_mut().poll(context).is_ready()));
        assert!(!polled.await);
        tokio::time::advance(SECOND).await;
        let polled = poll_fn(|context| Poll::Ready(write.as_mut().poll(context).is_ready()));
        assert!(polled.await);
        drop(write);
        assert_eq!(asked, 1);
    }
}
