//! Our own kinds, as they come.

use std::pin::pin;

use futures::StreamExt as _;
use serde_json::json;
use trueup_bed::Deadline;
use trueup_cluster::ClusterError;
use trueup_cluster::NewEvent;
use trueup_cluster::RawEvent;

use crate::bench::Bench;
use crate::bench::node;

async fn next(events: &mut (impl futures::Stream<Item = RawEvent> + Unpin)) -> String {
    let event = tokio::time::timeout(Deadline::SHORT, events.next()).await.unwrap().unwrap();
    match event {
        RawEvent::Init => "init".to_owned(),
        RawEvent::InitApply(raw) => format!("found {}", raw.name),
        RawEvent::InitDone => "done".to_owned(),
        RawEvent::Apply(raw) => format!("changed {}", raw.name),
        RawEvent::Delete(raw) => format!("gone {}", raw.name),
        RawEvent::Error(error) => format!("failed {error}"),
    }
}

#[tokio::test]
async fn a_raw_watch_shows_what_is_there_and_then_what_changes() {
    let bench = Bench::new("raw").await;
    let kind = bench.config_maps().await;
    for name in ["a", "b"] {
        bench.kubectl(&["create", "configmap", name]).await;
    }
    bench.kubectl(&["label", "configmap", "a", "pick=me"]).await;
    let mut events = pin!(bench.cluster.watch_raw(&kind, Some("raw"), Some("pick=me,other!=x")));
    let start = [next(&mut events).await, next(&mut events).await, next(&mut events).await];
    assert_eq!(start, ["init", "found a", "done"]);
    bench.kubectl(&["label", "configmap", "b", "pick=me"]).await;
    assert_eq!(next(&mut events).await, "changed b");
    bench.kubectl(&["label", "configmap", "a", "pick-"]).await;
    assert_eq!(next(&mut events).await, "gone a");
    let listed = bench.cluster.list_raw(&kind, Some("raw"), Some("pick=me")).await.unwrap();
    assert_eq!(listed.iter().map(|raw| raw.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn one_object_is_watched_by_its_name() {
    let bench = Bench::new("one").await;
    let kind = bench.config_maps().await;
    bench.kubectl(&["create", "configmap", "other"]).await;
    let mut events = pin!(bench.cluster.watch_one(&kind, "one", "mine"));
    assert_eq!([next(&mut events).await, next(&mut events).await], ["init", "done"]);
    bench.kubectl(&["create", "configmap", "another"]).await;
    bench.kubectl(&["create", "configmap", "mine"]).await;
    assert_eq!(next(&mut events).await, "changed mine");
    bench.kubectl(&["delete", "configmap", "mine"]).await;
    assert_eq!(next(&mut events).await, "gone mine");
}

#[tokio::test]
async fn a_json_patch_tests_before_it_writes() {
    let bench = Bench::new("patch").await;
    let kind = bench.config_maps().await;
    bench.apply(&kind, &bench.claimed("patch", "a", "1")).await.unwrap();
    let patch = |from: &str, to: &str| json!([{"op": "test", "path": "/data/value", "value": from}, {"op": "replace", "path": "/data/value", "value": to}]);
    let patched = bench.cluster.patch_json(&kind, "patch", "a", &patch("1", "2")).await.unwrap();
    let patched: serde_json::Value = serde_json::from_slice(&patched).unwrap();
    assert_eq!(patched["data"]["value"], "2");
    let error = bench.cluster.patch_json(&kind, "patch", "a", &patch("1", "3")).await.unwrap_err();
    assert!(matches!(error, ClusterError::Refused { code: 422, .. }), "{error:?}");
    let now = bench.cluster.get_raw(&kind, "patch", "a").await.unwrap().unwrap();
    assert!(String::from_utf8(now).unwrap().contains(r#""value":"2""#));
    assert_eq!(bench.cluster.get_raw(&kind, "patch", "nothing").await.unwrap(), None);
}

#[tokio::test]
async fn a_sweep_finds_what_claims_itself() {
    let bench = Bench::new("sweep").await;
    let kind = bench.config_maps().await;
    bench.apply(&kind, &bench.claimed("sweep", "a", "1")).await.unwrap();
    bench.kubectl(&["create", "configmap", "b"]).await;
    let claimed = bench.cluster.sweep(&kind).await.unwrap();
    let ours: Vec<_> = claimed.iter().filter(|it| it.app == "sweep").map(|it| it.key.clone()).collect();
    assert_eq!(ours, [bench.key(&kind, "a")]);
}

#[tokio::test]
async fn a_survey_finds_what_belongs_to_no_other_object() {
    let bench = Bench::new("survey").await;
    let kind = bench.config_maps().await;
    let owner = bench.apply(&kind, &bench.claimed("survey", "a", "1")).await.unwrap();
    bench.kubectl(&["create", "configmap", "b"]).await;
    let mut owned = bench.claimed("survey", "c", "1");
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": owner.uid}]);
    owned.set_at(&["metadata", "ownerReferences"], node(&reference));
    bench.apply(&kind, &owned).await.unwrap();
    let standing = bench.cluster.survey(&kind, "survey").await.unwrap();
    let mut found: Vec<_> = standing.iter().map(|it| (it.key.name.to_string(), it.app.as_deref())).collect();
    found.retain(|(name, _)| name != "kube-root-ca.crt");
    found.sort();
    assert_eq!(found, [("a".to_owned(), Some("survey")), ("b".to_owned(), None)]);
}

#[tokio::test]
async fn an_event_is_told() {
    let bench = Bench::new("events").await;
    let kind = bench.config_maps().await;
    let about = bench.apply(&kind, &bench.claimed("events", "a", "1")).await.unwrap();
    let event = NewEvent {
        namespace: "events".to_owned(),
        name: "a".to_owned(),
        uid: about.uid.clone(),
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        event_type: "Warning".to_owned(),
        reason: "Tested".to_owned(),
        message: "said once".to_owned(),
    };
    bench.cluster.event(&event).await.unwrap();
    let events = bench.kind("v1", "Event").await;
    let told = bench.cluster.list_raw(&events, Some("events"), None).await.unwrap();
    let told: Vec<serde_json::Value> = told.iter().map(|raw| serde_json::from_str(raw.json.get()).unwrap()).collect();
    let told = told.iter().find(|event| event["reason"] == "Tested").unwrap();
    assert_eq!((&told["type"], &told["message"]), (&json!("Warning"), &json!("said once")));
    assert_eq!(told["involvedObject"]["uid"], about.uid.as_str());
}
