//! The search of the whole cluster for objects that say which application they belong to and that no inventory lists.
//!
//! Once when work begins, at every hard refresh and before the objects of an application are deleted, the heads of all objects of
//! all kinds are listed. Kept: what was found and no application has taken yet. Invariants: who asks is answered by a search that
//! began after the question; however many ask meanwhile, it is one. What is found is a claim that anybody can write, no proof: who
//! takes it does not delete it for that alone. Entry points: [`Sweep::ask`], [`Sweep::take`], [`run`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::sync::Notify;
use trueup_cluster::{Claimed, ClusterError, Kind};
use trueup_object::{GroupKind, Gvk, ObjectKey};

use crate::applications::Applications;
use crate::holders::Holders;
use crate::world::World;

/// How many kinds are listed at once: a search is in no hurry, and looks under way are.
const KINDS_AT_ONCE: usize = 4;
/// The shortest time between two searches: who deletes a hundred applications one by one asks for few.
const PAUSE: Duration = Duration::from_secs(2);
/// After this time what failed is tried once more: an outage of moments must not leave a gap until the next search.
const AGAIN_PAUSE: Duration = Duration::from_secs(5);
/// The longest time until a search is tried again that could not even begin; each failure doubles it.
const AGAIN_PAUSE_MAX: Duration = Duration::from_mins(2);
/// How many kinds that cannot be listed are named.
const NAMED_MAX: usize = 5;
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
    /// Kinds that could not be listed in the last search, and why; of a group that could not be read, the group.
    unlisted: BTreeMap<String, String>,
    /// Why no search can begin.
    failing: Option<String>,
}

/// Searches whenever somebody asks; the first time at once.
pub(crate) async fn run(world: Arc<World>) {
    let mut again = AGAIN_PAUSE;
    loop {
        world.sweep.until_asked().await;
        match search(&world).await {
            Ok(found) => {
                again = AGAIN_PAUSE;
                for app in world.sweep.end(found) {
                    world.queue.wake(&app);
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                world.sweep.fail(error.to_string());
                tokio::time::sleep(again).await;
                again = (again * 2).min(AGAIN_PAUSE_MAX);
            }
        }
    }
}

/// What one search brought.
#[derive(Default)]
struct Found {
    claims: Vec<(String, ObjectKey, Gvk)>,
    unlisted: BTreeMap<String, String>,
}

/// Lists every kind. An error, if it is not even known which there are.
async fn search(world: &Arc<World>) -> Result<Found, ClusterError> {
    let kinds = world.cluster.kinds().await?;
    world.sweep.begin();
    let mut found = Found::default();
    let mut failed = list(world, one_version_each(kinds.served), &mut found).await;
    let passing: Vec<Kind> = failed.extract_if(.., |(_, error)| may_pass(error)).map(|(kind, _)| kind).collect();
    if !passing.is_empty() {
        tokio::time::sleep(AGAIN_PAUSE).await;
        failed.extend(list(world, passing, &mut found).await);
    }
    let failed = failed.into_iter().map(|(kind, error)| (kind.gvk.group_kind().to_string(), error.to_string()));
    let unread = kinds.unread.into_iter().map(|(group, why)| (format!("the kinds of {group}"), why));
    found.unlisted = failed.chain(unread).collect();
    Ok(found)
}

/// Whether it may be otherwise in a moment: a permission that is missing stays so.
fn may_pass(error: &ClusterError) -> bool {
    !matches!(error, ClusterError::Forbidden { .. })
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
            Ok(claimed) => found.claims.extend(
                claimed
                    .into_iter()
                    .filter(|claimed| is_left_behind(claimed, &world.applications, &world.holders))
                    .map(|claimed| (claimed.app, claimed.key, kind.gvk.clone())),
            ),
            // Its definition went between the two requests, and its objects with it.
            Err(ClusterError::NotFound(_)) => {}
            Err(error) => failed.push((kind, error)),
        }
    }
    failed
}

