//! Applications as raw objects: read, listed, patched. Entry point: [`Client::connect`].

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use serde_json::Value;
use trueup_api::{Project, crd};
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_object::{Gvk, Node};

use crate::access::{self, AccessArgs};
use crate::command_error::{CommandError, cluster_error_with_message, user_error, user_error_with_message};
use crate::commands::app::view::{self, View};
use crate::commands::projects::Projects;
use crate::names;
use crate::output::style::one_line;

/// How often a patch is tried when somebody else was faster.
pub(crate) const PATCH_ROUNDS: u32 = 5;
/// The longest wait before the second attempt, and by so much longer before each further one: as long as a few writes take.
const PATCH_PAUSE: Duration = Duration::from_millis(100);
/// What stands before a name where kinds are mixed, as kubectl prints it.
const NAME_PREFIX: &str = "application.argoproj.io/";
/// What a name may be made of.
const LETTERS: &str = "small ASCII letters, digits and '-', the first and the last no '-'";

/// The Applications of one namespace.
pub(crate) struct Client {
    cluster: Cluster,
    kind: Kind,
    namespace: String,
    /// The namespace that the command line names.
    controller_namespace: String,
}

// === impl Client ===

impl Client {
    /// Connects, and makes sure that the cluster knows Applications.
    pub(crate) async fn connect(args: &AccessArgs) -> Result<Self, CommandError> {
        Self::connect_in(args, &args.namespace).await
    }

    /// The same for the Applications of another namespace than the controller's.
    pub(crate) async fn connect_in(args: &AccessArgs, namespace: &str) -> Result<Self, CommandError> {
        let cluster = args.connect().await?;
        let gvk = Gvk { group: crd::GROUP.into(), version: crd::VERSION.into(), kind: "Application".into() };
        let kind = cluster.kind(&gvk).await.map_err(access::without_applications)?;
        let controller_namespace = args.namespace.clone();
        Ok(Self { cluster, kind, namespace: namespace.to_owned(), controller_namespace })
    }

    /// The same for one Application, given as NAME or NAMESPACE/NAME.
    pub(crate) async fn connect_for(args: &AccessArgs, name: &str) -> Result<(Self, String), CommandError> {
        let (namespace, name) = named(&args.namespace, name)?;
        Ok((Self::connect_in(args, namespace).await?, name.to_owned()))
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The kind Application as this cluster serves it.
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The project of this name that Applications governed from `namespace` are in.
    pub(crate) async fn project(&self, namespace: &str, name: &str) -> Result<Project, CommandError> {
        match Projects::of(self.cluster.clone(), namespace).await?.get(name).await? {
            Some(project) => Project::read(&project.to_json())
                .map_err(|error| user_error_with_message(format!("AppProject '{name}' cannot be read"), error)),
            // It exists without being made for as long as nobody makes a project.
            None => Ok(Project::default_project()),
        }
    }

    /// The namespace of the controller that an Application is governed from: as that controller has said, or else the one that
    /// the command line names, wherever the Application itself is.
    pub(crate) fn governed_from<'a>(&'a self, app: View<'a>) -> &'a str {
        view::or(app.text(&["status", "controllerNamespace"]), &self.controller_namespace)
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
        patch: impl FnMut(View<'_>) -> Result<Vec<Value>, CommandError>,
    ) -> Result<Node, CommandError> {
        self.patch_as(name, false, patch).await
    }

    /// The same, or with `dry_run` only what would come of it.
    pub(crate) async fn patch_as(
        &self,
        name: &str,
        dry_run: bool,
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
            let operations = Value::Array(operations);
            let answer = if dry_run {
                self.cluster.try_json_patch(&self.kind, &self.namespace, name, &operations).await
            } else {
                self.cluster.patch_json(&self.kind, &self.namespace, name, &operations).await
            };
            match answer {
                Ok(answer) => return self.read(&answer),
                Err(ClusterError::Conflict) if round < PATCH_ROUNDS => {
                    // Many that try again at the same time would be in each other's way again.
                    tokio::time::sleep(apart(round)).await;
                    round += 1;
                }
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

/// How long to wait after so many attempts; for each process another time.
fn apart(round: u32) -> Duration {
    // Every RandomState has keys of its own.
    let percent = RandomState::new().hash_one(round) % 101;
    PATCH_PAUSE * round * u32::try_from(percent).unwrap_or(100) / 100
}

/// Namespace and name of an Application that is given as NAME, NAMESPACE/NAME, or as `-o name` prints it.
pub(crate) fn named<'a>(namespace: &'a str, text: &'a str) -> Result<(&'a str, &'a str), CommandError> {
    // No namespace has a dot in its name.
    let text = text.strip_prefix(NAME_PREFIX).unwrap_or(text);
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(user_error("an Application is named as NAME or NAMESPACE/NAME"));
    }
    if !names::is_dns_label(namespace) {
        return Err(user_error(format!("'{}' cannot be the name of a namespace", one_line(namespace)))
            .hinted(format!("it has only {LETTERS}")));
    }
    if !names::is_object_name(name) {
        return Err(user_error(format!("'{}' cannot be the name of an Application", one_line(name)))
            .hinted(format!("it has only {LETTERS}, and dots between them")));
    }
    Ok((namespace, name))
}

/// The name of an Application as `-o name` prints it, so that a command with the same `--namespace` means the same one.
pub(crate) fn typed_name(namespace: &str, app: View<'_>) -> String {
    let name =
        if app.text(&["metadata", "namespace"]) == namespace { app.name().to_owned() } else { app.qualified_name() };
    format!("{NAME_PREFIX}{}", one_line(&name))
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
        assert_eq!(read("application.argoproj.io/team-a/web").unwrap(), "team-a web");
        for wrong in ["", "/web", "a/", "a/b/c", "application.argoproj.io/", "../a", "a/..", "A", "a_b/c"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_printed_name_means_the_same_application() {
        let app = Node::from_json(br#"{"metadata":{"name":"web","namespace":"team-a"}}"#).unwrap();
        for (namespace, printed) in
            [("team-a", "application.argoproj.io/web"), ("argocd", "application.argoproj.io/team-a/web")]
        {
            let name = typed_name(namespace, View(&app));
            assert_eq!(name, printed);
            assert_eq!(named(namespace, &name).unwrap(), ("team-a", "web"));
        }
    }
}
