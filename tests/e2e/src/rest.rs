//! Plain requests to the API server, under a user and a field manager that the test names.

use std::fmt::Write as _;

use http::Method;
use http::Request;
use kube::Client;
use serde_json::Value;

/// The path of a collection. `namespace` is empty for what has none, and for all namespaces.
pub fn objects(plural: &str, namespace: &str) -> String {
    let (group, plural) = match plural {
        "applications" | "appprojects" => ("apis/argoproj.io/v1alpha1", plural),
        "deployments" | "statefulsets" => ("apis/apps/v1", plural),
        "rolebindings" | "roles" | "clusterroles" => ("apis/rbac.authorization.k8s.io/v1", plural),
        "customresourcedefinitions" => ("apis/apiextensions.k8s.io/v1", plural),
        "jobs" => ("apis/batch/v1", plural),
        // `plural.group/version` is any other.
        other => match other.split_once('.') {
            Some((plural, group)) => return path(&format!("apis/{group}"), namespace, plural),
            None => ("api/v1", other),
        },
    };
    path(group, namespace, plural)
}

fn path(group: &str, namespace: &str, plural: &str) -> String {
    let mut path = format!("/{group}");
    if !namespace.is_empty() {
        let _ = write!(path, "/namespaces/{namespace}");
    }
    let _ = write!(path, "/{plural}");
    path
}

/// Asks the API server as one user. It belongs to the runtime that it is made in.
#[derive(Clone)]
pub struct Rest(Client);

impl Rest {
    /// Asks with this client.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The client itself.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// What is at a path; nothing if there is nothing.
    pub async fn get(&self, path: &str) -> Option<Value> {
        match self.try_get(path).await {
            Ok(value) => Some(value),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("GET {path}: {error}"),
        }
    }

    /// What is at a path, or what the API server says instead.
    pub async fn try_get(&self, path: &str) -> kube::Result<Value> {
        self.send(Method::GET, path, "application/json", &Value::Null).await
    }

    /// The items of a collection.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut list = self.try_get(path).await.unwrap_or_else(|error| panic!("LIST {path}: {error}"));
        match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    }

    /// Makes an object in a collection.
    pub async fn create(&self, collection: &str, object: &Value) -> Value {
        let made = self.send(Method::POST, collection, "application/json", object).await;
        made.unwrap_or_else(|error| panic!("POST {collection}: {error}"))
    }

    /// Makes an object in a collection, or hears why not.
    pub async fn try_create(&self, collection: &str, object: &Value) -> kube::Result<Value> {
        self.send(Method::POST, collection, "application/json", object).await
    }

    /// Changes an object by a merge patch, as a field manager.
    pub async fn merge(&self, path: &str, manager: &str, patch: &Value) -> Value {
        let path = format!("{path}?fieldManager={manager}");
        let patched = self.send(Method::PATCH, &path, "application/merge-patch+json", patch).await;
        patched.unwrap_or_else(|error| panic!("PATCH {path}: {error}"))
    }

    /// Changes an object by a JSON patch, as a field manager, or hears why not.
    pub async fn try_json_patch(&self, path: &str, manager: &str, patch: &Value) -> kube::Result<Value> {
        let path = format!("{path}?fieldManager={manager}");
        self.send(Method::PATCH, &path, "application/json-patch+json", patch).await
    }

    /// Applies an object by the server, by force, as a field manager.
    pub async fn apply(&self, path: &str, manager: &str, object: &Value) -> Value {
        let path = format!("{path}?fieldManager={manager}&force=true");
        let applied = self.send(Method::PATCH, &path, "application/apply-patch+yaml", object).await;
        applied.unwrap_or_else(|error| panic!("apply {path}: {error}"))
    }

    /// Deletes an object, if it is there.
    pub async fn delete(&self, path: &str) {
        match self.send(Method::DELETE, path, "application/json", &Value::Null).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("DELETE {path}: {error}"),
        }
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: &Value) -> kube::Result<Value> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content)
            .body(body)
            .map_err(kube::Error::HttpError)?;
        self.0.request::<Value>(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::objects;

    #[test]
    fn paths_are_the_api_servers() {
        assert_eq!(objects("configmaps", "a"), "/api/v1/namespaces/a/configmaps");
        assert_eq!(objects("namespaces", ""), "/api/v1/namespaces");
        assert_eq!(objects("deployments", "a"), "/apis/apps/v1/namespaces/a/deployments");
        assert_eq!(objects("widgets.e2e.dev/v1", "a"), "/apis/e2e.dev/v1/namespaces/a/widgets");
    }
}
