//! The audit log and the recorder tell the truth about what happened.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::core::ApiResource;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::Change;
use trueup_bed::ControlPlane;
use trueup_bed::Recorder;

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/tracking-id": "app:/ConfigMap:default/a"}},
    }))
    .unwrap()
}

#[tokio::test]
async fn the_audit_log_counts_and_the_recorder_remembers() {
    let control_plane = ControlPlane::start(&["trueup"]).await.unwrap();
    let audit = Audit::of(&control_plane).await.unwrap();
    let admin = control_plane.client("admin").await.unwrap();
    let recorder = Recorder::start(admin, &[ApiResource::erase::<ConfigMap>(&())]).await.unwrap();
    let client = control_plane.client("trueup").await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client);

    let mark = audit.mark().await.unwrap();
    let made = maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    maps.patch("a", &dry, &Patch::Merge(json!({"data": {"x": "0"}}))).await.unwrap();
    maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"x": "1"}}))).await.unwrap();
    maps.get_opt("missing").await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let again = maps.create(&PostParams::default(), &config_map("a")).await.unwrap();

    let requests = audit.since(mark).await.unwrap().by("trueup");
    let counts: Vec<(String, usize)> =
        requests.counts().into_iter().map(|((verb, resource), count)| (format!("{verb} {resource}"), count)).collect();
    let expected = ["create", "delete", "get", "patch", "patch (dry run)"].map(|verb| format!("{verb} configmaps"));
    assert_eq!(counts, expected.into_iter().zip([2, 1, 1, 1, 1]).collect::<Vec<_>>());
    assert_eq!(requests.writes().len(), 4);
    assert_eq!(requests[3].code, 404);

    recorder.settle().await.unwrap();
    let story = recorder.story("ConfigMap", "default", "a");
    let changes: Vec<Change> = story.iter().map(|sighting| sighting.change).collect();
    assert_eq!(changes, [Change::Added, Change::Modified, Change::Deleted, Change::Added]);
    assert_eq!((&story[0].uid, &story[3].uid), (&made.metadata.uid.unwrap(), &again.metadata.uid.unwrap()));
    assert_eq!(recorder.deletions()[0].tracking_id.as_deref(), Some("app:/ConfigMap:default/a"));

    control_plane.restart_apiserver().await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    recorder.settle().await.unwrap();
    assert_eq!(recorder.deletions().len(), 2);
    assert!(audit.since(mark).await.unwrap().by("trueup").len() > requests.len());
}

#[tokio::test]
async fn nothing_is_asked_while_nobody_asks() {
    let control_plane = ControlPlane::start(&["trueup"]).await.unwrap();
    let audit = Audit::of(&control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    assert_eq!(audit.since(mark).await.unwrap().by("trueup").len(), 0);
    assert_eq!(audit.since(mark).await.unwrap().by("admin").len(), 0);
}
