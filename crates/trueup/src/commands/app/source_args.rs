//! One source from flags, in the words of `argocd app create`. Entry point: [`SourceArgs::apply`], which changes only what is named.
//!
//! Lists of names with values (parameters, images, replicas, labels) are merged by name, as Argo CD does; value files are set as a whole,
//! because their order counts.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use crate::command_error::CommandError;
use crate::commands::app::spec_args::{set, set_some, take};
use crate::{input, names};

/// Bytes of a file with values that are read: more than the API server takes of one object.
const VALUES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The flags that describe one source.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// The repository: of Git, of charts, or a registry.
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The directory in the repository; '.' is its root.
    #[arg(long, value_name = "DIR", conflicts_with = "helm_chart")]
    path: Option<String>,
    /// The chart in a repository of charts, instead of a directory.
    #[arg(long, value_name = "NAME")]
    helm_chart: Option<String>,
    /// The branch, tag, commit, version or range of versions to follow; HEAD if it was never set.
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    revision: Option<String>,
    /// Read the directories below the path as well.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    directory_recurse: Option<bool>,
    /// Read only files that match this glob.
    #[arg(long, value_name = "GLOB")]
    directory_include: Option<String>,
    /// Leave out files that match this glob.
    #[arg(long, value_name = "GLOB")]
    directory_exclude: Option<String>,
    #[command(flatten)]
    helm: HelmArgs,
    #[command(flatten)]
    kustomize: KustomizeArgs,
}

/// What Helm is told.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Helm")]
struct HelmArgs {
    /// The name of the release; that of the Application if it was never set.
    #[arg(long, value_name = "NAME")]
    release_name: Option<String>,
    /// A file with values, in the source or as $REF/PATH in another. May be repeated; those of before go.
    #[arg(long, value_name = "FILE")]
    values: Vec<String>,
    /// Value files that are not there are passed over.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ignore_missing_value_files: Option<bool>,
    /// Values out of a file of this machine, which the Application keeps: they win over value files. - is stdin.
    #[arg(long = "values-literal-file", value_name = "FILE", value_parser = literal_values)]
    literal: Option<String>,
    /// A parameter, which wins over all values. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    helm_set: Vec<(String, String)>,
    /// A parameter that is text, whatever it looks like. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    helm_set_string: Vec<(String, String)>,
    /// A parameter that is the text of a file in the source. May be repeated.
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    helm_set_file: Vec<(String, String)>,
    /// Leave the chart's directory of CRDs out.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    helm_skip_crds: Option<bool>,
    /// Leave the chart's tests out.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    helm_skip_tests: Option<bool>,
    /// Do not compare the values with the chart's schema.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    helm_skip_schema_validation: Option<bool>,
}

/// What Kustomize is told.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Kustomize")]
struct KustomizeArgs {
    /// What stands before each name.
    #[arg(long = "nameprefix", value_name = "TEXT")]
    name_prefix: Option<String>,
    /// What stands after each name.
    #[arg(long = "namesuffix", value_name = "TEXT", allow_hyphen_values = true)]
    name_suffix: Option<String>,
    /// The namespace of all objects.
    #[arg(long, value_name = "NAMESPACE", value_parser = names::namespace)]
    kustomize_namespace: Option<String>,
    /// An image, as web=registry.example.com/web:1.2. May be repeated.
    #[arg(long, value_name = "[OLD=]NEW", value_parser = image)]
    kustomize_image: Vec<String>,
    /// How many replicas something has. May be repeated.
    #[arg(long, value_name = "NAME=COUNT", value_parser = replicas)]
    kustomize_replica: Vec<(String, u32)>,
    /// A label of all objects. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    kustomize_common_label: Vec<(String, String)>,
    /// Labels do not go into selectors.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    kustomize_label_without_selector: Option<bool>,
    /// An annotation of all objects. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    kustomize_common_annotation: Vec<(String, String)>,
}

// === impl SourceArgs ===

impl SourceArgs {
    /// Whether nothing is named.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes a source where something is named.
    pub(crate) fn apply(&self, source: &mut Value) {
        set_some(source, &["repoURL"], self.repo.as_ref());
        // A source is a directory or a chart.
        if self.path.is_some() {
            take(source, &[], "chart");
        }
        if self.helm_chart.is_some() {
            take(source, &[], "path");
        }
        set_some(source, &["path"], self.path.as_ref());
        set_some(source, &["chart"], self.helm_chart.as_ref());
        set_some(source, &["targetRevision"], self.revision.as_ref());
        set_some(source, &["directory", "include"], self.directory_include.as_ref());
        set_some(source, &["directory", "exclude"], self.directory_exclude.as_ref());
        set_some(source, &["directory", "recurse"], self.directory_recurse);
        self.helm.apply(source);
        self.kustomize.apply(source);
    }
}

