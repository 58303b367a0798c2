//! What one application sends: the objects of a render, placed, tracked, and freed of what nobody may send.
//!
//! Pure: the same render and placement give the same objects and the same digest, in whatever files they stand. Entry point:
//! [`targets`].

use std::collections::BTreeMap;
use std::fmt;

use trueup_api::annotations;
use trueup_api::tracking::TrackingId;
use trueup_object::{Digest, Gvk, Manifest, ObjectKey};

use crate::{Rendered, strip};

/// One object as it is sent. Its `Debug` says which, not what it holds: it may be a Secret.
#[derive(Clone, PartialEq)]
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
    /// The id of the installation, which every object then bears; empty if it has none.
    pub installation: &'a str,
    /// The namespace of objects that name none; may be empty.
    pub namespace: &'a str,
    /// Whether a kind lives in namespaces; `None` for an unknown kind, which counts as namespaced.
    pub namespaced: &'a dyn Fn(&Gvk) -> Option<bool>,
}

/// Makes of what the files say what one application sends.
pub fn targets(rendered: &Rendered, placement: &Placement) -> Targets {
    let mut invalid = Vec::new();
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

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({} {} {})", self.gvk.version, self.key, self.digest)
    }
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
        manifest.set_annotation(annotations::TRACKING_ID, &tracking_id(&key, placement).to_string());
        if !placement.installation.is_empty() {
            manifest.set_annotation(annotations::INSTALLATION_ID, placement.installation);
        }
    }
    let digest = manifest.digest();
    Ok(Target { manifest, key, gvk, digest })
}

