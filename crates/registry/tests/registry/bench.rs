//! What the tests share.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trueup_git::{Access, Login, Proxies, RegistryAccess, Secret};
use trueup_registry::{Archive, Limits, Package, Registry, RegistryConfig, RegistryError, Resolved};

/// A registry client with a cache directory of its own.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) registry: Registry,
}

/// Patience with a server that says nothing: longer than a busy machine takes to answer.
pub(crate) const IDLE: Duration = Duration::from_secs(2);

pub(crate) fn bench() -> Bench {
    bench_with(Limits::default())
}

pub(crate) fn bench_with(limits: Limits) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path(), limits);
    Bench { dir, registry }
}

pub(crate) fn open(dir: &Path, limits: Limits) -> Registry {
    let cache_dir = dir.join("cache");
    Registry::open(RegistryConfig { cache_dir, proxies: Proxies::default(), limits }).unwrap()
}

impl Bench {
    /// What a question that is put now is answered.
    pub(crate) async fn resolve(&self, package: &Package, wanted: &str) -> Result<Resolved, RegistryError> {
        self.registry.resolve(package, wanted, Instant::now()).await
    }

    /// The files of what it is at now.
    pub(crate) async fn get(&self, package: &Package, wanted: &str) -> Result<Arc<Archive>, RegistryError> {
        let resolved = self.resolve(package, wanted).await?;
        self.registry.fetch(package, &resolved).await
    }

    pub(crate) fn requests(&self) -> u64 {
        self.registry.counters().requests
    }
}

pub(crate) fn plain() -> RegistryAccess {
    RegistryAccess { oci_over_http: true, ..RegistryAccess::default() }
}

pub(crate) fn basic(username: &str, password: &str) -> RegistryAccess {
    let login = Login::Basic { username: username.to_owned(), password: Secret::new(password) };
    RegistryAccess { access: Access { login, ..Access::default() }, ..plain() }
}

pub(crate) fn chart(url: &str, name: &str) -> Package {
    Package::chart(url, name, &plain(), false).unwrap()
}

pub(crate) fn artifact(url: &str) -> Package {
    Package::artifact(url, &plain()).unwrap()
}

/// A file of an archive.
pub(crate) fn text<'a>(archive: &'a Archive, path: &str) -> &'a str {
    std::str::from_utf8(&archive.files[path]).unwrap()
}
