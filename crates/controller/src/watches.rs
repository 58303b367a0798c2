//! What wakes applications: Applications and projects that change, objects of the cluster, kinds, and the other controller.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until};
use trueup_api::{Application, Meta, Project};
use trueup_cluster::{Change, ClusterError, Kind, Raw};
use trueup_object::{Gvk, Node};

use crate::applications::News;
use crate::installation;
use crate::keyring;
use crate::logins;
use crate::past::inventory;
use crate::remains;
use crate::rival::{LABELS, MANAGER};
use crate::run::{application_kind, project_kind};
use crate::sightings::{Gone, Sighting, Sightings};
use crate::signatures;
use crate::unlisted;
use crate::world::{LookedAt, Reached, World};

/// Listings that must be complete before work begins, beside those of Applications: projects, two kinds of workloads, three
/// for the logins of repositories, the keys that may sign, and the installation's id.
const LISTINGS: usize = 8;
/// How long work waits for Applications that are refused, and then begins without them: an API server that has just started,
/// or a Role that has just been made, takes moments to be known to whoever decides.
const REFUSED_PATIENCE: Duration = Duration::from_secs(10);

/// Which listings are complete.
#[derive(Default)]
pub(crate) struct Listed {
    count: AtomicUsize,
    changed: Notify,
}

// === impl Listed ===

impl Listed {
    pub(crate) fn one_more(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }
}

/// Starts every watch. They end with `tasks`.
pub(crate) fn start(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    for namespace in world.namespaces.watched() {
        tasks.spawn(applications(Arc::clone(world), namespace));
    }
    tasks.spawn(projects(Arc::clone(world)));
    for kind in ["StatefulSet", "Deployment"] {
        tasks.spawn(rivals(Arc::clone(world), kind));
    }
    logins::start(world, tasks);
    keyring::start(world, tasks);
    tasks.spawn(signatures::watch(Arc::clone(world)));
    tasks.spawn(installation::watch(Arc::clone(world)));
    tasks.spawn(changes(Arc::clone(world)));
}

/// Waits until Applications, projects, the other controller's workloads, the logins of repositories and the installation's id
/// have been listed once.
pub(crate) async fn first_listings(world: &World) {
    let listings = LISTINGS + world.namespaces.watched().len();
    loop {
        let changed = world.listed.changed.notified();
        if world.listed.count.load(Ordering::Acquire) >= listings {
            return;
        }
        changed.await;
    }
}

/// Watches the Applications of a namespace, or of all that are taken.
async fn applications(world: Arc<World>, namespace: Option<String>) {
    let namespace = namespace.as_deref();
    let mut sightings = Sightings::of(&world.cluster, &application_kind(), namespace, None);
    let mut told = Told::default();
    // Until when work waits for the first listing, although it is refused.
    let (mut waiting, mut patience) = (true, None);
    loop {
        let sighting = tokio::select! {
            sighting = sightings.next() => sighting,
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if waiting && patience.is_some() => {
                waiting = false;
                world.listed.one_more();
                continue;
            }
        };
        match sighting {
            Some(Sighting::Here(raw)) => saw(&world, &raw, !sightings.complete()),
            Some(Sighting::Gone(gone)) => lost(&world, &gone),
            Some(Sighting::Complete { .. }) => {
                told = Told::default();
                if std::mem::take(&mut waiting) {
                    world.listed.one_more();
                }
                if world.unlisted.forget(namespace) {
                    tracing::info!(namespace, "the Applications can be listed again");
                    // Some waited for what these may hold.
                    wake_all(&world);
                }
            }
            Some(Sighting::Failed(ClusterError::Forbidden { message })) => {
                patience = patience.or_else(|| Some(Instant::now() + REFUSED_PATIENCE));
                if world.unlisted.note(namespace, &message) {
                    tracing::warn!("{}", unlisted::words(namespace, &message));
                }
            }
            Some(Sighting::Failed(error)) => {
                patience = None;
                told.failed(&world, &error, "Applications");
            }
            None => return,
        }
    }
}

/// What was said last of a watch that fails: the same is said once.
#[derive(Default)]
struct Told(Option<String>);

// === impl Told ===

impl Told {
    fn failed(&mut self, world: &World, error: &ClusterError, what: &str) {
        let why = error.to_string();
        if self.0.as_ref() != Some(&why) && !world.is_told_for_all(error) {
            tracing::warn!(error = why, "the watch of {what} failed: it goes on");
            self.0 = Some(why);
        }
    }
}

