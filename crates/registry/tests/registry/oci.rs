//! A real registry that does what it should.

use std::time::Instant;

use futures::future::join_all;
use trueup_bed::{Chart, OciRegistry, OciRegistryOptions, pack};
use trueup_registry::{Limits, RegistryError};

use crate::bench::{artifact, bench, bench_with, chart, open, text};

async fn registry() -> OciRegistry {
    OciRegistry::start(OciRegistryOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_chart_is_the_best_of_its_tags() {
    let registry = registry().await;
    let push = async |version: &str, tag: &str| {
        let archive = Chart::new("redis", version).file("v", version).archive();
        registry.push_chart("org/redis", tag, &archive).await.unwrap()
    };
    for version in ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1"] {
        push(version, version).await;
    }
    let digest = push("1.10.1+5", "1.10.1_5").await;
    push("0.0.0", "latest").await;
    // In pages of two.
    let bench = bench_with(Limits { tags_per_page: 2, ..Limits::default() });
    let package = chart(&format!("oci://{}/org", registry.host()), "redis");
    for (wanted, version) in [
        ("", "1.10.1+5"),
        ("~1.2", "1.2.0"),
        (">=2.0.0-0", "2.0.0-rc.1"),
        ("1.0.0", "1.0.0"),
        ("1.10.1+5", "1.10.1+5"),
        (digest.as_str(), digest.as_str()),
    ] {
        let resolved = bench.resolve(&package, wanted).await.unwrap();
        assert_eq!(resolved.version, version, "{wanted}");
        let archive = bench.registry.fetch(&package, &resolved).await.unwrap();
        let expected = if version == digest { "1.10.1+5" } else { version };
        assert_eq!(text(&archive, "v"), expected);
    }
    assert_eq!(bench.resolve(&package, "*").await.unwrap().digest.as_deref(), Some(digest.as_str()));
    assert_eq!(bench.registry.counters().downloads, 4);
    let error = bench.resolve(&package, "3.x").await.unwrap_err();
    assert!(error.to_string().contains("the newest is 1.10.1+5"), "{error}");
    let error = bench.resolve(&package, "1.0.1").await.unwrap_err();
    assert!(matches!(&error, RegistryError::NotFound { reference, .. } if reference == "1.0.1"), "{error}");
    let error = bench.resolve(&package, "a b").await.unwrap_err();
    assert!(matches!(error, RegistryError::InvalidVersion { .. }), "{error}");
    let error = bench.resolve(&chart(&format!("oci://{}/org", registry.host()), "nginx"), "*").await.unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }) && !error.is_about_repository(), "{error}");
}

#[tokio::test]
async fn everything_is_asked_once() {
    let registry = registry().await;
    registry.push_chart("redis", "1.0.0", &Chart::new("redis", "1.0.0").archive()).await.unwrap();
    let bench = bench();
    let package = chart(registry.host(), "redis");
    let since = Instant::now();
    let resolved = join_all((0..20).map(|_| bench.registry.resolve(&package, "1.x", since))).await;
    let resolved = resolved.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(bench.requests(), 2, "tags and head");
    let fetched = join_all(resolved.iter().map(|resolved| bench.registry.fetch(&package, resolved))).await;
    assert!(fetched.iter().all(Result::is_ok));
    assert_eq!(bench.requests(), 4, "manifest and blob");
    let exact = bench.registry.resolve(&package, "1.0.0", since).await.unwrap();
    assert_eq!((bench.registry.fetch(&package, &exact).await.is_ok(), bench.requests()), (true, 4));
    let restarted = open(bench.dir.path(), Limits::default());
    assert!(restarted.fetch(&package, &exact).await.is_ok());
    assert_eq!((restarted.counters().requests, restarted.counters().downloads), (1, 0), "the manifest alone");
}

