//! A kind whose conversion webhook is down: only who has such objects is concerned.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ApiResource;
use serde_json::json;
use trueup_bed::Recorder;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::config_map;

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gears.faults.dev}
spec:
  group: faults.dev
  names: {kind: Gear, plural: gears}
  scope: Namespaced
  conversion: {strategy: None}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {teeth: {type: integer}}}}}
    - name: v2
      served: true
      storage: false
      schema:
        openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {teeth: {type: integer}}}}}
";

fn gear(teeth: u32) -> String {
    format!("apiVersion: faults.dev/v2\nkind: Gear\nmetadata: {{name: gear}}\nspec: {{teeth: {teeth}}}\n")
}

#[tokio::test]
async fn a_conversion_webhook_that_is_down_concerns_only_who_needs_it() {
    let world: &'static World = World::start().await.kept();
    let with = Scene::new(world, "conversion-with", NAMESPACE).await;
    let without = Scene::new(world, "conversion-without", NAMESPACE).await;
    let recorder = Recorder::start(with.admin.client().clone(), &[ApiResource::erase::<ConfigMap>(&())]).await.unwrap();
    kubectl_with_input(&world.control_plane, &["apply", "--server-side", "-f", "-"], DEFINITION).await;
    world.control_plane.established(&["crd/gears.faults.dev"]).await.unwrap();
    let controller = world.controller(&controller_options(NAMESPACE)).await;
    let first = with.commit(&[
        ("app/gear.yaml", Some(&gear(8))),
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
    ]);
    let concerned = with.create(with.application().automated(true, true)).await;
    concerned.synced(&first).await;
    let commit = without.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let other = without.create(without.application().automated(true, true)).await;
    other.synced(&commit).await;

    let broken = json!({"spec": {"conversion": {"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"},
    }}}});
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gears.faults.dev";
    with.admin.merge(path, "somebody", &broken).await;
    with.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "2")]))),
        ("app/gear.yaml", Some(&gear(9))),
        ("app/goes.yaml", None),
    ]);
    concerned
        .until("a word about the webhook", |app| {
            app["status"].to_string().contains("gear") && app["status"].to_string().contains("conversion webhook")
        })
        .await;
    let commit = without.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    let seen = other.synced(&commit).await;
    assert!(seen["status"]["conditions"].is_null(), "{}", other.brief().await);
    without.until_value("configmaps", "config", "/data/a", "2").await;
    assert!(controller.readiness().await.is_ok());

    with.admin.merge(path, "somebody", &json!({"spec": {"conversion": {"strategy": "None", "webhook": null}}})).await;
    let last = with.commit(&[("app/config.yaml", Some(&config_map("config", &[("a", "3")])))]);
    concerned.synced(&last).await;
    with.until_value("gears.faults.dev/v2", "gear", "/spec/teeth", 9).await;
    with.until_gone("configmaps", "goes").await;
    concerned.until("no condition left", |app| app["status"]["conditions"].is_null()).await;
    recorder.settle().await.unwrap();
    let deleted: Vec<String> = recorder
        .deletions()
        .into_iter()
        .filter(|deleted| deleted.namespace.starts_with("t-conversion"))
        .map(|deleted| deleted.name)
        .collect();
    assert_eq!(deleted, ["goes"]);
}
