//! Bringing back what was changed in the cluster and not in Git.
//!
//! The apply is the question: a version that comes back unchanged means that nothing had drifted, which is a verdict and no
//! operation. Entry point: [`heal`].

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, OperationPhase, OperationState, SyncOperation, SyncResource, condition};
use trueup_diff::drift::{Event, suggestion};
use trueup_object::{Digest, ObjectKey};
use trueup_plan::{Drift, heal_due, heals_before};

use crate::clock;
use crate::drift::{self, events_of, leaves};
use crate::judge::{Judged, Verdict};
use crate::memory::{Healing, Memory};
use crate::observe::{Notice, View};
use crate::operation::{Run, apply_some, reasons};
use crate::world::World;

/// So many healings of the same leaves in a row are a fight.
const FIGHT: u32 = 3;

/// What came of it.
pub(crate) struct Healed {
    /// The operation as upstream tells it, if anything was really changed or refused.
    pub(crate) state: Option<OperationState>,
    pub(crate) events: Vec<Event>,
}

/// The drifted objects, and what was done about them before.
pub(crate) fn drifts(view: &View, memory: &Memory) -> Vec<(ObjectKey, Drift)> {
    let drifted = drift::drifted(view).map(|judged| {
        let before = memory.heals.get(&(judged.key.clone(), leaves(judged)));
        let drift = before.map_or(Drift { heals: 0, ago: Duration::MAX }, |healing| Drift {
            heals: healing.attempts,
            ago: healing.at.elapsed(),
        });
        (judged.key.clone(), drift)
    });
    drifted.collect()
}

/// When what is still drifted may be healed again. Nothing else tells: a refused apply changes nothing in the cluster.
pub(crate) fn next(view: &View, memory: &Memory) -> Option<Duration> {
    let drifts: Vec<Drift> = drifts(view, memory).into_iter().map(|(_, drift)| drift).collect();
    heal_due(&drifts).next
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
    // What has been quiet for a while starts anew.
    memory.heals.retain(|_, healing| heals_before(healing.attempts, healing.at.elapsed()) > 0);
    let attempts = drifted.iter().map(|judged| note_attempt(memory, judged)).max().unwrap_or_default();
    name_resources(&mut run, &drifted, attempts);
    let tally = apply_some(world, application, view, memory, keys).await;
    view.judge_objects(world, application, memory).await;
    let now = clock::now();
    let mut events = Vec::new();
    let left: HashSet<(ObjectKey, Digest)> =
        drift::drifted(view).map(|judged| (judged.key.clone(), leaves(judged))).collect();
    for judged in &drifted {
        let key = (judged.key.clone(), leaves(judged));
        let refusal = tally.refused.get(&judged.key).cloned();
        if tally.changed_keys.contains(&judged.key) {
            world.metrics.heals.inc();
            events.extend(events_of(judged, &now, drift::HEALED));
        } else if refusal.is_some() {
            events.extend(events_of(judged, &now, drift::FAILED));
        } else if !left.contains(&key) {
            // It was equal all along: the next real drift starts counting anew.
            memory.heals.remove(&key);
        }
        if let Some(healing) = memory.heals.get_mut(&key) {
            healing.refusal = refusal;
        }
    }
    let (phase, message) = match &tally.refusals[..] {
        [] => (OperationPhase::Succeeded, "successfully synced (all tasks run)".to_owned()),
        refusals => (OperationPhase::Failed, failed(refusals.iter().map(String::as_str))),
    };
    if tally.changed == 0 && tally.refusals.is_empty() {
        return Healed { state: None, events };
    }
    let ended = crate::operation::end(application, view, &run, phase, message, tally);
    Healed { state: Some(ended.state), events }
}

fn note_attempt(memory: &mut Memory, judged: &Judged) -> u32 {
    let key = (judged.key.clone(), leaves(judged));
    let healing = memory.heals.entry(key).or_insert_with(|| Healing { attempts: 0, at: Instant::now(), refusal: None });
    healing.attempts = healing.attempts.saturating_add(1);
    healing.at = Instant::now();
    healing.attempts
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

/// What is to be said of drift that is left as it is for the moment.
pub(crate) fn outcome(judged: &Judged, memory: &Memory) -> &'static str {
    let healing = memory.heals.get(&(judged.key.clone(), leaves(judged)));
    if healing.is_some_and(|healing| healing.refusal.is_some()) { drift::FAILED } else { drift::DETECTED }
}

/// What is said while healing backs off.
pub(crate) fn notices(view: &View, memory: &Memory) -> Vec<Notice> {
    refused(view, memory).into_iter().chain(fight(view, memory)).collect()
}

/// Drift that could not be undone.
fn refused(view: &View, memory: &Memory) -> Option<Notice> {
    let refusals: Vec<&str> = drift::drifted(view)
        .filter_map(|judged| memory.heals.get(&(judged.key.clone(), leaves(judged)))?.refusal.as_deref())
        .collect();
    if refusals.is_empty() {
        return None;
    }
    let why = failed(refusals.into_iter());
    let message = condition::last_attempt_failed(&view.commit.to_string(), &why);
    Some(Notice { kind: condition::SYNC_ERROR, message })
}

fn failed<'a>(refusals: impl Iterator<Item = &'a str>) -> String {
    let refusals: Vec<String> = refusals.map(str::to_owned).collect();
    format!("one or more objects failed to apply, reason: {}", reasons(&refusals))
}

/// What to do about an object whose leaves were brought back several times and did not stay.
fn fight(view: &View, memory: &Memory) -> Option<Notice> {
    let fought = drift::drifted(view).find(|judged| {
        let healing = memory.heals.get(&(judged.key.clone(), leaves(judged)));
        healing.is_some_and(|healing| healing.attempts >= FIGHT && healing.refusal.is_none())
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
