//! Changes of objects at random, by JSON pointer.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use trueup_e2e::Random;

use crate::shape::Leaf;
use crate::shape::Shape;

/// What nobody changes: it is what the object is, or the server's own.
const FIXED: [&str; 12] = [
    "/apiVersion",
    "/kind",
    "/status",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/creationTimestamp",
    "/metadata/managedFields",
    "/metadata/annotations/argocd.argoproj.io~1tracking-id",
    "/metadata/annotations/deployment.kubernetes.io~1revision",
];

/// A leaf of an object.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its JSON pointer.
    pub(crate) pointer: String,
    /// What may stand there.
    pub(crate) leaf: Leaf,
}

/// All leaves that may be changed.
pub(crate) fn leaves(object: &Value, shape: Shape<'_>) -> Vec<Place> {
    let mut found = Vec::new();
    walk(object, shape, "", &mut |pointer, value, shape| {
        if !value.is_object() && !value.is_array() {
            found.push(Place { pointer: pointer.to_owned(), leaf: shape.leaf() });
        }
    });
    found
}

/// All places below the top level, whole maps and lists included.
pub(crate) fn places(object: &Value, shape: Shape<'_>) -> Vec<String> {
    let mut found = Vec::new();
    walk(object, shape, "", &mut |pointer, _, _| {
        if pointer.matches('/').count() > 1 {
            found.push(pointer.to_owned());
        }
    });
    found
}

fn walk<'a>(value: &Value, shape: Shape<'a>, pointer: &str, see: &mut dyn FnMut(&str, &Value, Shape<'a>)) {
    if FIXED.contains(&pointer) {
        return;
    }
    if !pointer.is_empty() {
        see(pointer, value, shape);
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(value, shape.field(name), &format!("{pointer}/{}", escaped(name)), see);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                walk(value, shape.item(), &format!("{pointer}/{at}"), see);
            }
        }
        _ => {}
    }
}

/// One step of a JSON pointer.
pub(crate) fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// Another value of a leaf, which the server may refuse all the same.
pub(crate) fn other(value: &Value, leaf: &Leaf, random: &mut Random) -> Value {
    let choose = |from: &[&str], random: &mut Random| {
        let others: Vec<&&str> = from.iter().filter(|text| value != **text).collect();
        json!(**random.choose(&others).unwrap_or(&&"x"))
    };
    match (leaf, value) {
        (Leaf::Boolean, _) | (Leaf::Any, Value::Bool(_)) => json!(!value.as_bool().unwrap_or_default()),
        (Leaf::Integer, _) | (Leaf::Any, Value::Number(_)) => {
            let before = value.as_i64().unwrap_or_default();
            json!([before + 1, before + 7, (before - 1).max(0)][random.below(3)])
        }
        (Leaf::Number, _) => json!(value.as_f64().unwrap_or_default() + 0.5),
        (Leaf::Quantity, _) => {
            choose(&["1", "1000m", "250m", "0.5", "2", "1Gi", "1024Mi", "1e3", "128974848", "0"], random)
        }
        (Leaf::IntOrString, _) => [json!(81), json!("25%"), json!("http"), json!(1)][random.below(4)].clone(),
        (Leaf::OneOf(values), _) => {
            let others: Vec<&Value> = values.iter().filter(|other| *other != value).collect();
            random.choose(&others).map_or_else(|| value.clone(), |other| (*other).clone())
        }
        (Leaf::Bytes, _) => choose(&["YQ==", "Yg==", "", "AAECAw=="], random),
        (Leaf::Text | Leaf::Any, Value::String(text)) => {
            let changed = format!("{text}x");
            choose(&[&changed, "1000m", "1", "yes", "a-b", ""], random)
        }
        (Leaf::Text | Leaf::Any, _) => json!("x"),
    }
}

/// Changes an object once: a leaf, a new entry, a new item, or something less. Answers what was done.
pub(crate) fn mutate(object: &mut Value, shape: Shape<'_>, random: &mut Random) -> String {
    match random.below(8) {
        0 => add_entry(object, shape, random),
        1 => copy_item(object, shape, random),
        2 => remove(object, shape, random),
        _ => change(object, shape, random),
    }
    .unwrap_or_else(|| "nothing".to_owned())
}

fn change(object: &mut Value, shape: Shape<'_>, random: &mut Random) -> Option<String> {
    let places = leaves(object, shape);
    let place = random.choose(&places)?;
    let at = object.pointer_mut(&place.pointer)?;
    *at = other(at, &place.leaf, random);
    Some(format!("{} = {at}", place.pointer))
}

fn add_entry(object: &mut Value, shape: Shape<'_>, random: &mut Random) -> Option<String> {
    let mut maps = Vec::new();
    walk(object, shape, "", &mut |pointer, value, shape| {
        if value.is_object() && shape.takes_texts() {
            maps.push(pointer.to_owned());
        }
    });
    let map = random.choose(&maps)?;
    let value = ["", "1000m", "yes", "YQ=="][random.below(4)];
    object.pointer_mut(map)?.as_object_mut()?.insert("added".to_owned(), json!(value));
    Some(format!("{map}/added = '{value}'"))
}

fn copy_item(object: &mut Value, shape: Shape<'_>, random: &mut Random) -> Option<String> {
    let mut lists = Vec::new();
    walk(object, shape, "", &mut |pointer, value, shape| {
        if value.as_array().is_some_and(|items| !items.is_empty()) {
            lists.push((pointer.to_owned(), shape));
        }
    });
    let (list, shape) = random.choose(&lists)?.clone();
    let items = object.pointer_mut(&list)?.as_array_mut()?;
    let mut item = random.choose(items)?.clone();
    // Mostly it needs another key to be another item.
    let inside = if item.is_object() { leaves(&item, shape.item()) } else { Vec::new() };
    if let Some(place) = random.choose(&inside) {
        let at = item.pointer_mut(&place.pointer)?;
        *at = other(at, &place.leaf, random);
    } else if !item.is_object() {
        item = other(&item, &shape.item().leaf(), random);
    }
    items.push(item);
    Some(format!("{list} has one more"))
}

fn remove(object: &mut Value, shape: Shape<'_>, random: &mut Random) -> Option<String> {
    let places = places(object, shape);
    let pointer = random.choose(&places)?.clone();
    take(object, &pointer);
    Some(format!("{pointer} removed"))
}

/// Takes out what is at a pointer.
pub(crate) fn take(object: &mut Value, pointer: &str) {
    let Some((parent, step)) = pointer.rsplit_once('/') else { return };
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&step.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Ok(at) = step.parse::<usize>()
                && at < items.len()
            {
                items.remove(at);
            }
        }
        _ => {}
    }
}

/// Whether one of two places is the other or lies in it.
pub(crate) fn covers(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(one, other) || within(other, one)
}

/// An object without what the server and its controllers count and note themselves, at any moment.
pub(crate) fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    take(&mut object, "/status");
    take(&mut object, "/metadata/annotations/deployment.kubernetes.io~1revision");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"] {
            metadata.remove(field);
        }
        // An empty map is no map.
        metadata.retain(|_, value| *value != Value::Object(Map::new()));
    }
    object
}
