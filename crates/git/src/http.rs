//! The wire over HTTP: git's "smart" requests, on the one TLS stack of this program.
//!
//! Redirects are followed for the first request only (as git does), at most five, never to another scheme than HTTP, never from
//! `https` to `http`, and never to another host while a credential or a client certificate is at hand.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::http_client;
use crate::protocol::{self, Answer, Capabilities, Wire};
use crate::remote::Remote;
use crate::{GitError, Limits, Login};

/// As many as a renamed and moved repository on a renamed host needs, and then some.
const REDIRECTS_MAX: usize = 5;
const SERVICE: &str = "git-upload-pack";
const VERSION_2: HeaderValue = HeaderValue::from_static("version=2");

/// What the first request found out about a repository. Holds no credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Discovered {
    /// Where the commands go: the URL after redirects.
    pub(crate) base: String,
    pub(crate) capabilities: Capabilities,
}

/// Asks what the server can do, and follows redirects to where the repository is.
pub(crate) async fn discover(client: &Client, remote: &Remote, limits: &Limits) -> Result<Discovered, GitError> {
    let suffix = format!("/info/refs?service={SERVICE}");
    let no_http = || GitError::InvalidUrl { reason: "it is no http:// or https:// URL".to_owned() };
    let mut base = remote.url.http_base().ok_or_else(no_http)?;
    for _ in 0..=REDIRECTS_MAX {
        let at = Url::parse(&format!("{base}{suffix}")).map_err(|e| GitError::InvalidUrl { reason: e.to_string() })?;
        let request = client.get(at.clone()).header("git-protocol", VERSION_2).header(ACCEPT, "*/*");
        let response = send(request, remote).await?;
        if response.status().is_redirection() {
            base = redirected(remote, &at, &response, &suffix)?;
            continue;
        }
        let response = checked(response, remote, "advertisement")?;
        let capabilities = protocol::capabilities(Body { response, remote }, remote, limits).await?;
        return Ok(Discovered { base: base.into(), capabilities });
    }
    let reason = format!("there are more than {REDIRECTS_MAX} redirects");
    Err(GitError::Redirected { repository: remote.to_string(), target: remote.scrub(&place(&base)), reason })
}

/// Where a redirect leads, if we may go there.
fn redirected(remote: &Remote, from: &Url, response: &Response, suffix: &str) -> Result<Url, GitError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refused = |target: &str, reason: &str| GitError::Redirected {
        repository: remote.to_string(),
        // The server says where to, and may have woven in what it knows of us.
        target: remote.scrub(target),
        reason: reason.to_owned(),
    };
    let mut to = from.join(location).map_err(|_| refused("nowhere", "its Location is not a URL"))?;
    if to.scheme() != "https" && to.scheme() != "http" {
        return Err(refused(&format!("a {} URL", to.scheme()), "it leaves HTTP"));
    }
    let target = place(&to);
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(refused(&target, "it leaves https"));
    }
    if remote.shows_who_we_are() && !same_server(from, &to) {
        return Err(refused(&target, "it would show the credential to another server"));
    }
    let (_, _) = (to.set_username(""), to.set_password(None));
    to.set_fragment(None);
    let base = to.as_str().strip_suffix(suffix).and_then(|base| Url::parse(base).ok());
    base.ok_or_else(|| refused(&target, "it does not lead to a Git repository (perhaps to a login page)"))
}

/// The same host and port, or the same host's step up from `http` to `https`.
pub(crate) fn same_server(from: &Url, to: &Url) -> bool {
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    let step_up = from.scheme() == "http" && to.scheme() == "https" && from.port().is_none() && to.port().is_none();
    from.host_str() == to.host_str() && (same_port || step_up)
}

/// Scheme, host and port of a URL: what can be shown of somebody else's redirect.
pub(crate) fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// A repository on an HTTP server.
pub(crate) struct Http<'a> {
    client: Client,
    remote: &'a Remote,
    commands: Url,
}

