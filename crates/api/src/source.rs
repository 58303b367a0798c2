//! Where an Application's manifests come from, as users write it: the JSON of Argo CD, every field of it.
//!
//! Nothing is checked here; [`crate::App`] is what is left after the checks. Entry point: [`ApplicationSource`].

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trueup_object::Node;

use crate::schema;

/// One place that manifests come from: a directory of a Git repository, a Helm chart, or an OCI artifact.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["repoURL"]))]
pub struct ApplicationSource {
    /// The URL of the repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The directory inside the repository, relative to its root. Only for Git and OCI.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The branch, tag, commit, `HEAD`, full ref name or version range to follow. For charts the version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_revision: String,
    /// How Helm renders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmSource>,
    /// How Kustomize renders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeSource>,
    /// How plain manifests and Jsonnet are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectorySource>,
    /// The config management plugin that renders it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginSource>,
    /// The name of a chart in a Helm repository; then there is no path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub chart: String,
    /// A name by which value files of other sources refer to this one. Only in `sources`.
    #[serde(skip_serializing_if = "String::is_empty", rename = "ref")]
    pub reference: String,
    /// A name to show for this source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Only tags with this prefix count for a version range.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag_prefix: String,
}

/// Options of Helm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the fields of upstream")]
pub struct HelmSource {
    /// Value files, later ones win. Paths relative to the chart, URLs, globs, or `$ref/path`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub value_files: Vec<String>,
    /// Parameters that win over values, as `helm template --set`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<HelmParameter>,
    /// The release name. Default: the Application's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release_name: String,
    /// Values as a block of YAML.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub values: String,
    /// Parameters whose values are read from files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_parameters: Vec<HelmFileParameter>,
    /// The version of Helm. Ignored: there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Credentials are sent to all domains that the chart refers to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pass_credentials: bool,
    /// Value files that do not exist are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_missing_value_files: bool,
    /// CustomResourceDefinitions of the chart's `crds` directory are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_crds: bool,
    /// Values as an object. Wins over `values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub values_object: Option<Node>,
    /// The namespace to render with. Default: the destination's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The Kubernetes version to render for. Default: the destination's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// The API versions to render for, as `group/version/Kind`. Default: the destination's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Test manifests are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_tests: bool,
    /// Values are not checked against the chart's JSON schema.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_schema_validation: bool,
}

/// One `--set` of Helm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HelmParameter {
    /// The path of the value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The value stays a string, whatever it looks like.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force_string: bool,
}

/// One `--set-file` of Helm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HelmFileParameter {
    /// The path of the value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The file that holds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// Options of Kustomize.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the fields of upstream")]
pub struct KustomizeSource {
    /// A prefix for all names.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_prefix: String,
    /// A suffix for all names.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_suffix: String,
    /// Images to override, as `[old=]new[:tag|@digest]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Labels for all objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_labels: BTreeMap<String, String>,
    /// The version of Kustomize to use.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Annotations for all objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_annotations: BTreeMap<String, String>,
    /// Labels that exist are overwritten.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force_common_labels: bool,
    /// Annotations that exist are overwritten.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force_common_annotations: bool,
    /// The namespace of all objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Environment variables in annotations are replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub common_annotations_envsubst: bool,
    /// Replica counts to override.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<KustomizeReplica>,
    /// Patches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<KustomizePatch>,
    /// Components to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Components that do not exist are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_missing_components: bool,
    /// Labels are not put into selectors.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub label_without_selector: bool,
    /// The Kubernetes version to render for. Default: the destination's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// The API versions to render for, as `group/version/Kind`. Default: the destination's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Labels are put into templates too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub label_include_templates: bool,
}

/// A replica count to override.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["count", "name"]))]
pub struct KustomizeReplica {
    /// The name of the Deployment or StatefulSet.
    pub name: String,
    /// The count.
    #[schemars(schema_with = "schema::int_or_string")]
    pub count: Node,
}

/// A patch of Kustomize.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KustomizePatch {
    /// The file that holds the patch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The patch itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patch: String,
    /// What is patched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<KustomizeSelector>,
    /// Options of the patch.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, bool>,
}

/// What a patch of Kustomize applies to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct KustomizeSelector {
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// A selector of annotations.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub annotation_selector: String,
    /// A selector of labels.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
}

/// Options of plain manifests and Jsonnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct DirectorySource {
    /// Directories below are read too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recurse: bool,
    /// Options of Jsonnet.
    #[serde(skip_serializing_if = "JsonnetSource::is_empty")]
    pub jsonnet: JsonnetSource,
    /// A glob of files to leave out; wins over `include`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exclude: String,
    /// A glob of files to read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub include: String,
    /// Files are read whatever their extension is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disable_extension_filter: bool,
}

