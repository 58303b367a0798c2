//! Credentials are used, and appear nowhere else.

use std::path::Path;
use std::sync::Arc;

use trueup_bed::{Asked, Deadline, Fault, until};
use trueup_git::{Access, GitError, Limits, Store};

use crate::bench::{Bench, fetch_children, resolve, store_dirs, text, url};

const PASSWORD: &str = "hunter2%41:@/?";
const ENCODED: &str = "hunter2%2541%3A%40%2F%3F";

fn store(bench: &Bench, login: &str) -> Arc<Store> {
    bench
        .stores
        .store(&url(&bench.repository.url().replace("http://", &format!("http://{login}@"))), &Access::default())
        .unwrap()
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect()
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test]
async fn a_login_is_sent_with_every_request_and_shown_in_none() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    bench.repository.require_login("bot", PASSWORD);
    let right = store(&bench, &format!("bot:{ENCODED}"));
    assert_eq!(resolve(&right, "main").await, Ok(first));
    right.fetch(&[first]).await.unwrap();
    assert_eq!(text(&right, first, "a").unwrap(), "1");
    // Whoever has no login does not find what another one fetched.
    for (wrong, needle) in [
        (Arc::clone(&bench.store), "login"),
        (store(&bench, "bot:hunter3"), "hunter3"),
        (store(&bench, "hunter4"), "hunter4"),
    ] {
        let errors = [resolve(&wrong, "main").await.unwrap_err(), wrong.fetch(&[first]).await.unwrap_err()];
        for error in errors {
            assert!(matches!(error, GitError::Unauthorized { .. }), "{error}");
            assert!(needle == "login" || !format!("{error} {error:?} {wrong:?}").contains("hunter"), "{error:?}");
        }
        assert!(!wrong.has(&first));
        assert!(wrong.tree(&first, "").is_err());
    }
    // Nothing of it on disk, and not in the names of directories.
    for file in files(bench.cache.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!contains(&bytes, "hunter") && !file.display().to_string().contains("hunter"), "{}", file.display());
    }
    assert_eq!(store_dirs(bench.cache.path()).len(), 1, "only a fetch that gets as far as its process makes a store");
}

#[tokio::test]
async fn the_fetch_process_shows_no_credential_to_the_machine() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    bench.repository.require_login("bot", PASSWORD);
    let right = store(&bench, &format!("bot:{ENCODED}"));
    resolve(&right, "main").await.unwrap();
    bench.repository.misbehave_at(Asked::Fetch, Fault::Hang);
    let wanted = [first];
    let mut fetch = Box::pin(right.fetch(&wanted));
    let asked = until("the process asks the server", Deadline::SHORT, async || {
        assert!(futures::poll!(fetch.as_mut()).is_pending());
        if bench.repository.asked(Asked::Fetch) == 1 { Ok(()) } else { Err("not yet") }
    });
    asked.await.unwrap();
    let children = fetch_children();
    for process in &children {
        for place in ["cmdline", "environ"] {
            assert!(!contains(&std::fs::read(process.join(place)).unwrap_or_default(), "hunter"), "{place}");
        }
    }
    assert!(!children.is_empty());
}

#[tokio::test]
async fn errors_of_every_kind_hide_the_login() {
    let short = std::time::Duration::from_millis(500);
    let bench = Bench::limited(Limits { listing_deadline: short, fetch_deadline: short, ..Limits::default() }).await;
    let first = bench.commit(&[("a", Some("1"))]);
    let login = store(&bench, &format!("bot:{ENCODED}"));
    let faults = [
        Fault::Hang,
        Fault::Truncate(10),
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(500),
    ];
    for at in [Asked::Discovery, Asked::LsRefs, Asked::Fetch] {
        for fault in faults {
            bench.repository.misbehave_at(at, fault);
            let outcome =
                if at == Asked::Fetch { login.fetch(&[first]).await } else { resolve(&login, "main").await.map(drop) };
            let error = outcome.unwrap_err();
            let told = format!("{error} {error:?} {}", serde_json::to_string(&error).unwrap());
            assert!(!told.contains("hunter") && !told.contains("bot:"), "{told}");
        }
    }
}
