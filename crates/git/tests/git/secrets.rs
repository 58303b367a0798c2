//! Planted secrets, looked for in everything that comes out: errors, logs, the fetch process, the cache.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use trueup_bed::{
    Asked, Authority, Deadline, Fault, GitServer, GitServerOptions, HttpProxy, SshKey, SshServer, SshServerOptions,
    until,
};
use trueup_git::{Access, ClientCertificate, GitError, Limits, Login, Proxies, Secret, Store, Tls};

use crate::bench::{fetch_children, id, resolve, stores, stores_behind, url};

const PASSWORD: &str = "hunter2-password";
const TOKEN: &str = "hunter2-token";
const PROXY_PASSWORD: &str = "hunter2-proxy";

/// Everything that was logged in this process, by whichever way.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The log of this process, at the level of traces.
    fn start() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log::set_logger(Box::leak(Box::new(log.clone()))).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} {}\n", record.level(), record.target(), record.args());
        self.0.lock().unwrap().extend_from_slice(line.as_bytes());
    }

    fn flush(&self) {}
}

/// What must be nowhere: the secrets, as they are and as they go over the wire.
fn needles(keys: &[&str]) -> Vec<String> {
    let mut needles: Vec<String> = [PASSWORD, TOKEN, PROXY_PASSWORD].map(str::to_owned).to_vec();
    // `bot:hunter2-password` and `me:hunter2-proxy` in base64, without the ends that depend on what follows.
    needles.extend(["Ym90Omh1bnRlcjItcGFzc3dvcm".to_owned(), "bWU6aHVudGVyMi1wcm94".to_owned()]);
    let long = |line: &&str| line.len() > 40 && !line.starts_with("-----");
    // The first line of a key is the same in all of them.
    needles.extend(keys.iter().flat_map(|key| key.lines().filter(long).skip(1)).map(str::to_owned));
    needles
}

