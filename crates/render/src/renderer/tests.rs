//! What is rendered once, and what again: with a renderer that follows a script.

use std::sync::Arc;

use serde_json::{Value, json};
use trueup_object::{Digest, Manifest};

use super::*;
use crate::script::{Script, done, object, request, tree, trees};
use crate::workers::{Done, FileKind, Job, Reply};
use crate::{Decrypt, Fetched, Settings, Tool};

fn renderer(script: &Script) -> Renderer {
    Renderer::with_engine(None, Some(Box::new(script.clone())))
}

fn names(answer: &Answer) -> Vec<String> {
    let Answer::Rendered(rendered) = answer else { panic!("{answer:?}") };
    rendered.manifests.iter().map(|manifest| manifest.name().to_owned()).collect()
}

fn chart() -> Value {
    json!({"repoURL": "u", "helm": {"releaseName": "r"}})
}

fn nothing() -> Capabilities {
    Capabilities::default()
}

/// Looks at whether a file is there, reads a second, lists a directory, and reads all of another.
fn reading() -> Script {
    Script::new(|_, answers| {
        let there = answers.stat("", "app/maybe").unwrap();
        let text = answers.read("", "app/name").unwrap();
        let count = answers.list("", "listed").unwrap().len();
        let whole = answers.tree("", "whole").unwrap().len();
        let text = String::from_utf8(text).unwrap();
        let there = if there == FileKind::Absent { "absent" } else { "there" };
        Reply::Done(done(&[&format!("{text}-{there}-{count}-{whole}")]))
    })
}

const READ: [(&str, &str); 5] =
    [("app/name", "a"), ("listed/x", "1"), ("whole/x/y", "1"), ("app/unread", "1"), ("elsewhere", "1")];

fn with(changes: &[(&'static str, &'static str)]) -> Trees {
    let mut files: Vec<(&str, &str)> =
        READ.into_iter().filter(|(path, _)| changes.iter().all(|(changed, _)| changed != path)).collect();
    files.extend(changes);
    trees(&files)
}

#[test]
fn only_what_was_read_counts() {
    let (script, request) = (reading(), request(chart()));
    let renderer = renderer(&script);
    let render = |trees: &Trees| names(&renderer.render(&request, trees, &nothing()).unwrap());
    assert_eq!(render(&with(&[])), ["a-absent-1-1"]);
    let same: [&[(&str, &str)]; 5] = [
        &[],
        &[("app/unread", "2")],
        &[("elsewhere", "2"), ("new", "")],
        // Of a listing the names count, not what they hold.
        &[("listed/x", "2")],
        &[("app/dir/new", "")],
    ];
    for changes in same {
        assert_eq!(render(&with(changes)), ["a-absent-1-1"], "{changes:?}");
    }
    assert_eq!((script.runs(), renderer.counters()), (1, Counters { renders: 1, hits: 5 }));
    let other: [(&[(&str, &str)], &str); 4] = [
        (&[("app/name", "b")], "b-absent-1-1"),
        (&[("app/maybe", "")], "a-there-1-1"),
        (&[("listed/y", "")], "a-absent-2-1"),
        (&[("listed/x", "1"), ("app/maybe", "")], "a-there-1-1"),
    ];
    for (changes, expected) in other {
        assert_eq!(render(&with(changes)), [expected], "{changes:?}");
    }
    assert_eq!(script.runs(), 4);
    // Back again: it is still known.
    assert_eq!(render(&with(&[])), ["a-absent-1-1"]);
    assert_eq!(script.runs(), 4);
}

#[test]
fn of_a_whole_directory_everything_counts() {
    let (script, request) = (reading(), request(chart()));
    let renderer = renderer(&script);
    let render = |trees: &Trees| names(&renderer.render(&request, trees, &nothing()).unwrap());
    assert_eq!(render(&with(&[])), ["a-absent-1-1"]);
    assert_eq!(render(&with(&[("whole/x/y", "2")])), ["a-absent-1-1"]);
    assert_eq!(render(&with(&[("whole/z", "")])), ["a-absent-1-2"]);
    assert_eq!(script.runs(), 3);
}

