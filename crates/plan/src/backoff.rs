//! How long the next attempt waits.

use std::time::Duration;

/// After the first healing of the same leaves, the next one waits so long; each further one three times as long.
const HEAL_FIRST: Duration = Duration::from_secs(2);
const HEAL_FACTOR: u32 = 3;
/// No healing waits longer.
const HEAL_MAX: Duration = Duration::from_secs(300);

/// How a failed sync is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first one; none if 0, without end if negative.
    pub limit: i64,
    /// The wait before the first repetition.
    pub duration: Duration,
    /// By how much each wait is longer than the one before.
    pub factor: u32,
    /// No wait is longer.
    pub max_duration: Duration,
}

/// How long to wait after so many repetitions (0: after the first attempt); none if there are no more.
pub fn retry_wait(retry: &Retry, repeated: u32) -> Option<Duration> {
    if retry.limit >= 0 && i64::from(repeated) >= retry.limit {
        return None;
    }
    Some(grown(retry.duration, retry.factor, repeated, retry.max_duration))
}

/// How long to wait after so many healings of the same leaves: nothing before the first.
pub fn heal_wait(healed: u32) -> Duration {
    match healed.checked_sub(1) {
        None => Duration::ZERO,
        Some(before) => grown(HEAL_FIRST, HEAL_FACTOR, before, HEAL_MAX),
    }
}

fn grown(first: Duration, factor: u32, times: u32, max: Duration) -> Duration {
    let growth = factor.checked_pow(times).unwrap_or(u32::MAX);
    first.checked_mul(growth).map_or(max, |wait| wait.min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healing_waits_as_upstream() {
        let waits: Vec<u64> = (0..8).map(|healed| heal_wait(healed).as_secs()).collect();
        assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300]);
        assert_eq!(heal_wait(u32::MAX), HEAL_MAX);
    }

    #[test]
    fn a_sync_is_repeated_as_often_as_it_says() {
        let retry = |limit| Retry { limit, duration: Duration::from_secs(5), factor: 2, max_duration: Duration::from_secs(180) };
        let waits = |limit| (0..4).map(|repeated| retry_wait(&retry(limit), repeated).map(|wait| wait.as_secs())).collect::<Vec<_>>();
        assert_eq!(waits(3), [Some(5), Some(10), Some(20), None]);
        assert_eq!(waits(0), [None; 4]);
        assert_eq!(retry_wait(&retry(-1), 100), Some(Duration::from_secs(180)));
    }
}
