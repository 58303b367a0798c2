//! Servers that hang, break off and refuse: a clear error in time, no process left, and all well when the server is.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use trueup_bed::{Asked, Deadline, Fault, until};
use trueup_git::{Access, GitError, Limits};

use crate::bench::{Bench, fetch_exe, fetch_request, fsck, id, store_dirs, text, url};

const SHORT: Duration = Duration::from_millis(700);

/// The fetch processes that write to a cache directory: those that have the lock of a store.
fn fetch_processes(bench: &Bench) -> Vec<String> {
    let locks = store_dirs(bench.cache.path()).into_iter().map(|dir| dir.join("trueup.lock"));
    let files: Vec<String> =
        locks.filter_map(|lock| Some(format!(":{}", std::fs::metadata(lock).ok()?.ino()))).collect();
    // "1: FLOCK ADVISORY WRITE 4711 00:1b:815 0 EOF"
    let held = std::fs::read_to_string("/proc/locks").unwrap();
    let held = held.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    held.filter(|words| words.len() == 8 && files.iter().any(|file| words[5].ends_with(file)))
        .map(|words| words[4].to_owned())
        .collect()
}

async fn no_process_is_left(bench: &Bench) {
    let gone = until("the fetch process is gone", Deadline::SHORT, async || {
        let left = fetch_processes(bench);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    gone.await.unwrap();
}

fn content() -> String {
    // Hard to compress, so that a cut is in the middle of the pack.
    (0..2000_u32).map(|number| format!("{:08x}\n", number.wrapping_mul(2_654_435_761))).collect()
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_at_the_deadline() {
    let bench = Bench::limited(Limits { listing_deadline: SHORT, fetch_deadline: SHORT, ..Limits::default() }).await;
    let first = bench.commit(&[("a", Some(&content()))]);
    for (at, fault) in
        [(Asked::Discovery, Fault::Hang), (Asked::LsRefs, Fault::Hang), (Asked::LsRefs, Fault::Stall(10))]
    {
        bench.repository.misbehave_at(at, fault);
        let error = bench.resolve("main").await.unwrap_err();
        assert!(matches!(&error, GitError::Deadline { doing, .. } if doing == "listing"), "{at:?}: {error}");
    }
    // Only the fetch is short: the first request must not meet its own deadline on a busy machine.
    let hurried = crate::bench::stores(bench.cache.path(), Limits { fetch_deadline: SHORT, ..Limits::default() });
    let store = hurried.store(&url(bench.repository.url()), &Access::default()).unwrap();
    for fault in [Fault::Hang, Fault::Stall(0), Fault::Stall(2000)] {
        bench.repository.misbehave_at(Asked::Fetch, fault);
        let started = Instant::now();
        let error = store.fetch(&[first]).await.unwrap_err();
        assert!(matches!(&error, GitError::Deadline { doing, .. } if doing == "fetch"), "{fault:?}: {error}");
        assert!(started.elapsed() < Deadline::SHORT);
        no_process_is_left(&bench).await;
        assert!(!store.has(&first));
    }
    bench.repository.behave();
    let roomy = crate::bench::stores(bench.cache.path(), Limits::default());
    let store = roomy.store(&url(bench.repository.url()), &Access::default()).unwrap();
    store.fetch(&[first]).await.unwrap();
    assert_eq!(text(&store, first, "a").unwrap(), content());
    fsck(&bench.dir());
    assert_eq!(bench.packs(), 1);
    let files = std::fs::read_dir(bench.dir().join("objects/pack")).unwrap().count();
    assert!(files <= 3, "what killed fetches leave is swept: {files}");
}

#[tokio::test]
async fn a_server_that_says_nothing_for_long_is_given_up_before_the_deadline() {
    let bench = Bench::limited(Limits { idle: SHORT, ..Limits::default() }).await;
    let first = bench.commit(&[("a", Some(&content()))]);
    bench.repository.misbehave_at(Asked::Fetch, Fault::Stall(2000));
    let error = bench.fetch(first).await.unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { detail, .. } if detail.contains("no answer in time")), "{error}");
    bench.repository.misbehave_at(Asked::LsRefs, Fault::Hang);
    let error = bench.resolve("main").await.unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_leaves_nothing() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some(&content()))]);
    for bytes in [0, 3, 10, 30] {
        for at in [Asked::Discovery, Asked::LsRefs] {
            bench.repository.misbehave_at(at, Fault::Truncate(bytes));
            let error = bench.resolve("main").await.unwrap_err();
            assert!(
                matches!(error, GitError::Protocol { .. } | GitError::Unreachable { .. }),
                "{at:?} {bytes}: {error}"
            );
        }
    }
    for bytes in [0, 3, 20, 60, 500, 5000] {
        bench.repository.misbehave_at(Asked::Fetch, Fault::Truncate(bytes));
        let error = bench.fetch(first).await.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. } | GitError::Unreachable { .. }), "{bytes}: {error}");
        assert!(!bench.store.has(&first));
        assert_eq!(bench.packs(), 0);
    }
    bench.repository.behave();
    bench.fetch(first).await.unwrap();
    assert_eq!(text(&bench.store, first, "a").unwrap(), content());
    fsck(&bench.dir());
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    for at in [Asked::Discovery, Asked::LsRefs, Asked::Fetch] {
        for (code, words) in [
            (401, "login"),
            (403, "allowed"),
            (404, "does not exist"),
            (410, "does not exist"),
            (429, "asked too much"),
            (500, "500"),
            (503, "503"),
        ] {
            // What the server can do is asked again after each failure.
            bench.repository.misbehave_at(at, Fault::Status(code));
            let outcome =
                if at == Asked::Fetch { bench.fetch(first).await } else { bench.resolve("main").await.map(drop) };
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains(words), "{at:?} {code}: {error}");
            assert!(error.to_string().contains(bench.repository.url()), "{error}");
            assert!(error.is_about_repository(), "{error}");
        }
    }
    let nobody = bench.stores.store(&url("http://127.0.0.1:1/a.git"), &Access::default()).unwrap();
    let error = crate::bench::resolve(&nobody, "main").await.unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "the cause is told: {error}");
}