#[test]
fn what_is_declared_counts() {
    let script = reading();
    let renderer = renderer(&script);
    let render = |request: &Request| renderer.render(request, &with(&[]), &nothing()).unwrap();
    let first = request(chart());
    render(&first);
    // What no option names does not.
    let same = Request { revision: "other".to_owned(), project: "other".to_owned(), ..first.clone() };
    render(&same);
    assert_eq!(script.runs(), 1);
    let sources = [
        json!({"helm": {"releaseName": "s"}}),
        json!({"helm": {"releaseName": "r", "skipCrds": true}}),
        json!({"helm": {"releaseName": "r", "values": "a: b"}}),
        json!({"helm": {"releaseName": "r", "valuesObject": {"a": "b"}}}),
        json!({"helm": {"releaseName": "r", "parameters": [{"name": "a", "value": "b"}]}}),
        json!({"helm": {"releaseName": "r", "parameters": [{"name": "a", "value": "$ARGOCD_APP_REVISION"}]}}),
        json!({"helm": {"releaseName": "r", "namespace": "n"}}),
        json!({"helm": {"releaseName": "r", "kubeVersion": "1.30"}}),
        json!({"kustomize": {"namePrefix": "x-"}}),
    ];
    for (at, source) in sources.into_iter().enumerate() {
        render(&request(source));
        assert_eq!(script.runs(), 2 + at as u64);
    }
    // Replaced into an option, the revision counts.
    let with_revision =
        json!({"helm": {"releaseName": "r", "parameters": [{"name": "a", "value": "$ARGOCD_APP_REVISION"}]}});
    let before = script.runs();
    render(&Request { revision: "other".to_owned(), ..request(with_revision) });
    assert_eq!(script.runs(), before + 1);
    script.set_build("2");
    render(&first);
    assert_eq!(script.runs(), before + 2);
}

#[test]
fn capabilities_count_that_were_asked_for() {
    let script = Script::new(|_, answers| {
        let yes = answers.has_api_version("monitoring.coreos.com/v1").unwrap();
        Reply::Done(done(&[if yes { "served" } else { "missing" }]))
    });
    let (renderer, request, trees) = (renderer(&script), request(chart()), trees(&[("app/a", "")]));
    let render = |version: &str, served: &[&str]| {
        let api_versions = served.iter().map(|name| (*name).to_owned()).collect();
        let capabilities = Capabilities { kube_version: version.to_owned(), api_versions };
        names(&renderer.render(&request, &trees, &capabilities).unwrap())
    };
    assert_eq!(render("v1.35.0", &[]), ["missing"]);
    assert_eq!(render("v1.36.0", &["apps/v1"]), ["missing"]);
    assert_eq!(script.runs(), 1);
    assert_eq!(render("v1.36.0", &["monitoring.coreos.com/v1"]), ["served"]);
    assert_eq!(render("v1.36.0", &["monitoring.coreos.com/v1", "other/v1"]), ["served"]);
    assert_eq!(script.runs(), 2);
}

#[test]
fn what_is_never_the_same_stays_for_its_commit() {
    let script = Script::new(|_, _| {
        Reply::Done(Done { unstable: vec!["randAlphaNum in templates/secret.yaml".to_owned()], ..done(&["a"]) })
    });
    let (renderer, first, trees) = (renderer(&script), request(chart()), trees(&[("app/a", "")]));
    for _ in 0..2 {
        let Answer::Rendered(rendered) = renderer.render(&first, &trees, &nothing()).unwrap() else { panic!() };
        let [warning] = rendered.warnings.as_slice() else { panic!("{:?}", rendered.warnings) };
        assert!(
            warning.contains("randAlphaNum in templates/secret.yaml") && warning.contains("next commit"),
            "{warning}"
        );
    }
    assert_eq!(script.runs(), 1);
    renderer.render(&Request { revision: "next".to_owned(), ..first }, &trees, &nothing()).unwrap();
    assert_eq!(script.runs(), 2);
}

