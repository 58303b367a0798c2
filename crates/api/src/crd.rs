//! The CustomResourceDefinitions of Application and AppProject, made from the types that read them.
//!
//! They take all that Argo CD's own take: every field of it, with an equal or wider type. The specification is typed through and
//! through; of the status only the first level and the columns are, because a server that need not look below writes it some
//! 40 % cheaper. Applications have no status subresource, as upstream. Entry points: [`application`], [`app_project`], [`files`].

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use trueup_object::Node;

use crate::operation::Operation;
use crate::project_spec::AppProjectSpec;
use crate::spec::ApplicationSpec;

/// The API group.
pub const GROUP: &str = "argoproj.io";
/// The one version.
pub const VERSION: &str = "v1alpha1";

static APPLICATION_SPEC: LazyLock<Value> = LazyLock::new(schema_of::<ApplicationSpec>);
static APPLICATION_OPERATION: LazyLock<Value> = LazyLock::new(schema_of::<Operation>);
static APP_PROJECT_SPEC: LazyLock<Value> = LazyLock::new(schema_of::<AppProjectSpec>);

/// The definitions as files: name and content.
pub fn files() -> Vec<(&'static str, String)> {
    vec![("application-crd.yaml", yaml(&application())), ("appproject-crd.yaml", yaml(&app_project()))]
}

/// The definition of Application.
pub fn application() -> Value {
    let columns = json!([
        {"name": "Sync Status", "type": "string", "jsonPath": ".status.sync.status"},
        {"name": "Health Status", "type": "string", "jsonPath": ".status.health.status"},
        {"name": "Drift", "type": "integer", "jsonPath": ".status.drift.count",
            "description": "Objects that the cluster has otherwise than at the last sync."},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Revision", "type": "string", "jsonPath": ".status.sync.revision", "priority": 10},
        {"name": "Project", "type": "string", "jsonPath": ".spec.project", "priority": 10},
    ]);
    let mut operation = open(APPLICATION_OPERATION.clone());
    if let Some(sync) = operation.pointer_mut("/properties/sync") {
        *sync = open(sync.take());
    }
    let mut definition = definition(
        "Application",
        &["app", "apps"],
        "What is deployed, from where, to where, and how it stands.",
        json!({
            "spec": *APPLICATION_SPEC,
            "operation": operation,
            "status": status(),
        }),
    );
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = columns;
    definition["spec"]["versions"][0]["subresources"] = json!({});
    definition
}

/// The definition of AppProject.
pub fn app_project() -> Value {
    let status = json!({
        "type": "object",
        "description": "What is known of the project.",
        "properties": {"jwtTokensByRole": {
            "type": "object",
            "description": "The tokens that were issued, by role.",
            "x-kubernetes-preserve-unknown-fields": true,
        }},
        "x-kubernetes-preserve-unknown-fields": true,
    });
    let about = "What the Applications of a project may deploy, from where, to where.";
    definition("AppProject", &["appproj", "appprojs"], about, json!({"spec": *APP_PROJECT_SPEC, "status": status}))
}

/// The schema of an Application's specification.
pub(crate) fn application_spec() -> &'static Value {
    &APPLICATION_SPEC
}

/// The schema of an Application's operation.
pub(crate) fn application_operation() -> &'static Value {
    &APPLICATION_OPERATION
}

/// The schema of a project's specification.
pub(crate) fn app_project_spec() -> &'static Value {
    &APP_PROJECT_SPEC
}

fn yaml(definition: &Value) -> String {
    let node = Node::from_json(definition.to_string().as_bytes()).unwrap_or(Node::Null);
    trueup_object::yaml::print(&node)
}

