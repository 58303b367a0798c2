//! One store per repository: which commit a revision is at, and making commits present.
//!
//! [`Stores`] hands out one [`Store`] per URL and credential. A store costs the server one listing per [`Store::resolve`] and
//! one fetch per commit that is not here yet, whoever asks and however often. What is read from a store is in `read.rs`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use git2::Repository;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::fetch::{Done, Request, Work};
use crate::http::{self, Discovered, Http};
use crate::limits::set_libgit2_limits;
use crate::local::{self, Local};
use crate::pack::kept_path;
use crate::process::FetchProgram;
use crate::protocol;
use crate::revision::{self, Revision};
use crate::{CommitId, GitError, Limits, RepoUrl};

/// How long a commit that no branch and no tag has is not searched for again: the search fetches all history.
const SEARCH_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// Vain searches that are remembered per store; more wrong commit ids than that nobody has.
const SEARCHES_MAX: usize = 1000;
/// Random bytes that make the names of directories say nothing about credentials.
const SALT_BYTES: usize = 32;

/// How the stores are kept.
#[derive(Debug, Clone)]
pub struct StoresConfig {
    /// The directory for all stores. It is a cache: what is missing is fetched again.
    pub cache_dir: PathBuf,
    /// The program that fetches.
    pub fetch_program: FetchProgram,
    /// What a repository may cost.
    pub limits: Limits,
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
    salt: Vec<u8>,
    stores: Mutex<HashMap<RepoUrl, Arc<Store>>>,
}

#[derive(Debug)]
struct Shared {
    config: StoresConfig,
    client: reqwest::Client,
    listings: AtomicU64,
    fetches: AtomicU64,
}

/// The local store of one repository. Asking the server is `async`; reading blocks for as long as a disk takes.
pub struct Store {
    pub(crate) url: RepoUrl,
    pub(crate) dir: PathBuf,
    shared: Arc<Shared>,
    /// For what goes on after a fetch has answered.
    me: Weak<Self>,
    /// What the server can do, once it has said so.
    discovered: Mutex<Option<Discovered>>,
    /// One fetch at a time.
    flight: Arc<tokio::sync::Mutex<Flight>>,
    /// How many fetches have ended.
    landed: AtomicU64,
    used: Mutex<Used>,
    /// Set by a reader that missed an object which should be here.
    pub(crate) suspect: AtomicBool,
    /// Open handles that nobody uses just now.
    pub(crate) handles: Mutex<Vec<Repository>>,
    listings: AtomicU64,
    fetches: AtomicU64,
}

/// What the last fetch leaves to the next.
#[derive(Debug, Default)]
struct Flight {
    /// The commits and the error of the last fetch, if it failed.
    failed: Option<(Vec<CommitId>, GitError)>,
    searched: HashMap<CommitId, Instant>,
    /// The number of packs that starts a rewrite; grows when rewriting fails.
    packs_max: usize,
}

/// When commits were last asked for.
#[derive(Debug, Default)]
struct Used {
    counter: u64,
    at: HashMap<CommitId, u64>,
}

// === impl Stores ===

impl Stores {
    /// Prepares the cache directory; opens no store yet.
    pub fn new(config: StoresConfig) -> Result<Self, GitError> {
        set_libgit2_limits();
        let failed = |detail: String| GitError::Store { repository: config.cache_dir.display().to_string(), detail };
        fs::create_dir_all(&config.cache_dir).map_err(|error| failed(error.to_string()))?;
        let cache_dir = config.cache_dir.canonicalize().map_err(|error| failed(error.to_string()))?;
        let salt = salt(&cache_dir).map_err(|error| failed(error.to_string()))?;
        let client = http::client(&config.limits).map_err(failed)?;
        let config = StoresConfig { cache_dir, ..config };
        let shared = Shared { config, client, listings: AtomicU64::new(0), fetches: AtomicU64::new(0) };
        Ok(Self { shared: Arc::new(shared), salt, stores: Mutex::default() })
    }

