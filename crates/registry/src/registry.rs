//! All Helm repositories and registries of a process: what was learned of them, and the archives that were fetched.
//!
//! Invariant: what one login may read is never served to another. Everything is asked once, whoever and however many want it.
//! Entry points: [`Registry::resolve`] and [`Registry::fetch`].

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::Semaphore;
use trueup_git::{Proxies, Web};

use crate::archives::Archives;
use crate::cost::Cost;
use crate::digest::Digest;
use crate::flights::{Age, Flights};
use crate::helm::{Helm, Location};
use crate::index::Index;
use crate::manifest::{Blob, Manifest};
use crate::oci::Oci;
use crate::package::{Kind, Source};
use crate::tokens::Tokens;
use crate::transfer::Counts;
use crate::unpack::{Layout, unpack};
use crate::{ArchiveError, Limits, Package, RegistryError};

/// How packages are had.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// The directory for archives. It is a cache: what is missing is fetched again.
    pub cache_dir: PathBuf,
    /// The way out, for repositories that name none of their own.
    pub proxies: Proxies,
    /// What a package may cost.
    pub limits: Limits,
}

/// What a version, a range or a tag is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resolved {
    /// The version of a chart as its repository writes it; the digest of an artifact. This is the revision.
    pub version: String,
    /// What it must have: the digest of the manifest in a registry, of the archive in a Helm repository. Helm repositories may
    /// name none.
    pub digest: Option<String>,
}

/// The files of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// By their paths: below the chart's directory, or the root of an artifact.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What has the same has the same files: the digest of the archive as it was sent, and which of its directories they are of.
    pub digest: String,
}

/// What was asked of servers since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests of all kinds, those for tokens and those that redirects made necessary included.
    pub requests: u64,
    /// Downloads of archives, failed ones included.
    pub downloads: u64,
}

/// All Helm repositories and registries of this process.
#[derive(Debug)]
pub struct Registry {
    pub(crate) shared: Shared,
    archives: Arc<Archives>,
    unpacked: Flights<ArchiveKey, Arc<Archive>>,
    /// One permit for each download that may run.
    slots: Semaphore,
}

/// What questions to servers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) web: Arc<Web>,
    pub(crate) limits: Limits,
    pub(crate) indexes: Flights<Source, Arc<Index>>,
    pub(crate) tags: Flights<Source, Arc<[String]>>,
    /// What each tag is at.
    pub(crate) digests: Flights<(Source, String), Digest>,
    /// By their digests.
    pub(crate) manifests: Flights<(Source, String), Arc<Manifest>>,
    pub(crate) tokens: Tokens,
    /// One permit for each index that may be read.
    pub(crate) index_slots: Semaphore,
    pub(crate) counts: Counts,
}

/// What makes two archives one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ArchiveKey {
    /// Who may read it where.
    scope: String,
    /// Its digest, or, where none is known, its place and when it was made.
    id: String,
    layout: Layout,
}

// === impl Registry ===

impl Registry {
    /// Prepares the cache directory; asks nobody yet.
    pub fn open(config: RegistryConfig) -> Result<Self, RegistryError> {
        let RegistryConfig { cache_dir, proxies, limits } = config;
        let archives = Archives::open(&cache_dir, limits.disk_bytes, limits.archive_bytes);
        let archives = archives.map_err(|error| RegistryError::Cache {
            path: cache_dir.display().to_string(),
            detail: error.to_string(),
        })?;
        let shared = Shared {
            web: Web::new(proxies, trueup_git::Limits { idle: limits.idle, ..trueup_git::Limits::default() }),
            indexes: Flights::new(limits.indexes, limits.indexes_bytes),
            tags: Flights::new(limits.listings, limits.indexes_bytes),
            digests: Flights::new(limits.listings, u64::MAX),
            manifests: Flights::new(limits.listings, u64::MAX),
            tokens: Tokens::new(),
            index_slots: Semaphore::new(limits.index_reads.max(1)),
            counts: Counts::default(),
            limits,
        };
        let (unpacked, slots) =
            (Flights::new(limits.archives, limits.memory_bytes), Semaphore::new(limits.downloads.max(1)));
        Ok(Self { shared, archives: Arc::new(archives), unpacked, slots })
    }

