//! What keeps a store small and whole: rewrites, sweeps, forgetting, and starting over.

use std::fs;
use std::path::Path;

use trueup_bed::{Asked, Deadline, until};
use trueup_git::{Access, CommitId, GitError, Limits};

use crate::bench::{Bench, fsck, id, packs, store_dirs, text, url};

async fn commits(bench: &Bench, numbers: std::ops::Range<usize>) -> Vec<CommitId> {
    let mut ids = Vec::new();
    for number in numbers {
        let commit = bench.commit(&[("a", Some(&number.to_string())), (&format!("f{number}"), Some("x"))]);
        bench.fetch(commit).await.unwrap();
        ids.push(commit);
    }
    ids
}

async fn few_packs(store: &Path, most: usize) {
    let rewritten = until("the packs are rewritten", Deadline::SHORT, async || {
        let count = packs(store);
        if count <= most { Ok(()) } else { Err(count) }
    });
    rewritten.await.unwrap();
}

#[tokio::test]
async fn packs_that_pile_up_become_one() {
    let bench = Bench::limited(Limits { packs: 4, ..Limits::default() }).await;
    let mut ids = commits(&bench, 0..4).await;
    assert_eq!(bench.packs(), 4);
    // A reader that has packs open reads on.
    assert_eq!(text(&bench.store, ids[0], "a").unwrap(), "0");
    ids.extend(commits(&bench, 4..5).await);
    few_packs(&bench.dir(), 1).await;
    for (number, commit) in ids.iter().enumerate() {
        assert_eq!(text(&bench.store, *commit, "a").unwrap(), number.to_string());
    }
    fsck(&bench.dir());
    // The next ones are fetched as before.
    ids.extend(commits(&bench, 5..12).await);
    few_packs(&bench.dir(), 4).await;
    for (number, commit) in ids.iter().enumerate() {
        assert_eq!(text(&bench.store, *commit, "a").unwrap(), number.to_string());
    }
    fsck(&bench.dir());
}