fn assert_clean(what: &str, text: &str, needles: &[String]) {
    for needle in needles {
        assert!(!text.contains(needle.as_str()), "{what} shows '{needle}'");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What anybody on the machine can see of the fetch processes that this one has started just now.
fn shown_by_processes() -> Vec<String> {
    let read = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let show = |process: PathBuf| {
        let limits = read(process.join("limits"));
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        assert!(
            core.is_some_and(|limit| limit.trim_start().starts_with("0 ")),
            "a crash would write keys to disk: {limits}"
        );
        let environment = read(process.join("environ"));
        for variable in environment.split_terminator('\0') {
            assert!(variable.starts_with("SSL_CERT_"), "the process sees {variable}");
        }
        read(process.join("cmdline")) + &environment
    };
    fetch_children().into_iter().map(show).collect()
}

/// Fetches from a server that hangs, and hands out what the process shows meanwhile.
async fn look_at_process(store: &Store, commit: trueup_git::CommitId, has_asked: impl Fn() -> bool) -> Vec<String> {
    let wanted = [commit];
    let mut fetch = Box::pin(store.fetch(&wanted));
    let asked = until("the process asks the server", Deadline::SHORT, async || {
        assert!(futures::poll!(fetch.as_mut()).is_pending());
        if has_asked() { Ok(()) } else { Err("not yet") }
    });
    asked.await.unwrap();
    shown_by_processes()
}

#[tokio::test]
async fn no_secret_of_https_comes_out_anywhere() {
    let log = Log::start();
    let (authority, clients) = (Authority::new("ours").unwrap(), Authority::new("clients").unwrap());
    let own = clients.certify(&["trueup"]).unwrap();
    let needles = needles(&[&own.key]);
    let tls = Some(authority.certify(&["localhost"]).unwrap());
    let options = GitServerOptions { tls, clients: Some(clients.pem()) };
    let server = GitServer::start_with(&std::env::temp_dir(), options).await.unwrap();
    let repository = server.create("a").unwrap();
    let first = id(&repository.commit(&[("a", Some("1"))], "one").unwrap());
    let proxy = HttpProxy::start(Some(("me", PROXY_PASSWORD))).await.unwrap();
    let basic = Login::Basic { username: "bot".to_owned(), password: Secret::new(PASSWORD) };
    let client = Some(ClientCertificate { certificate: own.certificate, key: Secret::new(own.key) });
    let proxy_url = Secret::new(format!("http://me:{PROXY_PASSWORD}@{}", proxy.address()));
    // Once it is the repository's own, once the environment's.
    let access = |login: Login, own_proxy: bool| Access {
        login,
        tls: Tls { authorities: authority.pem().into(), client: client.clone() },
        proxy: own_proxy.then(|| proxy_url.clone()),
        ..Access::default()
    };
    let proxies = Proxies { https: Some(proxy_url.clone()), ..Proxies::default() };
    let cache = tempfile::tempdir().unwrap();
    let short = std::time::Duration::from_secs(5);
    let limits = Limits { listing_deadline: short, fetch_deadline: short, ..Limits::default() };
    let stores = stores_behind(cache.path(), limits, proxies);
    for (login, token) in [(basic, None), (Login::Bearer(Secret::new(TOKEN)), Some(TOKEN))] {
        match token {
            None => repository.require_login("bot", PASSWORD),
            Some(token) => repository.require_bearer(token),
        }
        repository.behave();
        let access = access(login, token.is_none());
        let seen = proxy.heads().len();
        let store = stores.store(&url(repository.url()), &access).unwrap();
        assert_eq!(resolve(&store, "main").await, Ok(first));
        store.fetch(&[first]).await.unwrap();
        assert!(proxy.heads().len() >= seen + 2, "both processes go through the proxy");
        assert_clean("Debug", &format!("{access:?} {store:?} {stores:?}"), &needles);
        let second = id(&repository.commit(&[("a", Some("2"))], "two").unwrap());
        repository.branch("main", &first.to_string()).unwrap();
        repository.forget_asked();
        repository.misbehave_at(Asked::Fetch, Fault::Hang);
        let shown = look_at_process(&store, second, || repository.asked(Asked::Fetch) == 1).await;
        assert!(!shown.is_empty());
        assert_clean("a process", &shown.concat(), &needles);
        for fault in [Fault::Hang, Fault::Truncate(3), Fault::Status(401), Fault::Status(403), Fault::Status(500)] {
            repository.misbehave(fault);
            for error in [resolve(&store, "main").await.unwrap_err(), store.fetch(&[second]).await.unwrap_err()] {
                let told = format!("{error} {error:?} {}", serde_json::to_string(&error).unwrap());
                assert_clean("an error", &told, &needles);
            }
        }
    }
    for file in files(cache.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert_clean("the cache", &(file.display().to_string() + &String::from_utf8_lossy(&bytes)), &needles);
    }
    let logged = log.text();
    assert!(logged.contains("TRACE"), "nothing was logged");
    assert_clean("the log", &logged, &needles);
}

#[tokio::test]
async fn no_secret_of_ssh_comes_out_anywhere() {
    let log = Log::start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let (key, stranger) = (SshKey::generate(kind, "").unwrap(), SshKey::generate(kind, "").unwrap());
        let needles = needles(&[&key.private, &stranger.private]);
        let server = SshServer::start().await.unwrap();
        server.authorize(&key.public).unwrap();
        let repository = server.create("a").unwrap();
        let first = id(&repository.commit(&[("a", Some("1"))], "one").unwrap());
        let cache = tempfile::tempdir().unwrap();
        let stores = stores(cache.path(), Limits::default());
        let access = |key: &SshKey| Access {
            login: Login::Key(Secret::new(&*key.private)),
            known_hosts: server.known_hosts().into(),
            ..Access::default()
        };
        let store = stores.store(&url(repository.url()), &access(&key)).unwrap();
        assert_eq!(resolve(&store, "main").await, Ok(first));
        store.fetch(&[first]).await.unwrap();
        assert_clean("Debug", &format!("{:?} {store:?} {stores:?}", access(&key)), &needles);
        let shut = stores.store(&url(repository.url()), &access(&stranger)).unwrap();
        let error = resolve(&shut, "main").await.unwrap_err();
        assert!(matches!(error, GitError::KeyRefused { .. }), "{error}");
        assert_clean("an error", &format!("{error} {error:?}"), &needles);
        for file in files(cache.path()) {
            let bytes = std::fs::read(&file).unwrap();
            assert_clean("the cache", &(file.display().to_string() + &String::from_utf8_lossy(&bytes)), &needles);
        }
        let config = "ForceCommand sleep 600\n".to_owned();
        let slow = SshServer::start_with(SshServerOptions { config, ..SshServerOptions::default() }).await.unwrap();
        slow.authorize(&key.public).unwrap();
        let hanging = slow.create("a").unwrap();
        let access = Access { known_hosts: slow.known_hosts().into(), ..access(&key) };
        let store = stores.store(&url(hanging.url()), &access).unwrap();
        let shown = look_at_process(&store, first, || slow.connections() == 1).await;
        assert!(!shown.is_empty());
        assert_clean("a process", &shown.concat(), &needles);
        let logged = log.text();
        assert!(logged.contains("russh"), "nothing was logged");
        assert_clean("the log", &logged, &needles);
    }
}
