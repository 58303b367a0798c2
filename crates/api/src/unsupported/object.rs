//! What the annotations of one object may say that is not honoured: hooks, waves, options.
//!
//! Entry point: [`object_unsupported`].

use trueup_object::Manifest;

use super::Unsupported;
use super::options::{Level, option_unsupported, shown};
use crate::annotations::{HELM_HOOK, HELM_HOOK_DELETE_POLICY, HOOK, HOOK_DEADLINE, HOOK_DELETE_POLICY, SYNC_OPTIONS};
use crate::deadlines;
use crate::hook::{self, is_skipped};
use crate::options::parts;

/// What of an object's annotations is not honoured: hooks, waves, options.
pub fn object_unsupported(manifest: &Manifest) -> Vec<Unsupported> {
    let options = manifest.annotation(SYNC_OPTIONS).unwrap_or_default();
    // What is left out of the application needs nothing.
    if is_skipped(manifest.node()) {
        return Vec::new();
    }
    let options = parts(options).filter_map(|option| option_unsupported(option, SYNC_OPTIONS, Level::Object));
    wrong_hook(manifest).into_iter().chain(wrong_waves(manifest)).chain(options).collect()
}

/// What a hook's annotations say that means nothing.
fn wrong_hook(manifest: &Manifest) -> Vec<Unsupported> {
    let Some(reading) = hook::read(manifest.node()) else { return Vec::new() };
    let mut wrong: Vec<Unsupported> = reading
        .unknown
        .iter()
        .map(|(annotation, word)| {
            Unsupported::new(annotation, false, format!("{}: {}", shown(word), unknown_word(annotation)))
        })
        .collect();
    // Helm's hooks for its own tests and rollbacks are meant to be left out.
    let (own, helm) = (manifest.annotation(HOOK).is_some(), reading.unknown.iter().any(|(name, _)| *name == HELM_HOOK));
    if reading.hook.phases.is_empty() && (own || helm) {
        let field = if own { HOOK } else { HELM_HOOK };
        wrong.push(Unsupported::new(field, false, "names no phase of a sync, so the hook never runs".to_owned()));
    }
    wrong.extend(manifest.annotation(HOOK_DEADLINE).and_then(|text| deadlines::warning(HOOK_DEADLINE, text)));
    wrong
}

fn unknown_word(annotation: &str) -> &'static str {
    match annotation {
        HOOK => {
            "there is no such phase, it may be one of PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete and Skip"
        }
        HOOK_DELETE_POLICY => {
            "there is no such policy, it may be one of BeforeHookCreation, HookSucceeded and HookFailed"
        }
        HELM_HOOK_DELETE_POLICY => {
            "there is no such policy, it may be one of before-hook-creation, hook-succeeded and hook-failed"
        }
        _ => "Helm has no such hook, it has no effect",
    }
}

fn wrong_waves(manifest: &Manifest) -> impl Iterator<Item = Unsupported> {
    hook::wrong_waves(manifest.node())
        .map(|annotation| Unsupported::new(annotation, false, "not a whole number, it has no effect".to_owned()))
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;
    use crate::annotations::{HELM_HOOK_WEIGHT, SYNC_WAVE};
    use crate::unsupported::examples::fields;

    fn of_object(annotations: &[(&str, &str)]) -> Vec<Unsupported> {
        let mut node = Node::from_json(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#).unwrap();
        for (key, value) in annotations {
            node.set_at(&["metadata", "annotations", key], (*value).into());
        }
        object_unsupported(&Manifest::try_from(node).unwrap())
    }

    #[test]
    fn hooks_stop_nothing() {
        for annotations in [
            &[(HOOK, "PreSync,Sync,PostSync,SyncFail")][..],
            &[(HOOK, "PreSync,PreDelete")][..],
            &[(HELM_HOOK, "post-delete")][..],
            &[(HELM_HOOK, "test")][..],
            &[(HOOK, "Nonsense")][..],
            &[(HOOK, "Skip"), (SYNC_OPTIONS, "Replace=yes")][..],
        ] {
            assert!(of_object(annotations).iter().all(|found| !found.stops), "{annotations:?}");
        }
    }

    #[test]
    fn waves_that_are_no_numbers_are_told() {
        for (annotations, warned) in [
            (&[(SYNC_WAVE, "-5")][..], &[][..]),
            (&[(SYNC_WAVE, "first")][..], &[SYNC_WAVE][..]),
            (&[(HELM_HOOK_WEIGHT, "x"), (SYNC_WAVE, "0")][..], &[HELM_HOOK_WEIGHT][..]),
        ] {
            assert_eq!(fields(&of_object(annotations)), warned, "{annotations:?}");
        }
    }

    #[test]
    fn words_that_mean_nothing_are_told() {
        let warned = |annotations: &[(&str, &str)]| {
            fields(&of_object(annotations).into_iter().filter(|found| !found.stops).collect::<Vec<_>>())
        };
        for (annotations, expected) in [
            (&[(HOOK, "PreSync"), (HOOK_DELETE_POLICY, "HookSucceeded")][..], &[][..]),
            (&[(HOOK, "PreSync,Nonsense")][..], &[HOOK][..]),
            (&[(HOOK, "Nonsense")][..], &[HOOK, HOOK][..]),
            (&[(HOOK, "")][..], &[HOOK][..]),
            (&[(HOOK, "PreSync"), (HOOK_DELETE_POLICY, "Never")][..], &[HOOK_DELETE_POLICY][..]),
            (
                &[(HELM_HOOK, "pre-install"), (HELM_HOOK_DELETE_POLICY, "HookFailed")][..],
                &[HELM_HOOK_DELETE_POLICY][..],
            ),
            (&[(HOOK, "PreSync"), (HOOK_DEADLINE, "10m")][..], &[][..]),
            (&[(HOOK, "PreSync"), (HOOK_DEADLINE, "soon")][..], &[HOOK_DEADLINE][..]),
            (&[(HELM_HOOK, "pre-instal")][..], &[HELM_HOOK, HELM_HOOK][..]),
            (&[(HELM_HOOK, "test")][..], &[][..]),
            (&[(HELM_HOOK, "test"), (HELM_HOOK_DELETE_POLICY, "Never")][..], &[HELM_HOOK_DELETE_POLICY][..]),
            (&[(HELM_HOOK, "crd-install"), (HELM_HOOK_DELETE_POLICY, "Never")][..], &[][..]),
            (&[(HOOK, "Skip"), (HOOK_DELETE_POLICY, "Never"), (SYNC_WAVE, "x")][..], &[][..]),
        ] {
            assert_eq!(warned(annotations), expected, "{annotations:?}");
        }
        assert!(of_object(&[(HOOK, &"é".repeat(500))]).iter().all(|found| found.message.len() < 400));
    }

    #[test]
    fn options_are_looked_at() {
        assert_eq!(fields(&of_object(&[(SYNC_OPTIONS, "Prune=false, Replace=yes")])), [SYNC_OPTIONS]);
    }
}
