//! How many requests are under way at once.
//!
//! Keeps a limit that grows while answers come as fast as they did, and halves when the server says that it is too
//! much or does not answer in time. There is no rate: an idle server takes what it can. Watches do not count. Entry
//! point: [`Concurrency::enter`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Requests at once in the beginning: what an API server of two cores takes without slowing down.
const LIMIT_START: f64 = 16.0;
/// Requests at once at least: one alone could be stuck behind a slow webhook.
const LIMIT_MIN: f64 = 2.0;
/// Requests at once at most: a third of what the API server gives to one priority level by default.
const LIMIT_MAX: f64 = 64.0;
/// Answers that take this much longer than the best of late are a sign of a queue.
const LATENCY_FACTOR: f64 = 2.0;
/// A difference below this, in seconds, is noise.
const LATENCY_NOISE: f64 = 0.02;
/// How much the newest answer counts in the average.
const RECENT_WEIGHT: f64 = 0.2;
/// By how much of itself the best latency is forgotten per answer, so that a slower time of day becomes the measure.
const BEST_FORGET: f64 = 0.001;
/// The limit is halved at most once in this time: all requests of one burst are refused together.
const CUT_GAP: Duration = Duration::from_secs(1);
/// The longest wait that the server can impose.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Lets so many requests pass at once.
pub(crate) struct Concurrency {
    pace: Mutex<Pace>,
    free: Notify,
}

/// One request under way; ends with its drop.
pub(crate) struct Pass<'a> {
    concurrency: &'a Concurrency,
    begun: Instant,
}

/// The limit and what it is learnt from.
#[derive(Debug)]
struct Pace {
    limit: f64,
    under_way: usize,
    /// Seconds: the average of late.
    recent: Option<f64>,
    /// Seconds: the best average, slowly forgotten.
    best: f64,
    last_cut: Option<Instant>,
    paused_until: Option<Instant>,
}

/// What a request may do now.
#[derive(Debug, PartialEq)]
enum Turn {
    Go,
    WaitForFree,
    WaitUntil(Instant),
}

// === impl Concurrency ===

impl Concurrency {
    pub(crate) fn new() -> Self {
        Self { pace: Mutex::new(Pace::new()), free: Notify::new() }
    }

    /// Waits for its turn.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        loop {
            let turn = self.pace().turn(Instant::now());
            match turn {
                Turn::Go => return Pass { concurrency: self, begun: Instant::now() },
                Turn::WaitForFree => self.free.notified().await,
                Turn::WaitUntil(then) => tokio::time::sleep_until(then).await,
            }
        }
    }

    /// The limit now.
    pub(crate) fn limit(&self) -> usize {
        self.pace().whole_limit()
    }

    /// The requests under way.
    pub(crate) fn under_way(&self) -> usize {
        self.pace().under_way
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pass ===

impl Pass<'_> {
    /// The server answered in its own time.
    pub(crate) fn answered(self) {
        let now = Instant::now();
        self.concurrency.pace().answered(now - self.begun);
    }

    /// The server said that it is too much, or did not answer in time.
    pub(crate) fn overloaded(self, retry_after: Option<Duration>) {
        self.concurrency.pace().overloaded(retry_after, Instant::now());
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let free = {
            let mut pace = self.concurrency.pace();
            pace.under_way -= 1;
            pace.whole_limit().saturating_sub(pace.under_way)
        };
        // A limit that has just grown lets in more than one.
        for _ in 0..free.min(2) {
            self.concurrency.free.notify_one();
        }
    }
}

// === impl Pace ===

