//! Bringing back what was changed in the cluster and not in Git.
//!
//! The apply is the question: a version that comes back unchanged means that nothing had drifted, which is a verdict and no
//! operation. Entry point: [`heal`].

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{Application, OperationPhase, OperationState, SyncOperation, SyncResource, condition};
use trueup_diff::drift::{Event, suggestion};
use trueup_object::ObjectKey;

use crate::clock;
use crate::drift::{self, events_of, leaves};
use crate::judge::{Judged, Verdict};
use crate::memory::Memory;
use crate::observe::{Notice, View};
use crate::operation::{Run, apply_some};
use crate::world::World;

/// So many healings of the same leaves in a row are a fight.
const FIGHT: u32 = 3;

/// What came of it.
pub(crate) struct Healed {
    /// The operation as upstream tells it, if anything was really changed or refused.
    pub(crate) state: Option<OperationState>,
    pub(crate) events: Vec<Event>,
}

/// What is due now, and when the rest is.
pub(crate) struct Due {
    pub(crate) now: Vec<ObjectKey>,
    pub(crate) next: Option<Instant>,
}

/// Which drifted objects may be healed now: healing the same leaves again backs off.
pub(crate) fn due(view: &View, memory: &Memory) -> Due {
    let mut due = Due { now: Vec::new(), next: None };
    for judged in drift::drifted(view) {
        let last = memory.heals.get(&(judged.key.clone(), leaves(judged)));
        let at = last.map(|(attempts, at)| *at + trueup_plan::heal_wait(*attempts));
        match at.filter(|at| *at > Instant::now()) {
            None => due.now.push(judged.key.clone()),
            Some(at) => due.next = Some(due.next.map_or(at, |next: Instant| next.min(at))),
        }
    }
    due
}

/// Heals these objects.
pub(crate) async fn heal(
    world: &World,
    application: &Application,
    view: &mut View,
    memory: &mut Memory,
    keys: &[ObjectKey],
) -> Healed {
    let wanted: HashSet<&ObjectKey> = keys.iter().collect();
    let drifted: Vec<Arc<Judged>> =
        view.objects.iter().filter(|judged| wanted.contains(&judged.key)).map(Arc::clone).collect();
    let mut run = Run::automated(view, false);
    let attempts = drifted.iter().map(|judged| note_attempt(memory, judged)).max().unwrap_or_default();
    name_resources(&mut run, &drifted, attempts);
    let tally = apply_some(world, application, view, memory, keys).await;
    view.judge_objects(world, application, memory).await;
    let now = clock::now();
    let mut events = Vec::new();
    for judged in &drifted {
        if tally.changed_keys.contains(&judged.key) {
            world.metrics.heals.inc();
            events.extend(events_of(judged, &now, drift::HEALED));
        } else if tally.refused_keys.contains(&judged.key) {
            events.extend(events_of(judged, &now, drift::FAILED));
        } else {
            // It was equal all along: the next real drift starts counting anew.
            memory.heals.remove(&(judged.key.clone(), leaves(judged)));
        }
    }
    let (phase, message) = match &tally.refusals[..] {
        [] => (OperationPhase::Succeeded, "successfully synced (all tasks run)".to_owned()),
        refusals => {
            (OperationPhase::Failed, format!("one or more objects failed to apply, reason: {}", refusals.join("; ")))
        }
    };
    if tally.changed == 0 && tally.refusals.is_empty() {
        return Healed { state: None, events };
    }
    let ended = crate::operation::end(application, view, &run, phase, message, tally);
    Healed { state: Some(ended.state), events }
}

fn note_attempt(memory: &mut Memory, judged: &Judged) -> u32 {
    let entry = memory.heals.entry((judged.key.clone(), leaves(judged))).or_insert((0, Instant::now()));
    // What has been quiet for longer than it would have to wait starts anew.
    if entry.1.elapsed() > trueup_plan::heal_wait(entry.0.saturating_add(1)) {
        entry.0 = 0;
    }
    entry.0 = entry.0.saturating_add(1);
    entry.1 = Instant::now();
    entry.0
}

/// As upstream, a self-heal is a partial operation.
fn name_resources(run: &mut Run, drifted: &[Arc<Judged>], attempts: u32) {
    let sync = run.operation.sync.get_or_insert_with(SyncOperation::default);
    sync.resources = drifted
        .iter()
        .map(|judged| SyncResource {
            group: judged.key.group.to_string(),
            kind: judged.key.kind.to_string(),
            namespace: judged.key.namespace.to_string(),
            name: judged.key.name.to_string(),
        })
        .collect();
    sync.auto_heal_attempts_count = i64::from(attempts);
}

/// What to do about an object whose leaves were brought back several times and did not stay.
pub(crate) fn fight(view: &View, memory: &Memory) -> Option<Notice> {
    let fought = drift::drifted(view).find(|judged| {
        memory.heals.get(&(judged.key.clone(), leaves(judged))).is_some_and(|(attempts, _)| *attempts >= FIGHT)
    })?;
    let Verdict::Differs(comparison) = &fought.verdict else { return None };
    let managers: BTreeSet<&str> = comparison
        .differences
        .iter()
        .filter_map(|difference| difference.owner.as_ref())
        .map(|owner| owner.manager.as_str())
        .collect();
    let managers = managers.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!(
        "{}: healing does not last, '{managers}' changes it again and again; if that is meant to be so, add to ignoreDifferences:\n{}",
        fought.key,
        suggestion(&fought.key, comparison)
    );
    Some(Notice { kind: condition::COMPARISON_WARNING, message })
}
