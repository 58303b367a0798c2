//! What users may write, and we do not honour yet: the one table of it.
//!
//! A field whose neglect could delete, overwrite or permit something stops the sync of its Application: it is compared,
//! nothing is written, and a condition names the field. A field whose neglect only costs order or comfort warns. The tables
//! shrink as work lands; each row has an example among the tests. Entry points: [`operation_unsupported`],
//! [`object_unsupported`]; for Applications and projects the rows that apply are read with them.

use trueup_object::Manifest;

use crate::annotations::{
    HELM_HOOK, HELM_HOOK_WEIGHT, HOOK, POST_DELETE_FINALIZER, PRE_DELETE_FINALIZER, SYNC_OPTIONS, SYNC_WAVE,
};
use crate::condition;
use crate::operation::{Operation, SyncOperation, SyncStrategyApply};
use crate::options::{is_skipped, parts};
use crate::project_spec::AppProjectSpec;
use crate::source::ApplicationSource;
use crate::spec::ApplicationSpec;
use crate::version;

/// How much of an option is repeated in a message, in characters: nobody's options are longer, and a status stays small.
const OPTION_SHOWN: usize = 64;

/// A field, option or annotation that is not honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Where it stands: a field of the Application or project, or an annotation.
    pub field: String,
    /// It stops the sync; otherwise it is only worth a warning.
    pub stops: bool,
    /// Why, and what to do.
    pub message: String,
}

/// One row: a field, whether it stops, why, and how it is found.
struct Row<T> {
    field: &'static str,
    stops: bool,
    message: &'static str,
    found: fn(&T) -> bool,
}

/// Fields of an Application's specification.
const SPEC: &[Row<ApplicationSpec>] = &[
    Row {
        field: "spec.sourceHydrator",
        stops: true,
        message: "hydrated sources are not supported yet: use spec.source",
        found: |spec| spec.source_hydrator.is_some(),
    },
    Row {
        field: "spec.sources",
        stops: true,
        message: "several sources are not supported yet: use spec.source",
        found: |spec| !spec.sources.is_empty(),
    },
    Row {
        field: "spec.source.chart",
        stops: true,
        message: "Helm repositories are not supported yet: commit the rendered manifests to Git",
        found: |spec| of_source(spec, |source| !source.chart.is_empty()),
    },
    Row {
        field: "spec.source.repoURL",
        stops: true,
        message: "OCI artifacts are not supported yet: use a Git repository",
        found: |spec| of_source(spec, |source| source.repo_url.trim().to_ascii_lowercase().starts_with("oci://")),
    },
    Row {
        field: "spec.source.helm",
        stops: true,
        message: "Helm is not supported yet: commit the rendered manifests to Git",
        found: |spec| of_source(spec, |source| is_set(source.helm.as_ref())),
    },
    Row {
        field: "spec.source.kustomize",
        stops: true,
        message: "Kustomize is not supported yet: commit the rendered manifests to Git",
        found: |spec| of_source(spec, |source| is_set(source.kustomize.as_ref())),
    },
    Row {
        field: "spec.source.plugin",
        stops: true,
        message: "config management plugins are not supported yet: commit the rendered manifests to Git",
        // A plugin without a name is one that is to be found.
        found: |spec| of_source(spec, |source| source.plugin.is_some()),
    },
    Row {
        field: "spec.source.directory.jsonnet",
        stops: true,
        message: "Jsonnet is not supported yet: commit the rendered manifests to Git",
        found: |spec| {
            of_source(spec, |source| source.directory.as_ref().is_some_and(|directory| !directory.jsonnet.is_empty()))
        },
    },
    Row {
        field: "spec.source.directory.disableExtensionFilter",
        stops: true,
        message: "files without the extension yaml, yml or json are not read yet: rename them, or remove the field",
        found: |spec| {
            of_source(spec, |source| {
                source.directory.as_ref().is_some_and(|directory| directory.disable_extension_filter)
            })
        },
    },
    Row {
        field: "spec.source.targetRevision",
        stops: true,
        message: "ranges of versions are not supported yet: name a branch, a tag or a commit",
        found: |spec| {
            of_source(spec, |source| source.chart.is_empty() && version::is_range(source.target_revision.trim()))
        },
    },
    Row {
        field: "spec.source.tagPrefix",
        stops: true,
        message: "tag prefixes are not supported yet: name the whole tag in spec.source.targetRevision",
        found: |spec| of_source(spec, |source| !source.tag_prefix.is_empty()),
    },
    Row {
        field: "spec.syncPolicy.managedNamespaceMetadata",
        stops: true,
        message: "labels and annotations of the namespace are not set yet: add a Namespace manifest to the source",
        found: |spec| {
            let metadata = spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.as_ref());
            metadata.is_some_and(|metadata| !metadata.labels.is_empty() || !metadata.annotations.is_empty())
        },
    },
    Row {
        field: "spec.ignoreDifferences.jqPathExpressions",
        stops: true,
        message: "jq expressions are not evaluated yet: use jsonPointers",
        found: |spec| spec.ignore_differences.iter().any(|rule| !rule.jq_path_expressions.is_empty()),
    },
    Row {
        field: "spec.ignoreDifferences.managedFieldsManagers",
        stops: true,
        message: "fields of other managers are not ignored yet: use jsonPointers",
        found: |spec| spec.ignore_differences.iter().any(|rule| !rule.managed_fields_managers.is_empty()),
    },
];

