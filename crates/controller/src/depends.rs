//! Applications that wait for others: `trueup.dev/depends-on`.
//!
//! Kept are who waits for whom (labels are looked at when they change), and of every application at what its last look ended:
//! a status alone does not say that it is about the newest commit. Invariant: whoever is waited for wakes those that wait when
//! what they go by has changed; nobody asks again and again. Entry points: [`Depends::note`] when a look begins,
//! [`Depends::concluded`] and [`after`] when it ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use trueup_api::{Application, Dependency, DependsOn, DependsOnError, Meta, Revision, TrackingId, Which, annotations};
use trueup_health::unsettled;
use trueup_object::Digest;
use trueup_plan::dependencies::{Dependencies, Standing};

use crate::applications::Applications;
use crate::world::{World, lock};

/// Its status may be as old as it likes.
const NOT_LOOKED: &str = "it has not looked at its newest commit and specification yet";

/// Who waits for whom.
#[derive(Default)]
pub(crate) struct Depends(Mutex<State>);

#[derive(Default)]
struct State {
    graph: Dependencies,
    noted: HashMap<Arc<str>, Noted>,
    /// Those that choose by labels.
    choosing: BTreeSet<Arc<str>>,
    /// At what the last look ended.
    ends: HashMap<Arc<str>, End>,
    /// Those that wait for an application, with where they saw it.
    waiting: HashMap<Arc<str>, HashMap<Arc<str>, Stand>>,
    /// Where a child was when its last look ended.
    children: HashMap<Arc<str>, Stand>,
}

/// What an application says of itself, as far as it matters here.
struct Noted {
    text: Option<String>,
    labels: BTreeMap<String, String>,
    wish: Result<DependsOn, DependsOnError>,
    /// Those that it waits for by name, whether they are there or not.
    named: BTreeSet<Arc<str>>,
}

/// At what a look ended that saw everything, and wrote down what there was to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) spec: Digest,
    pub(crate) at: Revision,
}

/// Where an application was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    end: Option<End>,
    /// None if it is not there.
    pub(crate) standing: Option<Standing>,
}

/// What an application waits for.
pub(crate) struct Waits {
    pub(crate) wish: Result<DependsOn, DependsOnError>,
    pub(crate) on: Vec<Arc<str>>,
    /// The way on which it waits for itself.
    pub(crate) circle: Option<Vec<Arc<str>>>,
}

// === impl Depends ===

impl Depends {
    /// Notes what an application waits for, and its labels. Answers who is to be looked at because of that.
    pub(crate) fn note(
        &self,
        applications: &Applications,
        namespace: &str,
        application: &Application,
    ) -> BTreeSet<Arc<str>> {
        let meta = &application.meta;
        let text = meta.annotations.get(annotations::DEPENDS_ON);
        let mut state = lock(&self.0);
        let known = state.noted.get(meta.instance.as_str());
        let same_text = known.is_some_and(|known| known.text.as_ref() == text);
        let same_labels = known.is_some_and(|known| known.labels == meta.labels);
        if same_text && same_labels {
            return BTreeSet::new();
        }
        let name: Arc<str> = meta.instance.as_str().into();
        let mut waking = BTreeSet::new();
        if !same_text {
            let wish = DependsOn::read(meta);
            let items = wish.as_ref().map(|wish| wish.items.as_slice()).unwrap_or_default();
            let named: BTreeSet<Arc<str>> =
                items.iter().filter_map(|item| by_name(item, namespace)).map(Arc::from).collect();
            let mut edges = named.clone();
            if items.iter().any(|item| by_name(item, namespace).is_none()) {
                state.choosing.insert(Arc::clone(&name));
                let all = applications.all();
                let chosen = all.iter().filter(|other| items.iter().any(|item| item.matches(&other.meta)));
                edges.extend(chosen.map(|other| Arc::from(other.meta.instance.as_str())));
            } else {
                state.choosing.remove(&name);
            }
            waking.extend(state.graph.set(&name, edges));
            let noted = Noted { text: text.cloned(), labels: meta.labels.clone(), wish, named };
            state.noted.insert(Arc::clone(&name), noted);
        }
        if !same_labels {
            if let Some(noted) = state.noted.get_mut(&name) {
                noted.labels.clone_from(&meta.labels);
            }
            waking.extend(state.choose(&name, Some(meta)));
        }
        waking.remove(&name);
        waking
    }

