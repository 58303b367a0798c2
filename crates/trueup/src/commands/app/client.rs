//! Applications as raw objects: read, listed, patched. Entry point: [`Client::connect`].

use serde_json::Value;
use trueup_api::{DEFAULT_PROJECT, Project, crd};
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_object::{Gvk, Node};

use crate::access::{self, AccessArgs};
use crate::command_error::{CommandError, cluster_error_with_message, user_error};
use crate::commands::app::view::View;

/// How often a patch is tried when somebody else was faster.
pub(crate) const PATCH_ROUNDS: usize = 3;
/// What stands before a name where kinds are mixed, as kubectl prints it.
pub(crate) const NAME_PREFIX: &str = "application.argoproj.io/";

/// The Applications of one namespace.
pub(crate) struct Client {
    cluster: Cluster,
    kind: Kind,
    namespace: String,
}

// === impl Client ===

impl Client {
    /// Connects, and makes sure that the cluster knows Applications.
    pub(crate) async fn connect(args: &AccessArgs) -> Result<Self, CommandError> {
        let cluster = args.connect().await?;
        let gvk = Gvk { group: crd::GROUP.into(), version: crd::VERSION.into(), kind: "Application".into() };
        let kind = cluster.kind(&gvk).await.map_err(access::without_applications)?;
        Ok(Self { cluster, kind, namespace: args.namespace.clone() })
    }

    /// The same for one Application, given as NAME or NAMESPACE/NAME.
    pub(crate) async fn connect_for(args: &AccessArgs, name: &str) -> Result<(Self, String), CommandError> {
        let (namespace, name) = named(&args.namespace, name)?;
        let args = AccessArgs { namespace: namespace.to_owned(), ..args.clone() };
        Ok((Self::connect(&args).await?, name.to_owned()))
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The kind Application as this cluster serves it.
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The project of this name that Applications governed from `namespace` are in, or why there is none.
    pub(crate) async fn project(&self, namespace: &str, name: &str) -> Result<Project, String> {
        let gvk = Gvk { group: crd::GROUP.into(), version: crd::VERSION.into(), kind: "AppProject".into() };
        let unread = |error: &dyn std::fmt::Display| format!("project '{name}' cannot be read: {error}");
        let kind = self.cluster.kind(&gvk).await.map_err(|error| unread(&error))?;
        let found = self.cluster.get_raw(&kind, namespace, name).await.map_err(|error| unread(&error))?;
        match found {
            Some(text) => Project::read(&text).map_err(|error| unread(&error)),
            None if name == DEFAULT_PROJECT => {
                // It exists without being made for as long as nobody makes a project.
                let all = self.cluster.list_raw(&kind, Some(namespace), None).await.map_err(|error| unread(&error))?;
                if all.is_empty() { Ok(Project::default_project()) } else { Err(missing_project(name, namespace)) }
            }
            None => Err(missing_project(name, namespace)),
        }
    }

    /// Where the Applications are.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// All Applications, or those with these labels.
    pub(crate) async fn list(&self, selector: Option<&str>) -> Result<Vec<Node>, CommandError> {
        self.list_in(Some(&self.namespace), selector).await
    }

    /// The same in a given namespace, or in all.
    pub(crate) async fn list_in(
        &self,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<Node>, CommandError> {
        let listed = self.cluster.list_raw(&self.kind, namespace, selector).await;
        let listed = listed.map_err(|error| access::explained("cannot list Applications", error))?;
        listed.iter().map(|raw| self.read(raw.json.get().as_bytes())).collect()
    }

    /// One Application as the API server sent it.
    pub(crate) async fn get_text(&self, name: &str) -> Result<Vec<u8>, CommandError> {
        let found = self.cluster.get_raw(&self.kind, &self.namespace, name).await;
        match found.map_err(|error| access::explained("cannot read the Application", error))? {
            Some(text) => Ok(text),
            None => Err(self.no_such(name).await),
        }
    }

    /// One Application.
    pub(crate) async fn get(&self, name: &str) -> Result<Node, CommandError> {
        self.read(&self.get_text(name).await?)
    }

    /// Changes one Application by a JSON patch that `patch` makes of its present state; nothing to do where it makes none.
    ///
    /// The patch takes effect only on the very state that it was made of; if somebody else was faster, it is made anew.
    pub(crate) async fn patch(
        &self,
        name: &str,
        mut patch: impl FnMut(View<'_>) -> Result<Vec<Value>, CommandError>,
    ) -> Result<Node, CommandError> {
        let mut round = 1;
        loop {
            let app = self.get(name).await?;
            let mut operations = patch(View(&app))?;
            if operations.is_empty() {
                return Ok(app);
            }
            // A stale version is answered with a conflict, which a failed 'test' is not.
            let version = View(&app).resource_version();
            operations
                .insert(0, serde_json::json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
            match self.cluster.patch_json(&self.kind, &self.namespace, name, &Value::Array(operations)).await {
                Ok(answer) => return self.read(&answer),
                Err(ClusterError::Conflict) if round < PATCH_ROUNDS => round += 1,
                Err(error) => return Err(access::explained("cannot change the Application", error)),
            }
        }
    }

    /// An Application that the API server sent.
    pub(crate) fn read(&self, json: &[u8]) -> Result<Node, CommandError> {
        let mut node = Node::from_json(json).map_err(|error| {
            cluster_error_with_message("the API server sent an Application that is not JSON", error)
        })?;
        // Items of a list do not say what they are.
        let map = node.force_map();
        map.insert("apiVersion", Node::string(self.kind.gvk.api_version()));
        map.insert("kind", Node::String(self.kind.gvk.kind.clone()));
        Ok(node)
    }

    async fn no_such(&self, name: &str) -> CommandError {
        let error = user_error(format!("there is no Application '{name}' in namespace '{}'", self.namespace));
        // The names only help; that they cannot be had is no second error.
        let all = self.list(None).await.unwrap_or_default();
        let names: Vec<&str> = all.iter().map(|app| View(app).name()).collect();
        let near = trueup_git::near(name, &names);
        if near.is_empty() {
            error.hinted("see what there is: trueup app list; another namespace is chosen with --namespace")
        } else {
            error.hinted(format!("did you mean {}?", near.join(" or ")))
        }
    }
}

/// Namespace and name of an Application that is given as NAME, NAMESPACE/NAME, or as `-o name` prints it.
pub(crate) fn named<'a>(namespace: &'a str, text: &'a str) -> Result<(&'a str, &'a str), CommandError> {
    // No namespace has a dot in its name.
    let text = text.strip_prefix(NAME_PREFIX).unwrap_or(text);
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(user_error("an Application is named as NAME or NAMESPACE/NAME"));
    }
    Ok((namespace, name))
}

fn missing_project(name: &str, namespace: &str) -> String {
    format!("there is no AppProject '{name}' in namespace '{namespace}': create it, or name another in spec.project")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_a_name_and_perhaps_a_namespace() {
        let read = |text: &str| named("argocd", text).map(|(namespace, name)| format!("{namespace} {name}"));
        assert_eq!(read("web").unwrap(), "argocd web");
        assert_eq!(read("team-a/web").unwrap(), "team-a web");
        assert_eq!(read("application.argoproj.io/web").unwrap(), "argocd web");
        for wrong in ["", "/web", "a/", "a/b/c", "application.argoproj.io/"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
