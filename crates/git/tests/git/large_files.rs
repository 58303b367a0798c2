//! Files that are kept in Git LFS, with pointers that the real `git lfs` made.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use trueup_bed::Asked;
use trueup_git::{Access, CommitId, EntryKind, GitError, Login, Secret, Store};

use crate::bench::{Bench, git_bytes, text, url};

const MANIFEST: &str = "kind: ConfigMap\n# kept in LFS\n";

/// Puts a file into LFS, as git does when it is added; answers its pointer.
fn clean(bench: &Bench, content: &str) -> String {
    let pointer = String::from_utf8(git_bytes(bench.repository.dir(), &["lfs", "clean"], content.as_bytes())).unwrap();
    assert!(pointer.starts_with("version https://git-lfs.github.com/spec/v1\noid sha256:"), "{pointer}");
    pointer
}

fn oid(pointer: &str) -> &str {
    pointer.split_once("sha256:").unwrap().1.get(..64).unwrap()
}

/// Where `git lfs` keeps the file of a pointer.
fn kept(bench: &Bench, pointer: &str) -> PathBuf {
    let oid = oid(pointer);
    bench.repository.dir().join("lfs/objects").join(&oid[..2]).join(&oid[2..4]).join(oid)
}

fn login() -> Login {
    Login::Basic { username: "bot".to_owned(), password: Secret::new("hunter2") }
}

/// A store that reads what is kept in LFS.
fn store(bench: &Bench, login: Login) -> Arc<Store> {
    let access = Access { login, lfs: true, ..Access::default() };
    bench.stores.store(&url(bench.repository.url()), &access).unwrap()
}

async fn read(store: &Store, commit: CommitId, path: &str) -> Result<String, GitError> {
    store.fetch(&[commit]).await.unwrap();
    text(store, commit, path)
}

/// How often the server was asked for something about LFS.
fn asked(bench: &Bench) -> usize {
    bench.repository.asked(Asked::Other)
}

