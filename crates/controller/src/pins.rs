//! What the sources of an application are at: of each the repository and the commit, or the chart or artifact and its version.
//!
//! Entry points: [`tips`] for the target revisions, [`at`] for another one.

use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{App, Revision, Source, SourceKind};
use trueup_git::{CommitId, GitError, Store, TagId};
use trueup_registry::{Package, RegistryError, Resolved};
use trueup_render::{ArchiveTree, CommitTree, Tree};

use crate::loading::Loader;
use crate::world::World;

/// What a source is at.
#[derive(Clone)]
pub(crate) enum Pin {
    Commit {
        store: Arc<Store>,
        commit: CommitId,
        /// The annotated tag by which the commit was found.
        tag: Option<TagId>,
    },
    Package(Box<(Package, Resolved)>),
}

/// Why it is not known what a source is at, or its files cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The repository, the revision or the commit.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The chart or the artifact.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// The pins at the target revisions. A refresh demands a listing that is newer than `not_before`.
pub(crate) async fn tips(
    world: &World,
    name: &str,
    app: &App,
    not_before: Option<Instant>,
) -> Result<Vec<Pin>, PinError> {
    let mut commits = world.repositories.tips(name, app, not_before).await?.into_iter();
    let mut packages = world.charts.tips(&world.logins, name, app, not_before).await?.into_iter();
    let pins = app.sources.iter().filter_map(|source| match source.kind {
        SourceKind::Git => commits.next().map(|(store, tip)| Pin::Commit { store, commit: tip.commit, tag: tip.tag }),
        SourceKind::Chart | SourceKind::Artifact => packages.next().map(|found| Pin::Package(Box::new(found))),
    });
    Ok(pins.collect())
}

/// The pin of one source at another revision; empty is its target revision.
pub(crate) async fn at(loader: &impl Loader, app: &App, source: &Source, wanted: &str) -> Result<Pin, PinError> {
    let wanted = if wanted.is_empty() { &source.target_revision } else { wanted };
    if source.kind != SourceKind::Git {
        let package = package(source, &loader.registry_access(&source.repo_url, &app.project)?)?;
        let resolved = loader.registry().resolve(&package, wanted, std::time::Instant::now()).await?;
        return Ok(Pin::Package(Box::new((package, resolved))));
    }
    let store = loader.store(&source.repo_url, &app.project).await?;
    let found = match wanted.parse::<CommitId>() {
        Ok(commit) => commit.into(),
        Err(_) => loader.resolve(&store, wanted).await?,
    };
    Ok(Pin::Commit { store, commit: found.commit, tag: found.tag })
}

/// What a source that is no Git repository asks a registry for.
pub(crate) fn package(source: &Source, access: &trueup_git::RegistryAccess) -> Result<Package, RegistryError> {
    let written = &source.written;
    let pass_credentials = written.helm.as_ref().is_some_and(|helm| helm.pass_credentials);
    match source.kind {
        SourceKind::Artifact => Package::artifact(&source.repo_url, access),
        _ => Package::chart(&source.repo_url, &written.chart, access, pass_credentials),
    }
}

/// What the application is at with these.
pub(crate) fn revision(app: &App, pins: &[Pin]) -> Revision {
    app.revision(pins.iter().map(Pin::part).collect())
}

// === impl Pin ===

impl Pin {
    /// Its part of the revision.
    pub(crate) fn part(&self) -> String {
        match self {
            Self::Commit { commit, .. } => commit.to_string(),
            Self::Package(package) => package.1.version.clone(),
        }
    }

    /// What its part of the revision does not tell of its files: an archive may be replaced under its version, and a pointer be
    /// read where it was not.
    pub(crate) fn content(&self) -> String {
        match self {
            Self::Commit { store, .. } => if store.reads_lfs() { "lfs" } else { "" }.to_owned(),
            Self::Package(package) => package.1.digest.clone().unwrap_or_default(),
        }
    }

    /// The files, fetched if they are not there yet.
    pub(crate) async fn tree(&self, loader: &impl Loader) -> Result<Arc<dyn Tree>, PinError> {
        match self {
            Self::Commit { store, commit, .. } => {
                store.fetch(&[*commit]).await?;
                Ok(Arc::new(CommitTree::new(Arc::clone(store), *commit)))
            }
            Self::Package(package) => {
                let (package, resolved) = &**package;
                let archive = loader.registry().fetch(package, resolved).await?;
                Ok(Arc::new(ArchiveTree::new(archive.files.clone(), archive.digest.clone())))
            }
        }
    }
}
