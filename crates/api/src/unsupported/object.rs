//! What the annotations of one object may say that is not honoured: hooks, waves, options.
//!
//! Entry point: [`object_unsupported`].

use trueup_object::Manifest;

use super::options::{Level, option_unsupported};
use super::{Row, Unsupported, apply};
use crate::annotations::{HELM_HOOK, HELM_HOOK_WEIGHT, HOOK, SYNC_OPTIONS, SYNC_WAVE};
use crate::options::{is_skipped, parts};

/// Annotations of an object.
const OBJECT: &[Row<Manifest>] = &[
    Row {
        field: HOOK,
        stops: true,
        message: "hooks are not run yet: remove the annotation to apply the object, or make it Skip to leave it out",
        found: |manifest| manifest.annotation(HOOK).is_some_and(|hook| !is_skipped(hook)),
    },
    Row {
        field: HELM_HOOK,
        stops: true,
        message: "hooks are not run yet: remove the annotation to apply the object",
        // Argo CD's own annotation beats Helm's, and a crd-install is an object like any other.
        found: |manifest| {
            manifest.annotation(HELM_HOOK).is_some_and(|hook| hook != "crd-install")
                && manifest.annotation(HOOK).is_none()
        },
    },
    Row {
        field: SYNC_WAVE,
        stops: false,
        message: "waves are not kept yet: objects are applied in the order of their kinds",
        found: |manifest| is_wave(manifest, SYNC_WAVE),
    },
    Row {
        field: HELM_HOOK_WEIGHT,
        stops: false,
        message: "waves are not kept yet: objects are applied in the order of their kinds",
        found: |manifest| is_wave(manifest, HELM_HOOK_WEIGHT) && wave(manifest, SYNC_WAVE).is_none(),
    },
];

/// What of an object's annotations is not honoured: hooks, waves, options.
pub fn object_unsupported(manifest: &Manifest) -> Vec<Unsupported> {
    let options = manifest.annotation(SYNC_OPTIONS).unwrap_or_default();
    // What is left out of the application needs nothing.
    if manifest.annotation(HOOK).is_some_and(is_skipped) {
        return Vec::new();
    }
    let options = parts(options).filter_map(|option| option_unsupported(option, SYNC_OPTIONS, Level::Object));
    apply(OBJECT, manifest).chain(options).collect()
}

fn wave(manifest: &Manifest, annotation: &str) -> Option<i64> {
    manifest.annotation(annotation)?.parse().ok()
}

fn is_wave(manifest: &Manifest, annotation: &str) -> bool {
    wave(manifest, annotation).is_some_and(|wave| wave != 0)
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;
    use crate::unsupported::examples::fields;

    fn of_object(annotations: &[(&str, &str)]) -> Vec<Unsupported> {
        let mut node = Node::from_json(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#).unwrap();
        for (key, value) in annotations {
            node.set_at(&["metadata", "annotations", key], (*value).into());
        }
        object_unsupported(&Manifest::try_from(node).unwrap())
    }

    #[test]
    fn every_row_of_objects() {
        for row in OBJECT {
            let value = match row.field {
                HOOK => "PreSync",
                HELM_HOOK => "pre-install",
                SYNC_WAVE | HELM_HOOK_WEIGHT => "-1",
                other => panic!("{other} has no example"),
            };
            assert_eq!(
                fields(&of_object(&[(row.field, value)])),
                [format!("{}{}", if row.stops { "!" } else { "" }, row.field)]
            );
        }
        assert_eq!(of_object(&[("a", "b")]), []);
    }

    #[test]
    fn hooks_stop_unless_they_are_skipped() {
        for (annotations, stops) in [
            (&[(HOOK, "Skip")][..], false),
            (&[(HOOK, "Skip,PreSync")][..], true),
            (&[(HOOK, "Nonsense")][..], true),
            (&[(HOOK, "")][..], true),
            (&[(HELM_HOOK, "crd-install")][..], false),
            (&[(HELM_HOOK, "test")][..], true),
            (&[(HELM_HOOK, "pre-install"), (HOOK, "Skip")][..], false),
            (&[(HOOK, "Skip"), (SYNC_OPTIONS, "Replace=true")][..], false),
        ] {
            assert_eq!(of_object(annotations).iter().any(|found| found.stops), stops, "{annotations:?}");
        }
    }

    #[test]
    fn waves_warn_unless_they_are_the_first() {
        for (annotations, warned) in [
            (&[(SYNC_WAVE, "0")][..], &[][..]),
            (&[(SYNC_WAVE, "5")][..], &[SYNC_WAVE][..]),
            (&[(SYNC_WAVE, "first")][..], &[][..]),
            (&[(HELM_HOOK_WEIGHT, "5"), (SYNC_WAVE, "0")][..], &[][..]),
            (&[(HELM_HOOK_WEIGHT, "5")][..], &[HELM_HOOK_WEIGHT][..]),
        ] {
            assert_eq!(fields(&of_object(annotations)), warned, "{annotations:?}");
        }
    }

    #[test]
    fn options_are_looked_at() {
        assert_eq!(fields(&of_object(&[(SYNC_OPTIONS, "Prune=false, Replace=true")])), [format!("!{SYNC_OPTIONS}")]);
    }
}
