//! What is synced: applications of ten plain objects each, none of which rolls anything out.

use serde_json::Value;
use serde_json::json;

/// Of ten objects so many are a Secret, a Service and a ServiceAccount; the rest are ConfigMaps.
const OTHERS: usize = 3;
/// Bytes. The value of a key of a ConfigMap, of which there are four: about a kilobyte an object.
const VALUE: usize = 200;
const KEYS: usize = 4;

/// The applications of one round. Every content is distinct, so that nothing can be rendered once for many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) applications: usize,
    pub(crate) objects: usize,
}

/// One object, and what is needed to send it.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) plural: &'static str,
    pub(crate) name: String,
    pub(crate) body: Value,
}

// === impl Load ===

impl Load {
    pub(crate) fn new(applications: usize, objects: usize) -> Self {
        Self { applications, objects }
    }

    /// The names of all applications. Each is its namespace's and its directory's too.
    pub(crate) fn names(self) -> Vec<String> {
        (0..self.applications).map(|index| format!("app-{index:04}")).collect()
    }

    /// The objects of an application, without a namespace as people write them.
    pub(crate) fn objects(self, application: &str) -> Vec<Object> {
        let config_maps = self.objects.saturating_sub(OTHERS);
        let mut objects: Vec<Object> = (0..config_maps).map(|index| config_map(application, index)).collect();
        objects.extend([secret(application), service(application), account(application)]);
        objects.truncate(self.objects);
        objects
    }

    /// How many ConfigMaps there are when all is done.
    pub(crate) fn config_maps(self) -> usize {
        self.applications * self.objects.saturating_sub(OTHERS)
    }
}

fn object(kind: &str, plural: &'static str, name: String, rest: Value) -> Object {
    let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": {"team": "bench"}}});
    if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), rest) {
        body.extend(rest);
    }
    Object { plural, name, body }
}

fn config_map(application: &str, index: usize) -> Object {
    let line = format!("{application} {index} ");
    let value: String = line.chars().cycle().take(VALUE).collect();
    let data: serde_json::Map<String, Value> =
        (0..KEYS).map(|key| (format!("key-{key}"), json!(format!("{key} {value}")))).collect();
    object("ConfigMap", "configmaps", format!("config-{index}"), json!({"data": data}))
}

fn secret(application: &str) -> Object {
    // Base64 of nothing in particular.
    let data = json!({"data": {"password": "bm90IGEgcGFzc3dvcmQ="}, "type": "Opaque"});
    object("Secret", "secrets", format!("secret-of-{application}"), data)
}

fn service(application: &str) -> Object {
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]);
    let spec = json!({"spec": {"selector": {"app": application}, "ports": ports}});
    object("Service", "services", "web".to_owned(), spec)
}

fn account(_application: &str) -> Object {
    object("ServiceAccount", "serviceaccounts", "runner".to_owned(), json!({"automountServiceAccountToken": false}))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_object_has_a_name_of_its_own() {
        let load = Load::new(3, 10);
        assert_eq!(load.names(), ["app-0000", "app-0001", "app-0002"]);
        let objects = load.objects("app-0001");
        let names: BTreeSet<(&str, &str)> =
            objects.iter().map(|object| (object.plural, object.name.as_str())).collect();
        assert_eq!((objects.len(), names.len()), (10, 10));
        assert_eq!(objects.iter().filter(|object| object.plural == "configmaps").count() * 3, load.config_maps());
    }

    #[test]
    fn applications_differ_in_content() {
        let load = Load::new(2, 10);
        assert_ne!(load.objects("app-0000")[0].body, load.objects("app-0001")[0].body);
    }
}
