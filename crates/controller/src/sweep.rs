//! The search of the whole cluster for objects that say which application they belong to and that no inventory lists.
//!
//! Once when work begins, at every hard refresh and before the objects of an application are deleted, the heads of all objects of
//! all kinds are listed. What could not be listed is tried again by itself, ever more rarely: a permission that comes tells nobody.
//! Kept: what was found and no application has taken yet, and what could not be listed. Invariants: who asks is answered by a search that
//! began after the question; however many ask meanwhile, it is one. What is found is a claim that anybody can write, no proof: who
//! takes it does not delete it for that alone. Entry points: [`Sweep::ask`], [`Sweep::take`], [`run`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use trueup_cluster::{Claimed, ClusterError, Kind};
use trueup_object::{GroupKind, Gvk, ObjectKey};

use crate::applications::Applications;
use crate::holders::Holders;
use crate::listable::one_version_each;
use crate::remains;
use crate::world::World;

/// How many kinds are listed at once: a search is in no hurry, and looks under way are.
const KINDS_AT_ONCE: usize = 4;
/// The shortest time between two searches: who deletes a hundred applications one by one asks for few.
const PAUSE: Duration = Duration::from_secs(2);
/// After this time what failed is tried once more: an outage of moments must not leave a gap until the next search.
const AGAIN_PAUSE: Duration = Duration::from_secs(5);
/// The longest time until a search is tried again that could not even begin; each failure doubles it.
const AGAIN_PAUSE_MAX: Duration = Duration::from_mins(2);
/// What could not be listed in a search is tried again after the resync interval, then after twice that, at the longest after
/// this time: an account that may never list some kinds is refused once an hour for each.
const UNLISTED_PAUSE_MAX: Duration = Duration::from_hours(1);
/// When that is, in words.
pub(crate) const TRIED_AGAIN: &str =
    "they are tried again by themselves, ever more rarely, at least once an hour; at once at a hard refresh";
/// How many kinds that cannot be listed are named.
const NAMED_MAX: usize = 5;
/// How many objects are kept that nobody has taken, some 100 bytes each: more than any cluster has left over.
const FOUND_MAX: usize = 100_000;

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
    /// What could not be listed when it was tried last.
    unlisted: Unlisted,
    /// Applications that say so: to be woken when it is otherwise.
    told: HashSet<Arc<str>>,
    /// Why no search can begin.
    failing: Option<String>,
}

/// Searches whenever somebody asks; the first time at once. In between what could not be listed is tried again.
pub(crate) async fn run(world: Arc<World>) {
    let mut again = AGAIN_PAUSE;
    let mut next: Option<Again> = None;
    loop {
        let at = next.as_ref().map_or_else(Instant::now, |next| next.at);
        let only = tokio::select! {
            biased;
            () = world.sweep.until_asked() => None,
            () = sleep_until(at), if next.is_some() => Some(world.sweep.state().unlisted.clone()),
        };
        match search(&world, only.as_ref()).await {
            Ok(found) => {
                again = AGAIN_PAUSE;
                let left = found.unlisted.clone();
                for app in world.sweep.end(found, only.is_none()) {
                    world.queue.wake(&app);
                }
                // What is refused as before is tried more rarely.
                let before = next.filter(|_| only.is_some_and(|only| only.is_same(&left)));
                next = (!left.is_empty()).then(|| Again::after(before, world.resync));
                sleep(PAUSE).await;
            }
            Err(_) if only.is_some() => next = Some(Again::after(next, world.resync)),
            Err(error) => {
                world.sweep.fail(error.to_string());
                sleep(again).await;
                again = (again * 2).min(AGAIN_PAUSE_MAX);
            }
        }
    }
}

/// When what could not be listed is tried again.
struct Again {
    at: Instant,
    /// How long after the last time that is.
    pause: Duration,
}

/// What could not be listed, and why.
#[derive(Clone, Default)]
struct Unlisted {
    kinds: BTreeMap<GroupKind, String>,
    /// Groups, or versions of groups, of which it is not known which kinds they have.
    groups: BTreeMap<String, String>,
}

/// What one search brought.
#[derive(Default)]
struct Found {
    claims: Vec<(String, ObjectKey, Gvk)>,
    unlisted: Unlisted,
}

/// Lists every kind, or only what could not be listed before. An error, if it is not even known which there are.
async fn search(world: &Arc<World>, only: Option<&Unlisted>) -> Result<Found, ClusterError> {
    let mut kinds = world.cluster.kinds().await?;
    match only {
        None => world.sweep.begin(),
        Some(only) => {
            kinds.served.retain(|kind| only.has(&kind.gvk.group_kind()));
            kinds.unread.retain(|name, _| only.has_group(group_of(name)));
        }
    }
    let mut found = Found::default();
    let mut failed = list(world, one_version_each(kinds.served), &mut found).await;
    let passing: Vec<Kind> = failed.extract_if(.., |(_, error)| may_pass(error)).map(|(kind, _)| kind).collect();
    if !passing.is_empty() {
        sleep(AGAIN_PAUSE).await;
        failed.extend(list(world, passing, &mut found).await);
    }
    let failed = failed.into_iter().map(|(kind, error)| (kind.gvk.group_kind(), error.to_string()));
    found.unlisted = Unlisted { kinds: failed.collect(), groups: kinds.unread };
    Ok(found)
}

