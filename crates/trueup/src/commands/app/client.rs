//! Applications as raw objects: read, listed, patched. Entry point: [`Client::connect`].

use serde_json::Value;
use trueup_api::crd;
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_object::{Gvk, Node};

use crate::access::{self, AccessArgs};
use crate::command_error::{CommandError, cluster_error_with_message, user_error};
use crate::commands::app::view::View;

/// How often a patch is tried when somebody else was faster.
const PATCH_ROUNDS: usize = 3;
/// How many names are proposed in place of one that does not exist.
const NEAR_NAMES_MAX: usize = 3;

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
        let (namespace, name) = name.split_once('/').unwrap_or((&args.namespace, name));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err(user_error("an Application is named as NAME or NAMESPACE/NAME"));
        }
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

    /// Where the Applications are.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// All Applications, or those with these labels.
    pub(crate) async fn list(&self, selector: Option<&str>) -> Result<Vec<Node>, CommandError> {
        let listed = self.cluster.list_raw(&self.kind, Some(&self.namespace), selector).await;
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

    fn read(&self, json: &[u8]) -> Result<Node, CommandError> {
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
        let near = near(name, &names);
        if near.is_empty() {
            error.hinted("see what there is: trueup app list; another namespace is chosen with --namespace")
        } else {
            error.hinted(format!("did you mean {}?", near.join(" or ")))
        }
    }
}

/// The names that look like what was meant, best first.
fn near<'a>(wanted: &str, names: &[&'a str]) -> Vec<&'a str> {
    // A third of it may be wrong; a part of a name is near however long the rest is.
    let tolerance = wanted.chars().count().div_ceil(3);
    let rate = |name: &str| {
        let distance = distance(wanted, name);
        let part = wanted.len() >= 3 && name.contains(wanted);
        (distance <= tolerance || part).then_some(distance)
    };
    let mut rated: Vec<(usize, &str)> = names.iter().filter_map(|name| Some((rate(name)?, *name))).collect();
    rated.sort_unstable();
    rated.into_iter().take(NEAR_NAMES_MAX).map(|(_, name)| name).collect()
}

/// How many letters must be changed, added or left out to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("shop", "shpo", 2),
            ("é", "e", 1),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn near_names_are_proposed_best_first() {
        let names = ["shop-dev", "shop-prod", "billing", "shop-staging"];
        assert_eq!(near("shop-dve", &names), ["shop-dev"]);
        assert_eq!(near("shop", &names), ["shop-dev", "shop-prod", "shop-staging"]);
        assert_eq!(near("biling", &names), ["billing"]);
        assert_eq!(near("zzz", &names), Vec::<&str>::new());
    }
}
