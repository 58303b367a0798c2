//! Sync windows: when the Applications of a project may be synced.
//!
//! Kept: the windows that hold for one application. Invariants: a deny window wins over every allow window; a window that is
//! wrong blocks what one of its kind can block (a deny window is open, an allow window is not) until it is corrected, and says
//! so; what is forbidden is so until [`Permit::changes_at`], so that nobody has to ask before. Entry points: [`Windows::read`],
//! [`Windows::permits`]; [`WindowState::of`] for one window.
//!
//! As upstream, a window is a matter of the wall clock of its time zone: one that begins at 22:00 for 8 hours ends when the
//! clock shows 06:00, also in the night in which the clock is set.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use trueup_api::project_spec::SyncWindow;

use crate::cron::Cron;

/// How far the end, or the beginning, of a row of windows without a gap is looked for, in days: more than the year after
/// which every schedule that people write comes again.
const ROW_DAYS_MAX: i64 = 400;
/// How many changes of the clock and of windows are looked at for the end of what they forbid: a schedule that people write
/// changes a few times a day. Past it, it is asked again.
const CHANGES_MAX: usize = 1000;
/// How many times a window is asked for that end, over all windows: of hundreds of them fewer changes are looked at.
const ASKED_MAX: usize = 20_000;
/// How many windows one reason names.
const NAMED_MAX: usize = 3;
/// How much of a schedule or time zone is repeated, in characters: no valid one that people write is longer.
const SHOWN_MAX: usize = 80;

/// The sync windows that hold for one application.
#[derive(Clone, Debug, Default)]
pub struct Windows(Vec<Window>);

/// Who began an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// Automation: a sync, or the healing of drift.
    Automation,
    /// Somebody.
    Somebody,
}

/// Whether something may be done, and if not, why and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// It may be done.
    pub allowed: bool,
    /// If not, which windows keep it, since when, and until when.
    pub why: String,
    /// If not, when it may be; none if only another project changes that.
    pub changes_at: Option<Timestamp>,
}

/// How one window is at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowState {
    /// It is open, or wrong and counts as open.
    pub open: bool,
    /// When that changes, if ever.
    pub changes_at: Option<Timestamp>,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

#[derive(Clone, Debug)]
struct Window {
    /// As people write it, to be named.
    name: String,
    allows: bool,
    manual: bool,
    overrun: bool,
    /// When it is open, or what is wrong with it.
    hours: Result<Hours, String>,
}

/// When a window is open.
#[derive(Clone, Debug)]
struct Hours {
    cron: Cron,
    length: SignedDuration,
    zone: TimeZone,
}

/// What the windows say of one moment.
struct Verdict<'a> {
    allowed: bool,
    /// The windows that decide.
    by: Vec<&'a Window>,
}

// === impl Windows ===

impl Windows {
    /// Reads the windows that hold for an application.
    pub fn read<'a>(windows: impl IntoIterator<Item = &'a SyncWindow>) -> Self {
        Self(windows.into_iter().map(Window::read).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with them, in words for the people of the project.
    pub fn wrong(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter(|window| window.hours.is_err()).map(|window| window.told(Timestamp::UNIX_EPOCH))
    }

    /// Whether something may be done now by whoever began it; `began` if it is under way, and since when. What began while it
    /// was allowed may go on where all windows that forbid it now have `syncOverrun`.
    pub fn permits(&self, initiator: Initiator, began: Option<Timestamp>, now: Timestamp) -> Permit {
        let verdict = self.judge(initiator, began, now);
        if verdict.allowed {
            return Permit { allowed: true, why: String::new(), changes_at: None };
        }
        let changes_at = self.allowed_from(initiator, began, now);
        Permit { allowed: false, why: why(&verdict.by, now, changes_at), changes_at }
    }

    fn judge(&self, initiator: Initiator, began: Option<Timestamp>, at: Timestamp) -> Verdict<'_> {
        let passes = |by: &[&Window]| {
            let in_time = || began.is_some_and(|began| self.judge(initiator, None, began).allowed);
            (initiator == Initiator::Somebody && by.iter().all(|window| window.manual))
                || (by.iter().all(|window| window.overruns()) && in_time())
        };
        let denies: Vec<&Window> = self.0.iter().filter(|window| !window.allows && window.is_open(at)).collect();
        if !denies.is_empty() {
            return Verdict { allowed: passes(&denies), by: denies };
        }
        let allows: Vec<&Window> = self.0.iter().filter(|window| window.allows).collect();
        if allows.iter().any(|window| window.is_open(at)) {
            return Verdict { allowed: true, by: Vec::new() };
        }
        Verdict { allowed: allows.is_empty() || passes(&allows), by: allows }
    }

    /// When it is allowed next.
    fn allowed_from(&self, initiator: Initiator, began: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let change = |window: &Window, from| window.hours.as_ref().ok().and_then(|hours| hours.change(from));
        let mut changes: Vec<Option<Timestamp>> = self.0.iter().map(|window| change(window, now)).collect();
        let mut at = now;
        for _ in 0..(ASKED_MAX / self.0.len().max(1)).clamp(1, CHANGES_MAX) {
            at = changes.iter().flatten().min().copied()?;
            // Only those that have changed say something new: the end of a row may be a long way off.
            for (window, next) in self.0.iter().zip(&mut changes).filter(|(_, next)| **next == Some(at)) {
                *next = change(window, at);
            }
            if self.judge(initiator, began, at).allowed {
                return Some(at);
            }
        }
        // Looked at again then.
        Some(at)
    }
}

