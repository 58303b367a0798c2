//! Repositories over SSH, against OpenSSH's own server.

use std::sync::Arc;

use tempfile::TempDir;
use trueup_bed::{Deadline, Repository, SshKey, SshServer, SshServerOptions, until};
use trueup_git::{Access, CommitId, GitError, Limits, Login, Secret, Store, Stores};

use crate::bench::{id, resolve, stores, text, url};

struct Ssh {
    server: SshServer,
    repository: Repository,
    key: SshKey,
    stores: Stores,
    _cache: TempDir,
}

impl Ssh {
    async fn new(options: SshServerOptions) -> Self {
        Self::with(options, SshKey::generate("ed25519", "").unwrap(), Limits::default()).await
    }

    async fn with(options: SshServerOptions, key: SshKey, limits: Limits) -> Self {
        let server = SshServer::start_with(options).await.unwrap();
        server.authorize(&key.public).unwrap();
        let repository = server.create("team/it's a $(repo) !").unwrap();
        let cache = tempfile::tempdir().unwrap();
        Self { server, repository, key, stores: stores(cache.path(), limits), _cache: cache }
    }

    fn access(&self) -> Access {
        let known_hosts = self.server.known_hosts().into();
        Access { login: Login::Key(Secret::new(&*self.key.private)), known_hosts, ..Access::default() }
    }

    fn store(&self, access: &Access) -> Arc<Store> {
        self.stores.store(&url(self.repository.url()), access).unwrap()
    }

    fn commit(&self, content: &str) -> CommitId {
        id(&self.repository.commit(&[("a", Some(content))], "a commit").unwrap())
    }

    async fn refused(&self, access: &Access) -> GitError {
        let store = self.store(access);
        let error = resolve(&store, "main").await.unwrap_err();
        // The fetch process finds the same by itself.
        let commit = self.commit("x");
        assert_eq!(store.fetch(&[commit]).await, Err(error.clone()));
        assert!(error.is_about_repository());
        error
    }
}

#[tokio::test]
async fn a_commit_is_listed_and_fetched_by_every_kind_of_key() {
    let keys = [
        SshKey::generate("ed25519", "").unwrap(),
        SshKey::generate("ecdsa", "").unwrap(),
        SshKey::generate("rsa", "").unwrap(),
        SshKey::generate_pem("rsa").unwrap(),
        SshKey::generate_pem("ecdsa").unwrap(),
    ];
    for key in keys {
        // Without SHA-1, as all servers of today.
        let kind = key.public.clone();
        let ssh = Ssh::with(SshServerOptions::default(), key, Limits::default()).await;
        let first = ssh.commit("1");
        let store = ssh.store(&ssh.access());
        assert_eq!(resolve(&store, "main").await, Ok(first), "{kind}");
        store.fetch(&[first]).await.unwrap();
        assert_eq!(text(&store, first, "a").unwrap(), "1");
        let second = ssh.commit("2");
        assert_eq!(resolve(&store, "HEAD").await, Ok(second));
        store.fetch(&[second]).await.unwrap();
        assert_eq!(text(&store, second, "a").unwrap(), "2");
        let closed =
            until("the connections are closed", Deadline::SHORT, async || match ssh.server.open_connections() {
                0 => Ok(()),
                open => Err(open),
            });
        closed.await.unwrap();
        // One connection per listing, one per fetch.
        assert_eq!((ssh.server.connections(), store.counters().listings, store.counters().fetches), (4, 2, 2));
    }
}

