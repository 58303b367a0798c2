//! Certificates of servers and of ours, and proxies.

use trueup_bed::{
    Authority, Chart, HelmServer, HelmServerOptions, HttpProxy, OciLogin, OciRegistry, OciRegistryOptions,
};
use trueup_git::{Access, CertificateProblem, ClientCertificate, GitError, RegistryAccess, Secret, Tls};
use trueup_registry::{Package, RegistryError};

use crate::bench::{basic, bench, chart};

fn trusting(authority: &Authority, access: Access) -> RegistryAccess {
    let tls = Tls { authorities: authority.pem().into(), ..access.tls };
    RegistryAccess { access: Access { tls, ..access }, ..RegistryAccess::default() }
}

#[tokio::test]
async fn a_server_is_known_by_its_authority_and_knows_us() {
    let authority = Authority::new("ours").unwrap();
    let own = authority.certify(&["localhost"]).unwrap();
    let options = HelmServerOptions { tls: Some(own), clients: Some(authority.pem()), login: None };
    let server = HelmServer::start_with(options).await.unwrap();
    server.publish(&Chart::new("redis", "1.0.0"));
    let bench = bench();
    let with = |access: &RegistryAccess| Package::chart(&server.url(""), "redis", access, false).unwrap();
    let error = bench.get(&with(&RegistryAccess::default()), "*").await.unwrap_err();
    let problem = CertificateProblem::UnknownAuthority;
    assert!(
        matches!(&error, RegistryError::Repository(GitError::Certificate { problem: it, .. }) if *it == problem),
        "{error}"
    );
    let error = bench.get(&with(&trusting(&authority, Access::default())), "*").await.unwrap_err();
    assert!(matches!(error, RegistryError::Repository(GitError::ClientCertificate { shown: false, .. })), "{error}");
    let bot = authority.certify(&["bot"]).unwrap();
    let client = Some(ClientCertificate { certificate: bot.certificate, key: Secret::new(bot.key) });
    let access = Access { tls: Tls { client, ..Tls::default() }, ..Access::default() };
    assert!(bench.get(&with(&trusting(&authority, access.clone())), "*").await.is_ok());
    let insecure = Access { insecure: true, ..access };
    let insecure = RegistryAccess { access: insecure, ..RegistryAccess::default() };
    assert!(bench.get(&with(&insecure), "*").await.is_ok());
}

#[tokio::test]
async fn an_expired_certificate_is_told() {
    let authority = Authority::new("ours").unwrap();
    let tls = Some(authority.certify_expired(&["localhost"]).unwrap());
    let registry = OciRegistry::start(OciRegistryOptions { login: OciLogin::None, tls }).await.unwrap();
    let package = Package::artifact(&format!("oci://{}/a", registry.host()), &trusting(&authority, Access::default()));
    let error = bench().resolve(&package.unwrap(), "latest").await.unwrap_err();
    let expired =
        matches!(&error, RegistryError::Repository(GitError::Certificate { problem: CertificateProblem::Expired, .. }));
    assert!(expired, "{error}");
}

#[tokio::test]
async fn an_index_may_name_a_registry() {
    let authority = Authority::new("ours").unwrap();
    let options = OciRegistryOptions {
        login: OciLogin::Token("bot".into(), "hunter2".into()),
        tls: Some(authority.certify(&["localhost"]).unwrap()),
    };
    let registry = OciRegistry::start(options).await.unwrap();
    let server = HelmServer::start().await.unwrap();
    let redis = Chart::new("redis", "1.0.0+1");
    registry.push_chart("org/redis", "1.0.0_1", &redis.archive()).await.unwrap();
    server.list(&redis, &format!("oci://{}/org/redis:1.0.0+1", registry.host()), None);
    let bench = bench();
    let access = trusting(&authority, basic("bot", "hunter2").access);
    let package = |passed| Package::chart(&server.url(""), "redis", &access, passed).unwrap();
    assert!(bench.get(&package(true), "*").await.unwrap().files.contains_key("Chart.yaml"));
    // Without a word nothing of ours goes there, not even whom we trust.
    bench.registry.keep_only(&[]);
    assert!(bench.get(&package(false), "*").await.is_err());
}

#[tokio::test]
async fn a_proxy_is_on_the_way() {
    let server = HelmServer::start().await.unwrap();
    server.publish(&Chart::new("redis", "1.0.0"));
    let proxy = HttpProxy::start(Some(("me", "secret"))).await.unwrap();
    let through = |login: &str| {
        let access =
            Access { proxy: Some(Secret::new(format!("http://{login}{}", proxy.address()))), ..Access::default() };
        let access = RegistryAccess { access, ..RegistryAccess::default() };
        Package::chart(&server.url(""), "redis", &access, false).unwrap()
    };
    let bench = bench();
    assert!(bench.get(&through("me:secret@"), "*").await.is_ok());
    assert!(proxy.heads().iter().any(|head| head.contains("index.yaml")));
    let error = bench.get(&through(""), "*").await.unwrap_err();
    assert!(matches!(error, RegistryError::Repository(GitError::ProxyLogin { .. })), "{error}");
    assert!(bench.get(&chart(&server.url(""), "redis"), "*").await.is_ok(), "others go their own way");
}
