//! The time of day, as statuses write it.

use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

/// Now, in whole seconds, as `2026-11-24T10:00:00Z`.
pub(crate) fn now() -> String {
    text(Timestamp::now())
}

/// So much later than now.
pub(crate) fn after(wait: Duration) -> String {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    text(Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX))
}

/// How long ago a time was; nothing if it cannot be read or is yet to come.
pub(crate) fn since(time: &str) -> Duration {
    let Ok(time) = time.parse::<Timestamp>() else { return Duration::ZERO };
    Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default()
}

/// How long ago a time was; none if it cannot be read or is yet to come.
pub(crate) fn ago(time: &str) -> Option<Duration> {
    Duration::try_from(Timestamp::now().duration_since(time.parse().ok()?)).ok()
}

/// So much later than a time; none if it cannot be read.
pub(crate) fn later(time: &str, wait: Duration) -> Option<String> {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    Some(text(time.parse::<Timestamp>().ok()?.checked_add(wait).unwrap_or(Timestamp::MAX)))
}

/// A time, as statuses write it.
pub(crate) fn text(time: Timestamp) -> String {
    time.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc)).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_and_can_be_read_again() {
        let time = text("2026-11-24T10:00:00.4Z".parse().unwrap());
        assert_eq!(time, "2026-11-24T10:00:00Z");
        assert!(since("2000-01-01T00:00:00Z") > Duration::from_secs(1_000_000));
        assert_eq!(since("9999-01-01T00:00:00Z"), Duration::ZERO);
        assert_eq!(since("yesterday"), Duration::ZERO);
        assert!(after(Duration::from_mins(1)) > now());
        assert!(ago("2000-01-01T00:00:00Z") > Some(Duration::from_secs(1_000_000)));
        assert_eq!(ago("9999-01-01T00:00:00Z"), None);
        assert_eq!(ago("yesterday"), None);
        let later = |time| later(time, Duration::from_mins(2));
        assert_eq!(later("2026-11-24T10:59:30Z").as_deref(), Some("2026-11-24T11:01:30Z"));
        assert_eq!(later("yesterday"), None);
    }
}
