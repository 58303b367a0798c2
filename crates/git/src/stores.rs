//! All stores of a process, in one cache directory: one store per repository and way to reach it, one directory per repository and
//! login.
//!
//! Invariant: what one login fetched is never found by another. Entry point: [`Stores::store`].

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Client;
use tokio::sync::Semaphore;

use crate::clients::Clients;
use crate::disk::Disk;
use crate::github_app::Tokens;
use crate::http_client::Settings;
use crate::limits::set_libgit2_limits;
use crate::names::{DirectoryNames, NAME_BYTES};
use crate::pack::LOCK;
use crate::process::FetchProgram;
use crate::remote::Remote;
use crate::store::{Store, lock};
use crate::{Access, GitError, Limits, Proxies, RepoUrl, Web, local, private};

/// The ending of a directory that is to be deleted: one that a process left behind in the middle of it is deleted by the next.
const GONE: &str = ".gone";

/// How the stores are kept.
#[derive(Debug, Clone)]
pub struct StoresConfig {
    /// The directory for all stores. It is a cache: what is missing is fetched again.
    pub cache_dir: PathBuf,
    /// The program that fetches.
    pub fetch_program: FetchProgram,
    /// What a repository may cost.
    pub limits: Limits,
    /// The way out, for repositories that name none of their own.
    pub proxies: Proxies,
}

/// What was asked of servers since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Listings of refs.
    pub listings: u64,
    /// Fetches, failed ones included.
    pub fetches: u64,
}

/// All stores of this process.
#[derive(Debug)]
pub struct Stores {
    shared: Arc<Shared>,
    names: DirectoryNames,
    known: Mutex<HashMap<Identity, Arc<Store>>>,
}

/// What makes two stores one: the repository, and how it is reached.
type Identity = (RepoUrl, Access);

/// What all stores have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: StoresConfig,
    pub(crate) clients: Clients,
    /// For what is on HTTP servers beside Git: files in LFS.
    pub(crate) web: Arc<Web>,
    pub(crate) tokens: Tokens,
    /// One permit for each fetch process that may run.
    pub(crate) slots: Semaphore,
    pub(crate) counts: Counts,
}

/// [`Counters`] that are still counting.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) listings: AtomicU64,
    pub(crate) fetches: AtomicU64,
}

// === impl Stores ===

impl Stores {
    /// Prepares the cache directory; opens no store yet.
    pub fn new(config: StoresConfig) -> Result<Self, GitError> {
        set_libgit2_limits();
        let failed = |detail: String| GitError::Store { repository: config.cache_dir.display().to_string(), detail };
        private::directory(&config.cache_dir).map_err(|error| failed(error.to_string()))?;
        let cache_dir = config.cache_dir.canonicalize().map_err(|error| failed(error.to_string()))?;
        let names = DirectoryNames::open(&cache_dir).map_err(|error| failed(error.to_string()))?;
        let config = StoresConfig { cache_dir, ..config };
        let slots = Semaphore::new(config.limits.fetches.max(1));
        let (clients, tokens, counts) = (Clients::default(), Tokens::default(), Counts::default());
        let web = Web::new(config.proxies.clone(), config.limits);
        let shared = Shared { config, clients, web, tokens, slots, counts };
        Ok(Self { shared: Arc::new(shared), names, known: Mutex::default() })
    }

    /// The store of a repository; always the same for equal URLs and equal access.
    pub fn store(&self, url: &RepoUrl, access: &Access) -> Result<Arc<Store>, GitError> {
        if url.file_path().is_some() {
            match local::check_outside(url, &self.shared.config.cache_dir) {
                // A directory that does not exist (yet) is the business of who asks it.
                Ok(_) | Err(GitError::RepositoryNotFound { .. } | GitError::Unreachable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let identity = identity(url, access);
        let mut known = lock(&self.known);
        if let Some(store) = known.get(&identity) {
            return Ok(Arc::clone(store));
        }
        let dir = self.shared.config.cache_dir.join(self.directory(&identity)?);
        let disk = known.values().map(|store| &store.disk).find(|disk| disk.dir == dir).cloned();
        let disk = disk.unwrap_or_else(|| Arc::new(Disk::new(dir, &self.shared.config.limits)));
        let store = Store::new(&identity.0, &identity.1, disk, &self.shared);
        known.insert(identity, Arc::clone(&store));
        Ok(store)
    }

    /// What was asked of all servers.
    pub fn counters(&self) -> Counters {
        self.shared.counts.read()
    }

    /// Lets go of all other repositories, in memory and on disk. Blocks for as long as deleting takes.
    ///
    /// A store that somebody still holds, or that a fetch is writing to, is left for the next time.
    pub fn keep_only(&self, repositories: &[(RepoUrl, Access)]) {
        // They hold settings, and keys, that nobody may have any more; those in use are made anew.
        self.shared.clients.clear();
        self.shared.web.clear();
        self.set_aside(repositories);
        for (name, path) in self.entries() {
            if !name.ends_with(GONE) {
                continue;
            }
            match fs::remove_dir_all(&path) {
                // Somebody else does the same.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(store = %path.display(), %error, "cannot remove the store of a repository that is not used");
                }
                _ => {}
            }
        }
    }

    /// Takes the directories that nobody wants out of the way, where no store looks. Deleting them takes long, and others wait
    /// for this lock.
    fn set_aside(&self, repositories: &[(RepoUrl, Access)]) {
        let wanted: HashSet<Identity> = repositories.iter().map(|(url, access)| identity(url, access)).collect();
        let mut known = lock(&self.known);
        known.retain(|identity, store| wanted.contains(identity) || Arc::strong_count(store) > 1);
        let kept = known.keys().chain(&wanted).map(|identity| self.directory(identity));
        let kept: Result<HashSet<String>, GitError> = kept.collect();
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "cannot tell which stores are not used");
                return;
            }
        };
        for (name, path) in self.entries() {
            let is_store = name.len() == 2 * NAME_BYTES && name.bytes().all(|b| b.is_ascii_hexdigit());
            if is_store
                && !kept.contains(&name)
                && let Err(error) = set_aside(&path)
            {
                tracing::warn!(store = %path.display(), %error, "cannot remove the store of a repository that is not used");
            }
        }
    }

    /// What is in the cache directory.
    fn entries(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(&self.shared.config.cache_dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
    }

    fn directory(&self, (url, access): &Identity) -> Result<String, GitError> {
        self.names.name(url, access)
    }
}

fn identity(url: &RepoUrl, access: &Access) -> Identity {
    (url.clone(), access.relevant_to(url))
}

/// Renames a store, unless a process writes to it.
fn set_aside(dir: &Path) -> std::io::Result<()> {
    // Without the file there was no fetch yet, or it is no store of ours.
    let Ok(lock) = File::open(dir.join(LOCK)) else { return Ok(()) };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    match fs::rename(dir, dir.with_extension(&GONE[1..])) {
        // One of that name is left from before: it goes now, and this one the next time.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        renamed => renamed,
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) async fn client(&self, settings: Settings, remote: &Remote) -> Result<Client, GitError> {
        self.clients.client(settings, remote, &self.config.proxies, &self.config.limits).await
    }
}

// === impl Counts ===

impl Counts {
    pub(crate) fn read(&self) -> Counters {
        Counters { listings: self.listings.load(Ordering::Relaxed), fetches: self.fetches.load(Ordering::Relaxed) }
    }
}
