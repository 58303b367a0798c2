//! The search of the whole cluster for objects that say which application they belong to and that no inventory lists.
//!
//! Once when work begins, at every hard refresh and before the objects of an application are deleted, the heads of all objects of
//! all kinds are listed. Kept: what was found and no application has taken yet. Invariant: who asks is answered by a search that
//! began after the question; however many ask meanwhile, it is one. Entry points: [`Sweep::ask`], [`Sweep::take`], [`run`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::sync::Notify;
use trueup_cluster::{ClusterError, Kind};
use trueup_object::{GroupKind, Gvk, ObjectKey};

use crate::world::World;

/// How many kinds are listed at once: a search is in no hurry, and looks under way are.
const KINDS_AT_ONCE: usize = 4;
/// The shortest time between two searches: who deletes a hundred applications one by one asks for few.
const PAUSE: Duration = Duration::from_secs(2);
/// After this time what failed is tried once more: an outage of moments must not leave a gap until the next search.
const AGAIN_PAUSE: Duration = Duration::from_secs(5);
/// How many objects are kept that nobody has taken, some 100 bytes each: more than any cluster has left over.
const FOUND_MAX: usize = 100_000;

/// Kinds that come and go by themselves and are never in Git, by resource: Events and Leases.
const LEFT_OUT: [(&str, &str); 3] = [("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")];

/// The number of the search that begins with the work.
pub(crate) const FIRST: u64 = 1;

/// What was found, and which searches there were.
pub(crate) struct Sweep {
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    /// The last search that somebody waits for, by number from 1.
    asked: u64,
    begun: u64,
    ended: u64,
    found: HashMap<String, BTreeMap<ObjectKey, Gvk>>,
    /// Applications to be woken at the end of a search.
    waiting: HashSet<Arc<str>>,
    /// Kinds that could not be listed in the last search, and why.
    unlisted: BTreeMap<GroupKind, String>,
}

