//! The difference between two states of an Application's status, as a JSON patch.
//!
//! Whole sub-objects of the status are replaced: spec, status and operation are one object with several writers, and what
//! another one writes beside ours stays. Entry point: [`status_operations`].

use serde_json::{Map, Value, json};

/// The operations that turn `old` into `new`, both the value of `/status`; none if they are equal. `uid` guards against
/// another Application of the same name.
pub(crate) fn status_operations(old: &Map<String, Value>, new: &Map<String, Value>, uid: &str) -> Vec<Value> {
    let mut operations = Vec::new();
    if old.is_empty() && !new.is_empty() {
        operations.push(json!({"op": "add", "path": "/status", "value": new}));
    } else {
        for (key, value) in new {
            if old.get(key) != Some(value) {
                operations.push(json!({"op": "add", "path": format!("/status/{key}"), "value": value}));
            }
        }
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            operations.push(json!({"op": "remove", "path": format!("/status/{key}")}));
        }
    }
    if !operations.is_empty() {
        operations.insert(0, test("/metadata/uid", &json!(uid)));
    }
    operations
}

/// The operation that makes a patch fail unless a value is still there.
pub(crate) fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// Takes something out, if it is still what was seen.
pub(crate) fn take(path: &str, value: &Value) -> [Value; 2] {
    [test(path, value), json!({"op": "remove", "path": path})]
}

/// One step of a JSON pointer: `~` and `/` are escaped.
pub(crate) fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn equal_states_need_no_patch() {
        let state = map(json!({"sync": {"status": "Synced"}}));
        assert!(status_operations(&state, &state, "u").is_empty());
        assert!(status_operations(&Map::new(), &Map::new(), "u").is_empty());
    }

    #[test]
    fn the_first_status_is_added_whole() {
        let new = map(json!({"sync": {"status": "Synced"}}));
        let expected = [
            test("/metadata/uid", &json!("u")),
            json!({"op": "add", "path": "/status", "value": {"sync": {"status": "Synced"}}}),
        ];
        assert_eq!(status_operations(&Map::new(), &new, "u"), expected);
    }

    #[test]
    fn only_what_changed_is_replaced_and_what_went_is_removed() {
        let old = map(json!({"sync": {"status": "OutOfSync"}, "conditions": [], "health": {"status": "Healthy"}}));
        let new = map(json!({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}));
        let expected = [
            test("/metadata/uid", &json!("u")),
            json!({"op": "add", "path": "/status/sync", "value": {"status": "Synced"}}),
            json!({"op": "remove", "path": "/status/conditions"}),
        ];
        assert_eq!(status_operations(&old, &new, "u"), expected);
    }

    #[test]
    fn a_step_of_a_pointer_is_escaped() {
        assert_eq!(escaped("argocd.argoproj.io/refresh~"), "argocd.argoproj.io~1refresh~0");
    }
}
