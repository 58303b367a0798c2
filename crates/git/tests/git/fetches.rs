//! Making commits present: each once, as little as possible, whatever happened to their branches.

use futures::future::join_all;
use trueup_bed::{Asked, Deadline, Fault, until};
use trueup_git::{Access, Counters, GitError};

use crate::bench::{Bench, fsck, git, id, text, url};

fn objects(store: &std::path::Path) -> usize {
    let counts = git(store, &["count-objects", "-v"], "");
    counts.lines().find_map(|line| line.strip_prefix("in-pack: ")).unwrap().parse().unwrap()
}

fn many(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("d{}/f{number}.yaml", number % 10), format!("content: {number}\n"))).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, Option<&str>)> {
    files.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect()
}

#[tokio::test]
async fn a_commit_comes_once_and_the_next_brings_only_what_is_new() {
    let bench = Bench::new().await;
    let first = bench.commit(&borrowed(&many(300)));
    bench.fetch(first).await.unwrap();
    assert!(bench.store.has(&first));
    let before = objects(&bench.dir());
    assert!(before > 300, "{before}");
    // Nothing new, nothing asked.
    bench.repository.forget_asked();
    bench.fetch(first).await.unwrap();
    assert!(bench.repository.all_asked().is_empty());
    let second = bench.commit(&[("d3/f3.yaml", Some("content: new\n"))]);
    bench.fetch(second).await.unwrap();
    assert_eq!(bench.repository.all_asked(), [(Asked::Fetch, 1)].into());
    assert_eq!(bench.store.counters(), Counters { listings: 0, fetches: 2 });
    // A commit, the root, one directory, one file; a thin pack also repeats what its deltas need.
    let new = objects(&bench.dir()) - before;
    assert!((4..=8).contains(&new), "{new}");
    assert_eq!(text(&bench.store, second, "d3/f3.yaml").unwrap(), "content: new\n");
    assert_eq!(text(&bench.store, first, "d3/f3.yaml").unwrap(), "content: 3\n");
    fsck(&bench.dir());
}

#[tokio::test]
async fn history_is_not_fetched() {
    let bench = Bench::new().await;
    for number in 0..20 {
        bench.commit(&[("a", Some(&format!("{number}")))]);
    }
    let last = bench.commit(&[("a", Some("last"))]);
    bench.fetch(last).await.unwrap();
    assert_eq!(objects(&bench.dir()), 3);
    fsck(&bench.dir());
}

#[tokio::test]
async fn several_commits_come_together() {
    let bench = Bench::new().await;
    let ids: Vec<_> = (0..5).map(|number| bench.commit(&[("a", Some(&format!("{number}")))])).collect();
    bench.store.fetch(&ids).await.unwrap();
    assert_eq!(bench.repository.asked(Asked::Fetch), 1);
    for (number, commit) in ids.iter().enumerate() {
        assert_eq!(text(&bench.store, *commit, "a").unwrap(), number.to_string());
    }
}

#[tokio::test]
async fn a_forced_push_to_another_history_is_a_new_tip_like_any() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("old"))]);
    bench.fetch(first).await.unwrap();
    let other = bench.repository.commit_to("elsewhere", &[("b", Some("new"))], "unrelated").unwrap();
    bench.repository.branch("main", &other).unwrap();
    bench.repository.delete_branch("elsewhere").unwrap();
    let tip = bench.resolve("main").await.unwrap();
    assert_eq!(tip, id(&other));
    bench.fetch(tip).await.unwrap();
    assert_eq!(text(&bench.store, tip, "b").unwrap(), "new");
    assert_eq!(text(&bench.store, first, "a").unwrap(), "old");
    fsck(&bench.dir());
}

