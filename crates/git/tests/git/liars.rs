//! Servers that answer by the rules of HTTP, but not the truth.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use trueup_git::{Access, ClientCertificate, CommitId, GitError, Limits, Login, Secret, Store, Tls};

use crate::bench::{Bench, git, git_bytes, id, resolve, stores, text, url};

/// What a liar says: to the first request, to a listing, to a fetch.
#[derive(Clone, Default)]
struct Lies {
    discovery: Vec<u8>,
    listing: Vec<u8>,
    pack: Vec<u8>,
}

struct Liar {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Liar {
    async fn start(lies: Lies) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a.git", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                let body = loop {
                    let read = socket.read(&mut piece).await.unwrap_or(0);
                    request.extend_from_slice(&piece[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if read == 0 || body.len() >= length.unwrap_or(0) {
                        break body.to_owned();
                    }
                };
                ears.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                let answer = if request.starts_with(b"GET") {
                    &lies.discovery
                } else if body.contains("command=ls-refs") {
                    &lies.listing
                } else {
                    &lies.pack
                };
                let _ = socket.write_all(answer).await;
                let _ = socket.shutdown().await;
            }
        });
        Self { url, heard, task }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }
}

fn http(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn packet(content: &[u8]) -> Vec<u8> {
    [format!("{:04x}", content.len() + 4).as_bytes(), content].concat()
}

fn lines(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| packet(line.as_bytes())).chain(*b"0000").collect()
}

fn advertisement(text: &[&str]) -> Vec<u8> {
    http("200 OK", "application/x-git-upload-pack-advertisement", &lines(text))
}

fn result(body: &[u8]) -> Vec<u8> {
    http("200 OK", "application/x-git-upload-pack-result", body)
}

/// A fetch's answer with this pack.
fn packfile(pack: &[u8]) -> Vec<u8> {
    let bands = pack.chunks(60_000).flat_map(|piece| packet(&[&[1], piece].concat()));
    result(&packet(b"packfile\n").into_iter().chain(bands).chain(*b"0000").collect::<Vec<u8>>())
}

const HONEST: [&str; 4] = ["version 2\n", "ls-refs\n", "fetch=shallow\n", "object-format=sha1\n"];

/// A commit, and packs of it: whole, and without its file.
struct Material {
    bench: Bench,
    commit: CommitId,
    whole: Vec<u8>,
    without_file: Vec<u8>,
}

async fn material() -> Material {
    let bench = Bench::new().await;
    let commit = bench.commit(&[("dir/a", Some("1"))]);
    let dir = bench.repository.dir();
    let pack = |ids: &str| git_bytes(dir, &["pack-objects", "--stdout", "--quiet"], ids.as_bytes());
    let objects = git(dir, &["rev-list", "--objects", "--no-object-names", "main"], "");
    let blob = git(dir, &["rev-parse", "main:dir/a"], "");
    let fewer: String = objects.lines().filter(|line| *line != blob).map(|line| format!("{line}\n")).collect();
    let (whole, without_file) = (pack(&format!("{objects}\n")), pack(&fewer));
    Material { bench, commit, whole, without_file }
}

/// Asks a liar for a commit.
async fn ask(material: &Material, pack: Vec<u8>, commit: CommitId) -> (Result<(), GitError>, Arc<Store>, Liar) {
    let lies = Lies { discovery: advertisement(&HONEST), listing: result(b"0000"), pack };
    let liar = Liar::start(lies).await;
    let store = material.bench.stores.store(&url(&liar.url), &Access::default()).unwrap();
    (store.fetch(&[commit]).await, store, liar)
}

#[tokio::test]
async fn an_honest_answer_by_this_server_is_accepted() {
    let material = material().await;
    let (outcome, store, _liar) = ask(&material, packfile(&material.whole), material.commit).await;
    outcome.unwrap();
    assert_eq!(text(&store, material.commit, "dir/a").unwrap(), "1");
}

#[tokio::test]
async fn a_pack_that_is_not_what_was_asked_for_is_not_kept() {
    let material = material().await;
    let wanted = id("0123456789abcdef0123456789abcdef01234567");
    let mut flipped = material.whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut claims_more = material.whole.clone();
    claims_more[11] = 200;
    let cases: [(&str, Vec<u8>, CommitId); 8] = [
        ("another commit", packfile(&material.whole), wanted),
        ("a commit without its files", packfile(&material.without_file), material.commit),
        ("a damaged pack", packfile(&flipped), material.commit),
        ("a pack that claims more objects than it has", packfile(&claims_more), material.commit),
        ("a pack that ends early", packfile(&material.whole[..material.whole.len() - 10]), material.commit),
        ("garbage", packfile(b"this is no pack at all"), material.commit),
        ("nothing", packfile(b""), material.commit),
        ("no pack section", result(b"0000"), material.commit),
    ];
    for (name, pack, commit) in cases {
        let (outcome, store, _liar) = ask(&material, pack, commit).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. } | GitError::CommitNotFound { .. }), "{name}: {error}");
        assert!(!store.has(&commit), "{name}");
        assert!(store.tree(&commit, "").is_err(), "{name}");
    }
    // None of it is left on disk.
    for dir in crate::bench::store_dirs(material.bench.cache.path()) {
        assert_eq!(crate::bench::packs(&dir), 0, "{}", dir.display());
    }
}

#[tokio::test]
async fn an_error_in_the_middle_is_the_servers_word() {
    let material = material().await;
    let body = [packet(b"packfile\n"), packet(b"\x03disk quota exceeded\x1b[31m\n"), b"0000".to_vec()].concat();
    let (outcome, _, _liar) = ask(&material, result(&body), material.commit).await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, GitError::Server { message, .. } if message.starts_with("disk quota exceeded")),
        "{error}"
    );
    assert!(!error.to_string().contains('\x1b'), "no control character reaches a terminal");
}

