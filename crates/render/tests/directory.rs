//! Directories on disk: which files are read, what they give, and what is refused.

#![allow(clippy::unwrap_used, reason = "what the tests share is a test too")]

use std::path::Path;

use trueup_api::source::DirectorySource;
use trueup_render::{RenderError, Rendered, render_directory};

const LIMIT: usize = 10_000_000;

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn render(files: &[(&str, &str)], options: &DirectorySource) -> Result<Rendered, RenderError> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    render_directory(dir.path(), options)
}

fn plain(files: &[(&str, &str)]) -> Result<Rendered, RenderError> {
    render(files, &DirectorySource::default())
}

fn names(rendered: Result<Rendered, RenderError>) -> Vec<String> {
    rendered.unwrap().manifests.iter().map(|manifest| manifest.name().to_owned()).collect()
}

fn options(recurse: bool, include: &str, exclude: &str) -> DirectorySource {
    DirectorySource { recurse, include: include.to_owned(), exclude: exclude.to_owned(), ..DirectorySource::default() }
}

#[test]
fn files_are_chosen_by_ending_glob_and_depth_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for path in [
        "b.yaml",
        "a.yml",
        "c.txt",
        "d.YAML",
        "README.md",
        "yaml",
        "sub/a.yaml",
        "sub/deep/b.yaml",
        "sub.yaml",
        ".git/x.yaml",
        ".hidden.yaml",
    ] {
        write(dir.path(), &[(path, &object(&path.replace(['/', '.'], "-")))]);
    }
    let table: [(DirectorySource, &[&str]); 10] = [
        (options(false, "", ""), &["-hidden-yaml", "a-yml", "b-yaml", "sub-yaml"]),
        (options(true, "", ""), &["-hidden-yaml", "a-yml", "b-yaml", "sub-a-yaml", "sub-deep-b-yaml", "sub-yaml"]),
        (options(true, "*.yml", ""), &["a-yml"]),
        (options(true, "sub/*", ""), &["sub-a-yaml", "sub-deep-b-yaml"]),
        (options(true, "sub/**", "sub/deep/*"), &["sub-a-yaml"]),
        (options(true, "{a.yml,sub/a.yaml}", ""), &["a-yml", "sub-a-yaml"]),
        (options(true, "", "{*.yml,sub/*,.*}"), &["b-yaml", "sub-yaml"]),
        // Below a directory that is not read, no glob finds anything.
        (options(false, "sub/*", ""), &[]),
        // Exclude wins.
        (options(true, "a.yml", "a.*"), &[]),
        (options(true, "?.yaml", ""), &["b-yaml"]),
    ];
    for (options, expected) in table {
        assert_eq!(names(render_directory(dir.path(), &options)), expected, "{options:?}");
    }
}

#[test]
fn a_glob_that_cannot_be_read_is_named() {
    for (options, field) in [(options(true, "{a", ""), "include"), (options(true, "", "[a-zA-Z]*"), "exclude")] {
        let error = render(&[], &options).unwrap_err();
        assert!(matches!(&error, RenderError::Glob { field: found, .. } if found.ends_with(field)), "{error}");
    }
}