/// Finalizers of an Application, and what else is no field of its specification.
const FINALIZERS: &[Row<String>] = &[
    Row {
        field: PRE_DELETE_FINALIZER,
        stops: true,
        message: "hooks before the deletion are not run yet: remove the finalizer and the PreDelete hooks",
        found: |finalizer| is_finalizer(finalizer, PRE_DELETE_FINALIZER),
    },
    Row {
        field: POST_DELETE_FINALIZER,
        stops: true,
        message: "hooks after the deletion are not run yet: remove the finalizer and the PostDelete hooks",
        found: |finalizer| is_finalizer(finalizer, POST_DELETE_FINALIZER),
    },
];

/// Fields of a project.
const PROJECT: &[Row<AppProjectSpec>] = &[
    Row {
        field: "spec.syncWindows",
        stops: true,
        message: "sync windows are not evaluated yet: remove them, or leave the project's Applications to Argo CD",
        found: |spec| !spec.sync_windows.is_empty(),
    },
    Row {
        field: "spec.signatureKeys",
        stops: true,
        message: "signatures are not verified yet: remove the keys, or leave the project's Applications to Argo CD",
        found: |spec| !spec.signature_keys.is_empty(),
    },
    Row {
        field: "spec.sourceIntegrity",
        stops: true,
        message: "signatures are not verified yet: remove the field, or leave the project's Applications to Argo CD",
        found: |spec| spec.source_integrity.is_some(),
    },
    Row {
        field: "spec.destinationServiceAccounts",
        stops: true,
        message: "service accounts are not impersonated yet: remove them, or leave the project's Applications to Argo CD",
        found: |spec| !spec.destination_service_accounts.is_empty(),
    },
    Row {
        field: "spec.permitOnlyProjectScopedClusters",
        stops: true,
        message: "clusters of a project are not known yet: remove the field, and name the clusters in spec.destinations",
        found: |spec| spec.permit_only_project_scoped_clusters,
    },
    Row {
        field: "spec.orphanedResources",
        stops: false,
        message: "objects that no Application has are not reported yet",
        found: |spec| spec.orphaned_resources.is_some(),
    },
];

