//! What a render needs and its source does not hold: remote bases, files, charts.
//!
//! What was fetched is kept for as long as the tips of repositories are believed. Invariant: nothing is fetched that the project
//! does not permit as a source. Entry point: [`fetch`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::App;
use trueup_git::{CommitId, GitError};
use trueup_registry::{Package, RegistryError};
use trueup_render::{ArchiveTree, CommitTree, Fetched, Need};

use crate::loading::Loader;
use crate::remote_base::RemoteBase;
use crate::world::lock;

/// So much is kept at most: more than applications refer to.
const KEPT_MAX: usize = 2000;
/// Bytes of files that are kept at most. Commits are on disk and archives kept elsewhere too: what is beyond is asked for again.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that one render may need beside its sources: a renderer reads no more of all files together.
pub(crate) const NEEDED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a file of the Web is called in its tree.
const FILE: &str = "file";

/// What was fetched, by project: one may see what another may not.
#[derive(Default)]
pub struct Kept(Mutex<HashMap<(String, Need), (Instant, Needed)>>);

/// What was fetched, and how many bytes of it are held in memory.
#[derive(Clone)]
pub(crate) struct Needed {
    pub(crate) fetched: Fetched,
    pub(crate) bytes: u64,
}

/// Why something that a render needs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NeedError {
    /// The project does not permit it.
    #[error(
        "'{what}' is needed, and project '{project}' does not permit its repository: add it to the project's sourceRepos, or copy what is needed into the source"
    )]
    Forbidden {
        /// What is needed.
        what: String,
        /// The project.
        project: String,
    },
    /// The repository, the revision or the commit.
    #[error("'{what}' is needed and cannot be had: {error}")]
    Git {
        /// What is needed.
        what: String,
        /// Why.
        error: GitError,
    },
    /// A chart, or a file of the Web.
    #[error("'{what}' is needed and cannot be had: {error}")]
    Registry {
        /// What is needed.
        what: String,
        /// Why.
        error: Box<RegistryError>,
    },
    /// It would be read from our own disk.
    #[error(
        "'{what}' is needed, and it is no repository of the network: write https://… or ssh://…, or copy what is needed into the source"
    )]
    OfDisk {
        /// What is needed.
        what: String,
    },
    /// It goes on and on.
    #[error("what is needed needs more and more: after {rounds} rounds it was given up")]
    Endless {
        /// How often something was fetched.
        rounds: usize,
    },
    /// It is too much together.
    #[error(
        "what is needed has more than {limit} bytes together: put it into repositories, of which only what is read is taken into memory"
    )]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
}

// === impl Kept ===

impl Kept {
    fn keep(&self, key: (String, Need), asked: Instant, needed: Needed, fresh: Duration) {
        let mut kept = lock(&self.0);
        let has_room = |kept: &HashMap<_, (Instant, Needed)>| {
            let bytes: u64 = kept.values().map(|(_, needed)| needed.bytes).sum();
            kept.len() < KEPT_MAX && bytes.saturating_add(needed.bytes) <= KEPT_BYTES_MAX
        };
        kept.remove(&key);
        if !has_room(&kept) {
            kept.retain(|_, (at, _)| at.elapsed() < fresh);
        }
        if has_room(&kept) {
            kept.insert(key, (asked, needed));
        }
    }
}

/// Fetches what is needed, or answers what was fetched a moment ago unless it is to be fetched `again`. What the project does
/// not permit now is not answered, whenever it was fetched.
pub(crate) async fn fetch(loader: &impl Loader, app: &App, need: Need, again: bool) -> Result<Needed, NeedError> {
    if !loader.permits(&app.project, &place(&need)) {
        return Err(NeedError::Forbidden { what: need.to_string(), project: app.project.clone() });
    }
    let key = (app.project.clone(), need);
    let (kept, fresh) = loader.kept();
    if let Some((at, needed)) = lock(&kept.0).get(&key)
        && !again
        && at.elapsed() < fresh
    {
        return Ok(needed.clone());
    }
    let asked = Instant::now();
    let needed = match &key.1 {
        Need::Resource { url } => resource(loader, app, &key.1, url).await?,
        Need::Chart { repository, name, version } => chart(loader, app, &key.1, (repository, name, version)).await?,
    };
    kept.keep(key, asked, needed.clone(), fresh);
    Ok(needed)
}

/// Where it is, as a project permits it.
fn place(need: &Need) -> String {
    match need {
        Need::Chart { repository, .. } => repository.clone(),
        Need::Resource { url } => match RemoteBase::parse(url) {
            RemoteBase::Repository { url, .. } => url,
            // What a server is asked in a query is nothing that a project permits.
            RemoteBase::File { url } => trueup_registry::place(&url).to_owned(),
        },
    }
}

