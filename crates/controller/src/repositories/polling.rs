//! When a repository is listed next.
//!
//! Kept: when the last listing began, and the last push that was told since. Nothing here asks or waits. Invariants: a listing is due
//! once per interval and a part of the jitter, another for every repository, so that many do not ask at once; after refusals ever more
//! rarely; pushes, however many, bring one listing per [`PUSH_PAUSE`], and none before a server's own word. Entry points:
//! [`Rhythm::read`], [`Polling::due`].

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};
use trueup_api::parse_duration;

use crate::run::RESYNC_DEFAULT;

/// Between two listings of one repository, however many pushes are told: less than anybody waits for, and no load for a server.
const PUSH_PAUSE: Duration = Duration::from_millis(500);
/// A server that refuses again and again is asked so much more rarely at most: every 16 minutes, by default.
const BACKOFF_MAX: u32 = 8;
/// No server is left alone for longer, whatever it asks for.
const PATIENCE_MAX: Duration = Duration::from_hours(1);

/// The longest interval: as good as never, and sums of times do not overflow.
const INTERVAL_MAX: Duration = Duration::from_hours(24 * 365);

/// The setting of the interval in `argocd-cm`.
const INTERVAL: &str = "timeout.reconciliation";
/// The setting of the jitter in `argocd-cm`.
const JITTER: &str = "timeout.reconciliation.jitter";

/// How often repositories are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// Between two listings at least; without it there are none by themselves.
    pub(crate) interval: Option<Duration>,
    /// Added to the interval, at random, at most.
    pub(crate) jitter: Duration,
}

/// Where a repository is in the rhythm.
#[derive(Debug)]
pub(super) struct Polling {
    /// When the last listing began.
    began: Instant,
    /// Which part of the jitter is added until the next, from 0 to 1.
    part: f64,
    /// When the last push was told, if no listing has begun since.
    pushed: Option<Instant>,
}

/// How the last listings ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// So many failed in a row.
    pub(super) times: u32,
    /// What the server asked for with the last.
    pub(super) patience: Option<Duration>,
}

// === impl Rhythm ===

impl Rhythm {
    /// As upstream: a jitter of half the interval.
    pub(crate) fn every(interval: Duration) -> Self {
        let interval = interval.min(INTERVAL_MAX);
        Self { interval: Some(interval), jitter: interval / 2 }
    }

    /// Reads the settings. `flag` is the interval that a flag sets, which goes before them.
    pub(crate) fn read(settings: &BTreeMap<String, String>, flag: Option<Duration>) -> Self {
        let setting = |key: &str| {
            let text = settings.get(key)?.trim();
            let read = parse_duration(text);
            if read.is_none() {
                tracing::warn!(
                    setting = key,
                    "the setting in argocd-cm is no duration such as 120s or 3m: it does not count"
                );
            }
            read
        };
        let interval = flag.or_else(|| setting(INTERVAL)).unwrap_or(RESYNC_DEFAULT);
        let rhythm = Self::every(interval);
        let jitter = setting(JITTER).unwrap_or(rhythm.jitter).min(INTERVAL_MAX);
        Self { interval: rhythm.interval.filter(|interval| !interval.is_zero()), jitter }
    }
}

// === impl Polling ===

impl Default for Polling {
    /// Of a repository that has just come.
    fn default() -> Self {
        Self { began: Instant::now(), part: fastrand::f64(), pushed: None }
    }
}

impl Polling {
    /// A listing began.
    pub(super) fn began(&mut self, at: Instant) {
        self.began = at;
        self.part = fastrand::f64();
        self.pushed = self.pushed.filter(|pushed| *pushed > at);
    }

    /// A push was told.
    pub(super) fn pushed(&mut self, at: Instant) {
        self.pushed = Some(at);
    }

    /// When the next listing is due; `None` if nothing but a push makes one.
    pub(super) fn due(&self, rhythm: Rhythm, refused: Refused) -> Option<Instant> {
        let regular = self.regular(rhythm, refused);
        let Some(pushed) = self.pushed else { return regular };
        let doubled = PUSH_PAUSE.saturating_mul(1 << refused.times.min(16));
        let pause = doubled.max(refused.patience.unwrap_or_default().min(PATIENCE_MAX));
        let hurried = pushed.max(self.began + pause.min(PATIENCE_MAX));
        Some(regular.map_or(hurried, |regular| regular.min(hurried)))
    }

