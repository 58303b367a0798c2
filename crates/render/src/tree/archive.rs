//! The files of an archive in memory: a chart, an artifact, something that was fetched by its URL.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use trueup_object::Digest;

use super::{Entry, EntryKind, Stat, Tree, missing, no_directory, no_file};
use crate::RenderError;

/// The files of an archive. Whoever unpacks it answers for its paths: cleaned, and without links.
pub struct ArchiveTree {
    files: BTreeMap<String, Vec<u8>>,
    digest: String,
}

// === impl ArchiveTree ===

impl ArchiveTree {
    /// Files by their path. Archives of one digest hold the same.
    pub fn new(files: BTreeMap<String, Vec<u8>>, digest: String) -> Self {
        Self { files, digest }
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
        if path.is_empty() || self.below(path).next().is_some() {
            // Whole archives are replaced, and their digest is at hand.
            return Ok(Stat::Directory { id: Some(Digest::of_parts(["archive", &self.digest, path])) });
        }
        Ok(Stat::Absent)
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
        f.debug_struct("ArchiveTree").field("files", &self.files.len()).field("digest", &self.digest).finish()
    }
}
