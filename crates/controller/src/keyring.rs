//! The Secrets that AppProjects name to decrypt with, as the API server last told us.
//!
//! Kept: of each its keys ([`crate::decryption`]), until no project names it any more. Invariant: no other Secret is asked for.
//! Entry points: [`start`] and [`Keyring::decryption`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use trueup_cluster::ClusterError;

use crate::decryption::{Decryption, Held};
use crate::logins::secret_kind;
use crate::projects::Projects;
use crate::sightings::{Sighting, Sightings};
use crate::world::World;

/// How long a look waits for a Secret that a project has just named: one listing, with an API server that is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// All that is known, by the names of the Secrets.
#[derive(Default)]
pub(crate) struct Keyring(watch::Sender<BTreeMap<String, Arc<Held>>>);

// === impl Keyring ===

impl Keyring {
    /// What decrypts the files of a project's applications.
    pub(crate) async fn decryption(&self, projects: &Projects, namespace: &str, project: &str) -> Decryption {
        let named = match projects.get(project) {
            Ok(known) => known.decryption_secret.clone(),
            Err(why) => return Decryption::unknown(project, why),
        };
        let Some(secret) = named else { return Decryption::nowhere(project) };
        let mut known = self.0.subscribe();
        let told = tokio::time::timeout(PATIENCE, known.wait_for(|known| known.contains_key(&secret))).await;
        let held = told.ok().and_then(Result::ok).and_then(|known| known.get(&secret).map(Arc::clone));
        let unread = || Arc::new(Held::none("the API server has not said yet what is in it".to_owned()));
        Decryption::of(project, namespace, &secret, held.unwrap_or_else(unread))
    }

    /// Notes what a Secret holds. Answers whether that is news.
    fn set(&self, name: &str, held: Arc<Held>) -> bool {
        self.0.send_if_modified(|known| {
            let news = known.get(name).is_none_or(|known| !known.is(&held));
            if news {
                known.insert(name.to_owned(), held);
            }
            news
        })
    }

    /// Forgets what no project names.
    fn keep(&self, named: &BTreeSet<String>) {
        self.0.send_modify(|known| known.retain(|name, _| named.contains(name)));
    }
}

/// Starts the watches. They end with `tasks`.
pub(crate) fn start(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    tasks.spawn(follow(Arc::clone(world)));
}

/// Watches what the projects name, as they change.
async fn follow(world: Arc<World>) {
    let (mut watches, mut under_way) = (JoinSet::new(), HashMap::<String, AbortHandle>::new());
    loop {
        let changed = world.projects.changed();
        let named = world.projects.decryption_secrets();
        under_way.retain(|name, watch| {
            let keep = named.contains(name);
            if !keep {
                watch.abort();
            }
            keep
        });
        world.keyring.keep(&named);
        for name in named {
            let watch = |name: &String| watches.spawn(secret(Arc::clone(&world), name.clone()));
            under_way.entry(name).or_insert_with_key(watch);
        }
        while watches.try_join_next().is_some() {}
        changed.await;
    }
}

async fn secret(world: Arc<World>, name: String) {
    let mut sightings = Sightings::one(&world.cluster, &secret_kind(), &world.namespace, &name);
    let mut seen = None;
    while let Some(sighting) = sightings.next().await {
        let held = match sighting {
            Sighting::Here(raw) => {
                seen = Some(Arc::new(Held::of(raw.json.get().as_bytes())));
                seen.clone()
            }
            Sighting::Gone(_) => {
                seen = None;
                None
            }
            Sighting::Complete { .. } => seen.clone(),
            // What was known counts while the server is away, and not when it refuses: that does not pass by itself.
            Sighting::Failed(error) if !sightings.complete() || matches!(error, ClusterError::Forbidden { .. }) => {
                Some(Arc::new(Held::none(format!("it cannot be read: {error}"))))
            }
            Sighting::Failed(_) => continue,
        };
        let held = held.unwrap_or_else(|| Arc::new(Held::missing()));
        let problem = held.problem().map(str::to_owned);
        if !world.keyring.set(&name, held) {
            continue;
        }
        if let Some(problem) = problem {
            tracing::warn!(secret = %name, %problem, "the Secret that a project decrypts with is not as it should be");
        }
        wake(&world, &name);
    }
}

/// Wakes the applications of the projects that decrypt with a Secret.
fn wake(world: &World, secret: &str) {
    for name in world.applications.names() {
        let project = world.applications.get(&name).and_then(|it| it.spec.as_ref().ok().map(|app| app.project.clone()));
        let names = |project: String| {
            world.projects.get(&project).is_ok_and(|project| project.decryption_secret.as_deref() == Some(secret))
        };
        if project.is_some_and(names) {
            world.queue.wake(&name);
        }
    }
}
