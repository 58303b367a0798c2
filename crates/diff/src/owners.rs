//! Who owns what: the entries of `metadata.managedFields`.
//!
//! Invariant: an entry's paths are only read where they mean something, which is at the API version that the object was
//! read at; `metadata` and `spec.replicas` are the same at every version. Entry point: [`Owners::of`].

use trueup_object::{FieldSet, Node, Path, Step};

use crate::Owner;
use crate::kinds::Evidence;

/// The name under which we write.
pub const MANAGER: &str = "trueup";

/// Former managers whose entries are dropped when an object is taken over. Their Update entries also hold the server's
/// defaults, so only their Apply entries say what they were responsible for.
pub const PREDECESSORS: [&str; 4] = ["argocd-controller", KUBECTL, "helm", "before-first-apply"];

/// What client-side apply by kubectl is called.
const KUBECTL: &str = "kubectl-client-side-apply";

/// Which managers are taken for former ones, whose fields are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former<'a> {
    /// The manager that the Application's migration annotation names.
    pub named: Option<&'a str>,
    /// Whether kubectl's client-side apply is one. Otherwise what it holds is left to it, as another applier's.
    pub kubectl: bool,
}

/// All entries of one object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    entries: Vec<Entry>,
    api_version: String,
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) owner: Owner,
    pub(crate) api_version: String,
    pub(crate) set: FieldSet,
}

/// Whether two states of one object differ in nothing but who owns what, and the version that comes with it.
pub fn only_managed_fields_differ(a: &Node, b: &Node) -> bool {
    let plain = |node: &Node| {
        let mut node = node.clone();
        node.remove_at(&["metadata", "managedFields"]);
        node.remove_at(&["metadata", "resourceVersion"]);
        node
    };
    plain(a) == plain(b)
}

// === impl Former ===

impl Default for Former<'_> {
    fn default() -> Self {
        Self { named: None, kubectl: true }
    }
}

impl Former<'_> {
    fn has(self, manager: &str) -> bool {
        (PREDECESSORS.contains(&manager) && (self.kubectl || manager != KUBECTL)) || self.named == Some(manager)
    }
}

// === impl Owners ===

impl Owners {
    /// Reads the entries of a live object. An entry that cannot be read owns nothing that we could name.
    pub(crate) fn of(live: &Node) -> Self {
        let entries = live.list_at(&["metadata", "managedFields"]).iter();
        Self {
            entries: entries.map(Entry::read).collect(),
            api_version: live.str_at(&["apiVersion"]).unwrap_or_default().to_owned(),
        }
    }

    /// All entries, in the order of the object.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Our own Apply entry.
    pub(crate) fn ours(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_ours())
    }

    /// What the entries say about the object's lists and maps, whoever owns them.
    pub(crate) fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::default();
        let readable = self.entries.iter().filter(|entry| entry.api_version == self.api_version);
        readable.for_each(|entry| evidence.learn(&entry.set));
        evidence
    }

    /// The part of an entry's set that can be read at the object's own version.
    pub(crate) fn readable(&self, entry: &Entry) -> FieldSet {
        if entry.api_version == self.api_version {
            return entry.set.clone();
        }
        let metadata: FieldSet = [&Path::of_fields(&["metadata"])].into_iter().collect();
        entry.set.difference(&entry.set.difference_below(&metadata))
    }

    /// The entries that own `path`, something in it, or what it lies in.
    pub(crate) fn holding<'a>(&'a self, path: &Path) -> impl Iterator<Item = &'a Entry> {
        let portable = is_portable(path);
        self.entries
            .iter()
            .filter(move |entry| (portable || entry.api_version == self.api_version) && entry.set.covers(path))
    }

    /// Who set what is at `path`. A leaf that we own is ours, because the server takes it from us when somebody else
    /// changes it; of several others the one who wrote last.
    pub(crate) fn culprit(&self, path: &Path) -> Option<&Entry> {
        let holding: Vec<_> = self.holding(path).collect();
        let ours = holding.iter().find(|entry| entry.is_ours());
        ours.or_else(|| holding.iter().max_by(|a, b| a.owner.time.cmp(&b.owner.time))).copied()
    }
}

/// Whether a path means the same at every version of a kind.
fn is_portable(path: &Path) -> bool {
    let first = path.0.first();
    first.is_some_and(|step| *step == Step::field("metadata")) || *path == Path::of_fields(&["spec", "replicas"])
}

// === impl Entry ===

impl Entry {
    fn read(entry: &Node) -> Self {
        let text = |key| entry.str_at(&[key]).unwrap_or_default().to_owned();
        let set = entry.get("fieldsV1").and_then(|fields| FieldSet::from_fields_v1(fields).ok());
        Self {
            owner: Owner {
                manager: text("manager"),
                operation: text("operation"),
                subresource: text("subresource"),
                time: text("time"),
            },
            api_version: text("apiVersion"),
            set: set.unwrap_or_default(),
        }
    }

