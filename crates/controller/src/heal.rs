//! Bringing back what was changed in the cluster and not in Git.
//!
//! The apply is the question: a version that comes back unchanged means that nothing had drifted, which is a verdict and no
//! operation. Entry point: [`heal`].

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, OperationPhase, OperationState, SyncOperation, SyncResource, condition};
use trueup_diff::drift::{Event, Outcome, suggestion};
use trueup_object::{Digest, ObjectKey};
use trueup_plan::{Drift, heal_due, heal_quiet, heals_before};
use trueup_render::Target;

use crate::applying::apply_some;
use crate::clock;
use crate::drift::{self, events_of, leaves};
use crate::drift_policy::Policy;
use crate::judge::{Judged, Verdict};
use crate::memory::{Healing, Memory};
use crate::observe::{Notice, View};
use crate::operation::{Run, reasons};
use crate::world::World;

/// So many healings of the same leaves in a row, which all worked, are a fight.
const FIGHT: u32 = 3;

/// What came of it.
pub(crate) struct Healed {
    /// The operation as upstream tells it, if anything was really changed or refused.
    pub(crate) state: Option<OperationState>,
    pub(crate) events: Vec<Event>,
}

/// The drifted objects that may be healed, and what was done about them before.
pub(crate) fn drifts(application: &Application, view: &View, memory: &Memory) -> Vec<(ObjectKey, Drift)> {
    let healed = view
        .pairs()
        .filter(|(target, judged)| drift::is_drift(judged, view) && Policy::of(application, target) == Policy::Heal);
    let drifts = healed.map(|(_, judged)| {
        let before = memory.heals.get(&(judged.key.clone(), leaves(judged)));
        let drift = before.map_or(Drift { heals: 0, ago: Duration::MAX }, |healing| Drift {
            heals: healing.attempts,
            ago: healing.at.elapsed(),
        });
        (judged.key.clone(), drift)
    });
    drifts.collect()
}

/// When what is still drifted may be healed again. Nothing else tells: a refused apply changes nothing in the cluster.
pub(crate) fn next(application: &Application, view: &View, memory: &Memory) -> Option<Duration> {
    let drifts: Vec<Drift> = drifts(application, view, memory).into_iter().map(|(_, drift)| drift).collect();
    heal_due(&drifts).next
}

/// Forgets what was done before and has been quiet for a while, and what was done when Git, the specification or the policy
/// said something else: the next real drift starts counting anew.
pub(crate) fn forget_past(application: &Application, view: &View, memory: &mut Memory) {
    let heals = view.spec.automated.is_some_and(|automated| automated.self_heal);
    memory.heals.retain(|(key, _), healing| {
        let at = view.targets.objects.binary_search_by(|target| target.key.cmp(key)).ok();
        let same = at.is_some_and(|at| cause(application, &view.targets.objects[at]) == healing.cause);
        heals && same && heals_before(healing.attempts, healing.at.elapsed()) > 0
    });
}

/// What a healing rests on.
fn cause(application: &Application, target: &Target) -> Digest {
    let policy = format!("{:?}", Policy::of(application, target));
    Digest::of_parts([application.spec_digest.to_string(), target.digest.to_string(), policy])
}

/// When the next fight counts as over, if nothing happens until then.
pub(crate) fn peace(memory: &Memory) -> Option<Instant> {
    // Only what has been quiet for longer is over.
    let over = |healing: &Healing| healing.at + heal_quiet(healing.attempts) + Duration::from_millis(1);
    memory.heals.values().filter(|healing| is_fight(healing)).map(over).min()
}

