//! Directories of commits: what is rendered once, what is rendered again, and where links may lead.
//!
//! Commits come into a store by a fetch process, which is this very program started with [`FETCH`]: hence its own `main`.
#![allow(clippy::unwrap_used, reason = "a test, which the lint does not see without a harness")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use tempfile::TempDir;
use trueup_api::source::DirectorySource;
use trueup_git::{Access, CommitId, FetchProgram, GitError, Limits, Proxies, RepoUrl, Store, Stores, StoresConfig};
use trueup_render::{Answer, Capabilities, CommitTree, Counters, RenderError, Rendered, Renderer, Request, Trees};

const FETCH: &str = "fetch";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(FETCH) {
        return trueup_git::fetch_main();
    }
    let tests: [(&str, fn()); 10] = [
        ("one_content_is_rendered_once", one_content_is_rendered_once),
        ("a_commit_elsewhere_renders_nothing", a_commit_elsewhere_renders_nothing),
        ("a_restart_renders_nothing", a_restart_renders_nothing),
        ("other_options_are_another_render", other_options_are_another_render),
        ("who_comes_second_waits_for_the_first", who_comes_second_waits_for_the_first),
        ("errors_are_not_kept", errors_are_not_kept),
        ("links_are_followed_inside_the_repository", links_are_followed_inside_the_repository),
        ("links_out_of_the_repository_are_refused", links_out_of_the_repository_are_refused),
        ("a_submodule_is_not_lost_silently", a_submodule_is_not_lost_silently),
        ("a_path_must_be_a_directory_of_the_repository", a_path_must_be_a_directory_of_the_repository),
    ];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, test) in tests.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        println!("test {name}");
        test();
    }
    ExitCode::SUCCESS
}

/// A repository with a working copy, and a store of it.
struct Bench {
    dir: TempDir,
    store: Arc<Store>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("repository");
        fs::create_dir(&repository).unwrap();
        let exe = std::env::current_exe().unwrap();
        let fetch_program = FetchProgram { exe, args: vec![FETCH.to_owned()] };
        let config = StoresConfig {
            cache_dir: dir.path().join("git"),
            fetch_program,
            limits: Limits::default(),
            proxies: Proxies::default(),
        };
        let url = RepoUrl::parse(&format!("file://{}", repository.display())).unwrap();
        let store = Stores::new(config).unwrap().store(&url, &Access::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bench = Self { dir, store, runtime };
        bench.git(&["init", "--quiet", "--initial-branch=main"]);
        bench
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always"])
            .args(args)
            .current_dir(self.repository())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.repository().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.repository().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(fs::remove_file(&path));
        symlink(target, path).unwrap();
        self
    }

    /// Commits everything, and fetches the commit.
    fn commit(&self) -> CommitId {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "x"]);
        let id: CommitId = self.git(&["rev-parse", "HEAD"]).parse().unwrap();
        self.runtime.block_on(self.store.fetch(&[id])).unwrap();
        id
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("renders")
    }
}

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

fn names(rendered: &Rendered) -> Vec<&str> {
    rendered.manifests.iter().map(trueup_object::Manifest::name).collect()
}

fn plain() -> DirectorySource {
    DirectorySource::default()
}

fn recursive() -> DirectorySource {
    DirectorySource { recurse: true, ..plain() }
}

/// What a directory says at a commit.
fn render_at(
    renderer: &Renderer,
    store: &Arc<Store>,
    commit: &CommitId,
    path: &str,
    directory: &DirectorySource,
) -> Result<Arc<Rendered>, RenderError> {
    let trees = Trees::new(Arc::new(CommitTree::new(Arc::clone(store), *commit)));
    match renderer.render(&Request::of_directory(path, directory), &trees, &Capabilities::default())? {
        Answer::Rendered(rendered) => Ok(rendered),
        Answer::Needs(needs) => panic!("{needs:?}"),
    }
}

fn counted(renderer: &Renderer, renders: u64, hits: u64) {
    assert_eq!(renderer.counters(), Counters { renders, hits });
}