    /// Whether this is what we applied.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner.manager == MANAGER && self.is_apply()
    }

    /// Whether we wrote it, by an apply or otherwise.
    pub(crate) fn is_written_by_us(&self) -> bool {
        self.owner.manager == MANAGER && self.owner.subresource.is_empty()
    }

    /// Whether all of what is at `path` is this entry's: the path itself, or a value taken as one that it lies in.
    pub(crate) fn owns(&self, path: &Path) -> bool {
        let (mut set, mut left) = (&self.set, path.0.len());
        for step in &path.0 {
            let Some(branch) = set.child(step) else { return false };
            left -= 1;
            if branch.member && (left == 0 || branch.below.is_empty()) {
                return true;
            }
            set = &branch.below;
        }
        false
    }

    /// Whether somebody declared the object's own fields by server-side apply.
    pub(crate) fn is_apply(&self) -> bool {
        self.owner.operation == "Apply" && self.owner.subresource.is_empty()
    }

    /// Whether a takeover drops this entry: what a former manager wrote to the object itself.
    pub(crate) fn is_of_predecessor(&self, former: Former<'_>) -> bool {
        let manager = self.owner.manager.as_str();
        self.owner.subresource.is_empty() && manager != MANAGER && former.has(manager)
    }

    /// Whether it is kubectl's, and left to it.
    pub(crate) fn is_kept(&self, former: Former<'_>) -> bool {
        self.owner.manager == KUBECTL && !former.has(KUBECTL)
    }

    /// Whether what this entry holds is never taken from it: another applier's, or written through a subresource.
    pub(crate) fn is_protected(&self, former: Former<'_>) -> bool {
        !self.owner.subresource.is_empty()
            || (self.is_apply() && !self.is_ours() && !self.is_of_predecessor(former))
            || self.is_kept(former)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(text: &str) -> Owners {
        Owners::of(&Node::from_json(text.as_bytes()).unwrap())
    }

    const LIVE: &str = r#"{"apiVersion":"autoscaling/v2","metadata":{"managedFields":[
        {"manager":"trueup","operation":"Apply","apiVersion":"autoscaling/v1","fieldsV1":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:x":{}}}},
        {"manager":"trueup","operation":"Apply","subresource":"status","apiVersion":"autoscaling/v2","fieldsV1":{"f:status":{}}},
        {"manager":"early","operation":"Update","apiVersion":"autoscaling/v2","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:spec":{"f:y":{}}}},
        {"manager":"late","operation":"Update","apiVersion":"autoscaling/v2","time":"2026-01-02T00:00:00Z","fieldsV1":{"f:spec":{"f:y":{}}}},
        {"manager":"kube-controller-manager","operation":"Update","subresource":"scale","apiVersion":"apps/v1","fieldsV1":{"f:spec":{"f:replicas":{}}}},
        {"manager":"broken","operation":"Update","apiVersion":"autoscaling/v2","fieldsV1":{"k:{":{}}}]}}"#;

    #[test]
    fn an_entry_means_something_only_at_its_own_version() {
        let owners = owners(LIVE);
        let manager = |path: &[&str]| owners.culprit(&Path::of_fields(path)).map(|entry| entry.owner.manager.as_str());
        assert_eq!(manager(&["spec", "x"]), None);
        assert_eq!(manager(&["metadata", "labels", "a"]), Some("trueup"));
        assert_eq!(manager(&["spec", "replicas"]), Some("kube-controller-manager"));
        assert_eq!(manager(&["spec", "y"]), Some("late"));
        let readable = owners.readable(owners.ours().unwrap());
        assert_eq!(readable.leaves(), [Path::of_fields(&["metadata", "labels", "a"])]);
    }

    #[test]
    fn ours_is_the_apply_entry_of_the_object_itself() {
        let owners = owners(LIVE);
        let ours: Vec<_> = owners.entries().iter().map(Entry::is_ours).collect();
        assert_eq!(ours, [true, false, false, false, false, false]);
        assert!(owners.ours().is_some());
    }

    #[test]
    fn former_managers_are_dropped_others_are_protected() {
        let entry = |manager: &str, operation: &str, subresource: &str| Entry {
            owner: Owner {
                manager: manager.into(),
                operation: operation.into(),
                subresource: subresource.into(),
                time: String::new(),
            },
            api_version: "v1".into(),
            set: FieldSet::default(),
        };
        for (manager, operation, subresource, dropped, protected) in [
            ("trueup", "Apply", "", false, false),
            ("trueup", "Update", "", false, false),
            ("argocd-controller", "Apply", "", true, false),
            ("argocd-controller", "Update", "", true, false),
            ("argocd-controller", "Update", "status", false, true),
            ("kubectl-client-side-apply", "Update", "", true, false),
            ("helm", "Update", "", true, false),
            ("before-first-apply", "Update", "", true, false),
            ("former", "Apply", "", true, false),
            ("kustomize-controller", "Apply", "", false, true),
            ("kubectl-edit", "Update", "", false, false),
            ("kubectl", "Update", "scale", false, true),
        ] {
            let entry = entry(manager, operation, subresource);
            let former = Former { named: Some("former"), kubectl: true };
            assert_eq!(entry.is_of_predecessor(former), dropped, "{manager} {operation} {subresource}");
            assert_eq!(entry.is_protected(former), protected, "{manager} {operation} {subresource}");
            // kubectl's own is left to it where nobody migrates, and nobody else's.
            let kept = Former { kubectl: false, ..former };
            let kubectls = manager == KUBECTL;
            assert_eq!(entry.is_of_predecessor(kept), dropped && !kubectls, "{manager}");
            assert_eq!(entry.is_protected(kept), protected || kubectls, "{manager}");
        }
    }

    #[test]
    fn adoption_is_told_from_change() {
        let node = |text: &str| Node::from_json(text.as_bytes()).unwrap();
        let a = node(r#"{"metadata":{"name":"a","resourceVersion":"1"},"data":{"a":"1"}}"#);
        let b = node(r#"{"metadata":{"name":"a","resourceVersion":"2","managedFields":[{}]},"data":{"a":"1"}}"#);
        let c = node(r#"{"metadata":{"name":"a","resourceVersion":"2"},"data":{"a":"2"}}"#);
        assert!(only_managed_fields_differ(&a, &b));
        assert!(!only_managed_fields_differ(&a, &c));
    }
}
