//! The files of a working copy on disk: for people who look at their files before they commit them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use trueup_object::Digest;

use super::follow::{Found, Step, follow};
use super::{Entry, EntryKind, Stat, Tree, missing, no_file};
use crate::RenderError;

/// What git keeps for itself: no part of what a commit holds.
const GIT: &str = ".git";

/// The files of a working copy. They may change while they are read, so nothing that is read here is taken for known later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskTree {
    root: PathBuf,
    top: String,
}

// === impl DiskTree ===

impl DiskTree {
    /// The working copy that a directory is in, or the directory alone if it is in none.
    pub fn new(dir: &Path) -> Result<Self, RenderError> {
        let real = real(dir)?;
        let root = real.ancestors().find(|above| above.join(GIT).exists()).unwrap_or(&real).to_owned();
        let below = real.strip_prefix(&root).unwrap_or(Path::new(""));
        let names: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        Ok(Self { root, top: names.join("/") })
    }

    /// A directory that is the root of a working copy, whatever is above it.
    pub fn rooted(root: &Path) -> Result<Self, RenderError> {
        Ok(Self { root: real(root)?, top: String::new() })
    }

    /// The path of the directory that it was made of; empty for the root.
    pub fn top(&self) -> &str {
        &self.top
    }

    fn find(&self, path: &str) -> Result<Found<PathBuf, (PathBuf, u64)>, RenderError> {
        follow(path, self.root.clone(), |directory, name| {
            if name == GIT {
                return Ok(Step::Absent);
            }
            let place = directory.join(name);
            let about = match fs::symlink_metadata(&place) {
                Ok(about) => about,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Ok(Step::Absent);
                }
                Err(error) => return Err(unreadable(path, &error)),
            };
            Ok(if about.is_dir() {
                Step::Directory(place)
            } else if about.is_file() {
                Step::File((place, about.len()))
            } else if about.is_symlink() {
                let target = fs::read_link(&place).map_err(|error| unreadable(path, &error))?;
                Step::Link(target.to_string_lossy().into_owned())
            } else {
                Step::Absent
            })
        })
    }
}

impl Tree for DiskTree {
    fn directory(&self, path: &str) -> Result<Option<Digest>, RenderError> {
        let path = super::clean(path).ok_or_else(|| missing(path))?;
        match self.find(&path)? {
            Found::Directory(_) => Ok(None),
            Found::File(_) => Err(super::no_directory(&path)),
            Found::Absent => Err(missing(&path)),
        }
    }

    fn stat(&self, path: &str) -> Result<Stat, RenderError> {
        Ok(match self.find(path)? {
            Found::Directory(_) => Stat::Directory { id: None },
            Found::File((_, size)) => Stat::File { id: None, size },
            Found::Absent => Stat::Absent,
        })
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, RenderError> {
        let Found::Directory(directory) = self.find(path)? else { return Ok(Vec::new()) };
        let failed = |error: io::Error| unreadable(if path.is_empty() { "." } else { path }, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (place, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if name == GIT {
                continue;
            }
            let about = fs::symlink_metadata(&place).map_err(failed)?;
            let kind = if about.is_dir() {
                EntryKind::Directory
            } else if about.is_file() {
                EntryKind::File { size: about.len() }
            } else if about.is_symlink() {
                EntryKind::Link { target: fs::read_link(&place).map_err(failed)?.to_string_lossy().into_owned() }
            } else {
                EntryKind::Other
            };
            entries.push(Entry { name, kind });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, RenderError> {
        let file = match self.find(path)? {
            Found::File((file, _)) => file,
            Found::Directory(_) => return Err(no_file(path)),
            Found::Absent => return Err(missing(path)),
        };
        let mut text = Vec::new();
        let read = fs::File::open(file).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut text));
        read.map_err(|error| unreadable(path, &error))?;
        if text.len() as u64 > bytes_max {
            let what = format!("'{path}' is too long");
            return Err(RenderError::TooLarge { what, limit: format!("{bytes_max} bytes") });
        }
        Ok(text)
    }
}

/// A directory without links on its way.
fn real(dir: &Path) -> Result<PathBuf, RenderError> {
    let shown = dir.display().to_string();
    let real = dir.canonicalize().map_err(|error| unreadable(&shown, &error))?;
    if real.is_dir() { Ok(real) } else { Err(super::no_directory(&shown)) }
}

fn unreadable(file: &str, error: &io::Error) -> RenderError {
    RenderError::Unreadable { file: file.to_owned(), detail: error.to_string() }
}