fn one_content_is_rendered_once() {
    let bench = Bench::new();
    let commit = bench.write("one/a.yaml", &object("a")).write("two/a.yaml", &object("a")).commit();
    let renderer = Renderer::new(None, None);
    let first = render_at(&renderer, &bench.store, &commit, "one", &plain()).unwrap();
    assert_eq!(names(&first), ["a"]);
    let second = render_at(&renderer, &bench.store, &commit, "one", &plain()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    // Another application with the same files.
    let third = render_at(&renderer, &bench.store, &commit, "./two/", &plain()).unwrap();
    assert!(Arc::ptr_eq(&first, &third));
    counted(&renderer, 1, 2);
}

fn a_commit_elsewhere_renders_nothing() {
    let bench = Bench::new();
    let renderer = Renderer::new(None, None);
    let commit = bench.write("app/a.yaml", &object("a")).write("README", "1").commit();
    let first = render_at(&renderer, &bench.store, &commit, "app", &plain()).unwrap();
    let commit = bench.write("README", "2").commit();
    assert!(Arc::ptr_eq(&first, &render_at(&renderer, &bench.store, &commit, "app", &plain()).unwrap()));
    counted(&renderer, 1, 1);
    let commit = bench.write("app/b.yaml", &object("b")).commit();
    let rendered = render_at(&renderer, &bench.store, &commit, "app", &plain()).unwrap();
    assert_eq!(names(&rendered), ["a", "b"]);
    assert_ne!(rendered.digest, first.digest);
    counted(&renderer, 2, 1);
}

fn a_restart_renders_nothing() {
    let bench = Bench::new();
    let commit = bench.write("app/a.yaml", &object("a")).commit();
    let render = || {
        let renderer = Renderer::new(Some(bench.cache()), None);
        let rendered = render_at(&renderer, &bench.store, &commit, "app", &plain()).unwrap();
        (rendered, renderer.counters().renders)
    };
    let (first, renders) = render();
    assert_eq!(renders, 1);
    assert_eq!(render(), (Arc::clone(&first), 0));
    // A damaged entry is no answer.
    for entry in fs::read_dir(bench.cache()).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    assert_eq!(render(), (Arc::clone(&first), 1));
    assert_eq!(render(), (first, 0));
}

fn other_options_are_another_render() {
    let bench = Bench::new();
    let commit = bench.write("app/a.yaml", &object("a")).write("app/sub/b.yaml", &object("b")).commit();
    let renderer = Renderer::new(None, None);
    let globs = |include: &str, exclude: &str| DirectorySource {
        include: include.to_owned(),
        exclude: exclude.to_owned(),
        ..recursive()
    };
    let table: [(DirectorySource, &[&str]); 5] = [
        (plain(), &["a"]),
        (recursive(), &["a", "b"]),
        (globs("a.yaml", ""), &["a"]),
        (globs("", "a.yaml"), &["b"]),
        (globs("a.", "yaml"), &[]),
    ];
    for (options, expected) in &table {
        assert_eq!(
            names(&render_at(&renderer, &bench.store, &commit, "app", options).unwrap()),
            *expected,
            "{options:?}"
        );
    }
    counted(&renderer, 5, 0);
}

fn who_comes_second_waits_for_the_first() {
    let bench = Bench::new();
    let list: Vec<String> = (0..300).map(|number| object(&format!("a{number}"))).collect();
    let commit = bench.write("app/a.yaml", &list.join("---\n")).commit();
    let renderer = Renderer::new(Some(bench.cache()), None);
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                assert_eq!(render_at(&renderer, &bench.store, &commit, "app", &plain()).unwrap().manifests.len(), 300);
            });
        }
    });
    counted(&renderer, 1, 7);
}

fn errors_are_not_kept() {
    let bench = Bench::new();
    let renderer = Renderer::new(Some(bench.cache()), None);
    let broken = bench.write("app/a.yaml", "apiVersion: v1\nkind: A\nmetadata: {{ x }\n").commit();
    for renders in 1..3 {
        let error = render_at(&renderer, &bench.store, &broken, "app", &plain()).unwrap_err();
        assert!(matches!(&error, RenderError::Syntax { file, .. } if file == "a.yaml"), "{error}");
        counted(&renderer, renders, 0);
    }
    let mended = bench.write("app/a.yaml", &object("a")).commit();
    assert_eq!(names(&render_at(&renderer, &bench.store, &mended, "app", &plain()).unwrap()), ["a"]);
    counted(&renderer, 3, 0);
}

