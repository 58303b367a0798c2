//! Helm repositories: the index, asked for again only if it has changed, and the archives that it names.
//!
//! Invariant: the login goes to the repository's own server; to another one that the index names only where the package says so.
//! Entry points: [`Helm::resolve`] and [`Helm::found`], [`Helm::download`].

use std::sync::Arc;

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Method, StatusCode, Url};
use trueup_git::{Access, Login, Site, Tls, near};

use crate::flights::Age;
use crate::index::{Entry, Index};
use crate::package::is_oci;
use crate::registry::{Resolved, Shared};
use crate::transfer::{Show, Wire, within};
use crate::version::{NoRange, choose, newest};
use crate::{Package, RegistryError};

/// A chart of a Helm repository.
pub(crate) struct Helm<'a> {
    shared: &'a Shared,
    package: &'a Package,
    chart: &'a str,
    site: Site,
}

/// Where an archive is.
pub(crate) enum Location {
    /// At a URL.
    Web(Url),
    /// In a registry, under a tag.
    Oci {
        /// Which repository of it.
        package: Box<Package>,
        /// The tag.
        tag: String,
    },
}

impl<'a> Helm<'a> {
    pub(crate) fn open(shared: &'a Shared, package: &'a Package, chart: &'a str) -> Result<Self, RegistryError> {
        let site = shared.web.open(&package.source.url, &package.source.access)?;
        Ok(Self { shared, package, chart, site })
    }

    /// Looks up a version, or the highest one within a range.
    pub(crate) async fn resolve(&self, wanted: &str, age: Age) -> Result<Resolved, RegistryError> {
        let index = self.index(age).await?;
        let entry = self.entry(&index, wanted)?;
        Ok(Resolved { version: entry.version.clone(), digest: entry.digest.as_ref().map(ToString::to_string) })
    }

    /// What the index says of a version that was resolved before. It is asked for anew if it says something else.
    pub(crate) async fn found(&self, resolved: &Resolved) -> Result<Entry, RegistryError> {
        let is_it = |entry: &&Entry| {
            entry.version == resolved.version && entry.digest.as_ref().map(ToString::to_string) == resolved.digest
        };
        let look = |index: &Index| index.versions(self.chart).unwrap_or_default().iter().find(is_it).cloned();
        let asked = std::time::Instant::now();
        if let Some(entry) = look(&*self.index(Age::Any).await?) {
            return Ok(entry);
        }
        let index = self.index(Age::Since(asked)).await?;
        look(&index).ok_or_else(|| match self.entry(&index, &resolved.version) {
            Err(gone) => gone,
            Ok(_) => RegistryError::Replaced { package: self.name(), version: resolved.version.clone() },
        })
    }

