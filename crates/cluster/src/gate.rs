//! Whether writes may be under way, and until when: what keeps a controller that lost its Lease from writing.
//!
//! Invariants: no write begins when its time is over, and one that is under way then is broken off, even if a connection has
//! it in hand by then. Both are asked of this process's own clock whenever it gets to run, so that one that was stopped and
//! wakes up finds out before it goes on. What the network or the server has already nobody calls back: the time that is
//! allowed ends early enough for that. Entry points: [`Gate::pass`] for writes, [`Connections`] for what carries them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use hyper::rt::Executor;

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

/// Runs the connections to the API server.
///
/// A request that passed the gate waits in its connection until that gets to run, and would be sent by it whatever the time
/// is by then. So a connection ends that finds, when it gets to run, that the time for writes ran out since it last did.
#[derive(Clone)]
pub(crate) struct Connections(watch::Receiver<Writes>);

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

    /// What runs the connections whose writes this gate lets pass.
    pub(crate) fn connections(&self) -> Connections {
        Connections(self.0.subscribe())
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

// === impl Connections ===

impl Connections {
    /// The connection, until the time for writes runs out between two of its turns.
    async fn guarded(self, connection: impl Future<Output = ()>) {
        let Self(allowed) = self;
        let mut connection = pin!(connection);
        let mut last = Instant::now();
        poll_fn(|context| {
            let now = Instant::now();
            // One that came up later carries reads, and the renewal of the Lease.
            if matches!(*allowed.borrow(), Writes::Until(end) if last < end && end <= now) {
                return Poll::Ready(());
            }
            last = now;
            connection.as_mut().poll(context)
        })
        .await;
    }
}

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Connections {
    fn execute(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(self.clone().guarded(connection));
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

    #[tokio::test(start_paused = true)]
    async fn a_connection_sends_nothing_that_it_was_given_before_the_time_ran_out() {
        let gate = Gate::new();
        let turns = |context_gate: &Gate| {
            let mut turns = 0;
            let connections = context_gate.connections();
            async move {
                let mut connection = Box::pin(connections.guarded(poll_fn(|_| {
                    turns += 1;
                    if turns < 3 { Poll::Pending } else { Poll::Ready(()) }
                })));
                let mut ended = Vec::new();
                while ended.last() != Some(&true) {
                    ended.push(poll_fn(|context| Poll::Ready(connection.as_mut().poll(context).is_ready())).await);
                    tokio::time::advance(SECOND).await;
                }
                drop(connection);
                (turns, ended.len())
            }
        };
        assert_eq!(turns(&gate).await, (3, 3), "without an election");
        gate.set(Writes::Until(Instant::now() + SECOND * 5));
        assert_eq!(turns(&gate).await, (3, 3), "while there is time");
        assert_eq!(turns(&gate).await, (2, 3), "it ran out between two turns: the third is not given");
        assert_eq!(turns(&gate).await, (3, 3), "one that came up afterwards carries what is no write");
        gate.set(Writes::Never);
        assert_eq!(turns(&gate).await, (3, 3), "a standby reads");
    }
}