/// Fields of an operation.
const OPERATION: &[Row<SyncOperation>] = &[
    Row {
        field: "operation.sync.resources",
        stops: true,
        message: "a sync of some objects only is not supported yet: sync them all",
        found: |sync| !sync.resources.is_empty(),
    },
    Row {
        field: "operation.sync.manifests",
        stops: true,
        message: "manifests from elsewhere than Git are not supported yet: commit them",
        found: |sync| !sync.manifests.is_empty(),
    },
    Row {
        field: "operation.sync.dryRun",
        stops: true,
        message: "a sync as a dry run is not supported yet: see what differs with 'trueup app diff'",
        found: |sync| sync.dry_run,
    },
    Row {
        field: "operation.sync.source",
        stops: true,
        message: "another source is not supported yet: change spec.source, or name an earlier commit in operation.sync.revision",
        found: |sync| sync.source.is_some(),
    },
    Row {
        field: "operation.sync.sources",
        stops: true,
        message: "other sources are not supported yet: change spec.source, or name an earlier commit in operation.sync.revision",
        found: |sync| !sync.sources.is_empty(),
    },
    Row {
        field: "operation.sync.revisions",
        stops: true,
        message: "revisions of several sources are not supported yet: use operation.sync.revision",
        found: |sync| !sync.revisions.is_empty(),
    },
    Row {
        field: "operation.sync.revision",
        stops: true,
        message: "ranges of versions are not supported yet: name a branch, a tag or a commit",
        found: |sync| version::is_range(sync.revision.trim()),
    },
    Row {
        field: "operation.sync.syncStrategy.apply.force",
        stops: true,
        message: "objects are not deleted and made anew yet: delete by hand what cannot be changed",
        found: |sync| forces(sync, |strategy| &strategy.apply),
    },
    Row {
        field: "operation.sync.syncStrategy.hook.force",
        stops: true,
        message: "objects are not deleted and made anew yet: delete by hand what cannot be changed",
        found: |sync| forces(sync, |strategy| &strategy.hook),
    },
];

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

/// Where an option may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// On an Application, and in an operation.
    Application,
    /// On an object.
    Object,
}

/// One option: its name, whether it may stand on an object, the values that it may have, and the values that are not honoured.
struct OptionRow {
    name: &'static str,
    on_objects: bool,
    values: &'static [&'static str],
    refused: &'static [&'static str],
    stops: bool,
    message: &'static str,
}

const BOOLEAN: &[&str] = &["true", "false"];

