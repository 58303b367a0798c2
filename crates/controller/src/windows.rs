//! Sync windows: what keeps an application from being synced at this time of the day.
//!
//! Decides nothing: [`trueup_plan::Windows`] does. Invariant: who is kept is looked at when that ends, and not before. Entry
//! points: [`find`] when it is decided what is due, [`interruption`] between two steps, [`notice`] for what is said of it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use trueup_api::{App, Application, Meta, Project, WindowSubject, condition};
use trueup_plan::{Decision, HeldBack, Idle, Initiator, Permit, Windows};

use crate::memory::Memory;
use crate::observe::{Notice, View};
use crate::operation::Run;
use crate::permission::project_of;
use crate::world::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER, World};

/// The longest time for which the clock of the machine is trusted to go on as it does: it may be set, or stand still while the
/// machine sleeps.
const CLOCK_TRUSTED: Duration = Duration::from_hours(1);

/// What keeps an application, between two looks.
pub(crate) struct Shut {
    pub(crate) permit: Permit,
    /// Something would have been done without it.
    withheld: bool,
}

/// Finds out whether a sync window keeps what is due. `began` if an operation is under way, and since when.
pub(crate) fn find(application: &Application, view: &View, began: Option<&str>, memory: &mut Memory) -> Option<Permit> {
    let operation = application.operation.as_ref();
    let by_automation = operation.is_none_or(|operation| operation.initiated_by.automated);
    let windows = of(&application.meta, &view.spec, &view.project);
    let permit = ask(&windows, by_automation, began);
    memory.shut = permit.clone().map(|permit| Shut { permit, withheld: false });
    permit
}

/// Notes whether something was withheld because of that: then the application is looked at when the time has come.
pub(crate) fn note_withheld(
    world: &World,
    application: &Application,
    memory: &mut Memory,
    why: Option<HeldBack>,
    decision: &Decision,
) {
    let withheld = matches!(decision, Decision::Hold(_) | Decision::Nothing(Idle::HeldBack));
    let Some(shut) = memory.shut.as_mut().filter(|_| withheld && why == Some(HeldBack::Window)) else { return };
    shut.withheld = true;
    if let Some(at) = shut.permit.changes_at {
        world.queue.wake_at(&application.meta.instance, Instant::now() + left(at, Timestamp::now()));
    }
}

/// Why an operation that is under way must not take its next step, if a window has come over it.
pub(crate) fn interruption(world: &World, meta: &Meta, view: &View, run: &Run) -> Option<String> {
    // A project that went meanwhile is the next look's business.
    let project = project_of(world, meta, &view.spec).ok()?;
    let permit = ask(&of(meta, &view.spec, &project), run.is_automated(), Some(&run.started_at))?;
    Some(message(&permit))
}

/// What is said while something is withheld.
pub(crate) fn notice(memory: &Memory) -> Option<Notice> {
    let shut = memory.shut.as_ref().filter(|shut| shut.withheld)?;
    Some(Notice { kind: condition::SYNC_WINDOW_INFO, message: message(&shut.permit) })
}

/// What an operation says that waits for the end of a window, as upstream, and which that is.
pub(crate) fn message(permit: &Permit) -> String {
    format!("{}: {}", condition::SYNC_WINDOW, permit.why)
}

/// The windows that hold for an application.
pub(crate) fn of(meta: &Meta, spec: &App, project: &Project) -> Windows {
    let subject = WindowSubject {
        application: &meta.name,
        server: IN_CLUSTER_SERVER,
        cluster: IN_CLUSTER_NAME,
        namespace: &spec.destination.namespace,
    };
    Windows::read(project.sync_windows(subject))
}

/// What the windows say now, where they forbid.
fn ask(windows: &Windows, by_automation: bool, began: Option<&str>) -> Option<Permit> {
    if windows.is_empty() {
        return None;
    }
    let initiator = if by_automation { Initiator::Automation } else { Initiator::Somebody };
    // A time that cannot be read is not one at which it was allowed.
    let began = began.and_then(|began| began.parse().ok());
    let permit = windows.permits(initiator, began, Timestamp::now());
    (!permit.allowed).then_some(permit)
}

/// How long to wait for a time of the day, or until the clock is looked at again.
pub(crate) fn left(at: Timestamp, now: Timestamp) -> Duration {
    // A look at the very moment might still be before it.
    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default() + Duration::from_millis(1);
    left.min(CLOCK_TRUSTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(json: &str) -> Windows {
        Windows::read([&serde_json::from_str(json).unwrap()])
    }

    #[test]
    fn who_is_kept_is_told_which_window_it_is() {
        let deny = windows(r#"{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": true}"#);
        let permit = ask(&deny, true, None).unwrap();
        assert_eq!(
            message(&permit),
            "Sync operation blocked by sync window: the deny window '* * * * *' for 1h is open; no sync until the project is changed"
        );
        assert!(ask(&deny, false, None).is_none());
        assert!(ask(&Windows::default(), true, None).is_none());
    }

    #[test]
    fn what_began_at_a_time_that_nobody_can_read_did_not_begin_in_time() {
        let overrun = windows(r#"{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "syncOverrun": true}"#);
        assert!(ask(&overrun, true, Some("yesterday")).is_some());
        let late = windows(
            r#"{"kind": "deny", "schedule": "* * * 1 *", "duration": "1h", "syncOverrun": true, "timeZone": "UTC"}"#,
        );
        let permit = late.permits(
            Initiator::Automation,
            "2025-12-31T23:59:00Z".parse().ok(),
            "2026-01-01T00:10:00Z".parse().unwrap(),
        );
        assert!(permit.allowed);
    }

    #[test]
    fn the_clock_is_not_trusted_for_days() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-24T10:00:00Z");
        assert_eq!(left(at("2026-11-24T10:00:02Z"), now), Duration::from_millis(2001));
        assert_eq!(left(at("2026-11-27T10:00:00Z"), now), CLOCK_TRUSTED);
        assert_eq!(left(at("2026-11-24T09:00:00Z"), now), Duration::from_millis(1));
    }
}
