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
    keys: &[ObjectKey],
    tally: &mut Tally,
) {
    let wanted: HashSet<&ObjectKey> = keys.iter().collect();
    let name = application.meta.instance.as_str();
    let mut prunes = Vec::with_capacity(keys.len());
    for extra in view.extras.iter().filter(|extra| wanted.contains(&extra.key)) {
        prunes.push(async move { (extra, one(world, name, view, extra).await) });
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

async fn one(world: &World, name: &str, view: &View, extra: &Extra) -> Pruned {
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
        let Some(now) = view.extra(world, name, extra.key.clone(), extra.gvk.clone()) else { return Pruned::Gone };
        let live = match (now.fate, now.live) {
            (Fate::Prune, Some(live)) => live,
            (Fate::Keep(why), _) => return Pruned::Kept(why),
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
pub(crate) fn note_rest(view: &View, prunes: bool, tally: &mut Tally) {
    for extra in &view.extras {
        let why = match &extra.fate {
            Fate::Prune if !prunes => "ignored (requires pruning)".to_owned(),
            Fate::Keep(why) => why.clone(),
            _ => continue,
        };
        tally.results.push(result(&extra.key, &extra.gvk, ResultCode::PruneSkipped, why));
    }
}
