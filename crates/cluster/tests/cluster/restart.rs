//! The API server goes and comes back.

use std::pin::pin;

use futures::StreamExt as _;
use serde_json::json;
use trueup_bed::ControlPlane;
use trueup_bed::Deadline;
use trueup_cluster::Change;
use trueup_cluster::ClusterError;
use trueup_cluster::RawEvent;
use trueup_cluster::WatchState;
use trueup_object::Gvk;
use trueup_object::ObjectKey;

use crate::bench::PLAIN;
use crate::bench::connect;
use crate::bench::node;
use crate::bench::ready;
use crate::bench::told;

#[tokio::test]
async fn watches_go_on_after_a_restart() {
    let control_plane = ControlPlane::start(&["trueup"]).await.unwrap();
    let cluster = connect(&control_plane, "trueup").await;
    let gvk = Gvk::from_api_version("v1", "ConfigMap");
    let kind = cluster.kind(&gvk).await.unwrap();
    cluster.watch(&kind);
    ready(&cluster, &gvk).await;
    let mut changes = cluster.changes();
    let body = |value: &str| {
        node(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "namespace": "default",
                         "annotations": {"argocd.argoproj.io/tracking-id": "app:/ConfigMap:default/a"}},
            "data": {"value": value},
        }))
    };
    cluster.want("app", []);
    let before = cluster.apply(&kind, &body("1"), PLAIN).await.unwrap();
    let mut raw = pin!(cluster.watch_raw(&kind, Some("default"), None));
    while !matches!(raw.next().await.unwrap(), RawEvent::InitDone) {}

    control_plane.stop_apiserver().await.unwrap();
    told(&mut changes, &Change::Connection(false)).await;
    assert!(!cluster.reachable());
    let error = cluster.apply(&kind, &body("2"), PLAIN).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unavailable { .. }), "{error:?}");
    assert_eq!(cluster.watch_state(&gvk), WatchState::Ready, "an outage is no fault of the kind");
    let key = ObjectKey::new("", "ConfigMap", "default", "a");
    assert_eq!(cluster.live(&gvk, &key).unwrap().resource_version, before.resource_version);

    control_plane.start_apiserver().await.unwrap();
    told(&mut changes, &Change::Connection(true)).await;
    assert!(cluster.reachable());
    let patch = ["patch", "configmap", "a", "--type=merge", "--patch", r#"{"data":{"value":"3"}}"#];
    assert!(control_plane.kubectl(&patch).await.unwrap().status.success());
    told(&mut changes, &Change::Object { app: "app".into(), key: key.clone() }).await;
    assert_eq!(cluster.live(&gvk, &key).unwrap().node().str_at(&["data", "value"]), Some("3"));
    assert_eq!(cluster.watch_state(&gvk), WatchState::Ready);
    let seen = tokio::time::timeout(Deadline::SHORT, async {
        loop {
            if let RawEvent::Apply(raw) | RawEvent::InitApply(raw) = raw.next().await.unwrap()
                && raw.json.get().contains(r#""value":"3""#)
            {
                return raw.name;
            }
        }
    });
    assert_eq!(seen.await.unwrap(), "a");
}
