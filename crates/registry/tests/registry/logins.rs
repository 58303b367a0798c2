//! Who is shown what.

use trueup_bed::{Chart, HelmServer, HelmServerOptions, OciLogin, OciRegistry, OciRegistryOptions};
use trueup_git::{Access, GitError, Login, RegistryAccess, Secret};
use trueup_registry::{Package, RegistryError};

use crate::bench::{artifact, basic, bench, chart, plain};

/// A Helm repository that lets one user in.
async fn private() -> HelmServer {
    let login = Some(("bot".to_owned(), "hunter2".to_owned()));
    HelmServer::start_with(HelmServerOptions { login, ..HelmServerOptions::default() }).await.unwrap()
}

fn is_unauthorized(error: &RegistryError) -> bool {
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    matches!(error, RegistryError::Repository(GitError::Unauthorized { .. }))
}

#[tokio::test]
async fn a_helm_repository_asks_for_a_login() {
    let server = private().await;
    server.publish(&Chart::new("redis", "1.0.0"));
    let bench = bench();
    let with = |access: &RegistryAccess| Package::chart(&server.url(""), "redis", access, false).unwrap();
    assert!(is_unauthorized(&bench.get(&with(&plain()), "*").await.unwrap_err()));
    assert!(is_unauthorized(&bench.get(&with(&basic("bot", "hunter3")), "*").await.unwrap_err()));
    let known = with(&basic("bot", "hunter2"));
    let resolved = bench.resolve(&known, "*").await.unwrap();
    assert!(bench.registry.fetch(&known, &resolved).await.is_ok());
    // What it knows from elsewhere does not let anybody in.
    assert!(is_unauthorized(&bench.registry.fetch(&with(&plain()), &resolved).await.unwrap_err()));
    let url = server.url("").replace("http://", "http://bot:hunter2@");
    assert!(bench.get(&Package::chart(&url, "redis", &plain(), false).unwrap(), "*").await.is_ok(), "as the URL says");
}

#[tokio::test]
async fn the_login_goes_to_no_other_host_unless_it_is_passed() {
    let own = private().await;
    let other = HelmServer::start().await.unwrap();
    let redis = Chart::new("redis", "1.0.0");
    other.serve("a.tgz", redis.archive());
    other.serve("b.tgz", redis.archive());
    own.list(&redis, &other.url("a.tgz"), None);
    let nginx = Chart::new("nginx", "1.0.0");
    own.list(&nginx, "moved.tgz", None);
    own.redirect("moved.tgz", &other.url("b.tgz"));
    let bench = bench();
    let get = async |chart: &str, passed: bool| {
        let package = Package::chart(&own.url(""), chart, &basic("bot", "hunter2"), passed).unwrap();
        // A chart of another name below its directory is nothing to worry about.
        bench.get(&package, "*").await.unwrap();
        let requests = other.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].authorization.is_some()
    };
    assert!(!get("redis", false).await);
    assert!(!get("nginx", false).await, "a redirect");
    bench.registry.keep_only(&[]);
    assert!(get("redis", true).await, "it was said so");
    assert!(!get("nginx", true).await, "a redirect is nothing that was said");
}

#[tokio::test]
async fn a_registry_lets_in_by_password() {
    let options = OciRegistryOptions { login: OciLogin::Basic("bot".into(), "hunter2".into()), tls: None };
    let registry = OciRegistry::start(options).await.unwrap();
    registry.push_chart("org/redis", "1.0.0", &Chart::new("redis", "1.0.0").archive()).await.unwrap();
    let bench = bench();
    let with = |access: &RegistryAccess| {
        Package::chart(&format!("oci://{}/org", registry.host()), "redis", access, false).unwrap()
    };
    assert!(is_unauthorized(&bench.get(&with(&plain()), "*").await.unwrap_err()));
    assert!(is_unauthorized(&bench.get(&with(&basic("bot", "hunter3")), "*").await.unwrap_err()));
    let before = bench.requests();
    assert!(bench.get(&with(&basic("bot", "hunter2")), "*").await.is_ok());
    // It is asked for the login once; then tags, head, manifest, blob.
    assert_eq!(bench.requests() - before, 5);
}

#[tokio::test]
async fn a_registry_lets_in_by_token() {
    let options = OciRegistryOptions { login: OciLogin::Token("bot".into(), "hunter2".into()), tls: None };
    let registry = OciRegistry::start(options).await.unwrap();
    let archive = Chart::new("redis", "1.0.0").archive();
    registry.push_chart("org/redis", "1.0.0", &archive).await.unwrap();
    registry.push_chart("public/redis", "1.0.0", &archive).await.unwrap();
    let bench = bench();
    let with = |place: &str, access: &RegistryAccess| {
        Package::chart(&format!("{}/{place}", registry.host()), "redis", access, false).unwrap()
    };
    assert!(bench.get(&with("public", &plain()), "*").await.is_ok(), "a token that everybody gets");
    let error = bench.get(&with("org", &plain()), "*").await.unwrap_err();
    assert!(is_unauthorized(&error), "{error}");
    assert!(is_unauthorized(&bench.get(&with("public", &basic("bot", "hunter3")), "*").await.unwrap_err()));
    let before = bench.requests();
    let known = with("org", &basic("bot", "hunter2"));
    assert!(bench.get(&known, "*").await.is_ok());
    // Refused once, one token; then tags, head, manifest, blob.
    assert_eq!(bench.requests() - before, 6);
    assert!(bench.resolve(&known, "*").await.is_ok());
    assert_eq!(bench.requests() - before, 8, "the token still holds");
}

#[tokio::test]
async fn what_only_git_hosts_take_is_not_shown() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&Chart::new("redis", "1.0.0"));
    let bench = bench();
    let login = Login::Bearer(Secret::new("hunter2"));
    let access = RegistryAccess { access: Access { login, ..Access::default() }, ..plain() };
    assert!(bench.get(&Package::chart(&server.url(""), "redis", &access, false).unwrap(), "*").await.is_ok());
    let shown = server.requests();
    assert!(shown.iter().all(|request| request.authorization.as_deref() == Some("Bearer hunter2")), "{shown:?}");
    // Nobody is asked in the clear who was not meant to be.
    let https = Package::artifact("oci://127.0.0.1:1/a", &RegistryAccess::default()).unwrap();
    assert!(bench.resolve(&https, "latest").await.is_err());
    assert_ne!(artifact("oci://h/a"), https);
    assert_ne!(chart("https://h/a", "x"), chart("https://h/a", "y"));
}
