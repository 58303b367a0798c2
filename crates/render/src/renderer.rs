//! Renders directories of repositories, each content once.
//!
//! The key of a render is the id of the directory's tree with the options and the version of the rules. Where links lead out
//! of the directory, what they lead to is part of the key as well. Errors are not kept. Entry points: [`Renderer::render`],
//! [`render_directory`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use trueup_git::{CommitId, Store};
use trueup_object::Digest;

use crate::cache::{Cache, Kept};
use crate::files::{CommitFiles, DiskFiles, Files as _, Followed};
use crate::walk::{Globs, choose};
use crate::{DirectoryOptions, RenderError, Rendered, read};

/// The version of the rules by which files become objects. Raised with every change of them, so that a cache that is older
/// than the program answers nothing.
const RULES: &str = concat!(env!("CARGO_PKG_VERSION"), "+1");

/// Renders directories of repositories, and remembers what it rendered. Blocks: for reading from disk and for parsing.
#[derive(Debug)]
pub struct Renderer {
    cache: Cache,
    /// What is being rendered just now: who comes second waits for the first.
    flights: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
    renders: AtomicU64,
    hits: AtomicU64,
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Directories rendered, failures included.
    pub renders: u64,
    /// Answers from the cache.
    pub hits: u64,
}

// === impl Renderer ===

impl Renderer {
    /// A renderer that keeps what it renders in this directory too, which nobody else uses.
    pub fn new(cache_dir: Option<PathBuf>) -> Self {
        Self {
            cache: Cache::new(cache_dir),
            flights: Mutex::default(),
            renders: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    /// What the directory at `path` says at a commit, which must have been fetched.
    pub fn render(
        &self,
        store: &Store,
        commit: &CommitId,
        path: &str,
        options: &DirectoryOptions,
    ) -> Result<Arc<Rendered>, RenderError> {
        let files = CommitFiles::new(store, commit, path)?;
        let key = key(&files, options);
        if let Some(rendered) = self.known(key, &files) {
            return Ok(rendered);
        }
        let flight = self.flight(key);
        let _alone = flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = self.known(key, &files) {
            return Ok(rendered);
        }
        self.renders.fetch_add(1, Ordering::Relaxed);
        let choice = choose(&files, &Globs::new(options)?, options)?;
        let links = choice.links.clone();
        let rendered = Arc::new(read::read(&files, choice)?);
        if links.is_empty() {
            self.cache.put(key, Kept::Rendered(Arc::clone(&rendered)));
        } else if let Some(linked) = linked_key(key, &files, &links) {
            self.cache.put(key, Kept::Links(Arc::new(links)));
            self.cache.put(linked, Kept::Rendered(Arc::clone(&rendered)));
        }
        Ok(rendered)
    }

    /// What was done since the start.
    pub fn counters(&self) -> Counters {
        Counters { renders: self.renders.load(Ordering::Relaxed), hits: self.hits.load(Ordering::Relaxed) }
    }

    fn known(&self, key: Digest, files: &CommitFiles) -> Option<Arc<Rendered>> {
        let mut kept = self.cache.get(key)?;
        if let Kept::Links(links) = &kept {
            kept = self.cache.get(linked_key(key, files, links)?)?;
        }
        let Kept::Rendered(rendered) = kept else { return None };
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(rendered)
    }

    fn flight(&self, key: Digest) -> Arc<Mutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        Arc::clone(flights.entry(key).or_default())
    }
}

fn key(files: &CommitFiles, options: &DirectoryOptions) -> Digest {
    let tree = files.tree();
    let recurse = [u8::from(options.recurse)];
    Digest::of_parts([
        RULES.as_bytes(),
        tree.as_bytes(),
        &recurse,
        options.include.as_bytes(),
        options.exclude.as_bytes(),
    ])
}

/// The key with what the links lead to; `None` if one cannot be followed.
fn linked_key(key: Digest, files: &CommitFiles, links: &[(String, String)]) -> Option<Digest> {
    let mut parts = vec![key.to_string()];
    for (path, target) in links {
        parts.push(match files.follow(path, target).ok()? {
            Followed::File(id, _) => id.to_string(),
            Followed::NoFile => String::new(),
        });
    }
    Some(Digest::of_parts(parts))
}

/// What a directory on disk says: for people who look at their files before they commit them. Links that leave the working
/// copy it is in are refused.
pub fn render_directory(dir: &Path, options: &DirectoryOptions) -> Result<Rendered, RenderError> {
    let files = DiskFiles::new(dir)?;
    let choice = choose(&files, &Globs::new(options)?, options)?;
    read::read(&files, choice)
}
