//! Names every field of a value that has another type than its schema says, without the value itself: it may be a secret.
//!
//! Only for values that did not decode, so that people see all of their mistakes at once. Entry point: [`wrong_types`].

use serde_json::Value;
use trueup_object::Node;

/// The most mistakes that are named: a message is to be read.
const NAMED_MAX: usize = 10;

/// What is wrong, one sentence a field.
pub(crate) fn wrong_types(node: &Node, schema: &Value, path: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    walk(node, schema, path, &mut wrong);
    wrong
}

fn walk(node: &Node, schema: &Value, path: &str, wrong: &mut Vec<String>) {
    if wrong.len() >= NAMED_MAX {
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if !matches!(node, Node::String(_)) && node.as_i64().is_none() {
            wrong.push(format!("{path}: must be a number or a string, it is {}", name(node)));
        }
        return;
    }
    let expected = schema["type"].as_str().unwrap_or_default();
    let fits = match expected {
        "object" => node.as_map().is_some(),
        "array" => node.as_list().is_some(),
        "string" => node.as_str().is_some(),
        "boolean" => node.as_bool().is_some(),
        "integer" => node.as_i64().is_some(),
        _ => true,
    };
    if !fits {
        wrong.push(format!("{path}: must be {}, it is {}", described(expected), name(node)));
        return;
    }
    if let Some(map) = node.as_map() {
        for (key, value) in map.iter() {
            let below = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
            if below.is_object() {
                walk(value, below, &format!("{path}.{key}"), wrong);
            }
        }
    }
    if let Some(items) = node.as_list() {
        for (at, item) in items.iter().enumerate() {
            walk(item, &schema["items"], &format!("{path}[{at}]"), wrong);
        }
    }
}

fn described(kind: &str) -> &'static str {
    match kind {
        "object" => "a map",
        "array" => "a list",
        "string" => "a string (quote it)",
        "boolean" => "true or false",
        _ => "a whole number",
    }
}

fn name(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "true or false",
        Node::Number(_) => "a number",
        Node::String(_) => "a string",
        Node::List(_) => "a list",
        Node::Map(_) => "a map",
    }
}
