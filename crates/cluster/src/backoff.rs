//! How long to wait after a failure. Entry point: [`Backoff::next`].

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait while the server cannot be reached: who waits is woken when somebody else reaches it.
const NETWORK_MAX: Duration = Duration::from_secs(10);
/// The longest wait after the server refused: a permission that is missing for an hour costs 30 requests.
const REFUSED_MAX: Duration = Duration::from_mins(2);

/// Doubles the wait from failure to failure.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait now; `network` if the server was not heard.
    pub(crate) fn next(&mut self, network: bool) -> Duration {
        let highest = if network { NETWORK_MAX } else { REFUSED_MAX };
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(highest);
        self.failures += 1;
        spread(wait)
    }
}

/// Three quarters to five quarters of a time, so that many do not come back at once.
pub(crate) fn spread(time: Duration) -> Duration {
    // Every RandomState has keys of its own.
    let percent = 75 + RandomState::new().hash_one(time) % 51;
    time * u32::try_from(percent).unwrap_or(100) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_spread() {
        let mut backoff = Backoff::default();
        for exponent in 0..12 {
            let wait = backoff.next(false);
            let middle = (FIRST * 2_u32.pow(exponent)).min(REFUSED_MAX);
            assert!(wait >= middle * 3 / 4 && wait <= middle * 5 / 4, "{wait:?} for {middle:?}");
        }
        assert!(backoff.next(true) <= NETWORK_MAX * 5 / 4);
        backoff.reset();
        assert!(backoff.next(false) <= FIRST * 5 / 4);
    }
}
