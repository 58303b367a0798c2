//! The schedules of sync windows: five fields, as Argo CD's library (robfig/cron, standard parser) reads them.
//!
//! Kept: the numbers that each field allows, as bits. Times are wall clock times without a zone. Entry points: [`Cron::parse`],
//! [`Cron::next`] and [`Cron::last`].

use jiff::civil::{Date, DateTime, time};

/// How many days a schedule is searched for its next time, as upstream five years: the 30th of February never comes.
const DAYS_MAX: u32 = 5 * 366;
/// A field for each minute, hour, day, month and day of the week.
const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, names: &[] },
    Field {
        name: "month",
        min: 1,
        max: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { name: "day of the week", min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// When something begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// The days of the month, or those of the week, are a star: then both must fit, otherwise one is enough.
    any_day: bool,
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CronError {
    #[error("it has {0} fields, not five (minute, hour, day of the month, month, day of the week)")]
    Fields(usize),
    #[error("'{0}' is no {1}: write numbers, ranges (1-5), steps (*/15) and lists of them")]
    Malformed(String, &'static str),
    #[error("'{0}' is no {1} from {2} to {3}")]
    Range(String, &'static str, u32, u32),
}

/// What a field of a schedule may hold.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
}

// === impl Cron ===

impl Cron {
    pub(crate) fn parse(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let count = fields.len();
        let fields: [&str; 5] = fields.try_into().map_err(|_| CronError::Fields(count))?;
        let [minute, hour, day, month, weekday] = &FIELDS;
        let (days, any_day) = day.read(fields[2])?;
        let (weekdays, any_weekday) = weekday.read(fields[4])?;
        Ok(Self {
            minutes: minute.read(fields[0])?.0,
            hours: hour.read(fields[1])?.0,
            days,
            months: month.read(fields[3])?.0,
            weekdays,
            any_day: any_day || any_weekday,
        })
    }

    /// The first time after that one; none if there is none within five years.
    pub(crate) fn next(&self, after: DateTime) -> Option<DateTime> {
        let now = minute_of(after);
        if self.fits(after.date())
            && let Some(minute) = (now + 1..MINUTES_OF_DAY).find(|minute| self.begins(*minute))
        {
            return at(after.date(), minute);
        }
        let mut date = after.date();
        for _ in 0..DAYS_MAX {
            date = date.tomorrow().ok()?;
            if self.fits(date) {
                return at(date, (0..MINUTES_OF_DAY).find(|minute| self.begins(*minute))?);
            }
        }
        None
    }

    /// The last time at or before that one; none if there is none within the days before it.
    pub(crate) fn last(&self, until: DateTime, days: u32) -> Option<DateTime> {
        if self.fits(until.date())
            && let Some(minute) = (0..=minute_of(until)).rev().find(|minute| self.begins(*minute))
        {
            return at(until.date(), minute);
        }
        let mut date = until.date();
        for _ in 0..days.min(DAYS_MAX) {
            date = date.yesterday().ok()?;
            if self.fits(date) {
                return at(date, (0..MINUTES_OF_DAY).rev().find(|minute| self.begins(*minute))?);
            }
        }
        None
    }

    /// Whether every minute is meant.
    pub(crate) fn is_always(&self) -> bool {
        let [minute, hour, day, month, weekday] = &FIELDS;
        let all = |field: &Field, bits: u64| bits == field.bits(field.min, field.max, 1);
        let days = (all(day, self.days), all(weekday, self.weekdays));
        let every_day = if self.any_day { days.0 && days.1 } else { days.0 || days.1 };
        every_day && all(minute, self.minutes) && all(hour, self.hours) && all(month, self.months)
    }

    fn fits(&self, date: Date) -> bool {
        let day = has(self.days, i32::from(date.day()));
        let weekday = has(self.weekdays, i32::from(date.weekday().to_sunday_zero_offset()));
        let fits = if self.any_day { day && weekday } else { day || weekday };
        fits && has(self.months, i32::from(date.month()))
    }

    fn begins(&self, minute_of_day: i32) -> bool {
        has(self.hours, minute_of_day / 60) && has(self.minutes, minute_of_day % 60)
    }
}

const MINUTES_OF_DAY: i32 = 24 * 60;

fn has(bits: u64, number: i32) -> bool {
    u32::try_from(number).is_ok_and(|number| number < u64::BITS && bits & (1 << number) != 0)
}

fn minute_of(time: DateTime) -> i32 {
    i32::from(time.hour()) * 60 + i32::from(time.minute())
}

fn at(date: Date, minute_of_day: i32) -> Option<DateTime> {
    let (hour, minute) = (i8::try_from(minute_of_day / 60).ok()?, i8::try_from(minute_of_day % 60).ok()?);
    Some(date.to_datetime(time(hour, minute, 0, 0)))
}

// === impl Field ===

impl Field {
    /// The numbers of a list, and whether it has a star.
    fn read(&self, text: &str) -> Result<(u64, bool), CronError> {
        let (mut bits, mut star) = (0, false);
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (more, is_star) = self.range(part)?;
            bits |= more;
            star |= is_star;
        }
        // Nothing but commas is no time at all: upstream takes it, and it never comes.
        if bits == 0 { Err(self.malformed(text)) } else { Ok((bits, star)) }
    }

    fn range(&self, text: &str) -> Result<(u64, bool), CronError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (range, None),
        };
        let mut star = matches!(low, "*" | "?");
        let (from, mut to) = if star {
            (self.min, self.max)
        } else {
            let from = self.number(low, text)?;
            (from, high.map_or(Ok(from), |high| self.number(high, text))?)
        };
        let step = match step {
            None => 1,
            Some(step) => {
                let step = digits(step).ok_or_else(|| self.malformed(text))?;
                if high.is_none() {
                    to = self.max;
                }
                star &= step == 1;
                step
            }
        };
        if from < self.min || to > self.max || from > to {
            return Err(CronError::Range(text.to_owned(), self.name, self.min, self.max));
        }
        if step == 0 {
            return Err(self.malformed(text));
        }
        Ok((self.bits(from, to, step), star))
    }

    fn number(&self, text: &str, whole: &str) -> Result<u32, CronError> {
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok());
        named.map(|at| at + self.min).or_else(|| digits(text)).ok_or_else(|| self.malformed(whole))
    }

    fn bits(&self, from: u32, to: u32, step: u32) -> u64 {
        (from..=to.min(self.max))
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .fold(0, |bits, at| bits | (1 << at))
    }

    fn malformed(&self, text: &str) -> CronError {
        CronError::Malformed(text.to_owned(), self.name)
    }
}

