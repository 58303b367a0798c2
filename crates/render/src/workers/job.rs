//! What a worker is asked to render.
//!
//! Everything that an application says is resolved before: files of values have been read, variables replaced. The texts may
//! hold what was encrypted, so none of these types can be printed.

use serde::Serialize;
use trueup_api::source::KustomizeSource;

use super::Need;

/// What a worker is asked to render.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "one per render, and never in a list")]
pub enum Job {
    /// A chart.
    Helm(HelmJob),
    /// An overlay.
    Kustomize(KustomizeJob),
    /// A Jsonnet file.
    Jsonnet(JsonnetJob),
}

/// A chart with its values.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelmJob {
    /// Where the chart is.
    pub chart: Chart,
    /// The name of the release.
    pub release_name: String,
    /// The namespace of the release.
    pub namespace: String,
    /// Files of values, the weakest first.
    pub values: Vec<ValuesFile>,
    /// Single values, stronger than all files.
    pub set: Vec<Parameter>,
    /// Single values that are the text of a file.
    pub set_file: Vec<FileParameter>,
    /// Whether the definitions in `crds/` are part of it.
    pub include_crds: bool,
    /// Whether test hooks are left out.
    pub skip_tests: bool,
    /// Whether the values need not be as the chart's schema wants them.
    pub skip_schema_validation: bool,
    /// The version of Kubernetes; if empty, the worker asks.
    pub kube_version: String,
    /// What Kubernetes serves; if empty, the worker asks.
    pub api_versions: Vec<String>,
    /// What was fetched for it.
    pub fetched: Vec<Fetched>,
}

/// A directory with a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chart {
    /// The root.
    pub root: String,
    /// The path from there.
    pub path: String,
}

/// A file of values.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ValuesFile {
    /// Its name, for messages.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A single value.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Where it belongs, as `a.b`.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether it is a string whatever it looks like.
    pub force_string: bool,
}

/// A single value that is the text of a file.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct FileParameter {
    /// Where it belongs, as `a.b`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Something that was fetched because a render needed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// What was needed.
    pub need: Need,
    /// The root under which it can be read.
    pub root: String,
    /// The path of it from there.
    pub path: String,
}

/// An overlay with what an application adds to it.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeJob {
    /// The root.
    pub root: String,
    /// The directory from there.
    pub path: String,
    /// What the application says, with its variables replaced.
    pub options: KustomizeSource,
    /// Flags as of `kustomize build`.
    pub build_options: Vec<String>,
    /// The namespace of charts in it.
    pub namespace: String,
    /// The version of Kubernetes; if empty, the worker asks.
    pub kube_version: String,
    /// What Kubernetes serves; if empty, the worker asks.
    pub api_versions: Vec<String>,
    /// The release of charts in it.
    pub release_name: String,
    /// What was fetched for it.
    pub fetched: Vec<Fetched>,
}

/// A Jsonnet file with its arguments.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonnetJob {
    /// The root.
    pub root: String,
    /// The file from there.
    pub file: String,
    /// External variables.
    pub ext_vars: Vec<Variable>,
    /// Top-level arguments.
    pub tlas: Vec<Variable>,
    /// Directories of the root in which imports are looked for.
    pub libs: Vec<String>,
}

/// A variable of Jsonnet.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the value is code, not text.
    pub code: bool,
}
