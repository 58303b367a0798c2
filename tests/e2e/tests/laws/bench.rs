//! The control plane of the laws: clients of the product and of others, and the kinds of the seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use trueup_api::source::DirectorySource;
use trueup_bed::ControlPlane;
use trueup_bed::Deadline;
use trueup_bed::until;
use trueup_cluster::Cluster;
use trueup_cluster::Config;
use trueup_cluster::Kind;
use trueup_diff::Schema;
use trueup_e2e::Rest;
use trueup_object::Gvk;
use trueup_render::Placement;
use trueup_render::Target;
use trueup_render::render_directory;
use trueup_render::targets;

use crate::seeds;

/// Where the objects of the cases go.
pub(crate) const NAMESPACE: &str = "laws";

/// Everything a case needs.
pub(crate) struct Bench {
    /// The product's client.
    pub(crate) cluster: Cluster,
    /// Somebody else's.
    pub(crate) somebody: Rest,
    /// The kinds of the seeds, by kind.
    pub(crate) kinds: BTreeMap<String, Known>,
    /// Holds one manifest at a time, as Git would.
    git: tempfile::TempDir,
    _control_plane: ControlPlane,
}

/// A kind, for the product and for the changes.
pub(crate) struct Known {
    /// As the product knows it.
    pub(crate) kind: Kind,
    /// Its reduced schema.
    pub(crate) schema: Arc<Schema>,
    /// The document that its full schema is in.
    pub(crate) document: Arc<Value>,
}

impl Bench {
    /// Starts a control plane with all kinds of the seeds.
    pub(crate) async fn start() -> Self {
        let control_plane = ControlPlane::start(&["trueup", "somebody"]).await.unwrap();
        let somebody = Rest::new(control_plane.client("somebody").await.unwrap());
        control_plane.apply(seeds::DEFINITION).await.unwrap();
        somebody.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}})).await;
        let kubeconfig = Some(control_plane.user_kubeconfig("trueup").unwrap().to_owned());
        let config = Config { kubeconfig, context: None, user_agent: "trueup-laws".to_owned() };
        let cluster = Cluster::connect(config).await.unwrap();
        let mut documents: BTreeMap<String, Arc<Value>> = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for seed in seeds::SEEDS {
            let gvk = Gvk::from_api_version(seed.api_version, seed.kind);
            let root = if gvk.group.is_empty() { "api" } else { "apis" };
            let path = format!("/openapi/v3/{root}/{}", seed.api_version);
            if !documents.contains_key(&path) {
                // A definition's document appears a moment after it.
                let document = until(path.clone(), Deadline::LONG, async || somebody.get(&path).await.ok_or("missing"));
                documents.insert(path.clone(), Arc::new(document.await.unwrap()));
            }
            let kind = until("the kind", Deadline::LONG, async || cluster.kind(&gvk).await.map_err(|e| e.to_string()));
            let kind = kind.await.unwrap();
            let schema = cluster.openapi(&gvk).await.unwrap();
            assert!(schema.is_known(), "{gvk}");
            let document = Arc::clone(&documents[&path]);
            kinds.insert(seed.kind.to_owned(), Known { kind, schema, document });
        }
        let git = tempfile::tempdir().unwrap();
        Self { cluster, somebody, kinds, git, _control_plane: control_plane }
    }

    /// What the product makes of a manifest before it sends it.
    pub(crate) fn target(&self, manifest: &Value) -> Result<Target, String> {
        let file: &Path = &self.git.path().join("object.json");
        std::fs::write(file, serde_json::to_vec(manifest).unwrap()).map_err(|error| error.to_string())?;
        let rendered =
            render_directory(self.git.path(), &DirectorySource::default()).map_err(|error| error.to_string())?;
        let namespaced = |_: &Gvk| Some(true);
        let made = targets(
            &rendered,
            &Placement { app: "laws", installation: "", namespace: NAMESPACE, namespaced: &namespaced },
        );
        match (&made.invalid[..], made.objects.into_iter().next()) {
            ([], Some(target)) => Ok(target),
            (invalid, _) => Err(format!("not sent: {invalid:?}")),
        }
    }
}

/// The path of an object.
pub(crate) fn path(kind: &Kind, name: &str) -> String {
    let root = if kind.gvk.group.is_empty() { "api" } else { "apis" };
    format!("/{root}/{}/namespaces/{NAMESPACE}/{}/{name}", kind.gvk.api_version(), kind.plural)
}
