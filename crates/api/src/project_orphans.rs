//! Which objects that no Application has a project wants to hear of. Entry point: [`Orphans::new`].

use crate::glob::Glob;
use crate::project_spec::OrphanedResources;

/// What Kubernetes itself puts into every namespace, as upstream: group, kind, and name.
const BUILT_IN: [(&str, &str, &str); 2] = [("", "ServiceAccount", "default"), ("", "ConfigMap", "kube-root-ca.crt")];

/// What a project says of orphaned objects.
#[derive(Clone, Debug)]
pub(crate) struct Orphans {
    pub(crate) warn: bool,
    ignored: Vec<Ignored>,
}

/// Objects that are not reported. A pattern that is malformed names nothing.
#[derive(Clone, Debug)]
struct Ignored {
    group: Option<Glob>,
    kind: Option<Glob>,
    name: Option<Glob>,
}

// === impl Orphans ===

impl Orphans {
    pub(crate) fn new(orphans: &OrphanedResources) -> Self {
        let glob = |pattern: &str| Glob::new(pattern, &[]).ok();
        // No kind is any kind, no name any name; no group is the core group.
        let any = |pattern: &str| glob(if pattern.is_empty() { "*" } else { pattern });
        let ignored = |item: &crate::project_spec::OrphanedResource| Ignored {
            group: glob(&item.group),
            kind: any(&item.kind),
            name: any(&item.name),
        };
        // As upstream: who says nothing of warnings wants them.
        Self { warn: orphans.warn.unwrap_or(true), ignored: orphans.ignore.iter().map(ignored).collect() }
    }

    pub(crate) fn ignores(&self, group: &str, kind: &str, namespace: &str, name: &str) -> bool {
        let matches = |glob: &Option<Glob>, text: &str| glob.as_ref().is_some_and(|glob| glob.matches(text));
        BUILT_IN.contains(&(group, kind, name))
            || (namespace, group, kind, name) == ("default", "", "Service", "kubernetes")
            || self
                .ignored
                .iter()
                .any(|item| matches(&item.group, group) && matches(&item.kind, kind) && matches(&item.name, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored() {
        let orphans = |json: &str| Orphans::new(&serde_json::from_str(json).unwrap());
        let some = orphans(
            r#"{"warn": false, "ignore": [{"kind": "Secret", "name": "sh.helm.*"}, {"group": "*.example.io"}, {"group": "apps", "kind": "[a"}]}"#,
        );
        assert!(!some.warn && orphans("{}").warn && orphans(r#"{"warn": true}"#).warn);
        for (group, kind, namespace, name, ignored) in [
            ("", "Secret", "shop", "sh.helm.release.v1.a", true),
            ("", "Secret", "shop", "other", false),
            ("a.example.io", "Thing", "shop", "any", true),
            ("", "Thing", "shop", "any", false),
            ("apps", "a", "shop", "any", false),
            ("", "ServiceAccount", "shop", "default", true),
            ("", "ServiceAccount", "shop", "mine", false),
            ("", "ConfigMap", "shop", "kube-root-ca.crt", true),
            ("", "Service", "default", "kubernetes", true),
            ("", "Service", "shop", "kubernetes", false),
        ] {
            assert_eq!(some.ignores(group, kind, namespace, name), ignored, "{group} {kind} {namespace} {name}");
        }
    }
}
