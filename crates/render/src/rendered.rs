//! What the files of a directory say.
//!
//! Invariant: it depends on the files and the options alone, so that applications which read the same share it.

use std::fmt;

use trueup_object::{Digest, Manifest};

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
    /// Applications whose source is overridden by a file in the directory (`.argocd-source-NAME.yaml`).
    pub overridden: Vec<String>,
    /// How long the objects are as JSON.
    pub(crate) bytes: usize,
}

// === impl Rendered ===

impl Rendered {
    pub(crate) fn new(manifests: Vec<Manifest>, warnings: Vec<String>, overridden: Vec<String>) -> Self {
        let mut bytes = 0;
        let json = manifests.iter().map(|manifest| manifest.node().to_json()).inspect(|json| bytes += json.len());
        let digest = Digest::of_parts(json);
        Self { manifests, warnings, digest, overridden, bytes }
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
