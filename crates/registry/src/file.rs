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

/// Where a file is: its URL without query and fragment, by which a project permits it.
pub fn place(url: &str) -> &str {
    let url = url.trim();
    url.split(['?', '#']).next().unwrap_or(url)
}

impl Registry {
    /// Downloads a file over HTTP.
    pub async fn file(&self, url: &str, access: &Access) -> Result<Vec<u8>, RegistryError> {
        let invalid = || GitError::InvalidUrl { reason: "it is no URL of a file: write https://HOST/PATH".to_owned() };
        // As it is written: what the parser makes of '..' is not what the project permits.
        let place = RepoUrl::parse(place(url))?;
        let url = Url::parse(url.trim()).map_err(|_| invalid())?;
        let site = self.shared.web.open(&place, access)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, RegistryConfig};

    #[tokio::test]
    async fn what_is_asked_for_is_what_is_written() {
        let cache = tempfile::tempdir().unwrap();
        let registry = Registry::open(RegistryConfig {
            cache_dir: cache.path().to_owned(),
            proxies: trueup_git::Proxies::default(),
            limits: Limits::default(),
        });
        let registry = registry.unwrap();
        for url in [
            "http://127.0.0.1:9/team-a/../team-b/x.yaml",
            "http://127.0.0.1:9/team-a/%2e%2e/team-b/x.yaml?a=b",
            "http://127.0.0.1:9/team-a/..%2fteam-b/x.yaml",
            r"http://127.0.0.1:9\@good.example/x.yaml",
            "http://2130706433/x.yaml",
        ] {
            let asked = registry.file(url, &Access::default()).await;
            assert!(matches!(asked, Err(RegistryError::Repository(GitError::InvalidUrl { .. }))), "{url}: {asked:?}");
        }
        assert_eq!(registry.counters().requests, 0);
    }

    #[test]
    fn the_place_of_a_file_is_its_url_without_what_only_servers_read() {
        for (url, expected) in [
            ("https://h/a.yaml", "https://h/a.yaml"),
            (" https://h/secret?x=/a.yaml#y ", "https://h/secret"),
            ("https://h/a#?b", "https://h/a"),
        ] {
            assert_eq!(place(url), expected);
        }
    }
}
