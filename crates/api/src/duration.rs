//! Go's durations (`1h30m`, `1.5s`), and a bare number as seconds, as Argo CD reads its backoffs.
//!
//! Entry points: [`parse`] and [`duration_text`], which prints what [`parse`] reads.

use std::time::Duration;

/// Units and their length in nanoseconds. Longer names first, so that `ms` is not read as `m`.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// The longest duration, in seconds: what Go's 63 bits of nanoseconds hold.
const SECONDS_MAX: f64 = 9_223_372_036.0;

/// The duration, or nothing if the text is none or is negative.
pub fn parse(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        // Without a digit there is no number: "." would be read as nothing.
        let number: f64 =
            if number.bytes().any(|b| b.is_ascii_digit()) { format!("0{number}").parse().ok()? } else { return None };
        let (unit, length) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        seconds += number * length / 1e9;
        rest = &after[unit.len()..];
    }
    (!text.is_empty() && text != "+" && seconds <= SECONDS_MAX).then(|| Duration::from_secs_f64(seconds))
}

/// A duration as people write it: `90m` is `1h30m`, and what is 0 is left out.
pub fn duration_text(duration: Duration) -> String {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    let fraction = if nanoseconds > 0 { format!(".{nanoseconds:09}") } else { String::new() };
    let last = format!("{}{}", seconds % 60, fraction.trim_end_matches('0'));
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let whole = |count: u64, unit: &str| if count > 0 { format!("{count}{unit}") } else { String::new() };
    let before = whole(hours, "h") + &whole(minutes, "m");
    if last == "0" && !before.is_empty() { before } else { format!("{before}{last}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for (milliseconds, text) in [
            (0, "0s"),
            (5_000, "5s"),
            (90_000, "1m30s"),
            (180_000, "3m"),
            (3_600_000, "1h"),
            (5_400_000, "1h30m"),
            (3_605_000, "1h5s"),
            (360_000_000, "100h"),
            (1_500, "1.5s"),
            (60_001, "1m0.001s"),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(duration_text(duration), text);
            assert_eq!(parse(text), Some(duration));
        }
    }

    #[test]
    fn reads_durations_as_go_does() {
        for (text, milliseconds) in [
            ("5", 5_000),
            ("0", 0),
            ("5s", 5_000),
            ("3m", 180_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1.s", 1_000),
            ("100ms", 100),
            ("+2m3s", 123_000),
            ("2m0.5s", 120_500),
            ("1000us", 1),
            ("1000µs", 1),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "+", "-5s", "s", ".s", "5 s", "5x", "1.2.3s", "five", "5s5", "1d", "9999999999999h", "1e3s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