fn saw(world: &World, raw: &Raw, first: bool) {
    if !world.namespaces.take(&raw.namespace) {
        return;
    }
    let application = match Application::read(raw.json.get().as_bytes()) {
        Ok(application) => application.tracked_from(&world.namespace),
        Err(error) => return tracing::warn!(application = %raw.name, %error, "an Application cannot be read"),
    };
    if !first {
        let wrote = application.managers.iter().filter(|manager| manager.name == MANAGER);
        if let Some(ago) = wrote.filter_map(|manager| crate::clock::ago(&manager.time)).min() {
            world.rival.wrote(ago);
        }
    }
    let name = application.meta.instance.clone();
    match world.applications.saw(application) {
        News::Nothing => return,
        News::New => came(world, &name),
        News::Another => {
            world.forget(&name);
            came(world, &name);
        }
        News::Changed => {}
    }
    world.queue.wake(&name);
}

/// Notes what an Application that was not known may hold, until it is looked at.
pub(crate) fn came(world: &World, name: &str) {
    let Some(application) = world.applications.get(name) else { return };
    world.holders.inventory(name, inventory(&application).into_keys());
    if let Ok(spec) = &application.spec {
        world.looked_at(name, LookedAt::of(spec, Reached::Nothing));
    }
}

fn lost(world: &World, gone: &Gone) {
    let meta = Meta { name: gone.name.clone(), namespace: gone.namespace.clone(), ..Meta::default() };
    let name = meta.app_instance(&world.namespace);
    let known = || world.applications.get(&name).map(|application| application.meta.uid.clone());
    let Some(uid) = gone.uid.clone().or_else(known) else { return };
    if world.applications.lost(&name, &uid) {
        remains::let_go(world, &name);
        world.forget(&name);
    }
}

async fn projects(world: Arc<World>) {
    let mut sightings = Sightings::of(&world.cluster, &project_kind(), Some(&world.namespace), None);
    let mut told = Told::default();
    while let Some(sighting) = sightings.next().await {
        match sighting {
            Sighting::Here(raw) => saw_project(&world, &raw),
            Sighting::Gone(gone) => world.projects.lost(&gone.name),
            Sighting::Complete { first } => {
                told = Told::default();
                if !first {
                    continue;
                }
                world.listed.one_more();
            }
            Sighting::Failed(error) => {
                told.failed(&world, &error, "AppProjects");
                continue;
            }
        }
        if sightings.complete() {
            wake_all(&world);
        }
    }
}

fn saw_project(world: &World, raw: &Raw) {
    world.projects.saw(&raw.name, Project::read(raw.json.get().as_bytes()).map_err(|error| error.to_string()));
}

/// A project changes what many applications may do; it changes rarely.
pub(crate) fn wake_all(world: &World) {
    for name in world.applications.names() {
        world.queue.wake(&name);
    }
}

/// Watches for the workloads of Argo CD's controller in our namespace.
async fn rivals(world: Arc<World>, kind_name: &'static str) {
    let gvk = Gvk::from_api_version("apps/v1", kind_name);
    let plural = format!("{}s", kind_name.to_lowercase());
    let kind = Kind { gvk, plural, namespaced: true, scale: true, status: true, watchable: true };
    let mut sightings = Sightings::of(&world.cluster, &kind, Some(&world.namespace), Some(LABELS));
    let mut told = Told::default();
    while let Some(sighting) = sightings.next().await {
        let changed = match sighting {
            Sighting::Here(raw) => match Node::from_json(raw.json.get().as_bytes()) {
                Ok(node) => world.rival.saw(kind_name, &raw.name, &node),
                Err(_) => false,
            },
            Sighting::Gone(gone) => world.rival.lost(kind_name, &gone.name),
            Sighting::Complete { first } => {
                told = Told::default();
                if first {
                    world.listed.one_more();
                }
                first
            }
            Sighting::Failed(error) => {
                told.failed(&world, &error, &format!("Argo CD controllers ({kind_name})"));
                false
            }
        };
        if changed {
            wake_all(&world);
        }
    }
}

/// Hands on what changes in the cluster.
async fn changes(world: Arc<World>) {
    let mut changes = world.cluster.changes();
    while let Some(change) = changes.recv().await {
        match change {
            Change::Object { app, .. } => {
                if world.applications.get(&app).is_some() {
                    world.queue.wake(&app);
                }
            }
            Change::Kind { gvk } => world.kind_changed(&gvk),
            Change::Connection(true) => tracing::info!("the API server can be reached again"),
            Change::Connection(false) => tracing::warn!("the API server cannot be reached"),
        }
    }
}
