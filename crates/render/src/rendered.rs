//! What the files of a directory say.
//!
//! Invariant: it depends on the files and the options alone, so that applications which read the same share it.

use trueup_object::{Digest, Manifest};

/// What the files of a directory say, before it is placed anywhere.
#[derive(Debug, Clone, PartialEq)]
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
