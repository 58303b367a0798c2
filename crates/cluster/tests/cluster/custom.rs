//! Kinds that come and go.

use serde_json::json;
use trueup_bed::Deadline;
use trueup_bed::until;
use trueup_cluster::Change;
use trueup_cluster::KindError;
use trueup_cluster::WatchState;
use trueup_object::Gvk;
use trueup_object::Node;

use crate::bench::Bench;
use crate::bench::node;
use crate::bench::ready;
use crate::bench::state;
use crate::bench::told;

fn definition(group: &str, versions: &[&str]) -> Node {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "ports": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
    }}}}});
    let versions: Vec<_> = versions
        .iter()
        .enumerate()
        .map(|(at, name)| json!({"name": name, "served": true, "storage": at == 0, "schema": schema}))
        .collect();
    node(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": versions,
                 "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}},
    }))
}

fn widget(api_version: &str, namespace: &str) -> Node {
    node(&json!({"apiVersion": api_version, "kind": "Widget", "metadata": {"name": "w", "namespace": namespace},
                 "spec": {"ports": [80]}}))
}

#[tokio::test]
async fn a_new_kind_is_told_and_can_be_used_at_once() {
    let bench = Bench::new("custom").await;
    let gvk = Gvk::from_api_version("custom.example/v1", "Widget");
    let definitions = bench.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").await;
    let mut changes = bench.cluster.changes();
    assert_eq!(bench.cluster.kind(&gvk).await, Err(KindError::NotServed(gvk.clone())));

    bench.apply(&definitions, &definition("custom.example", &["v1"])).await.unwrap();
    told(&mut changes, &Change::Kind { gvk: gvk.clone() }).await;
    let kind = bench.cluster.known_kind(&gvk).unwrap();
    bench.apply(&kind, &widget("custom.example/v1", "custom")).await.unwrap();
    bench.cluster.want("custom", [(gvk.clone(), bench.key(&kind, "w"))]);
    bench.watch(&kind).await;
    bench.see(&kind, "w", |live| live.is_some()).await;
    assert!(bench.cluster.openapi(&gvk).await.unwrap().is_known(), "the definition itself has the schema");

    // It goes, and comes again: the watch ends up ready.
    bench.kubectl(&["delete", "crd", "widgets.custom.example"]).await;
    until("the kind to be gone", Deadline::SHORT, async || bench.cluster.known_kind(&gvk).map_or(Ok(()), Err))
        .await
        .unwrap();
    bench.see(&kind, "w", |live| live.is_none()).await;
    state(&bench.cluster, &gvk, |state| matches!(state, WatchState::Failed { .. })).await;
    bench.apply(&definitions, &definition("custom.example", &["v1", "v2"])).await.unwrap();
    until("the kind to be back", Deadline::SHORT, async || bench.cluster.known_kind(&gvk).ok_or("gone")).await.unwrap();
    ready(&bench.cluster, &gvk).await;
}

#[tokio::test]
async fn a_kind_whose_objects_cannot_be_converted_fails_alone() {
    let bench = Bench::new("broken").await;
    let definitions = bench.kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").await;
    let mut broken = definition("broken.example", &["v1", "v2"]);
    broken.set_at(
        &["spec", "conversion"],
        node(&json!({"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:1/convert"},
        }})),
    );
    bench.apply(&definitions, &broken).await.unwrap();
    let kind = |version: &str| {
        let gvk = Gvk::from_api_version(&format!("broken.example/{version}"), "Widget");
        let cluster = &bench.cluster;
        async move { until("the kind", Deadline::SHORT, async || cluster.kind(&gvk).await).await.unwrap() }
    };
    let (v1, v2) = (kind("v1").await, kind("v2").await);
    until("the object", Deadline::SHORT, async || bench.apply(&v1, &widget("broken.example/v1", "broken")).await)
        .await
        .unwrap();
    let config_maps = bench.config_maps().await;
    bench.cluster.watch(&v2);
    bench.watch(&v1).await;
    bench.watch(&config_maps).await;
    state(&bench.cluster, &v2.gvk, |state| matches!(state, WatchState::Failed { .. })).await;
    for gvk in [&v1.gvk, &config_maps.gvk] {
        assert_eq!(bench.cluster.watch_state(gvk), WatchState::Ready);
    }
    assert!(bench.cluster.reachable());
    bench.kubectl(&["delete", "crd", "widgets.broken.example", "--wait=false"]).await;
}