/// Searches whenever somebody asks; the first time at once.
pub(crate) async fn run(world: Arc<World>) {
    loop {
        world.sweep.until_asked().await;
        let Some(found) = search(&world).await else {
            tokio::time::sleep(AGAIN_PAUSE).await;
            continue;
        };
        for app in world.sweep.end(found) {
            world.queue.wake(&app);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What one search brought.
#[derive(Default)]
struct Found {
    claims: Vec<(String, ObjectKey, Gvk)>,
    unlisted: BTreeMap<GroupKind, String>,
}

/// Lists every kind. Nothing, if it is not even known which there are.
async fn search(world: &Arc<World>) -> Option<Found> {
    let kinds = match world.cluster.kinds().await {
        Ok(kinds) => one_version_each(kinds),
        Err(error) => {
            tracing::warn!(%error, "the kinds of the cluster cannot be listed: the search for objects that were left behind waits");
            return None;
        }
    };
    world.sweep.begin();
    let mut found = Found::default();
    let failed = list(world, kinds, &mut found).await;
    if !failed.is_empty() {
        tokio::time::sleep(AGAIN_PAUSE).await;
        for (kind, error) in list(world, failed.into_iter().map(|(kind, _)| kind).collect(), &mut found).await {
            found.unlisted.insert(kind.gvk.group_kind(), error.to_string());
        }
    }
    Some(found)
}

/// Lists these kinds, and answers those where that failed.
async fn list(world: &World, kinds: Vec<Kind>, found: &mut Found) -> Vec<(Kind, ClusterError)> {
    let mut failed = Vec::new();
    let lists = kinds.into_iter().map(async |kind| {
        let claimed = world.cluster.sweep(&kind).await;
        (kind, claimed)
    });
    let mut lists = stream::iter(lists).buffer_unordered(KINDS_AT_ONCE);
    while let Some((kind, claimed)) = lists.next().await {
        match claimed {
            // What belongs to another object goes with it. What is held is known to its holder.
            Ok(claimed) => found.claims.extend(
                claimed
                    .into_iter()
                    .filter(|claimed| !claimed.owned && !world.holders.holds(&claimed.app, &claimed.key))
                    .map(|claimed| (claimed.app, claimed.key, kind.gvk.clone())),
            ),
            // Its definition went between the two requests, and its objects with it.
            Err(ClusterError::NotFound(_)) => {}
            Err(error) => failed.push((kind, error)),
        }
    }
    failed
}

/// Every kind that can be listed, at its most settled version: each shows the same objects.
fn one_version_each(kinds: Vec<Kind>) -> Vec<Kind> {
    let mut best: BTreeMap<GroupKind, Kind> = BTreeMap::new();
    for kind in kinds {
        if !kind.watchable || LEFT_OUT.contains(&(kind.gvk.group.as_str(), kind.plural.as_str())) {
            continue;
        }
        let key = kind.gvk.group_kind();
        if best.get(&key).is_none_or(|known| settled(&kind.gvk.version) > settled(&known.gvk.version)) {
            best.insert(key, kind);
        }
    }
    best.into_values().collect()
}

/// How settled a version is: `v2` is more than `v1`, that more than `v2beta1`, and that more than `v2alpha1`.
fn settled(version: &str) -> (u8, u32, u32) {
    let numbers: Vec<u32> = version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let stage = if version.contains("alpha") {
        0
    } else if version.contains("beta") {
        1
    } else {
        2
    };
    (stage, numbers.first().copied().unwrap_or_default(), numbers.get(1).copied().unwrap_or_default())
}

// === impl Sweep ===

/// The first search is asked for from the start.
impl Default for Sweep {
    fn default() -> Self {
        Self { state: Mutex::new(State { asked: FIRST, ..State::default() }), asked: Notify::new() }
    }
}

impl Sweep {
    /// Asks for a search that begins from now on, and answers its number.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = self.state();
        let number = state.begun + 1;
        state.asked = state.asked.max(number);
        self.asked.notify_one();
        number
    }

    /// Whether a search has ended; if not, the application is woken when one does.
    pub(crate) fn has_ended(&self, number: u64, app: &str) -> bool {
        let mut state = self.state();
        let ended = state.ended >= number;
        if !ended {
            state.waiting.insert(app.into());
        }
        ended
    }

    /// What was found of an application that no inventory lists. It is told once.
    pub(crate) fn take(&self, app: &str) -> BTreeMap<ObjectKey, Gvk> {
        self.state().found.remove(app).unwrap_or_default()
    }

    /// The kinds that could not be listed.
    pub(crate) fn unlisted(&self) -> Vec<GroupKind> {
        self.state().unlisted.keys().cloned().collect()
    }

    async fn until_asked(&self) {
        loop {
            let asked = self.asked.notified();
            {
                let state = self.state();
                if state.asked > state.ended {
                    return;
                }
            }
            asked.await;
        }
    }

    fn begin(&self) {
        let mut state = self.state();
        state.begun = state.ended + 1;
    }

    /// Takes in what was found. Answers who is to be woken.
    fn end(&self, found: Found) -> HashSet<Arc<str>> {
        let mut state = self.state();
        state.ended = state.begun;
        let unlisted: Vec<&GroupKind> =
            found.unlisted.keys().filter(|kind| !state.unlisted.contains_key(kind)).collect();
        if let Some(why) = unlisted.first().and_then(|kind| found.unlisted.get(kind)) {
            let kinds = unlisted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(%kinds, %why, "some kinds cannot be listed: what was left behind of them is not found");
        }
        state.unlisted = found.unlisted;
        // What an earlier search found may be gone, or held by now.
        state.found.clear();
        let most = found.claims.len().min(FOUND_MAX);
        if most < found.claims.len() {
            tracing::warn!(found = found.claims.len(), kept = most, "more objects were left behind than are kept");
        }
        let mut waking = std::mem::take(&mut state.waiting);
        for (app, key, gvk) in found.claims.into_iter().take(most) {
            waking.insert(app.as_str().into());
            state.found.entry(app).or_default().insert(key, gvk);
        }
        waking
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements that change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(api_version: &str, kind: &str, plural: &str) -> Kind {
        let gvk = Gvk::from_api_version(api_version, kind);
        Kind { gvk, plural: plural.to_owned(), namespaced: true, scale: false, status: false, watchable: true }
    }

    #[test]
    fn each_kind_is_listed_once_at_its_most_settled_version() {
        let kinds = vec![
            kind("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
            kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
            kind("x.io/v1beta2", "X", "xs"),
            kind("x.io/v1beta10", "X", "xs"),
            kind("x.io/v2alpha1", "X", "xs"),
            kind("v1", "Event", "events"),
            kind("coordination.k8s.io/v1", "Lease", "leases"),
            Kind { watchable: false, ..kind("v1", "Binding", "bindings") },
        ];
        let listed: Vec<String> = one_version_each(kinds).iter().map(|kind| kind.gvk.version.to_string()).collect();
        assert_eq!(listed, ["v2", "v1beta10"]);
    }

    #[test]
    fn who_asks_is_answered_by_a_search_that_began_later() {
        let sweep = Sweep::default();
        assert!(!sweep.has_ended(1, "a"));
        sweep.begin();
        let later = sweep.ask();
        assert_eq!((later, sweep.ask()), (2, 2), "however many ask, it is one");
        assert_eq!(sweep.end(Found::default()), HashSet::from(["a".into()]));
        assert!(sweep.has_ended(1, "a") && !sweep.has_ended(later, "b"));
        sweep.begin();
        assert_eq!(sweep.end(Found::default()), HashSet::from(["b".into()]));
        assert!(sweep.has_ended(later, "b"));
    }

    #[test]
    fn what_is_found_is_told_once_and_wakes() {
        let sweep = Sweep::default();
        let key = ObjectKey::new("", "ConfigMap", "ns", "left");
        let gvk = Gvk::from_api_version("v1", "ConfigMap");
        let found = || Found { claims: vec![("a".to_owned(), key.clone(), gvk.clone())], ..Found::default() };
        sweep.begin();
        assert_eq!(sweep.end(found()), HashSet::from(["a".into()]));
        assert_eq!(sweep.take("b"), BTreeMap::new());
        assert_eq!(sweep.take("a"), BTreeMap::from([(key.clone(), gvk.clone())]));
        assert_eq!(sweep.take("a"), BTreeMap::new());
        sweep.begin();
        sweep.end(found());
        sweep.begin();
        sweep.end(Found::default());
        assert_eq!(sweep.take("a"), BTreeMap::new(), "the last search counts");
    }
}