/// Options of Jsonnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct JsonnetSource {
    /// External variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ext_vars: Vec<JsonnetVariable>,
    /// Top-level arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tlas: Vec<JsonnetVariable>,
    /// Directories of libraries, relative to the repository's root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub libs: Vec<String>,
}

/// A variable of Jsonnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["name", "value"]))]
pub struct JsonnetVariable {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// The value is code, not a string.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub code: bool,
}

/// Options of a config management plugin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginSource {
    /// The plugin's name; empty to let the plugins say who is in charge.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Environment variables of the plugin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<NameValue>,
    /// Parameters of the plugin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<PluginParameter>,
}

/// A parameter of a plugin: one of string, array and map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PluginParameter {
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
    /// A map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<BTreeMap<String, String>>,
    /// A list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<Vec<String>>,
}

/// A name and a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["name", "value"]))]
pub struct NameValue {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

// === impl ApplicationSource ===

/// A URL may carry credentials and values may be secrets: neither is printed.
impl fmt::Debug for ApplicationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplicationSource")
            .field("repo_url", &Redacted(&self.repo_url))
            .field("path", &self.path)
            .field("target_revision", &self.target_revision)
            .field("chart", &self.chart)
            .finish_non_exhaustive()
    }
}

/// A URL without what stands before its `@`.
pub(crate) struct Redacted<'a>(pub(crate) &'a str);

// === impl Redacted ===

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").map_or(("", self.0), |(scheme, rest)| (scheme, rest));
        if !scheme.is_empty() {
            write!(f, "{scheme}://")?;
        }
        // A password may hold any character: everything up to the last `@` goes.
        match rest.rsplit_once('@') {
            Some((_, rest)) => write!(f, "…@{rest}"),
            None => f.write_str(rest),
        }
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl JsonnetSource ===

impl JsonnetSource {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_printed_without_credentials() {
        for (url, shown) in [
            ("https://user:p@ss@git.example/x.git", "https://…@git.example/x.git"),
            ("https://git.example/x", "https://git.example/x"),
            ("git@git.example:x", "…@git.example:x"),
        ] {
            assert_eq!(Redacted(url).to_string(), shown);
            let source = ApplicationSource { repo_url: url.into(), ..ApplicationSource::default() };
            assert!(!format!("{source:?}").contains("p@ss"));
        }
    }

    #[test]
    fn keeps_every_field() {
        let text = r#"{"chart":"c","directory":{"disableExtensionFilter":true,"exclude":"e","include":"i","jsonnet":{"extVars":[{"code":true,"name":"n","value":"v"}],"libs":["l"],"tlas":[{"name":"n","value":"v"}]},"recurse":true},"helm":{"apiVersions":["v1"],"fileParameters":[{"name":"n","path":"p"}],"ignoreMissingValueFiles":true,"kubeVersion":"1","namespace":"n","parameters":[{"forceString":true,"name":"n","value":"v"}],"passCredentials":true,"releaseName":"r","skipCrds":true,"skipSchemaValidation":true,"skipTests":true,"valueFiles":["f"],"values":"v","valuesObject":{"a":[1]},"version":"v3"},"kustomize":{"apiVersions":["v1"],"commonAnnotations":{"a":"b"},"commonAnnotationsEnvsubst":true,"commonLabels":{"a":"b"},"components":["c"],"forceCommonAnnotations":true,"forceCommonLabels":true,"ignoreMissingComponents":true,"images":["i"],"kubeVersion":"1","labelIncludeTemplates":true,"labelWithoutSelector":true,"namePrefix":"p","nameSuffix":"s","namespace":"n","patches":[{"options":{"allowNameChange":true},"patch":"p","path":"q","target":{"annotationSelector":"a","group":"g","kind":"k","labelSelector":"l","name":"n","namespace":"s","version":"v"}}],"replicas":[{"count":"3","name":"n"},{"count":3,"name":"m"}],"version":"v"},"name":"n","path":"p","plugin":{"env":[{"name":"n","value":"v"}],"name":"p","parameters":[{"array":["a"],"map":{"a":"b"},"name":"n","string":"s"}]},"ref":"r","repoURL":"u","tagPrefix":"t","targetRevision":"main"}"#;
        let source: ApplicationSource = serde_json::from_str(text).unwrap();
        let back = Node::from_json(&serde_json::to_vec(&source).unwrap()).unwrap();
        assert_eq!(back, Node::from_json(text.as_bytes()).unwrap());
    }
}