/// A number as Go reads it: a plus is allowed. One that is too large for any field stays that.
fn digits(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the library that Argo CD uses, recorded by `tools/oracles/cron`.
    const ANSWERS: &str = include_str!("../tests/data/cron.txt");

    #[test]
    fn answers_as_argo_cd_does() {
        let mut count = 0;
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split('\t').collect();
            let [schedule, from, expected] = parts[..] else { panic!("{line}") };
            let schedule = schedule.trim_matches('"').replace("\\t", "\t");
            let from: DateTime = from.parse().unwrap();
            let answer = match Cron::parse(&schedule) {
                Err(_) => "bad".to_owned(),
                Ok(cron) => {
                    cron.next(from).map_or("never".to_owned(), |next| next.strftime("%Y-%m-%dT%H:%M").to_string())
                }
            };
            assert_eq!(answer, expected, "{line}");
            count += 1;
        }
        assert!(count > 1700, "{count} answers");
    }

    #[test]
    fn the_last_time_is_the_one_whose_next_is_later() {
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split('\t').collect();
            let [schedule, from, expected] = parts[..] else { panic!("{line}") };
            let Ok(expected) = expected.parse::<DateTime>() else { continue };
            let cron = Cron::parse(&schedule.trim_matches('"').replace("\\t", "\t")).unwrap();
            assert_eq!(cron.last(expected, 0), Some(expected), "{line}");
            let before = from.parse::<DateTime>().unwrap();
            if let Some(last) = cron.last(before, DAYS_MAX) {
                assert!(last <= before, "{line}");
                let next = cron.next(last).unwrap();
                assert!(next > before, "{line}: {last}, then {next}");
            }
        }
    }

    #[test]
    fn every_minute_is_always() {
        for (schedule, always) in [
            ("* * * * *", true),
            ("*/1 0-23 ? 1-12 sun-sat", true),
            ("* * 1 * *", false),
            ("* * 1 * 0-6", true),
            ("0 * * * *", false),
        ] {
            assert_eq!(Cron::parse(schedule).unwrap().is_always(), always, "{schedule}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (schedule, told) in [
            ("* * *", "it has 3 fields, not five"),
            ("@daily", "it has 1 fields, not five"),
            ("0 25 * * *", "'25' is no hour from 0 to 23"),
            ("0 0 * * 7", "'7' is no day of the week from 0 to 6"),
            ("x * * * *", "'x' is no minute: write"),
            (", * * * *", "',' is no minute: write"),
        ] {
            let error = Cron::parse(schedule).unwrap_err().to_string();
            assert!(error.starts_with(told), "{schedule}: {error}");
        }
    }
}
