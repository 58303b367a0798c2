//! `trueup preview`, run on repositories of this machine. No cluster is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use trueup_bed::{renderer_binary, trueup_binary};

use crate::command_line::Said;

const URL: &str = "https://git.example.com/shop.git";

/// A repository with a working copy.
struct Copy {
    dir: TempDir,
}

impl Copy {
    fn new() -> Self {
        let copy = Self { dir: tempfile::tempdir().unwrap() };
        copy.git(&["init", "--quiet", "--initial-branch=main"]);
        copy.git(&["remote", "add", "origin", URL]);
        copy
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").arg("-C").arg(self.path()).args(who).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn application(&self, name: &str, url: &str, path: &str) {
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: argocd\nspec:\n  project: default\n  source:\n    repoURL: {url}\n    targetRevision: main\n    path: {path}\n  destination:\n    server: https://kubernetes.default.svc\n    namespace: {name}\n"
        );
        self.file(&format!("apps/{name}.yaml"), &text);
    }

    fn preview(&self, line: &str) -> Said {
        let output = Command::new(trueup_binary().unwrap())
            .arg("preview")
            .args(line.split(' '))
            .arg(self.path())
            .env("TRUEUP_RENDERER", renderer_binary().unwrap())
            .output()
            .unwrap();
        let said = Said::of(&output);
        eprintln!("ECHO $ trueup preview {line}\n{}{}[{:?}]", said.out, said.err, said.code);
        said
    }
}

fn config(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n")
}

/// A plain directory, a chart and an overlay; the chart is changed.
fn shop() -> Copy {
    let copy = Copy::new();
    for (name, path) in [("plain", "plain"), ("chart", "charts/web"), ("overlay", "overlay")] {
        copy.application(name, "https://git.example.com/Shop", path);
    }
    copy.file("plain/config.yaml", &config("plain", "a"));
    copy.file("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    copy.file("charts/web/values.yaml", "value: before\n");
    copy.file("charts/web/templates/config.yaml", &config("{{ .Release.Name }}", "{{ .Values.value }}"));
    copy.file("overlay/kustomization.yaml", "resources: [config.yaml]\nnamePrefix: x-\n");
    copy.file("overlay/config.yaml", &config("overlay", "a"));
    copy.commit();
    copy
}

#[test]
fn what_a_change_does_is_shown_and_the_rest_is_rendered_once() {
    let copy = shop();
    copy.file("charts/web/values.yaml", "value: after\n");
    copy.commit();
    let said = copy.preview("--base HEAD^1 --head HEAD");
    // Three at the base, and of these one again.
    assert!(said.err.contains("3 Applications; rendered: 4, known by content: 2"), "{}", said.err);
    let text = said.with(1);
    assert!(text.contains("===== argocd/chart changed ConfigMap chart (apps/chart.yaml) ======"), "{text}");
    assert!(text.contains("-  key: before\n+  key: after\n"), "{text}");
    assert_eq!(text.matches("===== argocd/").count(), 1, "{text}");
}

#[test]
fn without_a_difference_it_ends_with_zero() {
    let copy = shop();
    copy.file("README.md", "nothing that matters\n");
    copy.commit();
    // What is not committed does not count.
    copy.file("plain/config.yaml", &config("plain", "uncommitted"));
    let said = copy.preview("--base HEAD~1");
    assert!(said.err.contains("rendered: 3, known by content: 3"), "{}", said.err);
    assert_eq!(said.with(0), "");
}

#[test]
fn applications_come_and_go_and_secrets_are_masked() {
    let copy = shop();
    copy.git(&["branch", "before"]);
    copy.git(&["rm", "--quiet", "apps/plain.yaml"]);
    copy.application("secret", URL, "secret");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: token\nstringData:\n  token: hunter2\n";
    copy.file("secret/secret.yaml", secret);
    copy.commit();
    let json: Value = serde_json::from_str(&copy.preview("--base before -o json").with(1)).unwrap();
    let changes: Vec<String> = json["applications"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|application| {
            let name = application["name"].as_str().unwrap();
            application["objects"].as_array().unwrap().iter().map(move |object| {
                format!("{name}: {} {}", object["change"].as_str().unwrap(), object["name"].as_str().unwrap())
            })
        })
        .collect();
    assert_eq!(changes, ["plain: removed plain", "secret: added token"], "{json:#}");
    assert!(!json.to_string().contains("hunter2"), "{json:#}");
    let comment = copy.preview("--base before -o markdown").with(1);
    assert!(comment.contains("| `argocd/secret` | `apps/secret.yaml` | 1 | 0 | 0 |"), "{comment}");
    assert!(comment.contains("```diff\n") && !comment.contains("hunter2"), "{comment}");
}

#[test]
fn one_failure_hides_no_other_and_ends_with_two() {
    let copy = shop();
    copy.file("plain/config.yaml", &config("plain", "b"));
    copy.file("charts/web/templates/config.yaml", "{{ fail \"no such luck\" }}\n");
    copy.commit();
    let said = copy.preview("--base HEAD^1");
    said.fails(2, &["argocd/chart: at the head (apps/chart.yaml)", "no such luck", "1 of 3 Applications"]);
    assert!(said.out.contains("-  key: a\n+  key: b\n"), "{}", said.out);
}

#[test]
fn what_follows_a_tag_stays_and_other_urls_can_be_named() {
    let copy = shop();
    copy.git(&["tag", "v1.0.0"]);
    let alias = "git@git.example.com:shop/mirror.git";
    for (name, revision) in [("pinned", "v1.0.0"), ("ranged", "1.x"), ("moving", "production")] {
        copy.application(name, alias, "plain");
        let file = copy.path().join(format!("apps/{name}.yaml"));
        let text = std::fs::read_to_string(&file)
            .unwrap()
            .replace("targetRevision: main", &format!("targetRevision: {revision}"));
        std::fs::write(&file, text).unwrap();
    }
    copy.git(&["rm", "--quiet", "apps/plain.yaml"]);
    copy.commit();
    copy.file("plain/config.yaml", &config("plain", "b"));
    copy.commit();
    assert_eq!(copy.preview("--base HEAD^1").with(0), "");
    let text = copy.preview(&format!("--base HEAD^1 --repo-url {alias}")).with(1);
    assert!(text.contains("argocd/moving changed") && !text.contains("pinned") && !text.contains("ranged"), "{text}");
}

#[test]
fn what_is_not_there_is_said() {
    let copy = shop();
    copy.preview("--base nobody").fails(2, &["--base: there is no commit 'nobody'", "fetch-depth"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(trueup_binary().unwrap())
        .args(["preview", "--base", "main"])
        .arg(elsewhere.path())
        .output()
        .unwrap();
    Said::of(&output).fails(2, &["the repository cannot be read", "does not exist"]);
}
