//! What the files of a source say.
//!
//! Invariant: it depends on what the render read and was told, so that applications which read the same share it.

use std::fmt;
use std::sync::Arc;

use trueup_object::{Digest, Manifest};

use crate::Tool;

/// What the files of a directory say, before it is placed anywhere. Its `Debug` names the objects, not what they hold: there
/// may be Secrets among them.
#[derive(Clone, PartialEq)]
pub struct Rendered {
    /// The objects, in the order of the files' names and of the documents in each.
    pub manifests: Vec<Manifest>,
    /// What people should know although it stops nothing.
    pub warnings: Vec<String>,
    /// The digest of the objects in this order.
    pub digest: Digest,
    /// What rendered them.
    pub tool: Tool,
    /// How long the objects are as JSON.
    pub(crate) bytes: usize,
}

// === impl Rendered ===

impl Rendered {
    pub(crate) fn new(tool: Tool, manifests: Vec<Manifest>, warnings: Vec<String>) -> Self {
        let mut bytes = 0;
        let json = manifests.iter().map(|manifest| manifest.node().to_json()).inspect(|json| bytes += json.len());
        let digest = Digest::of_parts(json);
        Self { manifests, warnings, digest, tool, bytes }
    }

    /// What several sources say together, in their order.
    pub fn joined(parts: Vec<Arc<Self>>) -> Arc<Self> {
        match <[Arc<Self>; 1]>::try_from(parts) {
            Ok([one]) => one,
            Err(parts) => {
                let all = |list: fn(&Self) -> &[String]| parts.iter().flat_map(|part| list(part).to_vec()).collect();
                Arc::new(Self {
                    manifests: parts.iter().flat_map(|part| part.manifests.clone()).collect(),
                    warnings: all(|part| &part.warnings),
                    digest: Digest::of_parts(parts.iter().map(|part| part.digest.to_string())),
                    tool: parts.first().map_or(Tool::Directory, |part| part.tool),
                    bytes: parts.iter().map(|part| part.bytes).sum(),
                })
            }
        }
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.manifests.iter().map(|manifest| manifest.key().to_string()).collect();
        f.debug_struct("Rendered")
            .field("keys", &keys)
            .field("warnings", &self.warnings)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}
