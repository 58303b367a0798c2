//! `trueup app …` with charts and several sources.

use serde_json::{Value, json};
use trueup_bed::{Chart, HelmServer};
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::command_line::trueup;

const CONFIG: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  color: {{ .Values.color | quote }}
  size: {{ .Values.size | quote }}
  chart: {{ .Chart.Version }}
  served: {{ .Capabilities.APIVersions.Has \"argoproj.io/v1alpha1/Application\" | quote }}
";

fn chart(version: &str) -> Chart {
    Chart::new("shop", version).file("values.yaml", "color: red\nsize: 1\n").file("templates/config.yaml", CONFIG)
}

async fn data(scene: &Scene<'_>, name: &str) -> Value {
    scene.expect("configmaps", name).await["data"].clone()
}

#[tokio::test]
async fn a_chart_is_created_set_and_compared_by_flags() {
    let scene = Scene::shared("cli-chart").await;
    let server = HelmServer::start().await.unwrap();
    server.publish(&chart("1.0.0"));
    server.publish(&chart("1.1.0"));
    let line = format!(
        "app create cli-chart --repo {} --helm-chart shop --revision 1.0.0 --release-name r --helm-set size=3 \
         --helm-set-string color=1 --dest-name in-cluster --dest-namespace {} --sync-option CreateNamespace=true",
        server.url(""),
        scene.namespace
    );
    trueup(&scene, &line).await.with(0);
    let diff = trueup(&scene, "app diff cli-chart").await.with(1);
    assert!(diff.contains("size: \"3\"") && diff.contains("chart: 1.0.0"), "{diff}");
    trueup(&scene, "app sync cli-chart").await.with(0);
    let wanted = json!({"color": "1", "size": "3", "chart": "1.0.0", "served": "true"});
    assert_eq!(data(&scene, "r-config").await, wanted);
    let shown = trueup(&scene, "app get cli-chart").await.with(0);
    assert!(shown.contains("  Chart:            shop\n  Type:             Helm\n"), "{shown}");
    assert!(shown.contains("Synced to 1.0.0\n"), "{shown}");

    // Another version is asked for by its number, and does not last.
    trueup(&scene, "app diff cli-chart").await.with(0);
    let diff = trueup(&scene, "app diff cli-chart --revision 1.1.0").await.with(1);
    assert!(diff.contains("-  chart: 1.0.0") && diff.contains("+  chart: 1.1.0"), "{diff}");
    let manifests = trueup(&scene, "app manifests cli-chart --revision 1.1.0").await.with(0);
    assert!(manifests.contains("chart: 1.1.0"), "{manifests}");
    trueup(&scene, "app diff cli-chart --revision 9.9.9").await.fails(2, &["9.9.9"]);
    trueup(&scene, "app diff cli-chart --revisions 1.1.0 --source-positions 1").await.fails(2, &["has one"]);

    // A chart on disk stands for it, and sees what the cluster serves.
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
        ("values.yaml", "color: red\nsize: 1\n"),
        ("templates/config.yaml", CONFIG),
    ] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    trueup(&scene, &format!("app diff cli-chart --local {}", dir.path().display())).await.with(0);

    trueup(&scene, "app set cli-chart --revision 1.x --helm-set size=4 --helm-set color=green").await.with(0);
    trueup(&scene, "app sync cli-chart").await.with(0);
    let wanted = json!({"color": "green", "size": "4", "chart": "1.1.0", "served": "true"});
    assert_eq!(data(&scene, "r-config").await, wanted);
    let history = trueup(&scene, "app history cli-chart -o wide").await.with(0);
    assert!(history.contains("1.x (1.1.0)") && history.contains("  shop\n"), "{history}");
    trueup(&scene, "app rollback cli-chart").await.with(0);
    assert_eq!(data(&scene, "r-config").await["chart"], "1.0.0");
    trueup(&scene, "app delete cli-chart --yes --wait").await.with(0);
}

#[tokio::test]
async fn several_sources_are_synced_and_rolled_back_by_their_place() {
    let scene = Scene::shared("cli-several").await;
    let values = scene.world.git.create("cli-several-values").unwrap();
    let plain = scene.commit(&[
        ("plain/extra.yaml", Some(&*config_map("extra", &[("a", "1")]))),
        ("chart/Chart.yaml", Some("apiVersion: v2\nname: shop\nversion: 1.2.3\n")),
        ("chart/values.yaml", Some("color: red\nsize: 1\n")),
        ("chart/templates/config.yaml", Some(CONFIG)),
    ]);
    let first = values.commit(&[("values.yaml", Some("color: green\n"))], "values").unwrap();
    let sources = json!([
        {"repoURL": scene.repository.url(), "path": "chart", "helm": {"valueFiles": ["$values/values.yaml"]}},
        {"repoURL": values.url(), "ref": "values", "name": "settings"},
        {"repoURL": scene.repository.url(), "path": "plain"},
    ]);
    let app = scene.create(scene.application().set("/spec", "sources", sources)).await;
    app.sync_status("OutOfSync").await;
    trueup(&scene, "app sync cli-several").await.with(0);
    assert_eq!(data(&scene, "cli-several-config").await["color"], "green");
    let shown = trueup(&scene, "app get cli-several").await.with(0);
    assert!(shown.contains(&format!("  Ref:              values\n  Revision:         {}\n", &first[..7])), "{shown}");

    let second = values.commit(&[("values.yaml", Some("color: blue\n"))], "other values").unwrap();
    let diff = trueup(&scene, "app diff cli-several").await.with(1);
    assert!(diff.contains("+  color: blue"), "{diff}");
    let before = format!("--revisions {first} --source-positions 2");
    trueup(&scene, &format!("app diff cli-several {before}")).await.with(0);
    let manifests = trueup(&scene, &format!("app manifests cli-several {before}")).await.with(0);
    assert!(manifests.contains("color: green"), "{manifests}");
    trueup(&scene, "app sync cli-several").await.with(0);
    assert_eq!(data(&scene, "cli-several-config").await["color"], "blue");

    // One of them is elsewhere for once; the others are where they are.
    let short = &first[..7];
    trueup(&scene, &format!("app sync cli-several --revisions {short} --source-names settings")).await.with(0);
    assert_eq!(data(&scene, "cli-several-config").await["color"], "green");
    let seen = app.operated("Succeeded").await;
    let at = json!([plain, first, plain]);
    assert_eq!(seen["status"]["operationState"]["syncResult"]["revisions"], at, "{seen:#}");
    let refused = trueup(&scene, "app sync cli-several --revision main").await;
    refused.fails(2, &["--revision is of one source", "--source-positions"]);
    trueup(&scene, "app diff cli-several --revisions main --source-positions 4").await.fails(2, &["no source 4"]);

    let history = trueup(&scene, "app history cli-several").await.with(0);
    assert!(history.contains(&format!("{},{},{}", &plain[..7], &second[..7], &plain[..7])), "{history}");
    trueup(&scene, "app rollback cli-several").await.with(0);
    assert_eq!(data(&scene, "cli-several-config").await["color"], "blue");

    // A source that is another now comes back as it was.
    trueup(&scene, "app set cli-several --path plain").await.fails(2, &["several sources", "--source-position"]);
    trueup(&scene, "app set cli-several --source-position 1 --helm-set color=black").await.with(0);
    trueup(&scene, "app sync cli-several").await.with(0);
    assert_eq!(data(&scene, "cli-several-config").await["color"], "black");
    trueup(&scene, "app rollback cli-several").await.with(0);
    assert_eq!(data(&scene, "cli-several-config").await["color"], "blue");
    let list = trueup(&scene, "app list -o wide").await.with(0);
    assert!(list.contains("chart,,plain"), "{list}");
}