    /// The store of a repository; always the same for equal URLs.
    pub fn store(&self, url: &RepoUrl) -> Result<Arc<Store>, GitError> {
        if url.file_path().is_some() {
            match local::check_outside(url, &self.shared.config.cache_dir) {
                // A directory that does not exist (yet) is the business of who asks it.
                Ok(_) | Err(GitError::RepositoryNotFound { .. } | GitError::Unreachable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut stores = lock(&self.stores);
        if let Some(store) = stores.get(url) {
            return Ok(Arc::clone(store));
        }
        let store = Store::new(url, self.shared.config.cache_dir.join(self.directory(url)), &self.shared);
        stores.insert(url.clone(), Arc::clone(&store));
        Ok(store)
    }

    /// What was asked of all servers.
    pub fn counters(&self) -> Counters {
        read_counters(&self.shared.listings, &self.shared.fetches)
    }

    /// Another login has another directory, so that it never finds what this one fetched.
    fn directory(&self, url: &RepoUrl) -> String {
        let mut hash = Sha256::new();
        let (username, password) = url.credentials().unwrap_or_default();
        let normalised = url.normalised();
        for part in [&self.salt, normalised.as_bytes(), username.as_bytes(), password.unwrap_or_default().as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        // 128 bits are beyond accident and attack alike, as the salt is secret.
        hash.finalize()[..16].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// The salt of a cache directory, made at its first use.
fn salt(cache_dir: &Path) -> std::io::Result<Vec<u8>> {
    let path = cache_dir.join("salt");
    if let Ok(salt) = fs::read(&path)
        && salt.len() == SALT_BYTES
    {
        return Ok(salt);
    }
    let mut salt = vec![0; SALT_BYTES];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut salt).map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
    fs::write(&path, &salt)?;
    Ok(salt)
}

// === impl Store ===

impl Store {
    fn new(url: &RepoUrl, dir: PathBuf, shared: &Arc<Shared>) -> Arc<Self> {
        let flight = Flight { packs_max: shared.config.limits.packs, ..Flight::default() };
        Arc::new_cyclic(|me| Self {
            url: url.clone(),
            dir,
            shared: Arc::clone(shared),
            me: me.clone(),
            discovered: Mutex::default(),
            flight: Arc::new(tokio::sync::Mutex::new(flight)),
            landed: AtomicU64::new(0),
            used: Mutex::default(),
            suspect: AtomicBool::new(false),
            handles: Mutex::default(),
            listings: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
        })
    }

    /// The repository.
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// What was asked of this server.
    pub fn counters(&self) -> Counters {
        read_counters(&self.listings, &self.fetches)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.config.limits
    }

    /// Looks up which commit each revision is at now, in one listing; in none if all are commit ids.
    ///
    /// `HEAD` or nothing is the default branch; `refs/…` exactly that ref; another name is a branch before it is a tag. An
    /// annotated tag gives the commit that it is about. The outer error is about the repository, an inner one about a revision.
    pub async fn resolve(&self, revisions: &[String]) -> Result<Vec<Result<CommitId, GitError>>, GitError> {
        let parsed: Vec<Result<Revision, GitError>> = revisions.iter().map(|text| Revision::parse(text)).collect();
        let mut names: Vec<String> = Vec::new();
        for revision in parsed.iter().flatten() {
            if let Revision::Refs(refs) = revision {
                names.extend_from_slice(refs);
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Ok(parsed.into_iter().map(|revision| revision.and_then(|revision| self.found(&revision, "", &HashMap::new()))).collect());
        }
        count(&self.listings, &self.shared.listings);
        if self.url.file_path().is_some() {
            return self.within_listing_deadline(self.resolve_on_disk(revisions, parsed)).await;
        }
        let listed = self.within_listing_deadline(self.list(&names)).await?;
        let found = |(revision, text): (Result<Revision, GitError>, &String)| revision.and_then(|revision| self.found(&revision, text, &listed));
        Ok(parsed.into_iter().zip(revisions).map(found).collect())
    }

    fn found(&self, revision: &Revision, text: &str, listed: &HashMap<String, CommitId>) -> Result<CommitId, GitError> {
        match revision {
            Revision::Commit(id) => Ok(*id),
            Revision::Refs(names) => {
                let found = names.iter().find_map(|name| listed.get(name));
                found.copied().ok_or_else(|| revision::not_found(text, &self.url))
            }
        }
    }

    async fn list(&self, names: &[String]) -> Result<HashMap<String, CommitId>, GitError> {
        let discovered = self.discover().await?;
        let wire = Http::new(self.shared.client.clone(), &self.url, &discovered)?;
        let refs = protocol::list(&wire, &discovered.capabilities, names, self.limits()).await;
        let refs = refs.inspect_err(|_| *lock(&self.discovered) = None)?;
        Ok(refs.into_iter().map(|found| (found.name, found.id)).collect())
    }

    /// What the server can do; asked once, and again after it failed.
    async fn discover(&self) -> Result<Discovered, GitError> {
        let known = lock(&self.discovered).clone();
        if let Some(discovered) = known {
            return Ok(discovered);
        }
        let discovered = http::discover(&self.shared.client, &self.url, self.limits()).await?;
        *lock(&self.discovered) = Some(discovered.clone());
        Ok(discovered)
    }

    async fn resolve_on_disk(
        &self,
        revisions: &[String],
        parsed: Vec<Result<Revision, GitError>>,
    ) -> Result<Vec<Result<CommitId, GitError>>, GitError> {
        let (url, cache_dir, revisions) = (self.url.clone(), self.shared.config.cache_dir.clone(), revisions.to_vec());
        let look = move || {
            let local = Local::open(&url, &cache_dir)?;
            let one = |(revision, text): (Result<Revision, GitError>, &String)| match revision? {
                Revision::Commit(id) => Ok(id),
                Revision::Refs(names) => local.resolve(&names, text),
            };
            Ok(parsed.into_iter().zip(&revisions).map(one).collect())
        };
        tokio::task::spawn_blocking(look).await.map_err(|error| self.failed(&error.to_string()))?
    }

    async fn within_listing_deadline<T>(&self, work: impl Future<Output = Result<T, GitError>>) -> Result<T, GitError> {
        let deadline = self.limits().listing_deadline;
        tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
            *lock(&self.discovered) = None;
            let (repository, doing) = (self.url.to_string(), "listing".to_owned());
            Err(GitError::Deadline { repository, doing, seconds: deadline.as_secs() })
        })
    }

    /// Whether the commit is here, with all its files.
    pub fn has(&self, commit: &CommitId) -> bool {
        kept_path(&self.dir, *commit).is_file()
    }

    /// Makes commits present: nothing to do if they are, else one fetch, however many wait for it.
    ///
    /// Commits that can be had are here afterwards even if others cannot; the error is then about the first of these.
    pub async fn fetch(&self, commits: &[CommitId]) -> Result<(), GitError> {
        self.note_use(commits);
        if self.missing(commits).is_empty() {
            return Ok(());
        }
        let landed = self.landed.load(Ordering::Acquire);
        let mut flight = Arc::clone(&self.flight).lock_owned().await;
        let missing = self.missing(commits);
        if missing.is_empty() {
            return Ok(());
        }
        // A fetch ended while we waited: if it failed for a reason that is ours too, asking again at once helps nobody.
        if self.landed.load(Ordering::Acquire) != landed
            && let Some((tried, error)) = &flight.failed
            && (error.is_about_repository() || missing.iter().all(|id| tried.contains(id)))
        {
            return Err(error.clone());
        }
        let outcome = self.fly(&mut flight, &missing).await;
        self.landed.fetch_add(1, Ordering::AcqRel);
        let (first, packs) = match outcome {
            Ok(done) => (missing.iter().find_map(|id| done.missing.get(id).cloned()), done.packs),
            Err(error) => (Some(error), 0),
        };
        flight.failed = first.clone().map(|error| (missing, error));
        if packs > flight.packs_max {
            self.rewrite(flight);
        }
        first.map_or(Ok(()), Err)
    }

    /// One run of the fetch process.
    async fn fly(&self, flight: &mut Flight, missing: &[CommitId]) -> Result<Done, GitError> {
        count(&self.fetches, &self.shared.fetches);
        let deadline = Instant::now() + self.limits().fetch_deadline;
        let discovered = match self.url.file_path() {
            Some(_) => None,
            None => Some(self.within_listing_deadline(self.discover()).await?),
        };
        flight.searched.retain(|_, at| at.elapsed() < SEARCH_PAUSE);
        let suspect = self.suspect.swap(false, Ordering::AcqRel);
        let work = Work::Fetch {
            commits: missing.to_vec(),
            used: self.used(),
            searched: missing.iter().filter(|id| flight.searched.contains_key(id)).copied().collect(),
            suspect,
            discovered,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let reply = self.shared.config.fetch_program.run(&self.request(work), &self.url, left, "fetch").await;
        match &reply {
            Ok(done) => {
                for (id, error) in &done.missing {
                    if matches!(error, GitError::CommitNotFound { .. }) && flight.searched.len() < SEARCHES_MAX {
                        flight.searched.entry(*id).or_insert_with(Instant::now);
                    }
                }
            }
            Err(_) => {
                *lock(&self.discovered) = None;
                // What was doubted is not cleared by a fetch that failed.
                self.suspect.fetch_or(suspect, Ordering::AcqRel);
            }
        }
        if suspect {
            lock(&self.handles).clear();
        }
        reply.map_err(|error| self.with_whole_deadline(error))
    }

    /// Makes one pack of all, after the fetch has answered. The next fetch waits for it.
    fn rewrite(&self, mut flight: OwnedMutexGuard<Flight>) {
        let Some(me) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            let deadline = me.limits().rewrite_deadline;
            let request = me.request(Work::Rewrite);
            match me.shared.config.fetch_program.run(&request, &me.url, deadline, "rewriting the store").await {
                Ok(done) => {
                    tracing::debug!(repository = %me.url, packs = done.packs, "rewrote the store");
                    flight.packs_max = me.limits().packs;
                }
                Err(error) => {
                    // It would fail at every fetch from now on: try again when it matters twice as much.
                    flight.packs_max = flight.packs_max.saturating_mul(2);
                    tracing::warn!(repository = %me.url, %error, "cannot rewrite the store; reading gets slower");
                }
            }
            // Open handles know the packs that are gone.
            lock(&me.handles).clear();
        });
    }

    fn request(&self, work: Work) -> Request {
        let config = &self.shared.config;
        let (url, store, cache_dir) = (self.url.revealed(), self.dir.clone(), config.cache_dir.clone());
        Request { url, store, cache_dir, limits: config.limits, work }
    }

    fn missing(&self, commits: &[CommitId]) -> Vec<CommitId> {
        let suspect = self.suspect.load(Ordering::Acquire);
        let mut missing: Vec<CommitId> = commits.iter().filter(|id| suspect || !self.has(id)).copied().collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    fn note_use(&self, commits: &[CommitId]) {
        let mut used = lock(&self.used);
        for commit in commits {
            used.counter += 1;
            let now = used.counter;
            used.at.insert(*commit, now);
        }
        // Twice as many as are kept: the rest was let go of long ago.
        let most = self.limits().kept_commits.max(1).saturating_mul(2);
        if used.at.len() > most {
            let mut times: Vec<u64> = used.at.values().copied().collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = times[most / 2];
            used.at.retain(|_, at| *at > oldest);
        }
    }

    /// The used commits, the last first.
    fn used(&self) -> Vec<CommitId> {
        let mut used: Vec<(u64, CommitId)> = lock(&self.used).at.iter().map(|(id, at)| (*at, *id)).collect();
        used.sort_unstable_by(|a, b| b.cmp(a));
        used.truncate(self.limits().kept_commits);
        used.into_iter().map(|(_, id)| id).collect()
    }

    /// People know the deadline of the whole fetch, not what was left of it for the process.
    fn with_whole_deadline(&self, error: GitError) -> GitError {
        match error {
            GitError::Deadline { repository, doing, .. } => {
                GitError::Deadline { repository, doing, seconds: self.limits().fetch_deadline.as_secs() }
            }
            error => error,
        }
    }

    pub(crate) fn failed(&self, detail: &str) -> GitError {
        GitError::Store { repository: self.url.to_string(), detail: detail.to_owned() }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.url).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// A lock that survives a panic elsewhere: what these locks guard is whole after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(own: &AtomicU64, all: &AtomicU64) {
    own.fetch_add(1, Ordering::Relaxed);
    all.fetch_add(1, Ordering::Relaxed);
}

fn read_counters(listings: &AtomicU64, fetches: &AtomicU64) -> Counters {
    Counters { listings: listings.load(Ordering::Relaxed), fetches: fetches.load(Ordering::Relaxed) }
}
