//! Charts, overlays and Jsonnet files with the shipped renderer: what they render to, and what is rendered once.
#![allow(clippy::unwrap_used, reason = "what the tests share is a test too")]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use trueup_object::Digest;
use trueup_render::workers::{Program, Workers, WorkersConfig};
use trueup_render::{
    Answer, ArchiveTree, Capabilities, Counters, Fetched, Need, RenderError, Rendered, Renderer, Request, Settings,
    Tool, Trees,
};

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

fn renderer() -> Renderer {
    let program = Program::Child(trueup_bed::renderer_binary().unwrap());
    Renderer::new(None, Some(Workers::new(WorkersConfig::new(program))))
}

fn tree(files: &[(&str, &str)]) -> Arc<ArchiveTree> {
    let digest = Digest::of_parts(files.iter().flat_map(|(path, text)| [*path, *text])).to_string();
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    Arc::new(ArchiveTree::new(files, digest))
}

fn request(source: Value) -> Request {
    Request {
        source: serde_json::from_value(source).unwrap(),
        path: "app".to_owned(),
        revision: "0123456789abcdef".to_owned(),
        application: "web".to_owned(),
        application_namespace: "argocd".to_owned(),
        project: "default".to_owned(),
        destination_namespace: "team".to_owned(),
        settings: Arc::new(Settings::default()),
    }
}

fn capabilities(served: &[&str]) -> Capabilities {
    let api_versions = served.iter().map(|name| (*name).to_owned()).collect();
    Capabilities { kube_version: "v1.36.0".to_owned(), api_versions }
}

fn rendered(answer: Result<Answer, RenderError>) -> Arc<Rendered> {
    match answer.unwrap() {
        Answer::Rendered(rendered) => rendered,
        Answer::Needs(needs) => panic!("{needs:?}"),
    }
}

/// The `data` of the only object.
fn data(rendered: &Rendered, key: &str) -> String {
    let [manifest] = rendered.manifests.as_slice() else { panic!("{rendered:?}") };
    manifest.node().str_at(&["data", key]).unwrap_or_default().to_owned()
}

