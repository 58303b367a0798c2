//! Where files come from: a commit of a store, or a directory on disk. Both give the same answers for the same files.
//!
//! Invariant: nothing outside the repository is ever read. Entry point: [`Files`].

use std::fs;
use std::path::{Path, PathBuf};

use trueup_git::{BlobId, CommitId, Entry, EntryKind, GitError, Store, TreeId};

use crate::RenderError;

/// How many links a link may lead through, as Linux counts them at most; people use one.
const HOPS_MAX: usize = 8;
const LEAVES: &str = "it leaves the repository";

/// A directory of an application and all that it may read.
pub(crate) trait Files {
    /// A directory that can be listed.
    type Directory;
    /// A file that can be read.
    type File;

    /// The directory of the application.
    fn top(&self) -> Result<Self::Directory, RenderError>;
    /// What is in a directory, in no particular order. `path` is for errors.
    #[expect(clippy::type_complexity, reason = "an alias would hide which of the two types is which")]
    fn list(
        &self,
        directory: &Self::Directory,
        path: &str,
    ) -> Result<Vec<Item<Self::Directory, Self::File>>, RenderError>;
    /// The contents of a file of at most `bytes_max` bytes. `path` is for errors.
    fn read(&self, file: &Self::File, path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError>;
    /// What a symbolic link at `path`, relative to the top, leads to.
    fn follow(&self, path: &str, target: &str) -> Result<Followed<Self::File>, RenderError>;
}

/// An entry of a directory.
pub(crate) struct Item<D, F> {
    pub(crate) name: String,
    pub(crate) kind: ItemKind<D, F>,
}

/// What an entry of a directory is.
pub(crate) enum ItemKind<D, F> {
    Directory(D),
    File(F, u64),
    Link(String),
    Submodule,
    /// A device, a pipe, a socket: nothing that has contents.
    Other,
}

/// What a symbolic link leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed<F> {
    File(F, u64),
    NoFile,
}

/// The files of a commit.
pub(crate) struct CommitFiles<'a> {
    store: &'a Store,
    commit: &'a CommitId,
    tree: TreeId,
    /// The names on the way from the root of the repository to the top.
    names: Vec<&'a str>,
}

/// Files on disk.
pub(crate) struct DiskFiles {
    top: PathBuf,
    /// The root of the working copy that `top` is in, or `top` itself.
    root: PathBuf,
}

// === impl CommitFiles ===

impl<'a> CommitFiles<'a> {
    pub(crate) fn new(store: &'a Store, commit: &'a CommitId, path: &'a str) -> Result<Self, RenderError> {
        let tree = store.tree(commit, path)?;
        let names = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        Ok(Self { store, commit, tree, names })
    }

    /// The id of the top, which stands for everything below it.
    pub(crate) fn tree(&self) -> TreeId {
        self.tree
    }

    /// The entry of the repository at these names; `None` for the root.
    fn entry(&self, names: &[String]) -> Result<Option<Entry>, GitError> {
        let Some((last, above)) = names.split_last() else { return Ok(None) };
        let directory = self.store.tree(self.commit, &above.join("/"))?;
        let found = self.store.entries(&directory)?.into_iter().find(|entry| entry.name == *last);
        found.map(Some).ok_or_else(|| GitError::PathNotFound { path: names.join("/"), near: Vec::new() })
    }
}

