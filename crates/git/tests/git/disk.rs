//! Repositories by `file://`: read where they are, but never out of the cache, where others' repositories are.

use std::os::unix::fs::symlink;
use std::path::Path;

use trueup_git::{Access, CommitId, GitError};

use crate::bench::{Bench, fsck, git, resolve, text, url};

async fn outcome(bench: &Bench, path: &Path, commit: CommitId) -> Vec<Result<(), GitError>> {
    match bench.stores.store(&url(&format!("file://{}", path.display())), &Access::default()) {
        Ok(store) => vec![resolve(&store, "main").await.map(drop), store.fetch(&[commit]).await],
        Err(error) => vec![Err(error)],
    }
}

#[tokio::test]
async fn the_cache_is_out_of_bounds_by_whatever_way() {
    let bench = Bench::new().await;
    let secret = bench.commit(&[("a", Some("secret"))]);
    bench.fetch(secret).await.unwrap();
    let store = bench.dir();
    // A branch, as far as the store has something to read.
    git(&store, &["update-ref", "refs/heads/main", &secret.to_string()], "");
    let outside = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = outside.path().join(name);
        git(outside.path(), &["init", "--quiet", "--bare", "--initial-branch=main", name], "");
        std::fs::write(path.join("refs/heads/main"), format!("{secret}\n")).unwrap();
        path
    };
    symlink(&store, outside.path().join("link")).unwrap();
    let alternates = make("alternates");
    std::fs::write(alternates.join("objects/info/alternates"), format!("{}\n", store.join("objects").display()))
        .unwrap();
    let twice = make("twice");
    std::fs::write(twice.join("objects/info/alternates"), format!("{}\n", alternates.join("objects").display()))
        .unwrap();
    let objects = make("objects");
    std::fs::remove_dir_all(objects.join("objects")).unwrap();
    symlink(store.join("objects"), objects.join("objects")).unwrap();
    let packs = make("packs");
    std::fs::remove_dir_all(packs.join("objects/pack")).unwrap();
    symlink(store.join("objects/pack"), packs.join("objects/pack")).unwrap();
    let files = make("files");
    for entry in std::fs::read_dir(store.join("objects/pack")).unwrap() {
        let entry = entry.unwrap();
        symlink(entry.path(), files.join("objects/pack").join(entry.file_name())).unwrap();
    }
    let worktree = outside.path().join("worktree");
    std::fs::create_dir(&worktree).unwrap();
    std::fs::write(worktree.join(".git"), format!("gitdir: {}\n", store.display())).unwrap();
    let ways = [store.clone(), outside.path().join("link"), alternates, twice, objects, packs, files, worktree];
    for way in ways {
        for outcome in outcome(&bench, &way, secret).await {
            let error = outcome.unwrap_err();
            assert!(matches!(error, GitError::InsideCache { .. }), "{}: {error}", way.display());
        }
    }
}

#[tokio::test]
async fn a_repository_is_copied_without_its_history() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1")), ("dir/b", Some("1"))]);
    let second = bench.commit(&[("a", Some("2"))]);
    let store =
        bench.stores.store(&url(&format!("file://{}", bench.repository.dir().display())), &Access::default()).unwrap();
    store.fetch(&[second]).await.unwrap();
    assert_eq!(text(&store, second, "a").unwrap(), "2");
    assert!(matches!(store.tree(&first, ""), Err(GitError::NotFetched { .. })));
    store.fetch(&[first]).await.unwrap();
    assert_eq!(text(&store, first, "dir/b").unwrap(), "1");
    fsck(&bench.dir());
    assert!(bench.repository.all_asked().is_empty());
    // A working copy is a repository as well.
    let copies = tempfile::tempdir().unwrap();
    git(copies.path(), &["clone", "--quiet", &bench.repository.dir().display().to_string(), "copy"], "");
    let copy = bench
        .stores
        .store(&url(&format!("file://{}", copies.path().join("copy").display())), &Access::default())
        .unwrap();
    assert_eq!(resolve(&copy, "main").await, Ok(second));
}

#[tokio::test]
async fn what_is_no_repository_is_said_to_be_none() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let any: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    for path in ["", "missing", "file"] {
        for outcome in outcome(&bench, &dir.path().join(path), any).await {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, GitError::RepositoryNotFound { .. } | GitError::Unreachable { .. }),
                "{path}: {error}"
            );
        }
    }
    // It appears, and is found.
    git(dir.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "missing"], "");
    let store = bench
        .stores
        .store(&url(&format!("file://{}", dir.path().join("missing").display())), &Access::default())
        .unwrap();
    assert!(matches!(resolve(&store, "main").await, Err(GitError::RevisionNotFound { .. })));
}