#[tokio::test]
async fn what_forgotten_commits_leave_behind_goes_when_it_is_large() {
    let bench = Bench::limited(Limits { kept_commits: 2, store_bytes: 10_000, ..Limits::default() }).await;
    for number in 0..10_u32 {
        let content: String =
            (0..500).map(|line| format!("{:08x}\n", (line * 7919 + number).wrapping_mul(2_654_435_761))).collect();
        let commit = bench.commit(&[("a", Some(&content))]);
        bench.fetch(commit).await.unwrap();
        assert_eq!(text(&bench.store, commit, "a").unwrap(), content);
    }
    let small = until("the store is small again", Deadline::SHORT, async || {
        let bytes: u64 = fs::read_dir(bench.dir().join("objects/pack"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().map_or(0, |about| about.len()))
            .sum();
        if bytes < 25_000 { Ok(()) } else { Err(bytes) }
    });
    small.await.unwrap();
}

#[tokio::test]
async fn the_commits_that_nobody_used_for_longest_are_forgotten() {
    let bench = Bench::limited(Limits { kept_commits: 3, ..Limits::default() }).await;
    let ids = commits(&bench, 0..3).await;
    // Use keeps.
    bench.fetch(ids[0]).await.unwrap();
    let last = commits(&bench, 3..4).await[0];
    let kept: Vec<bool> = ids.iter().map(|id| bench.store.has(id)).collect();
    assert_eq!(kept, [true, false, true]);
    assert!(bench.store.has(&last));
    bench.fetch(ids[1]).await.unwrap();
    assert_eq!(text(&bench.store, ids[1], "a").unwrap(), "1");
}

#[tokio::test]
async fn what_a_killed_fetch_leaves_is_swept_before_the_next() {
    let bench = Bench::new().await;
    let first = commits(&bench, 0..1).await[0];
    let dir = bench.dir();
    let leftovers = [
        "objects/pack/pack_git2_a1b2c3",
        "objects/pack/tmp_idx_x",
        "objects/pack/pack-0123456789012345678901234567890123456789.pack",
        "objects/pack/pack-9876543210987654321098765432109876543210.idx",
        "shallow.lock",
        "config.lock",
        "HEAD.lock",
        &format!("refs/trueup/{first}.lock"),
    ];
    for leftover in leftovers {
        fs::write(dir.join(leftover), "half").unwrap();
    }
    let second = commits(&bench, 1..2).await[0];
    for leftover in leftovers {
        assert!(!dir.join(leftover).exists(), "{leftover}");
    }
    for (commit, content) in [(first, "0"), (second, "1")] {
        assert_eq!(text(&bench.store, commit, "a").unwrap(), content);
    }
    fsck(&dir);
}

#[tokio::test]
async fn a_store_that_was_half_made_is_made_anew() {
    let bench = Bench::new().await;
    let first = commits(&bench, 0..1).await[0];
    let dir = bench.dir();
    let second = bench.commit(&[("a", Some("new"))]);
    let damage: [&dyn Fn(); 5] = [
        &|| fs::write(dir.join("HEAD"), "").unwrap(),
        &|| fs::write(dir.join("config"), "[core").unwrap(),
        &|| fs::remove_dir_all(dir.join("objects")).unwrap(),
        &|| fs::remove_file(dir.join("HEAD")).unwrap(),
        &|| fs::remove_dir_all(&dir).unwrap(),
    ];
    for (number, damage) in damage.iter().enumerate() {
        damage();
        let next = bench.commit(&[("b", Some(&number.to_string()))]);
        bench.store.fetch(&[next]).await.unwrap();
        assert_eq!(text(&bench.store, next, "b").unwrap(), number.to_string());
        for commit in [first, second] {
            bench.store.fetch(&[commit]).await.unwrap();
            text(&bench.store, commit, "a").unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_pack_is_noticed_by_a_reader_and_mended_by_the_next_fetch() {
    let bench = Bench::new().await;
    let first = commits(&bench, 0..1).await[0];
    for entry in fs::read_dir(bench.dir().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        let _ = fs::remove_file(&path);
    }
    assert!(bench.store.has(&first), "nobody has noticed yet");
    let error = text(&bench.store, first, "a").unwrap_err();
    assert!(matches!(error, GitError::Store { .. }), "{error}");
    bench.fetch(first).await.unwrap();
    assert_eq!(text(&bench.store, first, "a").unwrap(), "0");
    fsck(&bench.dir());
    // And that was that: nothing is doubted any more.
    bench.repository.forget_asked();
    bench.fetch(first).await.unwrap();
    assert!(bench.repository.all_asked().is_empty());
}

#[tokio::test]
async fn a_cache_that_vanishes_costs_a_fetch() {
    let bench = Bench::new().await;
    let first = commits(&bench, 0..1).await[0];
    assert_eq!(text(&bench.store, first, "a").unwrap(), "0");
    for dir in store_dirs(bench.cache.path()) {
        fs::remove_dir_all(dir).unwrap();
    }
    assert!(!bench.store.has(&first));
    bench.fetch(first).await.unwrap();
    assert_eq!(text(&bench.store, first, "a").unwrap(), "0");
}

#[tokio::test]
async fn repositories_that_nobody_uses_any_more_are_let_go() {
    let bench = Bench::new().await;
    let first = commits(&bench, 0..1).await[0];
    let other = bench.server.create("other").unwrap();
    let commit = id(&other.commit(&[("b", Some("1"))], "x").unwrap());
    let other_url = url(other.url());
    let store = bench.stores.store(&other_url, &Access::default()).unwrap();
    store.fetch(&[commit]).await.unwrap();
    assert_eq!(store_dirs(bench.cache.path()).len(), 2);
    // Held by somebody, it stays.
    bench.stores.keep_only(&[(url(bench.repository.url()), Access::default())]);
    assert_eq!(store_dirs(bench.cache.path()).len(), 2);
    drop(store);
    bench.stores.keep_only(&[(url(bench.repository.url()), Access::default())]);
    assert_eq!(store_dirs(bench.cache.path()).len(), 1);
    assert!(bench.store.has(&first));
    // What a process left that ended while it deleted, and one that comes in its way.
    let leftover = bench.dir().with_extension("gone");
    fs::create_dir_all(leftover.join("objects")).unwrap();
    bench.stores.keep_only(&[(url(bench.repository.url()), Access::default())]);
    assert!(!leftover.exists() && bench.store.has(&first));
    let store = bench.stores.store(&other_url, &Access::default()).unwrap();
    assert!(!store.has(&commit));
    store.fetch(&[commit]).await.unwrap();
    assert_eq!(text(&store, commit, "b").unwrap(), "1");
}

#[tokio::test]
async fn with_and_without_its_ending_a_url_is_its_own_repository() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    // This server knows the repository by one name only.
    let without =
        bench.stores.store(&url(bench.repository.url().strip_suffix(".git").unwrap()), &Access::default()).unwrap();
    assert!(crate::bench::resolve(&without, "main").await.is_err());
    assert_eq!(bench.resolve("main").await, Ok(first));
    assert!(bench.repository.asked(Asked::LsRefs) == 1);
}

#[tokio::test]
async fn nobody_else_may_look_into_the_stores() {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let bench = Bench::new().await;
    commits(&bench, 0..1).await;
    let (cache, store, salt) = (bench.cache.path(), bench.dir(), bench.cache.path().join("salt"));
    assert_eq!((mode(cache), mode(&store), mode(&salt)), (0o700, 0o700, 0o600));
    // As an earlier version left them.
    open(cache, 0o755);
    open(&store, 0o755);
    open(&salt, 0o644);
    let stores = crate::bench::stores(cache, Limits::default());
    let again = stores.store(&url(bench.repository.url()), &Access::default()).unwrap();
    again.fetch(&[bench.commit(&[("b", Some("b"))])]).await.unwrap();
    assert_eq!((mode(cache), mode(&store), mode(&salt)), (0o700, 0o700, 0o600));
}