/// The group of what could not be read: its name, with a version if it is that alone.
fn group_of(unread: &str) -> &str {
    let group = unread.split_once('/').map_or(unread, |(group, _)| group);
    if group == "core" { "" } else { group }
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
            Ok(claimed) => {
                remains::find(world, &kind, &claimed).await;
                let left =
                    claimed.into_iter().filter(|claimed| is_left_behind(claimed, &world.applications, &world.holders));
                found.claims.extend(left.map(|claimed| (claimed.app, claimed.key, kind.gvk.clone())));
            }
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

// === impl Again ===

impl Again {
    /// The next time, after another one that was of no use.
    fn after(before: Option<Self>, resync: Duration) -> Self {
        let pause = before.map_or(resync, |before| before.pause.saturating_mul(2)).min(UNLISTED_PAUSE_MAX);
        Self { at: Instant::now() + pause, pause }
    }
}

// === impl Unlisted ===

impl Unlisted {
    fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.groups.is_empty()
    }

    fn has(&self, kind: &GroupKind) -> bool {
        self.kinds.contains_key(kind) || self.has_group(&kind.group)
    }

    fn has_group(&self, group: &str) -> bool {
        self.groups.keys().any(|name| group_of(name) == group)
    }

    /// Whether it is the same, for whatever reason.
    fn is_same(&self, other: &Self) -> bool {
        self.kinds.keys().eq(other.kinds.keys()) && self.groups.keys().eq(other.groups.keys())
    }

    /// Each by name, and why.
    fn named(&self) -> impl Iterator<Item = (String, &String)> {
        let kinds = self.kinds.iter().map(|(kind, why)| (kind.to_string(), why));
        kinds.chain(self.groups.iter().map(|(group, why)| (format!("the kinds of {group}"), why)))
    }
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
        let mut named: Vec<String> = state.unlisted.named().map(|(name, _)| name).collect();
        let more = named.len().saturating_sub(NAMED_MAX);
        named.truncate(NAMED_MAX);
        if more > 0 {
            named.push(format!("{more} more kinds"));
        }
        (!named.is_empty()).then(|| named.join(", "))
    }

    /// The same for an application that says so: it is woken when it is otherwise.
    pub(crate) fn tell_unlisted(&self, app: &str) -> Option<String> {
        // First, so that no change comes in between.
        self.state().told.insert(app.into());
        self.unlisted()
    }

    /// Forgets an application that is no more.
    pub(crate) fn forget(&self, app: &str) {
        let mut state = self.state();
        state.told.remove(app);
        state.waiting.remove(app);
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

    /// Takes in what was found by a search, of the whole cluster or of what could not be listed before. Answers who is to be woken.
    fn end(&self, found: Found, whole: bool) -> HashSet<Arc<str>> {
        let mut state = self.state();
        let mut waking = HashSet::new();
        if whole {
            state.ended = state.begun;
            // What an earlier search found may be gone, or held by now.
            state.found.clear();
            waking.extend(std::mem::take(&mut state.waiting));
        }
        if !state.unlisted.is_same(&found.unlisted) {
            state.tell(&found.unlisted);
            waking.extend(std::mem::take(&mut state.told));
        }
        state.unlisted = found.unlisted;
        let known: usize = state.found.values().map(BTreeMap::len).sum();
        let most = found.claims.len().min(FOUND_MAX.saturating_sub(known));
        if most < found.claims.len() {
            tracing::warn!(found = found.claims.len(), kept = most, "more objects were left behind than are kept");
        }
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

// === impl State ===

impl State {
    /// Logs what could be listed before and cannot be any more, and the other way round.
    fn tell(&self, now: &Unlisted) {
        let known: HashSet<String> = self.unlisted.named().map(|(name, _)| name).collect();
        let new: Vec<(String, &String)> = now.named().filter(|(name, _)| !known.contains(name)).collect();
        if let Some((_, why)) = new.first() {
            let kinds = new.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            tracing::warn!(%kinds, %why, "some kinds cannot be listed: what was left behind of them is not found; {TRIED_AGAIN}");
        }
        let still: HashSet<String> = now.named().map(|(name, _)| name).collect();
        let mut over: Vec<&str> = known.difference(&still).map(String::as_str).collect();
        over.sort_unstable();
        if !over.is_empty() {
            tracing::info!(kinds = over.join(", "), "what could not be listed was searched for what was left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlisted(names: &[&str]) -> Unlisted {
        let kind = |name: &&str| (GroupKind { group: "x.io".into(), kind: (*name).into() }, "forbidden".to_owned());
        Unlisted { kinds: names.iter().map(kind).collect(), groups: BTreeMap::new() }
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
        let all = ["A", "B", "C", "D", "E", "F"];
        sweep.begin();
        sweep.end(Found { unlisted: unlisted(&all[..2]), ..Found::default() }, true);
        assert_eq!(sweep.unlisted().as_deref(), Some("x.io/A, x.io/B"));
        let groups = BTreeMap::from([("y.io".to_owned(), String::new())]);
        sweep.begin();
        sweep.end(Found { unlisted: Unlisted { groups, ..unlisted(&all) }, ..Found::default() }, true);
        assert_eq!(sweep.unlisted().as_deref(), Some("x.io/A, x.io/B, x.io/C, x.io/D, x.io/E, 2 more kinds"));
        let groups = BTreeMap::from([("y.io/v1".to_owned(), String::new())]);
        sweep.end(Found { unlisted: Unlisted { groups, ..Unlisted::default() }, ..Found::default() }, false);
        assert_eq!(sweep.unlisted().as_deref(), Some("the kinds of y.io/v1"));
    }

    #[test]
    fn what_could_not_be_listed_is_tried_again_and_nothing_else() {
        let groups = ["core/v1", "y.io"].map(|name| (name.to_owned(), String::new()));
        let unlisted = Unlisted { groups: groups.into(), ..unlisted(&["A"]) };
        let kind = |group: &str, kind: &str| GroupKind { group: group.into(), kind: kind.into() };
        assert!(unlisted.has(&kind("x.io", "A")) && !unlisted.has(&kind("x.io", "B")));
        assert!(unlisted.has(&kind("", "ConfigMap")) && unlisted.has(&kind("y.io", "Any")));
        assert!(!unlisted.has(&kind("z.io", "A")) && !unlisted.is_empty() && Unlisted::default().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_refused_is_tried_ever_more_rarely() {
        let minutes = |minutes: u64| Duration::from_mins(minutes);
        let mut again = None;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let next = Again::after(again, minutes(2));
            assert_eq!(next.at, Instant::now() + next.pause);
            pauses.push(next.pause);
            again = Some(next);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60].map(minutes));
        assert_eq!(Again::after(None, minutes(90)).pause, minutes(60));
    }

    #[test]
    fn who_says_what_is_not_listed_is_woken_when_it_is_otherwise() {
        let sweep = Sweep::default();
        let found = |names: &[&str]| Found { unlisted: unlisted(names), ..Found::default() };
        sweep.begin();
        sweep.end(found(&["A", "B"]), true);
        assert_eq!(sweep.tell_unlisted("a").as_deref(), Some("x.io/A, x.io/B"));
        sweep.tell_unlisted("gone");
        sweep.forget("gone");
        assert_eq!(sweep.end(found(&["A", "B"]), false), HashSet::new(), "as before");
        assert!(!sweep.has_ended(2, "b"));
        assert_eq!(
            sweep.end(found(&["B"]), false),
            HashSet::from(["a".into()]),
            "it is no search that anybody waits for"
        );
        assert_eq!(sweep.end(found(&[]), false), HashSet::new(), "it did not say so again");
        assert_eq!(sweep.unlisted(), None);
    }

    #[test]
    fn who_asks_is_answered_by_a_search_that_began_later() {
        let sweep = Sweep::default();
        assert!(!sweep.has_ended(1, "a"));
        sweep.begin();
        let later = sweep.ask();
        assert_eq!((later, sweep.ask()), (2, 2), "however many ask, it is one");
        assert_eq!(sweep.end(Found::default(), true), HashSet::from(["a".into()]));
        assert!(sweep.has_ended(1, "a") && !sweep.has_ended(later, "b"));
        sweep.begin();
        assert_eq!(sweep.end(Found::default(), true), HashSet::from(["b".into()]));
        assert!(sweep.has_ended(later, "b"));
    }

    #[test]
    fn what_is_found_is_told_once_and_wakes() {
        let sweep = Sweep::default();
        let key = ObjectKey::new("", "ConfigMap", "ns", "left");
        let gvk = Gvk::from_api_version("v1", "ConfigMap");
        let found = || Found { claims: vec![("a".to_owned(), key.clone(), gvk.clone())], ..Found::default() };
        sweep.begin();
        assert_eq!(sweep.end(found(), true), HashSet::from(["a".into()]));
        assert_eq!(sweep.end(Found::default(), false), HashSet::new(), "what was found before stays");
        assert_eq!(sweep.take("b"), BTreeMap::new());
        assert_eq!(sweep.take("a"), BTreeMap::from([(key.clone(), gvk.clone())]));
        assert_eq!(sweep.take("a"), BTreeMap::new());
        sweep.end(found(), false);
        sweep.begin();
        sweep.end(Found::default(), true);
        assert_eq!(sweep.take("a"), BTreeMap::new(), "the last search counts");
    }
}
