//! Every way in which people keep manifests: charts, overlays, Jsonnet, several sources, registries, remote bases.

use serde_json::Value;
use serde_json::json;
use trueup_bed::Chart;
use trueup_bed::HelmServer;
use trueup_bed::OciRegistry;
use trueup_bed::OciRegistryOptions;
use trueup_bed::until;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::manifests::config_map;

use crate::jobs::Jobs;
use crate::jobs::job;
use crate::jobs::result;

const CHART: &str = "apiVersion: v2\nname: shop\nversion: 1.2.3\nappVersion: \"7\"\n";
/// A template whose value decides.
const CONFIG: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  color: {{ .Values.color | quote }}
  size: {{ .Values.size | quote }}
  namespace: {{ .Release.Namespace }}
  chart: {{ .Chart.Version }}
";

fn helm(built: trueup_bed::ApplicationBuilder, helm: Value) -> trueup_bed::ApplicationBuilder {
    built.set("/spec/source", "helm", helm)
}

async fn data(scene: &Scene<'_>, name: &str) -> Value {
    scene.expect("configmaps", name).await["data"].clone()
}

#[tokio::test]
async fn a_chart_of_the_repository_with_its_values_and_hooks() {
    let scene = Scene::shared("sources-helm").await;
    let before = job("before", &["helm.sh/hook: pre-install,pre-upgrade"]);
    scene.commit(&[
        ("app/Chart.yaml", Some(CHART)),
        ("app/values.yaml", Some("color: red\nsize: 1\n")),
        ("app/values-prod.yaml", Some("color: green\n")),
        ("app/templates/config.yaml", Some(CONFIG)),
        ("app/templates/before.yaml", Some(&before)),
        ("app/templates/NOTES.txt", Some("Look at {{ .Release.Name }}.\n")),
    ]);
    let options = json!({"valueFiles": ["values-prod.yaml"], "parameters": [{"name": "size", "value": "3"}]});
    let app = scene.create(helm(scene.application(), options)).await;
    let seen = app.sync_status("OutOfSync").await;
    assert_eq!(seen["status"]["sourceType"], "Helm");
    app.ask(json!({})).await;
    let jobs = Jobs(&scene);
    jobs.begun("before").await;
    assert!(scene.object("configmaps", "sources-helm-config").await.is_none(), "it goes first");
    jobs.succeed("before").await;
    let seen = app.operated("Succeeded").await;
    assert_eq!(result(&seen, "before")["hookType"], "PreSync");
    let wanted = json!({"color": "green", "size": "3", "namespace": scene.namespace, "chart": "1.2.3"});
    assert_eq!(data(&scene, "sources-helm-config").await, wanted);
    app.sync_status("Synced").await;
}

#[tokio::test]
async fn a_chart_that_does_not_render_says_where() {
    let scene = Scene::shared("sources-helm-broken").await;
    let broken =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ required \"a name is needed\" .Values.name }}\n";
    let good = scene.commit(&[
        ("app/Chart.yaml", Some(CHART)),
        ("app/values.yaml", Some("name: good\n")),
        ("app/templates/config.yaml", Some(broken)),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&good).await;
    scene.put("app/values.yaml", "{}\n");
    app.condition("ComparisonError", &["a name is needed", "templates/config.yaml"]).await;
    assert!(scene.object("configmaps", "good").await.is_some(), "nothing is pruned on an error");
    scene.put("app/values.yaml", "name: good\n");
    app.without_condition("ComparisonError").await;
}

#[tokio::test]
async fn an_overlay_with_what_the_application_says() {
    let scene = Scene::shared("sources-kustomize").await;
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: web\n    image: web:1\n";
    scene.commit(&[
        ("base/kustomization.yaml", Some("resources: [pod.yaml]\n")),
        ("base/pod.yaml", Some(pod)),
        (
            "app/kustomization.yaml",
            Some("resources: [../base]\nconfigMapGenerator:\n- name: settings\n  literals: [a=b]\n"),
        ),
    ]);
    let options =
        json!({"namePrefix": "dev-", "images": ["web=registry.example/web:2"], "commonLabels": {"team": "shop"}});
    let app = scene.create(scene.application().automated(true, true).set("/spec/source", "kustomize", options)).await;
    let seen = app.sync_status("Synced").await;
    assert_eq!(seen["status"]["sourceType"], "Kustomize");
    let pod = scene.expect("pods", "dev-web").await;
    assert_eq!(pod["spec"]["containers"][0]["image"], "registry.example/web:2");
    assert_eq!(pod["metadata"]["labels"]["team"], "shop");
    let listed = seen["status"]["resources"].to_string();
    assert!(listed.contains("dev-settings-"), "with the hash of its content: {listed}");
}

#[tokio::test]
async fn a_remote_base_comes_from_its_repository() {
    let scene = Scene::shared("sources-remote").await;
    let other = scene.world.git.create("sources-remote-base").unwrap();
    let files = [
        ("deploy/kustomization.yaml", Some("resources: [config.yaml]\n")),
        ("deploy/config.yaml", Some(&*config_map("config", &[("a", "1")]))),
    ];
    let commit = other.commit(&files, "a base").unwrap();
    let base = format!("resources:\n- {}//deploy?ref={commit}\n", other.url());
    let at = scene.put("app/kustomization.yaml", &base);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&at).await;
    assert_eq!(data(&scene, "config").await, json!({"a": "1"}));
    let newer = other.commit(&[("deploy/config.yaml", Some(&*config_map("config", &[("a", "2")])))], "newer").unwrap();
    let at = scene.put("app/kustomization.yaml", &base.replace(&commit, &newer));
    app.synced(&at).await;
    assert_eq!(data(&scene, "config").await, json!({"a": "2"}));
}