    fn regular(&self, rhythm: Rhythm, refused: Refused) -> Option<Instant> {
        let interval = rhythm.interval.or((refused.times > 0).then_some(RESYNC_DEFAULT))?;
        // The first failure may be one lost answer.
        let longer = 1_u32.checked_shl(refused.times.saturating_sub(1)).unwrap_or(BACKOFF_MAX).min(BACKOFF_MAX);
        let wait = interval.saturating_mul(longer) + rhythm.jitter.mul_f64(self.part);
        Some(self.began + wait.max(refused.patience.unwrap_or_default().min(PATIENCE_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const FINE: Refused = Refused { times: 0, patience: None };

    fn at(began: Instant, part: f64) -> Polling {
        Polling { began, part, pushed: None }
    }

    fn refused(times: u32) -> Refused {
        Refused { times, patience: None }
    }

    #[test]
    fn many_repositories_are_listed_at_many_times() {
        let (now, rhythm) = (Instant::now(), Rhythm::every(2 * MINUTE));
        for (part, wait) in [(0.0, 2 * MINUTE), (0.5, 2 * MINUTE + MINUTE / 2), (1.0, 3 * MINUTE)] {
            assert_eq!(at(now, part).due(rhythm, FINE), Some(now + wait));
        }
        let due: std::collections::BTreeSet<Instant> = (0..100)
            .filter_map(|_| {
                let mut polling = at(now, 0.0);
                polling.began(now);
                polling.due(rhythm, FINE)
            })
            .collect();
        assert!(due.len() > 90 && due.iter().all(|due| (now + 2 * MINUTE..=now + 3 * MINUTE).contains(due)), "{due:?}");
    }

    #[test]
    fn a_server_that_refuses_is_asked_ever_more_rarely() {
        let (now, rhythm) = (Instant::now(), Rhythm::every(MINUTE));
        for (times, minutes) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (40, 8), (u32::MAX, 8)] {
            assert_eq!(at(now, 0.0).due(rhythm, refused(times)), Some(now + minutes * MINUTE), "{times}");
        }
        let patience = |minutes: u32| Refused { times: 1, patience: Some(minutes * MINUTE) };
        assert_eq!(at(now, 0.0).due(rhythm, patience(20)), Some(now + 20 * MINUTE));
        assert_eq!(at(now, 0.0).due(rhythm, patience(6000)), Some(now + PATIENCE_MAX));
        assert_eq!(at(now, 0.0).due(rhythm, patience(0)), Some(now + MINUTE));
    }

    #[test]
    fn a_push_is_looked_at_at_once_and_a_thousand_are_as_one() {
        let (began, rhythm) = (Instant::now(), Rhythm::every(MINUTE));
        let mut polling = at(began, 0.0);
        let later = began + MINUTE / 2;
        polling.pushed(later);
        assert_eq!(polling.due(rhythm, FINE), Some(later));
        polling.began(later);
        assert!(polling.due(rhythm, FINE).is_some_and(|due| due >= later + MINUTE), "the listing has seen it");
        // A flood, of which the first brought a listing.
        for number in 1..1000 {
            polling.pushed(later + Duration::from_micros(number));
            assert_eq!(polling.due(rhythm, FINE), Some(later + PUSH_PAUSE));
        }
    }

    #[test]
    fn a_push_during_a_listing_brings_another() {
        let began = Instant::now();
        let mut polling = at(began, 0.0);
        polling.pushed(began + PUSH_PAUSE);
        polling.began(began);
        assert_eq!(polling.due(Rhythm::every(MINUTE), FINE), Some(began + PUSH_PAUSE));
    }

    #[test]
    fn pushes_do_not_press_a_server_that_refuses() {
        let (began, rhythm) = (Instant::now(), Rhythm::every(MINUTE));
        let mut polling = at(began, 0.0);
        polling.pushed(began);
        let due = |refused: Refused| polling.due(rhythm, refused).unwrap() - began;
        assert_eq!(due(refused(1)), 2 * PUSH_PAUSE);
        assert_eq!(due(refused(4)), 16 * PUSH_PAUSE);
        assert_eq!(due(refused(u32::MAX)), 8 * MINUTE, "never later than without them");
        assert_eq!(due(Refused { times: 1, patience: Some(2 * MINUTE) }), 2 * MINUTE);
    }

    #[test]
    fn without_an_interval_only_pushes_and_failures_make_listings() {
        let (began, rhythm) = (Instant::now(), Rhythm { interval: None, jitter: Duration::ZERO });
        let mut polling = at(began, 0.0);
        assert_eq!(polling.due(rhythm, FINE), None);
        assert_eq!(polling.due(rhythm, refused(1)), Some(began + RESYNC_DEFAULT));
        polling.pushed(began + MINUTE);
        assert_eq!(polling.due(rhythm, FINE), Some(began + MINUTE));
    }

    #[test]
    fn the_flag_goes_before_the_settings() {
        let read = |pairs: &[(&str, &str)], flag: Option<Duration>| {
            let settings = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Rhythm::read(&settings, flag)
        };
        assert_eq!(read(&[], None), Rhythm::every(2 * MINUTE));
        assert_eq!(read(&[(INTERVAL, "3m")], None), Rhythm::every(3 * MINUTE));
        assert_eq!(read(&[(INTERVAL, "3m")], Some(MINUTE)), Rhythm::every(MINUTE));
        assert_eq!(read(&[(INTERVAL, "soon")], None), Rhythm::every(2 * MINUTE));
        assert_eq!(read(&[(INTERVAL, "0")], None).interval, None);
        let set = read(&[(INTERVAL, "180s"), (JITTER, "0s")], None);
        assert_eq!(set, Rhythm { interval: Some(3 * MINUTE), jitter: Duration::ZERO });
    }
}