    /// Looks up what a version, a range of versions, a tag or a digest is at.
    ///
    /// An answer that a server gave to a question put at `since` or later is good enough: whoever asks for the same repository
    /// for the same reason shares one question. Nothing is the highest version of a chart that is no pre-release.
    pub async fn resolve(&self, package: &Package, wanted: &str, since: Instant) -> Result<Resolved, RegistryError> {
        let age = Age::Since(since);
        match (package.source.kind, &package.chart) {
            (Kind::Helm, Some(chart)) => Helm::open(&self.shared, package, chart)?.resolve(wanted, age).await,
            _ => Oci::open(&self.shared, package)?.resolve(wanted, age).await,
        }
    }

    /// The files of what was resolved: from memory, from the cache, or from the server.
    pub async fn fetch(&self, package: &Package, resolved: &Resolved) -> Result<Arc<Archive>, RegistryError> {
        if let (Kind::Helm, Some(chart)) = (package.source.kind, &package.chart) {
            let helm = Helm::open(&self.shared, package, chart)?;
            return self.of_helm(&helm, package, chart, resolved).await;
        }
        let oci = Oci::open(&self.shared, package)?;
        let digest = resolved.digest.as_deref().and_then(Digest::parse);
        let digest = digest.ok_or_else(|| RegistryError::InvalidVersion {
            package: package.to_string(),
            wanted: resolved.version.clone(),
        })?;
        let blob = oci.blob(&digest).await?;
        self.of_blob(&oci, package, blob).await
    }

    /// What was asked of all servers.
    pub fn counters(&self) -> Counters {
        let Counts { requests, downloads } = &self.shared.counts;
        Counters { requests: requests.load(Ordering::Relaxed), downloads: downloads.load(Ordering::Relaxed) }
    }

    /// Lets go of all other repositories and logins, in memory and on disk. Blocks for as long as deleting takes.
    pub fn keep_only(&self, packages: &[Package]) {
        let sources: HashSet<&Source> = packages.iter().map(|package| &package.source).collect();
        let Shared { web, indexes, tags, digests, manifests, tokens, .. } = &self.shared;
        // They hold settings, and keys, that nobody may have any more; those in use are made anew.
        web.clear();
        indexes.retain(|source| sources.contains(source));
        tags.retain(|source| sources.contains(source));
        digests.retain(|(source, _)| sources.contains(source));
        manifests.retain(|(source, _)| sources.contains(source));
        tokens.retain(|source| sources.contains(source));
        let scopes: Result<HashSet<String>, _> = sources.iter().map(|source| self.archives.scope(source)).collect();
        match scopes {
            Ok(scopes) => {
                self.unpacked.retain(|key| scopes.contains(&key.scope));
                self.archives.keep_only(&scopes);
            }
            Err(error) => tracing::warn!(%error, "cannot tell which archives are not used"),
        }
    }

    async fn of_helm(
        &self,
        helm: &Helm<'_>,
        package: &Package,
        chart: &str,
        resolved: &Resolved,
    ) -> Result<Arc<Archive>, RegistryError> {
        let entry = helm.found(resolved).await?;
        let layout = Layout { below: Some(last_name(chart)), gzip: true };
        let location = helm.location(&entry)?;
        let place = match &location {
            Location::Web(url) => url.to_string(),
            Location::Oci { package, tag } => format!("{package} {tag}"),
        };
        let unnamed = format!("{place} {} {}", entry.version, entry.created);
        let download = async || match &location {
            Location::Web(url) => helm.download(url).await,
            Location::Oci { package, tag } => {
                let oci = Oci::open(&self.shared, package)?;
                let blob = oci.blob_at(tag, Age::Since(Instant::now())).await?;
                let bytes = oci.download(&blob).await?;
                checked(package, Some(&blob.digest), bytes)
            }
        };
        self.archive(package, entry.digest, unnamed, layout, download).await
    }

