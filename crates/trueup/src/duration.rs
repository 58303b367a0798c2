//! Durations as people write them: Go's form (`10s`, `1m30s`, `1.5h`), and a bare number for seconds, as Argo CD takes it.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// Nothing, or only a sign.
    #[error("a duration is needed, for example 10s, 1m30s or 1.5h")]
    Empty,
    /// Time does not run backwards.
    #[error("a duration cannot be negative")]
    Negative,
    /// A part does not begin with digits.
    #[error("'{0}' does not begin with a number: write for example 10s, 1m30s or 1.5h")]
    NoNumber(String),
    /// A part has a unit that is none.
    #[error("'{0}' is not a unit of time: use ns, us, ms, s, m or h")]
    UnknownUnit(String),
    /// More than fits.
    #[error("the duration is too long")]
    TooLong,
}

/// Nanoseconds per unit. `µ` is written with two different characters.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3600 * NANOS_PER_SECOND),
];
const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// Digits after the point that are read; the rest is less than a nanosecond of an hour.
const FRACTION_DIGITS_MAX: usize = 15;

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let text = match text.strip_prefix('-') {
        Some(_) => return Err(DurationError::Negative),
        None => text.strip_prefix('+').unwrap_or(text),
    };
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut nanos: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        // Without any unit the number is in seconds; `1m30` is a slip, in Go as here.
        let scale = match unit {
            "" if number == text => NANOS_PER_SECOND,
            _ => scale(unit).ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?,
        };
        nanos = nanos.checked_add(part(number, rest, scale)?).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| DurationError::TooLong)?;
    let subsecond = u32::try_from(nanos % NANOS_PER_SECOND).unwrap_or_default();
    // What a timer can take: 100 years, more than anybody waits.
    let longest = 100 * 365 * 24 * 3600;
    if seconds > longest { Err(DurationError::TooLong) } else { Ok(Duration::new(seconds, subsecond)) }
}

fn scale(unit: &str) -> Option<u128> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos)
}

/// `number` times `scale`, in nanoseconds.
fn part(number: &str, shown: &str, scale: u128) -> Result<u128, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::NoNumber(shown.to_owned()));
    }
    let digits = |text: &str| match text {
        "" => Ok(0),
        _ => text.parse::<u128>().map_err(|_| DurationError::TooLong),
    };
    let whole = digits(whole)?.checked_mul(scale).ok_or(DurationError::TooLong)?;
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
    let mut below = digits(fraction)? * scale;
    for _ in 0..fraction.len() {
        below /= 10;
    }
    whole.checked_add(below).ok_or(DurationError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_and_bare_seconds_are_read() {
        let cases = [
            ("10s", 10_000),
            ("2m", 120_000),
            ("1.5s", 1_500),
            ("1m30s", 90_000),
            ("1h1m1.001s", 3_661_001),
            ("250ms", 250),
            (".5s", 500),
            ("5.s", 5_000),
            ("0", 0),
            ("0s", 0),
            ("90", 90_000),
            ("1.5", 1_500),
            ("+3s", 3_000),
            ("1000us", 1),
            ("1000\u{b5}s", 1),
            ("1000000ns", 1),
            ("0.3333333333333333333333h", 1_199_999),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text).map(|duration| duration.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        let unit = |unit: &str| DurationError::UnknownUnit(unit.to_owned());
        let number = |text: &str| DurationError::NoNumber(text.to_owned());
        let cases = [
            ("", DurationError::Empty),
            ("  ", DurationError::Empty),
            ("+", DurationError::Empty),
            ("-1s", DurationError::Negative),
            ("1d", unit("d")),
            ("10 s", unit(" s")),
            ("1m30", unit("")),
            ("s", number("s")),
            (".s", number(".s")),
            ("1.2.3s", number("1.2.3s")),
            ("99999999999999999999999999999999999999999999h", DurationError::TooLong),
            ("9999999h", DurationError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }
}