#[tokio::test]
async fn a_file_is_read_in_place_of_its_pointer() {
    let bench = Bench::new().await;
    bench.repository.require_login("bot", "hunter2");
    let (one, two) = (clean(&bench, MANIFEST), clean(&bench, "kind: Secret\n"));
    let commit = bench.commit(&[("a/b/one.yaml", Some(&one)), ("two.yaml", Some(&two)), ("plain.yaml", Some("a: 1"))]);
    let store = store(&bench, login());
    assert_eq!(read(&store, commit, "a/b/one.yaml").await.unwrap(), MANIFEST);
    assert_eq!(text(&store, commit, "two.yaml").unwrap(), "kind: Secret\n");
    assert_eq!(text(&store, commit, "plain.yaml").unwrap(), "a: 1");
    assert_eq!(asked(&bench), 3, "one request for both, and one each");

    // Nothing is asked twice, whoever moves the file; another commit costs what is new in it.
    let moved = bench.commit(&[("a/b/one.yaml", None), ("c.yaml", Some(&one))]);
    assert_eq!(read(&store, moved, "c.yaml").await.unwrap(), MANIFEST);
    store.fetch(&[commit, moved]).await.unwrap();
    assert_eq!(asked(&bench), 3);

    // The limit is on the file, not on its pointer.
    let entries = store.entries(&store.tree(&moved, "").unwrap()).unwrap();
    let EntryKind::File { id, .. } = &entries[0].kind else { panic!("{entries:?}") };
    let error = store.blob(id, MANIFEST.len() as u64 - 1);
    assert!(error.is_err(), "{error:?}");

    // Who does not ask for LFS gets what is in Git.
    let access = Access { login: login(), ..Access::default() };
    let plain = bench.stores.store(&url(bench.repository.url()), &access).unwrap();
    assert_eq!(text(&plain, moved, "c.yaml").unwrap(), one);
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_an_error_of_who_reads_it() {
    let bench = Bench::new().await;
    let [lost, forged, longer] = ["lost\n", "forged\n", "longer\n"].map(|content| clean(&bench, content));
    std::fs::remove_file(kept(&bench, &lost)).unwrap();
    for (pointer, lie) in [(&forged, "FORGED\n"), (&longer, "longer than that\n")] {
        std::fs::write(kept(&bench, pointer), lie).unwrap();
    }
    let huge = forged.replace("size 7", "size 99999999999");
    let files = [("lost", &lost), ("forged", &forged), ("longer", &longer), ("huge", &huge)];
    let files = files.map(|(name, pointer)| (name, Some(pointer.as_str())));
    let commit = bench.commit(&[&files[..], &[("good", Some("a: 1"))]].concat());
    let store = store(&bench, Login::None);
    store.fetch(&[commit]).await.unwrap();
    assert_eq!(text(&store, commit, "good").unwrap(), "a: 1");
    let table = [
        ("lost", "kept in Git LFS, and cannot be read: the server answers: Object does not exist"),
        ("forged", "the server sends something else: its size or SHA-256 differs"),
        ("longer", "the server sends more than the file has"),
        ("huge", "99999999999 bytes: more than the"),
    ];
    for (path, expected) in table {
        let error = text(&store, commit, path).unwrap_err().to_string();
        assert!(error.contains(expected), "{path}: {error}");
    }
    let before = asked(&bench);
    store.fetch(&[commit]).await.unwrap();
    assert_eq!(asked(&bench), before, "not asked again at once");
}

#[tokio::test]
async fn a_server_without_lfs_or_with_another_login_is_told() {
    let bench = Bench::new().await;
    let pointer = clean(&bench, MANIFEST);
    let commit = bench.commit(&[("a.yaml", Some(&pointer))]);
    for (fault, expected) in
        [(404, "has no Git LFS for it (404)"), (403, "refuses our login for Git LFS (403)"), (500, "HTTP status 500")]
    {
        let store = store(&bench, Login::Basic { username: format!("user{fault}"), password: Secret::new("x") });
        bench.repository.misbehave_at(Asked::Other, trueup_bed::Fault::Status(fault));
        let error = read(&store, commit, "a.yaml").await.unwrap_err();
        assert!(matches!(error, GitError::LargeFile { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// A server that answers every request with the same, and remembers what it heard.
struct Raw {
    url: String,
    heard: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Raw {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(String::new()));
        let ears = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut piece = [0; 1024];
                    let read = socket.read(&mut piece).await.unwrap_or(0);
                    if read == 0 {
                        break;
                    }
                    request.extend_from_slice(&piece[..read]);
                }
                ears.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
            }
        });
        Self { url, heard, task }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().to_lowercase()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn our_login_and_the_ticket_go_no_further_than_they_are_meant_for() {
    let bench = Bench::new().await;
    bench.repository.require_login("bot", "hunter2");
    let storage = Raw::start(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{MANIFEST}", MANIFEST.len())).await;
    let front =
        Raw::start(format!("HTTP/1.1 302 Found\r\nlocation: {}/x\r\ncontent-length: 0\r\n\r\n", storage.url)).await;
    bench.repository.keep_large_files_at(&front.url);
    let commit = bench.commit(&[("a.yaml", Some(&clean(&bench, MANIFEST)))]);
    let store = store(&bench, login());
    assert_eq!(read(&store, commit, "a.yaml").await.unwrap(), MANIFEST);
    assert!(front.heard().contains("x-ticket: let me in"), "{}", front.heard());
    for server in [&front, &storage] {
        assert!(!server.heard().contains("authorization"), "{}", server.heard());
    }
    assert!(storage.heard().starts_with("get /x ") && !storage.heard().contains("ticket"), "{}", storage.heard());

    for (place, expected) in [
        ("file:///etc", "at a file URL, which is not followed"),
        ("nonsense", "the server names no URL for it"),
        ("http://127.0.0.1:1", "cannot be reached"),
    ] {
        bench.repository.keep_large_files_at(place);
        let commit = bench.commit(&[("a.yaml", Some(&clean(&bench, place)))]);
        let error = read(&store, commit, "a.yaml").await.unwrap_err().to_string();
        assert!(error.contains(expected), "{place}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
