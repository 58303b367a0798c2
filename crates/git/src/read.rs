//! Reading a store: commits, directories and files, without a checkout.
//!
//! Reads block for as long as a disk takes, micro- to milliseconds; callers in async code may use `spawn_blocking` for many.
//! libgit2's handles serve one thread at a time, so each read borrows one; a few wait for the next. Symbolic links and
//! submodules are told, never followed.

use std::sync::atomic::Ordering;

use git2::{ErrorCode, ObjectType, Oid, Repository};

use crate::lfs::Pointer;
use crate::near::near;
use crate::store::{Store, lock};
use crate::{BlobId, CommitId, GitError, TagId, TreeId};

/// Handles kept open per store: as many threads as read at once. Each holds the indexes of the packs it has used.
const HANDLES_MAX: usize = 4;
/// Entries of a directory that are looked at for a name like one that is not there: a hint must cost next to nothing.
const NEAR_LOOKED_AT_MAX: usize = 1000;
/// The longest target of a symbolic link, in bytes (Linux' PATH_MAX).
const LINK_BYTES_MAX: u64 = 4096;

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Who wrote it: `Name <mail>`.
    pub author: String,
    /// When it was written, in seconds since 1970 (UTC).
    pub date: i64,
    /// The first paragraph of its message, in one line.
    pub subject: String,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; bytes that are not UTF-8 are replaced by U+FFFD.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory(TreeId),
    /// A file.
    File {
        /// Its contents.
        id: BlobId,
        /// How long it is, in bytes.
        size: u64,
        /// Whether it may be run.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as written.
        target: String,
    },
    /// Another repository, which is not read.
    Submodule,
}

/// Why a read failed inside a borrowed handle.
enum Failure {
    /// The answer: reading again gives the same.
    Answer(GitError),
    /// The store itself: a pack may have gone under the handle.
    Store(git2::Error),
}

impl From<git2::Error> for Failure {
    fn from(error: git2::Error) -> Self {
        Self::Store(error)
    }
}

impl Store {
    /// The commit with this id, which must have been fetched.
    pub fn commit(&self, id: &CommitId) -> Result<Commit, GitError> {
        self.read(|repository| {
            let commit = self.find_commit(repository, *id)?;
            let author = commit.author();
            let name = String::from_utf8_lossy(author.name_bytes());
            let mail = String::from_utf8_lossy(author.email_bytes());
            let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
            Ok(Commit { id: *id, author: format!("{name} <{mail}>"), date: author.when().seconds(), subject })
        })
    }

    /// The directory at a path in a commit; an empty path or `.` is the root.
    ///
    /// Refused: absolute paths, `..`, files, and ways through symbolic links and submodules.
    pub fn tree(&self, commit: &CommitId, path: &str) -> Result<TreeId, GitError> {
        let names = names(path)?;
        self.read(|repository| {
            let mut tree = self.find_commit(repository, *commit)?.tree_id();
            let mut walked = String::new();
            for name in &names {
                if !walked.is_empty() {
                    walked.push('/');
                }
                walked.push_str(name);
                self.check_size(repository, tree, "directory", self.limits().directory_bytes)?;
                let directory = repository.find_tree(tree)?;
                let entry = directory.get_name(name).ok_or_else(|| {
                    let above = walked.strip_suffix(name).unwrap_or_default();
                    let near =
                        directories_near(&directory, name).into_iter().map(|name| format!("{above}{name}")).collect();
                    Failure::Answer(GitError::PathNotFound { path: path.to_owned(), near })
                })?;
                let path = || path.to_owned();
                tree = match Mode::of(entry.filemode_raw()) {
                    Mode::Directory => entry.id(),
                    Mode::Symlink => {
                        return Err(Failure::Answer(GitError::SymlinkOnPath { path: path(), link: walked }));
                    }
                    Mode::Submodule => {
                        return Err(Failure::Answer(GitError::SubmoduleOnPath { path: path(), submodule: walked }));
                    }
                    Mode::File { .. } => return Err(Failure::Answer(GitError::NotADirectory { path: path() })),
                };
            }
            Ok(TreeId::from(tree))
        })
    }

