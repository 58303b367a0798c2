//! What is due for an application that has been compared.
//!
//! Keeps nothing: everything is a function of what Git says, what the cluster has and how the last operation went. Invariants:
//! what is blocked or held back is neither synced nor healed; no wait is shorter than [`WAIT_MIN`]; the order in which drift
//! is named does not matter. Entry point: [`decide`].
//!
//! Upstream's rules, but for these: what counts is what Git says, not the commit that says it; a sync that failed for good is
//! tried again once per resync interval, since its cause may be mended outside Git; a newer commit is not hidden by an
//! operation that waits for its next attempt.

use std::time::Duration;

use crate::backoff;
use crate::situation::{Automation, Block, Drift, HeldBack, Last, Phase, Request, Situation, Subject};

/// The longest pause between two looks at whether other applications of the repository have looked at the same commit. How
/// long that takes is bounded by the deadline of a fetch; nothing is pruned before, because one of them may hold the object.
const PRUNE_PAUSE_MAX: Duration = Duration::from_secs(1);
/// The shortest wait: less would be a busy loop.
pub const WAIT_MIN: Duration = Duration::from_millis(50);

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// An attempt at what is asked for, or at an automated sync if nothing is.
    Sync(Attempt),
    /// These of the drifts are undone.
    Heal(Vec<usize>),
    /// What is asked for fails without having begun.
    Refuse {
        /// Why.
        cause: Refusal,
        /// Its retries are granted, because the cause may pass.
        retry: bool,
    },
    /// The operation that is under way ends as failed: nobody goes on with it.
    Close(End),
    /// The operation that is under way or asked for runs, and does nothing for now.
    Hold(HeldBack),
    /// Nothing before this time.
    Wait {
        /// From now.
        wait: Duration,
        /// What for.
        pause: Pause,
    },
    /// Nothing until something changes.
    Nothing(Idle),
}

/// Which attempt at a sync is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// It goes on with the last operation: the time of the start stays.
    pub goes_on: bool,
    /// How many retries it has behind it, this one included.
    pub retries: u32,
}

/// Why a request fails without having begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Because of what it is.
    Request,
    /// Because of what it is for.
    Block(Block),
    /// Because somebody paused the application.
    Paused,
}

/// Why nobody goes on with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody ended it.
    Terminated,
    /// Somebody took it out of the letter box.
    Withdrawn,
    /// Automation was switched off.
    Off,
    /// The application was blocked.
    Stopped,
    /// It would delete everything.
    WouldWipeOut,
    /// Git says something else by now, and nothing is to be done about that.
    Superseded,
    /// Its retries were cut after the next one was promised.
    Spent,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The promised next attempt.
    Promised,
    /// The sync of what Git says failed for good; it is tried again.
    Failed,
    /// Another application may hold what is to be deleted.
    OthersBehind,
    /// The same drift was undone, or could not be, a moment ago.
    HealingBacksOff,
    /// Something could not be read.
    Unreadable,
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Automation is off.
    Off,
    /// The application is blocked.
    Blocked,
    /// Everything would be deleted.
    WouldWipeOut,
    /// Nothing wants anything that automation may do.
    InLine,
    /// Something drifted, and automation may not undo it.
    HealingOff,
    /// Somebody ended the sync of what Git and the specification say now, as upstream: not begun again until one of them moves.
    Ended,
    /// There would be something to do, and it is held back.
    HeldBack,
}

/// Which drift may be undone now, and when the rest may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealDue {
    /// Now.
    pub now: Vec<usize>,
    /// The first of the others, from now.
    pub next: Option<Duration>,
}

/// Decides what is due.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let decision = match situation.request {
        Some(request) => requested(situation, request),
        None => unasked(situation),
    };
    let decision = match situation.held_back {
        Some(why) => held_back(situation, why, decision),
        None => decision,
    };
    match decision {
        // Nobody tells when it can be read again.
        Decision::Nothing(_) if situation.block == Some(Block::Unreadable) => {
            pause(situation.resync, Pause::Unreadable)
        }
        decision => decision,
    }
}

