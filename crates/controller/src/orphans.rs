//! Objects in a namespace that no application has, for the projects that want to hear of them.
//!
//! No watch and nothing at rest: a namespace is listed, heads only, when an application of such a project is looked at and what
//! is known of the namespace is older than the resync interval, or somebody asks for a refresh. Kept: what stood there and
//! belonged to nobody, per namespace that is asked about. Entry points: [`notice`] and [`run`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use trueup_api::{Application, Project, condition};
use trueup_cluster::{ClusterError, Standing};
use trueup_object::ObjectKey;

use crate::listable::one_version_each;
use crate::observe::{Notice, View};
use crate::world::{World, lock};

/// How many kinds are listed at once: nobody waits for it.
const KINDS_AT_ONCE: usize = 4;
/// The shortest time between two listings of a namespace, however often somebody asks for a refresh.
const PAUSE: Duration = Duration::from_secs(2);
/// How many objects are named.
const NAMED_MAX: usize = 5;
/// How many objects of one namespace are kept, some 100 bytes each; further ones are not counted.
const KEPT_MAX: usize = 10_000;
/// How the condition begins, as upstream words it.
const WORDS: &str = "Application has ";

/// What is known of the namespaces that are asked about.
#[derive(Default)]
pub(crate) struct Orphans {
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    places: BTreeMap<String, Place>,
    /// The namespace that each application asks about.
    asking: HashMap<Arc<str>, String>,
}

#[derive(Default)]
struct Place {
    /// When it is to be listed.
    due: Option<Instant>,
    /// When it was last listed.
    at: Option<Instant>,
    /// Nothing before the first listing.
    known: Option<Arc<Known>>,
}

/// What one listing of a namespace brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// What belonged to nobody then.
    objects: BTreeSet<ObjectKey>,
    /// Kinds that could not be listed.
    unlisted: BTreeSet<String>,
}

// === impl Orphans ===

impl Orphans {
    /// What is known of a namespace; asks for a listing if that is older than `age`, or in any case if it is none. A listing
    /// that brings news wakes the application.
    fn ask(&self, app: &str, namespace: &str, age: Option<Duration>) -> Option<Arc<Known>> {
        let mut state = self.state();
        if state.asking.get(app).is_none_or(|asked| asked != namespace) {
            state.forget(app);
            state.asking.insert(app.into(), namespace.to_owned());
        }
        let place = state.places.entry(namespace.to_owned()).or_default();
        let old = place.at.is_none_or(|at| age.is_none_or(|age| at.elapsed() >= age));
        if old && place.due.is_none() {
            place.due = Some(place.at.map_or_else(Instant::now, |at| at + PAUSE));
            self.asked.notify_one();
        }
        place.known.clone()
    }

    /// Forgets an application that is no more, or whose project does not want to hear of orphans.
    pub(crate) fn forget(&self, app: &str) {
        self.state().forget(app);
    }

    async fn next(&self) -> String {
        loop {
            let asked = self.asked.notified();
            let due = match self.state().begin(Instant::now()) {
                Ok(namespace) => return namespace,
                Err(due) => due,
            };
            match due {
                Some(due) => tokio::select! { () = sleep_until(due) => {} () = asked => {} },
                None => asked.await,
            }
        }
    }

