//! Sync options: of an Application (`spec.syncPolicy.syncOptions`), of an operation, and of one object (its annotations).
//!
//! Options are texts such as `Prune=false`, compared exactly. Whatever would keep an object from being deleted wins: any value
//! of `Prune` and `Delete` other than `true` keeps it. What is not honoured is in [`crate::unsupported`]. Entry points:
//! [`SyncOptions::read`] and [`object_options`].

use trueup_object::Node;

use crate::annotations;

/// The options of an Application or an operation, as far as they are honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct SyncOptions {
    /// The destination namespace is made if it is not there (`CreateNamespace=true`).
    pub create_namespace: bool,
    /// Fields that the server does not know are refused; false with `Validate=false`.
    pub validate: bool,
    /// Objects that Git no longer has may be deleted; false with `Prune=false` and `Prune=confirm`.
    pub prune: bool,
    /// Objects may be deleted with their Application; false with `Delete=false` and `Delete=confirm`.
    pub delete: bool,
}

/// The options of one object, from its annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct ObjectOptions {
    /// It is neither applied nor compared (`hook: Skip`).
    pub skip: bool,
    /// It may be deleted when Git no longer has it.
    pub prune: bool,
    /// It may be deleted with its Application.
    pub delete: bool,
    /// Fields that the server does not know are refused.
    pub validate: bool,
    /// Its health does not count for the Application.
    pub ignore_healthcheck: bool,
    /// It is never deleted (`helm.sh/resource-policy: keep`).
    pub keep: bool,
    /// Without it in Git the Application is in line all the same.
    pub ignore_extraneous: bool,
}

// === impl SyncOptions ===

impl Default for SyncOptions {
    fn default() -> Self {
        Self { create_namespace: false, validate: true, prune: true, delete: true }
    }
}

impl SyncOptions {
    /// Reads options as a specification or an operation lists them.
    pub fn read(options: &[String]) -> Self {
        let has = |option: &str| options.iter().any(|other| other == option);
        let keeps = |name: &str| options.iter().any(|option| is_other_than_true(option, name));
        Self {
            create_namespace: has("CreateNamespace=true"),
            validate: !has("Validate=false"),
            prune: !keeps("Prune"),
            delete: !keeps("Delete"),
        }
    }
}

// === impl ObjectOptions ===

impl Default for ObjectOptions {
    fn default() -> Self {
        Self {
            skip: false,
            prune: true,
            delete: true,
            validate: true,
            ignore_healthcheck: false,
            keep: false,
            ignore_extraneous: false,
        }
    }
}

/// The options of a desired or live object.
pub fn object_options(node: &Node) -> ObjectOptions {
    let Some(found) = node.at(&["metadata", "annotations"]).and_then(Node::as_map) else {
        return ObjectOptions::default();
    };
    let text = |key: &str| found.get(key).and_then(Node::as_str).unwrap_or_default();
    let sync = text(annotations::SYNC_OPTIONS);
    ObjectOptions {
        skip: is_skipped(text(annotations::HOOK)),
        prune: !parts(sync).any(|option| is_other_than_true(option, "Prune")),
        delete: !parts(sync).any(|option| is_other_than_true(option, "Delete")),
        validate: !parts(sync).any(|option| option == "Validate=false"),
        ignore_healthcheck: text(annotations::IGNORE_HEALTHCHECK) == "true",
        keep: parts(text(annotations::HELM_RESOURCE_POLICY)).any(|policy| policy == "keep"),
        ignore_extraneous: parts(text(annotations::COMPARE_OPTIONS)).any(|option| option == "IgnoreExtraneous"),
    }
}

/// Whether an object itself says that it may be pruned, which wins over its Application.
pub fn prunes_explicitly(node: &Node) -> bool {
    says_explicitly(node, "Prune=true") && object_options(node).prune
}

/// Whether an object itself says that it may be deleted with its Application, which wins over the Application.
pub fn deletes_explicitly(node: &Node) -> bool {
    says_explicitly(node, "Delete=true") && object_options(node).delete
}

