//! The sources of an application as the controller loads them: at the tips that its repositories are known to be at.
//!
//! Entry points: [`at_target`] and [`at`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{App, Meta, Revision};
use trueup_git::{GitError, RegistryAccess, Resolved, Store};
use trueup_object::Digest;
use trueup_registry::Registry;
use trueup_render::{Decrypt as _, Renderer};

use crate::decryption::Decryption;
use crate::loading::{self, Frame, Loaded, Loader, SourceError};
use crate::memory::Memory;
use crate::needs::Kept;
use crate::pins::{self, Pin};
use crate::signatures;
use crate::world::World;

/// The sources at the tips of their target revisions. A refresh demands a listing that is newer than `not_before`.
pub(crate) async fn at_target(
    world: &World,
    meta: &Meta,
    app: &App,
    not_before: Option<Instant>,
    memory: &mut Memory,
) -> Result<Loaded, (Option<Revision>, SourceError)> {
    let pins =
        Box::pin(pins::tips(world, &meta.instance, app, not_before)).await.map_err(|error| (None, error.into()))?;
    let at = pins::revision(app, &pins);
    let failed = |error| (Some(at.clone()), error);
    // Also what is known already: a key may have gone since.
    signatures::check(world, app, &pins).await.map_err(failed)?;
    let (mut frame, serves) = frame(world).await.map_err(failed)?;
    frame.again = memory.render_again;
    let keys = world.decryption(&app.project).await.identity();
    let cause = cause(world, app, &pins, &frame, [serves, keys]);
    if let Some((of, known)) = &memory.loaded
        && !frame.again
        && known.at == at
        && *of == cause
    {
        return Ok(known.clone());
    }
    let loaded = Box::pin(loading::load(world, meta, app, pins, frame)).await.map_err(failed)?;
    memory.render_again = false;
    memory.unstable |= loaded.differs;
    memory.loaded = Some((cause, loaded.clone()));
    Ok(loaded)
}

/// The sources at another revision, as somebody asks for by hand, or why that cannot be had. An empty part is the target
/// revision of that source.
pub(crate) async fn at_asked(world: &World, meta: &Meta, app: &App, asked: &Revision) -> Result<Loaded, String> {
    at(world, meta, app, asked).await.map_err(|error| format!("revision {asked} cannot be loaded: {error}"))
}

/// The sources at a revision.
pub(crate) async fn at(world: &World, meta: &Meta, app: &App, wanted: &Revision) -> Result<Loaded, SourceError> {
    let mut pins = Box::pin(loading::pins_at(world, app, wanted)).await?;
    if let Err(untrusted) = signatures::check(world, app, &pins).await {
        if !by_their_tags(world, meta, app, &mut pins) {
            return Err(untrusted);
        }
        signatures::check(world, app, &pins).await?;
    }
    let (frame, _) = frame(world).await?;
    Box::pin(loading::load(world, meta, app, pins, frame)).await
}

/// The sources at a revision that was synced, to be compared with and for nothing else: whose signature counted then may not
/// count now.
pub(crate) async fn at_synced(world: &World, meta: &Meta, app: &App, synced: &Revision) -> Result<Loaded, SourceError> {
    let (frame, _) = frame(world).await?;
    Box::pin(loading::at(world, meta, app, synced, frame)).await
}

/// Names the tags of the target revisions where these are at the very commits: a sync that goes on names its commit, while the
/// signature is the tag's. Answers whether there is any.
fn by_their_tags(world: &World, meta: &Meta, app: &App, pins: &mut [Pin]) -> bool {
    let mut found = false;
    for (source, pin) in app.sources.iter().zip(pins) {
        let Pin::Commit { commit, tag: tag @ None, .. } = pin else { continue };
        let tip = world.repositories.known_tip(&meta.instance, &source.repo_url, &source.target_revision);
        if let Some(tip) = tip.filter(|tip| tip.commit == *commit && tip.tag.is_some()) {
            *tag = tip.tag;
            found = true;
        }
    }
    found
}

async fn frame(world: &World) -> Result<(Frame, Digest), SourceError> {
    let serves = world.serves.now(&world.cluster).await?;
    Ok((Frame { capabilities: serves.capabilities, settings: world.settings.get(), again: false }, serves.digest))
}

/// What a render depends on beside the revision, and who may have what it needs.
fn cause(world: &World, app: &App, pins: &[Pin], frame: &Frame, [serves, keys]: [Digest; 2]) -> Digest {
    let written = app.sources.iter().map(|source| serde_json::to_vec(&source.written).unwrap_or_default());
    let others = [
        serves.to_string(),
        keys.to_string(),
        format!("{:?}", frame.settings),
        app.destination.namespace.clone(),
        app.project.clone(),
        world.projects.get(&app.project).map(|project| project.sources_digest().to_string()).unwrap_or_default(),
    ];
    let pinned = pins.iter().map(|pin| pin.content().into_bytes());
    Digest::of_parts(written.chain(others.map(String::into_bytes)).chain(pinned))
}

// === impl World ===

impl Loader for World {
    async fn store(&self, url: &str, project: &str) -> Result<Arc<Store>, GitError> {
        self.repositories.store(url, project)
    }

    async fn resolve(&self, store: &Store, revision: &str) -> Result<Resolved, GitError> {
        self.repositories.resolve(store, revision).await
    }

    fn registry_access(&self, url: &str, project: &str) -> Result<RegistryAccess, GitError> {
        self.logins.registry_access(url, project)
    }

    fn registry(&self) -> &Arc<Registry> {
        self.charts.registry()
    }

    fn permits(&self, project: &str, url: &str) -> bool {
        self.projects.get(project).is_ok_and(|project| project.permits_source(url))
    }

    fn renderer(&self) -> &Arc<Renderer> {
        &self.renderer
    }

    fn kept(&self) -> (&Kept, Duration) {
        (&self.needs, self.resync)
    }

    async fn decryption(&self, project: &str) -> Decryption {
        self.keyring.decryption(&self.projects, &self.namespace, project).await
    }
}
