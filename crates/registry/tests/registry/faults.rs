//! Servers that hang, break off, lie, or send too much: an error that says so, and everything else goes on.

use std::time::{Duration, Instant};

use futures::future::join_all;
use trueup_bed::{Chart, Fault, HelmServer, pack};
use trueup_git::GitError;
use trueup_registry::{ArchiveError, Limits, RegistryError};

use crate::bench::{IDLE, bench, bench_with, chart};

type IsIt = fn(&ArchiveError) -> bool;

fn redis() -> Chart {
    Chart::new("redis", "1.0.0")
}

#[tokio::test]
async fn a_server_that_hangs_or_breaks_off_is_an_error_until_it_mends() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis());
    let bench = bench_with(Limits { idle: IDLE, ..Limits::default() });
    let package = chart(&server.url(""), "redis");
    for path in ["index.yaml", "charts/redis-1.0.0.tgz"] {
        for fault in [Fault::Hang, Fault::Truncate(20), Fault::Stall(20)] {
            server.fault(path, Some(fault));
            let error = bench.get(&package, "*").await.unwrap_err();
            assert!(
                matches!(error, RegistryError::Repository(GitError::Unreachable { .. })),
                "{path} {fault:?}: {error}"
            );
        }
        for (status, check) in [
            (500, (|error| matches!(error, GitError::Server { .. })) as fn(&GitError) -> bool),
            (403, |error| matches!(error, GitError::Forbidden { .. })),
            (429, |error| matches!(error, GitError::Busy { .. })),
        ] {
            server.fault(path, Some(Fault::Status(status)));
            let error = bench.get(&package, "*").await.unwrap_err();
            assert!(matches!(&error, RegistryError::Repository(error) if check(error)), "{path} {status}: {error}");
            assert!(error.is_about_repository());
        }
        server.fault(path, None);
    }
    assert!(bench.get(&package, "*").await.is_ok());
}

#[tokio::test]
async fn what_takes_too_long_is_ended() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis());
    let second = Duration::from_secs(1);
    let bench = bench_with(Limits { listing_deadline: second, download_deadline: second, ..Limits::default() });
    let package = chart(&server.url(""), "redis");
    let resolved = bench.resolve(&package, "*").await.unwrap();
    server.fault("charts/redis-1.0.0.tgz", Some(Fault::Trickle));
    let error = bench.registry.fetch(&package, &resolved).await.unwrap_err();
    assert!(matches!(error, RegistryError::Repository(GitError::Deadline { seconds: 1, .. })), "{error}");
    server.fault("index.yaml", Some(Fault::Hang));
    let error = bench.resolve(&package, "*").await.unwrap_err();
    assert!(error.to_string().contains("reading index.yaml took more than 1 s"), "{error}");
    let (since, _) = (Instant::now(), server.requests());
    let waiting = join_all((0..10).map(|_| bench.registry.resolve(&package, "*", since))).await;
    assert!(waiting.iter().all(Result::is_err));
    assert_eq!(server.requests().len(), 1, "all who waited share the failure");
}

#[tokio::test]
async fn an_archive_must_have_its_digest() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis());
    server.publish(&Chart::new("nginx", "1.0.0"));
    server.serve("charts/redis-1.0.0.tgz", redis().file("evil", "").archive());
    let bench = bench();
    let package = chart(&server.url(""), "redis");
    let error = bench.get(&package, "*").await.unwrap_err();
    assert!(matches!(error, RegistryError::Digest { .. }) && !error.is_about_repository(), "{error}");
    assert!(bench.get(&chart(&server.url(""), "nginx"), "*").await.is_ok(), "the others are well");
    server.serve("charts/redis-1.0.0.tgz", redis().archive());
    assert!(bench.get(&package, "*").await.is_ok(), "nothing of it was kept");
}

#[tokio::test]
async fn sizes_have_limits() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis());
    let get = async |limits| bench_with(limits).get(&chart(&server.url(""), "redis"), "*").await.unwrap_err();
    for (limits, what) in [
        (Limits { index_bytes: 50, ..Limits::default() }, "its index.yaml exceeds the limit of 50 bytes"),
        (Limits { archive_bytes: 50, ..Limits::default() }, "the archive exceeds the limit of 50 bytes"),
        (Limits { unpacked_bytes: 10, ..Limits::default() }, "unpacked it exceeds the limit of 10 bytes"),
        (Limits { index_versions: 0, ..Limits::default() }, "more than 0 versions"),
    ] {
        let error = get(limits).await;
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_chart_is_told() {
    let server = HelmServer::start().await.unwrap();
    let bench = bench();
    let zeros = "\0".repeat(20 << 20);
    let bad: [(&str, Vec<u8>, IsIt); 4] = [
        ("bomb", pack([("bomb/a", zeros.as_str())]), |it| matches!(it, ArchiveError::Bomb { .. })),
        ("html", b"<html>".to_vec(), |it| matches!(it, ArchiveError::Malformed(_))),
        ("flat", pack([("Chart.yaml", "")]), |it| matches!(it, ArchiveError::Directory)),
        ("gone", Vec::new(), |_| false),
    ];
    for (name, archive, _) in &bad {
        server.list(&Chart::new(name, "1.0.0"), &format!("{name}.tgz"), None);
        if *name != "gone" {
            server.serve(&format!("{name}.tgz"), archive.clone());
        }
    }
    for (name, _, is_it) in &bad {
        match bench.get(&chart(&server.url(""), name), "*").await.unwrap_err() {
            RegistryError::NoArchive { location, .. } => assert_eq!(location, server.url("gone.tgz")),
            RegistryError::Archive { problem, .. } => assert!(is_it(&problem), "{name}: {problem}"),
            error => panic!("{name}: {error}"),
        }
    }
    for (url, why) in [
        ("\"\"", "no URL"),
        ("ftp://h/x", "no https://"),
        ("https://a:hunter2@h/x", "a login"),
        ("oci://h/x", "no tag"),
    ] {
        server.withdraw("flat");
        server.list(&Chart::new("flat", "1.0.0"), url, None);
        let error = bench.get(&chart(&server.url(""), "flat"), "*").await.unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
    }
    server.serve("index.yaml", "<html>login here</html>");
    let error = bench.resolve(&chart(&server.url(""), "flat"), "*").await.unwrap_err();
    assert!(matches!(error, RegistryError::Index { .. }), "{error}");
}

#[tokio::test]
async fn redirects_lead_nowhere_odd() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis());
    let bench = bench();
    let package = chart(&server.url(""), "redis");
    let resolved = bench.resolve(&package, "*").await.unwrap();
    let path = "charts/redis-1.0.0.tgz";
    for (to, why) in [
        (server.url(path), "more than 5"),
        ("ftp://h/x".to_owned(), "leaves HTTP"),
        ("http://".to_owned(), "not a URL"),
    ] {
        server.redirect(path, &to);
        let error = bench.registry.fetch(&package, &resolved).await.unwrap_err();
        assert!(
            matches!(&error, RegistryError::Repository(GitError::Redirected { reason, .. }) if reason.contains(why)),
            "{error}"
        );
    }
}