#[tokio::test]
async fn a_commit_that_no_ref_has_can_be_had() {
    let bench = Bench::new().await;
    bench.commit(&[("a", Some("1"))]);
    let lost = id(&bench.repository.commit_to("gone", &[("b", Some("lost"))], "lost").unwrap());
    bench.repository.delete_branch("gone").unwrap();
    let on_disk =
        bench.stores.store(&url(&format!("file://{}", bench.repository.dir().display())), &Access::default()).unwrap();
    for store in [&bench.store, &on_disk] {
        store.fetch(&[lost]).await.unwrap();
        assert_eq!(text(store, lost, "b").unwrap(), "lost");
    }
    // One in the middle of a history, too.
    let middle = bench.commit(&[("a", Some("2"))]);
    bench.commit(&[("a", Some("3"))]);
    bench.fetch(middle).await.unwrap();
    assert_eq!(text(&bench.store, middle, "a").unwrap(), "2");
}

#[tokio::test]
async fn a_commit_that_does_not_exist_is_searched_for_once() {
    let bench = Bench::new().await;
    let there = bench.commit(&[("a", Some("1"))]);
    let missing = id("0123456789abcdef0123456789abcdef01234567");
    let error = bench.store.fetch(&[missing, there]).await.unwrap_err();
    assert!(matches!(&error, GitError::CommitNotFound { commit, .. } if *commit == missing), "{error}");
    // What can be had is had all the same, and what the search brought is gone again.
    assert!(bench.store.has(&there));
    assert!(!bench.store.has(&missing));
    assert_eq!(text(&bench.store, there, "a").unwrap(), "1");
    assert!(matches!(bench.store.tree(&missing, ""), Err(GitError::NotFetched { .. })));
    let packs = bench.packs();
    bench.repository.forget_asked();
    assert_eq!(bench.fetch(missing).await.unwrap_err(), error);
    assert_eq!(bench.repository.asked(Asked::LsRefs), 0);
    assert_eq!(bench.packs(), packs);
    // A tree is no commit.
    let tree = id(&bench.git(&["rev-parse", "main^{tree}"]));
    let error = bench.fetch(tree).await.unwrap_err();
    assert!(matches!(error, GitError::NotACommit { .. }), "{error}");
}

#[tokio::test]
async fn whoever_waits_for_the_same_fetch_starts_none() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    let fetches = (0..20).map(|_| bench.fetch(first));
    for outcome in join_all(fetches).await {
        outcome.unwrap();
    }
    assert_eq!(bench.store.counters().fetches, 1);
    assert_eq!(bench.repository.asked(Asked::Fetch), 1);
    // A failure is shared as well.
    bench.repository.misbehave_at(Asked::Fetch, Fault::Status(500));
    let second = bench.commit(&[("a", Some("2"))]);
    for outcome in join_all((0..20).map(|_| bench.fetch(second))).await {
        assert!(matches!(outcome, Err(GitError::Server { .. })), "{outcome:?}");
    }
    assert_eq!(bench.store.counters().fetches, 2);
    // But not kept: the next one asks again.
    bench.repository.behave();
    bench.fetch(second).await.unwrap();
}

#[tokio::test]
async fn a_fetch_that_nobody_waits_for_any_more_leaves_the_store_usable() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    bench.repository.misbehave_at(Asked::Fetch, Fault::Stall(20));
    {
        let fetch = bench.fetch(first);
        tokio::pin!(fetch);
        let asked = until("the fetch is under way", Deadline::SHORT, async || {
            assert!(futures::poll!(fetch.as_mut()).is_pending());
            if bench.repository.asked(Asked::Fetch) == 1 { Ok(()) } else { Err("not asked yet") }
        });
        asked.await.unwrap();
    }
    bench.repository.behave();
    bench.fetch(first).await.unwrap();
    assert_eq!(text(&bench.store, first, "a").unwrap(), "1");
}

#[tokio::test]
async fn a_second_process_with_the_same_cache_finds_what_is_there() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    bench.fetch(first).await.unwrap();
    let again = crate::bench::stores(bench.cache.path(), trueup_git::Limits::default());
    let store = again.store(&url(bench.repository.url()), &Access::default()).unwrap();
    assert!(store.has(&first));
    store.fetch(&[first]).await.unwrap();
    assert_eq!(text(&store, first, "a").unwrap(), "1");
    assert_eq!(again.counters(), Counters::default());
}
