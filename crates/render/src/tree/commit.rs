//! The files of a commit, read from git objects without a checkout.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use trueup_git::{BlobId, CommitId, Entry as GitEntry, EntryKind as GitKind, Store, TreeId};
use trueup_object::Digest;

use super::follow::{Found, Step, follow};
use super::{Entry, EntryKind, Stat, Tree, missing, no_file};
use crate::RenderError;

/// Directories whose entries are remembered: what one render looks at.
const DIRECTORIES_MAX: usize = 1000;

/// The files of a commit. It remembers the directories that it has looked at: make one per render.
pub struct CommitTree {
    store: Arc<Store>,
    commit: CommitId,
    directories: Mutex<HashMap<TreeId, Arc<[GitEntry]>>>,
}

// === impl CommitTree ===

impl CommitTree {
    /// The files of a commit, which must have been fetched.
    pub fn new(store: Arc<Store>, commit: CommitId) -> Self {
        Self { store, commit, directories: Mutex::default() }
    }

    /// What is in a directory, sorted by name.
    fn entries(&self, directory: &TreeId) -> Result<Arc<[GitEntry]>, RenderError> {
        let known = || self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = known().get(directory) {
            return Ok(Arc::clone(entries));
        }
        let mut entries = self.store.entries(directory)?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let entries: Arc<[GitEntry]> = entries.into();
        let mut known = known();
        if known.len() == DIRECTORIES_MAX {
            known.clear();
        }
        known.insert(*directory, Arc::clone(&entries));
        Ok(entries)
    }

    /// The content id of a Git object. Where files in LFS are read, a pointer says something else than where they are not.
    fn id(&self, kind: &str, id: &[u8]) -> Digest {
        let lfs: &[u8] = if self.store.reads_lfs() { b"lfs" } else { b"" };
        Digest::of_parts([kind.as_bytes(), id, lfs])
    }

    fn find(&self, path: &str) -> Result<Found<TreeId, (BlobId, u64)>, RenderError> {
        let root = self.store.tree(&self.commit, "")?;
        follow(path, root, |directory, name| {
            let entries = self.entries(directory)?;
            let Ok(at) = entries.binary_search_by(|entry| entry.name.as_str().cmp(name)) else {
                return Ok(Step::Absent);
            };
            Ok(match &entries[at].kind {
                GitKind::Directory(id) => Step::Directory(*id),
                GitKind::File { id, size, .. } => Step::File((*id, *size)),
                GitKind::Symlink { target } => Step::Link(target.clone()),
                GitKind::Submodule => Step::Submodule,
            })
        })
    }
}

impl Tree for CommitTree {
    fn directory(&self, path: &str) -> Result<Option<Digest>, RenderError> {
        Ok(Some(self.id("tree", self.store.tree(&self.commit, path)?.as_bytes())))
    }

    fn stat(&self, path: &str) -> Result<Stat, RenderError> {
        Ok(match self.find(path)? {
            Found::Directory(id) => Stat::Directory { id: Some(self.id("tree", id.as_bytes())) },
            Found::File((id, size)) => Stat::File { id: Some(self.id("blob", id.as_bytes())), size },
            Found::Absent => Stat::Absent,
        })
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, RenderError> {
        let Found::Directory(directory) = self.find(path)? else { return Ok(Vec::new()) };
        let entry = |entry: &GitEntry| Entry {
            name: entry.name.clone(),
            kind: match &entry.kind {
                GitKind::Directory(_) => EntryKind::Directory,
                GitKind::File { size, .. } => EntryKind::File { size: *size },
                GitKind::Symlink { target } => EntryKind::Link { target: target.clone() },
                GitKind::Submodule => EntryKind::Submodule,
            },
        };
        Ok(self.entries(&directory)?.iter().map(entry).collect())
    }

    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError> {
        match self.find(path)? {
            Found::File((id, _)) => Ok(self.store.blob(&id, bytes_max)?),
            Found::Directory(_) => Err(no_file(path)),
            Found::Absent => Err(missing(path)),
        }
    }
}

impl fmt::Debug for CommitTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitTree").field("store", &self.store).field("commit", &self.commit).finish_non_exhaustive()
    }
}
