//! What Git says: fetched and rendered as the controller does it, or read from a directory. Entry point: [`load`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trueup_api::App;
use trueup_git::{CommitId, RepoUrl};
use trueup_render::{DirectoryOptions, Rendered, Renderer, render_directory};

use crate::cache::CacheDir;
use crate::command_error::{
    CommandError, internal_error, internal_error_with_message, user_error, user_error_with_message,
};
use crate::commands::app::diff::DiffArgs;
use crate::commands::app::view;
use crate::credentials::{Logins, Reach};
use crate::output::progress::Progress;

/// What Git says, and how the diff calls it.
pub(super) struct Wanted {
    pub(super) rendered: Arc<Rendered>,
    pub(super) name: String,
}

/// Reads what Git, or the directory that stands for it, says.
pub(super) async fn load(logins: Logins<'_>, app: &App, args: &DiffArgs) -> Result<Wanted, CommandError> {
    let options = options(app);
    check(app)?;
    match &args.local {
        Some(dir) => from_disk(dir, options).await,
        None => from_git(logins, app, args, options).await,
    }
}

/// What Git says at a revision.
pub(in crate::commands::app) async fn at_revision(
    logins: Logins<'_>,
    app: &App,
    cache_dir: Option<&PathBuf>,
    revision: &str,
) -> Result<Arc<Rendered>, CommandError> {
    check(app)?;
    fetched(logins, app, cache_dir, revision, options(app)).await.map(|(_, rendered)| rendered)
}

/// Why a source cannot be rendered at all.
fn check(app: &App) -> Result<(), CommandError> {
    if !app.source.path.is_empty() {
        return Ok(());
    }
    let fields: Vec<&str> = app.unsupported.iter().map(|unsupported| unsupported.field.as_str()).collect();
    Err(user_error(format!("the source of the Application cannot be rendered yet: {}", fields.join(", "))))
}

pub(crate) fn options(app: &App) -> DirectoryOptions {
    let directory = &app.source.directory;
    DirectoryOptions {
        recurse: directory.recurse,
        include: directory.include.clone(),
        exclude: directory.exclude.clone(),
    }
}

/// What a directory of this machine says that stands for the Application's path.
pub(in crate::commands::app) async fn on_disk(app: &App, dir: &Path) -> Result<Arc<Rendered>, CommandError> {
    from_disk(dir, options(app)).await.map(|wanted| wanted.rendered)
}

async fn from_disk(dir: &Path, options: DirectoryOptions) -> Result<Wanted, CommandError> {
    let path = dir.to_path_buf();
    let rendered = blocking(move || render_directory(&path, &options)).await?;
    let rendered =
        rendered.map_err(|error| user_error_with_message(format!("'{}' cannot be rendered", dir.display()), error))?;
    Ok(Wanted { rendered: Arc::new(rendered), name: dir.display().to_string() })
}

async fn from_git(
    logins: Logins<'_>,
    app: &App,
    args: &DiffArgs,
    options: DirectoryOptions,
) -> Result<Wanted, CommandError> {
    let revision = args.revision.as_deref().unwrap_or(&app.source.target_revision).to_owned();
    let (commit, rendered) = fetched(logins, app, args.cache_dir.as_ref(), &revision, options).await?;
    let id = commit.to_string();
    Ok(Wanted { rendered, name: format!("git {} ({})", view::or(&revision, "HEAD"), view::short_revision(&id)) })
}

/// What the source said at a commit that was synced once.
pub(super) async fn at_commit(
    logins: Logins<'_>,
    app: &App,
    args: &DiffArgs,
    commit: &str,
) -> Result<Arc<Rendered>, CommandError> {
    fetched(logins, app, args.cache_dir.as_ref(), commit, options(app)).await.map(|(_, rendered)| rendered)
}

async fn fetched(
    logins: Logins<'_>,
    app: &App,
    cache_dir: Option<&PathBuf>,
    revision: &str,
    options: DirectoryOptions,
) -> Result<(CommitId, Arc<Rendered>), CommandError> {
    let source = &app.source;
    let url = RepoUrl::parse(&source.repo_url)
        .map_err(|error| user_error_with_message("the repository cannot be used", error))?;
    let reach = Reach::of(logins, &url, &app.project).await?;
    let cache = CacheDir::open(cache_dir.cloned(), "cli")?;
    let mut progress = Progress::start_on_terminal();
    progress.show("waiting for another trueup that uses the same cache");
    let _lock = lock(&cache.path).await?;
    progress.show(&format!("fetching {} of {url}", view::or(revision, "HEAD")));
    let store = reach.store(&url, &cache)?;
    let failed = |error| reach.failed(error);
    let resolved = store.resolve(&[revision.to_owned()]).await.map_err(failed)?;
    let commit =
        resolved.into_iter().next().ok_or_else(|| internal_error("a revision was not looked up"))?.map_err(failed)?;
    store.fetch(&[commit]).await.map_err(failed)?;
    progress.end();
    let path = source.path.clone();
    let rendered = blocking(move || Renderer::new(None, None).render_plain(&store, &commit, &path, &options)).await?;
    let what = format!("'{}' cannot be rendered at commit {commit}", source.path);
    let rendered = rendered.map_err(|error| user_error_with_message(what, error))?;
    Ok((commit, rendered))
}

/// One process at a time: stores are made for one.
async fn lock(dir: &Path) -> Result<File, CommandError> {
    let path = dir.join("lock");
    let failed = |error: std::io::Error| internal_error_with_message("cannot lock the cache directory", error);
    blocking(move || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    })
    .await?
    .map_err(failed)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| internal_error_with_message("a worker ended without an answer", error))
}
