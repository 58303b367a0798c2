//! How a directory is read.

use serde::{Deserialize, Serialize};

use trueup_api::source::DirectorySource;

use crate::RenderError;
use crate::walk::Globs;

/// How a directory is read, as `spec.source.directory` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectoryOptions {
    /// Whether directories below it are read too.
    pub recurse: bool,
    /// Only files whose path matches this glob are read; all, if it is empty.
    pub include: String,
    /// Files whose path matches this glob are left out, whatever `include` says; none, if it is empty.
    pub exclude: String,
}

// === impl DirectoryOptions ===

impl DirectoryOptions {
    /// Whether the globs can be read, so that a directory can be at all.
    pub fn check(&self) -> Result<(), RenderError> {
        let source = DirectorySource {
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            ..DirectorySource::default()
        };
        Globs::new(&source).map(drop)
    }
}