    /// What is in a directory, in git's order.
    pub fn entries(&self, tree: &TreeId) -> Result<Vec<Entry>, GitError> {
        self.read(|repository| {
            self.check_size(repository, tree.oid(), "directory", self.limits().directory_bytes)?;
            let directory = repository.find_tree(tree.oid())?;
            directory.iter().map(|entry| self.entry(repository, &entry)).collect()
        })
    }

    fn entry(&self, repository: &Repository, entry: &git2::TreeEntry<'_>) -> Result<Entry, Failure> {
        let kind = match Mode::of(entry.filemode_raw()) {
            Mode::Directory => EntryKind::Directory(entry.id().into()),
            Mode::Submodule => EntryKind::Submodule,
            Mode::Symlink => {
                self.check_size(repository, entry.id(), "symbolic link", LINK_BYTES_MAX)?;
                let blob = repository.find_blob(entry.id())?;
                EntryKind::Symlink { target: String::from_utf8_lossy(blob.content()).into_owned() }
            }
            Mode::File { executable } => {
                let size = repository.odb()?.read_header(entry.id())?.0 as u64;
                EntryKind::File { id: entry.id().into(), size, executable }
            }
        };
        Ok(Entry { name: String::from_utf8_lossy(entry.name_bytes()).into_owned(), kind })
    }

    /// The contents of a file, unless it is longer than `max_bytes` or the limit of the store; of a file in Git LFS, where the access
    /// says that it is read, its own and not those of its pointer.
    pub fn blob(&self, id: &BlobId, max_bytes: u64) -> Result<Vec<u8>, GitError> {
        let limit = max_bytes.min(self.limits().blob_bytes);
        let content = self.read(|repository| {
            self.check_size(repository, id.oid(), "file", limit)?;
            Ok(repository.find_blob(id.oid())?.content().to_vec())
        })?;
        match Pointer::parse(&content).filter(|_| self.access().lfs) {
            Some(pointer) => self.large_file(&pointer, limit),
            None => Ok(content),
        }
    }

    /// Reads what is small, byte by byte as it is stored.
    pub(crate) fn read_small<T>(&self, work: impl Fn(&Repository) -> Result<T, git2::Error>) -> Result<T, GitError> {
        self.read(|repository| work(repository).map_err(Failure::Store))
    }

    /// The object of a commit, byte by byte, which must have been fetched.
    pub(crate) fn commit_object(&self, id: CommitId) -> Result<Vec<u8>, GitError> {
        self.read(|repository| {
            self.find_commit(repository, id)?;
            Ok(repository.odb()?.read(id.oid())?.data().to_vec())
        })
    }

