//! What wakes applications: Applications and projects that change, objects of the cluster, kinds, and the other controller.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use trueup_api::{Application, Project};
use trueup_cluster::{Change, Kind, Raw, RawEvent};
use trueup_object::{Gvk, Node};

use crate::applications::News;
use crate::past::inventory;
use crate::rival::{LABELS, MANAGER};
use crate::run::{application_kind, project_kind};
use crate::world::{LookedAt, Reached, World};

/// Listings that must be complete before work begins.
const LISTINGS: u8 = 4;

/// Which listings are complete.
#[derive(Default)]
pub(crate) struct Listed {
    count: AtomicU8,
    changed: Notify,
}

// === impl Listed ===

impl Listed {
    fn one_more(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }
}

/// Starts every watch. They end with `tasks`.
pub(crate) fn start(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    tasks.spawn(applications(Arc::clone(world)));
    tasks.spawn(projects(Arc::clone(world)));
    for kind in ["StatefulSet", "Deployment"] {
        tasks.spawn(rivals(Arc::clone(world), kind));
    }
    tasks.spawn(changes(Arc::clone(world)));
}

/// Waits until Applications, projects and the other controller's workloads have been listed once.
pub(crate) async fn first_listings(world: &World) {
    loop {
        let changed = world.listed.changed.notified();
        if world.listed.count.load(Ordering::Acquire) >= LISTINGS {
            return;
        }
        changed.await;
    }
}

async fn applications(world: Arc<World>) {
    let mut events = pin!(world.cluster.watch_raw(&application_kind(), Some(&world.namespace), None));
    let mut shown: HashSet<String> = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            RawEvent::Init => shown.clear(),
            RawEvent::InitApply(raw) => {
                shown.insert(raw.name.clone());
                saw(&world, &raw, first);
            }
            RawEvent::InitDone => {
                for gone in world.applications.names().iter().filter(|name| !shown.contains(&***name)) {
                    lost(&world, gone, None);
                }
                if std::mem::take(&mut first) {
                    world.listed.one_more();
                }
            }
            RawEvent::Apply(raw) => saw(&world, &raw, false),
            RawEvent::Delete(raw) => lost(&world, &raw.name, Some(&raw.uid)),
            RawEvent::Error(message) => tracing::warn!(%message, "the watch of Applications failed: it goes on"),
        }
    }
}

fn saw(world: &World, raw: &Raw, first: bool) {
    let application = match Application::read(raw.json.get().as_bytes()) {
        Ok(application) => application,
        Err(error) => return tracing::warn!(application = %raw.name, %error, "an Application cannot be read"),
    };
    if !first {
        let wrote = application.managers.iter().filter(|manager| manager.name == MANAGER);
        if let Some(ago) = wrote.filter_map(|manager| crate::clock::ago(&manager.time)).min() {
            world.rival.wrote(ago);
        }
    }
    let (name, listed) = (application.meta.name.clone(), inventory(&application));
    let source = application.spec.as_ref().ok().map(|spec| spec.source.clone());
    let news = world.applications.saw(application);
    if news == News::New {
        world.holders.inventory(&name, listed.into_keys());
        if let Some(source) = source {
            world.looked_at(
                &name,
                LookedAt { repo_url: source.repo_url, revision: source.target_revision, at: Reached::Nothing },
            );
        }
    }
    if news != News::Nothing {
        world.queue.wake(&name);
    }
}

fn lost(world: &World, name: &str, uid: Option<&str>) {
    let known = world.applications.get(name).map(|application| application.meta.uid.clone());
    let Some(uid) = uid.map(str::to_owned).or(known) else { return };
    if world.applications.lost(name, &uid) {
        world.forget(name);
    }
}

async fn projects(world: Arc<World>) {
    let mut events = pin!(world.cluster.watch_raw(&project_kind(), Some(&world.namespace), None));
    let mut shown = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            RawEvent::Init => shown.clear(),
            RawEvent::InitApply(raw) => {
                shown.insert(raw.name.clone());
                saw_project(&world, &raw);
            }
            RawEvent::InitDone => {
                world.projects.retain(&shown);
                if std::mem::take(&mut first) {
                    world.listed.one_more();
                } else {
                    wake_all(&world);
                }
            }
            RawEvent::Apply(raw) => {
                saw_project(&world, &raw);
                wake_all(&world);
            }
            RawEvent::Delete(raw) => {
                world.projects.lost(&raw.name);
                wake_all(&world);
            }
            RawEvent::Error(message) => tracing::warn!(%message, "the watch of AppProjects failed: it goes on"),
        }
    }
}

fn saw_project(world: &World, raw: &Raw) {
    world.projects.saw(&raw.name, Project::read(raw.json.get().as_bytes()).map_err(|error| error.to_string()));
}

/// A project changes what many applications may do; it changes rarely.
fn wake_all(world: &World) {
    for name in world.applications.names() {
        world.queue.wake(&name);
    }
}

/// Watches for the workloads of Argo CD's controller in our namespace.
async fn rivals(world: Arc<World>, kind_name: &'static str) {
    let gvk = Gvk::from_api_version("apps/v1", kind_name);
    let plural = format!("{}s", kind_name.to_lowercase());
    let kind = Kind { gvk, plural, namespaced: true, scale: true, status: true, watchable: true };
    let mut events = pin!(world.cluster.watch_raw(&kind, Some(&world.namespace), Some(LABELS)));
    let mut first = true;
    let mut shown = HashSet::new();
    while let Some(event) = events.next().await {
        if let RawEvent::InitApply(raw) = &event {
            shown.insert(raw.name.clone());
        }
        let changed = match event {
            RawEvent::Init => {
                shown.clear();
                false
            }
            RawEvent::InitDone => {
                world.rival.retain(kind_name, &shown);
                if std::mem::take(&mut first) {
                    world.listed.one_more();
                }
                true
            }
            RawEvent::InitApply(raw) | RawEvent::Apply(raw) => match Node::from_json(raw.json.get().as_bytes()) {
                Ok(node) => world.rival.saw(kind_name, &raw.name, &node),
                Err(_) => false,
            },
            RawEvent::Delete(raw) => world.rival.lost(kind_name, &raw.name),
            RawEvent::Error(message) => {
                tracing::warn!(%message, kind = kind_name, "the watch for an Argo CD controller failed: it goes on");
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
