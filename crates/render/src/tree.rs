//! Where files come from: a commit, an archive in memory, or a working copy on disk. All give the same answers for the same
//! files.
//!
//! Paths are relative to the root of the tree, without `.`, `..` and doubled slashes; the root is the empty path. Invariant:
//! nothing outside the tree is ever read, whatever a path or a symbolic link says. Entry point: [`Tree`].

mod archive;
mod commit;
mod disk;
mod follow;

pub use archive::ArchiveTree;
pub use commit::CommitTree;
pub use disk::DiskTree;
use trueup_object::Digest;

use crate::RenderError;

/// Files that can be rendered. Reading blocks.
pub trait Tree: Send + Sync {
    /// The directory that an application names, whose way leads through no link; otherwise the error says what is there.
    /// Answers its content id, as [`Stat::Directory`] does.
    fn directory(&self, path: &str) -> Result<Option<Digest>, RenderError>;
    /// What is at a path. Symbolic links are followed, those that leave the tree or lead nowhere are errors.
    fn stat(&self, path: &str) -> Result<Stat, RenderError>;
    /// What is in a directory, sorted by name; links are told, not followed. What is no directory holds nothing.
    fn list(&self, path: &str) -> Result<Vec<Entry>, RenderError>;
    /// The content of a file of at most `bytes_max` bytes.
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError>;
}

/// What is at a path.
///
/// Equal ids mean equal contents: of a directory, all the way down, except behind links that leave it. None where that cannot
/// be told without reading everything: what was read from there is never taken for known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Nothing.
    Absent,
    /// A file.
    File {
        /// What it holds.
        id: Option<Digest>,
        /// How long it is, in bytes.
        size: u64,
    },
    /// A directory.
    Directory {
        /// What it holds.
        id: Option<Digest>,
    },
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// How long it is, in bytes.
        size: u64,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as written.
        target: String,
    },
    /// Another repository, which is not read.
    Submodule,
    /// A device, a pipe, a socket: nothing that has contents.
    Other,
}

/// A path below another one.
pub(crate) fn join(directory: &str, path: &str) -> String {
    match (directory, path) {
        ("", path) => path.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, path) => format!("{directory}/{path}"),
    }
}

/// A path as a [`Tree`] takes it; `None` if it leads out.
pub(crate) fn clean(path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

pub(crate) fn missing(path: &str) -> RenderError {
    RenderError::Missing { file: path.to_owned() }
}

fn no_file(path: &str) -> RenderError {
    RenderError::Unreadable { file: path.to_owned(), detail: "it is a directory: a file is needed".to_owned() }
}

fn no_directory(path: &str) -> RenderError {
    RenderError::Unreadable { file: path.to_owned(), detail: "it is a file: a directory is needed".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_do_not_lead_out() {
        let table = [
            ("", Some("")),
            (".", Some("")),
            ("/a//b/./c/", Some("a/b/c")),
            ("a/../b", Some("b")),
            ("a/..", Some("")),
            ("..", None),
            ("a/../../b", None),
            ("a..b/...", Some("a..b/...")),
        ];
        for (path, expected) in table {
            assert_eq!(clean(path).as_deref(), expected, "{path}");
        }
        assert_eq!([join("", "a"), join("a", ""), join("a", "b/c")], ["a", "a", "a/b/c"]);
    }
}
