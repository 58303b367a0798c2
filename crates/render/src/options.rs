//! How a directory is read.

use serde::{Deserialize, Serialize};

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
        Globs::new(self).map(drop)
    }

    /// Whether somebody asked for a directory of plain manifests: then it is one, whatever tool could render it as well.
    pub(crate) fn is_explicit(&self) -> bool {
        *self != Self::default()
    }
}