#[tokio::test]
async fn one_broken_repository_is_one_broken_repository() {
    let bench = Bench::limited(Limits { fetch_deadline: SHORT * 10, fetches: 2, ..Limits::default() }).await;
    let broken = bench.commit(&[("a", Some("1"))]);
    let whole = bench.server.create("whole").unwrap();
    let commit = id(&whole.commit(&[("b", Some("2"))], "x").unwrap());
    let other = bench.stores.store(&url(whole.url()), &Access::default()).unwrap();
    bench.repository.misbehave_at(Asked::Fetch, Fault::Hang);
    let (stuck, well) = tokio::join!(async { tokio::time::timeout(SHORT, bench.fetch(broken)).await }, async {
        other.fetch(&[commit]).await
    });
    assert!(stuck.is_err());
    well.unwrap();
    assert_eq!(text(&other, commit, "b").unwrap(), "2");
}

#[tokio::test]
async fn no_more_fetches_run_at_a_time_than_allowed() {
    let bench = Bench::limited(Limits { fetches: 2, ..Limits::default() }).await;
    let repositories: Vec<_> = (0..5).map(|number| bench.server.create(&format!("r{number}")).unwrap()).collect();
    let stores: Vec<_> = repositories
        .iter()
        .map(|repository| bench.stores.store(&url(repository.url()), &Access::default()).unwrap())
        .collect();
    let commits: Vec<_> =
        repositories.iter().map(|repository| id(&repository.commit(&[("a", Some("1"))], "x").unwrap())).collect();
    for repository in &repositories {
        repository.misbehave_at(Asked::Fetch, Fault::Hang);
    }
    let wanted: Vec<_> = commits.iter().map(|commit| [*commit]).collect();
    let mut all = Box::pin(join_all(stores.iter().zip(&wanted).map(|(store, commit)| store.fetch(commit))));
    let asked = || repositories.iter().map(|repository| repository.asked(Asked::Fetch)).sum::<usize>();
    let two = until("two fetches have begun", Deadline::SHORT, async || {
        assert!(futures::poll!(all.as_mut()).is_pending());
        if asked() == 2 { Ok(()) } else { Err(asked()) }
    });
    two.await.unwrap();
    let discovered = || repositories.iter().map(|repository| repository.asked(Asked::Discovery)).sum::<usize>();
    assert_eq!((asked(), fetch_processes(&bench).len()), (2, 2), "{} discovered", discovered());
}

#[tokio::test]
async fn the_fetch_process_ends_with_its_parent() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    bench.repository.misbehave_at(Asked::Fetch, Fault::Hang);
    let request = fetch_request(bench.repository.url(), &Access::default(), first, bench.cache.path());
    let mut child = tokio::process::Command::new(fetch_exe())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = format!("{request}\n");
    tokio::io::AsyncWriteExt::write_all(&mut stdin, line.as_bytes()).await.unwrap();
    let asked = until("the process asks the server", Deadline::SHORT, async || {
        assert_eq!(child.try_wait().unwrap(), None);
        if bench.repository.asked(Asked::Fetch) == 1 { Ok(()) } else { Err("not yet") }
    });
    asked.await.unwrap();
    // The system closes the pipe of a parent that dies, whatever killed it.
    drop(stdin);
    let status = tokio::time::timeout(Deadline::SHORT, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
}