    fn entry<'i>(&self, index: &'i Index, wanted: &str) -> Result<&'i Entry, RegistryError> {
        let Some(entries) = index.versions(self.chart) else {
            let near = near(self.chart, &index.charts()).into_iter().map(str::to_owned).collect();
            let (repository, chart) = (self.site.to_string(), self.chart.to_owned());
            return Err(RegistryError::NoChart { repository, chart, near });
        };
        let versions: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
        let chosen = choose(wanted, &versions)
            .map_err(|NoRange| RegistryError::InvalidVersion { package: self.name(), wanted: wanted.to_owned() })?;
        chosen.and_then(|chosen| entries.iter().find(|entry| entry.version == chosen)).ok_or_else(|| {
            RegistryError::NoVersion {
                package: self.name(),
                wanted: wanted.to_owned(),
                newest: newest(&versions).map(str::to_owned),
            }
        })
    }

    /// Where the archive of a version is.
    pub(crate) fn location(&self, entry: &Entry) -> Result<Location, RegistryError> {
        let wrong = |detail: &str| RegistryError::Location { package: self.name(), detail: detail.to_owned() };
        let written = entry.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let written = written.ok_or_else(|| wrong(&format!("version '{}' has no URL", entry.version)))?;
        if is_oci(written) {
            return self.in_registry(&written[6..]);
        }
        let mut base = self.site.base().clone();
        base.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        let mut url = base.join(written).map_err(|_| wrong("what it names is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("what it names is no https:// URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("its URL has a login in it"));
        }
        url.set_fragment(None);
        Ok(Location::Web(url))
    }

    /// `HOST/NAME:TAG`
    fn in_registry(&self, place: &str) -> Result<Location, RegistryError> {
        let wrong = || {
            let detail = "what it names in a registry has no tag, or is no place in one".to_owned();
            RegistryError::Location { package: self.name(), detail }
        };
        let (place, tag) = place.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).ok_or_else(wrong)?;
        let host = place.split('/').next().unwrap_or_default();
        let own_host = Url::parse(&format!("https://{host}")).is_ok_and(|url| self.site.is_own(&url));
        let of_repository = &self.package.source.access;
        let access = if own_host || self.package.pass_credentials {
            of_repository.clone()
        } else {
            Access { login: Login::None, tls: Tls::default(), insecure: false, ..of_repository.clone() }
        };
        let package = Package::of_index(place, self.chart, access).map_err(|_| wrong())?;
        Ok(Location::Oci { package: Box::new(package), tag: crate::version::to_tag(tag) })
    }

    /// The bytes of an archive. Whether they have its digest is for who unpacks them.
    pub(crate) async fn download(&self, url: &Url) -> Result<Vec<u8>, RegistryError> {
        let show = if self.package.pass_credentials { Show::LoginThere } else { Show::Login };
        let work = async {
            let (response, at) = self.wire().send(&Method::GET, url, &HeaderMap::new(), &show).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND | StatusCode::GONE => {
                    let location = self.site.scrub(&format!("{}{}", self.wire().place(&at), at.path()));
                    return Err(RegistryError::NoArchive { package: self.name(), location });
                }
                status => return Err(self.wire().refusal(status, &at, "")),
            }
            self.wire().body(response, &at, "the archive", self.shared.limits.archive_bytes).await
        };
        within(self.shared.limits.download_deadline, &self.site, "the download", work).await
    }

    async fn index(&self, age: Age) -> Result<Arc<Index>, RegistryError> {
        let ask = async |known| {
            // Waiting for others is no fault of this repository: the deadline begins behind it.
            let _slot = self.shared.index_slots.acquire().await;
            within(self.shared.limits.listing_deadline, &self.site, "reading index.yaml", self.ask(known)).await
        };
        self.shared.indexes.get(&self.package.source, age, ask).await
    }

    async fn ask(&self, known: Option<Arc<Index>>) -> Result<Arc<Index>, RegistryError> {
        let mut url = self.site.base().clone();
        url.set_path(&format!("{}/index.yaml", url.path().trim_end_matches('/')));
        let mut headers = HeaderMap::new();
        if let Some(known) = &known {
            for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
                if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
                    headers.insert(name, value);
                }
            }
        }
        let (response, at) = self.wire().send(&Method::GET, &url, &headers, &Show::Login).await?;
        match (response.status(), known) {
            (StatusCode::OK, _) => {}
            (StatusCode::NOT_MODIFIED, Some(known)) => return Ok(known),
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
                return Err(RegistryError::NoIndex { repository: self.site.to_string() });
            }
            (status, _) => return Err(self.wire().refusal(status, &at, "")),
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (etag, last_modified) = (header(ETAG), header(LAST_MODIFIED));
        let limits = self.shared.limits;
        let body = self.wire().body(response, &at, "its index.yaml", limits.index_bytes).await?;
        // A large one takes a second to read.
        let parsed = tokio::task::spawn_blocking(move || Index::parse(&body, &limits)).await;
        let parsed = parsed.map_err(|error| error.to_string()).flatten();
        let index = parsed.map_err(|detail| RegistryError::Index {
            repository: self.site.to_string(),
            detail: self.site.scrub(&detail),
        })?;
        Ok(Arc::new(index.named(etag, last_modified)))
    }

    fn wire(&self) -> Wire<'_> {
        Wire { site: &self.site, counts: &self.shared.counts }
    }

    fn name(&self) -> String {
        self.package.to_string()
    }
}