/// Why something may not be done.
fn why(by: &[&Window], now: Timestamp, changes_at: Option<Timestamp>) -> String {
    let denied = by.iter().any(|window| !window.allows);
    let mut named: Vec<String> =
        by.iter().take(NAMED_MAX).map(|window| if denied { window.told(now) } else { window.shut() }).collect();
    if by.len() > NAMED_MAX {
        named.push(format!("{} more", by.len() - NAMED_MAX));
    }
    let until = changes_at.map_or_else(|| "until the project is changed".to_owned(), |at| format!("until {at}"));
    if denied {
        format!("{}; no sync {until}", named.join(", and "))
    } else {
        format!("none of its allow windows is open ({}); no sync {until}", named.join(", "))
    }
}

// === impl WindowState ===

impl WindowState {
    /// How a window is now.
    pub fn of(window: &SyncWindow, now: Timestamp) -> Self {
        let window = Window::read(window);
        Self {
            open: window.is_open(now),
            changes_at: window.hours.as_ref().ok().and_then(|hours| hours.change(now)),
            wrong: window.hours.err(),
        }
    }
}

// === impl Window ===

impl Window {
    fn read(window: &SyncWindow) -> Self {
        let zone = if window.time_zone.is_empty() { String::new() } else { format!(" ({})", shown(&window.time_zone)) };
        Self {
            name: format!("'{}' for {}{zone}", shown(&window.schedule), shown(&window.duration)),
            // What is neither counts as what forbids.
            allows: window.kind == "allow",
            manual: window.manual_sync,
            overrun: window.sync_overrun,
            hours: Hours::read(window),
        }
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.hours.as_ref().map_or(!self.allows, |hours| hours.is_open(at))
    }

    /// Whether it lets end what began before it. One that is wrong lets nothing pass that it need not.
    fn overruns(&self) -> bool {
        self.overrun && self.hours.is_ok()
    }

    /// What there is to say of it where it forbids, or is wrong.
    fn told(&self, now: Timestamp) -> String {
        let kind = if self.allows { "allow" } else { "deny" };
        match &self.hours {
            Ok(hours) => {
                let since = hours.opened(now).map(|since| format!(" since {since}")).unwrap_or_default();
                format!("the {kind} window {} is open{since}", self.name)
            }
            Err(why) => {
                let counts = if self.allows { "never opens" } else { "forbids all the time" };
                format!("the {kind} window {} is wrong and {counts} until it is corrected: {why}", self.name)
            }
        }
    }

    /// As an allow window that is not open is named.
    fn shut(&self) -> String {
        if self.hours.is_ok() { self.name.clone() } else { format!("{}, which is wrong", self.name) }
    }
}

/// What people wrote, on one line and not too long.
fn shown(text: &str) -> String {
    let escaped: String = text.escape_debug().take(SHOWN_MAX).collect();
    if text.is_empty() { "''".to_owned() } else { escaped }
}

// === impl Hours ===

