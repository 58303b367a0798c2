//! Objects in the destination that no application has.

use serde_json::json;
use trueup_bed::Asked;
use trueup_bed::Audit;
use trueup_e2e::manifests::config_map;

use crate::projects::amend;
use crate::projects::project;
use crate::projects::scene;

const WARNING: &str = "OrphanedResourceWarning";

#[tokio::test]
async fn what_no_application_has_is_told_where_the_project_asks_for_it() {
    let (scene, _controller) = scene("orphans").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let spec = json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "t-orphans"}]});
    project(&scene, "team", spec).await;
    let app = scene.create(scene.application().project("team").automated(true, true)).await;
    app.synced(&commit).await;
    let configs = "/api/v1/namespaces/t-orphans/configmaps";
    let left = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    scene.admin.create(configs, &left("left")).await;
    app.refresh("normal").await;
    app.without_condition(WARNING).await;

    amend(&scene, "team", json!({"orphanedResources": {}})).await;
    let seen = app.condition(WARNING, &["Application has 1 orphaned resources: ", "left"]).await;
    assert_eq!(seen["status"]["sync"]["status"], "Synced", "it is only told");
    // What is there later is found by a refresh.
    scene.admin.create(configs, &left("later")).await;
    app.refresh("normal").await;
    app.condition(WARNING, &["Application has 2 orphaned resources: ", "later"]).await;
    // Nothing asks for that again while nothing happens there, however many intervals pass.
    let audit = Audit::of(&scene.world.control_plane).await.unwrap();
    let (mark, listings) = (audit.mark().await.unwrap(), scene.repository.asked(Asked::LsRefs));
    scene.listed(listings + 3).await;
    let asked = audit.since(mark).await.unwrap().by("trueup");
    let asked = asked.filtered(|request| request.namespace == "t-orphans" && request.verb != "watch");
    assert!(asked.is_empty(), "at rest: {asked:?}");
    // What the project does not want to hear of is not told, nor what an application has come to hold.
    let ignore = json!({"ignore": [{"group": "", "kind": "ConfigMap", "name": "lef*"}]});
    amend(&scene, "team", json!({"orphanedResources": ignore})).await;
    app.condition(WARNING, &["Application has 1 orphaned resources: ", "later"]).await;
    let second = scene.put("app/later.yaml", &config_map("later", &[("a", "1")]));
    app.synced(&second).await;
    app.without_condition(WARNING).await;
    amend(&scene, "team", json!({"orphanedResources": {"warn": false, "ignore": null}})).await;
    app.refresh("normal").await;
    app.without_condition(WARNING).await;
}
