//! Repositories over HTTPS: whose certificate is trusted, what is shown to whom, and which way it goes.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use trueup_bed::{Asked, Authority, Fault, GitServer, GitServerOptions, HttpProxy, Repository};
use trueup_git::{
    Access, CertificateProblem, ClientCertificate, CommitId, GitError, Limits, Login, Secret, Store, Stores, Tls,
};

use crate::bench::{fetch_exe, fetch_request, id, resolve, stores, text, url};

/// A server, a repository with a commit, and a cache.
struct Https {
    _server: GitServer,
    repository: Repository,
    commit: CommitId,
    stores: Stores,
    _cache: tempfile::TempDir,
}

impl Https {
    async fn new(options: GitServerOptions) -> Self {
        let server = GitServer::start_with(&std::env::temp_dir(), options).await.unwrap();
        let repository = server.create("team/app").unwrap();
        let commit = id(&repository.commit(&[("a", Some("1"))], "a commit").unwrap());
        let cache = tempfile::tempdir().unwrap();
        let stores = stores(cache.path(), Limits::default());
        Self { _server: server, repository, commit, stores, _cache: cache }
    }

    fn store(&self, access: &Access) -> Arc<Store> {
        self.stores.store(&url(self.repository.url()), access).unwrap()
    }

    /// Lists and fetches, both of which must succeed.
    async fn works(&self, access: &Access) {
        let store = self.store(access);
        assert_eq!(resolve(&store, "main").await, Ok(self.commit));
        store.fetch(&[self.commit]).await.unwrap();
        assert_eq!(text(&store, self.commit, "a").unwrap(), "1");
    }

    /// Lists and fetches into an empty cache, neither of which may succeed.
    async fn refused(&self, access: &Access) -> GitError {
        let cache = tempfile::tempdir().unwrap();
        let store = stores(cache.path(), Limits::default()).store(&url(self.repository.url()), access).unwrap();
        let error = resolve(&store, "main").await.unwrap_err();
        assert_eq!(store.fetch(&[self.commit]).await, Err(error.clone()));
        assert!(error.is_about_repository());
        error
    }
}

fn trusting(authority: &Authority) -> Access {
    Access { tls: Tls { authorities: authority.pem().into(), client: None }, ..Access::default() }
}

