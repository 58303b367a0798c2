//! Reading what was fetched.

use trueup_git::{Entry, EntryKind, GitError};

use crate::bench::{Bench, git, id};

/// A commit with everything that a directory can hold.
fn odd_commit(bench: &Bench) -> trueup_git::CommitId {
    let dir = bench.repository.dir();
    let blob = |text: &str| git(dir, &["hash-object", "-w", "--stdin"], text);
    let (file, link) = (blob("hello"), blob("../../etc/passwd"));
    let inner = git(dir, &["mktree"], &format!("100644 blob {file}\tdeep.yaml\n"));
    let module = "0123456789abcdef0123456789abcdef01234567";
    let lines = format!(
        "100644 blob {file}\ta.yaml\n100755 blob {file}\trun\n120000 blob {link}\tlink\n160000 commit {module}\tmodule\n040000 tree {inner}\tsub\n"
    );
    let tree = git(dir, &["mktree", "--missing"], &lines);
    let commit = git(dir, &["commit-tree", &tree, "-m", "The subject\nin two lines\n\nA body."], "");
    git(dir, &["update-ref", "refs/heads/odd", &commit], "");
    id(&commit)
}

#[tokio::test]
async fn a_directory_tells_what_is_in_it() {
    let bench = Bench::new().await;
    let commit = odd_commit(&bench);
    bench.fetch(commit).await.unwrap();
    let tree = bench.store.tree(&commit, "").unwrap();
    let entries = bench.store.entries(&tree).unwrap();
    let kinds: Vec<(&str, &EntryKind)> = entries.iter().map(|Entry { name, kind }| (name.as_str(), kind)).collect();
    let [(a, a_kind), (link, link_kind), (module, module_kind), (run, run_kind), (sub, sub_kind)] = kinds.as_slice()
    else {
        panic!("{kinds:?}")
    };
    assert_eq!([*a, *link, *module, *run, *sub], ["a.yaml", "link", "module", "run", "sub"]);
    assert!(matches!(a_kind, EntryKind::File { size: 5, executable: false, .. }));
    assert!(matches!(run_kind, EntryKind::File { size: 5, executable: true, .. }));
    assert!(matches!(link_kind, EntryKind::Symlink { target } if target == "../../etc/passwd"));
    assert_eq!(**module_kind, EntryKind::Submodule);
    let EntryKind::Directory(inner) = sub_kind else { panic!("{sub_kind:?}") };
    assert_eq!(bench.store.tree(&commit, "./sub/").unwrap(), *inner);
    assert_eq!(bench.store.entries(inner).unwrap()[0].name, "deep.yaml");
    let about = bench.store.commit(&commit).unwrap();
    assert_eq!(
        (about.author.as_str(), about.subject.as_str()),
        ("Test <test@example.com>", "The subject in two lines")
    );
    assert!(about.date > 1_500_000_000);
}

#[tokio::test]
async fn a_path_that_leaves_the_repository_is_refused() {
    let bench = Bench::new().await;
    let commit = odd_commit(&bench);
    bench.fetch(commit).await.unwrap();
    let tree = |path: &str| bench.store.tree(&commit, path).unwrap_err();
    for path in ["..", "../x", "sub/../..", "/", "/etc", "sub/../../etc"] {
        assert!(matches!(tree(path), GitError::InvalidPath { .. }), "{path}");
    }
    assert!(matches!(tree("link"), GitError::SymlinkOnPath { .. }));
    assert!(matches!(tree("link/x"), GitError::SymlinkOnPath { .. }));
    assert!(matches!(tree("module"), GitError::SubmoduleOnPath { .. }));
    assert!(matches!(tree("a.yaml"), GitError::NotADirectory { .. }));
    assert!(matches!(tree("nope"), GitError::PathNotFound { .. }));
    assert!(matches!(tree("sub/nope"), GitError::PathNotFound { .. }));
    assert!(tree("subs").to_string().contains("does not exist at this revision, but 'sub' does; correct the path"));
}

#[tokio::test]
async fn the_id_of_a_directory_tells_whether_anything_below_changed() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("app/sub/a", Some("1")), ("other/b", Some("1"))]);
    let second = bench.commit(&[("other/b", Some("2"))]);
    let third = bench.commit(&[("app/sub/a", Some("2"))]);
    bench.store.fetch(&[first, second, third]).await.unwrap();
    let tree = |commit| bench.store.tree(&commit, "app").unwrap();
    assert_eq!(tree(first), tree(second));
    assert_ne!(tree(second), tree(third));
}

#[tokio::test]
async fn before_the_first_fetch_reads_say_so() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    assert!(bench.store.tree(&first, "").is_err());
    bench.fetch(first).await.unwrap();
    let second = bench.commit(&[("a", Some("2"))]);
    assert!(matches!(bench.store.tree(&second, ""), Err(GitError::NotFetched { .. })));
}

#[tokio::test]
async fn many_threads_read_at_once() {
    let bench = Bench::new().await;
    let files: Vec<String> = (0..50).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|path| (path.as_str(), Some("x"))).collect();
    let first = bench.commit(&files);
    bench.fetch(first).await.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(bench.store.entries(&bench.store.tree(&first, "").unwrap()).unwrap().len(), 50);
                }
            });
        }
    });
}