fn needing() -> (Script, Need) {
    let need = Need::Chart { repository: "https://a.example".into(), name: "redis".into(), version: "1.2.3".into() };
    let wanted = need.clone();
    let script = Script::new(move |job, answers| {
        let Job::Helm(job) = job else { panic!() };
        let lock = answers.read("", "app/Chart.lock").unwrap();
        match job.fetched.iter().find(|fetched| fetched.need == wanted) {
            None => Reply::Needs(vec![wanted.clone()]),
            Some(fetched) => {
                let files = answers.tree(&fetched.root, &fetched.path).unwrap();
                let texts = files.iter().map(|file| String::from_utf8_lossy(&file.data).into_owned());
                Reply::Done(done(&[&format!("{}-{}", String::from_utf8_lossy(&lock), texts.collect::<String>())]))
            }
        }
    });
    (script, need)
}

#[test]
fn what_is_needed_is_told_once_per_content_and_known_afterwards() {
    let (script, need) = needing();
    let (renderer, request) = (renderer(&script), request(chart()));
    let bare = |lock: &str| trees(&[("app/Chart.lock", lock)]);
    let fetched = |lock: &str, text: &str| {
        let tree = tree(&[("redis/x", text), ("other", "")]);
        Trees { fetched: vec![Fetched { need: need.clone(), tree, path: "redis".to_owned() }], ..bare(lock) }
    };
    let render = |trees: &Trees| renderer.render(&request, trees, &nothing()).unwrap();
    for _ in 0..2 {
        assert_eq!(render(&bare("l")), Answer::Needs(vec![need.clone()]));
    }
    assert_eq!(script.runs(), 1);
    for _ in 0..2 {
        assert_eq!(names(&render(&fetched("l", "x"))), ["l-x"]);
    }
    assert_eq!(script.runs(), 2);
    // Asked anew without it: no worker runs to say what is lacking.
    assert_eq!(render(&bare("l")), Answer::Needs(vec![need.clone()]));
    assert_eq!(script.runs(), 2);
    assert_eq!(renderer.counters(), Counters { renders: 1, hits: 1 });
    // What was fetched is content like any other.
    assert_eq!(names(&render(&fetched("l", "y"))), ["l-y"]);
    assert_eq!(render(&bare("m")), Answer::Needs(vec![need.clone()]));
    assert_eq!(script.runs(), 4);
}

#[test]
fn what_is_asked_for_again_though_it_is_there_is_an_error() {
    let need = Need::Resource { url: "https://u:hunter2@a.example/x".to_owned() };
    let wanted = need.clone();
    let script = Script::new(move |_, _| Reply::Needs(vec![wanted.clone()]));
    let fetched = vec![Fetched { need, tree: tree(&[]), path: String::new() }];
    let trees = Trees { fetched, ..trees(&[("app/a", "")]) };
    let error = renderer(&script).render(&request(chart()), &trees, &nothing()).unwrap_err().to_string();
    assert!(error.contains("once more") && !error.contains("hunter2"), "{error}");
}

#[test]
fn values_are_fetched_before_a_worker_is_asked() {
    let script = Script::new(|_, _| Reply::Done(done(&["a"])));
    let renderer = renderer(&script);
    let request = request(json!({"helm": {"valueFiles": ["https://a.example/v.yaml"]}}));
    let answer = renderer.render(&request, &trees(&[("app/Chart.yaml", "")]), &nothing()).unwrap();
    assert_eq!(answer, Answer::Needs(vec![Need::Resource { url: "https://a.example/v.yaml".to_owned() }]));
    assert_eq!(script.runs(), 0);
}

