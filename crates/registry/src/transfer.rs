//! One request and its answer: redirects, what is shown to whom, sizes, deadlines.
//!
//! Invariant: what says who we are goes to the repository's own server, and where it is asked for explicitly to the one other
//! server that is asked first; a redirect never takes it along to another host, and never leads from `https` to `http`. No answer
//! is read beyond its limit. Entry points: [`Wire::send`], [`Wire::body`] and [`within`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use trueup_git::{GitError, Secret, Site};

use crate::RegistryError;

/// Redirects of one request. A download goes to a storage, perhaps over a name that has moved.
const REDIRECTS_MAX: usize = 5;

/// What was asked of servers since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) downloads: AtomicU64,
}

/// What says who we are.
#[derive(Debug, Clone)]
pub(crate) enum Show {
    Nothing,
    /// The login.
    Login,
    /// The login, also to another server that is asked.
    LoginThere,
    /// A token of the registry.
    Token(Secret),
}

/// The way to a repository.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    pub(crate) site: &'a Site,
    pub(crate) counts: &'a Counts,
}

impl Wire<'_> {
    /// Asks, and follows redirects. Answers whatever the last server says, and where that was.
    pub(crate) async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        show: &Show,
    ) -> Result<(Response, Url), RegistryError> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            let request = self.site.request(method.clone(), &at).await?.headers(headers.clone());
            let request = match show {
                Show::Login if self.site.is_own(&at) => self.site.with_login(request)?,
                Show::LoginThere if self.site.is_own(&at) || self.may_be_told(url, &at) => {
                    self.site.with_login(request)?
                }
                Show::Token(token) if self.site.is_own(&at) => request.bearer_auth(token.reveal()),
                _ => request,
            };
            let response = request.send().await.map_err(|error| self.site.failed(&at, &error))?;
            if let Some(busy) = self.site.busy(&response) {
                return Err(busy.into());
            }
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return Ok((response, at));
            }
            at = self.redirected(&at, &response)?;
        }
        Err(self.refused(&at, &format!("there are more than {REDIRECTS_MAX} redirects")).into())
    }

    /// The body of an answer, up to a limit.
    pub(crate) async fn body(
        &self,
        mut response: Response,
        at: &Url,
        what: &str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || GitError::TooLarge {
            repository: self.site.to_string(),
            what: what.to_owned(),
            limit: format!("{bytes_max} bytes"),
        };
        if response.content_length().is_some_and(|announced| announced > bytes_max) {
            return Err(too_large().into());
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.site.failed(at, &error))? {
            if (body.len() as u64).saturating_add(piece.len() as u64) > bytes_max {
                return Err(too_large().into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What an answer means that is none of success and has no meaning of its own to who asked.
    pub(crate) fn refusal(&self, status: StatusCode, at: &Url, words: &str) -> RegistryError {
        let repository = self.site.to_string();
        let error = match status {
            StatusCode::UNAUTHORIZED if self.site.is_own(at) => GitError::Unauthorized { repository },
            StatusCode::FORBIDDEN if self.site.is_own(at) => GitError::Forbidden { repository },
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => GitError::ProxyLogin { repository },
            status => {
                let place = if self.site.is_own(at) { String::new() } else { format!(" from {}", self.place(at)) };
                let words = if words.is_empty() { String::new() } else { format!(": {words}") };
                GitError::Server {
                    repository,
                    message: self.site.scrub(&format!("HTTP status {status}{place}{words}")),
                }
            }
        };
        error.into()
    }

    /// Scheme, host and port of a URL: what can be shown of what others name.
    pub(crate) fn place(&self, url: &Url) -> String {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        self.site.scrub(&format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()))
    }

    /// Whether a server other than the repository's own may have the login: the one that was asked first, and not in the clear
    /// if the repository's own is not.
    fn may_be_told(&self, first: &Url, at: &Url) -> bool {
        first.origin() == at.origin() && (at.scheme() == "https" || self.site.base().scheme() == "http")
    }

    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, GitError> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut to = match from.join(location) {
            Ok(to) if !location.is_empty() => to,
            _ => return Err(self.refused(from, "its Location is not a URL")),
        };
        if !matches!(to.scheme(), "http" | "https") {
            return Err(self.refused(&to, "it leaves HTTP"));
        }
        if from.scheme() == "https" && to.scheme() == "http" {
            return Err(self.refused(&to, "it leaves https"));
        }
        // What a server weaves in there is no login of ours.
        let (_, _) = (to.set_username(""), to.set_password(None));
        to.set_fragment(None);
        Ok(to)
    }

    fn refused(&self, target: &Url, reason: &str) -> GitError {
        let target = self.place(target);
        GitError::Redirected { repository: self.site.to_string(), target, reason: reason.to_owned() }
    }
}

/// Ends work that takes too long.
pub(crate) async fn within<T>(
    deadline: Duration,
    site: &Site,
    doing: &str,
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
        let (repository, doing, seconds) = (site.to_string(), doing.to_owned(), deadline.as_secs());
        Err(GitError::Deadline { repository, doing, seconds }.into())
    })
}