async fn resource(loader: &impl Loader, app: &App, need: &Need, url: &str) -> Result<Needed, NeedError> {
    match RemoteBase::parse(url) {
        // The controller's own disk is nobody's base.
        RemoteBase::Repository { url, .. } if is_of_disk(&url) => Err(NeedError::OfDisk { what: need.to_string() }),
        RemoteBase::Repository { url, path, revision } => {
            let failed = |error| NeedError::Git { what: need.to_string(), error };
            let store = loader.store(&url, &app.project).await.map_err(failed)?;
            let commit = match revision.parse::<CommitId>() {
                Ok(commit) => commit,
                Err(_) => loader.resolve(&store, &revision).await.map_err(failed)?.commit,
            };
            store.fetch(&[commit]).await.map_err(failed)?;
            let fetched = Fetched { need: need.clone(), tree: Arc::new(CommitTree::new(store, commit)), path };
            Ok(Needed { fetched, bytes: 0 })
        }
        RemoteBase::File { url } => file(loader, app, need, &url).await,
    }
}

/// A chart that another one depends on, at its root.
async fn chart(
    loader: &impl Loader,
    app: &App,
    need: &Need,
    (repository, name, version): (&str, &str, &str),
) -> Result<Needed, NeedError> {
    let failed = |error| NeedError::Registry { what: need.to_string(), error: Box::new(error) };
    let access = loader.registry_access(repository, &app.project).map_err(|error| failed(error.into()))?;
    let package = Package::chart(repository, name, &access, false).map_err(failed)?;
    let registry = loader.registry();
    let resolved = registry.resolve(&package, version, std::time::Instant::now()).await.map_err(failed)?;
    let archive = registry.fetch(&package, &resolved).await.map_err(failed)?;
    let bytes = archive.files.values().map(|content| content.len() as u64).sum();
    let tree = Arc::new(ArchiveTree::new(archive.files.clone(), archive.digest.clone()));
    Ok(Needed { fetched: Fetched { need: need.clone(), tree, path: String::new() }, bytes })
}

/// A file of the Web, as the only one of a tree.
async fn file(loader: &impl Loader, app: &App, need: &Need, url: &str) -> Result<Needed, NeedError> {
    let failed = |error| NeedError::Registry { what: need.to_string(), error: Box::new(error) };
    let access = loader.registry_access(url, &app.project).map_err(|error| failed(error.into()))?;
    let content = loader.registry().file(url, &access.access).await.map_err(failed)?;
    let (digest, bytes) = (trueup_object::Digest::of(&content).to_string(), content.len() as u64);
    let tree = Arc::new(ArchiveTree::new(BTreeMap::from([(FILE.to_owned(), content)]), digest));
    Ok(Needed { fetched: Fetched { need: need.clone(), tree, path: FILE.to_owned() }, bytes })
}

fn is_of_disk(url: &str) -> bool {
    let url = url.trim().to_ascii_lowercase();
    url.starts_with("file:") || url.starts_with('/') || url.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(bytes: u64) -> Needed {
        let need = Need::Resource { url: "https://h/a.yaml".to_owned() };
        let tree = Arc::new(ArchiveTree::new(BTreeMap::new(), String::new()));
        Needed { fetched: Fetched { need, tree, path: String::new() }, bytes }
    }

    fn key(name: &str) -> (String, Need) {
        ("p".to_owned(), Need::Resource { url: name.to_owned() })
    }

    #[test]
    fn a_project_permits_a_place_and_no_query() {
        let table = [
            ("https://h/secret.json?x=/ours/a.yaml", "https://h/secret.json"),
            ("https://h/ours/a.yaml#b", "https://h/ours/a.yaml#b"),
            ("https://h/org/repo//base?ref=v1&token=x", "https://h/org/repo"),
        ];
        for (url, expected) in table {
            assert_eq!(place(&Need::Resource { url: url.to_owned() }), expected, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let (kept, fresh) = (Kept::default(), Duration::from_mins(1));
        let names = |kept: &Kept| {
            let mut names: Vec<String> = lock(&kept.0).keys().map(|(_, need)| need.to_string()).collect();
            names.sort();
            names
        };
        kept.keep(key("a"), Instant::now(), needed(KEPT_BYTES_MAX - 1), fresh);
        kept.keep(key("b"), Instant::now(), needed(2), fresh);
        kept.keep(key("c"), Instant::now(), needed(1), fresh);
        assert_eq!(names(&kept), ["a", "c"]);
        // What is fetched again takes the place of what was.
        kept.keep(key("a"), Instant::now(), needed(3), fresh);
        kept.keep(key("d"), Instant::now(), needed(KEPT_BYTES_MAX), fresh);
        assert_eq!(names(&kept), ["a", "c"]);
        tokio::time::advance(fresh).await;
        kept.keep(key("d"), Instant::now(), needed(KEPT_BYTES_MAX), fresh);
        assert_eq!(names(&kept), ["d"]);
    }

    #[test]
    fn a_base_on_our_own_disk_is_told() {
        for url in ["file:///etc", "FILE:///etc", "/etc", "../x"] {
            assert!(is_of_disk(url), "{url}");
        }
        for url in ["https://h/a", "git@h:a", "ssh://h/a"] {
            assert!(!is_of_disk(url), "{url}");
        }
    }
}