/// What becomes of what would be done. What ends, or is refused anyway, does so.
fn held_back(situation: &Situation<'_>, why: HeldBack, decision: Decision) -> Decision {
    let going = situation.last.filter(Last::is_under_way);
    let asked = situation.request.is_some();
    match decision {
        Decision::Sync(_) if asked && why == HeldBack::Paused && !going.is_some_and(|last| last.requested) => {
            Decision::Refuse { cause: Refusal::Paused, retry: false }
        }
        Decision::Sync(_) if asked || going.is_some() => Decision::Hold(why),
        Decision::Sync(_) | Decision::Heal(_) => Decision::Nothing(Idle::HeldBack),
        decision => decision,
    }
}

/// What somebody asked for goes first.
fn requested(situation: &Situation<'_>, request: Request) -> Decision {
    let going = situation.last.filter(|last| last.is_under_way() && last.requested);
    if going.is_some_and(|last| last.phase == Phase::Terminating) {
        return Decision::Close(End::Terminated);
    }
    if request.refused {
        return Decision::Refuse { cause: Refusal::Request, retry: false };
    }
    let mut attempt = Attempt::default();
    if let Some(last) = going {
        // What Git says now was never tried: no reason to wait. A request that names its revision wants that one only.
        let news = !request.elsewhere && last.subject != Subject::Now;
        match last.next_attempt(situation.at_once || news) {
            Ok(next) => attempt = next,
            Err(otherwise) => return otherwise,
        }
    }
    if let Some(block) = situation.block.filter(|_| !request.elsewhere) {
        // It passes, and then what has begun goes on.
        if block == Block::Unreadable && going.is_some_and(|last| last.ended.is_none()) {
            return Decision::Wait { wait: situation.resync.max(WAIT_MIN), pause: Pause::Unreadable };
        }
        return Decision::Refuse { cause: Refusal::Block(block), retry: block == Block::Unreadable };
    }
    let prunes = request.prune && (situation.prunable > 0 || request.elsewhere);
    others_look(situation, prunes).unwrap_or(Decision::Sync(attempt))
}

/// What automation is for: a sync where Git moved, healing where the cluster did.
fn unasked(situation: &Situation<'_>) -> Decision {
    let going = situation.last.filter(Last::is_under_way);
    // What is under way and not gone on with is closed, or it would be called running for ever.
    let idle = |end: End, idle: Idle| going.map_or(Decision::Nothing(idle), |_| Decision::Close(end));
    if going.is_some_and(|last| last.phase == Phase::Terminating) {
        return Decision::Close(End::Terminated);
    }
    if going.is_some_and(|last| !last.automated) {
        return Decision::Close(End::Withdrawn);
    }
    // A hook that runs comes to its end first: half a migration is worse than one that nobody wants any more.
    let bound = going.filter(|last| last.bound);
    if situation.automation.is_none() && bound.is_none() {
        return idle(End::Off, Idle::Off);
    }
    match situation.block {
        Some(Block::Stopped) => return idle(End::Stopped, Idle::Blocked),
        // It passes, and then the operation goes on.
        Some(Block::Unreadable) => return Decision::Nothing(Idle::Blocked),
        None => {}
    }
    let Some(automation) = situation.automation else {
        let goes_on = |last: Last| last.next_attempt(false).map_or_else(|otherwise| otherwise, Decision::Sync);
        return bound.map_or_else(|| idle(End::Off, Idle::Off), goes_on);
    };
    let prunes = automation.prune && situation.prunable > 0;
    let moved = situation.pending && situation.wanting > 0;
    let goes_on = going.filter(|last| last.subject == Subject::Now || last.bound);
    if !moved && !prunes && goes_on.is_none() {
        return going.map_or_else(|| drifted(situation, automation), |_| Decision::Close(End::Superseded));
    }
    if prunes && situation.desired == 0 && !automation.allow_empty {
        return idle(End::WouldWipeOut, Idle::WouldWipeOut);
    }
    match automated_attempt(situation, goes_on) {
        Ok(attempt) => others_look(situation, prunes).unwrap_or(Decision::Sync(attempt)),
        Err(otherwise) => otherwise,
    }
}