    /// Forgets an application that is no more. Answers who waited for it, or with it.
    pub(crate) fn forget(&self, app: &str) -> BTreeSet<Arc<str>> {
        let mut state = lock(&self.0);
        let name: Arc<str> = app.into();
        let mut waking: BTreeSet<Arc<str>> = state.graph.dependants(app).cloned().collect();
        waking.extend(state.graph.set(&name, BTreeSet::new()));
        state.noted.remove(app);
        state.choosing.remove(app);
        waking.extend(state.choose(&name, None));
        state.ends.remove(app);
        state.children.remove(app);
        waking.extend(state.waiting.remove(app).into_iter().flatten().map(|(waiting, _)| waiting));
        waking.remove(app);
        waking
    }

    /// Notes at what a look ended.
    pub(crate) fn concluded(&self, app: &str, end: End) {
        lock(&self.0).ends.insert(app.into(), end);
    }

    /// At what the last look ended.
    pub(crate) fn end(&self, app: &str) -> Option<End> {
        lock(&self.0).ends.get(app).cloned()
    }

    /// Notes that an application waits for another one, and where it saw that.
    fn wait_for(&self, app: &str, other: &Arc<str>, seen: Stand) {
        lock(&self.0).waiting.entry(Arc::clone(other)).or_default().insert(app.into(), seen);
    }

    fn is_waited_for(&self, app: &str) -> bool {
        lock(&self.0).waiting.contains_key(app)
    }

    /// Those that saw an application elsewhere than it is now. They no longer wait for it until they say so again.
    fn tell(&self, app: &str, now: &Stand) -> Vec<Arc<str>> {
        let mut state = lock(&self.0);
        let Some(waiting) = state.waiting.get_mut(app) else { return Vec::new() };
        let told: Vec<Arc<str>> = waiting.extract_if(|_, seen| seen != now).map(|(waiting, _)| waiting).collect();
        if waiting.is_empty() {
            state.waiting.remove(app);
        }
        told
    }

    /// Notes where a child is when its look ends. Answers whether it was elsewhere before.
    fn child_moved(&self, child: &str, now: &Stand) -> bool {
        let mut state = lock(&self.0);
        let moved = state.children.get(child) != Some(now);
        if moved {
            state.children.insert(child.into(), now.clone());
        }
        moved
    }

    /// What an application waits for, if it waits for anything.
    pub(crate) fn of(&self, app: &str) -> Option<Waits> {
        let state = lock(&self.0);
        let noted =
            state.noted.get(app).filter(|noted| noted.wish.as_ref().map_or(true, |wish| !wish.items.is_empty()))?;
        let on = state.graph.of(app).cloned().collect();
        Some(Waits { wish: noted.wish.clone(), on, circle: state.graph.circle(app) })
    }
}

// === impl State ===

impl State {
    /// Finds out whether those that choose by labels choose this application, which is none any more without its metadata.
    /// Answers who is to be looked at because of that.
    fn choose(&mut self, name: &Arc<str>, meta: Option<&Meta>) -> BTreeSet<Arc<str>> {
        let mut waking = BTreeSet::new();
        for chooser in self.choosing.clone() {
            let Some(noted) = self.noted.get(&chooser) else { continue };
            let items = noted.wish.as_ref().map(|wish| wish.items.as_slice()).unwrap_or_default();
            let chosen =
                noted.named.contains(name) || meta.is_some_and(|meta| items.iter().any(|item| item.matches(meta)));
            let mut edges: BTreeSet<Arc<str>> = self.graph.of(&chooser).cloned().collect();
            let changed = if chosen { edges.insert(Arc::clone(name)) } else { edges.remove(name) };
            if changed {
                waking.extend(self.graph.set(&chooser, edges));
                waking.insert(chooser);
            }
        }
        waking
    }
}

/// The application that an item names, by the name under which it is kept; none for an item that chooses by labels.
pub(crate) fn by_name(item: &Dependency, own_namespace: &str) -> Option<String> {
    match &item.on {
        Which::Named { namespace, name } => Some(instance(namespace, name, own_namespace)),
        Which::Labelled { .. } => None,
    }
}

/// The name under which the Application of that name is kept.
pub(crate) fn instance(namespace: &str, name: &str, own_namespace: &str) -> String {
    Meta { namespace: namespace.to_owned(), name: name.to_owned(), ..Meta::default() }.app_instance(own_namespace)
}

// === where an application stands ===