fn is_fight(healing: &Healing) -> bool {
    healing.healed >= FIGHT && healing.refusal.is_none()
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
    let attempts = drifted.iter().map(|judged| note_attempt(application, view, memory, judged)).max();
    let attempts = attempts.unwrap_or_default();
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
            if let Some(healing) = memory.heals.get_mut(&key) {
                healing.healed = healing.healed.saturating_add(1);
            }
            events.extend(events_of(judged, &now, Outcome::Healed));
        } else if refusal.is_some() {
            events.extend(events_of(judged, &now, Outcome::HealingFailed));
        } else if !left.contains(&key) {
            // It was equal all along: the next real drift starts counting anew.
            memory.heals.remove(&key);
        } else if tally.barred
            && let Some(healing) = memory.heals.get_mut(&key)
        {
            // It was not even tried.
            healing.attempts = healing.attempts.saturating_sub(1);
        }
        if let Some(healing) = memory.heals.get_mut(&key) {
            healing.refusal = refusal;
        }
    }
    let (phase, message) = match &tally.refusals[..] {
        [] => (OperationPhase::Succeeded, condition::SYNCED.to_owned()),
        refusals => (OperationPhase::Failed, failed(refusals.iter().map(String::as_str))),
    };
    // What was kept from being written is healed when it may be: the operation is not over.
    if tally.barred || (tally.changed == 0 && tally.refusals.is_empty()) {
        return Healed { state: None, events };
    }
    let ended = crate::operation::end(application, view, &run, phase, message, tally);
    Healed { state: Some(ended.state), events }
}

fn note_attempt(application: &Application, view: &View, memory: &mut Memory, judged: &Judged) -> u32 {
    let at = view.targets.objects.binary_search_by(|target| target.key.cmp(&judged.key));
    let Ok(at) = at else { return 0 };
    let healing = memory.heals.entry((judged.key.clone(), leaves(judged))).or_insert_with(|| Healing {
        attempts: 0,
        healed: 0,
        at: Instant::now(),
        refusal: None,
        cause: cause(application, &view.targets.objects[at]),
        advice: String::new(),
    });
    healing.attempts = healing.attempts.saturating_add(1);
    healing.at = Instant::now();
    healing.advice = advice(judged);
    healing.attempts
}

/// What to do about an object whose leaves were brought back several times and did not stay.
fn advice(judged: &Judged) -> String {
    let Verdict::Differs(comparison) = &judged.verdict else {
        return format!(
            "{}: healing does not last, it is deleted again and again; if that is meant to be so, remove it from Git",
            judged.key
        );
    };
    let drift = comparison.differences.iter().filter(|difference| difference.drift);
    let managers: BTreeSet<&str> =
        drift.filter_map(|difference| difference.owner.as_ref()).map(|owner| owner.manager.as_str()).collect();
    let managers: Vec<String> = managers.into_iter().map(|manager| format!("'{manager}'")).collect();
    let who = if managers.is_empty() { "an unknown manager".to_owned() } else { managers.join(", ") };
    let entry = suggestion(&judged.key, comparison);
    format!(
        "{}: healing does not last, {who} changes it again and again; if that is meant to be so, add to ignoreDifferences:\n{entry}",
        judged.key
    )
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
pub(crate) fn outcome(application: &Application, target: &Target, judged: &Judged, memory: &Memory) -> Outcome {
    let healing = memory.heals.get(&(judged.key.clone(), leaves(judged)));
    if Policy::of(application, target) == Policy::Report {
        Outcome::Reported
    } else if healing.is_some_and(|healing| healing.refusal.is_some()) {
        Outcome::HealingFailed
    } else {
        Outcome::Detected
    }
}

/// What is said of healing that does not work, or does not last.
pub(crate) fn notices(view: &View, memory: &Memory) -> Vec<Notice> {
    let fights = memory.heals.values().filter(|healing| is_fight(healing));
    let fights = fights.map(|healing| Notice { kind: condition::COMPARISON_WARNING, message: healing.advice.clone() });
    refused(view, memory).into_iter().chain(fights).collect()
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
    let message = condition::last_attempt_failed(&view.at.to_string(), &why);
    Some(Notice { kind: condition::SYNC_ERROR, message })
}

fn failed<'a>(refusals: impl Iterator<Item = &'a str>) -> String {
    let refusals: Vec<String> = refusals.map(str::to_owned).collect();
    format!("one or more objects failed to apply, reason: {}", reasons(&refusals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_healed_again_and_again_is_a_fight() {
        let healing = |attempts, healed, refusal: Option<&str>| Healing {
            attempts,
            healed,
            at: Instant::now(),
            refusal: refusal.map(str::to_owned),
            cause: Digest::of(b""),
            advice: String::new(),
        };
        assert!(is_fight(&healing(FIGHT, FIGHT, None)));
        assert!(!is_fight(&healing(FIGHT + 1, 1, None)), "it failed until it worked, and nobody undid it");
        assert!(!is_fight(&healing(FIGHT + 1, FIGHT, Some("refused"))));
    }
}