#[test]
fn a_failure_is_believed_for_a_moment() {
    let script = Script::new(|_, answers| match answers.read("", "app/a") {
        Ok(text) if text.is_empty() => Reply::Failed("execution error at (a/templates/x.yaml:1:4): no".to_owned()),
        _ => Reply::Done(done(&["a"])),
    });
    let (renderer, request) = (renderer(&script), request(chart()));
    let render = |text: &str| renderer.render(&request, &trees(&[("app/a", text)]), &nothing());
    for _ in 0..3 {
        let error = render("").unwrap_err();
        assert_eq!(error.to_string(), "Helm: execution error at (a/templates/x.yaml:1:4): no");
    }
    assert_eq!(script.runs(), 1);
    // Other content, or somebody who insists.
    render("x").unwrap();
    assert_eq!(script.runs(), 2);
    renderer.render_again(&request, &trees(&[("app/a", "")]), &nothing()).unwrap_err();
    assert_eq!(script.runs(), 3);
    // Without a worker, nothing is saved by it.
    let broken = trees(&[("app/a.yaml", "apiVersion: v1\nkind: A\nmetadata: [")]);
    let plain = Request::of_directory("app", &DirectorySource::default());
    for renders in [4, 5] {
        renderer.render(&plain, &broken, &nothing()).unwrap_err();
        assert_eq!(renderer.counters().renders, renders);
    }
}

#[test]
fn a_long_message_is_cut_in_its_middle() {
    let script = Script::new(|_, _| Reply::Failed(format!("begin {} end", "ä".repeat(100_000))));
    let error = renderer(&script).render(&request(chart()), &trees(&[("app/a", "")]), &nothing()).unwrap_err();
    let error = error.to_string();
    assert!(error.len() < 5000 && error.starts_with("Helm: begin") && error.ends_with(" end"), "{error}");
}

#[test]
fn rendered_again_it_is_told_whether_it_differs() {
    let runs = std::sync::atomic::AtomicU64::new(0);
    let script = Script::new(move |_, answers| {
        let text = answers.read("", "app/a").unwrap();
        let run = runs.fetch_add(1, Ordering::Relaxed);
        let name = if text == b"random" { format!("a{run}") } else { "a".to_owned() };
        Reply::Done(done(&[&name]))
    });
    let (renderer, request) = (renderer(&script), request(chart()));
    for (text, differs) in [("same", false), ("random", true)] {
        let trees = trees(&[("app/a", text)]);
        let first = renderer.render(&request, &trees, &nothing()).unwrap();
        let again = renderer.render_again(&request, &trees, &nothing()).unwrap();
        assert_eq!((again.differs, again.answer != first), (differs, differs), "{text}");
        // From now on this is known.
        assert_eq!(renderer.render(&request, &trees, &nothing()).unwrap(), again.answer);
    }
    // A directory too, which no worker renders.
    let (plain, files) =
        (Request::of_directory("app", &DirectorySource::default()), trees(&[("app/a.yaml", &object("a"))]));
    let first = renderer.render(&plain, &files, &nothing()).unwrap();
    let again = renderer.render_again(&plain, &files, &nothing()).unwrap();
    assert_eq!((again.differs, again.answer), (false, first));
}

#[test]
fn who_comes_second_waits_for_the_first() {
    let script = reading();
    let (renderer, request, trees) = (renderer(&script), request(chart()), with(&[]));
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                renderer.render(&request, &trees, &nothing()).unwrap();
            });
        }
    });
    assert_eq!((script.runs(), renderer.counters()), (1, Counters { renders: 1, hits: 7 }));
}

#[test]
fn a_restart_renders_nothing_and_damage_renders_again() {
    let dir = tempfile::tempdir().unwrap();
    let (script, request) = (reading(), request(chart()));
    let render = || {
        let renderer = Renderer::with_engine(Some(dir.path().to_owned()), Some(Box::new(script.clone())));
        let answer = renderer.render(&request, &with(&[]), &nothing()).unwrap();
        let Answer::Rendered(rendered) = &answer else { panic!() };
        assert_eq!(rendered.tool, Tool::Helm);
        answer
    };
    let first = render();
    assert_eq!((render(), script.runs()), (first.clone(), 1));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    assert_eq!((render(), script.runs()), (first.clone(), 2));
    assert_eq!((render(), script.runs()), (first, 2));
}