impl Pace {
    fn new() -> Self {
        Self { limit: LIMIT_START, under_way: 0, recent: None, best: f64::MAX, last_cut: None, paused_until: None }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 2 and 64")]
    fn whole_limit(&self) -> usize {
        self.limit as usize
    }

    fn turn(&mut self, now: Instant) -> Turn {
        if let Some(then) = self.paused_until.filter(|then| *then > now) {
            return Turn::WaitUntil(then);
        }
        if self.under_way >= self.whole_limit() {
            return Turn::WaitForFree;
        }
        self.under_way += 1;
        Turn::Go
    }

    fn answered(&mut self, latency: Duration) {
        let latency = latency.as_secs_f64();
        let recent = self.recent.map_or(latency, |recent| recent + RECENT_WEIGHT * (latency - recent));
        self.recent = Some(recent);
        self.best = (self.best * (1.0 + BEST_FORGET)).min(recent);
        let flat = recent <= self.best * LATENCY_FACTOR + LATENCY_NOISE;
        // A limit that is not reached says nothing about what the server could take.
        if flat && self.under_way >= self.whole_limit() {
            self.limit = (self.limit + 1.0 / self.limit).min(LIMIT_MAX);
        }
    }

    fn overloaded(&mut self, retry_after: Option<Duration>, now: Instant) {
        if self.last_cut.is_none_or(|last| now - last >= CUT_GAP) {
            self.last_cut = Some(now);
            self.limit = (self.limit / 2.0).max(LIMIT_MIN);
        }
        if let Some(wait) = retry_after {
            self.paused_until = self.paused_until.max(Some(now + wait.min(PAUSE_MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const FAST: Duration = Duration::from_millis(5);

    fn busy() -> Pace {
        let mut pace = Pace::new();
        pace.under_way = 64;
        pace
    }

    #[test]
    fn grows_while_answers_come_as_fast_as_ever() {
        let mut pace = busy();
        (0..5000).for_each(|_| pace.answered(FAST));
        assert_eq!(pace.whole_limit(), 64);
    }

    #[test]
    fn an_unused_limit_does_not_grow() {
        let mut pace = Pace::new();
        pace.under_way = 3;
        (0..1000).for_each(|_| pace.answered(FAST));
        assert_eq!(pace.whole_limit(), 16);
    }

    #[test]
    fn stops_growing_when_answers_become_slow() {
        let mut pace = busy();
        (0..10).for_each(|_| pace.answered(FAST));
        // The average needs a few slow answers before it shows.
        (0..10).for_each(|_| pace.answered(Duration::from_secs(1)));
        let before = pace.limit;
        (0..10).for_each(|_| pace.answered(Duration::from_secs(1)));
        assert!((pace.limit - before).abs() < f64::EPSILON);
    }

    #[test]
    fn halves_once_per_burst_and_never_to_nothing() {
        let mut pace = busy();
        let now = Instant::now();
        (0..10).for_each(|_| pace.overloaded(None, now));
        assert_eq!(pace.whole_limit(), 8);
        (1..10).for_each(|second| pace.overloaded(None, now + Duration::from_secs(second)));
        assert_eq!(pace.whole_limit(), 2);
    }

    #[test]
    fn waits_as_long_as_the_server_asks() {
        let mut pace = Pace::new();
        let now = Instant::now();
        pace.overloaded(Some(Duration::from_secs(3)), now);
        pace.overloaded(Some(Duration::from_secs(1)), now);
        assert_eq!(pace.turn(now), Turn::WaitUntil(now + Duration::from_secs(3)));
        assert_eq!(pace.turn(now + Duration::from_secs(3)), Turn::Go);
        pace.overloaded(Some(Duration::from_secs(9999)), now);
        assert_eq!(pace.turn(now), Turn::WaitUntil(now + PAUSE_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn everyone_gets_a_turn_and_nobody_too_many() {
        let concurrency = Arc::new(Concurrency::new());
        let highest = Arc::new(Mutex::new(0));
        let requests: Vec<_> = (0..500)
            .map(|_| {
                let (concurrency, highest) = (Arc::clone(&concurrency), Arc::clone(&highest));
                tokio::spawn(async move {
                    let pass = concurrency.enter().await;
                    let (now, limit) = (concurrency.under_way(), concurrency.limit());
                    assert!(now <= limit, "{now} of {limit}");
                    tokio::time::sleep(FAST).await;
                    let mut highest = highest.lock().unwrap();
                    *highest = now.max(*highest);
                    pass.answered();
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
        assert_eq!(concurrency.under_way(), 0);
        assert!(*highest.lock().unwrap() >= 16);
    }
}
