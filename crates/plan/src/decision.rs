//! Whether automation acts on an application that has been compared.
//!
//! Keeps nothing. Upstream's rules, but for three things: a revision whose sync failed is tried again, ever more rarely; a sync
//! of an older revision that waits for its retry does not hide a newer one; and what is compared is the resolved revision, so
//! that a mended commit is synced after one that did not render. Entry point: [`auto_sync`].

use std::time::Duration;

use crate::{backoff, words};

/// What the decision rests on.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches that users see")]
pub struct AutoSync<'a> {
    /// Automation is on.
    pub enabled: bool,
    /// Automation may prune.
    pub prune: bool,
    /// Automation may undo drift.
    pub self_heal: bool,
    /// Automation may prune everything.
    pub allow_empty: bool,
    /// Somebody asked for an operation; it goes first.
    pub operation: bool,
    /// The application is being deleted.
    pub deleting: bool,
    /// A sync window is closed, or something unsupported stops the application.
    pub blocked: bool,
    /// What the comparison found.
    pub state: SyncState,
    /// How many objects are to be created or changed.
    pub changes: usize,
    /// How many objects are to be pruned.
    pub prunes: usize,
    /// How many objects the application would have afterwards.
    pub desired: usize,
    /// The resolved revision that was compared.
    pub revision: &'a str,
    /// The last operation, if there was one.
    pub last: Option<Last<'a>>,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// Nothing differs.
    Synced,
    /// Something differs.
    OutOfSync,
    /// It could not be told.
    Unknown,
}

/// The last operation.
#[derive(Clone, Copy, Debug)]
pub struct Last<'a> {
    /// The revision that it synced.
    pub revision: &'a str,
    /// Its source was the same as today's.
    pub same_source: bool,
    /// How it ended.
    pub phase: LastPhase,
    /// What it said.
    pub message: &'a str,
    /// How long ago it ended.
    pub ago: Duration,
    /// How often the same drift was healed before, or the same revision failed.
    pub attempts: u32,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastPhase {
    /// It did all that it had to do.
    Succeeded,
    /// It failed and will not be repeated.
    Failed,
    /// It failed and its next attempt is due in this time.
    Retrying(Duration),
}

/// What automation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It syncs this revision.
    Sync,
    /// It undoes drift: only what differs, without hooks and without a history entry.
    Heal {
        /// How often the same was healed before.
        attempts: u32,
    },
    /// It looks again after this time.
    Wait {
        /// From now.
        wait: Duration,
        /// Why.
        reason: Reason,
    },
    /// It does nothing until something changes.
    Nothing(Reason),
}

/// Why automation does not act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is off.
    Off,
    /// An operation goes first.
    Operation,
    /// The application is being deleted.
    Deleting,
    /// A window is closed, or something unsupported stops the application.
    Blocked,
    /// Nothing differs.
    InSync,
    /// Nothing is known.
    Unknown,
    /// Only prunes are due, and they are off.
    OnlyPrunes,
    /// Everything would be pruned. The message is for a `SyncError` condition.
    WouldWipeOut(String),
    /// This revision is synced already; what differs is drift, and healing is off.
    AlreadySynced,
    /// The same drift was healed a moment ago.
    HealingBacksOff,
    /// The sync of this revision failed. The message is for a `SyncError` condition.
    Failed(String),
    /// The next attempt of the running operation is due later.
    Retrying,
}

/// Decides whether automation acts.
pub fn auto_sync(input: &AutoSync<'_>) -> Decision {
    match hindrance(input) {
        Some(reason) => Decision::Nothing(reason),
        None => attempted(input),
    }
}

/// Why automation has nothing to do with this application now.
fn hindrance(input: &AutoSync<'_>) -> Option<Reason> {
    Some(match input.state {
        _ if !input.enabled => Reason::Off,
        _ if input.deleting => Reason::Deleting,
        _ if input.operation => Reason::Operation,
        SyncState::Synced => Reason::InSync,
        SyncState::Unknown => Reason::Unknown,
        SyncState::OutOfSync if input.changes == 0 && input.prunes == 0 => Reason::InSync,
        SyncState::OutOfSync if input.changes == 0 && !input.prune => Reason::OnlyPrunes,
        SyncState::OutOfSync if input.blocked => Reason::Blocked,
        SyncState::OutOfSync if input.prune && input.prunes > 0 && input.desired == 0 && !input.allow_empty => {
            Reason::WouldWipeOut(words::would_wipe_out(input.revision))
        }
        SyncState::OutOfSync => return None,
    })
}

/// What follows from the last operation.
fn attempted(input: &AutoSync<'_>) -> Decision {
    let Some(last) = input.last.filter(|last| last.revision == input.revision && last.same_source) else {
        return Decision::Sync;
    };
    match last.phase {
        LastPhase::Retrying(wait) if wait.is_zero() => Decision::Sync,
        LastPhase::Retrying(wait) => Decision::Wait { wait, reason: Reason::Retrying },
        LastPhase::Failed => match left(backoff::failure_wait(last.attempts), last.ago) {
            Some(wait) => {
                Decision::Wait { wait, reason: Reason::Failed(words::failed_last(input.revision, last.message)) }
            }
            None => Decision::Sync,
        },
        LastPhase::Succeeded if !input.self_heal => Decision::Nothing(Reason::AlreadySynced),
        LastPhase::Succeeded => match left(backoff::heal_wait(last.attempts), last.ago) {
            Some(wait) => Decision::Wait { wait, reason: Reason::HealingBacksOff },
            None => Decision::Heal { attempts: last.attempts },
        },
    }
}

