//! What makes an object a hook, in which phases it runs, when it is deleted, and in which wave an object is.
//!
//! Argo CD's annotation beats Helm's, for each object as a whole; where it names no phase that there is, Helm's counts. A word
//! that nobody knows is left out, and [`crate::object_unsupported`] says so. Entry points: [`hook`] and [`wave`].

use std::collections::BTreeSet;
use std::fmt;

use trueup_object::Node;

use crate::annotations::{HELM_HOOK, HELM_HOOK_DELETE_POLICY, HELM_HOOK_WEIGHT, HOOK, HOOK_DELETE_POLICY, SYNC_WAVE};
use crate::options::parts;

/// When a hook runs. They are ordered as a sync and a deletion go through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPhase {
    /// Before everything else.
    PreSync,
    /// With the other objects.
    Sync,
    /// When everything is in place and healthy.
    PostSync,
    /// When the sync has failed.
    SyncFail,
    /// Before the objects are deleted with their Application.
    PreDelete,
    /// After the objects were deleted with their Application.
    PostDelete,
}

/// When a hook is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub struct DeletePolicy {
    /// Before it is made anew.
    pub before_creation: bool,
    /// When the operation has succeeded.
    pub succeeded: bool,
    /// When the operation has failed.
    pub failed: bool,
    /// Nothing is said of it.
    pub by_default: bool,
}

/// An object that runs at certain times instead of being kept in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When it runs; a hook without any never does.
    pub phases: BTreeSet<HookPhase>,
    /// When it is deleted; if nothing is said of that, before it is made anew.
    pub delete: DeletePolicy,
}

/// A hook, and the words of its annotations that mean nothing.
pub(crate) struct Reading<'a> {
    pub(crate) hook: Hook,
    /// The annotation and the word.
    pub(crate) unknown: Vec<(&'static str, &'a str)>,
}

/// `Skip` alone takes an object out of the application.
const SKIP: &str = "Skip";
/// Helm's word for a definition that is no hook here but an object like any other.
const CRD_INSTALL: &str = "crd-install";
/// Helm's hooks that never run in a sync, as users know.
const NEVER_RUN: [&str; 6] = ["test", "test-success", "test-failure", "pre-rollback", "post-rollback", CRD_INSTALL];

/// What makes an object a hook; nothing if it is none, or is skipped.
pub fn hook(node: &Node) -> Option<Hook> {
    read(node).map(|reading| reading.hook)
}

/// The wave of an object: lower ones come first when objects are applied, last when they are deleted. What is no whole number
/// counts as absent.
pub fn wave(node: &Node) -> i64 {
    [SYNC_WAVE, HELM_HOOK_WEIGHT].into_iter().find_map(|name| annotation(node, name)?.parse().ok()).unwrap_or_default()
}

/// Those of the annotations for waves that are no whole numbers.
pub(crate) fn wrong_waves(node: &Node) -> impl Iterator<Item = &'static str> {
    let wrong = |name: &&str| annotation(node, name).is_some_and(|text| text.parse::<i64>().is_err());
    [SYNC_WAVE, HELM_HOOK_WEIGHT].into_iter().filter(wrong)
}

/// Whether an object is taken out of the application: `Skip`, alone or with words that are no phases.
pub(crate) fn is_skipped(node: &Node) -> bool {
    annotation(node, HOOK).is_some_and(|text| {
        let mut words = parts(text).filter(|word| *word == SKIP || HookPhase::named(word).is_some()).peekable();
        words.peek().is_some() && words.all(|word| word == SKIP)
    })
}

/// The hook with what is wrong about it.
pub(crate) fn read(node: &Node) -> Option<Reading<'_>> {
    let (own, helm) = (annotation(node, HOOK), annotation(node, HELM_HOOK));
    if is_skipped(node) || (own.is_none() && helm.is_none_or(|text| text == CRD_INSTALL)) {
        return None;
    }
    let mut unknown = Vec::new();
    let mut phases = BTreeSet::new();
    for word in parts(own.unwrap_or_default()).filter(|word| *word != SKIP) {
        match HookPhase::named(word) {
            Some(phase) => drop(phases.insert(phase)),
            None => unknown.push((HOOK, word)),
        }
    }
    if phases.is_empty() {
        for word in parts(helm.unwrap_or_default()).filter(|word| !NEVER_RUN.contains(word)) {
            match HookPhase::of_helm(word) {
                Some(phase) => drop(phases.insert(phase)),
                None => unknown.push((HELM_HOOK, word)),
            }
        }
    }
    let delete = DeletePolicy::read(node, &mut unknown);
    Some(Reading { hook: Hook { phases, delete }, unknown })
}

fn annotation<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.str_at(&["metadata", "annotations", name])
}

// === impl HookPhase ===

