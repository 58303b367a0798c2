//! What an Application may say that is not honoured: rows of its specification.
//!
//! Entry point: [`application_unsupported`].

use super::options::{Level, option_unsupported};
use super::{Row, Unsupported, apply};
use crate::source::ApplicationSource;
use crate::spec::ApplicationSpec;

/// Fields of an Application's specification.
const SPEC: &[Row<ApplicationSpec>] = &[
    Row {
        field: "spec.sourceHydrator",
        stops: true,
        message: "hydrated sources are not supported yet: use spec.source",
        found: |spec| spec.source_hydrator.is_some(),
    },
    Row {
        field: "spec.source.plugin",
        stops: true,
        message: "config management plugins are not supported yet: commit the rendered manifests to Git",
        // A plugin without a name is one that is to be found.
        found: |spec| of_source(spec, |source| source.plugin.is_some()),
    },
    Row {
        field: "spec.source.tagPrefix",
        stops: true,
        message: "tag prefixes are not supported yet: name the whole tag in spec.source.targetRevision",
        found: |spec| of_source(spec, |source| !source.tag_prefix.is_empty()),
    },
    Row {
        field: "spec.syncPolicy.managedNamespaceMetadata",
        stops: false,
        message: "has no effect without the sync option CreateNamespace=true, as in Argo CD",
        found: |spec| {
            let Some(policy) = &spec.sync_policy else { return false };
            is_set(policy.managed_namespace_metadata.as_ref())
                && !policy.sync_options.iter().any(|option| option == "CreateNamespace=true")
        },
    },
    Row {
        field: "spec.ignoreDifferences.jqPathExpressions",
        stops: true,
        message: "jq expressions are not evaluated yet: use jsonPointers",
        found: |spec| spec.ignore_differences.iter().any(|rule| !rule.jq_path_expressions.is_empty()),
    },
];

/// What of an Application's specification is not honoured.
pub(crate) fn application_unsupported(spec: &ApplicationSpec) -> Vec<Unsupported> {
    let mut found: Vec<Unsupported> = apply(SPEC, spec).collect();
    let options = spec.sync_policy.iter().flat_map(|policy| &policy.sync_options);
    found.extend(
        options.filter_map(|option| option_unsupported(option, "spec.syncPolicy.syncOptions", Level::Application)),
    );
    found
}

/// A condition on one of the sources of a specification; of a hydrated one another row tells.
fn of_source(spec: &ApplicationSpec, found: impl Fn(&ApplicationSource) -> bool) -> bool {
    let sources = if spec.sources.is_empty() { spec.source.as_slice() } else { &spec.sources };
    spec.source_hydrator.is_none() && sources.iter().any(found)
}

/// Whether a block says anything. An empty one is as if it were absent.
fn is_set<T: Default + PartialEq>(block: Option<&T>) -> bool {
    block.is_some_and(|block| *block != T::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupported::examples::{check, fields, read};

    fn of_spec(spec: &str) -> Vec<Unsupported> {
        application_unsupported(&read(spec))
    }

    #[test]
    fn every_row_of_applications() {
        let source = |rest: &str| format!(r#"{{"source": {{"repoURL": "http://x", "path": "p", {rest}}}}}"#);
        let examples = [
            (
                "spec.sourceHydrator",
                r#"{"sourceHydrator": {"drySource": {"repoURL": "http://x", "helm": {"values": "x"}}}}"#.to_owned(),
            ),
            ("spec.source.plugin", source(r#""plugin": {"name": "p"}"#)),
            ("spec.source.plugin", source(r#""plugin": {}"#)),
            ("spec.source.tagPrefix", source(r#""tagPrefix": "a/""#)),
            (
                "spec.syncPolicy.managedNamespaceMetadata",
                r#"{"syncPolicy": {"managedNamespaceMetadata": {"labels": {"a": "b"}}}}"#.to_owned(),
            ),
            (
                "spec.syncPolicy.managedNamespaceMetadata",
                r#"{"syncPolicy": {"managedNamespaceMetadata": {"annotations": {"a": "b"}}}}"#.to_owned(),
            ),
            (
                "spec.ignoreDifferences.jqPathExpressions",
                r#"{"ignoreDifferences": [{"kind": "K", "jqPathExpressions": [".a"]}]}"#.to_owned(),
            ),
        ];
        let examples: Vec<(&str, &str)> = examples.iter().map(|(field, example)| (*field, example.as_str())).collect();
        check(SPEC, &examples, of_spec);
    }

    #[test]
    fn what_is_plain_is_honoured() {
        for spec in [
            "{}",
            r#"{"source": {"repoURL": "http://x", "path": "p", "targetRevision": "main", "directory": {"recurse": true, "include": "*.yaml"}}}"#,
            // Empty blocks are as if they were absent.
            r#"{"source": {"repoURL": "http://x", "path": "p", "helm": {}, "kustomize": {}, "directory": {"jsonnet": {}}}}"#,
            r#"{"source": {"repoURL": "http://x", "path": "p", "targetRevision": "v1.2.3"}}"#,
            r#"{"source": {"repoURL": "http://x", "path": "p", "targetRevision": ">=1.0 <2"}}"#,
            r#"{"syncPolicy": {"automated": {"prune": true}, "managedNamespaceMetadata": {"labels": {"a": "b"}}, "syncOptions": ["CreateNamespace=true"], "retry": {"limit": 3}}}"#,
            r#"{"ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"], "managedFieldsManagers": ["m"]}], "info": [{"name": "a", "value": "b"}]}"#,
            r#"{"syncPolicy": {"syncOptions": ["CreateNamespace=true", "Validate=false", "Prune=false", "Prune=confirm", "Delete=confirm", "ServerSideApply=true", "SkipDryRunOnMissingResource=true", "PrunePropagationPolicy=foreground", "Replace=false", "PruneLast=false"]}}"#,
        ] {
            assert_eq!(of_spec(spec), [], "{spec}");
        }
    }

    #[test]
    fn options_are_looked_at() {
        assert_eq!(
            fields(&of_spec(r#"{"syncPolicy": {"syncOptions": ["Replace=yes"]}}"#)),
            ["spec.syncPolicy.syncOptions"]
        );
    }
}