impl Hours {
    fn read(window: &SyncWindow) -> Result<Self, String> {
        if window.kind != "allow" && window.kind != "deny" {
            return Err(format!("its kind is '{}', neither allow nor deny", shown(&window.kind)));
        }
        let (zone, schedule) = zone_and_schedule(window)?;
        let cron = Cron::parse(schedule).map_err(|error| format!("schedule: {error}"))?;
        let length = window.length().and_then(|length| SignedDuration::try_from(length).ok()).ok_or_else(|| {
            format!("duration: '{}' is no time with a unit above zero, such as 1h30m", shown(&window.duration))
        })?;
        // Pure and the same everywhere: the zones of the machine are not asked.
        let zone = TimeZoneDatabase::bundled().get(zone).map_err(|_| {
            format!("timeZone: there is no time zone '{}', write one such as Europe/Amsterdam", shown(zone))
        })?;
        Ok(Self { cron, length, zone })
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.began(self.zone.to_datetime(at)).is_some()
    }

    /// The last beginning of the window that is open at a time of the wall clock.
    fn began(&self, at: DateTime) -> Option<DateTime> {
        let began = self.cron.last(at, self.days())?;
        (ends(began, self.length)? > at).then_some(began)
    }

    /// Whether it begins every minute and lasts until the next.
    fn never_shuts(&self) -> bool {
        self.cron.is_always() && self.length >= SignedDuration::from_mins(1)
    }

    /// How many days before a time its last beginning can be.
    fn days(&self) -> u32 {
        u32::try_from(self.length.as_hours() / 24 + 1).unwrap_or(u32::MAX)
    }

    /// When it opens or shuts next.
    fn change(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.is_open(now);
        let mut from = now;
        for _ in 0..CHANGES_MAX {
            let clock = self.zone.to_datetime(from);
            let next = if open { self.end_of_row(clock) } else { self.cron.next(clock) };
            let next = next.and_then(|next| from.checked_add(clock.duration_until(next)).ok());
            // The clock may be set before that, into a window or out of it.
            let set = self.zone.following(from).next().map(|transition| transition.timestamp());
            let at = match (next, set) {
                (Some(next), Some(set)) => next.min(set),
                (next, set) => next.or(set.filter(|_| !self.never_shuts()))?,
            };
            if self.is_open(at) != open {
                return Some(at);
            }
            next?;
            from = at;
        }
        None
    }

    /// The end of the windows that follow each other without a gap; none if there is no end in sight.
    fn end_of_row(&self, at: DateTime) -> Option<DateTime> {
        let mut began = self.began(at)?;
        if self.never_shuts() {
            return None;
        }
        let limit = at.checked_add(SignedDuration::from_hours(ROW_DAYS_MAX * 24)).ok()?;
        loop {
            let end = ends(began, self.length)?;
            let last = self.cron.last(end, self.days())?;
            if last <= began {
                return Some(end);
            }
            began = last;
            if end > limit {
                return None;
            }
        }
    }

    /// When the row of windows without a gap began that is open now; none if that is not in sight.
    fn opened(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.zone.to_datetime(now);
        let mut began = self.began(at)?;
        if self.never_shuts() {
            return None;
        }
        let limit = at.checked_sub(SignedDuration::from_hours(ROW_DAYS_MAX * 24)).ok()?;
        while let Some(before) = self.cron.last(began.checked_sub(SignedDuration::from_nanos(1)).ok()?, self.days()) {
            if ends(before, self.length)? < began {
                break;
            }
            began = before;
            if began < limit {
                return None;
            }
        }
        self.zone.to_timestamp(began).ok()
    }
}

fn ends(began: DateTime, length: SignedDuration) -> Option<DateTime> {
    began.checked_add(length).ok()
}

/// The time zone, which the schedule may name itself, as upstream.
fn zone_and_schedule(window: &SyncWindow) -> Result<(&str, &str), String> {
    let schedule = window.schedule.as_str();
    let set = if window.time_zone.is_empty() { "UTC" } else { window.time_zone.as_str() };
    let Some(rest) = schedule.strip_prefix("CRON_TZ=").or_else(|| schedule.strip_prefix("TZ=")) else {
        return Ok((set, schedule));
    };
    let (zone, schedule) = rest.split_once(' ').unwrap_or((rest, ""));
    if !window.time_zone.is_empty() && window.time_zone != zone {
        return Err(format!("the schedule names the time zone '{}', timeZone another", shown(zone)));
    }
    Ok((zone, schedule))
}

#[cfg(test)]
mod tests;
