//! Files that are kept in Git LFS: where the access says so, [`Store::blob`] answers with the file and not with its pointer.
//!
//! [`Store::fetch`] brings the files of a commit along, beside the packs and within limits. That one cannot be had is no error then:
//! whoever reads it is told why. Invariant: what is read is what the pointer names, size and SHA-256. A directory that was looked
//! through once is not looked through again.

mod files;
mod pointer;
mod server;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use git2::{ObjectType, Oid, Repository};
use tokio::task::JoinSet;

use crate::store::lock;
use crate::web::Site;
use crate::{CommitId, GitError, Login, Store, TreeId};
use files::Incoming;
pub(crate) use pointer::{POINTER_BYTES_MAX, Pointer};

/// Bytes of one file. Charts and manifests are far smaller; what else is kept in LFS (images, models) is read by nobody here.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of all files of one repository on disk.
const ALL_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Files that one fetch may bring.
const FILES_MAX: usize = 10_000;
/// Files that are fetched at a time.
const TOGETHER: usize = 4;
/// How long a file that could not be had is not asked for again: each commit and each refresh would.
const PAUSE: Duration = Duration::from_mins(1);
/// Directories that are remembered as looked through; past it all are forgotten, and looked through once more.
const LOOKED_THROUGH_MAX: usize = 200_000;

/// What is known of the files of a store.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Directories and commits whose pointers are all here, or known not to be had.
    looked_through: HashSet<Oid>,
    /// What could not be had, why, and when that was.
    failed: HashMap<Pointer, (String, Instant)>,
}

/// What a look through commits found.
#[derive(Default)]
struct Found {
    looked_through: HashSet<Oid>,
    pointers: HashSet<Pointer>,
}

impl Store {
    /// Brings the files of commits that are in LFS.
    pub(crate) async fn fetch_large_files(&self, commits: &[CommitId]) {
        if !self.access().lfs {
            return;
        }
        let _one_at_a_time = self.disk.lfs_flight.lock().await;
        let is_new = |commit: &&CommitId| !lock(&self.disk.lfs).looked_through.contains(&commit.oid());
        let new = commits.iter().filter(is_new).copied().collect();
        let found = match self.pointers_of(new).await {
            Ok(found) => found,
            // Reading the same will say so to whoever needs it.
            Err(error) => {
                tracing::debug!(repository = %self.url(), %error, "cannot look for files in Git LFS");
                return;
            }
        };
        let wanted = self.wanted(&found.pointers);
        if !wanted.is_empty() {
            let deadline = self.limits().fetch_deadline;
            let fetched = tokio::time::timeout(deadline, self.bring_large_files(&wanted, &found.pointers)).await;
            let why = match fetched {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(_) => Some(format!("fetching took more than {} s and was ended", deadline.as_secs())),
            };
            if let Some(why) = why {
                self.note_failed(wanted.iter().filter(|pointer| !files::has(&self.disk.dir, pointer)), &why);
            }
        }
        let mut known = lock(&self.disk.lfs);
        if known.looked_through.len() + found.looked_through.len() > LOOKED_THROUGH_MAX {
            known.looked_through.clear();
        }
        known.looked_through.extend(found.looked_through);
    }

    /// A file that is kept in LFS.
    pub(crate) fn large_file(&self, pointer: &Pointer, limit: u64) -> Result<Vec<u8>, GitError> {
        let limit = limit.min(FILE_BYTES_MAX);
        if pointer.size > limit {
            let (what, id) = ("file in Git LFS".to_owned(), pointer.to_string());
            return Err(GitError::ObjectTooLarge { what, id, bytes: pointer.size, limit });
        }
        let read = files::read(&self.disk.dir, pointer).map_err(|error| self.failed(&error.to_string()))?;
        read.ok_or_else(|| {
            let mut known = lock(&self.disk.lfs);
            let why = known.failed.get(pointer).map(|(why, _)| why.clone());
            if why.is_none() {
                // It made room for others. The next fetch looks again.
                known.looked_through.clear();
            }
            let detail =
                why.unwrap_or_else(|| "it is not in the local store any more; a refresh fetches it".to_owned());
            GitError::LargeFile { repository: self.url().to_string(), id: pointer.to_string(), detail }
        })
    }

    async fn pointers_of(&self, commits: Vec<CommitId>) -> Result<Found, GitError> {
        let Some(me) = self.me().filter(|_| !commits.is_empty()) else { return Ok(Found::default()) };
        let look = move || {
            let mut found = Found::default();
            for commit in commits.into_iter().filter(|commit| me.has(commit)) {
                let root = me.tree(&commit, "")?;
                me.look_through(root, &mut found)?;
                found.looked_through.insert(commit.oid());
            }
            Ok(found)
        };
        tokio::task::spawn_blocking(look).await.map_err(|error| self.failed(&error.to_string()))?
    }

