//! What the tests stand on: one control plane for all, a namespace and a cluster for each.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedReceiver;
use trueup_bed::ControlPlane;
use trueup_bed::Deadline;
use trueup_bed::until;
use trueup_cluster::Apply;
use trueup_cluster::Change;
use trueup_cluster::Cluster;
use trueup_cluster::ClusterError;
use trueup_cluster::Config;
use trueup_cluster::Kind;
use trueup_cluster::Live;
use trueup_cluster::WatchState;
use trueup_object::Gvk;
use trueup_object::Node;
use trueup_object::ObjectKey;

/// How an object is applied where nothing special is meant.
pub(crate) const PLAIN: Apply = Apply { dry_run: false, resource_version: None, validate: true };

/// The control plane of all tests that do not break theirs. It ends with this process.
pub(crate) async fn control_plane() -> &'static ControlPlane {
    static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    CONTROL_PLANE
        .get_or_init(async || {
            let control_plane = ControlPlane::start(&["trueup", "eve:viewers"]).await.unwrap();
            control_plane.apply(VIEWERS).await.unwrap();
            control_plane
        })
        .await
}

/// Eve may see ConfigMaps and nothing else.
const VIEWERS: &str = r"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: viewers}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: viewers}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: viewers}]
";

/// A user's view of a cluster, with a namespace for one test.
pub(crate) struct Bench {
    pub(crate) control_plane: &'static ControlPlane,
    pub(crate) cluster: Cluster,
    pub(crate) namespace: &'static str,
}

pub(crate) async fn connect(control_plane: &ControlPlane, user: &str) -> Cluster {
    let kubeconfig = Some(control_plane.user_kubeconfig(user).unwrap().to_owned());
    Cluster::connect(Config { kubeconfig, context: None, user_agent: "trueup/test".to_owned() }).await.unwrap()
}

impl Bench {
    pub(crate) async fn new(namespace: &'static str) -> Self {
        Self::of("trueup", namespace).await
    }

    pub(crate) async fn of(user: &str, namespace: &'static str) -> Self {
        let control_plane = control_plane().await;
        let manifest = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        control_plane.apply(&manifest).await.unwrap();
        Self { control_plane, cluster: connect(control_plane, user).await, namespace }
    }

    pub(crate) async fn kind(&self, api_version: &str, kind: &str) -> Kind {
        self.cluster.kind(&Gvk::from_api_version(api_version, kind)).await.unwrap()
    }

    pub(crate) async fn config_maps(&self) -> Kind {
        self.kind("v1", "ConfigMap").await
    }

    /// Watches a kind until everything that is there has been seen.
    pub(crate) async fn watch(&self, kind: &Kind) {
        self.cluster.watch(kind);
        ready(&self.cluster, &kind.gvk).await;
    }

    pub(crate) fn key(&self, kind: &Kind, name: &str) -> ObjectKey {
        let namespace = if kind.namespaced { self.namespace } else { "" };
        ObjectKey::new(&kind.gvk.group, &kind.gvk.kind, namespace, name)
    }

    /// A ConfigMap that claims itself for an application.
    pub(crate) fn claimed(&self, app: &str, name: &str, value: &str) -> Node {
        let namespace = self.namespace;
        node(&serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "annotations": {
                "argocd.argoproj.io/tracking-id": format!("{app}:/ConfigMap:{namespace}/{name}"),
            }},
            "data": {"value": value},
        }))
    }

    pub(crate) async fn apply(&self, kind: &Kind, body: &Node) -> Result<Arc<Live>, ClusterError> {
        self.cluster.apply(kind, body, PLAIN).await
    }

    /// What somebody else does.
    pub(crate) async fn kubectl(&self, args: &[&str]) {
        let output = self.control_plane.kubectl(&[&["-n", self.namespace], args].concat()).await.unwrap();
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits until an object of the index is as wanted.
    pub(crate) async fn see(&self, kind: &Kind, name: &str, wanted: impl Fn(Option<&Node>) -> bool) {
        let key = self.key(kind, name);
        until(format!("{key} to be as wanted"), Deadline::SHORT, async || {
            let node = self.cluster.live(&kind.gvk, &key).map(|live| live.node());
            if wanted(node.as_ref()) { Ok(()) } else { Err(node) }
        })
        .await
        .unwrap();
    }
}

pub(crate) fn node(value: &serde_json::Value) -> Node {
    Node::from_json(value.to_string().as_bytes()).unwrap()
}

pub(crate) async fn ready(cluster: &Cluster, gvk: &Gvk) {
    state(cluster, gvk, |state| *state == WatchState::Ready).await;
}

/// Waits until the watch of a kind is as wanted.
pub(crate) async fn state(cluster: &Cluster, gvk: &Gvk, wanted: impl Fn(&WatchState) -> bool) -> WatchState {
    until(format!("the watch of {gvk}"), Deadline::SHORT, async || {
        let state = cluster.watch_state(gvk);
        if wanted(&state) { Ok(state) } else { Err(state) }
    })
    .await
    .unwrap()
}

/// Waits for a change and answers all that came before it.
pub(crate) async fn told(changes: &mut UnboundedReceiver<Change>, wanted: &Change) -> Vec<Change> {
    let mut before = Vec::new();
    loop {
        match tokio::time::timeout(Deadline::LONG, changes.recv()).await {
            Ok(Some(change)) if change == *wanted => return before,
            Ok(Some(change)) => before.push(change),
            Ok(None) | Err(_) => panic!("{wanted:?} was not told, but {before:?}"),
        }
    }
}
