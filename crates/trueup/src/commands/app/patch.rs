//! Pieces of JSON patches of an Application. Entry points: [`annotate`], [`merge`].

use serde_json::{Value, json};

use crate::commands::app::view::View;

/// Sets annotations.
pub(crate) fn annotate<'a>(app: View<'_>, annotations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    merge(app, "annotations", annotations)
}

/// Sets entries of `metadata.annotations` or `metadata.labels`, which may not be there yet.
pub(crate) fn merge<'a>(
    app: View<'_>,
    field: &str,
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Value> {
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
