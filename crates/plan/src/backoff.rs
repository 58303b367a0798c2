//! How long is waited before something is tried again.
//!
//! Keeps nothing. Entry points: [`retry_wait`], [`hook_wait`], [`heal_wait`], [`heals_before`], [`heal_quiet`].

use std::time::Duration;

use trueup_api::Retry;

/// The wait before the second heal of the same drift, as upstream.
const HEAL_FIRST: Duration = Duration::from_secs(2);
/// By what the waits between heals grow, as upstream.
const HEAL_FACTOR: u32 = 3;
/// The longest wait between heals, as upstream.
const HEAL_MAX: Duration = Duration::from_mins(5);
/// The shortest wait between two attempts at an operation, whatever its policy says: without it, a policy of no wait and no end
/// would keep the API server busy for ever.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// To this the shortest wait grows where there is no last attempt: what has failed some ten times is no matter of seconds, and
/// hundreds of applications may have the same cause.
const ENDLESS_MIN: Duration = Duration::from_mins(1);
/// By what it grows.
const ENDLESS_FACTOR: u32 = 2;

/// The wait before a hook of a deletion that failed is made anew: a Job takes that long to fail by itself.
const HOOK_FIRST: Duration = Duration::from_secs(5);
/// By what that wait grows.
const HOOK_FACTOR: u32 = 2;
/// The longest wait: who mends the cause does not want to wait much longer.
const HOOK_MAX: Duration = Duration::from_mins(3);

/// The wait before the next attempt of an operation that was repeated `attempt` times; none if it has had them all.
pub fn retry_wait(retry: &Retry, attempt: u32) -> Option<Duration> {
    let is_endless = retry.limit < 0;
    if !is_endless && i64::from(attempt) >= retry.limit {
        return None;
    }
    let least = if is_endless { grown(RETRY_MIN, ENDLESS_FACTOR, ENDLESS_MIN, attempt) } else { RETRY_MIN };
    Some(grown(retry.duration, retry.factor, retry.max_duration, attempt).max(least))
}

/// The wait before a hook of a deletion is made anew that failed so often: 5 s, 10 s, 20 s up to 3 minutes, for ever, since an
/// Application that is being deleted has nothing else to do.
pub fn hook_wait(failures: u32) -> Duration {
    grown(HOOK_FIRST, HOOK_FACTOR, HOOK_MAX, failures.saturating_sub(1))
}

/// The wait before drift is healed that was healed `attempt` times before: none, then 2 s, 6 s, 18 s up to 5 minutes.
pub fn heal_wait(attempt: u32) -> Duration {
    attempt.checked_sub(1).map_or(Duration::ZERO, |grows| grown(HEAL_FIRST, HEAL_FACTOR, HEAL_MAX, grows))
}

/// How often drift counts as healed before, if that was `heals` times and last `ago`: what has been quiet for longer than the
/// next wait would be starts anew.
///
/// The wait that is just over does not count as quiet, or the longest wait would end every row of them.
pub fn heals_before(heals: u32, ago: Duration) -> u32 {
    if ago > heal_quiet(heals) { 0 } else { heals }
}

/// How long drift that was healed `heals` times must stay away until that is forgotten.
pub fn heal_quiet(heals: u32) -> Duration {
    heal_wait(heals).saturating_add(heal_wait(heals.saturating_add(1)))
}

/// `first × factor^times`, at most `max`.
fn grown(first: Duration, factor: u32, max: Duration, times: u32) -> Duration {
    let mut wait = first.min(max);
    for _ in 0..times {
        // It stops to move after a few rounds, however many are asked for.
        let next = wait.saturating_mul(factor.max(1)).min(max);
        if next == wait {
            break;
        }
        wait = next;
    }
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn retries_grow_and_end() {
        let waits: Vec<_> = (0..7).map(|attempt| retry_wait(&Retry::default(), attempt)).collect();
        let seconds = [Some(5), Some(10), Some(20), Some(40), Some(80), None, None];
        assert_eq!(waits, seconds.map(|wait| wait.map(Duration::from_secs)));
    }

    #[test]
    fn retries_without_end_stay_below_the_longest_wait() {
        let retry = Retry { limit: -1, ..Retry::default() };
        assert_eq!(retry_wait(&retry, 6), Some(180 * SECOND));
        assert_eq!(retry_wait(&retry, u32::MAX), Some(180 * SECOND));
    }

    #[test]
    fn hooks_of_a_deletion_are_tried_for_ever_and_ever_more_rarely() {
        let waits: Vec<u64> = [1, 2, 3, 6, 7, u32::MAX].map(|failures| hook_wait(failures).as_secs()).to_vec();
        assert_eq!(waits, [5, 10, 20, 160, 180, 180]);
    }

    #[test]
    fn no_retries() {
        assert_eq!(retry_wait(&Retry { limit: 0, ..Retry::default() }, 0), None);
    }

    #[test]
    fn strange_policies_are_obeyed_as_far_as_they_go() {
        let still = Retry { factor: 0, ..Retry::default() };
        assert_eq!(retry_wait(&still, 3), Some(5 * SECOND));
        let endless = Retry { limit: -1, duration: Duration::ZERO, ..Retry::default() };
        let waits: Vec<_> = (0..8).map(|attempt| retry_wait(&endless, attempt).unwrap().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60], "what never ends is not asked every second");
        let none = Retry { duration: Duration::ZERO, ..Retry::default() };
        assert_eq!(retry_wait(&none, 3), Some(SECOND));
        let huge = Retry {
            limit: -1,
            duration: Duration::MAX,
            factor: u32::MAX,
            max_duration: Duration::MAX,
            ..Retry::default()
        };
        assert_eq!(retry_wait(&huge, 9), Some(Duration::MAX));
    }

    #[test]
    fn heals_as_upstream() {
        let waits: Vec<u64> = (0..8).map(|attempt| heal_wait(attempt).as_secs()).collect();
        assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300]);
    }

    #[test]
    fn healing_starts_anew_only_after_a_quiet_time() {
        assert_eq!(heals_before(1, 8 * SECOND), 1);
        assert_eq!(heals_before(1, 9 * SECOND), 0);
        for heals in 0..9 {
            assert_eq!(heals_before(heals, heal_wait(heals) + SECOND), heals, "the wait itself is not quiet: {heals}");
        }
        assert_eq!(heals_before(u32::MAX, 601 * SECOND), 0);
    }
}
