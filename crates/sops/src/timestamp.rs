//! Times as Go reads and writes them, taken apart and put together as text. Entry points: [`in_yaml`] and [`to_the_second`].

/// The digits of a fraction of a second that Go reads.
const FRACTION_DIGITS_MAX: usize = 9;

/// A plain scalar that Go's YAML takes for a time, as Go prints that time; none if it is something else.
pub(crate) fn in_yaml(text: &str) -> Option<String> {
    let time = Time::read(text, true)?;
    Some(time.print(true))
}

/// A time of RFC 3339, as Go prints it without fractions of seconds.
pub(crate) fn to_the_second(text: &str) -> Option<String> {
    let time = Time::read(text, false)?;
    Some(time.print(false))
}

struct Time {
    date: (u32, u32, u32),
    clock: (u32, u32, u32),
    fraction: String,
    /// As it was written; empty for UTC.
    zone: String,
}

// === impl Time ===

impl Time {
    /// `loose` takes the other forms too that Go's YAML reads: one digit for two, a small `t`, a space, or a date alone.
    fn read(text: &str, loose: bool) -> Option<Self> {
        let (head, mut rest) = text.as_bytes().split_at_checked(5)?;
        if !(head[..4].iter().all(u8::is_ascii_digit) && head[4] == b'-') {
            return None;
        }
        let year = head[..4].iter().fold(0, |year: u32, digit| year * 10 + u32::from(digit - b'0'));
        let month = number(&mut rest, 1..=12, loose)?;
        literal(&mut rest, b'-')?;
        let day = number(&mut rest, 1..=days(year, month), loose)?;
        let mut time =
            Self { date: (year, month, day), clock: (0, 0, 0), fraction: String::new(), zone: String::new() };
        match rest.first() {
            None => return loose.then_some(time),
            Some(b'T') => {
                rest = &rest[1..];
                time.read_clock(&mut rest, loose)?;
                time.read_zone(&mut rest)?;
            }
            Some(b't') if loose => {
                rest = &rest[1..];
                time.read_clock(&mut rest, loose)?;
                time.read_zone(&mut rest)?;
            }
            Some(b' ') if loose => {
                rest = rest.trim_ascii_start();
                time.read_clock(&mut rest, loose)?;
            }
            Some(_) => return None,
        }
        rest.is_empty().then_some(time)
    }

    fn read_clock(&mut self, rest: &mut &[u8], loose: bool) -> Option<()> {
        // Go takes an hour of one digit in every layout.
        self.clock.0 = number(rest, 0..=23, true)?;
        literal(rest, b':')?;
        self.clock.1 = number(rest, 0..=59, loose)?;
        literal(rest, b':')?;
        self.clock.2 = number(rest, 0..=59, loose)?;
        if let [b'.' | b',', first, ..] = rest
            && first.is_ascii_digit()
        {
            let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).take(FRACTION_DIGITS_MAX);
            self.fraction = digits.map(|digit| char::from(*digit)).collect();
            *rest = &rest[1 + self.fraction.len()..];
        }
        Some(())
    }

    fn read_zone(&mut self, rest: &mut &[u8]) -> Option<()> {
        if let [b'Z'] = rest {
            *rest = &[];
            return Some(());
        }
        let [sign @ (b'+' | b'-'), hours_1, hours_2, b':', minutes_1, minutes_2] = rest else { return None };
        let mut hours: &[u8] = &[*hours_1, *hours_2];
        let mut minutes: &[u8] = &[*minutes_1, *minutes_2];
        let (hours, minutes) = (number(&mut hours, 0..=23, false)?, number(&mut minutes, 0..=59, false)?);
        if (hours, minutes) != (0, 0) {
            self.zone = format!("{}{hours:02}:{minutes:02}", char::from(*sign));
        }
        *rest = &[];
        Some(())
    }

    fn print(&self, fraction: bool) -> String {
        let ((year, month, day), (hour, minute, second)) = (self.date, self.clock);
        let digits = if fraction { self.fraction.trim_end_matches('0') } else { "" };
        let point = if digits.is_empty() { "" } else { "." };
        let zone = if self.zone.is_empty() { "Z" } else { &self.zone };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{point}{digits}{zone}")
    }
}

/// A number of two digits, or of one where `loose`.
fn number(rest: &mut &[u8], range: std::ops::RangeInclusive<u32>, loose: bool) -> Option<u32> {
    let count = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    if count < if loose { 1 } else { 2 } {
        return None;
    }
    let value = rest[..count].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    *rest = &rest[count..];
    range.contains(&value).then_some(value)
}

fn literal(rest: &mut &[u8], wanted: u8) -> Option<()> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    (*first == wanted).then_some(())
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_go_makes_of_them() {
        for (text, wanted) in [
            ("2024-03-05T06:07:08Z", Some("2024-03-05T06:07:08Z")),
            ("2024-3-5t6:7:8.120+00:00", Some("2024-03-05T06:07:08.12Z")),
            ("2024-03-05 06:07:08.5", Some("2024-03-05T06:07:08.5Z")),
            ("2024-02-29", Some("2024-02-29T00:00:00Z")),
            ("2024-03-05T06:07:08-02:30", Some("2024-03-05T06:07:08-02:30")),
            ("2023-02-29", None),
            ("2024-03-05T06:07:08", None),
            ("2024-03-05 06:07:08Z", None),
            ("20240305", None),
            ("2024-", None),
            ("", None),
        ] {
            assert_eq!(in_yaml(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(to_the_second("2024-03-05T06:07:08.9+01:00").as_deref(), Some("2024-03-05T06:07:08+01:00"));
        assert_eq!(to_the_second("2024-03-05"), None);
    }
}
