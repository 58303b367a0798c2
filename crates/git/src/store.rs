//! The store of one repository: which commit a revision is at, and making commits present.
//!
//! A store costs the server one listing per [`Store::resolve`] and one fetch per commit that is not here yet, whoever asks and
//! however often. What is read from a store is in `read.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;

use crate::disk::{Disk, Flight};
use crate::fetch::{Done, Request, Work};
use crate::github_app;
use crate::http::{self, Discovered};
use crate::http_client::{Settings, naming_the_proxy};
use crate::local::Local;
use crate::pack::kept_path;
use crate::protocol::{self, Ref};
use crate::remote::Remote;
use crate::revision::{self, Resolved, Revision};
use crate::server::Server;
use crate::stores::{Counters, Counts, Shared};
use crate::{Access, CommitId, GitError, Limits, Login, RepoUrl, Web};

/// How long a commit that no branch and no tag has is not searched for again: the search fetches all history.
const SEARCH_PAUSE: Duration = Duration::from_hours(6);
/// Vain searches that are remembered per store; more wrong commit ids than that nobody has.
const SEARCHES_MAX: usize = 1000;

/// The local store of one repository. Asking the server is `async`; reading blocks for as long as a disk takes.
pub struct Store {
    pub(crate) url: RepoUrl,
    access: Access,
    /// Shared with the stores that have the same login and go another way.
    pub(crate) disk: Arc<Disk>,
    shared: Arc<Shared>,
    /// For what goes on after a fetch has answered.
    me: Weak<Self>,
    /// What the server can do, once it has said so.
    discovered: Mutex<Option<Discovered>>,
    /// How many fetches have ended.
    landed: AtomicU64,
    /// The commits and the error of the last fetch, if it failed.
    failed: Mutex<Option<(Vec<CommitId>, GitError)>>,
    counts: Counts,
}

// === impl Store ===

