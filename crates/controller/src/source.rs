//! From an application's source to its manifests: revision, commit, render.
//!
//! A commit that leaves the application's directory alone costs a look at its tree id and nothing else. Entry points:
//! [`at_target`], [`at_asked`] and [`at_commit`].

use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{App, Source};
use trueup_git::{CommitId, GitError, Store};
use trueup_object::Digest;
use trueup_render::{DirectoryOptions, RenderError, Rendered};

use crate::memory::Memory;
use crate::world::World;

/// What an application's source is at a commit.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) commit: CommitId,
    pub(crate) rendered: Arc<Rendered>,
}

/// Why a source cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The repository, the revision or the commit.
    #[error("{0}")]
    Git(#[from] GitError),
    /// The files at the commit.
    #[error("{error} (revision {commit})")]
    Render {
        /// The commit that does not render.
        commit: CommitId,
        /// Why.
        error: RenderError,
    },
    /// The worker thread ended.
    #[error("rendering ended without an answer: {0}")]
    Ended(String),
}

/// The source at the tip of its target revision. A refresh demands a listing that is newer than `not_before`.
pub(crate) async fn at_target(
    world: &World,
    name: &str,
    app: &App,
    not_before: Option<Instant>,
    memory: &mut Memory,
) -> Result<Loaded, (Option<CommitId>, SourceError)> {
    let source = &app.source;
    let tip = world.repositories.tip(name, app, not_before).await;
    let (store, commit) = tip.map_err(|error| (None, error.into()))?;
    let cause = cause(source);
    if let Some((known, of, rendered)) = &memory.rendered
        && *known == commit
        && *of == cause
    {
        return Ok(Loaded { commit, rendered: Arc::clone(rendered) });
    }
    let rendered = load(world, store, commit, source).await.map_err(|error| (Some(commit), error))?;
    memory.rendered = Some((commit, cause, Arc::clone(&rendered)));
    Ok(Loaded { commit, rendered })
}

/// The source at another revision, as somebody asks for by hand, or why that cannot be had.
pub(crate) async fn at_asked(world: &World, app: &App, revision: &str) -> Result<Loaded, String> {
    let loaded = match revision.parse::<CommitId>() {
        Ok(commit) => at_commit(world, app, commit).await,
        Err(_) => at_revision(world, app, revision).await,
    };
    loaded.map_err(|error| format!("revision {revision} cannot be loaded: {error}"))
}

async fn at_revision(world: &World, app: &App, revision: &str) -> Result<Loaded, SourceError> {
    let (store, commit) = world.repositories.resolve(app, revision).await?;
    Ok(Loaded { commit, rendered: load(world, store, commit, &app.source).await? })
}

/// The source at a commit that was synced once.
pub(crate) async fn at_commit(world: &World, app: &App, commit: CommitId) -> Result<Loaded, SourceError> {
    let store = world.repositories.store(app)?;
    Ok(Loaded { commit, rendered: load(world, store, commit, &app.source).await? })
}

async fn load(
    world: &World,
    store: Arc<Store>,
    commit: CommitId,
    source: &Source,
) -> Result<Arc<Rendered>, SourceError> {
    store.fetch(&[commit]).await?;
    let renderer = Arc::clone(&world.renderer);
    let (path, options) = (source.path.clone(), options(source));
    // Reading and parsing block: not on the threads that serve everybody.
    let rendered = tokio::task::spawn_blocking(move || renderer.render(&store, &commit, &path, &options)).await;
    let rendered = rendered.map_err(|error| SourceError::Ended(error.to_string()))?;
    rendered.map_err(|error| SourceError::Render { commit, error })
}

fn options(source: &Source) -> DirectoryOptions {
    let directory = &source.directory;
    DirectoryOptions {
        recurse: directory.recurse,
        include: directory.include.clone(),
        exclude: directory.exclude.clone(),
    }
}

/// What a render depends on beside the commit.
fn cause(source: &Source) -> Digest {
    let directory = &source.directory;
    let recurse = if directory.recurse { "r" } else { "" };
    Digest::of_parts([&source.repo_url, &source.path, recurse, &directory.include, &directory.exclude])
}