/// Where an application is now, for those that wait for it.
pub(crate) fn stand(world: &World, name: &str) -> Stand {
    let standing = |application: Arc<Application>| Standing {
        deleting: application.meta.deletion_timestamp.is_some(),
        unsettled: unsettled(&application).or_else(|| behind(world, &application, application.spec_digest)),
        sync: application.status.sync.status,
        health: application.status.health.status,
    };
    Stand { end: world.depends.end(name), standing: world.applications.get(name).map(standing) }
}

/// Has an application be looked at when another one is elsewhere than it saw it.
pub(crate) fn wait_for(world: &World, name: &str, other: &Arc<str>, seen: &Stand) {
    world.depends.wait_for(name, other, seen.clone());
    // It may have moved in between.
    if stand(world, other) != *seen {
        world.queue.wake(name);
    }
}

/// Why an application's status is not about what Git and this specification say now, if so.
pub(crate) fn behind(world: &World, application: &Application, spec_digest: Digest) -> Option<&'static str> {
    // One that is wrong is never compared, and its status says so.
    let spec = application.spec.as_ref().ok()?;
    if application.meta.skip_reconcile() {
        return Some("it is left alone (skip-reconcile)");
    }
    let name = application.meta.instance.as_str();
    let tips = world.known_tips(name, spec);
    let there =
        world.depends.end(name).is_some_and(|end| end.spec == spec_digest && tips.is_none_or(|tips| tips == end.at));
    (!there).then_some(NOT_LOOKED)
}

// === who is waited for ===

/// After a look: those that wait for this application are looked at if it is elsewhere than they saw it, and so is its parent
/// while that syncs.
pub(crate) fn after(world: &World, name: &str) {
    let parent = world.applications.get(name).and_then(|application| parent(&application));
    let parent = parent.and_then(|parent| world.applications.get(&parent));
    if parent.is_none() && !world.depends.is_waited_for(name) {
        return;
    }
    let now = stand(world, name);
    for waiting in world.depends.tell(name, &now) {
        world.queue.wake(&waiting);
    }
    if let Some(parent) = parent
        && world.depends.child_moved(name, &now)
        && operates(&parent)
    {
        world.queue.wake(&parent.meta.instance);
    }
}

/// The application that brings this one.
pub(crate) fn parent(application: &Application) -> Option<String> {
    let id = application.meta.annotations.get(annotations::TRACKING_ID)?;
    TrackingId::parse(id).map(|id| id.app).filter(|parent| *parent != application.meta.instance)
}

