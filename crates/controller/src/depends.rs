//! Applications that wait for others: `trueup.dev/depends-on`.
//!
//! Kept are who waits for whom (labels are looked at when they change), and of every application at what its last look ended:
//! a status alone does not say that it is about the newest commit. Invariant: whoever is waited for wakes those that wait when
//! what they go by has changed; nobody asks again and again. Entry points: [`Depends::note`] when a look begins,
//! [`Depends::concluded`] and [`after`] when it ends, [`find_hindrance`] for what keeps an application.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, Dependency, DependsOn, DependsOnError, Meta, TrackingId, Which, annotations, condition};
use trueup_git::CommitId;
use trueup_health::unsettled;
use trueup_object::Digest;
use trueup_plan::dependencies::{Dependencies, Lack, Standing, lack};

use crate::applications::Applications;
use crate::memory::Memory;
use crate::observe::Notice;
use crate::world::{World, lock};

/// A wait that is longer than this is told: a dependency that is in line is looked at faster.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many of those that are waited for are named: there may be as many as there are applications.
const NAMED_MAX: usize = 3;
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
    /// What those that wait were last woken for.
    told: HashMap<Arc<str>, (Option<End>, Option<Standing>)>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) spec: Digest,
    pub(crate) commit: CommitId,
}

/// What keeps an application from beginning anything by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hindrance {
    pub(crate) message: String,
    /// It does not end by itself: it is told even while there is nothing to do.
    pub(crate) fault: bool,
}