#[tokio::test]
async fn rsa_keys_sign_with_sha2_of_either_length_and_never_with_sha1() {
    let key = || SshKey::generate("rsa", "").unwrap();
    let only = |algorithm: &str| SshServerOptions {
        config: format!("PubkeyAcceptedAlgorithms {algorithm}\n"),
        ..SshServerOptions::default()
    };
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let ssh = Ssh::with(only(algorithm), key(), Limits::default()).await;
        let first = ssh.commit("1");
        assert_eq!(resolve(&ssh.store(&ssh.access()), "main").await, Ok(first), "{algorithm}");
    }
    let old = Ssh::with(only("ssh-rsa"), key(), Limits::default()).await;
    old.commit("1");
    let error = old.refused(&old.access()).await;
    assert!(matches!(error, GitError::KeyRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_commit_that_no_ref_advertises_and_one_that_does_not_exist() {
    let ssh = Ssh::new(SshServerOptions::default()).await;
    let first = ssh.commit("1");
    ssh.commit("2");
    let store = ssh.store(&ssh.access());
    store.fetch(&[first]).await.unwrap();
    assert_eq!(text(&store, first, "a").unwrap(), "1");
    // Refused once, then searched for: several commands, and connections, in one fetch.
    let nowhere = id("0123456789abcdef0123456789abcdef01234567");
    let error = store.fetch(&[nowhere]).await.unwrap_err();
    assert!(matches!(error, GitError::CommitNotFound { .. }), "{error}");
    assert!(matches!(resolve(&store, "nowhere").await, Err(GitError::RevisionNotFound { .. })));
}

#[tokio::test]
async fn hosts_are_known_by_hashed_names_and_by_any_of_their_keys() {
    let host_keys = vec!["rsa", "ecdsa", "ed25519"];
    let ssh = Ssh::new(SshServerOptions { host_keys, ..SshServerOptions::default() }).await;
    let first = ssh.commit("1");
    let hashed = ssh.server.hashed_known_hosts().unwrap();
    assert!(!hashed.contains("127.0.0.1"), "{hashed}");
    let mut known = vec![hashed];
    known.extend(ssh.server.host_keys().iter().map(|key| ssh.server.known_host(&key.public)));
    for known_hosts in known {
        let access = Access { known_hosts: known_hosts.as_str().into(), ..ssh.access() };
        assert_eq!(resolve(&ssh.store(&access), "main").await, Ok(first), "{known_hosts}");
    }
}

#[tokio::test]
async fn an_unknown_host_gets_nothing_and_the_error_says_where_to_add_it() {
    let ssh = Ssh::new(SshServerOptions::default()).await;
    let known_hosts =
        "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl".into();
    let error = ssh.refused(&Access { known_hosts, ..ssh.access() }).await;
    let GitError::UnknownHost { host, key, .. } = &error else { panic!("{error}") };
    assert_eq!(host, &format!("[127.0.0.1]:{}", ssh.server.port()));
    assert!(key.starts_with("ssh-ed25519 SHA256:"), "{key}");
    assert!(error.to_string().contains("argocd-ssh-known-hosts-cm") && error.to_string().contains(key), "{error}");
    // Who says so gets in without.
    let first = ssh.commit("1");
    let access = Access { known_hosts: "".into(), insecure: true, ..ssh.access() };
    assert_eq!(resolve(&ssh.store(&access), "main").await, Ok(first));
}

#[tokio::test]
async fn a_changed_a_revoked_and_a_certified_host_are_refused() {
    let ssh = Ssh::new(SshServerOptions::default()).await;
    let other = SshKey::generate("ed25519", "").unwrap();
    let access = |lines: String| Access { known_hosts: lines.into(), ..ssh.access() };
    let changed = ssh.refused(&access(ssh.server.known_host(&other.public))).await;
    assert!(matches!(changed, GitError::HostKeyChanged { .. }), "{changed}");
    assert!(changed.to_string().contains("HAS CHANGED"), "{changed}");
    let known = ssh.server.known_hosts();
    let revoked = ssh.refused(&access(format!("{known}@revoked {known}"))).await;
    assert!(matches!(revoked, GitError::HostKeyRevoked { .. }), "{revoked}");
    let certified = ssh.refused(&access(format!("@cert-authority {known}"))).await;
    assert!(matches!(certified, GitError::HostCertificate { .. }), "{certified}");
}

#[tokio::test]
async fn a_key_that_opens_nothing_is_told_from_one_that_cannot_be_used() {
    let ssh = Ssh::new(SshServerOptions::default()).await;
    let with = |login: Login| Access { login, ..ssh.access() };
    let stranger = SshKey::generate("ed25519", "").unwrap();
    let error = ssh.refused(&with(Login::Key(Secret::new(stranger.private)))).await;
    let GitError::KeyRefused { user, key, .. } = &error else { panic!("{error}") };
    assert_eq!(user, ssh.server.user());
    assert!(key.starts_with("ssh-ed25519 SHA256:"));
    let asked = ssh.server.connections();
    let pem = |kind: &str| SshKey::generate(kind, "hunter2").unwrap().private;
    let encrypted_pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nhunter2\n-----END RSA PRIVATE KEY-----\n";
    let cases = [
        (Login::Key(Secret::new(pem("ed25519"))), "encrypted"),
        (Login::Key(Secret::new(encrypted_pem)), "encrypted"),
        (Login::Key(Secret::new("hunter2")), "cannot be read"),
        (
            Login::Key(Secret::new("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----")),
            "cannot be read",
        ),
        (Login::None, "there is none"),
        (Login::Basic { username: "bot".to_owned(), password: Secret::new("hunter2") }, "no password"),
        (Login::Bearer(Secret::new("hunter2")), "no token"),
    ];
    for (login, words) in cases {
        let error = ssh.refused(&with(login)).await;
        assert!(matches!(error, GitError::Login { .. }) && error.to_string().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(ssh.server.connections(), asked, "nobody was asked with them");
    let proxied = Access { proxy: Some(Secret::new("http://me:hunter2@proxy")), ..ssh.access() };
    let error = ssh.refused(&proxied).await;
    assert!(matches!(error, GitError::Settings { .. }), "{error}");
}

#[tokio::test]
async fn servers_that_cannot_do_what_is_needed_say_so() {
    let old = Ssh::new(SshServerOptions { git_protocol: false, ..SshServerOptions::default() }).await;
    old.commit("1");
    let error = old.refused(&old.access()).await;
    assert!(matches!(error, GitError::NoProtocolV2 { .. }), "{error}");
    assert!(error.to_string().contains("AcceptEnv GIT_PROTOCOL"), "{error}");

    let ssh = Ssh::new(SshServerOptions::default()).await;
    let missing = url(&format!("{}x", ssh.repository.url()));
    let store = ssh.stores.store(&missing, &ssh.access()).unwrap();
    let error = resolve(&store, "main").await.unwrap_err();
    assert!(matches!(error, GitError::RepositoryNotFound { .. }), "{error}");

    let config = "ForceCommand echo go away >&2; exit 1\n".to_owned();
    let shut = Ssh::new(SshServerOptions { config, ..SshServerOptions::default() }).await;
    let error = shut.refused(&shut.access()).await;
    assert_eq!(error.to_string(), format!("the server of repository '{}' answered: go away", shut.repository.url()));
}

#[tokio::test]
async fn a_server_that_hangs_or_is_none_is_given_up() {
    // Also for each step of a greeting, which takes a busy machine its time.
    let (deadline, idle) = (std::time::Duration::from_secs(20), std::time::Duration::from_secs(3));
    let limits = Limits { listing_deadline: deadline, fetch_deadline: deadline, idle, ..Limits::default() };
    let key = SshKey::generate("ed25519", "").unwrap();
    let config = "ForceCommand sleep 600\n".to_owned();
    let ssh = Ssh::with(SshServerOptions { config, ..SshServerOptions::default() }, key, limits).await;
    let error = ssh.refused(&ssh.access()).await;
    assert!(matches!(&error, GitError::Unreachable { detail, .. } if detail.contains("no answer in time")), "{error}");

    // One that accepts and says nothing, and one that speaks something else.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = |port: u16| url(&format!("ssh://git@127.0.0.1:{port}/a"));
    let store = ssh.stores.store(&at(silent.local_addr().unwrap().port()), &ssh.access()).unwrap();
    let error = resolve(&store, "main").await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    let http = trueup_bed::GitServer::start().await.unwrap();
    let port = http.create("a").unwrap().url().split([':', '/']).nth(4).unwrap().parse().unwrap();
    let store = ssh.stores.store(&at(port), &ssh.access()).unwrap();
    let error = resolve(&store, "main").await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
    let store = ssh.stores.store(&at(1), &ssh.access()).unwrap();
    let error = resolve(&store, "main").await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
}