/// Which attempt is due, if it is.
fn automated_attempt(situation: &Situation<'_>, goes_on: Option<Last>) -> Result<Attempt, Decision> {
    if let Some(last) = goes_on {
        return last.next_attempt(situation.at_once);
    }
    let same = situation.last.filter(|last| last.subject == Subject::Now);
    if same.is_some_and(|last| last.phase == Phase::Ended) && !situation.at_once {
        return Err(Decision::Nothing(Idle::Ended));
    }
    let Some(last) = same.filter(|last| last.phase == Phase::Failed) else { return Ok(Attempt::default()) };
    match left(situation.resync, last.ended).filter(|_| !situation.at_once) {
        Some(wait) => Err(pause(wait, Pause::Failed)),
        // Its retries are not granted anew: one attempt per interval.
        None => Ok(Attempt { goes_on: false, retries: last.retries }),
    }
}

/// Drift is undone where that is wanted; undoing the same again backs off.
fn drifted(situation: &Situation<'_>, automation: Automation) -> Decision {
    if situation.drifts.is_empty() {
        return Decision::Nothing(Idle::InLine);
    }
    if !automation.self_heal {
        return Decision::Nothing(Idle::HealingOff);
    }
    let due = heal_due(situation.drifts);
    match due.next {
        Some(wait) if due.now.is_empty() => pause(wait, Pause::HealingBacksOff),
        _ => Decision::Heal(due.now),
    }
}

/// Which drift may be undone now, and when the rest may be.
pub fn heal_due(drifts: &[Drift]) -> HealDue {
    let mut due = HealDue::default();
    for (at, drift) in drifts.iter().enumerate() {
        match left(backoff::heal_wait(drift.heals), Some(drift.ago)) {
            None => due.now.push(at),
            Some(wait) => due.next = Some(due.next.map_or(wait, |next| next.min(wait))),
        }
    }
    due
}

/// The wait for other applications.
fn others_look(situation: &Situation<'_>, prunes: bool) -> Option<Decision> {
    let waited = situation.behind.filter(|_| prunes)?;
    // Mostly it is a matter of milliseconds; if not, it is looked at ever more rarely.
    Some(pause((waited / 2).clamp(WAIT_MIN, PRUNE_PAUSE_MAX), Pause::OthersBehind))
}

fn pause(wait: Duration, pause: Pause) -> Decision {
    Decision::Wait { wait: wait.max(WAIT_MIN), pause }
}

/// What is left of a wait that began some time ago; of one whose beginning is not known, nothing.
fn left(wait: Duration, ago: Option<Duration>) -> Option<Duration> {
    wait.checked_sub(ago?).filter(|left| !left.is_zero())
}

// === impl Last ===

