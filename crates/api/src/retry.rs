//! How often and when a failed sync is tried again, with its defaults.
//!
//! Entry points: [`RetryStrategy::read`], and `Retry::default()` for what an automated sync gets that names none.

use std::time::Duration;

use crate::duration;
use crate::spec::RetryStrategy;
use crate::unsupported::Unsupported;

/// How often an automated sync that fails is tried again if the specification does not say.
pub const AUTOMATED_RETRIES: i64 = 5;

/// How often and when a failed sync is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often it is tried again; less than 0 is without end.
    pub limit: i64,
    /// The first wait.
    pub duration: Duration,
    /// Each wait is this many times the one before; at least 1.
    pub factor: u32,
    /// The longest wait.
    pub max_duration: Duration,
    /// Each try takes the newest revision.
    pub refresh: bool,
}

// === impl Retry ===

/// What an automated sync gets if the specification does not say.
impl Default for Retry {
    fn default() -> Self {
        Self {
            limit: AUTOMATED_RETRIES,
            duration: Duration::from_secs(5),
            factor: 2,
            max_duration: Duration::from_mins(3),
            refresh: false,
        }
    }
}

// === impl RetryStrategy ===

impl RetryStrategy {
    /// The strategy with its defaults; what is no duration counts as absent.
    pub fn read(&self) -> Retry {
        let default = Retry::default();
        let backoff = self.backoff.clone().unwrap_or_default();
        let max_duration = duration::parse(&backoff.max_duration).unwrap_or(default.max_duration);
        Retry {
            limit: self.limit,
            duration: duration::parse(&backoff.duration).unwrap_or(default.duration),
            factor: backoff.factor.map_or(default.factor, |factor| u32::try_from(factor.max(1)).unwrap_or(u32::MAX)),
            // As upstream: no longest wait at all.
            max_duration: if max_duration.is_zero() { Duration::MAX } else { max_duration },
            refresh: self.refresh,
        }
    }

    /// What of it is no duration.
    pub(crate) fn warnings(&self, field: &str) -> Vec<Unsupported> {
        let Some(backoff) = &self.backoff else { return Vec::new() };
        let durations = [("duration", &backoff.duration, "5s"), ("maxDuration", &backoff.max_duration, "3m")];
        let wrong = durations.into_iter().filter(|(_, text, _)| !text.is_empty() && duration::parse(text).is_none());
        wrong
            .map(|(name, _, default)| {
                let message = format!("not a duration such as 90s or 5m, {default} is used");
                Unsupported::new(&format!("{field}.backoff.{name}"), false, message)
            })
            .collect()
    }
}
