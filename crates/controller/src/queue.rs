//! Which applications are to be looked at, and when.
//!
//! Invariant: an application is handed out to one worker at a time; a wake-up that comes while it is being looked at
//! is kept and hands it out once more afterwards. Entry point: [`Queue::next`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A set of names with a time each; shared by whoever wakes applications and the workers that look at them.
#[derive(Clone, Default)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// When each waiting name is due. `order` holds the same pairs, sorted by time.
    due: HashMap<Arc<str>, Instant>,
    order: BTreeSet<(Instant, Arc<str>)>,
    /// Names at work, with the time of a wake-up that came meanwhile.
    at_work: HashMap<Arc<str>, Option<Instant>>,
}

/// One application handed out; dropping it ends the work on it.
pub(crate) struct Ticket {
    queue: Queue,
    name: Arc<str>,
}

// === impl Queue ===

impl Queue {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Wakes an application as soon as a worker is free.
    pub(crate) fn wake(&self, name: &str) {
        self.wake_at(name, Instant::now());
    }

    /// Wakes an application at a time, or earlier if it is already due earlier.
    pub(crate) fn wake_at(&self, name: &str, at: Instant) {
        self.state().wake(name.into(), at);
        self.0.changed.notify_one();
    }

    /// Forgets an application that is no more.
    pub(crate) fn forget(&self, name: &str) {
        let mut state = self.state();
        if let Some((name, at)) = state.due.remove_entry(name) {
            state.order.remove(&(at, name));
        }
    }

    /// How many names are due by now and not yet handed out.
    pub(crate) fn depth(&self) -> usize {
        let now = Instant::now();
        self.state().order.iter().take_while(|(at, _)| *at <= now).count()
    }

    /// Waits for the next application that is due.
    pub(crate) async fn next(&self) -> Ticket {
        loop {
            // Registered before the look, so that a wake-up between the look and the wait is not lost.
            let changed = self.0.changed.notified();
            let wait = match self.state().take(Instant::now()) {
                Next::Due(name) => return Ticket { queue: self.clone(), name },
                Next::At(at) => Some(at),
                Next::Empty => None,
            };
            match wait {
                Some(at) => tokio::select! { () = sleep_until(at) => {} () = changed => {} },
                None => changed.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that change it, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

enum Next {
    Due(Arc<str>),
    At(Instant),
    Empty,
}

impl State {
    fn wake(&mut self, name: Arc<str>, at: Instant) {
        if let Some(again) = self.at_work.get_mut(&name) {
            *again = Some(again.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        if let Some(known) = self.due.get(&name).copied() {
            if known <= at {
                return;
            }
            self.order.remove(&(known, name.clone()));
        }
        self.order.insert((at, name.clone()));
        self.due.insert(name, at);
    }

    fn take(&mut self, now: Instant) -> Next {
        match self.order.first() {
            None => Next::Empty,
            Some((at, _)) if *at > now => Next::At(*at),
            Some(_) => match self.order.pop_first() {
                None => Next::Empty,
                Some((_, name)) => {
                    self.due.remove(&name);
                    self.at_work.insert(name.clone(), None);
                    Next::Due(name)
                }
            },
        }
    }

    fn done(&mut self, name: &Arc<str>) {
        if let Some(Some(at)) = self.at_work.remove(name) {
            self.wake(name.clone(), at);
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// The application handed out.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.state().done(&self.name);
        self.queue.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn hands_out_in_the_order_of_time() {
        let queue = Queue::new();
        let start = Instant::now();
        queue.wake_at("late", start + Duration::from_secs(5));
        queue.wake_at("soon", start + Duration::from_secs(1));
        assert_eq!(queue.next().await.name(), "soon");
        assert_eq!(queue.next().await.name(), "late");
        assert_eq!(Instant::now() - start, Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_wake_up_wins() {
        let queue = Queue::new();
        queue.wake_at("a", Instant::now() + Duration::from_mins(1));
        queue.wake("a");
        assert_eq!(queue.next().await.name(), "a");
        assert_eq!(queue.depth(), 0);
        assert!(matches!(queue.state().take(Instant::now() + Duration::from_secs(90)), Next::Empty));
    }

    #[tokio::test(start_paused = true)]
    async fn one_worker_at_a_time_and_no_lost_wake_up() {
        let queue = Queue::new();
        queue.wake("a");
        let ticket = queue.next().await;
        queue.wake("a");
        queue.wake("b");
        assert_eq!(queue.next().await.name(), "b");
        drop(ticket);
        assert_eq!(queue.next().await.name(), "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_forgotten_name_is_not_handed_out() {
        let queue = Queue::new();
        queue.wake("a");
        queue.forget("a");
        queue.wake("b");
        assert_eq!(queue.next().await.name(), "b");
    }
}