fn links_are_followed_inside_the_repository() {
    let bench = Bench::new();
    bench.write("shared/deep/s.yaml", &object("s")).write("apps/one/a.yaml", &object("a"));
    bench.link("apps/one/s.yaml", "../../way/hop.yaml").link("shared/hop.yaml", "deep/./s.yaml").link("way", "shared");
    let commit = bench.link("apps/one/dir.yaml", "../../shared").commit();
    let render = |renderer: &Renderer, commit: &CommitId| {
        render_at(renderer, &bench.store, commit, "apps/one", &plain()).unwrap()
    };
    let renderer = Renderer::new(Some(bench.cache()), None);
    let first = render(&renderer, &commit);
    assert_eq!(names(&first), ["a", "s"]);
    assert!(first.warnings[0].contains("'dir.yaml'"), "{:?}", first.warnings);
    // Elsewhere nothing that it reads has changed.
    let commit = bench.write("README", "2").commit();
    assert!(Arc::ptr_eq(&first, &render(&renderer, &commit)));
    counted(&renderer, 1, 1);
    // What a link leads to counts as read, although it is outside the directory.
    let commit = bench.write("shared/deep/s.yaml", &object("t")).commit();
    assert_eq!(names(&render(&renderer, &commit)), ["a", "t"]);
    counted(&renderer, 2, 1);
    let again = Renderer::new(Some(bench.cache()), None);
    assert_eq!(names(&render(&again, &commit)), ["a", "t"]);
    counted(&again, 0, 1);
    // Gone, it is an error, not a smaller application.
    fs::remove_file(bench.repository().join("shared/deep/s.yaml")).unwrap();
    let commit = bench.commit();
    let error = render_at(&renderer, &bench.store, &commit, "apps/one", &plain()).unwrap_err();
    assert!(matches!(&error, RenderError::Link { file, .. } if file == "s.yaml"), "{error}");
}

fn links_out_of_the_repository_are_refused() {
    let bench = Bench::new();
    bench.write("apps/a.yaml", &object("a")).link("other/bad.yaml", "../../../etc/passwd").link("loop", "loop");
    let renderer = Renderer::new(None, None);
    let repository = bench.repository();
    let targets = [
        "/etc/passwd".to_owned(),
        repository.join("apps/a.yaml").display().to_string(),
        "../../x.yaml".to_owned(),
        "../apps/../../repository/apps/a.yaml".to_owned(),
        "missing.yaml".to_owned(),
        "a.yaml/x".to_owned(),
        "../loop/a.yaml".to_owned(),
        "x.yaml".to_owned(),
    ];
    for target in targets {
        let commit = bench.link("apps/x.yaml", &target).commit();
        let error = render_at(&renderer, &bench.store, &commit, "apps", &plain()).unwrap_err();
        let RenderError::Link { file, target: told, reason } = &error else { panic!("{target}: {error}") };
        assert_eq!((file.as_str(), told), ("x.yaml", &target));
        assert!(!reason.is_empty());
        // Left out, it harms nobody.
        let exclude = DirectorySource { exclude: "x.yaml".to_owned(), ..plain() };
        assert_eq!(names(&render_at(&renderer, &bench.store, &commit, "apps", &exclude).unwrap()), ["a"], "{target}");
    }
}

fn a_submodule_is_not_lost_silently() {
    let bench = Bench::new();
    let commit = bench.write("app/a.yaml", &object("a")).commit();
    bench.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},app/module")]);
    bench.git(&["commit", "--quiet", "--message", "module"]);
    let commit: CommitId = bench.git(&["rev-parse", "HEAD"]).parse().unwrap();
    bench.runtime.block_on(bench.store.fetch(&[commit])).unwrap();
    let renderer = Renderer::new(None, None);
    let render = |options: &DirectorySource| render_at(&renderer, &bench.store, &commit, "app", options);
    assert_eq!(render(&recursive()).unwrap_err(), RenderError::Submodule { file: "module".to_owned() });
    assert_eq!(names(&render(&plain()).unwrap()), ["a"]);
    let exclude = DirectorySource { exclude: "module/*".to_owned(), ..recursive() };
    assert_eq!(names(&render(&exclude).unwrap()), ["a"]);
}

fn a_path_must_be_a_directory_of_the_repository() {
    let bench = Bench::new();
    let commit = bench.write("app/a.yaml", &object("a")).link("link", "app").commit();
    let renderer = Renderer::new(None, None);
    let render = |path: &str| render_at(&renderer, &bench.store, &commit, path, &plain()).unwrap_err();
    let git = |error: RenderError| if let RenderError::Git(error) = error { error } else { panic!("{error}") };
    assert!(matches!(git(render("nope")), GitError::PathNotFound { .. }));
    assert!(matches!(git(render("app/a.yaml")), GitError::NotADirectory { .. }));
    assert!(matches!(git(render("link")), GitError::SymlinkOnPath { .. }));
    assert!(matches!(git(render("../app")), GitError::InvalidPath { .. }));
    assert!(matches!(git(render("/app")), GitError::InvalidPath { .. }));
    let unknown: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let error = render_at(&renderer, &bench.store, &unknown, "app", &plain()).unwrap_err();
    assert!(matches!(git(error), GitError::NotFetched { .. }));
    assert_eq!(names(&render_at(&renderer, &bench.store, &commit, "", &plain()).unwrap()), [""; 0]);
    counted(&renderer, 1, 0);
}