struct Rot;

impl Decrypt for Rot {
    fn decrypt(&self, path: &str, text: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match text.strip_prefix(b"ENC:") {
            Some(b"?") => Err(format!("no key for {path}")),
            Some(rest) => Ok(Some(rest.to_vec())),
            None => Ok(None),
        }
    }

    fn identity(&self) -> Digest {
        Digest::of(b"rot")
    }
}

#[test]
fn what_was_encrypted_reaches_no_disk_and_no_message() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::new(|_, answers| {
        let text = match answers.read("", "app/a") {
            Ok(text) => String::from_utf8(text).unwrap(),
            Err(error) => return Reply::Failed(error),
        };
        let all = answers.tree("", "app").unwrap();
        assert!(all.iter().any(|file| file.data == text.as_bytes()));
        if text.contains("fail") { Reply::Failed(format!("cannot parse {text}")) } else { Reply::Done(done(&["a"])) }
    });
    let request = request(chart());
    let render = |text: &str| {
        let renderer = Renderer::with_engine(Some(dir.path().to_owned()), Some(Box::new(script.clone())));
        let trees = Trees { decryptor: Some(Arc::new(Rot)), ..trees(&[("app/a", text)]) };
        let first = renderer.render(&request, &trees, &nothing());
        // In memory it is known.
        assert_eq!(renderer.render(&request, &trees, &nothing()), first);
        first
    };
    let entries = || std::fs::read_dir(dir.path()).unwrap().count();
    render("ENC:key: hunter2").unwrap();
    assert_eq!((entries(), script.runs()), (0, 1));
    let error = render("ENC:{key: fail-hunter2}").unwrap_err().to_string();
    assert!(error.contains("cannot parse {key: ••••••}"), "{error}");
    let error = render("ENC:?").unwrap_err();
    assert_eq!(error, RenderError::Encrypted { file: "a".to_owned(), reason: "no key for app/a".to_owned() });
    // With keys at hand, what is not encrypted is kept as ever.
    render("key: plain").unwrap();
    assert_ne!(entries(), 0);
}

#[test]
fn plain_manifests_are_decrypted_too() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("ENC:{}", object("secret"));
    let trees = Trees { decryptor: Some(Arc::new(Rot)), ..trees(&[("app/a.yaml", &text)]) };
    let renderer = Renderer::new(Some(dir.path().to_owned()), None);
    let plain = Request::of_directory("app", &DirectorySource::default());
    for hits in 0..2 {
        assert_eq!(names(&renderer.render(&plain, &trees, &nothing()).unwrap()), ["secret"]);
        assert_eq!(renderer.counters(), Counters { renders: 1, hits });
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // Other keys, other answers.
    let without = Trees { decryptor: None, ..trees };
    let error = renderer.render(&plain, &without, &nothing()).unwrap_err();
    assert!(matches!(error, RenderError::NotAnObject { .. }), "{error}");
}

#[test]
fn what_goes_wrong_with_a_file_is_told_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("app")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("app/out")).unwrap();
    let script = Script::new(|_, answers| match answers.read("", "app/out") {
        Ok(_) => panic!(),
        Err(error) => Reply::Failed(format!("wrapped beyond recognition: {error}")),
    });
    let trees = Trees::new(Arc::new(DiskTree::rooted(dir.path()).unwrap()));
    let error = renderer(&script).render(&request(chart()), &trees, &nothing()).unwrap_err();
    assert!(matches!(&error, RenderError::Link { file, .. } if file == "out"), "{error}");
}

#[test]
fn a_working_copy_is_read_anew_each_time() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("app")).unwrap();
    let script =
        Script::new(|_, answers| Reply::Done(done(&[&String::from_utf8_lossy(&answers.read("", "app/a").unwrap())])));
    let (renderer, request) = (renderer(&script), request(chart()));
    for name in ["a", "b"] {
        std::fs::write(dir.path().join("app/a"), name).unwrap();
        let trees = Trees::new(Arc::new(DiskTree::rooted(dir.path()).unwrap()));
        assert_eq!(names(&renderer.render(&request, &trees, &nothing()).unwrap()), [name]);
    }
}