/// Cluster-scoped objects carry the namespace of the destination, as Argo CD writes it.
fn tracking_id(key: &ObjectKey, placement: &Placement) -> TrackingId {
    let id = TrackingId::new(placement.app, key);
    if key.namespace.is_empty() { TrackingId { namespace: placement.namespace.to_owned(), ..id } } else { id }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trueup_object::Node;

    use super::*;
    use crate::Tool;

    fn manifest(text: &str) -> Manifest {
        Manifest::try_from(Node::from_json(text.as_bytes()).unwrap()).unwrap()
    }

    fn rendered(objects: &[&str]) -> Rendered {
        Rendered::new(Tool::Directory, objects.iter().map(|text| manifest(text)).collect(), Vec::new())
    }

    fn namespaced(gvk: &Gvk) -> Option<bool> {
        match gvk.kind.as_str() {
            "Namespace" | "ClusterRole" | "CustomResourceDefinition" => Some(false),
            "Unknown" => None,
            _ => Some(true),
        }
    }

    fn placed(rendered: &Rendered, namespace: &str) -> Targets {
        targets(rendered, &Placement { app: "shop", installation: "", namespace, namespaced: &namespaced })
    }

    #[test]
    fn objects_are_placed_and_tracked() {
        let table = [
            // Without a namespace: the application's.
            (
                r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"}}"#,
                "apps/Deployment team/web",
                Some("shop:apps/Deployment:team/web"),
            ),
            // With one: that.
            (
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"other","annotations":{"x":"y","argocd.argoproj.io/tracking-id":"old:/ConfigMap:x/y"}}}"#,
                "ConfigMap other/a",
                Some("shop:/ConfigMap:other/a"),
            ),
            // Cluster-scoped: none, but the application's in the tracking id.
            (
                r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:x","namespace":"wrong"}}"#,
                "rbac.authorization.k8s.io/ClusterRole system:x",
                Some("shop:rbac.authorization.k8s.io/ClusterRole:team/system:x"),
            ),
            // Unknown kinds count as namespaced.
            (
                r#"{"apiVersion":"example.com/v1","kind":"Unknown","metadata":{"name":"a"}}"#,
                "example.com/Unknown team/a",
                Some("shop:example.com/Unknown:team/a"),
            ),
            // Definitions are never tracked.
            (
                r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"a.b"}}"#,
                "apiextensions.k8s.io/CustomResourceDefinition a.b",
                None,
            ),
        ];
        for (text, key, id) in table {
            let targets = placed(&rendered(&[text]), "team");
            let [target] = targets.objects.as_slice() else { panic!("{text}: {targets:?}") };
            assert_eq!(target.key.to_string(), key);
            assert_eq!(target.key, target.manifest.key());
            assert_eq!(target.gvk, target.manifest.gvk());
            assert_eq!(target.digest, target.manifest.digest());
            assert_eq!(target.manifest.annotation(annotations::TRACKING_ID), id, "{text}");
            let parsed = id.map(|id| TrackingId::parse(id).unwrap());
            assert!(parsed.is_none_or(|parsed| parsed.matches(&target.key)), "{text}");
        }
    }

    #[test]
    fn objects_bear_the_id_of_the_installation_where_it_has_one() {
        let config = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"argocd.argoproj.io/installation-id":"of Git"}}}"#;
        let definition =
            r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"a.b"}}"#;
        for (installation, borne) in [("", [None, None]), ("blue", [Some("blue"), None])] {
            let placement = Placement { app: "shop", installation, namespace: "team", namespaced: &namespaced };
            let targets = targets(&rendered(&[config, definition]), &placement);
            let ids = targets.objects.iter().map(|target| target.manifest.annotation(annotations::INSTALLATION_ID));
            assert_eq!(ids.collect::<Vec<_>>(), borne);
        }
    }

    #[test]
    fn an_object_without_any_namespace_is_named() {
        let objects = [
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"lost"}}"#,
            r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team"}}"#,
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"team"}}"#,
        ];
        let targets = placed(&rendered(&objects), "");
        let keys: Vec<String> = targets.objects.iter().map(|target| target.key.to_string()).collect();
        assert_eq!(keys, ["ConfigMap team/a", "Namespace team"]);
        assert_eq!(targets.invalid.len(), 1);
        assert!(targets.invalid[0].starts_with("ConfigMap lost has no namespace"), "{:?}", targets.invalid);
    }

    #[test]
    fn of_several_equal_objects_the_last_counts_and_all_are_reported_once() {
        let object = |version: &str, namespace: &str, x: &str| {
            format!(r#"{{"apiVersion":"{version}","kind":"Job","metadata":{{"name":"a"{namespace}}},"x":"{x}"}}"#)
        };
        let (one, two, three) = (
            object("batch/v1", "", "1"),
            object("batch/v1beta1", r#","namespace":"team""#, "2"),
            object("batch/v1", "", "3"),
        );
        let targets = placed(&rendered(&[&one, &two, &three]), "team");
        assert_eq!(targets.duplicates, [ObjectKey::new("batch", "Job", "team", "a")]);
        assert_eq!(targets.objects.len(), 1);
        assert_eq!(targets.objects[0].manifest.node().str_at(&["x"]), Some("3"));
        // The version is no part of the key, another namespace is.
        let other = object("batch/v1", r#","namespace":"other""#, "1");
        assert!(placed(&rendered(&[&one, &other]), "team").duplicates.is_empty());
    }

    #[test]
    fn hooks_without_a_name_are_no_duplicates() {
        let hook = |x: &str| {
            format!(r#"{{"apiVersion":"batch/v1","kind":"Job","metadata":{{"generateName":"a-"}},"x":"{x}"}}"#)
        };
        let targets = placed(&rendered(&[&hook("1"), &hook("2")]), "team");
        assert_eq!((targets.objects.len(), targets.duplicates.len()), (2, 0));
    }

    #[test]
    fn what_is_sent_stays_the_same_when_it_is_sent_again() {
        let text = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","uid":"x"},"stringData":{"a":"b"},"data":{"c":"ZA=="}}"#;
        let once = placed(&rendered(&[text]), "team");
        let again = Rendered::new(
            Tool::Directory,
            once.objects.iter().map(|target| target.manifest.clone()).collect(),
            Vec::new(),
        );
        assert_eq!(placed(&again, "team"), once);
    }

    fn objects() -> impl Strategy<Value = Vec<String>> {
        let key = ("[a-d]", prop_oneof!["ConfigMap", "Secret", "ClusterRole", "Job"], "[xy]?");
        let unique = proptest::collection::btree_map(key, 0..3_u8, 0..12);
        unique.prop_map(|objects| {
            let object = |((name, kind, namespace), value): ((String, String, String), u8)| {
                let namespace = if namespace.is_empty() { String::new() } else { format!(r#","namespace":"{namespace}""#) };
                format!(r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"name":"{name}"{namespace}}},"data":{{"v":"{value}"}}}}"#)
            };
            objects.into_iter().map(object).collect()
        })
    }

    proptest! {
        #[test]
        fn nothing_depends_on_the_order_of_files((sorted, shuffled) in objects().prop_flat_map(|objects| {
            (Just(objects.clone()), Just(objects).prop_shuffle())
        })) {
            let of = |objects: &[String]| placed(&rendered(&objects.iter().map(String::as_str).collect::<Vec<_>>()), "z");
            let (one, other) = (of(&sorted), of(&shuffled));
            // Of equal objects the last counts, which is the one thing that the order decides.
            prop_assert_eq!(&one.duplicates, &other.duplicates);
            if one.duplicates.is_empty() {
                prop_assert_eq!(one, other);
            }
        }

        #[test]
        fn a_change_changes_the_digest(objects in objects(), at in 0..12_usize) {
            prop_assume!(!objects.is_empty());
            let of = |objects: &[String]| placed(&rendered(&objects.iter().map(String::as_str).collect::<Vec<_>>()), "z");
            let before = of(&objects);
            prop_assume!(before.duplicates.is_empty());
            let mut changed = objects.clone();
            let at = at % changed.len();
            changed[at] = changed[at].replace(r#""v":""#, r#""v":"9"#);
            prop_assert_ne!(of(&changed).digest, before.digest);
            changed.remove(at);
            prop_assert_ne!(of(&changed).digest, before.digest);
        }
    }
}