/// Sync options. Without refused values they are honoured, or neglecting them changes nothing.
const OPTIONS: &[OptionRow] = &[
    OptionRow {
        name: "Replace",
        on_objects: true,
        values: BOOLEAN,
        refused: &["true"],
        stops: true,
        message: "objects are not replaced yet, only applied: remove the option",
    },
    OptionRow {
        name: "Force",
        on_objects: true,
        values: BOOLEAN,
        refused: &["true"],
        stops: true,
        message: "objects are not deleted and made anew yet: remove the option, and delete by hand what cannot be changed",
    },
    OptionRow {
        name: "RespectIgnoreDifferences",
        on_objects: false,
        values: BOOLEAN,
        refused: &["true"],
        stops: true,
        message: "ignored fields are still applied: remove the option, or the fields from Git",
    },
    OptionRow {
        name: "PrunePropagationPolicy",
        on_objects: false,
        values: &["foreground", "background", "orphan"],
        refused: &["background", "orphan"],
        stops: true,
        message: "objects are deleted in the foreground only: remove the option",
    },
    OptionRow {
        name: "PruneLast",
        on_objects: true,
        values: BOOLEAN,
        refused: &["true"],
        stops: false,
        message: "has no effect of its own yet: objects are deleted after all others are applied, without waiting for their health",
    },
    OptionRow {
        name: "ApplyOutOfSyncOnly",
        on_objects: false,
        values: BOOLEAN,
        refused: &["true"],
        stops: false,
        message: "has no effect yet: a sync looks at all objects",
    },
    OptionRow {
        name: "ServerSideApply",
        on_objects: true,
        values: BOOLEAN,
        refused: &["false"],
        stops: false,
        message: "has no effect: objects are always applied by the server",
    },
    OptionRow {
        name: "ClientSideApplyMigration",
        on_objects: false,
        values: BOOLEAN,
        refused: &["false"],
        stops: false,
        message: "has no effect yet: fields of kubectl's client-side apply are taken over at the first apply",
    },
    OptionRow {
        name: "FailOnSharedResource",
        on_objects: false,
        values: BOOLEAN,
        refused: &["true"],
        stops: false,
        message: "has no effect yet: an object that another Application holds is left alone, with a warning",
    },
    OptionRow { name: "CreateNamespace", on_objects: false, values: BOOLEAN, refused: &[], stops: false, message: "" },
    OptionRow {
        name: "SkipDryRunOnMissingResource",
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow { name: "Validate", on_objects: true, values: BOOLEAN, refused: &[], stops: false, message: "" },
    OptionRow {
        name: "Prune",
        on_objects: true,
        values: &["true", "false", "confirm"],
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "Delete",
        on_objects: true,
        values: &["true", "false", "confirm"],
        refused: &[],
        stops: false,
        message: "",
    },
];

/// What of an Application's specification and finalizers is not honoured.
pub(crate) fn application_unsupported(spec: &ApplicationSpec, finalizers: &[String]) -> Vec<Unsupported> {
    let mut found: Vec<Unsupported> = apply(SPEC, spec).collect();
    found.extend(finalizers.iter().flat_map(|finalizer| {
        let rows = FINALIZERS.iter().filter(|row| (row.found)(finalizer));
        rows.map(|row| Unsupported::new("metadata.finalizers", row.stops, format!("{}: {}", row.field, row.message)))
    }));
    let options = spec.sync_policy.iter().flat_map(|policy| &policy.sync_options);
    found.extend(
        options.filter_map(|option| option_unsupported(option, "spec.syncPolicy.syncOptions", Level::Application)),
    );
    found
}

/// What of a project is not honoured.
pub(crate) fn project_unsupported(spec: &AppProjectSpec) -> Vec<Unsupported> {
    apply(PROJECT, spec).collect()
}

/// What of an operation is not honoured.
pub fn operation_unsupported(operation: &Operation) -> Vec<Unsupported> {
    if let Some(why) = &operation.unreadable {
        return vec![Unsupported::new("operation", true, format!("cannot be read: {why}"))];
    }
    let Some(sync) = &operation.sync else {
        return vec![Unsupported::new("operation", true, condition::NO_OPERATION.to_owned())];
    };
    let options = sync.sync_options.iter();
    let options =
        options.filter_map(|option| option_unsupported(option, "operation.sync.syncOptions", Level::Application));
    apply(OPERATION, sync).chain(options).collect()
}

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

fn apply<T>(rows: &'static [Row<T>], value: &T) -> impl Iterator<Item = Unsupported> {
    let found = rows.iter().filter(|row| (row.found)(value));
    found.map(|row| Unsupported::new(row.field, row.stops, row.message.to_owned())).collect::<Vec<_>>().into_iter()
}

fn option_unsupported(option: &str, field: &str, level: Level) -> Option<Unsupported> {
    let shown = shown(option);
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let Some(row) = OPTIONS.iter().find(|row| row.name == name) else {
        return Some(Unsupported::new(field, false, format!("{shown}: there is no such option, it has no effect")));
    };
    if !row.values.contains(&value) {
        let values = row.values.join(", ");
        return Some(Unsupported::new(
            field,
            false,
            format!("{shown}: this value has no effect, it may be one of {values}"),
        ));
    }
    if level == Level::Object && !row.on_objects {
        return Some(Unsupported::new(
            field,
            false,
            format!("{shown}: has no effect on one object, only on an Application"),
        ));
    }
    row.refused.contains(&value).then(|| Unsupported::new(field, row.stops, format!("{shown}: {}", row.message)))
}

/// An option, cut where it is longer than options are.
fn shown(option: &str) -> String {
    let mut shown: String = option.chars().take(OPTION_SHOWN).collect();
    if shown.len() < option.len() {
        shown.push('…');
    }
    shown
}

/// A condition on the one source of a specification; of several sources, and of a hydrated one, other rows tell.
fn of_source(spec: &ApplicationSpec, found: impl Fn(&ApplicationSource) -> bool) -> bool {
    spec.sources.is_empty() && spec.source_hydrator.is_none() && spec.source.as_ref().is_some_and(found)
}

/// Whether a block says anything. An empty one is as if it were absent.
fn is_set<T: Default + PartialEq>(block: Option<&T>) -> bool {
    block.is_some_and(|block| *block != T::default())
}

fn is_finalizer(finalizer: &str, name: &str) -> bool {
    finalizer.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn forces(sync: &SyncOperation, which: impl Fn(&crate::operation::SyncStrategy) -> &Option<SyncStrategyApply>) -> bool {
    sync.sync_strategy.as_ref().and_then(|strategy| which(strategy).as_ref()).is_some_and(|strategy| strategy.force)
}

fn wave(manifest: &Manifest, annotation: &str) -> Option<i64> {
    manifest.annotation(annotation)?.parse().ok()
}

fn is_wave(manifest: &Manifest, annotation: &str) -> bool {
    wave(manifest, annotation).is_some_and(|wave| wave != 0)
}

// === impl Unsupported ===

impl Unsupported {
    pub(crate) fn new(field: &str, stops: bool, message: String) -> Self {
        Self { field: field.to_owned(), stops, message }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use trueup_object::Node;

    use super::*;

    fn read<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    /// The fields of what was found, with an `!` where it stops.
    fn fields(found: &[Unsupported]) -> Vec<String> {
        found.iter().map(|found| format!("{}{}", if found.stops { "!" } else { "" }, found.field)).collect()
    }

    /// Every row has an example that finds it and nothing else.
    fn check<T>(rows: &[Row<T>], examples: &[(&str, &str)], found: impl Fn(&str) -> Vec<Unsupported>) {
        let named: Vec<&str> = examples.iter().map(|(field, _)| *field).collect();
        for row in rows {
            assert!(named.contains(&row.field), "{} has no example", row.field);
        }
        for (field, example) in examples {
            let row = rows.iter().find(|row| row.field == *field).unwrap();
            let found = found(example);
            assert_eq!(fields(&found), [format!("{}{field}", if row.stops { "!" } else { "" })], "{example}");
            assert!(!found[0].message.is_empty());
        }
    }

    fn of_spec(spec: &str) -> Vec<Unsupported> {
        application_unsupported(&read(spec), &[])
    }

    #[test]
    fn every_row_of_applications() {
        let source = |rest: &str| format!(r#"{{"source": {{"repoURL": "http://x", "path": "p", {rest}}}}}"#);
        let examples = [
            (
                "spec.sourceHydrator",
                r#"{"sourceHydrator": {"drySource": {"repoURL": "http://x", "helm": {"values": "x"}}}}"#.to_owned(),
            ),
            (
                "spec.sources",
                r#"{"sources": [{"repoURL": "http://x", "chart": "c", "helm": {"values": "x"}}]}"#.to_owned(),
            ),
            (
                "spec.source.chart",
                r#"{"source": {"repoURL": "http://x", "chart": "c", "targetRevision": "1.x"}}"#.to_owned(),
            ),
            ("spec.source.repoURL", r#"{"source": {"repoURL": "oci://x", "path": "p"}}"#.to_owned()),
            ("spec.source.helm", source(r#""helm": {"releaseName": "r"}"#)),
            ("spec.source.kustomize", source(r#""kustomize": {"images": ["i"]}"#)),
            ("spec.source.plugin", source(r#""plugin": {"name": "p"}"#)),
            ("spec.source.plugin", source(r#""plugin": {}"#)),
            ("spec.source.directory.jsonnet", source(r#""directory": {"jsonnet": {"libs": ["l"]}}"#)),
            (
                "spec.source.directory.disableExtensionFilter",
                source(r#""directory": {"disableExtensionFilter": true}"#),
            ),
            ("spec.source.targetRevision", source(r#""targetRevision": "1.x""#)),
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
            (
                "spec.ignoreDifferences.managedFieldsManagers",
                r#"{"ignoreDifferences": [{"kind": "K", "managedFieldsManagers": ["m"]}]}"#.to_owned(),
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
            r#"{"syncPolicy": {"automated": {"prune": true}, "managedNamespaceMetadata": {}, "retry": {"limit": 3}}}"#,
            r#"{"ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}], "info": [{"name": "a", "value": "b"}]}"#,
            r#"{"syncPolicy": {"syncOptions": ["CreateNamespace=true", "Validate=false", "Prune=false", "Prune=confirm", "Delete=confirm", "ServerSideApply=true", "SkipDryRunOnMissingResource=true", "PrunePropagationPolicy=foreground", "Replace=false", "PruneLast=false"]}}"#,
        ] {
            assert_eq!(of_spec(spec), [], "{spec}");
        }
    }

    #[test]
    fn every_row_of_finalizers() {
        for row in FINALIZERS {
            for suffix in ["", "/cleanup"] {
                let found = application_unsupported(&ApplicationSpec::default(), &[format!("{}{suffix}", row.field)]);
                assert_eq!(fields(&found), ["!metadata.finalizers"]);
                assert!(found[0].message.starts_with(row.field));
            }
        }
        let others =
            ["resources-finalizer.argocd.argoproj.io", "resources-finalizer.argocd.argoproj.io/background", "x/y"]
                .map(str::to_owned);
        assert_eq!(application_unsupported(&ApplicationSpec::default(), &others), []);
    }

    #[test]
    fn every_row_of_projects() {
        let examples = [
            ("spec.syncWindows", r#"{"syncWindows": [{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}]}"#),
            ("spec.signatureKeys", r#"{"signatureKeys": [{"keyID": "A"}]}"#),
            ("spec.sourceIntegrity", r#"{"sourceIntegrity": {"git": {"policies": []}}}"#),
            (
                "spec.destinationServiceAccounts",
                r#"{"destinationServiceAccounts": [{"server": "*", "defaultServiceAccount": "a"}]}"#,
            ),
            ("spec.permitOnlyProjectScopedClusters", r#"{"permitOnlyProjectScopedClusters": true}"#),
            ("spec.orphanedResources", r#"{"orphanedResources": {"warn": true}}"#),
        ];
        check(PROJECT, &examples, |spec| project_unsupported(&read(spec)));
        let plain = r#"{"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "roles": [{"name": "r"}], "signatureKeys": [], "syncWindows": [], "sourceNamespaces": ["a"]}"#;
        assert_eq!(project_unsupported(&read(plain)), []);
    }

    #[test]
    fn every_row_of_operations() {
        let examples = [
            ("operation.sync.resources", r#"{"resources": [{"kind": "K", "name": "n"}]}"#),
            ("operation.sync.manifests", r#"{"manifests": ["a: b"]}"#),
            ("operation.sync.dryRun", r#"{"dryRun": true}"#),
            ("operation.sync.source", r#"{"source": {"repoURL": "http://x"}}"#),
            ("operation.sync.sources", r#"{"sources": [{"repoURL": "http://x"}]}"#),
            ("operation.sync.revisions", r#"{"revisions": ["a"]}"#),
            ("operation.sync.revision", r#"{"revision": "^1"}"#),
            ("operation.sync.syncStrategy.apply.force", r#"{"syncStrategy": {"apply": {"force": true}}}"#),
            ("operation.sync.syncStrategy.hook.force", r#"{"syncStrategy": {"hook": {"force": true}}}"#),
        ];
        check(OPERATION, &examples, |sync| {
            operation_unsupported(&Operation { sync: Some(read(sync)), ..Operation::default() })
        });
        let plain = r#"{"sync": {"revision": "main", "prune": true, "syncStrategy": {"hook": {}}, "syncOptions": ["CreateNamespace=true"], "autoHealAttemptsCount": 1}, "initiatedBy": {"username": "u"}, "retry": {"limit": 2}}"#;
        assert_eq!(operation_unsupported(&read(plain)), []);
    }

    #[test]
    fn an_operation_that_asks_for_nothing_or_cannot_be_read_stops() {
        let found = operation_unsupported(&read("{}"));
        assert_eq!(
            (fields(&found), found[0].message.as_str()),
            (vec!["!operation".to_owned()], condition::NO_OPERATION)
        );
        let found = operation_unsupported(&Operation {
            unreadable: Some("sync: must be a map".into()),
            ..Operation::default()
        });
        assert_eq!(fields(&found), ["!operation"]);
        assert!(found[0].message.contains("must be a map"));
    }

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
    fn every_option() {
        let of_application =
            |option: &str| option_unsupported(option, "f", Level::Application).map(|found| found.stops);
        let on_object = |option: &str| option_unsupported(option, "f", Level::Object).map(|found| found.stops);
        for (option, application, object) in [
            ("Replace=true", Some(true), Some(true)),
            ("Force=true", Some(true), Some(true)),
            ("RespectIgnoreDifferences=true", Some(true), Some(false)),
            ("PrunePropagationPolicy=background", Some(true), Some(false)),
            ("PrunePropagationPolicy=orphan", Some(true), Some(false)),
            ("PrunePropagationPolicy=foreground", None, Some(false)),
            ("PruneLast=true", Some(false), Some(false)),
            ("ApplyOutOfSyncOnly=true", Some(false), Some(false)),
            ("ServerSideApply=true", None, None),
            ("ServerSideApply=false", Some(false), Some(false)),
            ("ClientSideApplyMigration=false", Some(false), Some(false)),
            ("FailOnSharedResource=true", Some(false), Some(false)),
            ("CreateNamespace=true", None, Some(false)),
            ("SkipDryRunOnMissingResource=true", None, None),
            ("Validate=false", None, None),
            ("Prune=false", None, None),
            ("Prune=confirm", None, None),
            ("Delete=false", None, None),
            ("Delete=confirm", None, None),
            ("Prune=flase", Some(false), Some(false)),
            ("Prune", Some(false), Some(false)),
            ("prune=false", Some(false), Some(false)),
            ("Nonsense=true", Some(false), Some(false)),
            ("", Some(false), Some(false)),
        ] {
            assert_eq!((of_application(option), on_object(option)), (application, object), "{option}");
        }
        let tried = [
            "Replace",
            "Force",
            "RespectIgnoreDifferences",
            "PrunePropagationPolicy",
            "PruneLast",
            "ApplyOutOfSyncOnly",
            "ServerSideApply",
            "ClientSideApplyMigration",
            "FailOnSharedResource",
            "CreateNamespace",
            "SkipDryRunOnMissingResource",
            "Validate",
            "Prune",
            "Delete",
        ];
        assert!(OPTIONS.iter().all(|row| tried.contains(&row.name)));
        let long = option_unsupported(&"é".repeat(500), "f", Level::Application).unwrap();
        assert!(long.message.len() < 300);
        assert_eq!(fields(&of_object(&[(SYNC_OPTIONS, "Prune=false, Replace=true")])), [format!("!{SYNC_OPTIONS}")]);
        assert_eq!(
            fields(&of_spec(r#"{"syncPolicy": {"syncOptions": ["Replace=true"]}}"#)),
            ["!spec.syncPolicy.syncOptions"]
        );
        let operation: Operation = read(r#"{"sync": {"syncOptions": ["Replace=true"]}}"#);
        assert_eq!(fields(&operation_unsupported(&operation)), ["!operation.sync.syncOptions"]);
    }
}