#[tokio::test]
async fn an_artifact_is_known_by_its_digest() {
    let registry = registry().await;
    let push = async |tag: &str, content: &str| {
        let archive = pack([("overlays/a/kustomization.yaml", content), ("README", "x")]);
        registry.push_artifact("org/app", tag, &archive).await.unwrap()
    };
    let old = push("1.0.0", "old").await;
    push("latest", "old").await;
    let bench = bench();
    let package = artifact(&format!("oci://{}/org/app", registry.host()));
    for wanted in ["latest", "1.0.0", "1.x", old.as_str(), "^1"] {
        let resolved = bench.resolve(&package, wanted).await.unwrap();
        assert_eq!(
            (resolved.version.as_str(), resolved.digest.as_deref()),
            (old.as_str(), Some(old.as_str())),
            "{wanted}"
        );
    }
    let archive = bench.get(&package, "latest").await.unwrap();
    assert_eq!(text(&archive, "overlays/a/kustomization.yaml"), "old");
    assert_eq!(archive.files.len(), 2);
    let new = push("latest", "new").await;
    assert_ne!(old, new);
    // A tag that looks like a range is a tag.
    let odd = push("1.x", "odd").await;
    assert_eq!(bench.resolve(&package, "1.x").await.unwrap().version, odd);
    assert_eq!(text(&bench.get(&package, "latest").await.unwrap(), "overlays/a/kustomization.yaml"), "new");
    assert_eq!(text(&bench.get(&package, &old).await.unwrap(), "overlays/a/kustomization.yaml"), "old");
    assert!(matches!(bench.resolve(&package, "").await, Err(RegistryError::InvalidVersion { .. })));
    // A chart is an artifact too, whose files are below its directory.
    registry.push_chart("org/redis", "1.0.0", &Chart::new("redis", "1.0.0").archive()).await.unwrap();
    let archive = bench.get(&artifact(&format!("oci://{}/org/redis", registry.host())), "1.0.0").await.unwrap();
    assert!(archive.files.contains_key("Chart.yaml"));
}

#[tokio::test]
async fn what_is_neither_chart_nor_artifact_is_told() {
    let registry = registry().await;
    let archive = pack([("a", "b")]);
    registry.push_artifact("app", "1.0.0", &archive).await.unwrap();
    let odd = "application/vnd.example.content.v1.tar+gzip";
    registry.push("odd", "1.0.0", "application/json", &[(odd, &archive)]).await.unwrap();
    registry.push("none", "1.0.0", "application/json", &[("text/plain", b"x")]).await.unwrap();
    let bench = bench();
    let error = bench.get(&chart(registry.host(), "app"), "*").await.unwrap_err();
    assert!(error.to_string().contains("it is no Helm chart"), "{error}");
    for (name, why) in [("odd", odd), ("none", "'text/plain'")] {
        let error = bench.get(&artifact(&format!("oci://{}/{name}", registry.host())), "1.0.0").await.unwrap_err();
        assert!(matches!(&error, RegistryError::Manifest { detail, .. } if detail.contains(why)), "{error}");
    }
}

#[tokio::test]
async fn one_archive_as_a_chart_and_as_an_artifact_is_two() {
    let registry = registry().await;
    let archive = Chart::new("redis", "1.0.0").archive();
    registry.push_chart("org/redis", "1.0.0", &archive).await.unwrap();
    registry.push_artifact("org/files", "v1", &archive).await.unwrap();
    let bench = bench();
    let mut fetched = Vec::new();
    for (package, wanted) in [
        (chart(&format!("oci://{}/org", registry.host()), "redis"), "1.0.0"),
        (artifact(&format!("oci://{}/org/files", registry.host())), "v1"),
    ] {
        let resolved = bench.resolve(&package, wanted).await.unwrap();
        fetched.push(bench.registry.fetch(&package, &resolved).await.unwrap());
    }
    assert_ne!(fetched[0].files, fetched[1].files);
    assert_ne!(fetched[0].digest, fetched[1].digest, "what has the same digest is taken for the same files");
}
