//! Applications, as users write them.

use kube::core::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The address of the cluster that Applications live in.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";

/// Begins an Application in the namespace `argocd`, of project `default`, deployed to the cluster itself.
pub fn application(name: &str) -> ApplicationBuilder {
    let value = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": "", "targetRevision": "main"},
            "destination": {"server": IN_CLUSTER},
        },
    });
    ApplicationBuilder { value }
}

/// An Application in the making.
#[derive(Debug, Clone)]
pub struct ApplicationBuilder {
    value: Value,
}

impl ApplicationBuilder {
    /// The kind, for clients.
    pub fn resource() -> ApiResource {
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"),
            "applications",
        )
    }

    /// The namespace that the Application itself lies in.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.set("/metadata", "namespace", json!(namespace))
    }

    /// The project.
    #[must_use]
    pub fn project(self, project: &str) -> Self {
        self.set("/spec", "project", json!(project))
    }

    /// The repository.
    #[must_use]
    pub fn repo(self, url: &str) -> Self {
        self.set("/spec/source", "repoURL", json!(url))
    }

    /// The path in the repository.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        self.set("/spec/source", "path", json!(path))
    }

    /// The target revision, `main` if not set.
    #[must_use]
    pub fn revision(self, revision: &str) -> Self {
        self.set("/spec/source", "targetRevision", json!(revision))
    }

    /// The namespace to deploy to.
    #[must_use]
    pub fn destination(self, namespace: &str) -> Self {
        self.set("/spec/destination", "namespace", json!(namespace))
    }

    /// Syncs by itself.
    #[must_use]
    pub fn automated(self, prune: bool, self_heal: bool) -> Self {
        self.set("/spec/syncPolicy", "automated", json!({"prune": prune, "selfHeal": self_heal}))
    }

    /// Adds a sync option, such as `CreateNamespace=true`.
    #[must_use]
    pub fn sync_option(mut self, option: &str) -> Self {
        let policy = self.object("/spec/syncPolicy");
        let options = policy.entry("syncOptions").or_insert_with(|| json!([]));
        if let Value::Array(options) = options {
            options.push(json!(option));
        }
        self
    }

    /// Adds the finalizer that deletes the resources with the Application.
    #[must_use]
    pub fn cascade(self) -> Self {
        self.set("/metadata", "finalizers", json!(["resources-finalizer.argocd.argoproj.io"]))
    }

    /// Adds an annotation to the Application itself.
    #[must_use]
    pub fn annotation(self, name: &str, value: &str) -> Self {
        self.set("/metadata/annotations", name, json!(value))
    }

    /// Sets a field of an object inside, given by its JSON pointer; what is missing on the way is made.
    #[must_use]
    pub fn set(mut self, pointer: &str, field: &str, value: Value) -> Self {
        self.object(pointer).insert(field.to_owned(), value);
        self
    }

    /// The finished Application.
    pub fn build(self) -> Value {
        self.value
    }

    fn object(&mut self, pointer: &str) -> &mut Map<String, Value> {
        let mut at = &mut self.value;
        for step in pointer.split('/').filter(|step| !step.is_empty()) {
            at = &mut at[step];
        }
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at.as_object_mut().expect("made an object above")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_what_users_write() {
        let built = application("a")
            .repo("http://git/x.git")
            .path("p")
            .destination("ns")
            .automated(true, false)
            .sync_option("CreateNamespace=true")
            .sync_option("ServerSideApply=true")
            .annotation("a/b", "c")
            .build();
        assert_eq!(
            built["spec"]["source"],
            json!({"repoURL": "http://git/x.git", "path": "p", "targetRevision": "main"})
        );
        assert_eq!(built["spec"]["syncPolicy"]["syncOptions"], json!(["CreateNamespace=true", "ServerSideApply=true"]));
        assert_eq!(built["spec"]["syncPolicy"]["automated"]["prune"], true);
        assert_eq!(built["metadata"]["annotations"]["a/b"], "c");
    }
}
