//! What is asked for and not honoured yet stops the sync, so that nothing is deleted, overwritten or permitted by neglect.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;

/// Waits for a condition with these words, and sees that nothing was done.
async fn stopped(scene: &Scene<'_>, app: &trueup_e2e::App, words: &[&str]) {
    app.until(&format!("a condition with {words:?}"), |app| {
        let conditions = app["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| {
            let message = condition["message"].as_str().unwrap_or_default();
            words.iter().all(|word| message.contains(word))
        })
    })
    .await;
    app.refresh("normal").await;
    assert!(scene.object("configmaps", "config").await.is_none(), "{}", app.brief().await);
    assert!(scene.object("configmaps", "special").await.is_none(), "{}", app.brief().await);
}

#[tokio::test]
async fn applications_that_need_what_is_missing_are_not_synced() {
    let rows: [(&str, &str, &str, Value, &str); 3] = [
        ("plugin", "/spec/source", "plugin", json!({"name": "x"}), "spec.source.plugin"),
        ("prefix", "/spec/source", "tagPrefix", json!("app/"), "spec.source.tagPrefix"),
        (
            "jq",
            "/spec",
            "ignoreDifferences",
            json!([{"kind": "ConfigMap", "jqPathExpressions": [".data"]}]),
            "jqPathExpressions",
        ),
    ];
    for (row, pointer, field, value, word) in rows {
        let scene = Scene::shared(&format!("closed-app-{row}")).await;
        scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
        let built = scene.application().automated(true, true).set(pointer, field, value);
        let app = scene.create(built).await;
        stopped(&scene, &app, &[word]).await;
    }
}

#[tokio::test]
async fn a_directory_for_another_tool_is_not_read_as_plain_manifests() {
    let rows = [
        ("chart", "Chart.yaml", "chart.metadata.name is required"),
        ("kustomization", "kustomization.yaml", "kustomization.yaml is empty"),
        ("jsonnet", "main.jsonnet", "main.jsonnet"),
    ];
    for (row, file, words) in rows {
        let scene = Scene::shared(&format!("closed-dir-{row}")).await;
        scene.commit(&[
            ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
            (&format!("app/{file}"), Some("{}\n")),
        ]);
        let app = scene.create(scene.application().automated(true, true)).await;
        stopped(&scene, &app, &[words]).await;
    }
}

#[tokio::test]
async fn what_means_nothing_is_a_warning() {
    let scene = Scene::shared("closed-warned").await;
    let commit = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/late.yaml", Some(&annotated("late", &[("argocd.argoproj.io/sync-wave", "last")]))),
    ]);
    let built = scene.application().automated(true, true).sync_option("PruneLast=x").sync_option("NoSuchOption=true");
    let app = scene.create(built).await;
    app.synced(&commit).await;
    for word in ["sync-wave", "PruneLast", "NoSuchOption"] {
        app.condition("ComparisonWarning", &[word]).await;
    }
    scene.expect("configmaps", "late").await;
}
