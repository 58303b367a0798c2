//! Registries: tags, manifests and blobs, by version 2 of the protocol of OCI.
//!
//! Invariant: a manifest and a blob have the digest that was asked for, else they are an error; what is asked for by a digest is
//! asked once. Entry points: [`Oci::resolve`], [`Oci::blob`] and [`Oci::download`].

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use trueup_git::{GitError, Login, Range, Site};

use crate::challenge::Challenge;
use crate::digest::Digest;
use crate::flights::Age;
use crate::manifest::{self, Blob, Manifest};
use crate::registry::{Resolved, Shared};
use crate::tokens::{self, Pass};
use crate::transfer::{Show, Wire, within};
use crate::version::{NoRange, choose, is_tag, newest, of_tag, to_tag};
use crate::{Package, RegistryError};

/// What a registry says is the digest of a manifest.
const CONTENT_DIGEST: &str = "docker-content-digest";
/// Bytes of an answer that are looked at for why something is refused.
const REFUSAL_BYTES_MAX: u64 = 16 * 1024;

/// A repository of a registry.
pub(crate) struct Oci<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) package: &'a Package,
    pub(crate) site: Site,
}

#[derive(Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<RefusalError>,
}

#[derive(Deserialize)]
struct RefusalError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Oci<'a> {
    pub(crate) fn open(shared: &'a Shared, package: &'a Package) -> Result<Self, RegistryError> {
        let site = shared.web.open(&package.source.url, &package.source.access)?;
        Ok(Self { shared, package, site })
    }

    /// Looks up a tag, a digest, or the highest version within a range.
    pub(crate) async fn resolve(&self, wanted: &str, age: Age) -> Result<Resolved, RegistryError> {
        let wanted = wanted.trim();
        if let Some(digest) = Digest::parse(wanted) {
            return Ok(self.resolved(wanted, &digest));
        }
        let is_chart = self.package.chart.is_some();
        let is_range = wanted.is_empty() || Range::parse(wanted).is_some();
        let tag = to_tag(wanted);
        // Of an artifact a tag that looks like a range comes before what is within it.
        if is_tag(&tag) && !(is_chart && is_range) {
            match self.digest_of(&tag, age).await {
                Err(RegistryError::NotFound { .. }) if is_range => {}
                digest => return Ok(self.resolved(wanted, &digest?)),
            }
        }
        if !is_range || (wanted.is_empty() && !is_chart) {
            return Err(RegistryError::InvalidVersion { package: self.name(), wanted: wanted.to_owned() });
        }
        let tags = self.tags(age).await?;
        let versions: Vec<&str> = tags.iter().map(String::as_str).collect();
        let none = || RegistryError::NoVersion {
            package: self.name(),
            wanted: wanted.to_owned(),
            newest: newest(&versions).map(str::to_owned),
        };
        let version = choose(wanted, &versions).map_err(|NoRange| none())?.ok_or_else(none)?;
        Ok(self.resolved(version, &self.digest_of(&to_tag(version), age).await?))
    }

    /// A chart is known by its version, an artifact by its digest.
    fn resolved(&self, version: &str, digest: &Digest) -> Resolved {
        let digest = digest.to_string();
        let version = if self.package.chart.is_some() { version.to_owned() } else { digest.clone() };
        Resolved { version, digest: Some(digest) }
    }

    /// The layer that is the archive, of a manifest that never changes.
    pub(crate) async fn blob(&self, digest: &Digest) -> Result<Blob, RegistryError> {
        let manifest = self.manifest(digest).await?;
        self.layer(&manifest)
    }

    /// The same of the manifest that a tag is at now.
    pub(crate) async fn blob_at(&self, tag: &str, age: Age) -> Result<Blob, RegistryError> {
        let digest = self.digest_of(tag, age).await?;
        self.blob(&digest).await
    }

    fn layer(&self, manifest: &Manifest) -> Result<Blob, RegistryError> {
        let blob = manifest.layer(self.package.chart.is_some());
        let blob = blob.map_err(|detail| RegistryError::Manifest { package: self.name(), detail })?;
        let most = self.shared.limits.archive_bytes;
        if blob.size > most {
            let (repository, what) = (self.site.to_string(), "the archive".to_owned());
            return Err(GitError::TooLarge { repository, what, limit: format!("{most} bytes") }.into());
        }
        Ok(blob)
    }

    /// The bytes of a layer. Whether they have its digest is for who unpacks them.
    pub(crate) async fn download(&self, blob: &Blob) -> Result<Vec<u8>, RegistryError> {
        let url = self.url(&format!("blobs/{}", blob.digest));
        let work = async {
            let (response, at) = self.ask(&Method::GET, &url, &HeaderMap::new()).await?;
            let response = self.found(response, &at, &blob.digest.to_string()).await?;
            let body = self.wire().body(response, &at, "the archive", self.shared.limits.archive_bytes).await?;
            if body.len() as u64 != blob.size {
                let (what, actual) = ("the archive".to_owned(), body.len() as u64);
                return Err(RegistryError::Size { package: self.name(), what, expected: blob.size, actual });
            }
            Ok(body)
        };
        within(self.shared.limits.download_deadline, &self.site, "the download", work).await
    }

    /// The digest that a tag is at.
    async fn digest_of(&self, tag: &str, age: Age) -> Result<Digest, RegistryError> {
        let key = (self.package.source.clone(), tag.to_owned());
        let ask = async |_| self.in_time("looking up a tag", self.look_up(tag)).await;
        self.shared.digests.get(&key, age, ask).await
    }

    async fn look_up(&self, tag: &str) -> Result<Digest, RegistryError> {
        // The question for the head alone is not counted as a pull where pulls are counted.
        let url = self.url(&format!("manifests/{tag}"));
        let (response, at) = self.ask(&Method::HEAD, &url, &accept()).await?;
        if response.status() != StatusCode::METHOD_NOT_ALLOWED {
            let response = self.found(response, &at, tag).await?;
            if let Some(digest) = content_digest(&response) {
                return Ok(digest);
            }
        }
        let (digest, text) = self.manifest_text(tag, None).await?;
        // It is here: nobody need ask for it again.
        let manifest = self.parsed(&text)?;
        let key = (self.package.source.clone(), digest.to_string());
        let kept = self.shared.manifests.get(&key, Age::Any, async |_| Ok(manifest)).await;
        kept.map(|_| digest)
    }

    async fn manifest(&self, digest: &Digest) -> Result<Arc<Manifest>, RegistryError> {
        let reference = digest.to_string();
        let read = async {
            let (_, text) = self.manifest_text(&reference, Some(digest)).await?;
            self.parsed(&text)
        };
        let key = (self.package.source.clone(), reference.clone());
        let ask = async |_| self.in_time("reading the manifest", read).await;
        self.shared.manifests.get(&key, Age::Any, ask).await
    }

    /// Ends a listing that takes too long. Within the flight, so that all who wait for it share that too.
    async fn in_time<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        within(self.shared.limits.listing_deadline, &self.site, doing, work).await
    }

    fn parsed(&self, text: &[u8]) -> Result<Arc<Manifest>, RegistryError> {
        let parsed = Manifest::parse(text).map(Arc::new);
        parsed.map_err(|detail| RegistryError::Manifest { package: self.name(), detail: self.site.scrub(&detail) })
    }

    /// A manifest as it was sent, with the digest that it has.
    async fn manifest_text(
        &self,
        reference: &str,
        promised: Option<&Digest>,
    ) -> Result<(Digest, Vec<u8>), RegistryError> {
        let url = self.url(&format!("manifests/{reference}"));
        let (response, at) = self.ask(&Method::GET, &url, &accept()).await?;
        let response = self.found(response, &at, reference).await?;
        let said = content_digest(&response);
        let text = self.wire().body(response, &at, "the manifest", self.shared.limits.manifest_bytes).await?;
        let expected = promised.or(said.as_ref());
        if let Some(expected) = expected.filter(|expected| !expected.fits(&text)) {
            return Err(RegistryError::Digest {
                package: self.name(),
                what: "the manifest".to_owned(),
                expected: expected.to_string(),
                actual: expected.of_the_same_kind(&text).to_string(),
            });
        }
        Ok((expected.cloned().unwrap_or_else(|| Digest::of(&text)), text))
    }

    /// All tags, as versions.
    async fn tags(&self, age: Age) -> Result<Arc<[String]>, RegistryError> {
        let ask = async |_| self.in_time("listing tags", self.list_tags()).await;
        self.shared.tags.get(&self.package.source, age, ask).await
    }

    async fn list_tags(&self) -> Result<Arc<[String]>, RegistryError> {
        let limits = &self.shared.limits;
        let mut url = self.url("tags/list");
        url.query_pairs_mut().append_pair("n", &limits.tags_per_page.to_string());
        let mut tags = BTreeSet::new();
        for _ in 0..limits.tag_pages {
            let (response, at) = self.ask(&Method::GET, &url, &HeaderMap::new()).await?;
            let response = self.found(response, &at, "tags").await?;
            let next = response.headers().get(LINK).and_then(|value| next_page(value, &at));
            let body = self.wire().body(response, &at, "the list of tags", limits.tag_page_bytes).await?;
            let list: TagList =
                serde_json::from_slice(&body).map_err(|error| self.protocol(&format!("a list of tags: {error}")))?;
            tags.extend(list.tags.into_iter().flatten().filter(|tag| is_tag(tag)).map(|tag| of_tag(&tag)));
            if tags.len() > limits.tags {
                return Err(self.too_many("tags", limits.tags));
            }
            match next {
                None => return Ok(tags.into_iter().collect()),
                Some(next) if !self.site.is_own(&next) => {
                    return Err(self.protocol("its list of tags goes on elsewhere"));
                }
                Some(next) => url = next,
            }
        }
        Err(self.too_many("pages", limits.tag_pages))
    }

    /// Asks, and shows what lets us in where it is asked for.
    async fn ask(&self, method: &Method, url: &Url, headers: &HeaderMap) -> Result<(Response, Url), RegistryError> {
        let held = self.shared.tokens.held(&self.package.source);
        let mut pass = held.lock().await.clone().filter(Pass::is_good);
        // With what is kept, and once more with what is had instead.
        for is_last in [false, true] {
            let show = match (&pass, &self.package.source.access.login) {
                (Some(pass), _) => pass.show(),
                // It is a token already.
                (None, Login::Bearer(_)) => Show::Login,
                (None, _) => Show::Nothing,
            };
            let (response, at) = self.wire().send(method, url, headers, &show).await?;
            if response.status() != StatusCode::UNAUTHORIZED || !self.site.is_own(&at) {
                return Ok((response, at));
            }
            if !is_last {
                pass = Some(self.let_in(&response, &held, pass.as_ref()).await?);
            }
        }
        Err(self.unauthorized())
    }

    /// What lets us in after a refusal.
    async fn let_in(
        &self,
        response: &Response,
        held: &tokens::Held,
        refused: Option<&Pass>,
    ) -> Result<Pass, RegistryError> {
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge = Challenge::parse(&challenges.collect::<Vec<_>>().join(", "));
        let mut held = held.lock().await;
        // Somebody else was here before.
        if let Some(pass) = held.as_ref().filter(|pass| pass.is_good() && refused.is_none_or(|old| !old.is(pass))) {
            return Ok(pass.clone());
        }
        *held = None;
        let pass = match challenge {
            _ if matches!(self.package.source.access.login, Login::Bearer(_)) => return Err(self.unauthorized()),
            Some(Challenge::Bearer { realm, service }) => {
                tokens::buy(&self.wire(), &self.package.source, &realm, service.as_deref()).await?
            }
            Some(Challenge::Basic) | None if self.site.has_login() && refused.is_none() => Pass::Login,
            _ => return Err(self.unauthorized()),
        };
        *held = Some(pass.clone());
        Ok(pass)
    }

    /// The answer, if it is one of success.
    async fn found(&self, response: Response, at: &Url, reference: &str) -> Result<Response, RegistryError> {
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => {
                Err(RegistryError::NotFound { package: self.name(), reference: reference.to_owned() })
            }
            status => {
                let body = self.wire().body(response, at, "a refusal", REFUSAL_BYTES_MAX).await.unwrap_or_default();
                let said = serde_json::from_slice::<Refusal>(&body).ok();
                let words = said.into_iter().flat_map(|refusal| refusal.errors).next();
                let words = words.map(|error| format!("{} {}", error.code, error.message)).unwrap_or_default();
                Err(self.wire().refusal(status, at, words.trim()))
            }
        }
    }

    /// A URL of the protocol about this repository.
    fn url(&self, what: &str) -> Url {
        let mut url = self.site.base().clone();
        let path = format!("/v2/{}/{what}", url.path().trim_matches('/'));
        url.set_path(&path);
        url
    }

    fn wire(&self) -> Wire<'_> {
        Wire { site: &self.site, counts: &self.shared.counts }
    }

    fn name(&self) -> String {
        self.package.to_string()
    }

    fn unauthorized(&self) -> RegistryError {
        GitError::Unauthorized { repository: self.package.source.to_string() }.into()
    }

    fn protocol(&self, detail: &str) -> RegistryError {
        RegistryError::Protocol { package: self.name(), detail: self.site.scrub(detail) }
    }

    fn too_many(&self, unit: &str, most: usize) -> RegistryError {
        let (repository, what) = (self.site.to_string(), "its list of tags".to_owned());
        GitError::TooLarge { repository, what, limit: format!("{most} {unit}") }.into()
    }
}

fn accept() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(manifest::ACCEPT))])
}

fn content_digest(response: &Response) -> Option<Digest> {
    response.headers().get(CONTENT_DIGEST).and_then(|value| value.to_str().ok()).and_then(Digest::parse)
}

/// `<URL>; rel="next"`.
fn next_page(value: &HeaderValue, at: &Url) -> Option<Url> {
    let (url, rest) = value.to_str().ok()?.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| at.join(url).ok()).flatten()
}