#[test]
fn documents_lists_and_json_become_objects() {
    let several = format!("{}---\n# nothing\n---\n{}---\n", object("a"), object("b"));
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: ConfigMap, metadata: {name: d}}\n";
    let files = [
        ("1.yaml", several.as_str()),
        ("2.yaml", list),
        ("3.json", "\u{feff}{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"e\"}}\n"),
        (
            "4.json",
            r#"{"apiVersion":"v1","kind":"ConfigMapList","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"f"}}]}"#,
        ),
        ("5.yaml", "apiVersion: v1\nkind: ConfigMapList\nitems: null\n"),
        ("6.yaml", "apiVersion: v1\nkind: List\nitems: []\n"),
        ("7.yaml", "apiVersion: example.com/v1\nkind: Shop\nmetadata: {name: g}\nitems: null\nspec: {}\n"),
        ("8.yaml", "# only a comment\n"),
        ("9.yaml", ""),
    ];
    assert_eq!(names(plain(&files)), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn what_has_nothing_to_do_with_kubernetes_is_passed_over() {
    let files = [
        ("values.yaml", "image: {tag: latest}\nkind: 7\n"),
        ("list.yaml", "- a\n- b\n"),
        ("text.yaml", "just words\n"),
        ("broken.yaml", "a: [\n"),
        ("template.yaml", "{{ if .Values.x }}\nfoo: bar\n{{ end }}\n"),
        ("skip.yaml", "# +argocd:skip-file-rendering\napiVersion: v1\nkind: {{ .Kind }}\nmetadata: {}\n"),
        ("skip.json", r#"{"comment": "+argocd:skip-file-rendering"}"#),
        ("skip.jsonnet", "// +argocd:skip-file-rendering\n{}"),
        ("object.yaml", &object("a")),
    ];
    assert_eq!(names(plain(&files)), ["a"]);
}

#[test]
fn what_is_no_object_is_named_with_file_and_line() {
    let a = object("a");
    let table = [
        ("a.yaml", "kind: ConfigMap\nmetadata: {name: x}\n", 1, "apiVersion"),
        ("a.yaml", "apiVersion: v1\nmetadata: {name: x}\n", 1, "kind"),
        ("a.yaml", &format!("{a}---\nname: values\n"), 6, "apiVersion"),
        ("a.yaml", &format!("{a}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{}}\n"), 6, "metadata.name"),
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 7}\n", 1, "metadata.name"),
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {a: 1}}\n", 1, "labels['a']"),
        ("a.yaml", "apiVersion: v1\nkind: List\nitems: [{kind: ConfigMap, metadata: {name: x}}]\n", 1, "apiVersion"),
        ("a.yaml", "apiVersion: v1\nkind: List\nitems: [a]\n", 1, "must be a map"),
        ("a.json", r#"{"name": "package"}"#, 1, "apiVersion"),
        ("a.json", "[]", 1, "must be a map"),
        ("a.json", "null", 1, "must be a map"),
    ];
    for (file, text, line, word) in table {
        let error = plain(&[(file, text)]).unwrap_err();
        let RenderError::NotAnObject { file: found, line: at, reason } = &error else { panic!("{text}: {error}") };
        assert_eq!((found.as_str(), *at), (file, line), "{text}");
        assert!(reason.contains(word), "{text}: {reason}");
    }
}

#[test]
fn what_does_not_parse_but_is_meant_as_an_object_is_named_with_file_and_line() {
    let table = [
        ("sub/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n", 4),
        ("sub/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n name: b\n", 5),
        ("sub/a.json", "{\n  \"apiVersion\": \"v1\",\n}", 3),
        ("sub/a.json", "{}\n{}", 2),
        ("sub/a.json", "", 1),
    ];
    for (file, text, line) in table {
        let error = render(&[(file, text)], &options(true, "", "")).unwrap_err();
        let RenderError::Syntax { file: found, line: at, .. } = &error else { panic!("{text}: {error}") };
        // A line more or less is a matter of the parser; the file is not.
        assert_eq!(found, file, "{text}");
        assert!(at.abs_diff(line) <= 1, "{text}: {error}");
    }
}

#[test]
fn a_generated_name_is_refused_except_for_hooks() {
    let job = |annotations: &str| {
        format!("apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: a-\n  annotations: {annotations}\n")
    };
    let error = plain(&[("a.yaml", &job("{}"))]).unwrap_err();
    assert_eq!(error, RenderError::GeneratedName { file: "a.yaml".to_owned(), line: 1, kind: "Job".to_owned() });
    assert_eq!(names(plain(&[("a.yaml", &job("{argocd.argoproj.io/hook: PreSync}"))])), [""]);
    assert_eq!(names(plain(&[("a.yaml", &job("{helm.sh/hook: pre-install}"))])), [""]);
}

#[test]
fn a_directory_for_a_tool_is_refused_without_a_renderer() {
    let a = object("a");
    for (file, tool) in [
        ("Chart.yaml", "Helm"),
        ("kustomization.yaml", "Kustomize"),
        ("kustomization.yml", "Kustomize"),
        ("Kustomization", "Kustomize"),
        ("main.jsonnet", "Jsonnet"),
    ] {
        let error = plain(&[("a.yaml", &a), (file, "x: y\n")]).unwrap_err();
        assert_eq!(error, RenderError::NoRenderer { tool, why: format!("'{file}'") });
        let message = error.to_string();
        assert!(message.contains("--renderer") && message.contains(file), "{message}");
    }
    // Where a chart is an overlay as well, it is an overlay.
    let error = plain(&[("Chart.yaml", "x: y\n"), ("kustomization.yaml", "x: y\n")]).unwrap_err();
    assert!(matches!(error, RenderError::NoRenderer { tool: "Kustomize", .. }), "{error}");
    // Somebody else's chart is no reason, and neither is a name that only ends like one.
    let harmless =
        [("a.yaml", a.as_str()), ("FlowChart.yaml", "x: y\n"), ("sub/Chart.yaml", "x: y\n"), ("lib.libsonnet", "{}")];
    assert_eq!(names(plain(&harmless)), ["a"]);
    // Whoever asks for a directory gets one; a program in it is still a program.
    let asked = options(false, "", "kustomization.yaml");
    assert_eq!(names(render(&[("a.yaml", &a), ("kustomization.yaml", "x: y\n")], &asked)), ["a"]);
    let error = render(&[("main.jsonnet", "{}")], &options(true, "", "")).unwrap_err();
    assert!(matches!(error, RenderError::NoRenderer { tool: "Jsonnet", .. }), "{error}");
    assert_eq!(names(render(&[("main.jsonnet", "{}"), ("a.yaml", &a)], &options(true, "", "*.jsonnet"))), ["a"]);
}

#[test]
fn the_files_of_an_application_are_limited_together() {
    let filler = |name: &str, bytes: usize| {
        let mut text = object(name);
        text.push('#');
        text.extend(std::iter::repeat_n('x', bytes - text.len()));
        text
    };
    let (half, rest) = (filler("a", LIMIT / 2), filler("b", LIMIT / 2));
    assert_eq!(names(plain(&[("a.yaml", &half), ("b.yaml", &rest)])), ["a", "b"]);
    let files = [("a.yaml", half.as_str()), ("b.yaml", &rest), ("c.yaml", "#")];
    let error = plain(&files).unwrap_err();
    assert!(matches!(error, RenderError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("10000001 bytes"), "{error}");
    // What is left out does not count.
    assert_eq!(names(render(&files, &options(false, "", "a.yaml"))), ["b"]);
}

#[test]
fn the_number_of_objects_is_limited() {
    let item = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let list =
        |count: usize| format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, vec![item; count].join(","));
    assert_eq!(plain(&[("a.json", &list(15_000))]).unwrap().manifests.len(), 15_000);
    assert!(matches!(plain(&[("a.json", &list(15_001))]), Err(RenderError::TooLarge { .. })));
}

#[test]
fn a_directory_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("file", "")]);
    for path in ["missing", "file"] {
        let error = render_directory(&dir.path().join(path), &DirectorySource::default()).unwrap_err();
        assert!(matches!(error, RenderError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
    assert_eq!(names(render_directory(dir.path(), &DirectorySource::default())), [""; 0]);
}

#[test]
fn the_digest_tells_contents_apart() {
    let digest = |text: &str| plain(&[("a.json", text)]).unwrap().digest;
    let one = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1"}}"#;
    let same = r#"{ "kind":"ConfigMap", "data":{"x":"1"}, "metadata":{"name":"a"}, "apiVersion":"v1" }"#;
    assert_eq!(digest(one), digest(same));
    assert_ne!(digest(one), digest(&one.replace('1', "2")));
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_working_copy_only() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let secret = tempfile::tempdir().unwrap();
    write(secret.path(), &[("secret.yaml", &object("secret"))]);
    let files = [("shared/s.yaml", object("shared")), ("app/a.yaml", object("a")), (".git/HEAD", "x".to_owned())];
    write(dir.path(), &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let app = dir.path().join("app");
    symlink("../shared/s.yaml", app.join("s.yaml")).unwrap();
    symlink("../shared", app.join("dir.yaml")).unwrap();
    symlink("/etc", app.join("etc")).unwrap();
    let render = || render_directory(&app, &options(true, "", ""));
    assert_eq!(names(render()), ["a", "shared"]);
    assert_eq!(render().unwrap().warnings.len(), 1);
    // Unused, a bad link harms nobody; read, it is refused.
    let outside = secret.path().join("secret.yaml");
    for target in [outside.to_str().unwrap(), "../../nowhere.yaml", "missing.yaml", "x.yaml"] {
        let link = app.join("x.yaml");
        symlink(target, &link).unwrap();
        let error = render().unwrap_err();
        assert!(matches!(&error, RenderError::Link { file, .. } if file == "x.yaml"), "{target}: {error}");
        assert!(!format!("{error:?}").contains("name: secret"), "{error}");
        assert_eq!(names(render_directory(&app, &options(true, "", "x.yaml"))), ["a", "shared"]);
        std::fs::remove_file(link).unwrap();
    }
}