/// Whether an operation is under way or asked for.
pub(crate) fn operates(application: &Application) -> bool {
    application.operation.is_some()
        || application.status.operation_state.as_ref().is_some_and(|state| !state.phase.completed())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An Application with labels and what it waits for.
    fn application(namespace: &str, name: &str, tier: &str, depends_on: &str) -> Application {
        let json = json!({
            "metadata": {
                "name": name, "namespace": namespace, "uid": name, "resourceVersion": "1",
                "labels": {"tier": tier}, "annotations": {"trueup.dev/depends-on": depends_on},
            },
        });
        Application::read(json.to_string().as_bytes()).unwrap().tracked_from("argocd")
    }

    struct Cast {
        applications: Applications,
        depends: Depends,
    }

    impl Cast {
        fn new() -> Self {
            Self { applications: Applications::default(), depends: Depends::default() }
        }

        /// It came, or changed. Answers who is to be looked at.
        fn note(&self, application: &Application) -> Vec<String> {
            // A version that is none always counts as newer.
            self.applications.saw(application.clone());
            self.applications.wrote(application.clone());
            let waking = self.depends.note(&self.applications, "argocd", application);
            waking.iter().map(ToString::to_string).collect()
        }

        fn gone(&self, name: &str) -> Vec<String> {
            self.applications.lost(name, name);
            self.depends.forget(name).iter().map(ToString::to_string).collect()
        }

        fn waits_for(&self, name: &str) -> Vec<String> {
            let on = self.depends.of(name).map(|waits| waits.on).unwrap_or_default();
            on.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn names_are_waited_for_whether_they_are_there_or_not() {
        let cast = Cast::new();
        assert_eq!(cast.note(&application("argocd", "shop", "", "database; team/queue@synced")), [""; 0]);
        assert_eq!(cast.waits_for("shop"), ["database", "team_queue"]);
        assert_eq!(cast.note(&application("argocd", "database", "", "")), [""; 0], "it wakes when its look has ended");
        assert_eq!(cast.gone("database"), ["shop"]);
        assert_eq!(cast.waits_for("shop"), ["database", "team_queue"]);
        assert_eq!(cast.note(&application("argocd", "shop", "", "")), [""; 0]);
        assert_eq!(cast.waits_for("shop"), [""; 0]);
    }

    #[test]
    fn labels_choose_who_is_there() {
        let cast = Cast::new();
        cast.note(&application("argocd", "database", "base", ""));
        cast.note(&application("argocd", "web", "top", ""));
        cast.note(&application("team", "other", "base", ""));
        cast.note(&application("argocd", "shop", "base", "label:tier=base"));
        assert_eq!(cast.waits_for("shop"), ["database"]);
        // One that comes, one that changes, one that goes.
        assert_eq!(cast.note(&application("argocd", "queue", "base", "")), ["shop"]);
        assert_eq!(cast.note(&application("argocd", "web", "base", "")), ["shop"]);
        assert_eq!(cast.waits_for("shop"), ["database", "queue", "web"]);
        assert_eq!(cast.note(&application("argocd", "web", "base", "")), [""; 0]);
        assert_eq!(cast.note(&application("argocd", "web", "top", "")), ["shop"]);
        assert_eq!(cast.gone("queue"), ["shop"]);
        assert_eq!(cast.waits_for("shop"), ["database"]);
    }

    #[test]
    fn a_name_stays_where_labels_let_go() {
        let cast = Cast::new();
        cast.note(&application("argocd", "database", "base", ""));
        cast.note(&application("argocd", "shop", "", "database; label:tier=base"));
        assert_eq!(cast.note(&application("argocd", "database", "top", "")), [""; 0]);
        cast.gone("database");
        assert_eq!(cast.waits_for("shop"), ["database"]);
    }

    #[test]
    fn whoever_comes_into_a_circle_is_looked_at() {
        let cast = Cast::new();
        cast.note(&application("argocd", "a", "", "b"));
        cast.note(&application("argocd", "b", "", "c"));
        assert_eq!(cast.note(&application("argocd", "c", "", "a")), ["a", "b"]);
        let circle = || cast.depends.of("b").and_then(|waits| waits.circle);
        let names: Vec<String> = circle().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b", "c", "a"]);
        assert_eq!(cast.gone("c"), ["a", "b"]);
        assert_eq!(circle(), None);
    }

    #[test]
    fn what_cannot_be_read_waits_for_nobody_known() {
        let cast = Cast::new();
        cast.note(&application("argocd", "shop", "", "a,b"));
        let waits = cast.depends.of("shop").unwrap();
        assert!(waits.wish.is_err() && waits.on.is_empty() && waits.circle.is_none());
        assert!(cast.depends.of("nobody").is_none());
    }

    #[test]
    fn those_that_wait_are_told_what_they_did_not_see() {
        let depends = Depends::default();
        let stand = |unsettled| Stand {
            end: None,
            standing: Some(Standing {
                deleting: false,
                unsettled,
                sync: trueup_api::SyncCode::Synced,
                health: trueup_api::HealthCode::Healthy,
            }),
        };
        let tell = |now: &Stand| -> Vec<String> {
            let mut told: Vec<String> = depends.tell("database", now).iter().map(ToString::to_string).collect();
            told.sort_unstable();
            told
        };
        let (runs, ready) = (stand(Some("its sync runs")), stand(None));
        assert!(tell(&runs).is_empty());
        for (app, seen) in [("shop", &runs), ("web", &runs), ("late", &Stand::default())] {
            depends.wait_for(app, &"database".into(), seen.clone());
        }
        assert!(depends.is_waited_for("database"));
        assert_eq!(tell(&runs), ["late"]);
        assert_eq!(tell(&ready), ["shop", "web"]);
        assert!(tell(&runs).is_empty() && !depends.is_waited_for("database"), "they have to say so again");
        // At a newer commit it stands as before, and was not there meanwhile.
        depends.wait_for("shop", &"database".into(), ready.clone());
        let at = Revision::one("1");
        let newer = Stand { end: Some(End { spec: Digest::of(b""), at }), ..ready.clone() };
        assert_eq!(tell(&newer), ["shop"]);
        depends.wait_for("shop", &"database".into(), ready.clone());
        assert_eq!(depends.forget("database"), BTreeSet::from(["shop".into()]));
        assert!(depends.child_moved("child", &ready) && !depends.child_moved("child", &ready));
        assert!(depends.child_moved("child", &newer));
    }
}
