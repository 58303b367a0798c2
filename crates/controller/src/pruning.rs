//! Deleting what Git no longer has, within an operation.
//!
//! Invariant: whatever is deleted is judged anew right before, at the version that is deleted. Entry point: [`prune`].

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _};
use trueup_api::{Application, ResultCode};
use trueup_cluster::{ClusterError, Propagation, WatchState};
use trueup_object::ObjectKey;

use crate::extras::{Extra, Fate};
use crate::observe::View;
use crate::operation::{OBJECTS_AT_ONCE, Tally, named, result};
use crate::perform;
use crate::world::World;

/// How often an object that changes under our hands is judged again.
const ROUNDS_MAX: u32 = 5;

/// Why an object stays that only its annotation calls ours.
const NEEDS_ASKING: &str =
    "ignored (no inventory lists it and it was never applied here: pruned only by a sync that somebody asks for)";

/// What became of one object.
enum Pruned {
    Gone,
    Kept(String),
    Failed(ClusterError),
}

/// Deletes these objects, as far as they are still to go; `asked` if somebody asked for it.
pub(crate) async fn prune(
    world: &World,
    application: &Application,
    view: &View,
    keys: &[ObjectKey],
    asked: bool,
    tally: &mut Tally,
) {
    let wanted: HashSet<&ObjectKey> = keys.iter().collect();
    let name = application.meta.instance.as_str();
    let mut prunes = Vec::with_capacity(keys.len());
    for extra in view.extras.iter().filter(|extra| wanted.contains(&extra.key)) {
        prunes.push(async move { (extra, one(world, name, view, extra, asked).await) });
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

async fn one(world: &World, name: &str, view: &View, extra: &Extra, asked: bool) -> Pruned {
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
        let Some(now) = now else { return Pruned::Gone };
        let goes = now.goes(asked);
        let live = match (now.fate, now.live) {
            (_, Some(live)) if goes => live,
            (Fate::Keep(why) | Fate::Doubt(why), _) => return Pruned::Kept(why),
            (Fate::Ask, _) => return Pruned::Kept(NEEDS_ASKING.to_owned()),
            _ => return Pruned::Gone,
        };
        match perform::prune(&world.cluster, &world.metrics, &kind, &extra.key, &live, Propagation::Foreground).await {
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
pub(crate) fn skip(view: &View, keys: &[ObjectKey], tally: &mut Tally) {
    for extra in view.extras.iter().filter(|extra| keys.contains(&extra.key)) {
        let why = "not pruned, because other objects of this sync failed".to_owned();
        tally.results.push(result(&extra.key, &extra.gvk, ResultCode::PruneSkipped, why));
    }
}

/// Results for what Git no longer has and this operation left alone.
pub(crate) fn note_rest(view: &View, goes: impl Fn(&Extra) -> bool, tally: &mut Tally) {
    for extra in view.extras.iter().filter(|extra| !goes(extra)) {
        let why = match &extra.fate {
            Fate::Prune => "ignored (requires pruning)".to_owned(),
            Fate::Ask => NEEDS_ASKING.to_owned(),
            Fate::Keep(why) | Fate::Doubt(why) => why.clone(),
            _ => continue,
        };
        tally.results.push(result(&extra.key, &extra.gvk, ResultCode::PruneSkipped, why));
    }
}
