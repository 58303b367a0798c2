//! The CustomResourceDefinitions: those in `crds/` are fresh, they take all that Argo CD's own take, and they are structural.

use std::path::Path;

use serde_json::{Value, json};
use trueup_api::crd;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");

#[test]
fn the_files_are_fresh() {
    for (name, content) in crd::files() {
        let path = Path::new(DIRECTORY).join(name);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == content, "crds/{name} is stale: run `cargo xtask crds`");
    }
}

/// What a schema has at a path, and whether a parent takes all below it.
enum Found<'a> {
    Schema(&'a Value),
    Open,
    Nothing,
}

fn find<'a>(root: &'a Value, path: &str) -> Found<'a> {
    let mut schema = root;
    for step in steps(path) {
        let below = match step.as_str() {
            "[]" => &schema["items"],
            "{}" => &schema["additionalProperties"],
            name => &schema["properties"][name],
        };
        if below.is_null() {
            return if is_open(schema) { Found::Open } else { Found::Nothing };
        }
        schema = below;
    }
    Found::Schema(schema)
}

/// `.a.b[].c{}` as `a`, `b`, `[]`, `c`, `{}`.
fn steps(path: &str) -> Vec<String> {
    path.replace("[]", ".[]")
        .replace("{}", ".{}")
        .split('.')
        .filter(|step| !step.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_open(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn kind_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "int-or-string".to_owned();
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    schema["format"].as_str().map_or_else(|| kind.to_owned(), |format| format!("{kind}/{format}"))
}

/// Whether a type takes all that the recorded one takes.
fn is_as_wide(ours: &Value, recorded: &str) -> bool {
    let kind = kind_of(ours);
    match recorded {
        "any" => is_open(ours),
        recorded if kind == recorded => true,
        // Without the format more is taken.
        recorded => recorded.split_once('/').is_some_and(|(base, _)| base == kind),
    }
}

fn check(definition: &Value, recorded: &str) -> usize {
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split(' ').collect();
        let [path, kind, required] = parts[..] else { panic!("{line}") };
        count += 1;
        let ours = match find(schema, path) {
            Found::Open => continue,
            Found::Nothing => {
                wrong.push(format!("{path}: missing"));
                continue;
            }
            Found::Schema(ours) => ours,
        };
        if !is_as_wide(ours, kind) {
            wrong.push(format!("{path}: {} instead of {kind}", kind_of(ours)));
        }
        let theirs: Vec<&str> = required.split(',').collect();
        let required = ours["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        wrong.extend(required.filter(|field| !theirs.contains(field)).map(|field| format!("{path}: requires {field}")));
        for narrow in ["enum", "pattern", "minLength", "x-kubernetes-validations"] {
            if !ours[narrow].is_null() {
                wrong.push(format!("{path}: has {narrow}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    count
}

#[test]
fn applications_of_argo_cd_are_taken() {
    let count = check(&crd::application(), include_str!("data/application_paths.txt"));
    assert!(count > 1000, "{count} paths");
}

#[test]
fn projects_of_argo_cd_are_taken() {
    let count = check(&crd::app_project(), include_str!("data/appproject_paths.txt"));
    assert!(count > 80, "{count} paths");
}

#[test]
fn a_narrower_schema_is_noticed() {
    let source = "/properties/spec/properties/source";
    for (path, narrower) in [
        ("/properties/path", json!({"type": "integer"})),
        ("/required", json!(["repoURL", "path"])),
        ("/properties/helm", json!({"type": "object"})),
        ("/properties/targetRevision", json!({"type": "string", "enum": ["main"]})),
    ] {
        let mut definition = crd::application();
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        *schema.pointer_mut(&format!("{source}{path}")).unwrap() = narrower;
        let caught = std::panic::catch_unwind(|| check(&definition, include_str!("data/application_paths.txt")));
        assert!(caught.is_err(), "{path}");
    }
}

/// What the API server asks of a structural schema, and that every field of a specification is described.
fn structural(schema: &Value, path: &str, described: bool) {
    assert!(schema["type"].is_string() || schema["x-kubernetes-int-or-string"] == true, "{path}: no type");
    for word in ["$ref", "$schema", "title", "default", "nullable", "allOf", "oneOf", "not", "definitions"] {
        assert!(schema[word].is_null(), "{path}: {word}");
    }
    assert!(schema["anyOf"].is_null() || schema["x-kubernetes-int-or-string"] == true, "{path}: anyOf");
    assert!(
        schema["properties"].is_null() || !schema["additionalProperties"].is_object(),
        "{path}: properties of both kinds"
    );
    if described {
        let about = schema["description"].as_str().unwrap_or_default();
        assert!(about.ends_with('.') && about.len() < 160, "{path}: described as {about:?}");
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        structural(below, &format!("{path}.{name}"), described);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            structural(&schema[below], &format!("{path}{{{below}}}"), false);
        }
    }
    if schema["type"] == "array" {
        assert!(schema["items"].is_object(), "{path}: no items");
    }
}

#[test]
fn the_schemas_are_structural_and_described() {
    for definition in [crd::application(), crd::app_project()] {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        structural(schema, "", false);
        structural(&schema["properties"]["spec"], ".spec", true);
        structural(&schema["properties"]["status"], ".status", true);
    }
}

#[test]
fn applications_show_how_they_stand() {
    let definition = crd::application();
    let version = &definition["spec"]["versions"][0];
    let columns: Vec<(&str, &str, i64)> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            (
                column["name"].as_str().unwrap(),
                column["jsonPath"].as_str().unwrap(),
                column["priority"].as_i64().unwrap_or(0),
            )
        })
        .collect();
    assert_eq!(
        columns,
        [
            ("Sync Status", ".status.sync.status", 0),
            ("Health Status", ".status.health.status", 0),
            ("Drift", ".status.drift.count", 0),
            ("Age", ".metadata.creationTimestamp", 0),
            ("Revision", ".status.sync.revision", 10),
            ("Project", ".spec.project", 10),
        ]
    );
    assert_eq!(version["subresources"], json!({}));
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["app", "apps"]));
    assert_eq!(crd::app_project()["spec"]["names"]["shortNames"], json!(["appproj", "appprojs"]));
}