/// What an application waits for, between two looks.
pub(crate) struct WaitsFor {
    pub(crate) hindrance: Hindrance,
    since: Instant,
    /// Something would have been done without it.
    withheld: bool,
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
        state.told.remove(app);
        waking.remove(app);
        waking
    }

    /// Notes at what a look ended.
    pub(crate) fn concluded(&self, app: &str, end: End) {
        lock(&self.0).ends.insert(app.into(), end);
    }

    /// At what the last look ended.
    pub(crate) fn end(&self, app: &str) -> Option<End> {
        lock(&self.0).ends.get(app).copied()
    }

    /// Who waits for an application, if what they go by is not what they were last woken for.
    fn tell(&self, app: &str, standing: Option<Standing>) -> Option<Vec<Arc<str>>> {
        let mut state = lock(&self.0);
        let now = (state.ends.get(app).copied(), standing);
        if state.told.get(app) == Some(&now) {
            return None;
        }
        state.told.insert(app.into(), now);
        Some(state.graph.dependants(app).cloned().collect())
    }

    /// What an application waits for, and the way on which it waits for itself.
    fn of(&self, app: &str) -> (Result<DependsOn, DependsOnError>, Vec<Arc<str>>, Option<Vec<Arc<str>>>) {
        let state = lock(&self.0);
        let wish = state.noted.get(app).map_or_else(|| Ok(DependsOn::default()), |noted| noted.wish.clone());
        (wish, state.graph.of(app).cloned().collect(), state.graph.circle(app))
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
fn by_name(item: &Dependency, own_namespace: &str) -> Option<String> {
    match &item.on {
        Which::Named { namespace, name } => Some(instance(namespace, name, own_namespace)),
        Which::Labelled { .. } => None,
    }
}

/// The name under which the Application of that name is kept.
pub(crate) fn instance(namespace: &str, name: &str, own_namespace: &str) -> String {
    Meta { namespace: namespace.to_owned(), name: name.to_owned(), ..Meta::default() }.app_instance(own_namespace)
}

// === what an application waits for ===

/// Finds out what keeps an application from beginning anything by itself.
pub(crate) fn find_hindrance(world: &World, application: &Application, memory: &mut Memory) {
    let since = memory.waits_for.take().map_or_else(Instant::now, |before| before.since);
    memory.waits_for = hindrance(world, application).map(|hindrance| WaitsFor { hindrance, since, withheld: false });
}

/// Notes whether something was withheld because of that; if so it is told in a while.
pub(crate) fn note_withheld(world: &World, application: &Application, memory: &mut Memory, withheld: bool) {
    let Some(waits) = &mut memory.waits_for else { return };
    waits.withheld = withheld;
    let told_at = waits.since + PATIENCE;
    if withheld && told_at > Instant::now() {
        world.queue.wake_at(&application.meta.instance, told_at);
    }
}

/// What is said of it: a fault at once, a wait when it is long. After a restart nobody knows since when: what was said stays.
pub(crate) fn notice(application: &Application, memory: &Memory) -> Option<Notice> {
    let waits = memory.waits_for.as_ref()?;
    let said = || application.status.conditions.iter().any(|said| said.kind == condition::DEPENDENCY_WARNING);
    let long = || waits.since.elapsed() >= PATIENCE || said();
    let told = waits.hindrance.fault || (waits.withheld && long());
    told.then(|| Notice { kind: condition::DEPENDENCY_WARNING, message: waits.hindrance.message.clone() })
}

/// What keeps an application from beginning anything by itself, if something does.
fn hindrance(world: &World, application: &Application) -> Option<Hindrance> {
    let (wish, waits_for, circle) = world.depends.of(&application.meta.instance);
    let wish = match wish {
        Ok(wish) if wish.items.is_empty() => return None,
        Ok(wish) => wish,
        Err(error) => {
            let message = format!("nothing is synced automatically, since nobody knows what to wait for: {error}");
            return Some(Hindrance { message, fault: true });
        }
    };
    if let Some(circle) = circle {
        return Some(Hindrance { message: told_circle(&circle), fault: true });
    }
    let mut lacking: BTreeMap<String, Lack> = BTreeMap::new();
    for item in &wish.items {
        let meant: Vec<(String, Option<Arc<Application>>)> = match by_name(item, &world.namespace) {
            Some(name) => vec![(shown(item), world.applications.get(&name))],
            None => {
                let known = waits_for.iter().filter_map(|name| world.applications.get(name));
                let meant = known.filter(|other| item.matches(&other.meta));
                meant.map(|other| (qualified(&other.meta), Some(other))).collect()
            }
        };
        if meant.is_empty() {
            lacking.insert(shown(item), Lack::Absent);
        }
        for (name, other) in meant {
            let standing = other.map(|other| standing(world, &other));
            if let Some(lack) = lack(standing.as_ref(), item.readiness) {
                lacking.entry(name).or_insert(lack);
            }
        }
    }
    if lacking.is_empty() {
        return None;
    }
    let fault = lacking.values().any(|lack| *lack == Lack::Absent);
    Some(Hindrance { message: told_lacking(&lacking), fault })
}

/// The words of an item for whom it means.
fn shown(item: &Dependency) -> String {
    match &item.on {
        Which::Named { namespace, name } => format!("{namespace}/{name}"),
        Which::Labelled { selector, .. } => format!("label:{selector}"),
    }
}

fn qualified(meta: &Meta) -> String {
    format!("{}/{}", meta.namespace, meta.name)
}

fn told_circle(circle: &[Arc<str>]) -> String {
    let way: Vec<&str> = circle.iter().chain(circle.first()).map(AsRef::as_ref).collect();
    format!(
        "nothing is synced automatically, since the application waits for itself: {}; take one of these out of an annotation {}",
        way.join(" -> "),
        annotations::DEPENDS_ON
    )
}

fn told_lacking(lacking: &BTreeMap<String, Lack>) -> String {
    let one = |(name, lack): (&String, &Lack)| match lack {
        Lack::Absent => format!("there is no application {name}"),
        Lack::Deleting => format!("application {name} is being deleted"),
        Lack::Unsettled(why) => format!("application {name}: {why}"),
        Lack::Sync(code) => format!("application {name} is {code:?}"),
        Lack::Health(code) => format!("application {name} is {code:?}"),
    };
    let named: Vec<String> = lacking.iter().take(NAMED_MAX).map(one).collect();
    let more = match lacking.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("waiting for the applications that this one depends on: {}{more}", named.join("; "))
}

fn standing(world: &World, application: &Application) -> Standing {
    let status = &application.status;
    Standing {
        deleting: application.meta.deletion_timestamp.is_some(),
        unsettled: unsettled(application).or_else(|| behind(world, application, application.spec_digest)),
        sync: status.sync.status,
        health: status.health.status,
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
    let tip = world.repositories.known_tip(name, &spec.source.repo_url, &spec.source.target_revision);
    let there =
        world.depends.end(name).is_some_and(|end| end.spec == spec_digest && tip.is_none_or(|tip| tip == end.commit));
    (!there).then_some(NOT_LOOKED)
}

// === who is waited for ===

/// After a look: those that wait for this application are looked at if what they go by has changed, and so is its parent while
/// that syncs.
pub(crate) fn after(world: &World, name: &str) {
    let application = world.applications.get(name);
    let standing = application.as_ref().map(|application| standing(world, application));
    let Some(dependants) = world.depends.tell(name, standing) else { return };
    for dependant in dependants {
        world.queue.wake(&dependant);
    }
    let parent = application.as_ref().and_then(|application| {
        TrackingId::parse(application.meta.annotations.get(annotations::TRACKING_ID)?).map(|id| id.app)
    });
    if let Some(parent) = parent.and_then(|parent| world.applications.get(&parent)).filter(|parent| operates(parent)) {
        world.queue.wake(&parent.meta.instance);
    }
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
        fn note(&self, application: Application) -> Vec<String> {
            // A version that is none always counts as newer.
            self.applications.saw(application.clone());
            self.applications.wrote(application.clone());
            let waking = self.depends.note(&self.applications, "argocd", &application);
            waking.iter().map(ToString::to_string).collect()
        }

        fn gone(&self, name: &str) -> Vec<String> {
            self.applications.lost(name, name);
            self.depends.forget(name).iter().map(ToString::to_string).collect()
        }

        fn waits_for(&self, name: &str) -> Vec<String> {
            self.depends.of(name).1.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn names_are_waited_for_whether_they_are_there_or_not() {
        let cast = Cast::new();
        assert_eq!(cast.note(application("argocd", "shop", "", "database; team/queue@synced")), [""; 0]);
        assert_eq!(cast.waits_for("shop"), ["database", "team_queue"]);
        assert_eq!(cast.note(application("argocd", "database", "", "")), [""; 0], "it wakes when its look has ended");
        assert_eq!(cast.gone("database"), ["shop"]);
        assert_eq!(cast.waits_for("shop"), ["database", "team_queue"]);
        assert_eq!(cast.note(application("argocd", "shop", "", "")), [""; 0]);
        assert_eq!(cast.waits_for("shop"), [""; 0]);
    }

    #[test]
    fn labels_choose_who_is_there() {
        let cast = Cast::new();
        cast.note(application("argocd", "database", "base", ""));
        cast.note(application("argocd", "web", "top", ""));
        cast.note(application("team", "other", "base", ""));
        cast.note(application("argocd", "shop", "base", "label:tier=base"));
        assert_eq!(cast.waits_for("shop"), ["database"]);
        // One that comes, one that changes, one that goes.
        assert_eq!(cast.note(application("argocd", "queue", "base", "")), ["shop"]);
        assert_eq!(cast.note(application("argocd", "web", "base", "")), ["shop"]);
        assert_eq!(cast.waits_for("shop"), ["database", "queue", "web"]);
        assert_eq!(cast.note(application("argocd", "web", "base", "")), [""; 0]);
        assert_eq!(cast.note(application("argocd", "web", "top", "")), ["shop"]);
        assert_eq!(cast.gone("queue"), ["shop"]);
        assert_eq!(cast.waits_for("shop"), ["database"]);
    }

    #[test]
    fn a_name_stays_where_labels_let_go() {
        let cast = Cast::new();
        cast.note(application("argocd", "database", "base", ""));
        cast.note(application("argocd", "shop", "", "database; label:tier=base"));
        assert_eq!(cast.note(application("argocd", "database", "top", "")), [""; 0]);
        cast.gone("database");
        assert_eq!(cast.waits_for("shop"), ["database"]);
    }

    #[test]
    fn whoever_comes_into_a_circle_is_looked_at() {
        let cast = Cast::new();
        cast.note(application("argocd", "a", "", "b"));
        cast.note(application("argocd", "b", "", "c"));
        assert_eq!(cast.note(application("argocd", "c", "", "a")), ["a", "b"]);
        let circle = cast.depends.of("b").2.unwrap();
        let told = told_circle(&circle);
        assert!(told.contains("b -> c -> a -> b; take one of these out"), "{told}");
        assert_eq!(cast.gone("c"), ["a", "b"]);
        assert_eq!(cast.depends.of("b").2, None);
    }

    #[test]
    fn what_cannot_be_read_waits_for_nobody_known() {
        let cast = Cast::new();
        cast.note(application("argocd", "shop", "", "a,b"));
        let (wish, waits_for, circle) = cast.depends.of("shop");
        assert!(wish.is_err() && waits_for.is_empty() && circle.is_none());
    }

    #[test]
    fn those_that_wait_are_woken_once_for_each_change() {
        let cast = Cast::new();
        cast.note(application("argocd", "shop", "", "database"));
        let standing = |unsettled| Standing {
            deleting: false,
            unsettled,
            sync: trueup_api::SyncCode::Synced,
            health: trueup_api::HealthCode::Healthy,
        };
        let tell = |unsettled| cast.depends.tell("database", Some(standing(unsettled))).map(|waking| waking.len());
        assert_eq!(tell(Some("its sync runs")), Some(1));
        assert_eq!(tell(Some("its sync runs")), None);
        assert_eq!(tell(None), Some(1));
        let commit = "0123456789012345678901234567890123456789".parse().unwrap();
        cast.depends.concluded("database", End { spec: Digest::of(b""), commit });
        assert_eq!(tell(None), Some(1), "at a newer commit it stands as before");
        assert_eq!(tell(None), None);
    }

    #[test]
    fn some_are_named_and_the_rest_counted() {
        let lacks = ["a/d", "a/c", "a/b", "a/a"].map(|name| (name.to_owned(), Lack::Absent));
        let mut lacking: BTreeMap<String, Lack> = lacks.into_iter().collect();
        lacking.insert("a/a".into(), Lack::Unsettled("its sync runs"));
        lacking.insert("a/b".into(), Lack::Health(trueup_api::HealthCode::Progressing));
        assert_eq!(
            told_lacking(&lacking),
            "waiting for the applications that this one depends on: application a/a: its sync runs; application a/b is \
             Progressing; there is no application a/c; and 1 more"
        );
    }
}