fn says_explicitly(node: &Node, option: &str) -> bool {
    node.str_at(&["metadata", "annotations", annotations::SYNC_OPTIONS])
        .is_some_and(|text| parts(text).any(|other| other == option))
}

/// The parts of an annotation that is separated by commas.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// `Skip`, alone or with words that are no phases: those are ignored.
pub(crate) fn is_skipped(hook: &str) -> bool {
    const PHASES: [&str; 6] = ["PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"];
    let mut phases = parts(hook).filter(|part| *part == "Skip" || PHASES.contains(part)).peekable();
    phases.peek().is_some() && phases.all(|phase| phase == "Skip")
}

/// Whether an option of this name has a value other than `true`: then the object stays.
fn is_other_than_true(option: &str, name: &str) -> bool {
    option.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).is_some_and(|value| value != "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(key: &str, value: &str) -> Node {
        let mut node = Node::map();
        node.set_at(&["metadata", "annotations", key], value.into());
        node
    }

    #[test]
    fn whatever_keeps_an_object_wins() {
        for (options, prune, delete) in [
            (&[][..], true, true),
            (&["Prune=true", "Delete=true"][..], true, true),
            (&["Prune=false"][..], false, true),
            (&["Prune=confirm"][..], false, true),
            (&["Prune=true", "Prune=false"][..], false, true),
            (&["Prune=flase"][..], false, true),
            (&["Delete=false"][..], true, false),
            (&["Delete=confirm"][..], true, false),
            (&["PruneLast=true"][..], true, true),
        ] {
            let list: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
            let read = SyncOptions::read(&list);
            assert_eq!((read.prune, read.delete), (prune, delete), "{options:?}");
            let object = object_options(&annotated(annotations::SYNC_OPTIONS, &options.join(" , ")));
            assert_eq!((object.prune, object.delete), (prune, delete), "{options:?}");
        }
    }

    #[test]
    fn an_object_may_say_so_itself() {
        assert!(prunes_explicitly(&annotated(annotations::SYNC_OPTIONS, "Prune=true")));
        assert!(!prunes_explicitly(&annotated(annotations::SYNC_OPTIONS, "Prune=true,Prune=confirm")));
        assert!(!prunes_explicitly(&Node::map()));
        assert!(deletes_explicitly(&annotated(annotations::SYNC_OPTIONS, "Delete=true")));
    }

    #[test]
    fn reads_the_options_of_an_application() {
        let list = ["CreateNamespace=true", "Validate=false"].map(str::to_owned);
        assert_eq!(
            SyncOptions::read(&list),
            SyncOptions { create_namespace: true, validate: false, ..SyncOptions::default() }
        );
        assert_eq!(SyncOptions::read(&["createnamespace=true".to_owned()]), SyncOptions::default());
    }

    #[test]
    fn skip_is_skip_only_alone() {
        for (hook, skip) in [
            ("Skip", true),
            (" Skip ", true),
            ("Skip,Nonsense", true),
            ("Skip,PreSync", false),
            ("PreSync", false),
            ("skip", false),
            ("", false),
        ] {
            assert_eq!(object_options(&annotated(annotations::HOOK, hook)).skip, skip, "{hook}");
        }
    }

    #[test]
    fn reads_the_other_annotations_of_an_object() {
        assert!(object_options(&annotated(annotations::IGNORE_HEALTHCHECK, "true")).ignore_healthcheck);
        assert!(object_options(&annotated(annotations::HELM_RESOURCE_POLICY, "keep")).keep);
        assert!(
            object_options(&annotated(annotations::COMPARE_OPTIONS, "IgnoreExtraneous,ServerSideDiff=true"))
                .ignore_extraneous
        );
        assert!(
            !object_options(&annotated(annotations::SYNC_OPTIONS, "SkipDryRunOnMissingResource=true,Validate=false"))
                .validate
        );
        assert_eq!(object_options(&Node::map()), ObjectOptions::default());
        let mut odd = Node::map();
        odd.set_at(&["metadata", "annotations"], "text".into());
        assert_eq!(object_options(&odd), ObjectOptions::default());
    }
}
