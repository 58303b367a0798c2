//! Files in an application's directory that change its source: `.argocd-source.yaml` for all applications, and
//! `.argocd-source-NAME.yaml` for one.
//!
//! Each is a JSON merge patch over the source, the second over what the first left. They say how the directory is rendered,
//! never which: what names a place is discarded. Entry point: [`apply`].

use serde::Deserialize as _;
use serde_json::{Value, json};
use trueup_api::source::ApplicationSource;
use trueup_object::yaml;

use crate::tree::{Entry, EntryKind, Stat, Tree, join};
use crate::{RenderError, Request};

/// The longest such file, in bytes: an Application has at most 1.5 MB.
const BYTES_MAX: u64 = 1024 * 1024;
const PREFIX: &str = ".argocd-source";

/// Whether any of these files changes the source of some application.
pub(crate) fn any(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.name.strip_suffix(".yaml").is_some_and(|name| name.starts_with(PREFIX)))
}

/// The source as the files of the directory leave it.
pub(crate) fn apply(
    request: &Request,
    source: ApplicationSource,
    tree: &dyn Tree,
    top: &str,
    entries: &[Entry],
) -> Result<ApplicationSource, RenderError> {
    let mut changed = source;
    for file in [format!("{PREFIX}.yaml"), format!("{PREFIX}-{}.yaml", request.application)] {
        let Some(entry) = entries.iter().find(|entry| entry.name == file) else { continue };
        let path = join(top, &file);
        let is_file = match entry.kind {
            EntryKind::File { .. } => true,
            EntryKind::Link { .. } => matches!(tree.stat(&path)?, Stat::File { .. }),
            _ => false,
        };
        if is_file {
            let text = tree.read(&path, BYTES_MAX)?;
            changed = patched(&changed, &text).map_err(|reason| RenderError::Override { file, reason })?;
        }
    }
    let written = &request.source;
    changed.repo_url.clone_from(&written.repo_url);
    changed.path.clone_from(&written.path);
    changed.target_revision.clone_from(&written.target_revision);
    changed.chart.clone_from(&written.chart);
    changed.reference.clone_from(&written.reference);
    changed.name.clone_from(&written.name);
    Ok(changed)
}

fn patched(source: &ApplicationSource, text: &[u8]) -> Result<ApplicationSource, String> {
    let documents = yaml::documents(text).map_err(|error| format!("line {}: {}", error.line, error.message))?;
    let Some(first) = documents.first().filter(|document| !document.node.is_null()) else { return Ok(source.clone()) };
    if first.node.as_map().is_none() {
        return Err("it must be a map, with fields of spec.source".to_owned());
    }
    let unwritable = |error: serde_json::Error| error.to_string();
    let patch: Value = serde_json::from_slice(&first.node.to_json()).map_err(unwritable)?;
    let mut merged = serde_json::to_value(source).map_err(unwritable)?;
    json_patch::merge(&mut merged, &patch);
    ApplicationSource::deserialize(&merged).map_err(|error| wrong_field(&merged, &error.to_string()))
}

/// What serde says of a field of the wrong type: with its name, which serde does not tell, and without its value, which it does.
fn wrong_field(merged: &Value, message: &str) -> String {
    let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
    let is_wrong = |value: Value| ApplicationSource::deserialize(value).is_err();
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (field, value) in fields(merged) {
        if !is_wrong(json!({ field.as_str(): value })) {
            continue;
        }
        let inner = fields(&value)
            .into_iter()
            .find(|(inner, value)| is_wrong(json!({ field.as_str(): { inner.as_str(): value } })));
        let name = inner.map_or(field.clone(), |(inner, _)| format!("{field}.{inner}"));
        return format!("{name} has the wrong type: expected {expected}");
    }
    format!("a field has the wrong type: expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(json: &str) -> ApplicationSource {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_file_is_a_merge_patch() {
        let before = r#"{"repoURL":"u","path":"p","helm":{"releaseName":"r","parameters":[{"name":"a","value":"1"}]}}"#;
        let table = [
            ("", before),
            ("# nothing\n", before),
            ("{}", before),
            (
                "kustomize:\n  namePrefix: x-\n",
                r#"{"repoURL":"u","path":"p","helm":{"releaseName":"r","parameters":[{"name":"a","value":"1"}]},"kustomize":{"namePrefix":"x-"}}"#,
            ),
            // Lists are replaced, null takes away.
            (
                "helm:\n  parameters:\n  - {name: b, value: '2'}\n",
                r#"{"repoURL":"u","path":"p","helm":{"releaseName":"r","parameters":[{"name":"b","value":"2"}]}}"#,
            ),
            (
                "helm: {parameters: null, skipCrds: true}",
                r#"{"repoURL":"u","path":"p","helm":{"releaseName":"r","skipCrds":true}}"#,
            ),
            ("helm: null\ndirectory: {recurse: yes}\n", r#"{"repoURL":"u","path":"p","directory":{"recurse":true}}"#),
        ];
        for (text, after) in table {
            assert!(patched(&source(before), text.as_bytes()) == Ok(source(after)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        let table = [
            ("- a", "must be a map"),
            ("a: [", "line 2"),
            ("helm: {skipCrds: hunter2}", "helm.skipCrds has the wrong type: expected a boolean"),
            ("helm: hunter2", "helm has the wrong type"),
        ];
        for (text, word) in table {
            let Err(error) = patched(&source(r#"{"repoURL":"u"}"#), text.as_bytes()) else { panic!("{text}") };
            assert!(error.contains(word) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
