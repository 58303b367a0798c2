//! What one application sends: the objects of a render, placed, tracked, and freed of what nobody may send.
//!
//! Pure: the same render and placement give the same objects and the same digest, in whatever files they stand. Entry point:
//! [`targets`].

use std::collections::BTreeMap;

use trueup_object::{Digest, Gvk, Manifest, ObjectKey};

use crate::{Rendered, strip};

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
    /// Objects that there are several of, sorted; the last one counts.
    pub duplicates: Vec<ObjectKey>,
    /// What cannot be sent, each with the object's name and the reason. While there is any, `objects` is not all that the
    /// application wants: nothing may be pruned.
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
    let mut invalid = Vec::new();
    if rendered.overridden.iter().any(|app| app == placement.app) {
        let app = placement.app;
        invalid.push(format!(
            "the file .argocd-source-{app}.yaml overrides the source of this application, which is not supported yet: move its settings into spec.source"
        ));
    }
    let mut objects: BTreeMap<ObjectKey, Target> = BTreeMap::new();
    let mut nameless = Vec::new();
    let mut duplicates = Vec::new();
    for manifest in &rendered.manifests {
        match target(manifest.clone(), placement) {
            // Only hooks are without a name, and each is another object.
            Ok(target) if target.key.name.is_empty() => nameless.push(target),
            Ok(target) => {
                if let Some(earlier) = objects.insert(target.key.clone(), target) {
                    duplicates.push(earlier.key);
                }
            }
            Err(reason) => invalid.push(reason),
        }
    }
    duplicates.sort_unstable();
    duplicates.dedup();
    let mut objects: Vec<Target> = objects.into_values().chain(nameless).collect();
    objects.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.digest.cmp(&b.digest)));
    let digest = Digest::of_parts(objects.iter().map(|target| target.digest.to_string()));
    Targets { objects, warnings: rendered.warnings.clone(), duplicates, invalid, digest }
}

fn target(mut manifest: Manifest, placement: &Placement) -> Result<Target, String> {
    let gvk = manifest.gvk();
    if (placement.namespaced)(&gvk) == Some(false) {
        manifest.set_namespace("");
    } else if manifest.namespace().is_empty() {
        if placement.namespace.is_empty() {
            return Err(format!(
                "{} has no namespace: give it a metadata.namespace, or the application a spec.destination.namespace",
                manifest.key()
            ));
        }
        manifest.set_namespace(placement.namespace);
    }
    let mut manifest = strip::strip(manifest, &gvk);
    let key = manifest.key();
    // As Argo CD: definitions are never tracked, so that no application's end takes all objects of a kind along.
    if !(gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition") {
        manifest.set_annotation(TRACKING_ID, &tracking_id(&key, placement));
    }
    let digest = manifest.digest();
    Ok(Target { manifest, key, gvk, digest })
}

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// Cluster-scoped objects carry the namespace of the destination, as Argo CD writes it.
fn tracking_id(key: &ObjectKey, placement: &Placement) -> String {
    let namespace = if key.namespace.is_empty() { placement.namespace } else { &key.namespace };
    format!("{}:{}/{}:{namespace}/{}", placement.app, key.group, key.kind, key.name)
}