impl HookPhase {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::PreSync, Self::Sync, Self::PostSync, Self::SyncFail, Self::PreDelete, Self::PostDelete];

    /// The word that annotations and the status have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
            Self::PreDelete => "PreDelete",
            Self::PostDelete => "PostDelete",
        }
    }

    /// The phase of a word, exactly as [`Self::name`] spells it.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == word)
    }

    fn of_helm(word: &str) -> Option<Self> {
        match word {
            "pre-install" | "pre-upgrade" => Some(Self::PreSync),
            "post-install" | "post-upgrade" => Some(Self::PostSync),
            "pre-delete" => Some(Self::PreDelete),
            "post-delete" => Some(Self::PostDelete),
            _ => None,
        }
    }
}

impl fmt::Display for HookPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

// === impl DeletePolicy ===

impl DeletePolicy {
    /// Both annotations together, as upstream.
    fn read<'a>(node: &'a Node, unknown: &mut Vec<(&'static str, &'a str)>) -> Self {
        let mut policy = Self::default();
        for (name, words) in [
            (HOOK_DELETE_POLICY, ["BeforeHookCreation", "HookSucceeded", "HookFailed"]),
            (HELM_HOOK_DELETE_POLICY, ["before-hook-creation", "hook-succeeded", "hook-failed"]),
        ] {
            for word in parts(annotation(node, name).unwrap_or_default()) {
                match words.iter().position(|known| *known == word) {
                    Some(0) => policy.before_creation = true,
                    Some(1) => policy.succeeded = true,
                    Some(_) => policy.failed = true,
                    None => unknown.push((name, word)),
                }
            }
        }
        if policy == Self::default() { Self { before_creation: true, by_default: true, ..policy } } else { policy }
    }
}

#[cfg(test)]
mod tests {
    use HookPhase::{PostDelete, PostSync, PreDelete, PreSync, Sync, SyncFail};

    use super::*;

    fn annotated(annotations: &[(&str, &str)]) -> Node {
        let mut node = Node::map();
        for (key, value) in annotations {
            node.set_at(&["metadata", "annotations", key], (*value).into());
        }
        node
    }

    /// The phases, and the words that mean nothing.
    fn phases(annotations: &[(&str, &str)]) -> Option<(Vec<HookPhase>, Vec<String>)> {
        let node = annotated(annotations);
        let reading = read(&node)?;
        assert_eq!(hook(&node).as_ref(), Some(&reading.hook));
        let unknown = reading.unknown.iter().map(|(_, word)| (*word).to_owned()).collect();
        Some((reading.hook.phases.into_iter().collect(), unknown))
    }

    #[test]
    fn which_objects_are_hooks_and_when_they_run() {
        for (annotations, expected) in [
            (&[][..], None),
            (&[("a", "b")][..], None),
            (&[(HOOK, "PreSync")][..], Some((&[PreSync][..], &[][..]))),
            (&[(HOOK, "Sync")][..], Some((&[Sync][..], &[][..]))),
            (&[(HOOK, "PostSync")][..], Some((&[PostSync][..], &[][..]))),
            (&[(HOOK, "SyncFail")][..], Some((&[SyncFail][..], &[][..]))),
            (&[(HOOK, "PreDelete")][..], Some((&[PreDelete][..], &[][..]))),
            (&[(HOOK, "PostDelete")][..], Some((&[PostDelete][..], &[][..]))),
            (&[(HOOK, "PostSync, PreSync,,PreSync")][..], Some((&[PreSync, PostSync][..], &[][..]))),
            (&[(HOOK, "PostSync,PostDelete")][..], Some((&[PostSync, PostDelete][..], &[][..]))),
            (&[(HOOK, "PreSync,Nonsense")][..], Some((&[PreSync][..], &["Nonsense"][..]))),
            (&[(HOOK, "presync")][..], Some((&[][..], &["presync"][..]))),
            (&[(HOOK, "")][..], Some((&[][..], &[][..]))),
            (&[(HOOK, "Skip")][..], None),
            (&[(HOOK, "Skip,Nonsense")][..], None),
            (&[(HOOK, "Skip,PreSync")][..], Some((&[PreSync][..], &[][..]))),
            (&[(HELM_HOOK, "pre-install")][..], Some((&[PreSync][..], &[][..]))),
            (&[(HELM_HOOK, "pre-upgrade")][..], Some((&[PreSync][..], &[][..]))),
            (&[(HELM_HOOK, "post-install")][..], Some((&[PostSync][..], &[][..]))),
            (&[(HELM_HOOK, "post-upgrade")][..], Some((&[PostSync][..], &[][..]))),
            (&[(HELM_HOOK, "pre-delete")][..], Some((&[PreDelete][..], &[][..]))),
            (&[(HELM_HOOK, "post-delete")][..], Some((&[PostDelete][..], &[][..]))),
            (&[(HELM_HOOK, "pre-install, post-delete")][..], Some((&[PreSync, PostDelete][..], &[][..]))),
            (&[(HELM_HOOK, "crd-install")][..], None),
            (&[(HELM_HOOK, "crd-install,pre-install")][..], Some((&[PreSync][..], &[][..]))),
            (&[(HELM_HOOK, "test")][..], Some((&[][..], &[][..]))),
            (&[(HELM_HOOK, "test-success,pre-rollback,post-rollback")][..], Some((&[][..], &[][..]))),
            (&[(HELM_HOOK, "pre-instal")][..], Some((&[][..], &["pre-instal"][..]))),
            // One beats the other as a whole.
            (&[(HOOK, "PostSync"), (HELM_HOOK, "pre-install")][..], Some((&[PostSync][..], &[][..]))),
            (&[(HOOK, "Skip"), (HELM_HOOK, "pre-install")][..], None),
            (&[(HOOK, "Nonsense"), (HELM_HOOK, "pre-install")][..], Some((&[PreSync][..], &["Nonsense"][..]))),
            (&[(HOOK, "PreSync"), (HELM_HOOK, "crd-install")][..], Some((&[PreSync][..], &[][..]))),
        ] {
            let expected = expected.map(|(phases, unknown): (&[HookPhase], &[&str])| {
                (phases.to_vec(), unknown.iter().map(|word| (*word).to_owned()).collect())
            });
            assert_eq!(phases(annotations), expected, "{annotations:?}");
        }
    }