    async fn of_blob(&self, oci: &Oci<'_>, package: &Package, blob: Blob) -> Result<Arc<Archive>, RegistryError> {
        let name = package.chart.as_deref().map(last_name).unwrap_or_default();
        let layout = Layout { below: blob.chart.then_some(name), gzip: blob.gzip };
        let digest = Some(blob.digest.clone());
        self.archive(package, digest, String::new(), layout, async || oci.download(&blob).await).await
    }

    /// The archive of a digest, or, where none is known, of whatever tells it from others.
    async fn archive<F>(
        &self,
        package: &Package,
        digest: Option<Digest>,
        unnamed: String,
        layout: Layout,
        download: impl FnOnce() -> F,
    ) -> Result<Arc<Archive>, RegistryError>
    where
        F: Future<Output = Result<Vec<u8>, RegistryError>>,
    {
        let scope = self.archives.scope(&package.source)?;
        let id = digest.as_ref().map_or(unnamed, ToString::to_string);
        let key = ArchiveKey { scope: scope.clone(), id, layout };
        let make = async |_| {
            if let Some(digest) = digest.clone() {
                let (archives, scope) = (Arc::clone(&self.archives), scope.clone());
                let cached = tokio::task::spawn_blocking(move || archives.read(&scope, &digest)).await;
                if let Ok(Some(bytes)) = cached {
                    return self.unpacked(package, &key, bytes, None).await;
                }
            }
            let _slot = self.slots.acquire().await;
            self.shared.counts.downloads.fetch_add(1, Ordering::Relaxed);
            let bytes = checked(package, digest.as_ref(), download().await?)?;
            self.unpacked(package, &key, bytes, digest.clone()).await
        };
        self.unpacked.get(&key, Age::Any, make).await
    }

    /// Unpacks, and caches what has a digest to be found by.
    async fn unpacked(
        &self,
        package: &Package,
        key: &ArchiveKey,
        bytes: Vec<u8>,
        cached_as: Option<Digest>,
    ) -> Result<Arc<Archive>, RegistryError> {
        let (archives, limits, key) = (Arc::clone(&self.archives), self.shared.limits, key.clone());
        let unpacked = tokio::task::spawn_blocking(move || {
            let files = unpack(&bytes, &key.layout, &limits)?;
            if let Some(digest) = cached_as {
                archives.write(&key.scope, &digest, &bytes);
            }
            // One archive may be taken for a chart here, and for an artifact there.
            let below = key.layout.below.as_ref().map(|name| format!(" below '{name}'")).unwrap_or_default();
            Ok(Arc::new(Archive { files, digest: format!("{}{below}", Digest::of(&bytes)) }))
        });
        let unpacked = unpacked.await.map_err(|error| ArchiveError::Malformed(error.to_string())).flatten();
        unpacked.map_err(|problem| RegistryError::Archive { package: package.to_string(), problem })
    }
}

impl Cost for Archive {
    fn cost(&self) -> u64 {
        self.files.iter().map(|(path, content)| (path.len() + content.len() + size_of::<String>()) as u64).sum()
    }
}

impl Cost for Digest {
    fn cost(&self) -> u64 {
        size_of::<Self>() as u64
    }
}

/// The bytes, if they have the digest that was promised.
fn checked(package: &Package, promised: Option<&Digest>, bytes: Vec<u8>) -> Result<Vec<u8>, RegistryError> {
    match promised {
        Some(expected) if !expected.fits(&bytes) => Err(RegistryError::Digest {
            package: package.to_string(),
            what: "the archive".to_owned(),
            expected: expected.to_string(),
            actual: expected.of_the_same_kind(&bytes).to_string(),
        }),
        _ => Ok(bytes),
    }
}

/// The directory in a chart's archive is called by the last part of its name.
fn last_name(chart: &str) -> String {
    chart.trim_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}