impl Store {
    pub(crate) fn new(url: &RepoUrl, access: &Access, disk: Arc<Disk>, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            url: url.clone(),
            access: access.clone(),
            disk,
            shared: Arc::clone(shared),
            me: me.clone(),
            discovered: Mutex::default(),
            landed: AtomicU64::new(0),
            failed: Mutex::default(),
            counts: Counts::default(),
        })
    }

    /// The repository.
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// What was asked of this server.
    pub fn counters(&self) -> Counters {
        self.counts.read()
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn web(&self) -> &Arc<Web> {
        &self.shared.web
    }

    /// For what goes on elsewhere; nothing if everybody has let go of this store.
    pub(crate) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// Whether files that are kept in Git LFS are read in place of their pointers.
    pub fn reads_lfs(&self) -> bool {
        self.access().lfs
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.config.limits
    }

    /// Looks up which commit each revision is at now, in one listing; in none if all are commit ids.
    ///
    /// `HEAD` or nothing is the default branch; `refs/…` exactly that ref; a range of versions the best tag; another name is a
    /// branch before it is a tag. An annotated tag gives the commit that it is about. The outer error is about the repository,
    /// an inner one about a revision.
    pub async fn resolve(&self, revisions: &[String]) -> Result<Vec<Result<CommitId, GitError>>, GitError> {
        let found = self.look_up(revisions).await?;
        Ok(found.into_iter().map(|found| found.map(|found| found.commit)).collect())
    }

    /// As [`Store::resolve`], and tells which revisions are annotated tags: what is signed of these is the tag.
    pub async fn look_up(&self, revisions: &[String]) -> Result<Vec<Result<Resolved, GitError>>, GitError> {
        let parsed: Vec<Result<Revision, GitError>> = revisions.iter().map(|text| Revision::parse(text)).collect();
        let mut names: Vec<String> = Vec::new();
        for revision in parsed.iter().flatten() {
            names.extend(revision.prefixes());
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Ok(parsed
                .into_iter()
                .map(|revision| revision.and_then(|revision| self.found(&revision, "", &HashMap::new())))
                .collect());
        }
        count(&self.counts.listings, &self.shared.counts.listings);
        if self.url.file_path().is_some() {
            return self.within_listing_deadline(self.resolve_on_disk(revisions, parsed)).await;
        }
        let listed = self.within_listing_deadline(self.list(&names)).await?;
        let found = |(revision, text): (Result<Revision, GitError>, &String)| {
            revision.and_then(|revision| self.found(&revision, text, &listed))
        };
        Ok(parsed.into_iter().zip(revisions).map(found).collect())
    }

    fn found(&self, revision: &Revision, text: &str, listed: &HashMap<String, Resolved>) -> Result<Resolved, GitError> {
        match revision {
            Revision::Commit(id) => Ok((*id).into()),
            Revision::Refs(_) | Revision::Range(..) => {
                let names = revision.refs(listed.keys().map(String::as_str));
                let found = names.iter().find_map(|name| listed.get(name));
                found.copied().ok_or_else(|| revision::not_found(text, &self.url))
            }
        }
    }

    async fn list(&self, names: &[String]) -> Result<HashMap<String, Resolved>, GitError> {
        let remote = self.remote().await?;
        let listed = self.list_at(&remote, names).await;
        self.learn_from(&remote, listed.as_ref().err()).await;
        let listed = listed.map_err(|error| naming_the_proxy(error, &remote, &self.shared.config.proxies))?;
        Ok(listed.into_iter().map(|found| (found.name, Resolved { commit: found.id, tag: found.tag })).collect())
    }

    async fn list_at(&self, remote: &Remote, names: &[String]) -> Result<Vec<Ref>, GitError> {
        let discovered = self.discover(remote).await?;
        let over_http = match &discovered {
            Some(discovered) => Some((self.client(remote).await?, discovered)),
            None => None,
        };
        let (server, capabilities) = Server::open(remote, over_http, self.limits()).await?;
        protocol::list(&server, &capabilities, names, self.limits()).await
    }

    /// What a failure says about what we thought to know.
    async fn learn_from(&self, remote: &Remote, error: Option<&GitError>) {
        let Some(error) = error else { return };
        *lock(&self.discovered) = None;
        if let GitError::Unauthorized { .. } = error
            && let (Login::GitHubApp(app), Login::Basic { password, .. }) = (&self.access.login, &remote.access.login)
        {
            self.shared.tokens.refused(app, &self.url, password).await;
        }
    }

    /// What the server can do; asked once, and again after it failed. Nothing for what is not HTTP.
    async fn discover(&self, remote: &Remote) -> Result<Option<Discovered>, GitError> {
        if !remote.url.is_http() {
            return Ok(None);
        }
        let known = lock(&self.discovered).clone();
        if known.is_some() {
            return Ok(known);
        }
        let discovered = http::discover(&self.client(remote).await?, remote, self.limits()).await?;
        *lock(&self.discovered) = Some(discovered.clone());
        Ok(Some(discovered))
    }

    /// The repository as it is reached now: the token of a GitHub App stands in for its key.
    pub(crate) async fn remote(&self) -> Result<Remote, GitError> {
        let mut remote = Remote { url: self.url.clone(), access: self.access.clone() };
        if let Login::GitHubApp(app) = &self.access.login {
            let settings = github_app::settings(app, &self.url, &self.access);
            let client = self.shared.client(settings, &remote).await?;
            let login = self.shared.tokens.login(app, &self.url, &client).await;
            remote.access.login = login.map_err(|error| remote.scrubbed(error))?;
        }
        Ok(remote)
    }

    async fn client(&self, remote: &Remote) -> Result<reqwest::Client, GitError> {
        self.shared.client(Settings::of(&remote.access), remote).await
    }

    async fn resolve_on_disk(
        &self,
        revisions: &[String],
        parsed: Vec<Result<Revision, GitError>>,
    ) -> Result<Vec<Result<Resolved, GitError>>, GitError> {
        let (url, cache_dir, revisions) = (self.url.clone(), self.shared.config.cache_dir.clone(), revisions.to_vec());
        let look = move || {
            let local = Local::open(&url, &cache_dir)?;
            let one = |(revision, text): (Result<Revision, GitError>, &String)| match revision? {
                Revision::Commit(id) => Ok(id.into()),
                revision => local.resolve(&revision, text),
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
        kept_path(&self.disk.dir, *commit).is_file()
    }

    /// Makes commits present: nothing to do if they are, else one fetch, however many wait for it.
    ///
    /// Commits that can be had are here afterwards even if others cannot; the error is then about the first of these.
    pub async fn fetch(&self, commits: &[CommitId]) -> Result<(), GitError> {
        let fetched = self.fetch_commits(commits).await;
        self.fetch_large_files(commits).await;
        fetched
    }

    async fn fetch_commits(&self, commits: &[CommitId]) -> Result<(), GitError> {
        lock(&self.disk.used).note(commits, self.limits().kept_commits);
        if self.missing(commits).is_empty() {
            return Ok(());
        }
        let landed = self.landed.load(Ordering::Acquire);
        let mut flight = Arc::clone(&self.disk.flight).lock_owned().await;
        let missing = self.missing(commits);
        if missing.is_empty() {
            return Ok(());
        }
        // A fetch ended while we waited: if it failed for a reason that is ours too, asking again at once helps nobody.
        if self.landed.load(Ordering::Acquire) != landed
            && let Some((tried, error)) = &*lock(&self.failed)
            && (error.is_about_repository() || missing.iter().all(|id| tried.contains(id)))
        {
            return Err(error.clone());
        }
        let outcome = self.fly(&mut flight, &missing).await;
        self.landed.fetch_add(1, Ordering::AcqRel);
        let (first, is_large) = match outcome {
            Ok(done) => {
                let is_large = done.packs > flight.packs_max || done.bytes > flight.bytes_max;
                (missing.iter().find_map(|id| done.missing.get(id).cloned()), is_large)
            }
            Err(error) => (Some(error), false),
        };
        *lock(&self.failed) = first.clone().map(|error| (missing, error));
        if is_large {
            self.rewrite(flight);
        }
        first.map_or(Ok(()), Err)
    }

    /// One run of the fetch process.
    async fn fly(&self, flight: &mut Flight, missing: &[CommitId]) -> Result<Done, GitError> {
        flight.searched.retain(|_, at| at.elapsed() < SEARCH_PAUSE);
        let suspect = self.disk.suspect.swap(false, Ordering::AcqRel);
        let (commits, used) = (missing.to_vec(), lock(&self.disk.used).last(self.limits().kept_commits));
        let searched = missing.iter().filter(|id| flight.searched.contains_key(id)).copied().collect();
        let work = |discovered| Work::Fetch { commits, used, searched, suspect, discovered };
        let reply = self.bring(work).await;
        if let Ok(done) = &reply {
            for (id, error) in &done.missing {
                if matches!(error, GitError::CommitNotFound { .. }) && flight.searched.len() < SEARCHES_MAX {
                    flight.searched.entry(*id).or_insert_with(Instant::now);
                }
            }
        } else {
            // What was doubted is not cleared by a fetch that failed.
            self.disk.suspect.fetch_or(suspect, Ordering::AcqRel);
        }
        if suspect {
            lock(&self.disk.handles).clear();
        }
        reply
    }

    /// Has the fetch process bring something from the server. The flight is the caller's.
    pub(crate) async fn bring(&self, work: impl FnOnce(Option<Discovered>) -> Work) -> Result<Done, GitError> {
        count(&self.counts.fetches, &self.shared.counts.fetches);
        // Waiting for others is no fault of this repository: the deadline begins behind it.
        let _slot = self.shared.slots.acquire().await;
        let deadline = Instant::now() + self.limits().fetch_deadline;
        let found = async {
            let remote = self.remote().await?;
            let discovered = self.discover(&remote).await;
            self.learn_from(&remote, discovered.as_ref().err()).await;
            Ok((remote, discovered?))
        };
        let (remote, discovered) = self.within_listing_deadline(found).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let request = self.request(&remote, work(discovered));
        let reply = self.shared.config.fetch_program.run(&request, &remote, left, "fetch").await;
        self.learn_from(&remote, reply.as_ref().err()).await;
        reply.map_err(|error| self.with_whole_deadline(error))
    }

    /// Makes one pack of all, after the fetch has answered. The next fetch waits for it.
    fn rewrite(&self, mut flight: OwnedMutexGuard<Flight>) {
        let Some(me) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            let _slot = me.shared.slots.acquire().await;
            let deadline = me.limits().rewrite_deadline;
            // Nobody is asked for anything.
            let remote = Remote { url: me.url.clone(), access: Access::default() };
            let request = me.request(&remote, Work::Rewrite);
            match me.shared.config.fetch_program.run(&request, &remote, deadline, "rewriting the store").await {
                Ok(done) => {
                    tracing::debug!(repository = %me.url, packs = done.packs, "rewrote the store");
                    flight.packs_max = me.limits().packs;
                    // What the kept commits need may be more than the limit.
                    flight.bytes_max = me.limits().store_bytes.max(done.bytes.saturating_mul(2));
                }
                Err(error) => {
                    // It would fail at every fetch from now on: try again when it matters twice as much.
                    flight.packs_max = flight.packs_max.saturating_mul(2);
                    flight.bytes_max = flight.bytes_max.saturating_mul(2);
                    tracing::warn!(repository = %me.url, %error, "cannot rewrite the store; reading gets slower");
                }
            }
            // Open handles know the packs that are gone.
            lock(&me.disk.handles).clear();
        });
    }

    fn request(&self, remote: &Remote, work: Work) -> Request {
        let config = &self.shared.config;
        let (url, access, proxies) = (remote.url.revealed(), remote.access.clone(), config.proxies.clone());
        let (store, cache_dir) = (self.disk.dir.clone(), config.cache_dir.clone());
        Request { url, access, proxies, store, cache_dir, limits: config.limits, work }
    }

    fn missing(&self, commits: &[CommitId]) -> Vec<CommitId> {
        let suspect = self.disk.suspect.load(Ordering::Acquire);
        let mut missing: Vec<CommitId> = commits.iter().filter(|id| suspect || !self.has(id)).copied().collect();
        missing.sort_unstable();
        missing.dedup();
        missing
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
        f.debug_struct("Store").field("url", &self.url).field("dir", &self.disk.dir).finish_non_exhaustive()
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
