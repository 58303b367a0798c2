//! Which strings look like a time to Go. They stay strings, but are printed in quotes.
//!
//! Keeps nothing. Entry point: [`is`].

/// Whether Go's reader takes the text for a time: a date, or a date and a time of day.
pub(super) fn is(text: &str) -> bool {
    date_and_time(text).is_some()
}

fn date_and_time(text: &str) -> Option<()> {
    let bytes = text.as_bytes();
    let (head, mut rest) = bytes.split_at_checked(5)?;
    if !(head[..4].iter().all(u8::is_ascii_digit) && head[4] == b'-') {
        return None;
    }
    let year = head[..4].iter().fold(0, |year: u32, digit| year * 10 + u32::from(digit - b'0'));
    let month = number(&mut rest, 12).filter(|month| *month > 0)?;
    literal(&mut rest, b'-')?;
    let day = number(&mut rest, 31)?;
    if day == 0 || day > days(year, month) {
        return None;
    }
    match rest {
        [] => return Some(()),
        [b'T' | b't', after @ ..] => {
            rest = after;
            time_of_day(&mut rest)?;
            zone(&mut rest)?;
        }
        [b' ', ..] => {
            // Go skips any number of spaces where its pattern has one.
            rest = &rest[rest.iter().take_while(|byte| **byte == b' ').count()..];
            time_of_day(&mut rest)?;
        }
        _ => return None,
    }
    rest.is_empty().then_some(())
}

fn time_of_day(rest: &mut &[u8]) -> Option<()> {
    number(rest, 23)?;
    literal(rest, b':')?;
    number(rest, 59)?;
    literal(rest, b':')?;
    number(rest, 59)?;
    if let [b'.' | b',', first, ..] = rest
        && first.is_ascii_digit()
    {
        let count = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        *rest = &rest[1 + count..];
    }
    Some(())
}

/// `Z`, or hours and minutes such as `+01:30`.
fn zone(rest: &mut &[u8]) -> Option<()> {
    if let [b'Z', after @ ..] = rest {
        *rest = after;
        return Some(());
    }
    let (zone, after) = rest.split_at_checked(6)?;
    let [b'+' | b'-', h1, h0, b':', m1, m0] = zone else { return None };
    let two =
        |ten: &u8, one: &u8| (ten.is_ascii_digit() && one.is_ascii_digit()).then(|| (ten - b'0') * 10 + (one - b'0'));
    if two(h1, h0)? > 24 || two(m1, m0)? > 60 {
        return None;
    }
    *rest = after;
    Some(())
}

/// One or two digits.
fn number(rest: &mut &[u8], max: u32) -> Option<u32> {
    let count = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let value = rest[..count].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    *rest = &rest[count..];
    (value <= max).then_some(value)
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