impl Files for CommitFiles<'_> {
    type Directory = TreeId;
    type File = BlobId;

    fn top(&self) -> Result<TreeId, RenderError> {
        Ok(self.tree)
    }

    fn list(&self, directory: &TreeId, _path: &str) -> Result<Vec<Item<TreeId, BlobId>>, RenderError> {
        let item = |entry: Entry| Item {
            name: entry.name,
            kind: match entry.kind {
                EntryKind::Directory(id) => ItemKind::Directory(id),
                EntryKind::File { id, size, .. } => ItemKind::File(id, size),
                EntryKind::Symlink { target } => ItemKind::Link(target),
                EntryKind::Submodule => ItemKind::Submodule,
            },
        };
        Ok(self.store.entries(directory)?.into_iter().map(item).collect())
    }

    fn read(&self, file: &BlobId, _path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError> {
        Ok(self.store.blob(file, bytes_max)?)
    }

    fn follow(&self, path: &str, target: &str) -> Result<Followed<BlobId>, RenderError> {
        let refused = |reason: &str| refused(path, target, reason);
        let mut names: Vec<String> = self.names.iter().copied().chain(path.split('/')).map(str::to_owned).collect();
        let mut next = target.to_owned();
        for _ in 0..HOPS_MAX {
            names.pop();
            if next.starts_with('/') {
                return Err(refused(LEAVES));
            }
            for name in next.split('/').filter(|name| !name.is_empty() && *name != ".") {
                if name != ".." {
                    names.push(name.to_owned());
                } else if names.pop().is_none() {
                    return Err(refused(LEAVES));
                }
            }
            match self.entry(&names).map(|entry| entry.map(|entry| entry.kind)) {
                Ok(Some(EntryKind::File { id, size, .. })) => return Ok(Followed::File(id, size)),
                Ok(Some(EntryKind::Directory(_)) | None) => return Ok(Followed::NoFile),
                Ok(Some(EntryKind::Symlink { target })) => next = target,
                Ok(Some(EntryKind::Submodule)) | Err(GitError::SubmoduleOnPath { .. }) => {
                    return Err(refused("it leads into a submodule"));
                }
                Err(GitError::PathNotFound { .. } | GitError::NotADirectory { .. }) => {
                    return Err(refused("nothing is there"));
                }
                Err(GitError::SymlinkOnPath { .. }) => {
                    return Err(refused(
                        "its way leads through another symbolic link: let it point to the file itself",
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused(&format!("it leads through more than {HOPS_MAX} links")))
    }
}

fn refused(path: &str, target: &str, reason: &str) -> RenderError {
    RenderError::Link { file: path.to_owned(), target: target.to_owned(), reason: reason.to_owned() }
}

// === impl DiskFiles ===

impl DiskFiles {
    pub(crate) fn new(dir: &Path) -> Result<Self, RenderError> {
        let shown = || dir.display().to_string();
        let top = dir.canonicalize().map_err(|error| unreadable(&shown(), &error))?;
        if !top.is_dir() {
            return Err(RenderError::Unreadable {
                file: shown(),
                detail: "it is a file: a directory is needed".to_owned(),
            });
        }
        let root = top.ancestors().find(|above| above.join(".git").exists()).unwrap_or(&top).to_owned();
        Ok(Self { top, root })
    }
}

impl Files for DiskFiles {
    type Directory = PathBuf;
    type File = PathBuf;

    fn top(&self) -> Result<PathBuf, RenderError> {
        Ok(self.top.clone())
    }

    fn list(&self, directory: &PathBuf, path: &str) -> Result<Vec<Item<PathBuf, PathBuf>>, RenderError> {
        let failed = |error: std::io::Error| unreadable(if path.is_empty() { "." } else { path }, &error);
        let mut items = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (place, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // It is no part of what a commit holds.
            if name == ".git" {
                continue;
            }
            let about = fs::symlink_metadata(&place).map_err(failed)?;
            let kind = if about.is_dir() {
                ItemKind::Directory(place)
            } else if about.is_file() {
                ItemKind::File(place, about.len())
            } else if about.is_symlink() {
                ItemKind::Link(fs::read_link(&place).map_err(failed)?.to_string_lossy().into_owned())
            } else {
                ItemKind::Other
            };
            items.push(Item { name, kind });
        }
        Ok(items)
    }

    fn read(&self, file: &PathBuf, path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError> {
        use std::io::Read as _;
        let mut text = Vec::new();
        let read = fs::File::open(file).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut text));
        read.map_err(|error| unreadable(path, &error))?;
        if text.len() as u64 > bytes_max {
            let detail = "it grew while it was read".to_owned();
            return Err(RenderError::Unreadable { file: path.to_owned(), detail });
        }
        Ok(text)
    }

    fn follow(&self, path: &str, target: &str) -> Result<Followed<PathBuf>, RenderError> {
        let real = match self.top.join(path).canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(path, target, "nothing is there"));
            }
            Err(error) => return Err(refused(path, target, &error.to_string())),
        };
        // An absolute path means another place in every other working copy.
        if !real.starts_with(&self.root) || target.starts_with('/') {
            return Err(refused(path, target, LEAVES));
        }
        let about = fs::metadata(&real).map_err(|error| unreadable(path, &error))?;
        Ok(if about.is_file() { Followed::File(real, about.len()) } else { Followed::NoFile })
    }
}

fn unreadable(file: &str, error: &std::io::Error) -> RenderError {
    RenderError::Unreadable { file: file.to_owned(), detail: error.to_string() }
}