fn definition(kind: &str, short_names: &[&str], about: &str, parts: Value) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    let mut properties = Map::from_iter([
        ("apiVersion".to_owned(), json!({"type": "string", "description": "The version of this schema."})),
        ("kind".to_owned(), json!({"type": "string", "description": "The kind of this object."})),
        ("metadata".to_owned(), json!({"type": "object"})),
    ]);
    if let Value::Object(parts) = parts {
        properties.extend(parts);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GROUP}"),
            "labels": {"app.kubernetes.io/name": format!("{plural}.{GROUP}"), "app.kubernetes.io/part-of": "argocd"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": singular,
                "shortNames": short_names,
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": about,
                    "required": ["metadata", "spec"],
                    "properties": properties,
                }},
            }],
        },
    })
}

/// The status of an Application: typed in its first level and its columns, open below.
fn status() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let time = |about: &str| json!({"type": "string", "format": "date-time", "description": about});
    let texts = |about: &str| json!({"type": "array", "items": {"type": "string"}, "description": about});
    let part = |about: &str, properties: Value| {
        open(json!({"type": "object", "description": about, "properties": properties}))
    };
    let parts = |about: &str| json!({"type": "array", "items": open(json!({"type": "object"})), "description": about});
    let mut sync = part(
        "Whether the cluster is as Git says.",
        json!({"status": text("Synced, OutOfSync or Unknown."), "revision": text("The commit that was compared.")}),
    );
    sync["required"] = json!(["status"]);
    let health = part(
        "Whether the objects work.",
        json!({"status": text("Healthy, Progressing, Suspended, Degraded, Missing or Unknown."), "message": text("Why.")}),
    );
    let drift = part(
        "What the cluster has otherwise than at the last sync, and who did it.",
        json!({
            "count": {"type": "integer", "format": "int64", "description": "How many objects drifted."},
            "since": text("Since when there is any."),
            "baseline": text("The digest of the manifests last synced; 'unfinished' while a sync of others has begun and not succeeded."),
            "events": parts("What happened: object, fields, field manager, outcome."),
        }),
    );
    let operation = part(
        "The operation that runs, or the last one.",
        json!({"phase": text("Running, Terminating, Failed, Error or Succeeded."), "message": text("What it waits for, or how it ended.")}),
    );
    part(
        "How the Application stands.",
        json!({
            "sync": sync,
            "health": health,
            "drift": drift,
            "operationState": operation,
            "resources": parts("Each object."),
            "history": parts("The successful syncs, oldest first."),
            "conditions": parts("Errors and warnings."),
            "summary": part("What the objects have to show.", json!({})),
            "sourceHydrator": part("How far the hydration of manifests is.", json!({})),
            "reconciledAt": time("When it was last compared."),
            "observedAt": time("Deprecated."),
            "sourceType": text("What renders the source."),
            "sourceTypes": texts("What renders each of several sources."),
            "controllerNamespace": text("The namespace of the controller that wrote this."),
            "resourceHealthSource": text("Where the health of objects is kept, if not with each object."),
        }),
    )
}

/// Takes fields that it does not name, too.
fn open(mut schema: Value) -> Value {
    schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
    if schema["properties"].as_object().is_some_and(Map::is_empty)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.remove("properties");
    }
    schema
}

/// The schema of a type in the form that the API server takes.
fn schema_of<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    make_structural(&mut schema);
    schema
}

/// Words of JSON schema that a structural schema may not have, or that say nothing here.
const SUPERFLUOUS: [&str; 4] = ["$schema", "title", "default", "nullable"];

fn make_structural(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for word in SUPERFLUOUS {
        map.remove(word);
    }
    // An optional type is the type: absent is how users say nothing.
    let optional = if map.contains_key("x-kubernetes-int-or-string") {
        None
    } else {
        map.remove("anyOf").or_else(|| map.remove("allOf"))
    };
    if let Some(Value::Array(choices)) = optional {
        let chosen = choices.into_iter().find(|choice| choice["type"].as_str().is_some_and(|kind| kind != "null"));
        if let Some(Value::Object(chosen)) = chosen {
            // What the field says of itself comes first.
            for (key, value) in chosen {
                map.entry(key).or_insert(value);
            }
        }
        for word in SUPERFLUOUS {
            map.remove(word);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(make_structural);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = map.get_mut(below) {
            make_structural(schema);
        }
    }
}