#[tokio::test]
async fn jsonnet_with_libraries_and_variables() {
    let scene = Scene::shared("sources-jsonnet").await;
    let main = "local lib = import 'names.libsonnet';\nfunction(color) [lib.config('config', { color: color, size: std.extVar('size') })]\n";
    let library =
        "{ config(name, data):: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name }, data: data } }\n";
    let at = scene.commit(&[("app/main.jsonnet", Some(main)), ("lib/names.libsonnet", Some(library))]);
    let options = json!({"jsonnet": {
        "libs": ["lib"], "extVars": [{"name": "size", "value": "3"}], "tlas": [{"name": "color", "value": "'red'", "code": true}],
    }});
    let app = scene.create(scene.application().automated(true, true).set("/spec/source", "directory", options)).await;
    let seen = app.synced(&at).await;
    assert_eq!(seen["status"]["sourceType"], "Directory");
    assert_eq!(data(&scene, "config").await, json!({"color": "red", "size": "3"}));
}

#[tokio::test]
async fn a_file_beside_the_chart_overrides_the_application() {
    let scene = Scene::shared("sources-override").await;
    let at = scene.commit(&[
        ("app/Chart.yaml", Some(CHART)),
        ("app/values.yaml", Some("color: red\nsize: 1\n")),
        ("app/templates/config.yaml", Some(CONFIG)),
        ("app/.argocd-source.yaml", Some("helm:\n  releaseName: all\n  parameters: [{name: color, value: blue}]\n")),
        ("app/.argocd-source-sources-override.yaml", Some("helm:\n  releaseName: mine\n")),
        ("app/.argocd-source-other.yaml", Some("helm:\n  releaseName: other\n")),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&at).await;
    assert_eq!(data(&scene, "mine-config").await["color"], "blue");
}

#[tokio::test]
async fn several_sources_are_one_revision() {
    let scene = Scene::shared("sources-several").await;
    let values = scene.world.git.create("sources-several-values").unwrap();
    let chart = scene.commit(&[
        ("chart/Chart.yaml", Some(CHART)),
        ("chart/values.yaml", Some("color: red\nsize: 1\n")),
        ("chart/templates/config.yaml", Some(CONFIG)),
        ("plain/extra.yaml", Some(&config_map("extra", &[("a", "1")]))),
    ]);
    let first = values.commit(&[("prod/values.yaml", Some("color: green\n"))], "values").unwrap();
    let sources = json!([
        {"repoURL": scene.repository.url(), "path": "chart", "helm": {"valueFiles": ["$values/prod/values.yaml"]}},
        {"repoURL": values.url(), "ref": "values"},
        {"repoURL": scene.repository.url(), "path": "plain"},
    ]);
    let app = scene.create(scene.application().automated(true, true).set("/spec", "sources", sources)).await;
    let at = |parts: [&str; 3]| json!(parts);
    let seen = app.until("all sources to be synced", |app| {
        app["status"]["sync"]["status"] == "Synced"
            && app["status"]["sync"]["revisions"] == at([&chart, &first, &chart])
    });
    let seen = seen.await;
    assert_eq!(seen["status"]["sync"]["revision"], Value::Null);
    assert_eq!(seen["status"]["sourceTypes"], json!(["Helm", "Directory", "Directory"]));
    assert_eq!(data(&scene, "sources-several-config").await["color"], "green");
    assert_eq!(data(&scene, "extra").await, json!({"a": "1"}));
    // Only the values change.
    let second = values.commit(&[("prod/values.yaml", Some("color: blue\n"))], "other values").unwrap();
    let seen = app.until("the values to be live", |app| {
        app["status"]["sync"]["status"] == "Synced"
            && app["status"]["sync"]["revisions"] == at([&chart, &second, &chart])
    });
    let seen = seen.await;
    assert_eq!(data(&scene, "sources-several-config").await["color"], "blue");
    let history = seen["status"]["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(history["revisions"], at([&chart, &second, &chart]));
    assert_eq!(history["sources"].as_array().map(Vec::len), Some(3));
    // And back, by hand.
    app.patch(&json!({"spec": {"syncPolicy": {"automated": null}}})).await;
    app.ask(json!({"revisions": [chart, first, chart]})).await;
    app.operated("Succeeded").await;
    assert_eq!(data(&scene, "sources-several-config").await["color"], "green");
    app.sync_status("OutOfSync").await;
}

#[tokio::test]
async fn a_chart_of_a_helm_repository_follows_its_range() {
    let scene = Scene::shared("sources-charts").await;
    let server = HelmServer::start().await.unwrap();
    let chart = |version: &str| {
        Chart::new("shop", version).file("values.yaml", "color: red\nsize: 1\n").file("templates/config.yaml", CONFIG)
    };
    server.publish(&chart("1.0.0"));
    let source =
        json!({"repoURL": server.url(""), "chart": "shop", "targetRevision": "1.x", "helm": {"releaseName": "r"}});
    let app = scene.create(scene.application().automated(true, true).set("/spec", "source", source)).await;
    app.synced("1.0.0").await;
    assert_eq!(data(&scene, "r-config").await["chart"], "1.0.0");
    server.publish(&chart("2.0.0"));
    server.publish(&chart("1.1.0"));
    app.synced("1.1.0").await;
    assert_eq!(data(&scene, "r-config").await["chart"], "1.1.0");
}

#[tokio::test]
async fn charts_and_artifacts_of_a_registry() {
    let scene = Scene::shared("sources-oci").await;
    let registry = OciRegistry::start(OciRegistryOptions::default()).await.unwrap();
    let secret = json!({
        "metadata": {"name": "sources-oci", "labels": {"argocd.argoproj.io/secret-type": "repository"}},
        "stringData": {"type": "oci", "url": format!("oci://{}/charts", registry.host()), "insecureOCIForceHttp": "true"},
    });
    scene.admin.create(&trueup_e2e::objects("secrets", &scene.control), &secret).await;
    let chart =
        Chart::new("shop", "1.0.0").file("values.yaml", "color: red\nsize: 1\n").file("templates/config.yaml", CONFIG);
    registry.push_chart("charts/shop", "1.0.0", &chart.archive()).await.unwrap();
    let source = json!({"repoURL": format!("oci://{}/charts", registry.host()), "chart": "shop", "targetRevision": "^1", "helm": {"releaseName": "r"}});
    let app = scene.create(scene.application().automated(true, true).set("/spec", "source", source)).await;
    app.synced("1.0.0").await;
    assert_eq!(data(&scene, "r-config").await["color"], "red");
}

#[tokio::test]
async fn a_random_value_stays_until_somebody_asks_for_another() {
    let scene = Scene::shared("sources-random").await;
    let random =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\ndata:\n  token: {{ randAlphaNum 16 | quote }}\n";
    let at = scene.commit(&[("app/Chart.yaml", Some(CHART)), ("app/templates/config.yaml", Some(random))]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&at).await;
    app.condition("ComparisonWarning", &["randAlphaNum", "templates/config.yaml"]).await;
    let first = data(&scene, "config").await;
    app.refresh("normal").await;
    app.synced(&at).await;
    assert_eq!(data(&scene, "config").await, first, "one commit is one value");
    app.refresh("hard").await;
    until("another value", SLOW, async || match data(&scene, "config").await {
        now if now == first => Err("the same"),
        _ => Ok(()),
    })
    .await
    .unwrap();
    let events =
        format!("{}?fieldSelector=involvedObject.name={}", trueup_e2e::objects("events", &scene.control), scene.name);
    until("an event", SLOW, async || match scene.admin.get(&events).await {
        Some(list) if list.to_string().contains("RenderDiffers") => Ok(()),
        list => Err(format!("{list:?}")),
    })
    .await
    .unwrap();
}
