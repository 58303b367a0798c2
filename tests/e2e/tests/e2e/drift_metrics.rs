//! What `/metrics` tells of applications and their drift, and that it goes with them.

use serde_json::json;
use trueup_bed::until;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

/// Waits until a line is told that begins so and ends with this value.
async fn told(scene: &Scene<'_>, start: &str, value: &str) {
    until(format!("{start} … {value}"), SLOW, async || {
        let text = scene.world.shared_controller().metrics().await.map_err(|error| error.to_string())?;
        let found = text.lines().any(|line| line.starts_with(start) && line.ends_with(&format!("}} {value}")));
        if found { Ok(()) } else { Err(about(&text, &scene.name).join("\n")) }
    })
    .await
    .unwrap();
}

fn about<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(&format!("\"{name}\""))).collect()
}

#[tokio::test]
async fn applications_are_told_under_the_names_of_argo_cd_until_they_go() {
    let scene = Scene::shared("drift-metrics").await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("colour", "blue")]));
    let app = scene.create(scene.application().automated(false, false)).await;
    app.synced(&commit).await;
    scene.edit("configmaps", "config", &json!({"data": {"colour": "red"}})).await;
    app.sync_status("OutOfSync").await;

    let own = r#"namespace="argocd",name="drift-metrics""#;
    told(&scene, &format!(r#"trueup_drift_total{{{own},kind="ConfigMap",manager="kubectl-edit"}}"#), "1").await;
    told(&scene, &format!("trueup_drifted_objects{{{own}}}"), "1").await;
    let server = r#"dest_server="https://kubernetes.default.svc""#;
    let repo = scene.repository.url().trim_end_matches(".git").to_owned();
    let info = format!(
        r#"argocd_app_info{{{own},project="default",autosync_enabled="true",repo="{repo}",{server},dest_namespace="t-drift-metrics",sync_status="OutOfSync",health_status="Healthy",operation=""}}"#
    );
    told(&scene, &info, "1").await;
    told(&scene, &format!(r#"argocd_app_sync_total{{{own},project="default",{server},phase="Succeeded","#), "1").await;

    // What is shared by all of them, and was asked by now.
    let text = scene.world.shared_controller().metrics().await.unwrap();
    for start in [
        &format!(r#"argocd_app_reconcile_count{{namespace="argocd",{server}}} "#),
        r#"argocd_app_k8s_request_total{namespace="argocd",name="",project="",server="https://kubernetes.default.svc",response_code="201",verb="Patch",resource_kind="configmaps",resource_namespace="",dry_run="false"} "#,
        &format!(r#"argocd_git_request_total{{repo="{repo}",request_type="ls-remote"}} "#),
        r#"argocd_cluster_info{server="https://kubernetes.default.svc",k8s_version="1."#,
        r#"argocd_cluster_connection_status{server="https://kubernetes.default.svc","#,
        r#"argocd_cluster_api_resource_objects{server="https://kubernetes.default.svc"} "#,
        r#"workqueue_depth{name="app_reconciliation_queue"} "#,
        "# TYPE argocd_app_info gauge",
        "# TYPE argocd_app_reconcile histogram",
        "# TYPE argocd_app_sync counter",
    ] {
        assert!(text.lines().any(|line| line.starts_with(start)), "{start}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));

    // No series outlives its application.
    app.delete().await;
    app.gone().await;
    until("no series of the application", SLOW, async || {
        let text = scene.world.shared_controller().metrics().await.map_err(|error| error.to_string())?;
        let left = about(&text, &scene.name);
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    })
    .await
    .unwrap();
}