impl<'a> Http<'a> {
    pub(crate) fn new(client: Client, remote: &'a Remote, discovered: &Discovered) -> Result<Self, GitError> {
        let commands = Url::parse(&format!("{}/{SERVICE}", discovered.base));
        let commands = commands.map_err(|e| GitError::InvalidUrl { reason: e.to_string() })?;
        Ok(Self { client, remote, commands })
    }
}

impl<'a> Wire for Http<'a> {
    type Answer = Body<'a>;

    async fn send(&self, command: Vec<u8>) -> Result<Body<'a>, GitError> {
        let request = self
            .client
            .post(self.commands.clone())
            .header("git-protocol", VERSION_2)
            .header(CONTENT_TYPE, format!("application/x-{SERVICE}-request"))
            .header(ACCEPT, format!("application/x-{SERVICE}-result"))
            .body(command);
        let response = send(request, self.remote).await?;
        Ok(Body { response: checked(response, self.remote, "result")?, remote: self.remote })
    }

    fn remote(&self) -> &Remote {
        self.remote
    }
}

/// The body of an answer.
pub(crate) struct Body<'a> {
    response: Response,
    remote: &'a Remote,
}

impl Answer for Body<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>, GitError> {
        self.response.chunk().await.map_err(|error| http_client::failed(self.remote, &error))
    }

    fn done(self) {}
}

async fn send(request: RequestBuilder, remote: &Remote) -> Result<Response, GitError> {
    with_login(request, remote)?.send().await.map_err(|error| http_client::failed(remote, &error))
}

/// The request with our login.
pub(crate) fn with_login(request: RequestBuilder, remote: &Remote) -> Result<RequestBuilder, GitError> {
    let unusable = |detail: &str| GitError::Login { repository: remote.to_string(), detail: detail.to_owned() };
    Ok(match &remote.access.login {
        Login::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
        Login::Bearer(token) => request.bearer_auth(token.reveal()),
        Login::None => match remote.url.credentials() {
            Some((username, password)) => request.basic_auth(username, password),
            None => request,
        },
        Login::Key(_) => {
            return Err(unusable("a private key is for ssh:// URLs: use one, or a user name and password or token"));
        }
        Login::GitHubApp(_) => return Err(unusable("no token was bought for the GitHub App")),
    })
}

/// The seconds that a server wants to be left alone. That a date may stand there no Git server makes use of.
pub(crate) fn patience(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Refuses what is not an answer of Git, with what to do about it.
fn checked(response: Response, remote: &Remote, kind: &str) -> Result<Response, GitError> {
    let repository = remote.to_string();
    let seconds = patience(response.headers());
    match response.status() {
        StatusCode::OK => {}
        // As a 403 it is the limit of requests that some servers have, and no word on the login.
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            return Err(GitError::Busy { repository, status: status.as_u16(), seconds });
        }
        status @ StatusCode::FORBIDDEN if seconds.is_some() => {
            return Err(GitError::Busy { repository, status: status.as_u16(), seconds });
        }
        StatusCode::UNAUTHORIZED => return Err(GitError::Unauthorized { repository }),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(GitError::ProxyLogin { repository }),
        StatusCode::FORBIDDEN => return Err(GitError::Forbidden { repository }),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GitError::RepositoryNotFound { repository }),
        status if status.is_redirection() => {
            let target = "elsewhere".to_owned();
            return Err(GitError::Redirected {
                repository,
                target,
                reason: "only the first request may move".to_owned(),
            });
        }
        status => return Err(GitError::Server { repository, message: format!("HTTP status {status}") }),
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let expected = format!("application/x-{SERVICE}-{kind}");
    if content_type.split(';').next().map(str::trim) == Some(expected.as_str()) {
        return Ok(response);
    }
    let detail = remote
        .scrub(&format!("its content type is {content_type} instead of {expected}: is this the URL of a repository?"));
    Err(GitError::Protocol { repository, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patience_that_a_server_asks_for_is_in_seconds() {
        for (value, seconds) in
            [("120", Some(120)), (" 3 ", Some(3)), ("-1", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None), ("", None)]
        {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(patience(&headers), seconds, "{value}");
        }
        assert_eq!(patience(&HeaderMap::new()), None);
    }
}