// === impl HelmArgs ===

impl HelmArgs {
    fn apply(&self, source: &mut Value) {
        set_some(source, &["helm", "releaseName"], self.release_name.as_ref());
        if !self.values.is_empty() {
            set(source, &["helm", "valueFiles"], json!(self.values));
        }
        set_some(source, &["helm", "ignoreMissingValueFiles"], self.ignore_missing_value_files);
        if let Some(literal) = &self.literal {
            set(source, &["helm", "values"], json!(literal));
            // They would win.
            take(source, &["helm"], "valuesObject");
        }
        for (name, value) in &self.helm_set {
            merge(source, &["helm", "parameters"], name, json!({"name": name, "value": value}));
        }
        for (name, value) in &self.helm_set_string {
            merge(source, &["helm", "parameters"], name, json!({"name": name, "value": value, "forceString": true}));
        }
        for (name, path) in &self.helm_set_file {
            merge(source, &["helm", "fileParameters"], name, json!({"name": name, "path": path}));
        }
        set_some(source, &["helm", "skipCrds"], self.helm_skip_crds);
        set_some(source, &["helm", "skipTests"], self.helm_skip_tests);
        set_some(source, &["helm", "skipSchemaValidation"], self.helm_skip_schema_validation);
    }
}

// === impl KustomizeArgs ===

impl KustomizeArgs {
    fn apply(&self, source: &mut Value) {
        set_some(source, &["kustomize", "namePrefix"], self.name_prefix.as_ref());
        set_some(source, &["kustomize", "nameSuffix"], self.name_suffix.as_ref());
        set_some(source, &["kustomize", "namespace"], self.kustomize_namespace.as_ref());
        for image in &self.kustomize_image {
            let mut images = list(source, &["kustomize", "images"]);
            match images.iter_mut().find(|known| known.as_str().is_some_and(|known| replaced(known) == replaced(image)))
            {
                Some(known) => *known = json!(image),
                None => images.push(json!(image)),
            }
            set(source, &["kustomize", "images"], json!(images));
        }
        for (name, count) in &self.kustomize_replica {
            merge(source, &["kustomize", "replicas"], name, json!({"name": name, "count": count}));
        }
        for (key, value) in &self.kustomize_common_label {
            set(source, &["kustomize", "commonLabels", key], json!(value));
        }
        set_some(source, &["kustomize", "labelWithoutSelector"], self.kustomize_label_without_selector);
        for (key, value) in &self.kustomize_common_annotation {
            set(source, &["kustomize", "commonAnnotations", key], json!(value));
        }
    }
}

/// Puts an entry in the place of the one of its name, or at the end.
fn merge(source: &mut Value, path: &[&str], name: &str, entry: Value) {
    let mut entries = list(source, path);
    match entries.iter_mut().find(|known| known["name"] == name) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
    set(source, path, json!(entries));
}

