//! The wire over HTTP: git's "smart" requests, on the one TLS stack of this program.
//!
//! Redirects are followed for the first request only (as git does), at most five, never to another scheme than HTTP, never from
//! `https` to `http`, and never to another host while a credential is at hand.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::protocol::{self, AGENT, Answer, Capabilities, Wire};
use crate::{GitError, Limits, RepoUrl};

/// How long a connection may take to come up: several lost packets, not a dead host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
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

/// An HTTP client as this crate needs it. Cheap to clone, connections are shared.
pub(crate) fn client(limits: &Limits) -> Result<Client, String> {
    // The binary installs the provider of cryptography; installed already is what we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
        .user_agent(AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(limits.idle)
        .referer(false)
        .build()
        .map_err(|error| words(&error))
}

/// Asks what the server can do, and follows redirects to where the repository is.
pub(crate) async fn discover(client: &Client, url: &RepoUrl, limits: &Limits) -> Result<Discovered, GitError> {
    let suffix = format!("/info/refs?service={SERVICE}");
    let mut base = url.http_base();
    for _ in 0..=REDIRECTS_MAX {
        let at = Url::parse(&format!("{base}{suffix}")).map_err(|e| GitError::InvalidUrl { reason: e.to_string() })?;
        let request = client.get(at.clone()).header("git-protocol", VERSION_2).header(ACCEPT, "*/*");
        let response = send(request, url).await?;
        if response.status().is_redirection() {
            base = redirected(url, &at, &response, &suffix)?;
            continue;
        }
        let response = checked(response, url, "advertisement")?;
        let capabilities = protocol::capabilities(Body { response, url }, url, limits).await?;
        return Ok(Discovered { base: base.into(), capabilities });
    }
    let reason = format!("there are more than {REDIRECTS_MAX} redirects");
    Err(GitError::Redirected { repository: url.to_string(), target: place(&base), reason })
}

/// Where a redirect leads, if we may go there.
fn redirected(url: &RepoUrl, from: &Url, response: &Response, suffix: &str) -> Result<Url, GitError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refused = |target: &str, reason: &str| GitError::Redirected {
        repository: url.to_string(),
        target: target.to_owned(),
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
    if url.credentials().is_some() && !same_server(from, &to) {
        return Err(refused(&target, "it would show the credential to another server"));
    }
    let (_, _) = (to.set_username(""), to.set_password(None));
    to.set_fragment(None);
    let base = to.as_str().strip_suffix(suffix).and_then(|base| Url::parse(base).ok());
    base.ok_or_else(|| refused(&target, "it does not lead to a Git repository (perhaps to a login page)"))
}

/// The same host and port, or the same host's step up from `http` to `https`.
fn same_server(from: &Url, to: &Url) -> bool {
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    let step_up = from.scheme() == "http" && to.scheme() == "https" && from.port().is_none() && to.port().is_none();
    from.host_str() == to.host_str() && (same_port || step_up)
}

/// Scheme and host of a URL: what can be shown of somebody else's redirect.
fn place(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// A repository on an HTTP server.
pub(crate) struct Http<'a> {
    client: Client,
    url: &'a RepoUrl,
    commands: Url,
}

impl<'a> Http<'a> {
    pub(crate) fn new(client: Client, url: &'a RepoUrl, discovered: &Discovered) -> Result<Self, GitError> {
        let commands = Url::parse(&format!("{}/{SERVICE}", discovered.base));
        let commands = commands.map_err(|e| GitError::InvalidUrl { reason: e.to_string() })?;
        Ok(Self { client, url, commands })
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
        let response = send(request, self.url).await?;
        Ok(Body { response: checked(response, self.url, "result")?, url: self.url })
    }

    fn url(&self) -> &RepoUrl {
        self.url
    }
}

/// The body of an answer.
pub(crate) struct Body<'a> {
    response: Response,
    url: &'a RepoUrl,
}

impl Answer for Body<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>, GitError> {
        self.response.chunk().await.map_err(|error| unreachable(self.url, &error))
    }
}

async fn send(request: RequestBuilder, url: &RepoUrl) -> Result<Response, GitError> {
    let request = match url.credentials() {
        Some((username, password)) => request.basic_auth(username, password),
        None => request,
    };
    request.send().await.map_err(|error| unreachable(url, &error))
}

/// Refuses what is not an answer of Git, with what to do about it.
fn checked(response: Response, url: &RepoUrl, kind: &str) -> Result<Response, GitError> {
    let repository = url.to_string();
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(GitError::Unauthorized { repository }),
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
    let detail = url
        .scrub(&format!("its content type is {content_type} instead of {expected}: is this the URL of a repository?"));
    Err(GitError::Protocol { repository, detail })
}

fn unreachable(url: &RepoUrl, error: &reqwest::Error) -> GitError {
    GitError::Unreachable { repository: url.to_string(), detail: url.scrub(&words(error)) }
}

/// An error with its causes, the last of which is the one that helps ("connection refused", "certificate has expired").
pub(crate) fn words(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() { "no answer in time" } else { "the connection failed" };
    let mut text = kind.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
