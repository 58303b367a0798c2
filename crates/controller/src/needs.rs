//! What a render needs and its source does not hold: remote bases, files, charts.
//!
//! What was fetched is kept for as long as the tips of repositories are believed. Invariant: nothing is fetched that the project
//! does not permit as a source. Entry point: [`fetch`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

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

/// What a file of the Web is called in its tree.
const FILE: &str = "file";

/// What was fetched, by project: one may see what another may not.
#[derive(Default)]
pub struct Kept(Mutex<HashMap<(String, Need), (Instant, Fetched)>>);

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
    /// It goes on and on.
    #[error("what is needed needs more and more: after {rounds} rounds it was given up")]
    Endless {
        /// How often something was fetched.
        rounds: usize,
    },
}

/// Fetches what is needed, or answers what was fetched a moment ago unless it is to be fetched `again`.
pub(crate) async fn fetch(loader: &impl Loader, app: &App, need: Need, again: bool) -> Result<Fetched, NeedError> {
    let key = (app.project.clone(), need);
    let (kept, fresh) = loader.kept();
    if let Some((at, fetched)) = lock(&kept.0).get(&key)
        && !again
        && at.elapsed() < fresh
    {
        return Ok(fetched.clone());
    }
    let asked = Instant::now();
    let fetched = match &key.1 {
        Need::Resource { url } => resource(loader, app, &key.1, url).await?,
        Need::Chart { repository, name, version } => chart(loader, app, &key.1, (repository, name, version)).await?,
    };
    let mut kept = lock(&kept.0);
    if kept.len() >= KEPT_MAX {
        kept.retain(|_, (at, _)| at.elapsed() < fresh);
    }
    if kept.len() < KEPT_MAX {
        kept.insert(key, (asked, fetched.clone()));
    }
    Ok(fetched)
}

async fn resource(loader: &impl Loader, app: &App, need: &Need, url: &str) -> Result<Fetched, NeedError> {
    match RemoteBase::parse(url) {
        RemoteBase::Repository { url, path, revision } => {
            permitted(loader, app, need, &url)?;
            let failed = |error| NeedError::Git { what: need.to_string(), error };
            let store = loader.store(&url, &app.project).await.map_err(failed)?;
            let commit = match revision.parse::<CommitId>() {
                Ok(commit) => commit,
                Err(_) => loader.resolve(&store, &revision).await.map_err(failed)?.commit,
            };
            store.fetch(&[commit]).await.map_err(failed)?;
            Ok(Fetched { need: need.clone(), tree: Arc::new(CommitTree::new(store, commit)), path })
        }
        RemoteBase::File { url } => {
            permitted(loader, app, need, &url)?;
            file(loader, app, need, &url).await
        }
    }
}

/// A chart that another one depends on, at its root.
async fn chart(
    loader: &impl Loader,
    app: &App,
    need: &Need,
    (repository, name, version): (&str, &str, &str),
) -> Result<Fetched, NeedError> {
    permitted(loader, app, need, repository)?;
    let failed = |error| NeedError::Registry { what: need.to_string(), error: Box::new(error) };
    let access = loader.registry_access(repository, &app.project).map_err(|error| failed(error.into()))?;
    let package = Package::chart(repository, name, &access, false).map_err(failed)?;
    let registry = loader.registry();
    let resolved = registry.resolve(&package, version, std::time::Instant::now()).await.map_err(failed)?;
    let archive = registry.fetch(&package, &resolved).await.map_err(failed)?;
    let tree = Arc::new(ArchiveTree::new(archive.files.clone(), archive.digest.clone()));
    Ok(Fetched { need: need.clone(), tree, path: String::new() })
}

/// A file of the Web, as the only one of a tree.
async fn file(loader: &impl Loader, app: &App, need: &Need, url: &str) -> Result<Fetched, NeedError> {
    let failed = |error| NeedError::Registry { what: need.to_string(), error: Box::new(error) };
    let access = loader.registry_access(url, &app.project).map_err(|error| failed(error.into()))?;
    let content = loader.registry().file(url, &access.access).await.map_err(failed)?;
    let digest = trueup_object::Digest::of(&content).to_string();
    let tree = Arc::new(ArchiveTree::new(BTreeMap::from([(FILE.to_owned(), content)]), digest));
    Ok(Fetched { need: need.clone(), tree, path: FILE.to_owned() })
}

/// Whether the project permits a repository.
fn permitted(loader: &impl Loader, app: &App, need: &Need, url: &str) -> Result<(), NeedError> {
    if loader.permits(&app.project, url) { Ok(()) } else { Err(forbidden(app, need)) }
}

fn forbidden(app: &App, need: &Need) -> NeedError {
    NeedError::Forbidden { what: need.to_string(), project: app.project.clone() }
}
