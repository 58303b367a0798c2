//! A server, a repository on it, and a cache directory of our own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use trueup_bed::{GitServer, Repository};
use trueup_git::{Access, CommitId, FetchProgram, GitError, Limits, Proxies, RepoUrl, Store, Stores, StoresConfig};

pub(crate) struct Bench {
    pub(crate) server: GitServer,
    pub(crate) repository: Repository,
    pub(crate) cache: TempDir,
    pub(crate) stores: Stores,
    pub(crate) store: Arc<Store>,
}

pub(crate) fn fetch_exe() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_trueup-git-fetch"))
}

/// What the parent asks the fetch process, for tests that are the parent.
pub(crate) fn fetch_request(repository: &str, access: &Access, commit: CommitId, cache: &Path) -> serde_json::Value {
    let capabilities = serde_json::json!({"shallow": true, "object_format": true});
    serde_json::json!({
        "url": repository,
        "access": access,
        "proxies": Proxies::default(),
        "store": cache.join("store"),
        "cache_dir": cache,
        "limits": Limits::default(),
        "work": {"Fetch": {
            "commits": [commit],
            "used": [],
            "searched": [],
            "suspect": false,
            "discovered": {"base": repository, "capabilities": capabilities},
        }},
    })
}

/// The fetch processes that this one has started, by their directory in `/proc`. What they run is read from what everybody may
/// read: they keep the rest to themselves.
pub(crate) fn fetch_children() -> Vec<PathBuf> {
    let parent = format!("PPid:\t{}\n", std::process::id());
    let read = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|process| {
            Path::new(read(process.join("cmdline")).split('\0').next().unwrap_or_default()) == fetch_exe()
        })
        .filter(|process| read(process.join("status")).contains(&parent))
        .collect()
}

pub(crate) fn stores(cache: &Path, limits: Limits) -> Stores {
    // Whatever the environment of whoever runs the tests says.
    stores_behind(cache, limits, Proxies::default())
}

pub(crate) fn stores_behind(cache: &Path, limits: Limits, proxies: Proxies) -> Stores {
    let fetch_program = FetchProgram { exe: fetch_exe(), args: Vec::new() };
    Stores::new(StoresConfig { cache_dir: cache.to_owned(), fetch_program, limits, proxies }).unwrap()
}

pub(crate) fn url(text: &str) -> RepoUrl {
    RepoUrl::parse(text).unwrap()
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::limited(Limits::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        let server = GitServer::start().await.unwrap();
        let repository = server.create("team/app").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let stores = stores(cache.path(), limits);
        let store = stores.store(&url(repository.url()), &Access::default()).unwrap();
        Self { server, repository, cache, stores, store }
    }

    pub(crate) fn commit(&self, files: &[(&str, Option<&str>)]) -> CommitId {
        id(&self.repository.commit(files, "a commit").unwrap())
    }

    pub(crate) async fn resolve(&self, revision: &str) -> Result<CommitId, GitError> {
        resolve(&self.store, revision).await
    }

    pub(crate) async fn fetch(&self, commit: CommitId) -> Result<(), GitError> {
        self.store.fetch(&[commit]).await
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(self.repository.dir(), args, "")
    }

    /// The directory of the only store.
    pub(crate) fn dir(&self) -> PathBuf {
        let dirs = store_dirs(self.cache.path());
        let [dir] = dirs.as_slice() else { panic!("{dirs:?}") };
        dir.clone()
    }

    pub(crate) fn packs(&self) -> usize {
        packs(&self.dir())
    }
}

pub(crate) fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

pub(crate) async fn resolve(store: &Store, revision: &str) -> Result<CommitId, GitError> {
    store.resolve(&[revision.to_owned()]).await.and_then(|mut found| found.remove(0))
}

pub(crate) fn store_dirs(cache: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

pub(crate) fn packs(store: &Path) -> usize {
    let entries = std::fs::read_dir(store.join("objects/pack")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "pack")).count()
}

/// The text of the file at a path of a commit, read through the store.
pub(crate) fn text(store: &Store, commit: CommitId, path: &str) -> Result<String, GitError> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let tree = store.tree(&commit, dir)?;
    let entry = store.entries(&tree)?.into_iter().find(|entry| entry.name == name);
    match entry.map(|entry| entry.kind) {
        Some(trueup_git::EntryKind::File { id, .. }) => Ok(String::from_utf8(store.blob(&id, 1 << 20)?).unwrap()),
        other => panic!("{path} is {other:?}"),
    }
}

/// Runs git, which must succeed, without anybody's configuration.
pub(crate) fn git(dir: &Path, args: &[&str], input: &str) -> String {
    String::from_utf8(git_bytes(dir, args, input.as_bytes())).unwrap().trim().to_owned()
}

pub(crate) fn git_bytes(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// git's own judgement of a store.
pub(crate) fn fsck(store: &Path) {
    git(store, &["fsck", "--strict", "--no-dangling"], "");
}