#[tokio::test]
async fn what_is_no_git_server_of_ours_is_told_apart() {
    let cache = tempfile::tempdir().unwrap();
    let stores = stores(cache.path(), Limits::default());
    let id = "0123456789abcdef0123456789abcdef01234567";
    let old =
        [lines(&["# service=git-upload-pack\n"]), lines(&[&format!("{id} HEAD\0multi_ack side-band-64k\n")])].concat();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("a web page", http("200 OK", "text/html", b"<html>"), "is this the URL of a repository"),
        ("version 0", http("200 OK", "application/x-git-upload-pack-advertisement", &old), "version 2"),
        ("sha256", advertisement(&["version 2\n", "fetch\n", "object-format=sha256\n"]), "sha256"),
        ("no fetch", advertisement(&["version 2\n", "ls-refs\n"]), "version 2"),
        (
            "not packets",
            http("200 OK", "application/x-git-upload-pack-advertisement", b"zzzz"),
            "not valid Git protocol",
        ),
        ("its own error", advertisement(&["ERR we are closed\n"]), "we are closed"),
    ];
    for (name, discovery, words) in cases {
        let liar = Liar::start(Lies { discovery, ..Lies::default() }).await;
        let store = stores.store(&url(&liar.url), &Access::default()).unwrap();
        let error = resolve(&store, "main").await.unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_listing_that_lies_is_no_answer() {
    let cache = tempfile::tempdir().unwrap();
    let stores = stores(cache.path(), Limits::default());
    let id = "0123456789abcdef0123456789abcdef01234567";
    let cases = [
        result(&lines(&["nonsense\n"])),
        result(&lines(&["0123 refs/heads/main\n"])),
        result(&packet(format!("{id} refs/heads/main\n").as_bytes())),
        result(b"0001"),
        result(b""),
    ];
    for listing in cases {
        let liar = Liar::start(Lies { discovery: advertisement(&HONEST), listing, ..Lies::default() }).await;
        let store = stores.store(&url(&liar.url), &Access::default()).unwrap();
        let error = resolve(&store, "main").await.unwrap_err();
        assert!(matches!(error, GitError::Protocol { .. }), "{error}");
    }
    // Refs that nobody asked for are not taken for what was asked.
    let listing = result(&lines(&[&format!("{id} refs/heads/main2\n"), &format!("{id} refs/heads/mai\n")]));
    let liar = Liar::start(Lies { discovery: advertisement(&HONEST), listing, ..Lies::default() }).await;
    let store = stores.store(&url(&liar.url), &Access::default()).unwrap();
    assert!(matches!(resolve(&store, "main").await, Err(GitError::RevisionNotFound { .. })));
}

#[tokio::test]
async fn a_redirect_carries_no_login_to_another_server() {
    let material = material().await;
    let cache = tempfile::tempdir().unwrap();
    let stores = stores(cache.path(), Limits::default());
    let thief = Liar::start(Lies { discovery: advertisement(&HONEST), ..Lies::default() }).await;
    let redirect = |to: &str| {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
    };
    let suffix = "/info/refs?service=git-upload-pack";
    let liar = Liar::start(Lies { discovery: redirect(&format!("{}{suffix}", thief.url)), ..Lies::default() }).await;
    let login = stores.store(&url(&liar.url.replace("http://", "http://bot:hunter2@")), &Access::default()).unwrap();
    let error = resolve(&login, "main").await.unwrap_err();
    assert!(matches!(&error, GitError::Redirected { target, .. } if thief.url.starts_with(target)), "{error}");
    let port = thief.url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    assert!(error.to_string().contains(&format!(":{port}")), "which server it would be: {error}");
    assert!(liar.heard().contains("uthorization: Basic"), "the server itself gets the login");
    assert_eq!(thief.heard(), "");
    let certified = trueup_bed::Authority::new("clients").unwrap().certify(&["trueup"]).unwrap();
    let client = Some(ClientCertificate { certificate: certified.certificate, key: Secret::new(certified.key) });
    let basic = Login::Basic { username: "bot".to_owned(), password: Secret::new("hunter2") };
    for access in [
        Access { login: basic, ..Access::default() },
        Access { login: Login::Bearer(Secret::new("hunter2")), ..Access::default() },
        Access { tls: Tls { client, ..Tls::default() }, ..Access::default() },
    ] {
        let error = resolve(&stores.store(&url(&liar.url), &access).unwrap(), "main").await.unwrap_err();
        assert!(matches!(&error, GitError::Redirected { .. }), "{error}");
        assert_eq!(thief.heard(), "");
    }
    // Without a login, it may lead elsewhere, but not to a file, a login page, or round and round.
    let honest = material.bench.repository.url();
    for (to, well) in [
        (format!("{honest}{suffix}"), true),
        ("file:///etc/passwd".to_owned(), false),
        (format!("{honest}/login"), false),
        (suffix.to_owned(), false),
        (format!("/a.git{suffix}"), false),
        (String::new(), false),
    ] {
        let liar = Liar::start(Lies { discovery: redirect(&to), ..Lies::default() }).await;
        let store = stores.store(&url(&liar.url), &Access::default()).unwrap();
        let outcome = resolve(&store, "main").await;
        assert_eq!(outcome.is_ok(), well, "{to}: {outcome:?}");
        assert!(well || matches!(outcome, Err(GitError::Redirected { .. })), "{to}: {outcome:?}");
        if well {
            store.fetch(&[material.commit]).await.unwrap();
        }
    }
}