/// What is left of a wait that began some time ago.
fn left(wait: Duration, ago: Duration) -> Option<Duration> {
    wait.checked_sub(ago).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn moved() -> AutoSync<'static> {
        AutoSync {
            enabled: true,
            prune: true,
            self_heal: true,
            allow_empty: false,
            operation: false,
            deleting: false,
            blocked: false,
            state: SyncState::OutOfSync,
            changes: 1,
            prunes: 0,
            desired: 3,
            revision: "c2",
            last: None,
        }
    }

    fn last(revision: &'static str, phase: LastPhase) -> Last<'static> {
        Last { revision, same_source: true, phase, message: "it broke", ago: 10 * SECOND, attempts: 0 }
    }

    fn nothing(input: &AutoSync<'_>) -> Reason {
        match auto_sync(input) {
            Decision::Nothing(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn syncs_what_git_moved() {
        assert_eq!(auto_sync(&moved()), Decision::Sync);
        for phase in [LastPhase::Succeeded, LastPhase::Failed, LastPhase::Retrying(SECOND)] {
            assert_eq!(auto_sync(&AutoSync { last: Some(last("c1", phase)), ..moved() }), Decision::Sync, "{phase:?}");
        }
    }

    #[test]
    fn leaves_alone_what_is_not_its_business() {
        assert_eq!(nothing(&AutoSync { enabled: false, ..moved() }), Reason::Off);
        assert_eq!(nothing(&AutoSync { deleting: true, ..moved() }), Reason::Deleting);
        assert_eq!(nothing(&AutoSync { operation: true, ..moved() }), Reason::Operation);
        assert_eq!(nothing(&AutoSync { blocked: true, ..moved() }), Reason::Blocked);
        assert_eq!(nothing(&AutoSync { state: SyncState::Synced, ..moved() }), Reason::InSync);
        assert_eq!(nothing(&AutoSync { state: SyncState::Unknown, ..moved() }), Reason::Unknown);
        assert_eq!(nothing(&AutoSync { changes: 0, ..moved() }), Reason::InSync);
    }

    #[test]
    fn prunes_only_where_that_is_wanted() {
        let prunes = AutoSync { changes: 0, prunes: 1, ..moved() };
        assert_eq!(auto_sync(&prunes), Decision::Sync);
        assert_eq!(nothing(&AutoSync { prune: false, ..prunes }), Reason::OnlyPrunes);
    }

    #[test]
    fn never_wipes_out_everything_unasked() {
        let empty = AutoSync { changes: 0, prunes: 3, desired: 0, ..moved() };
        let message = "Skipping sync attempt to c2: auto-sync will wipe out all resources";
        assert_eq!(nothing(&empty), Reason::WouldWipeOut(message.into()));
        assert_eq!(auto_sync(&AutoSync { allow_empty: true, ..empty }), Decision::Sync);
    }

    #[test]
    fn heals_drift_and_backs_off() {
        let drifted = AutoSync { last: Some(last("c2", LastPhase::Succeeded)), ..moved() };
        assert_eq!(auto_sync(&drifted), Decision::Heal { attempts: 0 });
        assert_eq!(nothing(&AutoSync { self_heal: false, ..drifted.clone() }), Reason::AlreadySynced);
        let fought = drifted.last.map(|last| Last { attempts: 3, ..last });
        assert_eq!(
            auto_sync(&AutoSync { last: fought, ..drifted.clone() }),
            Decision::Wait { wait: 8 * SECOND, reason: Reason::HealingBacksOff }
        );
        let rested = fought.map(|last| Last { ago: 18 * SECOND, ..last });
        assert_eq!(auto_sync(&AutoSync { last: rested, ..drifted }), Decision::Heal { attempts: 3 });
    }

    #[test]
    fn another_source_is_another_sync() {
        let changed = Some(Last { same_source: false, ..last("c2", LastPhase::Succeeded) });
        assert_eq!(auto_sync(&AutoSync { last: changed, self_heal: false, ..moved() }), Decision::Sync);
    }

    #[test]
    fn tries_a_failed_revision_again_later() {
        let failed = AutoSync { last: Some(last("c2", LastPhase::Failed)), ..moved() };
        let reason = Reason::Failed("Failed last sync attempt to c2: it broke".into());
        assert_eq!(auto_sync(&failed), Decision::Wait { wait: 170 * SECOND, reason });
        let rested = failed.last.map(|last| Last { ago: 180 * SECOND, ..last });
        assert_eq!(auto_sync(&AutoSync { last: rested, ..failed }), Decision::Sync);
    }

    #[test]
    fn waits_for_the_promised_attempt() {
        let retrying = |wait| AutoSync { last: Some(last("c2", LastPhase::Retrying(wait))), ..moved() };
        assert_eq!(auto_sync(&retrying(5 * SECOND)), Decision::Wait { wait: 5 * SECOND, reason: Reason::Retrying });
        assert_eq!(auto_sync(&retrying(Duration::ZERO)), Decision::Sync);
    }
}