/// Whether an object is worth telling its application of. What belongs to another object goes with it, what is held is known to
/// its holder, and whoever makes objects can invent applications.
fn is_left_behind(claimed: &Claimed, applications: &Applications, holders: &Holders) -> bool {
    !claimed.owned && applications.get(&claimed.app).is_some() && !holders.holds(&claimed.app, &claimed.key)
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

    /// The kinds that could not be listed: the first by name, and how many more there are.
    pub(crate) fn unlisted(&self) -> Option<String> {
        let state = self.state();
        let mut named: Vec<String> = state.unlisted.keys().take(NAMED_MAX).cloned().collect();
        if state.unlisted.len() > NAMED_MAX {
            named.push(format!("{} more kinds", state.unlisted.len() - NAMED_MAX));
        }
        (!named.is_empty()).then(|| named.join(", "))
    }

    /// Why no search can begin, if that is so.
    pub(crate) fn failing(&self) -> Option<String> {
        self.state().failing.clone()
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
        state.failing = None;
    }

    /// A search could not begin. The same reason is logged once.
    fn fail(&self, why: String) {
        let mut state = self.state();
        if state.failing.as_ref() != Some(&why) {
            tracing::warn!(%why, "the kinds of the cluster cannot be listed: the search for objects that were left behind waits");
            state.failing = Some(why);
        }
    }

    /// Takes in what was found. Answers who is to be woken.
    fn end(&self, found: Found) -> HashSet<Arc<str>> {
        let mut state = self.state();
        state.ended = state.begun;
        let unlisted: Vec<&str> =
            found.unlisted.keys().filter(|kind| !state.unlisted.contains_key(*kind)).map(String::as_str).collect();
        if let Some(why) = unlisted.first().and_then(|kind| found.unlisted.get(*kind)) {
            let kinds = unlisted.join(", ");
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
    fn only_applications_that_there_are_leave_anything_behind() {
        let (applications, holders) = (Applications::default(), Holders::default());
        let key = |name: &str| ObjectKey::new("", "ConfigMap", "ns", name);
        let claimed = |app: &str, name: &str, owned| Claimed { key: key(name), app: app.to_owned(), owned };
        let object = br#"{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"a","namespace":"argocd","uid":"u"},"spec":{}}"#;
        applications.saw(trueup_api::Application::read(object).unwrap().tracked_from("argocd"));
        holders.hold("a", [key("held")]);
        let left = |claimed| is_left_behind(&claimed, &applications, &holders);
        assert!(left(claimed("a", "left", false)));
        assert!(!left(claimed("a", "left", true)) && !left(claimed("a", "held", false)));
        assert!(!left(claimed("invented", "left", false)));
    }

    #[test]
    fn a_missing_permission_is_not_tried_again() {
        assert!(!may_pass(&ClusterError::Forbidden { message: String::new() }));
        assert!(may_pass(&ClusterError::Unavailable { message: String::new() }));
    }

    #[test]
    fn why_no_search_begins_is_known_until_one_does() {
        let sweep = Sweep::default();
        assert_eq!(sweep.failing(), None);
        sweep.fail("refused".to_owned());
        assert_eq!(sweep.failing().as_deref(), Some("refused"));
        sweep.begin();
        assert_eq!(sweep.failing(), None);
    }

    #[test]
    fn kinds_that_are_not_listed_are_named_and_counted() {
        let sweep = Sweep::default();
        assert_eq!(sweep.unlisted(), None);
        let unlisted = |count: usize| (0..count).map(|at| (format!("k{at}"), String::new())).collect();
        sweep.begin();
        sweep.end(Found { unlisted: unlisted(2), ..Found::default() });
        assert_eq!(sweep.unlisted().as_deref(), Some("k0, k1"));
        sweep.begin();
        sweep.end(Found { unlisted: unlisted(7), ..Found::default() });
        assert_eq!(sweep.unlisted().as_deref(), Some("k0, k1, k2, k3, k4, 2 more kinds"));
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
