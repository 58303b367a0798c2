//! When writes that nobody waits for may go out: at most ten per second over all applications.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time between two of them: a status write costs the API server as much as six applies.
const GAP: Duration = Duration::from_millis(100);

/// What becomes of the status of an application that a commit left alone, where only the revision is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UntouchedRevisions {
    /// It is written when nobody is kept waiting by it, see [`GAP`].
    #[default]
    Deferred,
    /// It is not written for that alone: only if somebody asks by a refresh, or together with something else.
    Never,
}

/// Hands out times.
pub(crate) struct Pace(Mutex<Instant>);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// The next free time; it is taken.
    pub(crate) fn slot(&self) -> Instant {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (*next).max(Instant::now());
        *next = slot + GAP;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn times_are_a_gap_apart_and_none_is_saved_up() {
        let pace = Pace::new();
        let first = pace.slot();
        assert_eq!(pace.slot() - first, GAP);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(pace.slot(), Instant::now());
        assert_eq!(pace.slot() - Instant::now(), GAP);
    }
}