#[test]
fn the_tool_is_what_is_asked_for_or_what_is_there() {
    let script = Script::new(|_, _| Reply::Done(done(&["made"])));
    let renderer = renderer(&script);
    let (a, chart, overlay) = (object("plain"), ("app/Chart.yaml", "name: a"), ("app/kustomization.yaml", "{}"));
    let plain = ("app/a.yaml", a.as_str());
    let off = |tool: Tool| {
        let mut settings = Settings::default();
        match tool {
            Tool::Helm => settings.helm_enabled = false,
            Tool::Kustomize => settings.kustomize_enabled = false,
            _ => settings.jsonnet_enabled = false,
        }
        Arc::new(settings)
    };
    let on = || Arc::new(Settings::default());
    let table = [
        (json!({}), vec![plain], on(), Tool::Directory),
        (json!({}), vec![plain, chart], on(), Tool::Helm),
        (json!({}), vec![plain, overlay], on(), Tool::Kustomize),
        (json!({}), vec![plain, chart, overlay], on(), Tool::Kustomize),
        (json!({}), vec![plain, chart, overlay], off(Tool::Kustomize), Tool::Helm),
        (json!({}), vec![plain, chart], off(Tool::Helm), Tool::Directory),
        (json!({"helm": {"releaseName": "r"}}), vec![plain, overlay], on(), Tool::Helm),
        (json!({"helm": {"releaseName": "r"}}), vec![plain, overlay], off(Tool::Helm), Tool::Directory),
        // What says nothing asks for nothing.
        (json!({"helm": {}, "directory": {}}), vec![plain, overlay], on(), Tool::Kustomize),
        (json!({"directory": {"recurse": true}}), vec![plain, chart], on(), Tool::Directory),
        (json!({"directory": {"exclude": "{Chart,kustomization}.yaml"}}), vec![plain, chart], on(), Tool::Directory),
        (json!({}), vec![plain, ("app/main.jsonnet", "{}")], off(Tool::Directory), Tool::Directory),
    ];
    for (source, files, settings, tool) in table {
        let request = Request { settings, ..request(source.clone()) };
        for _ in 0..2 {
            let Answer::Rendered(rendered) = renderer.render(&request, &trees(&files), &nothing()).unwrap() else {
                panic!()
            };
            assert_eq!(rendered.tool, tool, "{source} {files:?}");
            let name = rendered.manifests.iter().map(Manifest::name).collect::<Vec<_>>();
            assert_eq!(name, [if tool == Tool::Directory { "plain" } else { "made" }]);
        }
    }
    let error = renderer.render(
        &request(json!({"helm": {"releaseName": "r"}, "kustomize": {"namePrefix": "x"}})),
        &trees(&[plain]),
        &nothing(),
    );
    assert_eq!(error, Err(RenderError::SeveralTools { tools: "Kustomize, Helm".to_owned() }));
    let error = renderer.render(&request(json!({"plugin": {"name": "x"}})), &trees(&[plain]), &nothing());
    assert_eq!(error, Err(RenderError::Plugin));
}

