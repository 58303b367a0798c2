use proptest::prelude::*;

use super::*;
use Initiator::{Automation, Somebody};

fn window(json: &str) -> SyncWindow {
    serde_json::from_str(json).unwrap()
}

fn windows(list: &[&str]) -> Windows {
    Windows::read(&list.iter().map(|json| window(json)).collect::<Vec<_>>())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const DENY: &str = r#"{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h"}"#;
const DENY_BUT_MANUAL: &str = r#"{"kind": "deny", "schedule": "30 22 * * *", "duration": "1h", "manualSync": true}"#;
const ALLOW: &str = r#"{"kind": "allow", "schedule": "0 9 * * 1-5", "duration": "8h"}"#;
const ALLOW_AND_MANUAL: &str = r#"{"kind": "allow", "schedule": "0 9 * * 1-5", "duration": "8h", "manualSync": true}"#;
const BROKEN_DENY: &str = r#"{"kind": "deny", "schedule": "0 99 * * *", "duration": "1h"}"#;
const BROKEN_ALLOW: &str = r#"{"kind": "allow", "schedule": "0 9 * * *", "duration": "soon"}"#;

#[test]
fn the_rules() {
    // 2026-11-24 is a Tuesday.
    for (list, time, automated, manual) in [
        (&[][..], "2026-11-24T22:10:00Z", true, true),
        (&[DENY], "2026-11-24T21:59:59Z", true, true),
        (&[DENY], "2026-11-24T22:00:00Z", false, false),
        (&[DENY], "2026-11-24T22:59:59Z", false, false),
        (&[DENY], "2026-11-24T23:00:00Z", true, true),
        (&[DENY_BUT_MANUAL], "2026-11-24T23:10:00Z", false, true),
        // One that does not let people pass is enough.
        (&[DENY, DENY_BUT_MANUAL], "2026-11-24T22:40:00Z", false, false),
        (&[DENY, DENY_BUT_MANUAL], "2026-11-24T23:10:00Z", false, true),
        (&[ALLOW], "2026-11-24T10:00:00Z", true, true),
        (&[ALLOW], "2026-11-24T17:00:00Z", false, false),
        (&[ALLOW], "2026-11-22T10:00:00Z", false, false),
        (&[ALLOW_AND_MANUAL], "2026-11-22T10:00:00Z", false, true),
        (&[ALLOW, ALLOW_AND_MANUAL], "2026-11-22T10:00:00Z", false, false),
        // Deny wins.
        (
            &[ALLOW, r#"{"kind": "deny", "schedule": "0 10 * * *", "duration": "1h"}"#],
            "2026-11-24T10:30:00Z",
            false,
            false,
        ),
        (&[ALLOW, DENY], "2026-11-24T10:30:00Z", true, true),
        // What is wrong blocks.
        (&[BROKEN_DENY], "2026-11-24T10:30:00Z", false, false),
        (&[BROKEN_ALLOW], "2026-11-24T10:30:00Z", false, false),
        (&[BROKEN_ALLOW, ALLOW], "2026-11-24T10:30:00Z", true, true),
        (&[r#"{"kind": "Deny", "schedule": "0 3 * * *", "duration": "1h"}"#], "2026-11-24T10:30:00Z", false, false),
        (
            &[r#"{"kind": "deny", "schedule": "x", "duration": "1h", "manualSync": true}"#],
            "2026-11-24T10:30:00Z",
            false,
            true,
        ),
    ] {
        let windows = windows(list);
        for (initiator, allowed) in [(Automation, automated), (Somebody, manual)] {
            let permit = windows.permits(initiator, None, at(time));
            assert_eq!(permit.allowed, allowed, "{list:?} {time} {initiator:?}: {permit:?}");
            assert_eq!(permit.why.is_empty(), allowed, "{permit:?}");
        }
    }
}

#[test]
fn what_is_under_way_may_end_where_every_window_lets_it() {
    const DENY_OVERRUN: &str = r#"{"kind": "deny", "schedule": "0 10 * * *", "duration": "1h", "syncOverrun": true}"#;
    const DENY: &str = r#"{"kind": "deny", "schedule": "0 10 * * *", "duration": "1h"}"#;
    const ALLOW: &str = r#"{"kind": "allow", "schedule": "0 8 * * *", "duration": "2h"}"#;
    const ALLOW_OVERRUN: &str = r#"{"kind": "allow", "schedule": "0 8 * * *", "duration": "2h", "syncOverrun": true}"#;
    const BROKEN: &str = r#"{"kind": "deny", "schedule": "0 10 * * *", "duration": "1", "syncOverrun": true}"#;
    let (before, within, now) = ("2026-11-24T07:00:00Z", "2026-11-24T09:50:00Z", "2026-11-24T10:05:00Z");
    for (list, began, allowed) in [
        (&[DENY_OVERRUN][..], Some(within), true),
        (&[DENY_OVERRUN], Some("2026-11-24T10:01:00Z"), false),
        (&[DENY_OVERRUN], None, false),
        (&[DENY], Some(within), false),
        (&[DENY, DENY_OVERRUN], Some(within), false),
        (&[ALLOW_OVERRUN, DENY_OVERRUN], Some(within), true),
        (&[ALLOW_OVERRUN, DENY], Some(within), false),
        (&[ALLOW, DENY_OVERRUN], Some(within), true),
        (&[ALLOW, DENY_OVERRUN], Some(before), false),
        (&[ALLOW, DENY], Some(within), false),
        (&[ALLOW_OVERRUN], Some(within), true),
        (&[ALLOW_OVERRUN], Some(before), false),
        (&[ALLOW], Some(within), false),
        (&[ALLOW_OVERRUN, ALLOW], Some(within), false),
        (&[BROKEN], Some(within), false),
    ] {
        for initiator in [Automation, Somebody] {
            let permit = windows(list).permits(initiator, began.map(at), at(now));
            assert_eq!(permit.allowed, allowed, "{list:?} {began:?}: {permit:?}");
        }
    }
}

#[test]
fn it_is_told_which_window_since_when_and_until_when() {
    let told = |list: &[&str], time: &str| windows(list).permits(Automation, None, at(time)).why;
    assert_eq!(
        told(&[DENY, DENY_BUT_MANUAL], "2026-11-24T22:40:00Z"),
        "the deny window '0 22 * * *' for 1h is open since 2026-11-24T22:00:00Z, and the deny window '30 22 * * *' for 1h is open since 2026-11-24T22:30:00Z; no sync until 2026-11-24T23:30:00Z"
    );
    assert_eq!(
        told(&[ALLOW], "2026-11-27T17:30:00Z"),
        "none of its allow windows is open ('0 9 * * 1-5' for 8h); no sync until 2026-11-30T09:00:00Z"
    );
    assert_eq!(
        told(&[BROKEN_DENY], "2026-11-27T17:30:00Z"),
        "the deny window '0 99 * * *' for 1h is wrong and forbids all the time until it is corrected: schedule: '99' is no hour from 0 to 23; no sync until the project is changed"
    );
    assert_eq!(
        told(
            &[r#"{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "timeZone": "Europe/Amsterdam"}"#],
            "2026-11-27T17:30:00Z"
        ),
        "the deny window '* * * * *' for 1h (Europe/Amsterdam) is open; no sync until the project is changed"
    );
    let many = [DENY; 5];
    assert!(told(&many, "2026-11-24T22:40:00Z").contains("and 2 more; no sync until"));
}

#[test]
fn a_window_that_is_wrong_says_what_is() {
    for (json, words) in [
        (
            r#"{"kind": "deny", "schedule": "0 22 * * *", "duration": "3600"}"#,
            "duration: '3600' is no time with a unit",
        ),
        (r#"{"kind": "deny", "schedule": "0 22 * * *", "duration": "0s"}"#, "duration: '0s' is no time"),
        (r#"{"kind": "deny", "schedule": "0 22 * * *", "duration": "-1h"}"#, "duration: '-1h' is no time"),
        (r#"{"kind": "deny", "schedule": "0 22 * * *"}"#, "duration: '''' is no time"),
        (r#"{"kind": "deny", "schedule": "@daily", "duration": "1h"}"#, "schedule: it has 1 fields"),
        (
            r#"{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "timeZone": "Mars/Olympus"}"#,
            "no time zone 'Mars/Olympus'",
        ),
        (
            r#"{"kind": "deny", "schedule": "TZ=Asia/Tokyo 0 22 * * *", "duration": "1h", "timeZone": "UTC"}"#,
            "names the time zone 'Asia/Tokyo', timeZone another",
        ),
        (r#"{"kind": "deny", "schedule": "TZ=Asia/Tokyo", "duration": "1h"}"#, "schedule: it has 0 fields"),
        (r#"{"kind": "", "schedule": "0 22 * * *", "duration": "1h"}"#, "its kind is '''', neither allow nor deny"),
    ] {
        let wrong: Vec<String> = windows(&[json, DENY]).wrong().collect();
        assert_eq!(wrong.len(), 1, "{json}");
        assert!(wrong[0].contains(words) && wrong[0].contains("forbids all the time"), "{}", wrong[0]);
        let state = WindowState::of(&window(json), at("2026-11-24T10:00:00Z"));
        assert!(state.open && state.changes_at.is_none() && state.wrong.is_some(), "{state:?}");
    }
    assert!(windows(&[BROKEN_ALLOW]).wrong().next().unwrap().contains("never opens"));
    let long = format!(r#"{{"kind": "deny", "schedule": "{}", "duration": "1h\n"}}"#, "x".repeat(100_000));
    assert!(windows(&[&long]).permits(Automation, None, Timestamp::UNIX_EPOCH).why.len() < 100_300);
}

#[test]
fn the_wall_clock_of_the_zone_counts() {
    let night = r#"{"kind": "deny", "schedule": "0 22 * * *", "duration": "8h", "timeZone": "Europe/Amsterdam"}"#;
    let state = |time: &str| WindowState::of(&window(night), at(time));
    // Winter: 22:00 is 21:00 UTC, summer: 20:00.
    assert_eq!(
        state("2026-11-24T20:59:00Z"),
        WindowState { open: false, changes_at: Some(at("2026-11-24T21:00:00Z")), wrong: None }
    );
    assert_eq!(
        state("2026-07-01T20:00:00Z"),
        WindowState { open: true, changes_at: Some(at("2026-07-02T04:00:00Z")), wrong: None }
    );
    // The night in which the clock goes forward is an hour shorter, the other an hour longer.
    assert_eq!(state("2026-03-28T22:00:00Z").changes_at, Some(at("2026-03-29T04:00:00Z")));
    assert_eq!(state("2026-10-24T22:00:00Z").changes_at, Some(at("2026-10-25T05:00:00Z")));
    // An hour that the clock skips: the window opens late, or not at all.
    let skipped = |duration: &str| {
        format!(
            r#"{{"kind": "deny", "schedule": "15 2 29 3 *", "duration": "{duration}", "timeZone": "Europe/Amsterdam"}}"#
        )
    };
    let long = WindowState::of(&window(&skipped("2h")), at("2026-03-29T00:00:00Z"));
    assert_eq!((long.open, long.changes_at), (false, Some(at("2026-03-29T01:00:00Z"))));
    let short = WindowState::of(&window(&skipped("30m")), at("2026-03-29T00:00:00Z"));
    assert!(short.changes_at > Some(at("2027-03-01T00:00:00Z")), "{short:?}");
    // The schedule may name the zone itself.
    let named = r#"{"kind": "deny", "schedule": "CRON_TZ=Europe/Amsterdam 0 22 * * *", "duration": "8h"}"#;
    assert_eq!(WindowState::of(&window(named), at("2026-11-24T20:59:00Z")), state("2026-11-24T20:59:00Z"));
}

#[test]
fn windows_without_a_gap_are_one() {
    let hourly = r#"{"kind": "deny", "schedule": "0 8-17 * * 1-5", "duration": "1h"}"#;
    let permit = windows(&[hourly]).permits(Automation, None, at("2026-11-24T12:30:00Z"));
    assert_eq!(permit.changes_at, Some(at("2026-11-24T18:00:00Z")));
    assert!(permit.why.contains("since 2026-11-24T08:00:00Z"), "{}", permit.why);
    // So are different ones.
    let evening = r#"{"kind": "deny", "schedule": "0 18 * * *", "duration": "2h"}"#;
    let permit = windows(&[hourly, evening]).permits(Automation, None, at("2026-11-24T12:30:00Z"));
    assert_eq!(permit.changes_at, Some(at("2026-11-24T20:00:00Z")));
    // Half a year without a gap has an end, all year has none.
    let half = r#"{"kind": "deny", "schedule": "*/10 * * 1-6 *", "duration": "10m"}"#;
    assert_eq!(WindowState::of(&window(half), at("2026-01-01T00:00:00Z")).changes_at, Some(at("2026-07-01T00:00:00Z")));
    let all = r#"{"kind": "deny", "schedule": "0 0 * * *", "duration": "24h"}"#;
    assert_eq!(windows(&[all]).permits(Automation, None, at("2026-01-01T00:00:00Z")).changes_at, None);
    // Half of every minute is not all the time.
    let halves = r#"{"kind": "deny", "schedule": "* * * * *", "duration": "30s"}"#;
    let open = WindowState::of(&window(halves), at("2026-01-01T00:00:10Z"));
    assert_eq!((open.open, open.changes_at), (true, Some(at("2026-01-01T00:00:30Z"))));
    let shut = WindowState::of(&window(halves), at("2026-01-01T00:00:40Z"));
    assert_eq!((shut.open, shut.changes_at), (false, Some(at("2026-01-01T00:01:00Z"))));
    let never = r#"{"kind": "allow", "schedule": "0 0 30 2 *", "duration": "24h"}"#;
    assert_eq!(windows(&[never]).permits(Automation, None, at("2026-01-01T00:00:00Z")).changes_at, None);
}

/// Minutes of a day, hours apart from days, as a schedule has them and in plain lists.
#[derive(Clone, Debug)]
struct Plan {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    weekdays: Vec<i8>,
    minutes_long: i64,
    zone: &'static str,
    allows: bool,
    manual: bool,
    overrun: bool,
}

impl Plan {
    fn window(&self) -> SyncWindow {
        let list = |numbers: &[i8]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let weekdays = if self.weekdays.is_empty() { "*".to_owned() } else { list(&self.weekdays) };
        SyncWindow {
            kind: if self.allows { "allow" } else { "deny" }.to_owned(),
            schedule: format!("{} {} * * {weekdays}", list(&self.minutes), list(&self.hours)),
            duration: format!("{}m", self.minutes_long),
            time_zone: self.zone.to_owned(),
            manual_sync: self.manual,
            sync_overrun: self.overrun,
            ..SyncWindow::default()
        }
    }

    /// Looks at every minute of the wall clock by itself.
    fn is_open(&self, now: Timestamp) -> bool {
        let clock = TimeZoneDatabase::bundled().get(self.zone).unwrap().to_datetime(now);
        (0..self.minutes_long).any(|ago| {
            let then = clock - SignedDuration::from_mins(ago);
            self.minutes.contains(&then.minute())
                && self.hours.contains(&then.hour())
                && (self.weekdays.is_empty() || self.weekdays.contains(&then.weekday().to_sunday_zero_offset()))
        })
    }
}

prop_compose! {
    fn any_plan()(
        minutes in prop::sample::subsequence((0..60).collect::<Vec<i8>>(), 1..4),
        hours in prop_oneof![prop::sample::subsequence((0..24).collect::<Vec<i8>>(), 1..5), Just((0..24).collect())],
        weekdays in prop_oneof![Just(Vec::new()), prop::sample::subsequence((0..7).collect::<Vec<i8>>(), 1..4)],
        minutes_long in prop_oneof![1_i64..90, 90_i64..1600],
        zone in prop::sample::select(vec!["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        (allows, manual, overrun) in any::<(bool, bool, bool)>(),
    ) -> Plan {
        Plan { minutes, hours, weekdays, minutes_long, zone, allows, manual, overrun }
    }
}

/// Minutes around the days on which clocks are set.
fn any_minute() -> impl Strategy<Value = Timestamp> {
    (
        prop::sample::select(vec![
            "2026-03-08",
            "2026-03-29",
            "2026-04-05",
            "2026-10-04",
            "2026-10-25",
            "2026-11-01",
            "2026-06-15",
        ]),
        -2000_i64..2000,
    )
        .prop_map(|(day, minutes)| at(&format!("{day}T00:00:00Z")) + SignedDuration::from_mins(minutes))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_window_is_open_when_a_scan_of_every_minute_says_so(plan in any_plan(), now in any_minute()) {
        let state = WindowState::of(&plan.window(), now);
        prop_assert_eq!(state.wrong, None);
        prop_assert_eq!(state.open, plan.is_open(now));
        // The next change is the first that the scan finds.
        let found = (1..2 * 24 * 60).map(|minutes| now + SignedDuration::from_mins(minutes)).find(|then| plan.is_open(*then) != state.open);
        match found {
            Some(found) => prop_assert_eq!(state.changes_at, Some(found)),
            None => prop_assert!(state.changes_at.is_none_or(|at| at >= now + SignedDuration::from_hours(48))),
        }
    }

    #[test]
    fn an_answer_holds_until_it_changes(plans in prop::collection::vec(any_plan(), 0..3), now in any_minute(), ago in prop::option::of(0_i64..600), manual in any::<bool>()) {
        let list: Vec<SyncWindow> = plans.iter().map(Plan::window).collect();
        let windows = Windows::read(&list);
        let initiator = if manual { Somebody } else { Automation };
        let began = ago.map(|minutes| now - SignedDuration::from_mins(minutes));
        // That each is open when it should be is proved above.
        let open = |at: Timestamp| windows.0.iter().map(|window| window.is_open(at)).collect::<Vec<_>>();
        let begins = |open: &[bool]| {
            let of = |allows: bool| plans.iter().zip(open).filter(move |(plan, _)| plan.allows == allows);
            let by: Vec<&Plan> = of(false).filter(|(_, open)| **open).map(|(plan, _)| plan).collect();
            let by = if by.is_empty() {
                if of(true).any(|(_, open)| *open) { return None; }
                of(true).map(|(plan, _)| plan).collect()
            } else { by };
            Some(by).filter(|by| !by.is_empty())
        };
        let rule = |at: Timestamp, goes_on: bool| match begins(&open(at)) {
            None => true,
            Some(by) => (manual && by.iter().all(|plan| plan.manual)) || (goes_on && by.iter().all(|plan| plan.overrun)),
        };
        let goes_on = began.is_some_and(|began| rule(began, false));
        let permit = windows.permits(initiator, began, now);
        prop_assert_eq!(permit.allowed, rule(now, goes_on));
        let found = (1..8 * 60).map(|minutes| now + SignedDuration::from_mins(minutes)).find(|then| rule(*then, goes_on));
        match found {
            _ if permit.allowed => prop_assert_eq!(permit.changes_at, None),
            Some(found) => prop_assert_eq!(permit.changes_at, Some(found)),
            None => prop_assert!(permit.changes_at.is_none_or(|at| at >= now + SignedDuration::from_hours(8))),
        }
    }
}
