//! HTTP for those that read something else than Git from a repository: charts, artifacts.
//!
//! Kept: one client for all repositories that are reached in the same way. Invariant: what says who we are (login, client
//! certificate) goes to the repository's own server only; another one that it names is reached by the same proxy, and its
//! certificate is always checked. Entry point: [`Web::open`].

use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use crate::clients::Clients;
use crate::http::{patience, place, same_server, with_login};
use crate::http_client::{self, Settings, naming_the_proxy};
use crate::remote::Remote;
use crate::{Access, GitError, Limits, Login, Proxies, RepoUrl};

/// All clients.
#[derive(Debug)]
pub struct Web {
    clients: Clients,
    proxies: Proxies,
    limits: Limits,
}

/// A repository on an HTTP server, and how it is reached. Neither `Debug` nor `Display` tells a credential.
#[derive(Debug, Clone)]
pub struct Site {
    web: Arc<Web>,
    remote: Arc<Remote>,
    base: Url,
}

// === impl Web ===

impl Web {
    /// Makes no client yet. Of the limits, how long a server may say nothing counts.
    pub fn new(proxies: Proxies, limits: Limits) -> Arc<Self> {
        Arc::new(Self { clients: Clients::default(), proxies, limits })
    }

    /// A repository. An error if it is not one of HTTP.
    pub fn open(self: &Arc<Self>, url: &RepoUrl, access: &Access) -> Result<Site, GitError> {
        let base = url.http_base().filter(|_| url.is_http());
        let base = base.ok_or_else(|| GitError::InvalidUrl {
            reason: "it is no repository of the Web: write https://…".to_owned(),
        })?;
        let remote = Remote { url: url.clone(), access: access.relevant_to(url) };
        Ok(Site { web: Arc::clone(self), remote: Arc::new(remote), base })
    }

    /// Lets go of all clients: they hold settings, and keys, that nobody may have any more.
    pub fn clear(&self) {
        self.clients.clear();
    }
}

// === impl Site ===

impl Site {
    /// The URL, without credentials and trailing `/`.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Whether there is a login, of the access or of the URL itself.
    pub fn has_login(&self) -> bool {
        self.remote.access.login != Login::None || self.remote.url.credentials().is_some()
    }

    /// Whether a URL is on the repository's own server, which may see who we are: the same host and port, or its step up from
    /// `http` to `https`.
    pub fn is_own(&self, url: &Url) -> bool {
        let scheme_stays = self.base.scheme() == url.scheme() || url.scheme() == "https";
        scheme_stays && same_server(&self.base, url)
    }

    /// A request that does not say who we are, but for the client certificate that the own server is shown.
    pub async fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, GitError> {
        Ok(self.client(url).await?.request(method, url.clone()))
    }

    /// The request with our login.
    pub fn with_login(&self, request: RequestBuilder) -> Result<RequestBuilder, GitError> {
        with_login(request, &self.remote)
    }

    /// What it means that a server does not want to be asked now; nothing if that is not what it answers.
    pub fn busy(&self, response: &Response) -> Option<GitError> {
        let (status, seconds) = (response.status(), patience(response.headers()));
        let asks_for_patience = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
            StatusCode::FORBIDDEN => seconds.is_some(),
            _ => false,
        };
        let repository = self.to_string();
        asks_for_patience.then(|| GitError::Busy { repository, status: status.as_u16(), seconds })
    }

    /// What a failed request to a URL means for people.
    pub fn failed(&self, url: &Url, error: &reqwest::Error) -> GitError {
        let error = http_client::failed(&self.remote, error);
        if self.is_own(url) {
            return naming_the_proxy(error, &self.remote, &self.web.proxies);
        }
        let at = self.scrub(&place(url));
        match error {
            GitError::Unreachable { repository, detail } => {
                GitError::Unreachable { repository, detail: format!("it sends us to {at}, and {detail}") }
            }
            GitError::Certificate { problem, .. } => GitError::Certificate { repository: at, problem },
            error => error,
        }
    }

    /// Somebody else's words, fit to be shown: one line, shortened, without our credentials.
    pub fn scrub(&self, text: &str) -> String {
        self.remote.scrub(text)
    }

    async fn client(&self, url: &Url) -> Result<Client, GitError> {
        let own = Settings::of(&self.remote.access);
        let settings = if self.is_own(url) { own } else { own.for_others() };
        self.web.clients.client(settings, &self.remote, &self.web.proxies, &self.web.limits).await
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.remote.fmt(f)
    }
}
