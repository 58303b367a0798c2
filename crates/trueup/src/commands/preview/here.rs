//! Loads sources at one commit of the repository at hand, and everything else as anybody may fetch it. Entry point: [`Here::new`].
//!
//! Invariant: of both commits the same is seen of every other repository, whatever is pushed there meanwhile.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trueup_api::git_url::normalized;
use trueup_controller::Decryption;
use trueup_controller::loading::Loader;
use trueup_controller::needs::Kept;
use trueup_git::{Access, CommitId, GitError, Proxies, RegistryAccess, RepoUrl, Resolved, Store, Stores};
use trueup_registry::{Limits, Registry, RegistryConfig};
use trueup_render::Renderer;

use crate::cache::CacheDir;
use crate::command_error::{CommandError, internal_error_with_message};
use crate::credentials::{Known, stores_config};
use crate::renderer;

/// What was fetched counts until the command ends.
const FRESH: Duration = Duration::from_hours(1);

/// The URLs that mean the repository at hand, each in the form in which URLs are compared.
pub(super) struct Urls(Vec<String>);

/// What both commits are loaded from.
pub(super) struct Places {
    pub(super) store: Arc<Store>,
    pub(super) urls: Urls,
    pub(super) renderer: Arc<Renderer>,
    /// Nobody's logins.
    known: Known,
    stores: Stores,
    registry: Arc<Registry>,
    /// What revisions of other repositories stand for.
    resolved: Mutex<HashMap<(String, String), Resolved>>,
}

/// A loader for which the repository at hand is at one commit.
pub(super) struct Here<'a> {
    places: &'a Places,
    commit: CommitId,
    /// A need may lead to the repository at hand: what it brings belongs to the commit.
    kept: Kept,
}

// === impl Urls ===

impl Urls {
    pub(super) fn new(own: &RepoUrl, others: impl Iterator<Item = String>) -> Self {
        let mut urls: Vec<String> = others.map(|url| normalized(&url)).collect();
        urls.push(own.normalised());
        urls.dedup();
        Self(urls)
    }

    /// Whether a URL means the repository at hand.
    pub(super) fn mean(&self, url: &str) -> bool {
        self.0.contains(&normalized(url))
    }
}

impl fmt::Display for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

// === impl Places ===

impl Places {
    /// Below a directory that nobody else uses.
    pub(super) fn new(cache: &CacheDir, own: &RepoUrl, urls: Urls) -> Result<Self, CommandError> {
        let failed = |error: &dyn std::error::Error| {
            internal_error_with_message("the directory for what is fetched cannot be used", error.to_string())
        };
        let stores = Stores::new(stores_config(cache)?).map_err(|error| failed(&error))?;
        let registry = Registry::open(RegistryConfig {
            cache_dir: cache.path.join("archives"),
            proxies: Proxies::from_env(),
            limits: Limits::default(),
        });
        Ok(Self {
            store: stores.store(own, &Access::default()).map_err(|error| failed(&error))?,
            urls,
            renderer: Arc::new(Renderer::new(None, renderer::workers(None)?)),
            known: Known::default(),
            stores,
            registry: Arc::new(registry.map_err(|error| failed(&error))?),
            resolved: Mutex::default(),
        })
    }
}

// === impl Here ===

impl<'a> Here<'a> {
    pub(super) fn new(places: &'a Places, commit: CommitId) -> Self {
        Self { places, commit, kept: Kept::default() }
    }

    /// Where the repository at hand is: at the commit, unless a tag is asked for, which no change of a branch moves.
    async fn own(&self, store: &Store, revision: &str) -> Result<Resolved, GitError> {
        if matches!(revision, "" | "HEAD") || revision.starts_with("refs/heads/") {
            return Ok(self.commit.into());
        }
        let names = [format!("refs/heads/{revision}"), format!("refs/tags/{revision}"), revision.to_owned()];
        let found = store.look_up(&names).await?;
        match found.as_slice() {
            // A branch comes before a tag of its name.
            [Ok(_), ..] => Ok(self.commit.into()),
            [_, Ok(tag), _] => Ok(*tag),
            // The best tag of a range, or a full name.
            [_, _, Ok(found)] => Ok(*found),
            // A branch that this clone does not know.
            _ => Ok(self.commit.into()),
        }
    }
}

impl Loader for Here<'_> {
    async fn store(&self, url: &str, project: &str) -> Result<Arc<Store>, GitError> {
        if self.places.urls.mean(url) {
            return Ok(Arc::clone(&self.places.store));
        }
        let url = RepoUrl::parse(url)?;
        self.places.stores.store(&url, &self.places.known.credentials.access(&url, project)?)
    }

    async fn resolve(&self, store: &Store, revision: &str) -> Result<Resolved, GitError> {
        if std::ptr::eq(store, Arc::as_ptr(&self.places.store)) {
            return self.own(store, revision).await;
        }
        let key = (store.url().to_string(), revision.to_owned());
        let known = lock(&self.places.resolved).get(&key).copied();
        if let Some(resolved) = known {
            return Ok(resolved);
        }
        let outcomes = store.look_up(&[revision.to_owned()]).await?;
        let unknown = || Err(GitError::InvalidRevision { revision: revision.to_owned() });
        let found = outcomes.into_iter().next().unwrap_or_else(unknown)?;
        // Who asked at the same time goes by the first answer as well.
        Ok(*lock(&self.places.resolved).entry(key).or_insert(found))
    }

    fn registry_access(&self, url: &str, project: &str) -> Result<RegistryAccess, GitError> {
        self.places.known.credentials.registry_access(url, project)
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.places.registry
    }

    /// Who looks may read what they can read; the controller judges by the project.
    fn permits(&self, _project: &str, _url: &str) -> bool {
        true
    }

    fn renderer(&self) -> &Arc<Renderer> {
        &self.places.renderer
    }

    fn kept(&self) -> (&Kept, Duration) {
        (&self.kept, FRESH)
    }

    /// Without a cluster there are no keys.
    async fn decryption(&self, project: &str) -> Decryption {
        Decryption::nowhere(project)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
