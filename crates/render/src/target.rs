//! What one application sends.

use trueup_object::{Digest, Gvk, Manifest, ObjectKey};

use crate::Rendered;

/// One object as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The object: placed, tracked, and freed of what nobody may send.
    pub manifest: Manifest,
    /// What tells it from every other object.
    pub key: ObjectKey,
    /// Its kind in the version that Git names.
    pub gvk: Gvk,
    /// The digest of the object.
    pub digest: Digest,
}

/// Everything that one application sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// The objects, sorted by key.
    pub objects: Vec<Target>,
    /// What people should know although it stops nothing.
    pub warnings: Vec<String>,
    /// Objects that there are several of; the last one counts.
    pub duplicates: Vec<ObjectKey>,
    /// Objects that cannot be sent, each with its name and the reason. They are not in `objects`.
    pub invalid: Vec<String>,
    /// The digest of all objects in the order of their keys.
    pub digest: Digest,
}

/// Where an application puts its objects.
#[derive(Clone, Copy)]
pub struct Placement<'a> {
    /// The name of the application in tracking ids.
    pub app: &'a str,
    /// The namespace of objects that name none; may be empty.
    pub namespace: &'a str,
    /// Whether a kind lives in namespaces; `None` for an unknown kind, which counts as namespaced.
    pub namespaced: &'a dyn Fn(&Gvk) -> Option<bool>,
}

/// Makes of what the files say what one application sends.
pub fn targets(rendered: &Rendered, placement: &Placement) -> Targets {
    let _ = placement;
    let invalid =
        rendered.manifests.iter().map(|manifest| format!("{}: placing is not built yet", manifest.key())).collect();
    let (warnings, digest) = (rendered.warnings.clone(), rendered.digest);
    Targets { objects: Vec::new(), warnings, duplicates: Vec::new(), invalid, digest }
}