    /// Collects the pointers below a directory, but not those of directories that are known.
    fn look_through(&self, root: TreeId, found: &mut Found) -> Result<(), GitError> {
        let mut directories = vec![root.oid()];
        while let Some(directory) = directories.pop() {
            if lock(&self.disk.lfs).looked_through.contains(&directory) || !found.looked_through.insert(directory) {
                continue;
            }
            let (below, pointers) = self.read_small(|repository| look_at(repository, directory))?;
            directories.extend(below);
            found.pointers.extend(pointers);
        }
        Ok(())
    }

    /// What has to be fetched: new files that are not here, and old ones whose pause is over.
    fn wanted(&self, found: &HashSet<Pointer>) -> Vec<Pointer> {
        let mut known = lock(&self.disk.lfs);
        let due = |at: &Instant| at.elapsed() >= PAUSE;
        let again: Vec<Pointer> =
            known.failed.iter().filter(|(_, (_, at))| due(at)).map(|(pointer, _)| *pointer).collect();
        let new = found.iter().filter(|pointer| known.failed.get(pointer).is_none_or(|(_, at)| due(at)));
        let all: BTreeSet<Pointer> = new.copied().chain(again.iter().copied()).collect();
        let missing =
            all.into_iter().filter(|pointer| pointer.size <= FILE_BYTES_MAX && !files::has(&self.disk.dir, pointer));
        let mut missing: Vec<Pointer> = missing.collect();
        for pointer in again {
            known.failed.remove(&pointer);
        }
        drop(known);
        let mut bytes = 0_u64;
        let fit = missing.iter().take(FILES_MAX).take_while(|pointer| {
            bytes = bytes.saturating_add(pointer.size);
            bytes <= ALL_BYTES_MAX
        });
        let beyond = missing.split_off(fit.count());
        let why = format!(
            "the files of one commit in Git LFS exceed the limit of {ALL_BYTES_MAX} bytes or {FILES_MAX} files"
        );
        self.note_failed(beyond.iter(), &why);
        missing
    }

    async fn bring_large_files(&self, wanted: &[Pointer], needed: &HashSet<Pointer>) -> Result<(), String> {
        let site = self.large_file_site().await?;
        let room = wanted.iter().map(|pointer| pointer.size).sum();
        files::make_room(&self.disk.dir, room, ALL_BYTES_MAX, needed).map_err(|error| error.to_string())?;
        for batch in wanted.chunks(server::BATCH) {
            let places = server::locate(&site, batch).await?;
            let mut places = places.into_iter();
            let mut running = JoinSet::new();
            loop {
                while running.len() < TOGETHER
                    && let Some((pointer, place)) = places.next()
                {
                    let (site, incoming) = (site.clone(), Incoming::new(&self.disk.dir, pointer));
                    running.spawn(async move {
                        let fetched = match (place, incoming) {
                            (Ok(place), Ok(incoming)) => server::download(&site, &place, incoming).await,
                            (Err(why), _) => Err(why),
                            (_, Err(error)) => Err(format!("it cannot be stored: {error}")),
                        };
                        (pointer, fetched)
                    });
                }
                match running.join_next().await {
                    None => break,
                    Some(Ok((pointer, Err(why)))) => self.note_failed([&pointer], &why),
                    Some(Ok((_, Ok(())))) => {}
                    Some(Err(error)) => return Err(error.to_string()),
                }
            }
        }
        Ok(())
    }

    /// The server that has the files: the repository's own, as it is reached now.
    async fn large_file_site(&self) -> Result<Site, String> {
        if matches!(self.access().login, Login::Key(_)) || self.url().ssh_place().is_some() {
            return Err("Git LFS over SSH is not supported: use the https:// URL of the repository".to_owned());
        }
        let remote = self.remote().await.map_err(|error| error.to_string())?;
        self.web().open(&remote.url, &remote.access).map_err(|error| error.to_string())
    }

    fn note_failed<'p>(&self, pointers: impl IntoIterator<Item = &'p Pointer>, why: &str) {
        let now = Instant::now();
        let mut known = lock(&self.disk.lfs);
        known.failed.extend(pointers.into_iter().map(|pointer| (*pointer, (why.to_owned(), now))));
    }
}

/// The directories and pointers in a directory.
fn look_at(repository: &Repository, directory: Oid) -> Result<(Vec<Oid>, Vec<Pointer>), git2::Error> {
    let (odb, tree) = (repository.odb()?, repository.find_tree(directory)?);
    let (mut below, mut pointers) = (Vec::new(), Vec::new());
    for entry in &tree {
        match entry.kind() {
            Some(ObjectType::Tree) => below.push(entry.id()),
            Some(ObjectType::Blob) => {
                let small = odb.read_header(entry.id()).is_ok_and(|(size, _)| size as u64 <= POINTER_BYTES_MAX);
                if small {
                    pointers.extend(Pointer::parse(odb.read(entry.id())?.data()));
                }
            }
            _ => {}
        }
    }
    Ok((below, pointers))
}