    #[test]
    fn only_skip_takes_an_object_out() {
        for (text, skipped) in [
            ("Skip", true),
            (" Skip ", true),
            ("Skip,Nonsense", true),
            ("Skip,PreSync", false),
            ("PreSync", false),
            ("skip", false),
            ("", false),
        ] {
            assert_eq!(is_skipped(&annotated(&[(HOOK, text)])), skipped, "{text}");
        }
        assert!(!is_skipped(&Node::map()));
    }

    #[test]
    fn when_hooks_are_deleted() {
        let policy =
            |before_creation, succeeded, failed| DeletePolicy { before_creation, succeeded, failed, by_default: false };
        let default = DeletePolicy { by_default: true, ..policy(true, false, false) };
        for (own, helm, expected, wrong) in [
            ("", "", default, 0),
            ("BeforeHookCreation", "", policy(true, false, false), 0),
            ("HookSucceeded", "", policy(false, true, false), 0),
            ("HookFailed", "", policy(false, false, true), 0),
            ("HookSucceeded, HookFailed", "", policy(false, true, true), 0),
            ("", "before-hook-creation", policy(true, false, false), 0),
            ("", "hook-succeeded", policy(false, true, false), 0),
            ("", "hook-failed,before-hook-creation", policy(true, false, true), 0),
            ("HookFailed", "hook-succeeded", policy(false, true, true), 0),
            ("hook-succeeded", "HookFailed", default, 2),
            ("HookSucceeded,Never", "", policy(false, true, false), 1),
        ] {
            let node = annotated(&[(HOOK, "PreSync"), (HOOK_DELETE_POLICY, own), (HELM_HOOK_DELETE_POLICY, helm)]);
            let reading = read(&node).unwrap();
            assert_eq!((reading.hook.delete, reading.unknown.len()), (expected, wrong), "{own} {helm}");
        }
    }

    #[test]
    fn waves() {
        for (own, helm, expected, wrong) in [
            (None, None, 0, &[][..]),
            (Some("5"), None, 5, &[][..]),
            (Some("-3"), Some("7"), -3, &[][..]),
            (Some("+2"), None, 2, &[][..]),
            (Some("0"), Some("7"), 0, &[][..]),
            (None, Some("-7"), -7, &[][..]),
            (Some("first"), None, 0, &[SYNC_WAVE][..]),
            (Some("first"), Some("7"), 7, &[SYNC_WAVE][..]),
            (Some("1.5"), Some(" 7"), 0, &[SYNC_WAVE, HELM_HOOK_WEIGHT][..]),
            (Some("99999999999999999999"), None, 0, &[SYNC_WAVE][..]),
        ] {
            let own = own.map(|text| (SYNC_WAVE, text));
            let helm = helm.map(|text| (HELM_HOOK_WEIGHT, text));
            let node = annotated(&own.into_iter().chain(helm).collect::<Vec<_>>());
            assert_eq!(wave(&node), expected, "{own:?} {helm:?}");
            assert_eq!(wrong_waves(&node).collect::<Vec<_>>(), wrong, "{own:?} {helm:?}");
        }
    }

    #[test]
    fn phases_are_ordered_and_have_upstreams_names() {
        assert!(HookPhase::ALL.is_sorted());
        for phase in HookPhase::ALL {
            assert_eq!(HookPhase::named(&phase.to_string()), Some(phase));
        }
        assert_eq!(HookPhase::named("Skip"), None);
    }
}
