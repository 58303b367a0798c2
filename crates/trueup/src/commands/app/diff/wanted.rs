//! What Git says: fetched and rendered as the controller does it, or read from a directory. Entry point: [`load`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trueup_api::{App, Meta, Revision};
use trueup_controller::loading::{self, Frame, SourceError};
use trueup_controller::pins::PinError;
use trueup_render::{Answer, DiskTree, Rendered, Renderer, Request, Tree, Trees};

use crate::cache::CacheDir;
use crate::command_error::{CommandError, internal_error_with_message, user_error, user_error_with_message};
use crate::commands::app::diff::DiffArgs;
use crate::commands::app::view;
use crate::credentials::{Known, Logins};
use crate::loader::{Once, frame};
use crate::output::progress::Progress;
use crate::output::talk;
use crate::renderer;

/// What Git says, and how the diff calls it.
pub(super) struct Wanted {
    pub(super) rendered: Arc<Rendered>,
    pub(super) name: String,
}

/// Of which Application.
#[derive(Clone, Copy)]
pub(in crate::commands::app) struct Whose<'a> {
    pub(in crate::commands::app) meta: &'a Meta,
    pub(in crate::commands::app) app: &'a App,
}

/// Reads what Git, or the directory that stands for it, says.
pub(super) async fn load(
    logins: Logins<'_>,
    whose: Whose<'_>,
    args: &DiffArgs,
    asked: Option<Vec<String>>,
) -> Result<Wanted, CommandError> {
    if let Some(dir) = &args.local {
        let rendered = on_disk(logins, whose, dir).await?;
        return Ok(Wanted { rendered, name: dir.display().to_string() });
    }
    let wanted = revision(whose.app, asked);
    let loaded = fetched(logins, whose, args.cache_dir.as_ref(), &wanted).await?;
    let ids: Vec<String> = loaded.at.parts().iter().map(|id| view::short_revision(id).to_owned()).collect();
    Ok(Wanted { rendered: loaded.rendered, name: format!("git {wanted} ({})", ids.join(", ")) })
}

/// What somebody asks for, one part for each source, or the target revisions.
pub(in crate::commands::app) fn revision(app: &App, asked: Option<Vec<String>>) -> Revision {
    asked.map_or_else(|| app.target(), |parts| app.revision(parts))
}

/// What Git says at a revision.
pub(in crate::commands::app) async fn at_revision(
    logins: Logins<'_>,
    whose: Whose<'_>,
    cache_dir: Option<&PathBuf>,
    wanted: &Revision,
) -> Result<Arc<Rendered>, CommandError> {
    fetched(logins, whose, cache_dir, wanted).await.map(|loaded| loaded.rendered)
}

/// Reads an Application's one source for what stands in its place.
fn only(app: &App) -> Result<&trueup_api::Source, CommandError> {
    match app.sources.as_slice() {
        [source] => Ok(source),
        sources => {
            Err(user_error(format!("a directory stands for one source, and the Application has {}", sources.len())))
        }
    }
}

/// What a directory of this machine says that stands for the Application's path.
pub(in crate::commands::app) async fn on_disk(
    logins: Logins<'_>,
    whose: Whose<'_>,
    dir: &Path,
) -> Result<Arc<Rendered>, CommandError> {
    let source = only(whose.app)?;
    let Frame { capabilities, settings, .. } = frame(logins).await.unwrap_or_else(|error| {
        // Plain files need neither, and who may not read them may still compare.
        talk::warning(&format!("rendered without what the cluster serves: {}", error.lines().join(": ")));
        Frame::default()
    });
    let failed = |error| user_error_with_message(format!("'{}' cannot be rendered", dir.display()), error);
    let tree = DiskTree::new(dir).map_err(failed)?;
    let path = tree.top().to_owned();
    let request = Request {
        source: source.written.clone(),
        path,
        revision: String::new(),
        application: whose.meta.instance.clone(),
        application_namespace: whose.meta.namespace.clone(),
        project: whose.app.project.clone(),
        destination_namespace: whose.app.destination.namespace.clone(),
        settings,
    };
    let renderer = Renderer::new(None, renderer::workers(None)?);
    let decryption = trueup_controller::decryption(logins.cluster, logins.namespace, &whose.app.project).await;
    let answer = blocking(move || {
        let trees = Trees { decryptor: Some(Arc::new(decryption)), ..Trees::new(Arc::new(tree) as Arc<dyn Tree>) };
        renderer.render(&request, &trees, &capabilities)
    })
    .await?;
    match answer.map_err(failed)? {
        Answer::Rendered(rendered) => Ok(rendered),
        Answer::Needs(needs) => {
            let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
            Err(user_error(format!("'{}' needs what is not in it: {}", dir.display(), needs.join(", "))))
        }
    }
}

async fn fetched(
    logins: Logins<'_>,
    whose: Whose<'_>,
    cache_dir: Option<&PathBuf>,
    wanted: &Revision,
) -> Result<loading::Loaded, CommandError> {
    let known = Known::of(logins).await?;
    let cache = CacheDir::open(cache_dir.cloned(), "cli")?;
    let mut progress = Progress::start_on_terminal();
    progress.show("waiting for another trueup that uses the same cache");
    let _lock = lock(&cache.path).await?;
    progress.show(&format!("fetching {wanted}"));
    let once = Once::new(logins, &known, &cache)?;
    let loaded = Box::pin(loading::at(&once, whose.meta, whose.app, wanted, frame(logins).await?)).await;
    progress.end();
    loaded.map_err(|error| match error {
        SourceError::Pin(PinError::Git(error)) => known.failed(error),
        error => user_error_with_message("the source cannot be rendered", error),
    })
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