fn problem(error: &GitError) -> &CertificateProblem {
    match error {
        GitError::Certificate { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_no_other() {
    let (authority, stranger) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
    let tls = Some(authority.certify(&["localhost"]).unwrap());
    let https = Https::new(GitServerOptions { tls, clients: None }).await;
    https.works(&trusting(&authority)).await;
    let both = format!("{}{}", stranger.pem(), authority.pem());
    https.works(&Access { tls: Tls { authorities: both.into(), client: None }, ..Access::default() }).await;
    for access in [Access::default(), trusting(&stranger)] {
        let error = https.refused(&access).await;
        assert_eq!(problem(&error), &CertificateProblem::UnknownAuthority);
        assert!(error.to_string().contains("argocd-tls-certs-cm"), "{error}");
    }
    https.works(&Access { insecure: true, ..Access::default() }).await;
    let garbage = Tls { authorities: "hunter2".into(), client: None };
    let error = https.refused(&Access { tls: garbage, ..Access::default() }).await;
    assert!(matches!(&error, GitError::Settings { detail, .. } if !detail.contains("hunter2")), "{error}");
}

/// Fetches by a fetch process whose system trusts this authority, and says what came of it.
fn fetch_on_a_system(https: &Https, trusted: &Path, access: &Access) -> Result<serde_json::Value, GitError> {
    let cache = tempfile::tempdir().unwrap();
    let request = fetch_request(https.repository.url(), access, https.commit, cache.path());
    let mut child = std::process::Command::new(fetch_exe())
        .env_clear()
        .env("SSL_CERT_FILE", trusted)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open: the process ends with whoever asked it.
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{request}").unwrap();
    let mut answer = String::new();
    child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert!(child.wait().unwrap().success());
    serde_json::from_str(&answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_takes_the_place_of_the_systems() {
    let (system, own) = (Authority::new("the system's").unwrap(), Authority::new("ours").unwrap());
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&trusted, system.pem()).unwrap();
    let by_system = GitServerOptions { tls: Some(system.certify(&["localhost"]).unwrap()), clients: None };
    let https = Https::new(by_system).await;
    fetch_on_a_system(&https, trusted.path(), &Access::default()).unwrap();
    // Whoever got a certificate for this host from another authority is not who was named.
    let error = fetch_on_a_system(&https, trusted.path(), &trusting(&own)).unwrap_err();
    assert_eq!(problem(&error), &CertificateProblem::UnknownAuthority);
    let by_own = GitServerOptions { tls: Some(own.certify(&["localhost"]).unwrap()), clients: None };
    let https = Https::new(by_own).await;
    fetch_on_a_system(&https, trusted.path(), &trusting(&own)).unwrap();
}

#[tokio::test]
async fn a_certificate_must_be_for_now_and_for_this_host() {
    let authority = Authority::new("ours").unwrap();
    let cases = [
        (authority.certify_expired(&["localhost"]).unwrap(), CertificateProblem::Expired),
        (authority.certify(&["elsewhere.example"]).unwrap(), CertificateProblem::WrongName),
    ];
    for (own, expected) in cases {
        let https = Https::new(GitServerOptions { tls: Some(own), clients: None }).await;
        assert_eq!(problem(&https.refused(&trusting(&authority)).await), &expected);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_ours() {
    let (authority, clients) = (Authority::new("ours").unwrap(), Authority::new("clients").unwrap());
    let tls = Some(authority.certify(&["localhost"]).unwrap());
    let https = Https::new(GitServerOptions { tls, clients: Some(clients.pem()) }).await;
    let showing = |certificate: String, key: String| {
        let client = Some(ClientCertificate { certificate, key: Secret::new(key) });
        Access { tls: Tls { client, ..trusting(&authority).tls }, ..Access::default() }
    };
    let right = clients.certify(&["trueup"]).unwrap();
    https.works(&showing(right.certificate.clone(), right.key.clone())).await;
    let nobody = https.refused(&trusting(&authority)).await;
    assert!(matches!(nobody, GitError::ClientCertificate { shown: false, .. }), "{nobody}");
    let wrong = Authority::new("theirs").unwrap().certify(&["trueup"]).unwrap();
    let refused = https.refused(&showing(wrong.certificate, wrong.key.clone())).await;
    assert!(matches!(refused, GitError::ClientCertificate { shown: true, .. }), "{refused}");
    for (certificate, key) in [
        (right.certificate.clone(), "hunter2".to_owned()),
        ("hunter2".to_owned(), right.key.clone()),
        (right.certificate, wrong.key),
    ] {
        let error = https.refused(&showing(certificate, key)).await;
        assert!(matches!(&error, GitError::Settings { detail, .. } if !detail.contains("hunter2")), "{error}");
    }
}

#[tokio::test]
async fn logins_go_before_those_of_the_url_and_are_told_when_wrong() {
    let authority = Authority::new("ours").unwrap();
    let tls = Some(authority.certify(&["localhost"]).unwrap());
    let https = Https::new(GitServerOptions { tls, clients: None }).await;
    let with = |login: Login| Access { login, ..trusting(&authority) };
    let basic = |password: &str| Login::Basic { username: "bot".to_owned(), password: Secret::new(password) };
    https.repository.require_login("bot", "pa:ss wörd");
    https.works(&with(basic("pa:ss wörd"))).await;
    let other = url(&https.repository.url().replace("https://", "https://bot:wrong@"));
    let store = https.stores.store(&other, &with(basic("pa:ss wörd"))).unwrap();
    assert_eq!(resolve(&store, "main").await, Ok(https.commit));
    for login in [Login::None, basic("wrong"), Login::Bearer(Secret::new("wrong"))] {
        let error = https.refused(&with(login)).await;
        assert!(matches!(error, GitError::Unauthorized { .. }), "{error}");
    }
    https.repository.require_bearer("t0ken");
    https.works(&with(Login::Bearer(Secret::new("t0ken")))).await;
    let key = https.refused(&with(Login::Key(Secret::new("hunter2")))).await;
    assert!(matches!(key, GitError::Login { .. }) && key.to_string().contains("ssh://"), "{key}");
}

#[tokio::test]
async fn a_proxy_of_the_repository_is_used_and_sees_no_login_of_it() {
    let authority = Authority::new("ours").unwrap();
    let tls = Some(authority.certify(&["localhost"]).unwrap());
    let https = Https::new(GitServerOptions { tls, clients: None }).await;
    https.repository.require_login("bot", "hunter2");
    let proxy = HttpProxy::start(Some(("me", "pr0xy"))).await.unwrap();
    let login = Login::Basic { username: "bot".to_owned(), password: Secret::new("hunter2") };
    let through = |login_of_proxy: &str, no_proxy: &str| Access {
        login: login.clone(),
        proxy: Some(Secret::new(format!("http://{login_of_proxy}{}", proxy.address()))),
        no_proxy: no_proxy.to_owned(),
        ..trusting(&authority)
    };
    https.works(&through("me:pr0xy@", "")).await;
    let heads = proxy.heads();
    assert!(heads.len() >= 2 && heads.iter().all(|head| head.starts_with("CONNECT localhost:")), "{heads:?}");
    assert!(!heads.iter().any(|head| head.to_lowercase().contains("\r\nauthorization:")), "{heads:?}");
    for wrong in ["", "me:wrong@"] {
        let error = https.refused(&through(wrong, "")).await;
        assert!(matches!(error, GitError::ProxyLogin { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("wrong"));
    }
    let seen = proxy.heads().len();
    for no_proxy in ["localhost", "example.com, localhost"] {
        https.works(&through("", no_proxy)).await;
    }
    assert_eq!(proxy.heads().len(), seen);
    for bad in ["socks5://127.0.0.1:1", "hunter2", "http://"] {
        let error = https.refused(&Access { proxy: Some(Secret::new(bad)), ..trusting(&authority) }).await;
        assert!(matches!(&error, GitError::Settings { detail, .. } if !detail.contains("hunter2")), "{error}");
    }
    // A repository without TLS goes through it as well, and it is told so when the proxy refuses.
    let plain = Https::new(GitServerOptions::default()).await;
    let access = |login: &str| Access {
        proxy: Some(Secret::new(format!("http://{login}{}", proxy.address()))),
        ..Access::default()
    };
    plain.works(&access("me:pr0xy@")).await;
    assert!(proxy.heads().last().unwrap().starts_with("POST http://"));
    let error = plain.refused(&access("me:wrong@")).await;
    assert!(matches!(error, GitError::ProxyLogin { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_trickles_meets_the_deadline_of_the_whole() {
    let deadline = std::time::Duration::from_secs(3);
    let limits = Limits { listing_deadline: deadline, fetch_deadline: deadline, ..Limits::default() };
    let bench = crate::bench::Bench::limited(limits).await;
    let commit = bench.commit(&[("a", Some("1"))]);
    bench.repository.misbehave_at(Asked::LsRefs, Fault::Trickle);
    let error = bench.resolve("main").await.unwrap_err();
    assert!(matches!(error, GitError::Deadline { seconds: 3, .. }), "{error}");
    bench.repository.misbehave_at(Asked::Fetch, Fault::Trickle);
    let error = bench.fetch(commit).await.unwrap_err();
    assert!(matches!(error, GitError::Deadline { seconds: 3, .. }), "{error}");
    assert!(!bench.store.has(&commit));
}

#[tokio::test]
async fn access_is_part_of_what_a_store_is() {
    let https = Https::new(GitServerOptions::default()).await;
    let login = |password: &str| Access {
        login: Login::Basic { username: "bot".to_owned(), password: Secret::new(password) },
        ..Access::default()
    };
    https.repository.require_login("bot", "right");
    https.works(&login("right")).await;
    let client = Some(ClientCertificate { certificate: "c".to_owned(), key: Secret::new("k") });
    let shown = Access { tls: Tls { client, ..Tls::default() }, ..login("right") };
    for other in [login("wrong"), shown, Access::default()] {
        assert!(!https.store(&other).has(&https.commit));
    }
    assert!(Arc::ptr_eq(&https.store(&login("right")), &https.store(&login("right"))));
    // What does not matter over HTTP does not make another store.
    let known_hosts = "h ssh-ed25519 AAAA".into();
    assert!(Arc::ptr_eq(&https.store(&login("right")), &https.store(&Access { known_hosts, ..login("right") })));
    // Another way to the same server with the same login is another store, and finds what is here.
    let authority = Authority::new("ours").unwrap();
    let proxy = Some(Secret::new("http://me:hunter2@127.0.0.1:1"));
    let ways = [
        Access { insecure: true, ..login("right") },
        Access { tls: trusting(&authority).tls, ..login("right") },
        Access { proxy, no_proxy: "example.com".to_owned(), ..login("right") },
    ];
    let first = https.store(&login("right"));
    for way in &ways {
        let store = https.store(way);
        assert!(!Arc::ptr_eq(&store, &first));
        store.fetch(&[https.commit]).await.unwrap();
        assert_eq!(text(&store, https.commit, "a").unwrap(), "1");
    }
    let error = resolve(&https.store(&ways[2]), "main").await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    let words = error.to_string();
    assert!(words.ends_with("the proxy 127.0.0.1:1 is on the way") && !words.contains("hunter2"), "{words}");
    // The directory stays as long as one of them is wanted.
    drop(first);
    https.stores.keep_only(&[(url(https.repository.url()), ways[0].clone())]);
    assert!(https.store(&ways[0]).has(&https.commit));
    https.works(&login("right")).await;
    let place = url(&format!("file://{}", Path::new(https.repository.dir()).display()));
    let on_disk = |access: &Access| https.stores.store(&place, access).unwrap();
    assert!(Arc::ptr_eq(&on_disk(&login("right")), &on_disk(&Access::default())));
}
