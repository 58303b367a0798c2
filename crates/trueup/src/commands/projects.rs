//! AppProjects as raw objects. Entry points: [`Projects::connect`], [`Projects::of`].

use trueup_api::{DEFAULT_PROJECT, crd};
use trueup_cluster::{Cluster, Kind};
use trueup_object::{Gvk, Node};

use crate::access::{self, AccessArgs};
use crate::command_error::{CommandError, cluster_error_with_message, user_error};

/// The AppProjects of one namespace.
pub(crate) struct Projects {
    cluster: Cluster,
    kind: Kind,
    namespace: String,
}

// === impl Projects ===

impl Projects {
    /// Connects, and makes sure that the cluster knows AppProjects.
    pub(crate) async fn connect(args: &AccessArgs) -> Result<Self, CommandError> {
        Self::of(args.connect().await?, &args.namespace).await
    }

    /// Those of a namespace of a cluster that is connected already.
    pub(crate) async fn of(cluster: Cluster, namespace: &str) -> Result<Self, CommandError> {
        let gvk = Gvk { group: crd::GROUP.into(), version: crd::VERSION.into(), kind: "AppProject".into() };
        let kind = cluster.kind(&gvk).await.map_err(access::without_applications)?;
        Ok(Self { cluster, kind, namespace: namespace.to_owned() })
    }

    /// Where they are.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// All of them, by name.
    pub(crate) async fn list(&self) -> Result<Vec<Node>, CommandError> {
        let listed = self.cluster.list_raw(&self.kind, Some(&self.namespace), None).await;
        let mut listed = listed.map_err(|error| access::explained("cannot list AppProjects", error))?;
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        listed.iter().map(|raw| self.read(raw.json.get().as_bytes())).collect()
    }

    /// One of them; nothing for the project `default` where nobody has made any project.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Node>, CommandError> {
        let found = self.cluster.get_raw(&self.kind, &self.namespace, name).await;
        if let Some(text) = found.map_err(|error| access::explained("cannot read the AppProject", error))? {
            return self.read(&text).map(Some);
        }
        let all = self.list().await?;
        if all.is_empty() && name == DEFAULT_PROJECT { Ok(None) } else { Err(self.no_such(name, &all)) }
    }

    fn read(&self, json: &[u8]) -> Result<Node, CommandError> {
        let mut node = Node::from_json(json)
            .map_err(|error| cluster_error_with_message("the API server sent an AppProject that is not JSON", error))?;
        // Items of a list do not say what they are.
        let map = node.force_map();
        map.insert("apiVersion", Node::string(self.kind.gvk.api_version()));
        map.insert("kind", Node::String(self.kind.gvk.kind.clone()));
        Ok(node)
    }

    fn no_such(&self, name: &str, all: &[Node]) -> CommandError {
        let error = user_error(format!("there is no AppProject '{name}' in namespace '{}'", self.namespace));
        let names: Vec<&str> = all.iter().filter_map(|project| project.str_at(&["metadata", "name"])).collect();
        let near = trueup_git::near(name, &names);
        if near.is_empty() {
            error.hinted("see what there is: trueup proj list; another namespace is chosen with --namespace")
        } else {
            error.hinted(format!("did you mean {}?", near.join(" or ")))
        }
    }
}