#[test]
fn a_chart_is_rendered_with_what_the_application_says() {
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\ndata:\n  v: {{ .Values.v | quote }}\n  served: {{ .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" | quote }}\n";
    let files = |unread: &str, value: &str| {
        Trees::new(tree(&[
            ("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n"),
            ("app/values.yaml", "v: default\n"),
            ("app/templates/a.yaml", template),
            ("env/dev.yaml", &format!("v: {value}\n")),
            ("env/prod.yaml", &format!("v: {unread}\n")),
        ]))
    };
    let renderer = renderer();
    let of = |source: Value, trees: &Trees, served: &[&str]| {
        rendered(renderer.render(&request(source), trees, &capabilities(served)))
    };
    let dev = || json!({"helm": {"valueFiles": ["/env/dev.yaml"]}});
    let first = of(dev(), &files("x", "dev"), &[]);
    assert_eq!((first.tool, data(&first, "v"), data(&first, "served")), (Tool::Helm, "dev".into(), "false".into()));
    assert_eq!((first.manifests[0].name(), first.manifests[0].namespace()), ("web", "team"));
    // Neither a file that nobody read nor a kind that nobody asked for makes it another render.
    assert!(Arc::ptr_eq(&first, &of(dev(), &files("y", "dev"), &["apps/v1"])));
    assert_eq!(renderer.counters(), Counters { renders: 1, hits: 1 });
    assert_eq!(data(&of(dev(), &files("x", "other"), &[]), "v"), "other");
    assert_eq!(data(&of(dev(), &files("x", "dev"), &["monitoring.coreos.com/v1"]), "served"), "true");
    let set = json!({"helm": {"valueFiles": ["/env/dev.yaml"], "parameters": [{"name": "v", "value": "$ARGOCD_APP_REVISION_SHORT-$$"}]}});
    assert_eq!(data(&of(set, &files("x", "dev"), &[]), "v"), "0123456-$");
    let error = renderer.render(&request(json!({"helm": {"values": "v: ["}})), &files("x", "dev"), &capabilities(&[]));
    assert!(error.unwrap_err().to_string().starts_with("Helm: "));
}

#[test]
fn a_dependency_is_needed_and_then_there() {
    let lock = "dependencies:\n- name: lib\n  repository: https://charts.example\n  version: 1.2.3\n";
    let own = tree(&[
        ("app/Chart.yaml", &format!("apiVersion: v2\nname: app\nversion: 1.0.0\n{lock}")),
        ("app/Chart.lock", lock),
    ]);
    let chart = tree(&[("Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.2.3\n"), ("templates/a.yaml", CONFIG)]);
    let (renderer, request) = (renderer(), request(json!({})));
    let bare = Trees::new(own);
    let Answer::Needs(needs) = renderer.render(&request, &bare, &capabilities(&[])).unwrap() else { panic!() };
    let [Need::Chart { name, version, .. }] = needs.as_slice() else { panic!("{needs:?}") };
    assert_eq!((name.as_str(), version.as_str()), ("lib", "1.2.3"));
    let fetched = vec![Fetched { need: needs[0].clone(), tree: chart, path: String::new() }];
    let whole = Trees { fetched, ..bare.clone() };
    assert_eq!(rendered(renderer.render(&request, &whole, &capabilities(&[]))).manifests[0].name(), "a");
    // Once known, neither is found out by rendering.
    assert_eq!(renderer.render(&request, &bare, &capabilities(&[])).unwrap(), Answer::Needs(needs));
    rendered(renderer.render(&request, &whole, &capabilities(&[])));
    assert_eq!(renderer.counters(), Counters { renders: 1, hits: 1 });
}

#[test]
fn what_is_random_stays_for_its_commit() {
    let own = tree(&[
        ("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n"),
        ("app/templates/a.yaml", &format!("{CONFIG}data:\n  v: {{{{ randAlphaNum 20 }}}}\n")),
    ]);
    let (renderer, request, trees) = (renderer(), request(json!({})), Trees::new(own));
    let first = rendered(renderer.render(&request, &trees, &capabilities(&[])));
    assert!(first.warnings.iter().any(|warning| warning.contains("randAlphaNum")), "{:?}", first.warnings);
    assert!(Arc::ptr_eq(&first, &rendered(renderer.render(&request, &trees, &capabilities(&[])))));
    let next = Request { revision: "next".to_owned(), ..request.clone() };
    assert_ne!(rendered(renderer.render(&next, &trees, &capabilities(&[]))).digest, first.digest);
    assert!(renderer.render_again(&request, &trees, &capabilities(&[])).unwrap().differs);
}

#[test]
fn an_overlay_reads_its_bases_and_nothing_else() {
    let files = |base: &str, elsewhere: &str| {
        Trees::new(tree(&[
            ("app/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
            ("base/kustomization.yaml", "resources: [a.yaml]\n"),
            ("base/a.yaml", &format!("{CONFIG}data: {{v: {base}}}\n")),
            ("elsewhere/a.yaml", elsewhere),
        ]))
    };
    let (renderer, request) =
        (renderer(), request(json!({"kustomize": {"commonLabels": {"app": "$ARGOCD_APP_NAME"}}})));
    let of = |trees: &Trees| rendered(renderer.render(&request, trees, &capabilities(&[])));
    let first = of(&files("one", ""));
    assert_eq!(
        (first.tool, first.manifests[0].name(), first.manifests[0].label("app")),
        (Tool::Kustomize, "x-a", Some("web"))
    );
    assert!(Arc::ptr_eq(&first, &of(&files("one", "changed"))));
    assert_eq!(data(&of(&files("two", "")), "v"), "two");
    assert_eq!(renderer.counters(), Counters { renders: 2, hits: 1 });
}

#[test]
fn a_jsonnet_file_imports_from_its_libraries() {
    let program = "local lib = import 'lib.libsonnet'; [lib.config(std.extVar('name'))]";
    let library = |value: &str| {
        format!(
            "{{config(name):: {{apiVersion: 'v1', kind: 'ConfigMap', metadata: {{name: name}}, data: {{v: '{value}'}}}}}}"
        )
    };
    let files =
        |value: &str| Trees::new(tree(&[("app/main.jsonnet", program), ("vendor/lib.libsonnet", &library(value))]));
    let jsonnet = json!({"extVars": [{"name": "name", "value": "$ARGOCD_APP_NAME"}], "libs": ["vendor"]});
    let (renderer, request) = (renderer(), request(json!({"directory": {"jsonnet": jsonnet}})));
    let of = |trees: &Trees| rendered(renderer.render(&request, trees, &capabilities(&[])));
    let first = of(&files("one"));
    assert_eq!((first.tool, first.manifests[0].name(), data(&first, "v")), (Tool::Directory, "web", "one".into()));
    assert!(Arc::ptr_eq(&first, &of(&files("one"))));
    assert_eq!(data(&of(&files("two")), "v"), "two");
}