impl Last {
    fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Terminating)
    }

    /// The next attempt at an operation that is under way, or what is due instead of it.
    fn next_attempt(&self, at_once: bool) -> Result<Attempt, Decision> {
        let attempt = Attempt { goes_on: true, retries: self.retries };
        // Its controller died: the same attempt once more.
        if self.ended.is_none() {
            return Ok(attempt);
        }
        match backoff::retry_wait(&self.retry, self.retries.saturating_sub(1)) {
            None => Err(Decision::Close(End::Spent)),
            Some(wait) => match left(wait, self.ended).filter(|_| !at_once) {
                Some(wait) => Err(pause(wait, Pause::Promised)),
                None => Ok(attempt),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trueup_api::Retry;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ALL: Automation = Automation { prune: true, self_heal: true, allow_empty: false };
    const REQUEST: Request = Request { refused: false, elsewhere: false, prune: false };

    /// Everything as Git says, automation on.
    fn in_line() -> Situation<'static> {
        Situation {
            automation: Some(ALL),
            request: None,
            last: None,
            block: None,
            held_back: None,
            pending: false,
            desired: 3,
            wanting: 0,
            prunable: 0,
            behind: None,
            drifts: &[],
            resync: 120 * SECOND,
            at_once: false,
        }
    }

    fn moved() -> Situation<'static> {
        Situation { pending: true, wanting: 1, ..in_line() }
    }

    fn asked() -> Situation<'static> {
        Situation { request: Some(REQUEST), automation: None, ..in_line() }
    }

    /// An automated sync of what Git says now.
    fn last(phase: Phase, ended: Option<u64>, retries: u32) -> Last {
        Last {
            phase,
            requested: false,
            automated: true,
            bound: false,
            subject: Subject::Now,
            ended: ended.map(Duration::from_secs),
            retries,
            retry: Retry::default(),
        }
    }

    /// What is in the letter box now.
    fn mine(phase: Phase, ended: Option<u64>, retries: u32) -> Last {
        Last { requested: true, automated: false, ..last(phase, ended, retries) }
    }

    fn with(situation: Situation<'static>, last: Last) -> Situation<'static> {
        Situation { last: Some(last), ..situation }
    }

    fn first() -> Decision {
        Decision::Sync(Attempt::default())
    }

    fn again(retries: u32) -> Decision {
        Decision::Sync(Attempt { goes_on: true, retries })
    }

    fn wait(seconds: u64, pause: Pause) -> Decision {
        Decision::Wait { wait: Duration::from_secs(seconds), pause }
    }

    #[test]
    fn does_nothing_where_nothing_is_to_be_done() {
        let drifts = [Drift { heals: 0, ago: Duration::MAX }];
        let no_heal = Automation { self_heal: false, ..ALL };
        let no_prune = Automation { prune: false, ..ALL };
        let table = [
            (in_line(), Idle::InLine),
            (Situation { automation: None, ..moved() }, Idle::Off),
            (Situation { pending: true, ..in_line() }, Idle::InLine),
            (Situation { wanting: 1, ..in_line() }, Idle::InLine),
            (Situation { drifts: &drifts, automation: Some(no_heal), ..in_line() }, Idle::HealingOff),
            (Situation { prunable: 1, automation: Some(no_prune), ..in_line() }, Idle::InLine),
            (Situation { block: Some(Block::Stopped), ..moved() }, Idle::Blocked),
            (Situation { prunable: 3, desired: 0, ..in_line() }, Idle::WouldWipeOut),
        ];
        for (situation, idle) in table {
            assert_eq!(decide(&situation), Decision::Nothing(idle), "{situation:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_looked_at_again() {
        let running = with(moved(), last(Phase::Running, None, 0));
        for situation in [moved(), in_line(), running, Situation { automation: None, ..in_line() }] {
            let unreadable = Situation { block: Some(Block::Unreadable), ..situation };
            assert_eq!(decide(&unreadable), wait(120, Pause::Unreadable));
        }
    }

    #[test]
    fn syncs_what_git_moved_and_prunes_what_it_dropped() {
        assert_eq!(decide(&moved()), first());
        assert_eq!(decide(&Situation { prunable: 1, ..in_line() }), first());
        let empty = Automation { allow_empty: true, ..ALL };
        assert_eq!(decide(&Situation { prunable: 3, desired: 0, automation: Some(empty), ..in_line() }), first());
        assert_eq!(decide(&with(moved(), last(Phase::Succeeded, Some(0), 2))), first());
    }

    #[test]
    fn a_newer_commit_supersedes_what_waits_for_its_next_attempt() {
        for ended in [None, Some(1)] {
            let old = Last { subject: Subject::Before, ..last(Phase::Running, ended, 3) };
            assert_eq!(decide(&with(moved(), old)), first());
            assert_eq!(decide(&with(in_line(), old)), Decision::Close(End::Superseded));
        }
        assert_eq!(
            decide(&with(moved(), Last { subject: Subject::Before, ..last(Phase::Failed, Some(1), 5) })),
            first()
        );
    }

    #[test]
    fn the_promised_attempt_comes_when_it_is_due_whatever_is_left_to_do() {
        for situation in [moved(), in_line()] {
            let at = |ended, retries| decide(&with(situation, last(Phase::Running, Some(ended), retries)));
            assert_eq!(at(1, 1), wait(4, Pause::Promised));
            assert_eq!(at(5, 1), again(1));
            assert_eq!(at(5, 2), wait(5, Pause::Promised));
            assert_eq!(at(79, 5), wait(1, Pause::Promised));
            assert_eq!(at(80, 5), again(5));
        }
        let promised = with(moved(), last(Phase::Running, Some(1), 1));
        assert_eq!(decide(&Situation { at_once: true, ..promised }), again(1));
    }

    #[test]
    fn what_its_controller_left_behind_goes_on() {
        for situation in [moved(), in_line()] {
            assert_eq!(decide(&with(situation, last(Phase::Running, None, 2))), again(2));
        }
        assert_eq!(decide(&with(asked(), mine(Phase::Running, None, 0))), again(0));
    }

    #[test]
    fn nothing_is_called_running_for_ever() {
        let no_retry = Last { retry: Retry { limit: 0, ..Retry::default() }, ..last(Phase::Running, Some(1), 1) };
        let running = last(Phase::Running, Some(1), 1);
        let wipes = Situation { prunable: 1, desired: 0, ..in_line() };
        let table = [
            (with(in_line(), last(Phase::Terminating, None, 0)), End::Terminated),
            (with(moved(), last(Phase::Terminating, Some(0), 1)), End::Terminated),
            (with(asked(), mine(Phase::Terminating, Some(0), 1)), End::Terminated),
            (with(in_line(), Last { automated: false, ..running }), End::Withdrawn),
            (with(Situation { automation: None, ..moved() }, running), End::Off),
            (with(Situation { block: Some(Block::Stopped), ..moved() }, running), End::Stopped),
            (with(wipes, running), End::WouldWipeOut),
            (with(in_line(), Last { subject: Subject::Part, ..running }), End::Superseded),
            (with(moved(), no_retry), End::Spent),
            (with(asked(), Last { requested: true, ..no_retry }), End::Spent),
        ];
        for (situation, end) in table {
            assert_eq!(decide(&situation), Decision::Close(end), "{situation:?}");
        }
    }

    #[test]
    fn a_hook_that_runs_comes_to_its_end_though_automation_is_switched_off() {
        let off = Situation { automation: None, ..moved() };
        let bound = Last { bound: true, ..last(Phase::Running, None, 0) };
        assert_eq!(decide(&with(off, bound)), again(0));
        assert_eq!(decide(&with(off, Last { phase: Phase::Terminating, ..bound })), Decision::Close(End::Terminated));
        assert_eq!(decide(&with(off, Last { bound: false, ..bound })), Decision::Close(End::Off));
        let stopped = Situation { block: Some(Block::Stopped), ..off };
        assert_eq!(decide(&with(stopped, bound)), Decision::Close(End::Stopped));
    }

    #[test]
    fn what_somebody_ended_is_not_begun_again() {
        let ended = with(moved(), last(Phase::Ended, Some(1000), 0));
        assert_eq!(decide(&ended), Decision::Nothing(Idle::Ended));
        assert_eq!(decide(&Situation { at_once: true, ..ended }), first());
        assert_eq!(
            decide(&with(moved(), Last { subject: Subject::Before, ..last(Phase::Ended, Some(1), 0) })),
            first()
        );
        assert_eq!(decide(&with(asked(), last(Phase::Ended, Some(1), 0))), first());
    }

    #[test]
    fn what_failed_for_good_is_tried_once_per_interval() {
        let failed = |ended| with(moved(), last(Phase::Failed, ended, 5));
        assert_eq!(decide(&failed(Some(10))), wait(110, Pause::Failed));
        let anew = Decision::Sync(Attempt { goes_on: false, retries: 5 });
        assert_eq!(decide(&failed(Some(120))), anew);
        assert_eq!(decide(&failed(None)), anew);
        assert_eq!(decide(&Situation { at_once: true, ..failed(Some(10)) }), anew);
        assert_eq!(crate::retry_wait(&Retry::default(), 5), None, "such an attempt has no retries");
    }

    #[test]
    fn what_is_held_back_waits_or_is_refused() {
        let drifts = [Drift { heals: 0, ago: Duration::MAX }];
        let drifted = Situation { drifts: &drifts, ..in_line() };
        let running = |situation| with(situation, last(Phase::Running, None, 0));
        let idle = Decision::Nothing(Idle::HeldBack);
        let refused = Decision::Refuse { cause: Refusal::Paused, retry: false };
        let hold = |why| Decision::Hold(why);
        // A window holds as what is waited for does.
        let in_a_window = |decision: Decision| match decision {
            Decision::Hold(_) => Decision::Hold(HeldBack::Window),
            other => other,
        };
        let (paused, waits) = (HeldBack::Paused, HeldBack::Dependencies);
        for (situation, when_paused, when_waiting) in [
            (moved(), idle.clone(), idle.clone()),
            (drifted, idle.clone(), idle.clone()),
            (asked(), refused.clone(), hold(waits)),
            (running(moved()), hold(paused), hold(waits)),
            (with(asked(), mine(Phase::Running, None, 0)), hold(paused), hold(waits)),
            // Another one than what runs.
            (Situation { request: Some(REQUEST), ..running(moved()) }, refused, hold(waits)),
        ] {
            let expected =
                [(paused, when_paused), (waits, when_waiting.clone()), (HeldBack::Window, in_a_window(when_waiting))];
            for (why, expected) in expected {
                assert_eq!(decide(&Situation { held_back: Some(why), ..situation }), expected, "{situation:?}");
            }
        }
        // What happens without it happens with it.
        for situation in [
            in_line(),
            Situation { automation: None, ..moved() },
            with(asked(), mine(Phase::Terminating, None, 0)),
            with(moved(), last(Phase::Terminating, None, 0)),
            with(in_line(), Last { subject: Subject::Before, ..last(Phase::Running, None, 0) }),
            with(moved(), last(Phase::Running, Some(1), 1)),
            Situation { request: Some(Request { refused: true, ..REQUEST }), ..in_line() },
        ] {
            for why in [paused, waits, HeldBack::Window] {
                assert_eq!(
                    decide(&Situation { held_back: Some(why), ..situation }),
                    decide(&situation),
                    "{situation:?}"
                );
            }
        }
    }

    #[test]
    fn a_failed_heal_does_not_keep_a_sync_waiting() {
        assert_eq!(decide(&with(moved(), Last { subject: Subject::Part, ..last(Phase::Failed, Some(1), 0) })), first());
    }

    #[test]
    fn a_request_goes_first_and_anew() {
        assert_eq!(decide(&asked()), first());
        for phase in [Phase::Running, Phase::Terminating, Phase::Succeeded, Phase::Failed, Phase::Ended] {
            let other = last(phase, Some(1), 3);
            assert_eq!(decide(&Situation { request: Some(REQUEST), ..with(moved(), other) }), first(), "{phase:?}");
        }
        // The same once more, after it ended.
        assert_eq!(decide(&with(asked(), mine(Phase::Failed, Some(1), 3))), first());
    }

    #[test]
    fn a_request_is_retried_when_it_is_due_or_git_says_something_new() {
        let promised = mine(Phase::Running, Some(1), 1);
        assert_eq!(decide(&with(asked(), promised)), wait(4, Pause::Promised));
        assert_eq!(decide(&with(asked(), Last { ended: Some(5 * SECOND), ..promised })), again(1));
        let news = with(asked(), Last { subject: Subject::Before, ..promised });
        assert_eq!(decide(&news), again(1));
        let elsewhere = Request { elsewhere: true, ..REQUEST };
        assert_eq!(decide(&Situation { request: Some(elsewhere), ..news }), wait(4, Pause::Promised));
    }

    #[test]
    fn a_request_that_must_not_run_is_refused() {
        let refused = Request { refused: true, ..REQUEST };
        let never = Decision::Refuse { cause: Refusal::Request, retry: false };
        assert_eq!(decide(&Situation { request: Some(refused), ..asked() }), never);
        assert_eq!(decide(&Situation { request: Some(refused), block: Some(Block::Unreadable), ..moved() }), never);
        for (block, retry) in [(Block::Stopped, false), (Block::Unreadable, true)] {
            let blocked = Situation { block: Some(block), ..asked() };
            assert_eq!(decide(&blocked), Decision::Refuse { cause: Refusal::Block(block), retry });
            let waits = with(blocked, mine(Phase::Running, Some(1), 1));
            assert_eq!(decide(&waits), wait(4, Pause::Promised));
            let elsewhere = Request { elsewhere: true, ..REQUEST };
            assert_eq!(decide(&Situation { request: Some(elsewhere), ..blocked }), first());
        }
    }

    #[test]
    fn prunes_wait_for_others_however_long() {
        let prunes = Situation { prunable: 1, ..in_line() };
        let behind = |situation: Situation<'static>, millis| {
            decide(&Situation { behind: Some(Duration::from_millis(millis)), ..situation })
        };
        let paused = |millis| Decision::Wait { wait: Duration::from_millis(millis), pause: Pause::OthersBehind };
        assert_eq!(behind(prunes, 0), paused(50));
        assert_eq!(behind(prunes, 400), paused(200));
        assert_eq!(behind(prunes, 29_000), paused(1000));
        assert_eq!(behind(prunes, 600_000), paused(1000));
        assert_eq!(behind(moved(), 0), first());
        let request = |prune, elsewhere| Some(Request { refused: false, elsewhere, prune });
        let asked = |prune, elsewhere, prunable| {
            behind(Situation { request: request(prune, elsewhere), prunable, ..asked() }, 0)
        };
        assert_eq!(asked(true, false, 1), paused(50));
        assert_eq!(asked(true, true, 0), paused(50));
        assert_eq!(asked(true, false, 0), first());
        assert_eq!(asked(false, false, 1), first());
    }

    #[test]
    fn heals_drift_and_backs_off() {
        let heal = |drifts: &[Drift]| decide(&Situation { drifts, ..in_line() });
        let drift = |heals, seconds| Drift { heals, ago: Duration::from_secs(seconds) };
        assert_eq!(heal(&[drift(0, 0)]), Decision::Heal(vec![0]));
        assert_eq!(heal(&[drift(1, 1)]), wait(1, Pause::HealingBacksOff));
        assert_eq!(heal(&[drift(1, 2)]), Decision::Heal(vec![0]));
        assert_eq!(heal(&[drift(3, 8), drift(2, 2)]), wait(4, Pause::HealingBacksOff));
        assert_eq!(heal(&[drift(3, 8), drift(0, 0), drift(2, 6)]), Decision::Heal(vec![1, 2]));
        assert_eq!(heal(&[drift(99, 299)]), wait(1, Pause::HealingBacksOff));
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), (0_u64..400_000_000_000).prop_map(Duration::from_nanos),]
    }

    prop_compose! {
        fn any_retry()(limit in -1_i64..7, duration in any_duration(), factor in 0_u32..4, max_duration in any_duration()) -> Retry {
            Retry { limit, duration, factor, max_duration, refresh: false }
        }
    }

    prop_compose! {
        fn any_last()(
            phase in prop::sample::select(vec![Phase::Running, Phase::Terminating, Phase::Succeeded, Phase::Failed, Phase::Ended]),
            (requested, automated, bound) in any::<(bool, bool, bool)>(),
            subject in prop::sample::select(vec![Subject::Now, Subject::Before, Subject::Part]),
            ended in prop::option::of(any_duration()),
            retries in 0_u32..9,
            retry in any_retry(),
        ) -> Last {
            Last { phase, requested, automated, bound, subject, ended, retries, retry }
        }
    }

    prop_compose! {
        fn any_drift()(heals in 0_u32..9, ago in any_duration()) -> Drift {
            Drift { heals, ago }
        }
    }

    prop_compose! {
        fn any_situation()(
            automation in prop::option::of(any::<(bool, bool, bool)>()),
            request in prop::option::of(any::<(bool, bool, bool)>()),
            last in prop::option::of(any_last()),
            block in prop::option::of(prop::sample::select(vec![Block::Stopped, Block::Unreadable])),
            held_back in prop::option::of(prop::sample::select(vec![HeldBack::Paused, HeldBack::Dependencies, HeldBack::Window])),
            (pending, at_once) in any::<(bool, bool)>(),
            (desired, wanting, prunable) in (0_usize..3, 0_usize..3, 0_usize..3),
            behind in prop::option::of(any_duration()),
            resync in any_duration(),
        ) -> Situation<'static> {
            Situation {
                automation: automation.map(|(prune, self_heal, allow_empty)| Automation { prune, self_heal, allow_empty }),
                request: request.map(|(refused, elsewhere, prune)| Request { refused, elsewhere, prune }),
                last, block, held_back, pending, desired, wanting, prunable, behind, drifts: &[], resync, at_once,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_blocked_is_left_alone(situation in any_situation(), drifts in prop::collection::vec(any_drift(), 0..4)) {
            let situation = Situation { drifts: &drifts, ..situation };
            let decision = decide(&situation);
            let elsewhere = situation.request.is_some_and(|request| request.elsewhere);
            if situation.block.is_some() && !elsewhere {
                prop_assert!(!matches!(decision, Decision::Sync(_) | Decision::Heal(_)), "{:?}", decision);
            }
            if situation.held_back.is_some() {
                prop_assert!(!matches!(decision, Decision::Sync(_) | Decision::Heal(_)), "{:?}", decision);
            }
            if situation.request.is_some_and(|request| request.refused) {
                prop_assert!(matches!(decision, Decision::Refuse { .. } | Decision::Close(_)), "{:?}", decision);
            }
            let bound = situation.last.is_some_and(|last| last.is_under_way() && last.automated && last.bound);
            if situation.request.is_none() && situation.automation.is_none() && !bound {
                prop_assert!(!matches!(decision, Decision::Sync(_) | Decision::Heal(_)), "{:?}", decision);
            }
        }

        #[test]
        fn no_wait_is_a_busy_loop(situation in any_situation(), drifts in prop::collection::vec(any_drift(), 0..4)) {
            match decide(&Situation { drifts: &drifts, ..situation }) {
                Decision::Wait { wait, .. } => prop_assert!(wait >= WAIT_MIN),
                Decision::Heal(now) => prop_assert!(!now.is_empty()),
                _ => {}
            }
        }

        #[test]
        fn what_is_under_way_moves_or_ends(situation in any_situation()) {
            // Whatever happens to an operation that is under way, its state does not stay as it is for ever.
            if situation.last.is_some_and(|last| last.is_under_way()) {
                let decision = decide(&situation);
                prop_assert!(!matches!(decision, Decision::Nothing(_)), "{:?}", decision);
            }
        }

        #[test]
        fn the_order_of_the_drifts_does_not_matter(
            situation in any_situation(),
            (drifts, mixed) in prop::collection::vec(any_drift(), 0..6)
                .prop_map(|drifts| drifts.into_iter().enumerate().collect::<Vec<_>>())
                .prop_flat_map(|drifts| (Just(drifts.clone()), Just(drifts).prop_shuffle())),
        ) {
            let decided = |drifts: &[(usize, Drift)]| {
                let plain: Vec<Drift> = drifts.iter().map(|(_, drift)| *drift).collect();
                match decide(&Situation { drifts: &plain, ..situation }) {
                    Decision::Heal(now) => {
                        let mut named: Vec<usize> = now.into_iter().map(|at| drifts[at].0).collect();
                        named.sort_unstable();
                        Decision::Heal(named)
                    }
                    other => other,
                }
            };
            prop_assert_eq!(decided(&drifts), decided(&mixed));
        }

        #[test]
        fn retries_end(retry in any_retry(), situation in any_situation()) {
            // From failure to failure, an operation with a limit ends.
            let limit = u32::try_from(retry.limit.max(0)).unwrap();
            let request = Some(REQUEST);
            let mut retries = 0;
            while retry.limit >= 0 && crate::retry_wait(&retry, retries).is_some() {
                retries += 1;
                prop_assert!(retries <= limit);
                let last = Last { retries, retry, ..mine(Phase::Running, Some(u64::MAX), 0) };
                let situation = Situation { request, last: Some(last), block: None, held_back: None, behind: None, ..situation };
                let wants_more = backoff::retry_wait(&retry, retries - 1) == Some(Duration::MAX);
                prop_assert!(wants_more || decide(&situation) == again(retries));
            }
        }
    }
}
