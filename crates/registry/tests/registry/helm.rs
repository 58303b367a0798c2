//! Helm repositories that do what they should.

use std::time::Instant;

use futures::future::join_all;
use trueup_bed::{Chart, HelmServer};
use trueup_registry::{Counters, Limits, RegistryError};

use crate::bench::{bench, chart, open, text};

fn redis(version: &str) -> Chart {
    Chart::new("redis", version).file("templates/a.yaml", &format!("version: {version}"))
}

#[tokio::test]
async fn a_chart_is_resolved_and_fetched_once() {
    let server = HelmServer::start().await.unwrap();
    for version in ["1.0.0", "1.2.0", "2.0.0-rc.1", "0.1.0"] {
        server.publish(&redis(version));
    }
    let bench = bench();
    let package = chart(&server.url(""), "redis");
    let since = Instant::now();
    for (wanted, version) in
        [("", "1.2.0"), ("1.0", "1.0.0"), ("~0", "0.1.0"), (">1.2.0-0", "2.0.0-rc.1"), ("1.2.0", "1.2.0")]
    {
        let resolved = bench.registry.resolve(&package, wanted, since).await.unwrap();
        assert_eq!(resolved.version, version, "{wanted}");
    }
    assert_eq!(bench.registry.counters(), Counters { requests: 1, downloads: 0 });
    let resolved = bench.registry.resolve(&package, "1.x", since).await.unwrap();
    let fetched = join_all((0..20).map(|_| bench.registry.fetch(&package, &resolved))).await;
    for archive in &fetched {
        let archive = archive.as_ref().unwrap();
        assert_eq!(text(archive, "templates/a.yaml"), "version: 1.2.0");
        assert!(archive.files.contains_key("Chart.yaml") && archive.files.len() == 2);
        assert!(archive.digest.starts_with(resolved.digest.as_deref().unwrap()), "{}", archive.digest);
    }
    assert_eq!(bench.registry.counters(), Counters { requests: 2, downloads: 1 });
    assert!(server.requests().iter().all(|request| request.authorization.is_none()));
}

#[tokio::test]
async fn an_index_is_read_again_only_if_it_has_changed() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis("1.0.0"));
    let bench = bench();
    let package = chart(&server.url(""), "redis");
    let statuses = || server.requests().iter().map(|request| request.status).collect::<Vec<_>>();
    for _ in 0..2 {
        assert_eq!(bench.resolve(&package, "*").await.unwrap().version, "1.0.0");
    }
    assert_eq!(statuses(), [200, 304]);
    server.publish(&redis("1.1.0"));
    assert_eq!(bench.resolve(&package, "*").await.unwrap().version, "1.1.0");
    assert_eq!(statuses(), [200]);
    let since = Instant::now();
    let other = chart(&server.url(""), "nginx");
    let asked = join_all((0..20).map(|_| bench.registry.resolve(&package, "*", since))).await;
    assert!(asked.iter().all(Result::is_ok));
    assert!(bench.registry.resolve(&other, "*", since).await.is_err(), "the same index serves all charts");
    assert_eq!(statuses(), [304]);
}

#[tokio::test]
async fn archives_survive_a_restart_and_not_their_damage() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis("1.0.0"));
    let bench = bench();
    let package = chart(&server.url(""), "redis");
    let first = bench.get(&package, "*").await.unwrap();
    let again = |expected: u64| {
        let (dir, package, first) = (bench.dir.path(), &package, &first);
        async move {
            let registry = open(dir, Limits::default());
            let resolved = registry.resolve(package, "*", Instant::now()).await.unwrap();
            assert_eq!(registry.fetch(package, &resolved).await.unwrap(), *first);
            assert_eq!(registry.counters().downloads, expected);
            registry
        }
    };
    again(0).await;
    let scopes = std::fs::read_dir(bench.dir.path().join("cache")).unwrap();
    let scope = scopes.flatten().find(|entry| entry.path().is_dir()).unwrap().path();
    let cached: Vec<_> = std::fs::read_dir(&scope).unwrap().flatten().collect();
    assert_eq!(cached.len(), 1);
    std::fs::write(cached[0].path(), "damaged").unwrap();
    let registry = again(1).await;
    registry.keep_only(&[chart(&server.url(""), "nginx")]);
    assert!(scope.exists(), "it is the same repository");
    registry.keep_only(&[]);
    assert!(!scope.exists());
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis("1.0.0"));
    let bench = bench();
    let get = async |name: &str, wanted: &str| bench.get(&chart(&server.url(""), name), wanted).await.unwrap_err();
    let error = get("reddis", "*").await;
    assert!(error.to_string().contains("no chart 'reddis' (did you mean redis?)"), "{error}");
    let error = get("redis", "2.x").await;
    assert!(error.to_string().contains("no version '2.x' (the newest is 1.0.0)"), "{error}");
    assert!(matches!(get("redis", "main").await, RegistryError::InvalidVersion { .. }));
    let elsewhere = bench.get(&chart(&server.url("nowhere"), "redis"), "*").await.unwrap_err();
    assert!(matches!(&elsewhere, RegistryError::NoIndex { .. }) && elsewhere.is_about_repository(), "{elsewhere}");
}

#[tokio::test]
async fn without_a_digest_a_chart_is_still_fetched_once() {
    let server = HelmServer::start().await.unwrap();
    let old = redis("1.0.0");
    server.serve("old.tgz", old.archive());
    server.list(&old, "/old.tgz", None);
    let bench = bench();
    let package = chart(&server.url("stable").replace("stable", ""), "redis");
    for _ in 0..3 {
        assert_eq!(text(&bench.get(&package, "*").await.unwrap(), "templates/a.yaml"), "version: 1.0.0");
    }
    assert_eq!(bench.registry.counters().downloads, 1);
}

#[tokio::test]
async fn a_version_that_was_replaced_is_looked_up_again() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&redis("1.0.0"));
    let bench = bench();
    let package = chart(&server.url(""), "redis");
    let resolved = bench.resolve(&package, "*").await.unwrap();
    server.withdraw("redis");
    server.publish(&redis("1.0.0").file("more", ""));
    assert_eq!(bench.resolve(&package, "*").await.unwrap().version, "1.0.0");
    let error = bench.registry.fetch(&package, &resolved).await.unwrap_err();
    assert!(matches!(error, RegistryError::Replaced { .. }), "{error}");
    assert!(bench.get(&package, "*").await.unwrap().files.contains_key("more"));
}