fn list(source: &Value, path: &[&str]) -> Vec<Value> {
    let at = path.iter().try_fold(source, |at, step| at.get(*step));
    at.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The name of the image that an override is of.
fn replaced(image: &str) -> &str {
    if let Some((old, _)) = image.split_once('=') {
        return old;
    }
    let image = image.split('@').next().unwrap_or_default();
    // A colon before the last slash is that of a port.
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// A branch, tag, commit or range: none has a control character, and Git cannot be asked for one that does.
fn revision(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("a revision has no line breaks and no other control characters".to_owned());
    }
    Ok(text.to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn replicas(text: &str) -> Result<(String, u32), String> {
    let (name, count) = pair(text).map_err(|_| "write NAME=COUNT")?;
    let count = count.parse().map_err(|_| format!("'{count}' is no number of replicas"))?;
    Ok((name, count))
}

fn image(text: &str) -> Result<String, String> {
    let whole = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    let named = text.split_once('=').map_or(whole(text), |(old, new)| whole(old) && whole(new));
    named.then(|| text.to_owned()).ok_or_else(|| "write [OLD=]NEW, as web=registry.example.com/web:1.2".to_owned())
}

/// The text of a file with values.
fn literal_values(path: &str) -> Result<String, String> {
    let told = |error: CommandError| error.lines().join(": ");
    let (name, text) = input::read(Path::new(path), VALUES_BYTES_MAX).map_err(told)?;
    String::from_utf8(text).map_err(|_| format!("{name} is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SourceArgs,
    }

    fn args(line: &str) -> Result<SourceArgs, clap::Error> {
        Line::try_parse_from(std::iter::once("set").chain(line.split_whitespace())).map(|line| line.args)
    }

    fn applied(source: Value, line: &str) -> Value {
        let mut source = source;
        args(line).unwrap().apply(&mut source);
        source
    }

    #[test]
    fn flags_of_helm_become_the_fields_of_argo_cd() {
        let dir = tempfile::tempdir().unwrap();
        let literal = dir.path().join("values.yaml");
        std::fs::write(&literal, "color: red # why\n").unwrap();
        let line = format!(
            "--repo https://charts --helm-chart shop --revision 1.x --release-name r --values a.yaml --values $v/b.yaml \
             --ignore-missing-value-files --values-literal-file {} --helm-set a=1,2 --helm-set-string b=3=4 --helm-set-file c=c.txt \
             --helm-skip-crds --helm-skip-tests=false --helm-skip-schema-validation",
            literal.display()
        );
        let expected = json!({"repoURL": "https://charts", "chart": "shop", "targetRevision": "1.x", "helm": {
            "releaseName": "r", "valueFiles": ["a.yaml", "$v/b.yaml"], "ignoreMissingValueFiles": true, "values": "color: red # why\n",
            "parameters": [{"name": "a", "value": "1,2"}, {"name": "b", "value": "3=4", "forceString": true}],
            "fileParameters": [{"name": "c", "path": "c.txt"}],
            "skipCrds": true, "skipTests": false, "skipSchemaValidation": true,
        }});
        let before = json!({"path": "p", "helm": {"valuesObject": {"color": "blue"}}});
        assert_eq!(applied(before, &line), expected);
        assert_eq!(applied(expected.clone(), ""), expected, "what is not named stays");
        let changed = applied(expected, "--values z.yaml --helm-set b=5 --path q");
        assert_eq!(changed["helm"]["valueFiles"], json!(["z.yaml"]));
        assert_eq!(changed["helm"]["parameters"], json!([{"name": "a", "value": "1,2"}, {"name": "b", "value": "5"}]));
        assert_eq!((&changed["path"], changed.get("chart")), (&json!("q"), None));
    }

    #[test]
    fn flags_of_kustomize_become_the_fields_of_argo_cd() {
        let line = "--nameprefix dev- --namesuffix -1 --kustomize-namespace shop --kustomize-image web=r:5000/web:1 --kustomize-image r:5000/db:1 \
            --kustomize-replica web=3 --kustomize-common-label team=shop --kustomize-label-without-selector --kustomize-common-annotation a/b=c=d";
        let expected = json!({"kustomize": {
            "namePrefix": "dev-", "nameSuffix": "-1", "namespace": "shop", "images": ["web=r:5000/web:1", "r:5000/db:1"],
            "replicas": [{"name": "web", "count": 3}], "commonLabels": {"team": "shop"}, "labelWithoutSelector": true,
            "commonAnnotations": {"a/b": "c=d"},
        }});
        assert_eq!(applied(json!({}), line), expected);
        let more = "--kustomize-image web=web:2 --kustomize-image r:5000/db@sha256:00 --kustomize-image cache:1 --kustomize-replica web=0";
        let changed = applied(expected, more);
        assert_eq!(changed["kustomize"]["images"], json!(["web=web:2", "r:5000/db@sha256:00", "cache:1"]));
        assert_eq!(changed["kustomize"]["replicas"], json!([{"name": "web", "count": 0}]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "--path a --helm-chart b",
            "--helm-set a",
            "--helm-set-string =b",
            "--kustomize-replica web=many",
            "--kustomize-image =web:1",
            "--kustomize-image web=",
            "--values-literal-file /nowhere/values.yaml",
        ] {
            assert!(args(wrong).is_err(), "{wrong}");
        }
        let (before, after) = (["set", "--revision", "a\nb"], ["set", "--revision", "a b"]);
        assert!(Line::try_parse_from(before).is_err() && Line::try_parse_from(after).is_ok());
    }
}