#[test]
fn files_in_the_directory_change_the_source() {
    let script = Script::new(|_, _| Reply::Done(done(&["made"])));
    let renderer = renderer(&script);
    let files = |all: &str, web: &str, other: &str| {
        trees(&[
            ("app/.argocd-source.yaml", all),
            ("app/.argocd-source-web.yaml", web),
            ("app/.argocd-source-other.yaml", other),
            ("app/a.yaml", &object("a")),
            ("app/sub/b.yaml", &object("b")),
        ])
    };
    let plain = |application: &str| Request { application: application.to_owned(), ..request(json!({"repoURL": "u"})) };
    let render =
        |application: &str, trees: &Trees| names(&renderer.render(&plain(application), trees, &nothing()).unwrap());
    for _ in 0..2 {
        let recurse = files("{}", "directory: {recurse: true}", "directory: {include: b.yaml}");
        assert_eq!(render("web", &recurse), ["a", "b"]);
        assert_eq!(render("other", &recurse), [""; 0]);
        assert_eq!(render("third", &recurse), ["a"]);
        // The one for the application is put over the one for all.
        assert_eq!(render("web", &files("directory: {recurse: true}", "directory: {exclude: a.yaml}", "")), ["b"]);
    }
    // A place cannot be changed.
    let elsewhere = "helm: {releaseName: s}\npath: sub\nrepoURL: v\ntargetRevision: w\nchart: c\nref: r\nname: s\n";
    assert_eq!(render("web", &files(elsewhere, "", "")), ["made"]);
    assert_eq!(
        (&script.job()["helm"]["releaseName"], &script.job()["helm"]["chart"]["path"]),
        (&json!("s"), &json!("app"))
    );
    let error = renderer.render(&plain("web"), &files("", "helm: 7", ""), &nothing()).unwrap_err();
    assert!(matches!(&error, RenderError::Override { file, .. } if file == ".argocd-source-web.yaml"), "{error}");
}

#[test]
fn a_job_says_what_the_application_says() {
    let script = Script::new(|_, _| Reply::Done(done(&[])));
    let renderer = renderer(&script);
    let files = [("app/Chart.yaml", ""), ("app/v.yaml", "a: b"), ("text", "t"), ("app/kustomization.yaml", "")];
    let job = |source: Value| {
        let request = Request { application: "ns_web".to_owned(), ..request(source) };
        renderer.render(&request, &trees(&files), &nothing()).unwrap();
        script.job()
    };
    let bare = job(json!({"helm": {"skipCrds": false, "version": "v3"}}));
    let expected = json!({"helm": {
        "chart": {"root": "", "path": "app"}, "releaseName": "web", "namespace": "team", "values": [], "set": [],
        "setFile": [], "includeCrds": true, "skipTests": false, "skipSchemaValidation": false, "kubeVersion": "",
        "apiVersions": [], "fetched": [],
    }});
    assert_eq!(bare, expected);
    let full = job(json!({"helm": {
        "releaseName": "r", "namespace": "n", "valueFiles": ["v.yaml"], "values": "x: y", "valuesObject": {"o": 1},
        "parameters": [
            {"name": "a", "value": "1"}, {"name": "a", "value": "$ARGOCD_APP_NAME"},
            {"name": "a", "value": "2", "forceString": true},
        ],
        "fileParameters": [{"name": "f", "path": "/text"}], "skipCrds": true, "skipTests": true,
        "skipSchemaValidation": true, "kubeVersion": "1.30", "apiVersions": ["v1"],
    }}));
    let expected = json!({"helm": {
        "chart": {"root": "", "path": "app"}, "releaseName": "r", "namespace": "n",
        "values": [{"name": "v.yaml", "text": "a: b"}, {"name": "spec.source.helm.valuesObject", "text": "{\"o\":1}"}],
        "set": [
            {"name": "a", "value": "ns_web", "forceString": false}, {"name": "a", "value": "2", "forceString": true},
        ],
        "setFile": [{"name": "f", "text": "t"}], "includeCrds": false, "skipTests": true, "skipSchemaValidation": true,
        "kubeVersion": "1.30", "apiVersions": ["v1"], "fetched": [],
    }});
    assert_eq!(full, expected);
    let overlay = job(json!({"kustomize": {
        "images": ["a=b:$ARGOCD_APP_REVISION_SHORT"], "commonLabels": {"app": "$ARGOCD_APP_NAME"},
        "commonAnnotations": {"a": "$ARGOCD_APP_NAME"},
    }}));
    let options = &overlay["kustomize"]["options"];
    assert_eq!(options["images"], json!(["a=b:0123456"]));
    assert_eq!(
        (&options["commonLabels"]["app"], &options["commonAnnotations"]["a"]),
        (&json!("ns_web"), &json!("$ARGOCD_APP_NAME"))
    );
    let annotated =
        job(json!({"kustomize": {"commonAnnotationsEnvsubst": true, "commonAnnotations": {"a": "$ARGOCD_APP_NAME"}}}));
    assert_eq!(annotated["kustomize"]["options"]["commonAnnotations"]["a"], "ns_web");
    assert_eq!(
        (&annotated["kustomize"]["path"], &annotated["kustomize"]["releaseName"]),
        (&json!("app"), &json!("web"))
    );
}

