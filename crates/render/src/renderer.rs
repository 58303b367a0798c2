//! Renders directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trueup_git::{CommitId, Store};

use crate::{DirectoryOptions, RenderError, Rendered};

/// Renders directories of repositories.
#[derive(Debug)]
pub struct Renderer {
    _cache_dir: Option<PathBuf>,
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
    /// A renderer that keeps what it renders in this directory too.
    pub fn new(cache_dir: Option<PathBuf>) -> Self {
        Self { _cache_dir: cache_dir }
    }

    /// What the directory at `path` says at a commit, which must have been fetched. Blocks.
    pub fn render(
        &self,
        store: &Store,
        commit: &CommitId,
        path: &str,
        options: &DirectoryOptions,
    ) -> Result<Arc<Rendered>, RenderError> {
        let _ = options;
        store.tree(commit, path)?;
        Err(RenderError::Unreadable { file: path.to_owned(), detail: "rendering is not built yet".to_owned() })
    }

    /// What was done since the start.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// What a directory on disk says.
pub fn render_directory(dir: &Path, options: &DirectoryOptions) -> Result<Rendered, RenderError> {
    let _ = options;
    Err(RenderError::Unreadable { file: dir.display().to_string(), detail: "rendering is not built yet".to_owned() })
}
