//! Pieces of JSON patches of an Application. Entry points: [`annotate`], [`metadata`].

use serde_json::{Value, json};

use crate::commands::app::view::View;

/// Sets annotations.
pub(crate) fn annotate<'a>(app: View<'_>, annotations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    merge(app, "annotations", annotations)
}

/// Sets labels and annotations that are otherwise by now.
pub(crate) fn metadata<'a>(
    app: View<'_>,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    annotations: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<Value> {
    let is = |field: &str, key: &str| app.0.at(&["metadata", field])?.get(key)?.as_str();
    let mut patch = merge(app, "labels", labels.filter(|(key, value)| is("labels", key) != Some(value)));
    patch.extend(annotate(app, annotations.filter(|(key, value)| is("annotations", key) != Some(value))));
    patch
}

/// Sets entries of `metadata.annotations` or `metadata.labels`, which may not be there yet.
fn merge<'a>(app: View<'_>, field: &str, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    let there = app.0.at(&["metadata", field]).is_some_and(|map| !map.is_null());
    let add = |path: String, value: Value| json!({"op": "add", "path": path, "value": value});
    if there {
        return entries.into_iter().map(|(key, value)| add(path(field, key), json!(value))).collect();
    }
    let all: serde_json::Map<String, Value> =
        entries.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    if all.is_empty() { Vec::new() } else { vec![add(format!("/metadata/{field}"), Value::Object(all))] }
}

/// Where an annotation stands.
pub(crate) fn annotation_path(key: &str) -> String {
    path("annotations", key)
}

fn path(field: &str, key: &str) -> String {
    format!("/metadata/{field}/{}", key.replace('~', "~0").replace('/', "~1"))
}