#[test]
fn jsonnet_files_are_files_of_a_directory() {
    let script = Script::new(|job, answers| {
        let Job::Jsonnet(job) = job else { panic!() };
        let text = answers.read("", &job.file).unwrap();
        let library = answers.stat("", "lib/x.libsonnet").unwrap();
        let documents = done(&[&String::from_utf8_lossy(&text)]).documents;
        let json = |name: &str| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
        let name = documents[0].file.trim_start_matches("templates/").trim_end_matches(".yaml").to_owned();
        let name = if library == FileKind::Absent { name } else { format!("{name}-lib") };
        let documents = vec![crate::workers::Document { file: job.file.clone(), text: json(&name) }];
        Reply::Done(Done { documents, ..Done::default() })
    });
    let renderer = renderer(&script);
    let jsonnet = json!({"extVars": [{"name": "n", "value": "$ARGOCD_APP_NAME"}], "tlas": [{"name": "t", "value": "1", "code": true}], "libs": ["lib", "./vendor"]});
    let with_libs = request(json!({"directory": {"jsonnet": jsonnet}}));
    let a = object("a");
    let files = [("app/a.yaml", a.as_str()), ("app/b.jsonnet", "b")];
    let render = |trees: &Trees| names(&renderer.render(&with_libs, trees, &nothing()).unwrap());
    for _ in 0..2 {
        assert_eq!(render(&trees(&files)), ["a", "b"]);
    }
    assert_eq!(script.runs(), 1);
    let expected = json!({"jsonnet": {
        "root": "", "file": "app/b.jsonnet", "extVars": [{"name": "n", "value": "web", "code": false}],
        "tlas": [{"name": "t", "value": "1", "code": true}], "libs": ["app", "lib", "vendor"],
    }});
    assert_eq!(script.job(), expected);
    // What a program reads elsewhere counts.
    assert_eq!(render(&trees(&[files[0], files[1], ("lib/x.libsonnet", "")])), ["a", "b-lib"]);
    assert_eq!(render(&trees(&[files[0], files[1], ("lib/y.libsonnet", "")])), ["a", "b"]);
    assert_eq!(script.runs(), 2);
    let every = request(json!({"directory": {"disableExtensionFilter": true}}));
    let all = trees(&[("app/a.yaml", &a), ("app/README", "just text"), ("app/object", &object("o"))]);
    assert_eq!(names(&renderer.render(&every, &all, &nothing()).unwrap()), ["a", "o"]);
}

#[test]
fn what_a_tool_makes_must_be_objects() {
    let texts = [
        ("# only a comment\n---\n", Ok(vec![])),
        ("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]", Ok(vec!["a"])),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-, annotations: {helm.sh/hook: test}}",
            Ok(vec![""]),
        ),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}",
            Err("templates/a.yaml:1: Job has metadata.generateName"),
        ),
        ("replicas: 1", Err("Helm: templates/a.yaml, line 1 of what it renders to: not a Kubernetes object")),
        ("a: [", Err("templates/a.yaml:2:")),
    ];
    for (text, expected) in texts {
        let script = Script::new(move |_, _| {
            let documents =
                vec![crate::workers::Document { file: "templates/a.yaml".to_owned(), text: text.to_owned() }];
            Reply::Done(Done { documents, ..Done::default() })
        });
        match (renderer(&script).render(&request(chart()), &trees(&[("app/a", "")]), &nothing()), expected) {
            (Ok(answer), Ok(expected)) => assert_eq!(names(&answer), expected, "{text}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{text}: {error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
}
