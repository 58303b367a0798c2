//! Repositories on this machine's disk, by `file://`: looking up refs and copying commits, by libgit2.
//!
//! Invariant: nothing is read from inside the cache directory, where other repositories' stores are; neither by path, nor
//! through a link, a `.git` file or borrowed objects (`alternates`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, PackBuilder, Repository};

use crate::limits::set_libgit2_limits;
use crate::remote::one_line;
use crate::revision::{self, Resolved, Revision};
use crate::{CommitId, GitError, Limits, RepoUrl, TagId};

/// How many directories lie above each other at most; file systems end long before.
const DEPTH_MAX: usize = 512;
/// How many object directories are looked at for what they borrow from: libgit2 follows five levels.
const BORROWED_MAX: usize = 64;

/// A repository on disk, open for reading.
pub(crate) struct Local<'a> {
    repository: Repository,
    url: &'a RepoUrl,
}

impl<'a> Local<'a> {
    /// Opens the repository, unless it lies in the cache directory.
    pub(crate) fn open(url: &'a RepoUrl, cache_dir: &Path) -> Result<Self, GitError> {
        set_libgit2_limits();
        let path = check_outside(url, cache_dir)?;
        let repository = Repository::open(&path).map_err(|error| match error.code() {
            ErrorCode::NotFound => GitError::RepositoryNotFound { repository: url.to_string() },
            _ => unreadable(url, &error),
        })?;
        let borrowed = borrowed_objects(repository.commondir());
        let mut places = vec![repository.path().to_owned(), repository.commondir().to_owned()];
        places.extend(borrowed.iter().flat_map(|objects| links(objects)));
        places.extend(borrowed);
        if places.iter().any(|place| is_inside(place, cache_dir)) {
            return Err(GitError::InsideCache { repository: url.to_string() });
        }
        Ok(Self { repository, url })
    }

    /// The commit of a revision. `text` is the revision as the user wrote it.
    pub(crate) fn resolve(&self, revision: &Revision, text: &str) -> Result<Resolved, GitError> {
        let tags = match revision {
            Revision::Range(..) => self.tags()?,
            _ => Vec::new(),
        };
        for name in revision.refs(tags.iter().map(String::as_str)) {
            match self.repository.find_reference(&name) {
                Ok(reference) => return self.peeled(&reference, text),
                Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {}
                Err(error) => return Err(unreadable(self.url, &error)),
            }
        }
        Err(revision::not_found(text, self.url))
    }

    /// The full names of all tags.
    fn tags(&self) -> Result<Vec<String>, GitError> {
        let failed = |error: &git2::Error| unreadable(self.url, error);
        let mut references = self.repository.references_glob("refs/tags/*").map_err(|error| failed(&error))?;
        // A name that is no UTF-8 is no version either.
        references
            .names()
            .filter_map(|name| name.map(|name| Some(name.to_owned())).transpose())
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error))
    }

    fn peeled(&self, reference: &git2::Reference<'_>, text: &str) -> Result<Resolved, GitError> {
        match reference.peel_to_commit() {
            Ok(commit) => {
                let tag = reference.peel_to_tag().ok().map(|tag| TagId::from(tag.id()));
                Ok(Resolved { commit: commit.id().into(), tag })
            }
            // HEAD names a branch that has no commit yet.
            Err(error) if error.code() == ErrorCode::NotFound => Err(revision::not_found(text, self.url)),
            Err(error) if matches!(error.code(), ErrorCode::InvalidSpec | ErrorCode::Peel) => {
                Err(GitError::NotACommit { repository: self.url.to_string(), revision: text.to_owned() })
            }
            Err(error) => Err(unreadable(self.url, &error)),
        }
    }

    /// The object of an annotated tag.
    pub(crate) fn tag(&self, tag: TagId) -> Result<Vec<u8>, GitError> {
        let read = self.repository.odb().and_then(|odb| Ok(odb.read(tag.oid())?.data().to_vec()));
        read.map_err(|error| unreadable(self.url, &error))
    }

    /// Whether the repository has the commit.
    pub(crate) fn has(&self, commit: CommitId) -> bool {
        self.repository.find_commit(commit.oid()).is_ok()
    }

    /// Writes a pack with the commits and everything in their trees that `known` does not know, without history.
    /// Hands over nothing if there is nothing to copy.
    pub(crate) fn copy(
        &self,
        commits: &[CommitId],
        known: impl Fn(Oid) -> bool,
        limits: &Limits,
        mut sink: impl FnMut(&[u8]) -> Result<(), GitError>,
    ) -> Result<(), GitError> {
        let failed = |error: &git2::Error| unreadable(self.url, error);
        let mut pack = self.repository.packbuilder().map_err(|e| failed(&e))?;
        let mut copy = Copy { from: &self.repository, known, seen: HashSet::new(), limits };
        for commit in commits {
            let commit = self.repository.find_commit(commit.oid()).map_err(|e| failed(&e))?;
            pack.insert_object(commit.id(), None).map_err(|e| failed(&e))?;
            copy.tree(&mut pack, commit.tree_id(), 0).map_err(|stop| self.stopped(stop, limits))?;
        }
        let mut outcome = Ok(());
        let written = pack.foreach(|bytes| {
            outcome = sink(bytes);
            outcome.is_ok()
        });
        outcome?;
        written.map_err(|e| failed(&e))
    }

    fn stopped(&self, stop: Stop, limits: &Limits) -> GitError {
        let repository = self.url.to_string();
        match stop {
            Stop::Git(error) => unreadable(self.url, &error),
            Stop::Objects => {
                let what = "the number of files and directories".to_owned();
                GitError::TooLarge { repository, what, limit: limits.pack_objects.to_string() }
            }
            Stop::Depth => {
                let what = "the depth of directories".to_owned();
                GitError::TooLarge { repository, what, limit: DEPTH_MAX.to_string() }
            }
        }
    }
}

