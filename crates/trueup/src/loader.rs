//! Fetches and renders for a command, as the controller does, and once. Entry point: [`Once::new`].

use std::sync::Arc;
use std::time::Duration;

use trueup_controller::capabilities::Serves;
use trueup_controller::loading::{Frame, Loader};
use trueup_controller::needs::Kept;
use trueup_controller::{Decryption, decryption};
use trueup_git::{GitError, Proxies, RegistryAccess, RepoUrl, Resolved, Store, Stores};
use trueup_registry::{Limits, Registry, RegistryConfig};
use trueup_render::Renderer;

use crate::access;
use crate::cache::CacheDir;
use crate::command_error::{CommandError, internal_error_with_message};
use crate::credentials::{Known, Logins, stores_config};
use crate::renderer;

/// What was fetched counts until the command ends.
const FRESH: Duration = Duration::from_hours(1);

/// Fetches and renders.
pub(crate) struct Once<'a> {
    logins: Logins<'a>,
    known: &'a Known,
    stores: Stores,
    registry: Arc<Registry>,
    renderer: Arc<Renderer>,
    kept: Kept,
}

/// What the cluster of an Application serves, and what its installation says about rendering.
pub(crate) async fn frame(logins: Logins<'_>) -> Result<Frame, CommandError> {
    let serves = Serves::default().now(logins.cluster).await;
    let serves = serves.map_err(|error| access::explained("the API server does not say what it serves", error))?;
    let settings = trueup_controller::rendering(logins.cluster, logins.namespace).await;
    let settings = settings.map_err(|error| access::explained("the ConfigMap argocd-cm cannot be read", error))?;
    Ok(Frame { capabilities: serves.capabilities, settings: Arc::new(settings), again: false })
}

// === impl Once ===

impl<'a> Once<'a> {
    /// Below a directory for the cache, which nobody else uses meanwhile.
    pub(crate) fn new(logins: Logins<'a>, known: &'a Known, cache: &CacheDir) -> Result<Self, CommandError> {
        let failed = |error: &dyn std::error::Error| {
            internal_error_with_message("the cache directory cannot be used", error.to_string())
        };
        let stores = Stores::new(stores_config(cache)?).map_err(|error| failed(&error))?;
        let registry = Registry::open(RegistryConfig {
            cache_dir: cache.path.join("archives"),
            proxies: Proxies::from_env(),
            limits: Limits::default(),
        });
        let registry = Arc::new(registry.map_err(|error| failed(&error))?);
        let renderer = Arc::new(Renderer::new(None, renderer::workers(None)?));
        Ok(Self { logins, known, stores, registry, renderer, kept: Kept::default() })
    }
}

impl Loader for Once<'_> {
    async fn store(&self, url: &str, project: &str) -> Result<Arc<Store>, GitError> {
        let url = RepoUrl::parse(url)?;
        self.stores.store(&url, &self.known.credentials.access(&url, project)?)
    }

    async fn resolve(&self, store: &Store, revision: &str) -> Result<Resolved, GitError> {
        let outcomes = store.look_up(&[revision.to_owned()]).await?;
        let unknown = || Err(GitError::InvalidRevision { revision: revision.to_owned() });
        outcomes.into_iter().next().unwrap_or_else(unknown)
    }

    fn registry_access(&self, url: &str, project: &str) -> Result<RegistryAccess, GitError> {
        self.known.credentials.registry_access(url, project)
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Who looks may read what they can read; the controller judges by the project.
    fn permits(&self, _project: &str, _url: &str) -> bool {
        true
    }

    fn renderer(&self) -> &Arc<Renderer> {
        &self.renderer
    }

    fn kept(&self) -> (&Kept, Duration) {
        (&self.kept, FRESH)
    }

    async fn decryption(&self, project: &str) -> Decryption {
        decryption(self.logins.cluster, self.logins.namespace, project).await
    }
}
