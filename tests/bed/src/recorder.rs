//! A witness: watches kinds across the cluster and remembers what happened to which object.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Instant;

use futures::StreamExt;
use kube::Api;
use kube::Client;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::ApiResource;
use kube::core::DynamicObject;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use tokio::task::JoinHandle;

use crate::Deadline;
use crate::Result;
use crate::until;

/// The annotation that says which application an object belongs to.
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// All that is asked of the API server.
type Metadata = PartialObjectMeta<DynamicObject>;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was there when the recorder started.
    Found,
    /// It came.
    Added,
    /// It changed.
    Modified,
    /// It went.
    Deleted,
}

/// Something that happened to an object.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What happened.
    pub change: Change,
    /// The kind of the object.
    pub kind: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The object's identity: another one of the same name has another.
    pub uid: String,
    /// The version that was seen.
    pub resource_version: String,
    /// The tracking annotation, if it has one.
    pub tracking_id: Option<String>,
    /// When the recorder saw it.
    pub at: Instant,
}

/// Watches kinds across the cluster, and remembers.
pub struct Recorder {
    client: Client,
    resources: Vec<ApiResource>,
    memory: Arc<Mutex<Memory>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Memory {
    sightings: Vec<Sighting>,
    /// The last sighting of every object that is there, by (kind, uid).
    present: BTreeMap<(String, String), Sighting>,
    /// The uids of what was there and is no more.
    gone: BTreeSet<String>,
    /// The kinds whose first listing is complete.
    listed: BTreeSet<String>,
}

impl Recorder {
    /// Starts to watch, and answers when all that is there has been seen.
    pub async fn start(client: Client, resources: &[ApiResource]) -> Result<Self> {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let tasks = resources
            .iter()
            .map(|resource| tokio::spawn(watch(client.clone(), resource.clone(), Arc::clone(&memory))))
            .collect();
        let recorder = Self { client, resources: resources.to_vec(), memory, tasks };
        until("the recorder to see every kind", Deadline::SHORT, async || {
            let listed = recorder.lock().listed.len();
            if listed == recorder.resources.len() { Ok(()) } else { Err(format!("{listed} kinds")) }
        })
        .await?;
        Ok(recorder)
    }

    /// Waits until everything that has happened by now is remembered.
    pub async fn settle(&self) -> Result<()> {
        for resource in &self.resources {
            let api: Api<Metadata> = Api::all_with(self.client.clone(), resource);
            let there = api.list(&ListParams::default()).await?;
            let listing = Listing {
                kind: &resource.kind,
                version: number(there.metadata.resource_version.as_deref()),
                objects: there.items.iter().map(|object| (object.uid().unwrap_or_default(), version(object))).collect(),
            };
            let what = format!("the recorder to see all {}", resource.plural);
            until(what, Deadline::SHORT, async || self.lock().lag(&listing).map_or(Ok(()), Err)).await?;
        }
        Ok(())
    }

    /// Everything that happened so far, in order per kind.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.lock().sightings.clone()
    }

    /// Every deletion so far.
    pub fn deletions(&self) -> Vec<Sighting> {
        self.lock().sightings.iter().filter(|sighting| sighting.change == Change::Deleted).cloned().collect()
    }

    /// What happened to the objects of one name.
    pub fn story(&self, kind: &str, namespace: &str, name: &str) -> Vec<Sighting> {
        let wanted = |s: &&Sighting| s.kind == kind && s.namespace == namespace && s.name == name;
        self.lock().sightings.iter().filter(wanted).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn watch(client: Client, resource: ApiResource, memory: Arc<Mutex<Memory>>) {
    let api: Api<Metadata> = Api::all_with(client, &resource);
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    // What a listing in progress has shown so far.
    let mut shown = BTreeSet::new();
    while let Some(event) = events.next().await {
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Init) => shown.clear(),
            Ok(Event::InitApply(object)) => {
                shown.insert(object.uid().unwrap_or_default());
                memory.saw(&resource.kind, &object);
            }
            Ok(Event::InitDone) => memory.finish_listing(&resource.kind, &shown),
            Ok(Event::Apply(object)) => memory.saw(&resource.kind, &object),
            Ok(Event::Delete(object)) => memory.missed(&resource.kind, &object.uid().unwrap_or_default()),
            // The watcher tries again by itself: the API server may be down for the test's purpose.
            Err(error) => {
                drop(memory);
                eprintln!("the recorder's watch of {} failed: {error}", resource.plural);
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

impl Memory {
    fn saw(&mut self, kind: &str, object: &Metadata) {
        let key = (kind.to_owned(), object.uid().unwrap_or_default());
        let version = object.resource_version().unwrap_or_default();
        let change = match self.present.get(&key) {
            Some(known) if known.resource_version == version => return,
            Some(_) => Change::Modified,
            None if self.listed.contains(kind) => Change::Added,
            None => Change::Found,
        };
        let sighting = Sighting {
            change,
            kind: kind.to_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: key.1.clone(),
            resource_version: version,
            tracking_id: object.annotations().get(TRACKING_ID).cloned(),
            at: Instant::now(),
        };
        self.sightings.push(sighting.clone());
        self.present.insert(key, sighting);
    }

    /// An object is there no more; what is told of it is its last sighting.
    fn missed(&mut self, kind: &str, uid: &str) {
        if let Some(last) = self.present.remove(&(kind.to_owned(), uid.to_owned())) {
            self.gone.insert(uid.to_owned());
            self.sightings.push(Sighting { change: Change::Deleted, at: Instant::now(), ..last });
        }
    }

    /// Whatever a complete listing does not show has gone while nobody watched.
    fn finish_listing(&mut self, kind: &str, shown: &BTreeSet<String>) {
        let gone: Vec<String> = self
            .present
            .keys()
            .filter(|(of, uid)| of == kind && !shown.contains(uid))
            .map(|(_, uid)| uid.clone())
            .collect();
        for uid in gone {
            self.missed(kind, &uid);
        }
        self.listed.insert(kind.to_owned());
    }

    /// What a listing shows and the memory does not yet have.
    fn lag(&self, listing: &Listing<'_>) -> Option<String> {
        for (uid, version) in &listing.objects {
            let seen = self.present.get(&(listing.kind.to_owned(), uid.clone()));
            let seen = seen.map(|sighting| number(Some(&sighting.resource_version)));
            if !self.gone.contains(uid) && seen.is_none_or(|seen| seen < *version) {
                return Some(format!("{uid} at {seen:?}, not yet at {version}"));
            }
        }
        let left = self.present.values().find(|sighting| {
            sighting.kind == listing.kind
                && number(Some(&sighting.resource_version)) <= listing.version
                && !listing.objects.contains_key(&sighting.uid)
        });
        left.map(|sighting| format!("{}/{} still there", sighting.namespace, sighting.name))
    }
}

/// A complete listing of a kind, to compare the memory with.
struct Listing<'a> {
    kind: &'a str,
    version: u64,
    /// Versions by uid.
    objects: BTreeMap<String, u64>,
}

fn version(object: &Metadata) -> u64 {
    number(object.resource_version().as_deref())
}

/// Resource versions are numbers that grow: Kubernetes says so since 1.35.
fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}