    /// Takes what a listing brought. Answers who is to be looked at because of it: nobody, if it is what was known.
    fn end(&self, namespace: &str, known: Known) -> Vec<Arc<str>> {
        let mut state = self.state();
        let Some(place) = state.places.get_mut(namespace) else { return Vec::new() };
        if place.known.as_deref() == Some(&known) {
            return Vec::new();
        }
        place.known = Some(Arc::new(known));
        state.asking.iter().filter(|(_, asked)| *asked == namespace).map(|(app, _)| Arc::clone(app)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl State ===

impl State {
    /// The namespace that is to be listed now, or else when one is.
    fn begin(&mut self, now: Instant) -> Result<String, Option<Instant>> {
        let waiting = self.places.iter_mut().filter_map(|(namespace, place)| Some((place.due?, namespace, place)));
        match waiting.min_by_key(|(due, ..)| *due) {
            Some((due, namespace, place)) if due <= now => {
                (place.due, place.at) = (None, Some(now));
                Ok(namespace.clone())
            }
            other => Err(other.map(|(due, ..)| due)),
        }
    }

    fn forget(&mut self, app: &str) {
        let Some(namespace) = self.asking.remove(app) else { return };
        if !self.asking.values().any(|asked| *asked == namespace) {
            self.places.remove(&namespace);
        }
    }
}

/// What is said of the orphans in the destination of an application. Before they are known, what was said of them stays.
pub(crate) fn notice(world: &World, application: &Application, view: &View) -> Option<Notice> {
    let (name, namespace) = (application.meta.instance.as_str(), view.spec.destination.namespace.as_str());
    if namespace.is_empty() || !view.project.warns_of_orphans() {
        world.orphans.forget(name);
        return None;
    }
    let age = application.meta.refresh().is_none().then_some(world.resync);
    let told = |message: String| Notice { kind: condition::ORPHANED_RESOURCE_WARNING, message };
    let Some(known) = world.orphans.ask(name, namespace, age) else {
        let mut said = application.status.conditions.iter();
        let said =
            said.find(|said| said.kind == condition::ORPHANED_RESOURCE_WARNING && said.message.starts_with(WORDS));
        return said.map(|said| told(said.message.clone()));
    };
    // Somebody may have come to hold it since.
    message(&view.project, &known, |key| world.holders.is_held(key)).map(told)
}

fn message(project: &Project, known: &Known, is_held: impl Fn(&ObjectKey) -> bool) -> Option<String> {
    let orphans: Vec<&ObjectKey> = known
        .objects
        .iter()
        .filter(|key| !project.ignores_orphan(&key.group, &key.kind, &key.namespace, &key.name) && !is_held(key))
        .collect();
    if orphans.is_empty() {
        return None;
    }
    let mut named: Vec<String> = orphans.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if orphans.len() > NAMED_MAX {
        named.push(format!("{} more", orphans.len() - NAMED_MAX));
    }
    let unlisted: Vec<&str> = known.unlisted.iter().take(NAMED_MAX).map(String::as_str).collect();
    let unlisted = if unlisted.is_empty() {
        String::new()
    } else {
        format!("; {} kinds cannot be listed: {}", known.unlisted.len(), unlisted.join(", "))
    };
    Some(format!("{WORDS}{} orphaned resources: {}{unlisted}", orphans.len(), named.join(", ")))
}

/// Lists the namespaces that are asked about.
pub(crate) async fn run(world: Arc<World>) {
    loop {
        let namespace = world.orphans.next().await;
        match list(&world, &namespace).await {
            Ok(known) => {
                for app in world.orphans.end(&namespace, known) {
                    world.queue.wake(&app);
                }
            }
            // It is asked again with the next look that finds it too old.
            Err(error) => {
                tracing::warn!(%namespace, %error, "orphaned resources: the kinds of the cluster cannot be listed");
            }
        }
    }
}

async fn list(world: &Arc<World>, namespace: &str) -> Result<Known, ClusterError> {
    let kinds = one_version_each(world.cluster.kinds().await?.served);
    let kinds = kinds.into_iter().filter(|kind| kind.namespaced && !is_made_by_itself(&kind.gvk.group, &kind.gvk.kind));
    let lists = kinds.map(async |kind| {
        let standing = world.cluster.survey(&kind, namespace).await;
        (kind, standing)
    });
    let (mut standing, mut unlisted) = (Vec::new(), BTreeSet::new());
    let mut lists = stream::iter(lists).buffer_unordered(KINDS_AT_ONCE);
    while let Some((kind, listed)) = lists.next().await {
        match listed {
            Ok(listed) => standing.extend(listed),
            // Its definition went between the two requests, and its objects with it.
            Err(ClusterError::NotFound(_)) => {}
            Err(_) => drop(unlisted.insert(kind.gvk.group_kind().to_string())),
        }
    }
    let is_taken = |found: &Standing| {
        found.app.as_deref().is_some_and(|app| world.applications.get(app).is_some())
            || world.holders.is_held(&found.key)
    };
    Ok(Known { objects: orphaned(&standing, is_taken), unlisted })
}

/// Kinds whose objects Kubernetes makes beside others without saying whose they are.
fn is_made_by_itself(group: &str, kind: &str) -> bool {
    group.is_empty() && kind == "Endpoints"
}

/// What belongs to nobody. Claims of a StatefulSet are its own, though they do not say so.
fn orphaned(standing: &[Standing], is_taken: impl Fn(&Standing) -> bool) -> BTreeSet<ObjectKey> {
    let is = |key: &ObjectKey, group: &str, kind: &str| key.group == group && key.kind == kind;
    let sets: HashSet<String> = standing
        .iter()
        .filter(|found| is(&found.key, "apps", "StatefulSet"))
        .map(|found| found.key.name.to_string())
        .collect();
    let of_a_set = |key: &ObjectKey| {
        let set = key.name.rsplit_once('-').filter(|(_, ordinal)| ordinal.bytes().all(|byte| byte.is_ascii_digit()));
        is(key, "", "PersistentVolumeClaim")
            && set.is_some_and(|(named, _)| named.match_indices('-').any(|(at, _)| sets.contains(&named[at + 1..])))
    };
    let orphans = standing.iter().filter(|found| !is_taken(found) && !of_a_set(&found.key));
    orphans.map(|found| found.key.clone()).take(KEPT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, kind: &str, name: &str) -> ObjectKey {
        ObjectKey::new(group, kind, "shop", name)
    }

    fn standing(group: &str, kind: &str, name: &str, app: Option<&str>) -> Standing {
        Standing { key: key(group, kind, name), app: app.map(str::to_owned) }
    }

    #[test]
    fn what_an_application_or_a_stateful_set_has_is_no_orphan() {
        let found = vec![
            standing("", "ConfigMap", "left", None),
            standing("", "ConfigMap", "ours", Some("shop")),
            standing("", "ConfigMap", "of-the-dead", Some("gone")),
            standing("apps", "StatefulSet", "db", Some("shop")),
            standing("", "PersistentVolumeClaim", "data-db-0", None),
            standing("", "PersistentVolumeClaim", "data-of-db-11", None),
            standing("", "PersistentVolumeClaim", "data-db-x", None),
            standing("", "PersistentVolumeClaim", "data-other-0", None),
        ];
        let orphans = orphaned(&found, |found| found.app.as_deref() == Some("shop"));
        let names: Vec<&str> = orphans.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["left", "of-the-dead", "data-db-x", "data-other-0"]);
    }

    #[test]
    fn they_are_told_as_upstream_does_with_their_names() {
        let project = Project::read(
            br#"{"metadata": {"name": "team"}, "spec": {"orphanedResources": {"ignore": [{"kind": "ConfigMap", "name": "ignored"}]},
                "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}}"#,
        )
        .unwrap();
        let known = |count: usize| Known {
            objects: (0..count).map(|at| key("", "ConfigMap", &format!("c{at}"))).collect(),
            unlisted: BTreeSet::new(),
        };
        let held = key("", "ConfigMap", "c1");
        let told = |known: &Known| message(&project, known, |key| *key == held);
        assert_eq!(told(&known(0)), None);
        assert_eq!(
            told(&known(2)).unwrap(),
            format!("Application has 1 orphaned resources: {}", key("", "ConfigMap", "c0"))
        );
        assert!(told(&known(8)).unwrap().starts_with("Application has 7 orphaned resources: "));
        assert!(told(&known(8)).unwrap().ends_with(", 2 more"));
        let mut others =
            Known { objects: [key("", "ConfigMap", "ignored"), key("", "Secret", "s")].into(), ..Known::default() };
        assert_eq!(told(&others), None);
        others.objects.insert(key("", "ConfigMap", "c0"));
        others.unlisted.insert("x.io/X".to_owned());
        assert!(told(&others).unwrap().ends_with("; 1 kinds cannot be listed: x.io/X"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_is_listed_when_it_is_asked_about_and_old() {
        let (orphans, minute) = (Orphans::default(), Some(Duration::from_mins(1)));
        let is_asked = || orphans.state().begin(Instant::now()) != Err(None);
        assert_eq!(orphans.ask("a", "shop", minute), None);
        assert_eq!(orphans.ask("b", "shop", minute), None);
        assert_eq!(orphans.next().await, "shop");
        assert!(!is_asked(), "however many ask, it is one listing");
        let known = || Known { objects: [key("", "ConfigMap", "left")].into(), ..Known::default() };
        let mut woken = orphans.end("shop", known());
        woken.sort();
        assert_eq!(woken, ["a".into(), "b".into()]);
        assert_eq!(orphans.ask("a", "shop", minute).as_deref(), Some(&known()));
        assert!(!is_asked(), "it is new enough");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(orphans.ask("a", "shop", minute).is_some());
        assert_eq!(orphans.next().await, "shop");
        assert!(orphans.end("shop", known()).is_empty(), "the same is no news");
        // A refresh wants it new, but not at any pace.
        let before = Instant::now();
        orphans.ask("a", "shop", None);
        orphans.ask("a", "shop", None);
        assert_eq!(orphans.next().await, "shop");
        assert_eq!(before.elapsed(), PAUSE);
        assert!(!is_asked());
        // Nobody asks any more.
        orphans.forget("a");
        assert!(orphans.state().places.contains_key("shop"));
        orphans.ask("b", "elsewhere", minute);
        assert!(!orphans.state().places.contains_key("shop"));
        assert!(orphans.end("shop", known()).is_empty());
    }
}
