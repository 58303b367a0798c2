//! One file of the Web, by its URL: values of a chart, a remote resource of an overlay.
//!
//! Invariant: a login goes to the file's own server only. Entry point: [`Registry::file`].

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use trueup_git::{Access, GitError, RepoUrl};

use crate::transfer::{Show, Wire, within};
use crate::{Registry, RegistryError};

/// Bytes of one file: what a renderer reads of one at most.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

impl Registry {
    /// Downloads a file over HTTP.
    pub async fn file(&self, url: &str, access: &Access) -> Result<Vec<u8>, RegistryError> {
        let invalid = || GitError::InvalidUrl { reason: "it is no URL of a file: write https://HOST/PATH".to_owned() };
        let url = Url::parse(url.trim()).map_err(|_| invalid())?;
        let mut place = url.clone();
        place.set_query(None);
        place.set_fragment(None);
        let site = self.shared.web.open(&RepoUrl::parse(place.as_str())?, access)?;
        let wire = Wire { site: &site, counts: &self.shared.counts };
        let mut asked = url;
        // The login is in the access by now.
        let (_, _) = (asked.set_username(""), asked.set_password(None));
        within(self.shared.limits.listing_deadline, &site, "download the file", async {
            let (response, at) = wire.send(&Method::GET, &asked, &HeaderMap::new(), &Show::Login).await?;
            if !response.status().is_success() {
                return Err(wire.refusal(response.status(), &at, ""));
            }
            wire.body(response, &at, "the file", FILE_BYTES_MAX).await
        })
        .await
    }
}