    /// The object of an annotated tag, byte by byte; nothing if it is not here.
    pub(crate) fn tag_object(&self, id: TagId) -> Result<Option<Vec<u8>>, GitError> {
        self.read(|repository| {
            let odb = repository.odb()?;
            match odb.read_header(id.oid()) {
                Ok((_, ObjectType::Tag)) => {}
                Ok(_) => return Ok(None),
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            self.check_size(repository, id.oid(), "tag", self.limits().directory_bytes)?;
            Ok(Some(odb.read(id.oid())?.data().to_vec()))
        })
    }

    fn find_commit<'r>(&self, repository: &'r Repository, id: CommitId) -> Result<git2::Commit<'r>, Failure> {
        let name = || self.url.to_string();
        let kind = repository.odb()?.read_header(id.oid());
        match kind {
            Ok((_, ObjectType::Commit)) => {}
            Ok(_) => {
                return Err(Failure::Answer(GitError::NotACommit { repository: name(), revision: id.to_string() }));
            }
            Err(error) if error.code() == ErrorCode::NotFound && !self.has(&id) => {
                return Err(Failure::Answer(GitError::NotFetched { repository: name(), commit: id }));
            }
            Err(error) => return Err(error.into()),
        }
        self.check_size(repository, id.oid(), "commit", self.limits().directory_bytes)?;
        Ok(repository.find_commit(id.oid())?)
    }

    /// Looks at the size of an object before it is read.
    #[expect(clippy::unused_self, reason = "reads as one sentence beside the other steps of a read")]
    fn check_size(&self, repository: &Repository, id: Oid, what: &str, limit: u64) -> Result<(), Failure> {
        let bytes = repository.odb()?.read_header(id)?.0 as u64;
        if bytes <= limit {
            return Ok(());
        }
        Err(Failure::Answer(GitError::ObjectTooLarge { what: what.to_owned(), id: id.to_string(), bytes, limit }))
    }

    /// Runs a read with a handle; once more with a fresh one if the store failed, because a rewrite replaces packs.
    fn read<T>(&self, work: impl Fn(&Repository) -> Result<T, Failure>) -> Result<T, GitError> {
        let waiting = lock(&self.disk.handles).pop();
        if let Some(repository) = waiting {
            match work(&repository) {
                Err(Failure::Store(_)) => {}
                done => return self.done(repository, done),
            }
        }
        match Repository::open_bare(&self.disk.dir) {
            Ok(repository) => {
                let done = work(&repository);
                self.done(repository, done)
            }
            // Nothing has been fetched yet, or the cache has vanished: every commit is missing.
            Err(error) if error.code() == ErrorCode::NotFound => Err(self.failed("nothing has been fetched yet")),
            Err(error) => Err(self.failed(error.message())),
        }
    }

    fn done<T>(&self, repository: Repository, done: Result<T, Failure>) -> Result<T, GitError> {
        if !matches!(done, Err(Failure::Store(_))) {
            let mut handles = lock(&self.disk.handles);
            if handles.len() < HANDLES_MAX {
                handles.push(repository);
            }
        }
        done.map_err(|failure| match failure {
            Failure::Answer(error) => error,
            Failure::Store(error) => {
                // The next fetch looks whether what should be here is here.
                self.disk.suspect.store(true, Ordering::Release);
                self.failed(error.message())
            }
        })
    }
}

/// What the mode of a tree entry means.
enum Mode {
    Directory,
    File { executable: bool },
    Symlink,
    Submodule,
}

impl Mode {
    /// git's modes: the kind is in the upper bits; of the permissions only "may be run" counts.
    fn of(mode: i32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o160_000 => Self::Submodule,
            _ => Self::File { executable: mode & 0o111 != 0 },
        }
    }
}

/// The directories beside a name that look like it.
fn directories_near(directory: &git2::Tree<'_>, name: &str) -> Vec<String> {
    let is_directory = |entry: &git2::TreeEntry<'_>| matches!(Mode::of(entry.filemode_raw()), Mode::Directory);
    let names: Vec<String> = directory
        .iter()
        .take(NEAR_LOOKED_AT_MAX)
        .filter(is_directory)
        .map(|entry| String::from_utf8_lossy(entry.name_bytes()).into_owned())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    near(name, &names).into_iter().map(str::to_owned).collect()
}

/// The names on a path, from the root of the repository.
fn names(path: &str) -> Result<Vec<&str>, GitError> {
    let refused = |reason: &str| Err(GitError::InvalidPath { path: path.to_owned(), reason: reason.to_owned() });
    if path.starts_with('/') {
        return refused("it must be relative to the root of the repository");
    }
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    if names.contains(&"..") {
        return refused("it must not contain '..'");
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_names_below_the_root() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            (".", &[]),
            ("./", &[]),
            ("apps/web", &["apps", "web"]),
            ("./apps//web/", &["apps", "web"]),
            ("a..b", &["a..b"]),
            ("apps/./web", &["apps", "web"]),
        ];
        for (path, expected) in table {
            assert_eq!(names(path), Ok(expected.to_vec()), "{path}");
        }
        for path in ["/", "/apps", "..", "apps/..", "apps/../../etc", "../"] {
            assert!(matches!(names(path), Err(GitError::InvalidPath { .. })), "{path}");
        }
    }
}
