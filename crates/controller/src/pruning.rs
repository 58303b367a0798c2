//! Deleting what Git no longer has, within an operation.
//!
//! Invariant: whatever is deleted is judged anew right before, at the version that is deleted. Entry point: [`prune`].

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _};
use trueup_api::{Application, HookPhase, PrunePropagation, ResultCode};
use trueup_cluster::{Cluster, ClusterError, Propagation, WatchState};
use trueup_object::ObjectKey;

use crate::attempt::Attempt;
use crate::extras::{Extra, Fate};
use crate::observe::View;
use crate::operation::{OBJECTS_AT_ONCE, Run, Tally, named, result};
use crate::perform;
use crate::tasks::Scope;
use crate::world::World;

/// How often an object that changes under our hands is judged again.
const ROUNDS_MAX: u32 = 5;

/// Why an object stays that only its annotation calls ours.
const NEEDS_ASKING: &str =
    "ignored (no inventory lists it and it was never applied here: pruned only by a sync that somebody asks for)";

/// Why an object stays that somebody took from this application while the sync ran.
const NOT_OURS: &str = "ignored (it is not this application's any more)";
/// Why an object stays that was given a condition while the sync ran.
const NEEDS_APPROVAL: &str = "ignored (it asks for an approval since this sync began: the next one waits for it)";
/// Why an object stays that was taken out of the comparison while the sync ran.
const NOT_COMPARED: &str = "ignored (its annotations take it out of the comparison)";

/// What became of one object.
enum Pruned {
    Gone,
    Kept(String),
    Failed(ClusterError),
}

/// Deletes these objects, as far as they are still to go.
pub(crate) async fn prune(
    world: &World,
    application: &Application,
    view: &View,
    scope: &Scope<'_>,
    keys: &[ObjectKey],
    tally: &mut Tally,
) {
    let wanted: HashSet<&ObjectKey> = keys.iter().collect();
    let name = application.meta.instance.as_str();
    let hands = &view.hands(world, application);
    let mut prunes = Vec::with_capacity(keys.len());
    for extra in view.extras.iter().filter(|extra| wanted.contains(&extra.key)) {
        prunes.push(async move { (extra, one(world, hands, name, view, extra, scope).await) });
    }
    let mut outcomes: Vec<_> = stream::iter(prunes).buffer_unordered(OBJECTS_AT_ONCE).collect().await;
    outcomes.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    for (extra, outcome) in outcomes {
        let (code, message) = match outcome {
            Pruned::Gone => {
                tally.changed += 1;
                (ResultCode::Pruned, "pruned".to_owned())
            }
            Pruned::Kept(why) => (ResultCode::PruneSkipped, why),
            Pruned::Failed(error) => {
                match tally.note_failure(&error, |error| format!("{}: {error}", named(&extra.key))) {
                    Some(message) => (ResultCode::SyncFailed, message),
                    None => continue,
                }
            }
        };
        tally.results.push(result(&extra.key, &extra.gvk, code, message));
    }
}

async fn one(
    world: &World,
    hands: &Result<Cluster, ClusterError>,
    name: &str,
    view: &View,
    extra: &Extra,
    scope: &Scope<'_>,
) -> Pruned {
    let hands = match hands {
        Ok(hands) => hands,
        Err(error) => return Pruned::Failed(error.clone()),
    };
    let propagation = match scope.options.prune_propagation {
        PrunePropagation::Foreground => Propagation::Foreground,
        PrunePropagation::Background => Propagation::Background,
        PrunePropagation::Orphan => Propagation::Orphan,
    };
    let kind = match world.cluster.kind(&extra.gvk).await {
        Ok(kind) => kind,
        Err(error) => return Pruned::Failed(ClusterError::Unavailable { message: error.to_string() }),
    };
    for _ in 0..ROUNDS_MAX {
        // Only on a complete listing of the kind.
        if !matches!(world.cluster.watch_state(&extra.gvk), WatchState::Ready) {
            let message = format!("{} is not listed completely at the moment", extra.gvk);
            return Pruned::Failed(ClusterError::Unavailable { message });
        }
        let now = view.extra(world, name, extra.key.clone(), extra.gvk.clone(), extra.listed);
        let Some(now) = now else {
            return match world.cluster.live(&extra.gvk, &extra.key) {
                Some(_) => Pruned::Kept(NOT_OURS.to_owned()),
                None => Pruned::Gone,
            };
        };
        let goes = scope.prunes(&now);
        let live = match (now.fate, now.live) {
            (_, Some(live)) if goes => live,
            (Fate::Keep(why) | Fate::Doubt(why), _) => return Pruned::Kept(why),
            (Fate::Ask, _) => return Pruned::Kept(NEEDS_ASKING.to_owned()),
            (Fate::Going, _) | (_, None) => return Pruned::Gone,
            (Fate::Confirm | Fate::Prune, _) => return Pruned::Kept(NEEDS_APPROVAL.to_owned()),
            (Fate::Ignored | Fate::Hook, _) => return Pruned::Kept(NOT_COMPARED.to_owned()),
        };
        match perform::prune(hands, &world.metrics, &kind, &extra.key, &live, propagation).await {
            Ok(()) | Err(ClusterError::NotFound(_)) => return Pruned::Gone,
            Err(ClusterError::Conflict) => match world.cluster.fetch(&kind, &extra.key).await {
                Ok(_) => {}
                Err(error) => return Pruned::Failed(error),
            },
            Err(error) => return Pruned::Failed(error),
        }
    }
    Pruned::Failed(ClusterError::Conflict)
}

/// Results for prunes that are not done because something else failed.
pub(crate) fn skip(view: &View, attempt: &mut Attempt) {
    let left: Vec<&Extra> = view
        .extras
        .iter()
        .filter(|extra| {
            let place = (HookPhase::Sync, extra.key.clone());
            attempt.prunes.contains_key(&extra.key) && !attempt.done.contains_key(&place)
        })
        .collect();
    for extra in left {
        let why = "not pruned, because something else of this sync failed".to_owned();
        attempt.tally.results.push(result(&extra.key, &extra.gvk, ResultCode::PruneSkipped, why));
    }
}

/// Results for what Git no longer has and this operation left alone.
pub(crate) fn note_rest(view: &View, run: &Run, attempt: &mut Attempt) {
    let left = |extra: &&Extra| run.takes(&extra.key) && !attempt.prunes.contains_key(&extra.key);
    let left: Vec<&Extra> = view.extras.iter().filter(left).collect();
    for extra in left {
        let why = match &extra.fate {
            Fate::Prune | Fate::Confirm => "ignored (requires pruning)".to_owned(),
            Fate::Ask => NEEDS_ASKING.to_owned(),
            Fate::Keep(why) | Fate::Doubt(why) => why.clone(),
            Fate::Going | Fate::Ignored | Fate::Hook => continue,
        };
        attempt.tally.results.push(result(&extra.key, &extra.gvk, ResultCode::PruneSkipped, why));
    }
}
