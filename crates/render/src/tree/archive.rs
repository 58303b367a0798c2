//! The files of an archive in memory: a chart, an artifact, something that was fetched by its URL.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use trueup_object::Digest;

use super::{Entry, EntryKind, Stat, Tree, missing, no_directory, no_file};
use crate::RenderError;

/// The files of an archive. Whoever unpacks it answers for its paths: cleaned, and without links.
pub struct ArchiveTree {
    files: BTreeMap<String, Vec<u8>>,
    digest: String,
    /// The ids of directories that were asked for.
    ids: Mutex<BTreeMap<String, Digest>>,
}

// === impl ArchiveTree ===

impl ArchiveTree {
    /// Files by their path. Archives of one digest hold the same.
    pub fn new(files: BTreeMap<String, Vec<u8>>, digest: String) -> Self {
        Self { files, digest, ids: Mutex::default() }
    }

    /// The id of a directory below the root, of what is in it alone; `None` if there is none.
    fn directory_id(&self, path: &str) -> Option<Digest> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = ids.get(path) {
            return Some(*id);
        }
        let files: Vec<String> = self.below(path).map(|(path, data)| format!("{path}\0{}", Digest::of(data))).collect();
        let id = (!files.is_empty()).then(|| Digest::of_parts(files))?;
        ids.insert(path.to_owned(), id);
        Some(id)
    }

    /// What is below a directory: the paths from there.
    fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a Vec<u8>)> {
        let start = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let length = start.len();
        let range = self.files.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        let range: Vec<_> = range.take_while(|(path, _)| path.starts_with(&start)).collect();
        range.into_iter().map(move |(path, data)| (&path[length..], data))
    }
}

impl Tree for ArchiveTree {
    fn directory(&self, path: &str) -> Result<Option<Digest>, RenderError> {
        let path = super::clean(path).ok_or_else(|| missing(path))?;
        match self.stat(&path)? {
            Stat::Directory { id } => Ok(id),
            Stat::File { .. } => Err(no_directory(&path)),
            Stat::Absent => Err(missing(&path)),
        }
    }

    fn stat(&self, path: &str) -> Result<Stat, RenderError> {
        if let Some(data) = self.files.get(path) {
            return Ok(Stat::File { id: Some(Digest::of(data)), size: data.len() as u64 });
        }
        if path.is_empty() {
            return Ok(Stat::Directory { id: Some(Digest::of_parts(["archive", &self.digest])) });
        }
        Ok(self.directory_id(path).map_or(Stat::Absent, |id| Stat::Directory { id: Some(id) }))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, RenderError> {
        let mut entries: BTreeMap<&str, EntryKind> = BTreeMap::new();
        for (below, data) in self.below(path) {
            match below.split_once('/') {
                Some((name, _)) => entries.insert(name, EntryKind::Directory),
                None => entries.insert(below, EntryKind::File { size: data.len() as u64 }),
            };
        }
        Ok(entries.into_iter().map(|(name, kind)| Entry { name: name.to_owned(), kind }).collect())
    }

    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError> {
        let Some(data) = self.files.get(path) else {
            return Err(if self.stat(path)? == Stat::Absent { missing(path) } else { no_file(path) });
        };
        if data.len() as u64 > bytes_max {
            return Err(RenderError::TooLarge {
                what: format!("'{path}' has {} bytes", data.len()),
                limit: format!("{bytes_max} bytes"),
            });
        }
        Ok(data.clone())
    }
}

impl fmt::Debug for ArchiveTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveTree")
            .field("files", &self.files.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)], digest: &str) -> ArchiveTree {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        ArchiveTree::new(files, digest.to_owned())
    }

    #[test]
    fn directories_are_what_paths_lead_through() {
        let tree = archive(&[("a/b/c", "1"), ("a/d", "22"), ("a.b", ""), ("a-b/x", "")], "x");
        let directory = |name: &str| Entry { name: name.to_owned(), kind: EntryKind::Directory };
        let file = |name: &str, size| Entry { name: name.to_owned(), kind: EntryKind::File { size } };
        assert_eq!(tree.list("").unwrap(), [directory("a"), directory("a-b"), file("a.b", 0)]);
        assert_eq!(tree.list("a").unwrap(), [directory("b"), file("d", 2)]);
        assert_eq!(tree.list("a/d").unwrap(), []);
        assert_eq!(tree.stat("a/x").unwrap(), Stat::Absent);
        assert!(matches!(tree.stat("a/b").unwrap(), Stat::Directory { id: Some(_) }));
        assert!(matches!(tree.stat("a/d").unwrap(), Stat::File { id: Some(_), size: 2 }));
        assert_eq!(tree.read("a/d", 2).unwrap(), b"22");
        assert!(matches!(tree.read("a/d", 1), Err(RenderError::TooLarge { .. })));
        assert!(matches!(tree.read("a", 1), Err(RenderError::Unreadable { .. })));
        assert!(matches!(tree.read("b", 1), Err(RenderError::Missing { .. })));
        assert!(tree.directory("a/./b/").unwrap().is_some());
        for nothing in ["a/d", "b", "../a"] {
            assert!(tree.directory(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn ids_tell_contents() {
        let id = |tree: &ArchiveTree, path: &str| match tree.stat(path).unwrap() {
            Stat::Directory { id } | Stat::File { id, .. } => id.unwrap(),
            Stat::Absent => panic!("{path}"),
        };
        let one = archive(&[("a/b", "1"), ("c", "1")], "x");
        let other = archive(&[("a/b", "1"), ("c", "2")], "y");
        assert_eq!(id(&one, "a"), id(&other, "a"));
        assert_eq!(id(&one, "a/b"), id(&other, "a/b"));
        assert_ne!(id(&one, "c"), id(&other, "c"));
        assert_ne!(id(&one, ""), id(&other, ""));
    }
}