/// Collects what a tree consists of.
struct Copy<'a, K> {
    from: &'a Repository,
    known: K,
    seen: HashSet<Oid>,
    limits: &'a Limits,
}

enum Stop {
    Git(git2::Error),
    Objects,
    Depth,
}

impl<K: Fn(Oid) -> bool> Copy<'_, K> {
    fn tree(&mut self, pack: &mut PackBuilder<'_>, id: Oid, depth: usize) -> Result<(), Stop> {
        if !self.is_new(id)? {
            return Ok(());
        }
        if depth == DEPTH_MAX {
            return Err(Stop::Depth);
        }
        pack.insert_object(id, None).map_err(Stop::Git)?;
        let tree = self.from.find_tree(id).map_err(Stop::Git)?;
        for entry in &tree {
            match entry.kind() {
                Some(ObjectType::Tree) => self.tree(pack, entry.id(), depth + 1)?,
                Some(ObjectType::Blob) if self.is_new(entry.id())? => {
                    // The name lets files of one name become deltas of each other.
                    pack.insert_object(entry.id(), entry.name().ok()).map_err(Stop::Git)?;
                }
                // A commit here is a submodule: its objects are elsewhere.
                _ => {}
            }
        }
        Ok(())
    }

    fn is_new(&mut self, id: Oid) -> Result<bool, Stop> {
        if !self.seen.insert(id) || (self.known)(id) {
            return Ok(false);
        }
        if self.seen.len() > self.limits.pack_objects as usize { Err(Stop::Objects) } else { Ok(true) }
    }
}

/// The real path of a `file://` repository, which must not lie in the cache directory.
pub(crate) fn check_outside(url: &RepoUrl, cache_dir: &Path) -> Result<PathBuf, GitError> {
    let repository = || url.to_string();
    let path = url.file_path().ok_or_else(|| GitError::InvalidUrl { reason: "it is no file:// URL".to_owned() })?;
    if is_inside(&path, cache_dir) {
        return Err(GitError::InsideCache { repository: repository() });
    }
    path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => GitError::RepositoryNotFound { repository: repository() },
        _ => GitError::Unreachable { repository: repository(), detail: error.to_string() },
    })
}

/// Whether a path, links resolved, lies in the cache directory. What does not exist is judged by its text.
fn is_inside(path: &Path, cache_dir: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(path).starts_with(real(cache_dir))
}

/// The object directories that a repository borrows from, and those that these borrow from.
fn borrowed_objects(git_dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![git_dir.join("objects")];
    let mut looked_at = 0;
    while looked_at < found.len().min(BORROWED_MAX) {
        let objects = found[looked_at].clone();
        let text = std::fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
        found.extend(text.lines().filter(|line| !line.starts_with('#')).map(|line| objects.join(line.trim())));
        looked_at += 1;
    }
    found
}

/// The links among packs and directories of objects: each may lead to other repositories' objects.
fn links(objects: &Path) -> Vec<PathBuf> {
    let entries = [objects.to_owned(), objects.join("pack")].into_iter().filter_map(|dir| std::fs::read_dir(dir).ok());
    let links = entries.flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.map(|entry| entry.path()).collect()
}

fn unreadable(url: &RepoUrl, error: &git2::Error) -> GitError {
    GitError::Unreachable { repository: url.to_string(), detail: one_line(error.message()) }
}
