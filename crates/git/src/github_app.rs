//! The tokens of a GitHub App: a signed claim buys one for an hour, which then is the password of an ordinary login.
//!
//! Kept: one token per store, until shortly before it ends. Invariant: the App's key signs here and goes nowhere, not even to
//! the fetch process; nothing that the server says is repeated. Entry point: [`Tokens::login`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::{GitError, GitHubApp, Login, RepoUrl, Secret};

/// The API where no other is named.
const GITHUB_API: &str = "https://api.github.com";
/// The user that goes with such a token.
const TOKEN_USER: &str = "x-access-token";
/// How long one question to the API may take: two answers of some hundred bytes.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);
/// The most bytes of an answer that are read: it names permissions and repositories beside the token.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long a claim is good for. GitHub takes ten minutes at most.
const CLAIM_LIFE: Duration = Duration::from_mins(9);
/// How far our clock may be ahead of GitHub's.
const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// No token lives longer, whatever our clock makes of its end.
const TOKEN_LIFE_MAX: Duration = Duration::from_hours(1);
/// A token is replaced so long before its end: longer than any fetch that begins with it.
const RENEW_BEFORE: Duration = Duration::from_mins(10);

/// The token of one store.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<Option<Token>>);

#[derive(Debug)]
struct Token {
    secret: Secret,
    /// When it is replaced.
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Issued {
    token: Secret,
    expires_at: jiff::Timestamp,
}

/// One conversation with the API.
struct Asking<'a> {
    app: &'a GitHubApp,
    url: &'a RepoUrl,
    client: &'a Client,
    api: Url,
    claim: String,
}

// === impl Tokens ===

impl Tokens {
    /// The login that the App stands for at a repository. Who comes while a token is being bought shares it.
    pub(crate) async fn login(&self, app: &GitHubApp, url: &RepoUrl, client: &Client) -> Result<Login, GitError> {
        let mut token = self.0.lock().await;
        let secret = match &*token {
            Some(token) if Instant::now() < token.renew_at => token.secret.clone(),
            _ => {
                let bought = buy(app, url, client).await?;
                token.insert(bought).secret.clone()
            }
        };
        Ok(Login::Basic { username: TOKEN_USER.to_owned(), password: secret })
    }

    /// The server refused the token before its time: the next login buys another.
    pub(crate) async fn refused(&self) {
        *self.0.lock().await = None;
    }
}

async fn buy(app: &GitHubApp, url: &RepoUrl, client: &Client) -> Result<Token, GitError> {
    let api = app.enterprise_url.as_deref().unwrap_or(GITHUB_API);
    let usable = |api: &Url| matches!(api.scheme(), "https" | "http") && api.has_host();
    let api = Url::parse(api.trim_end_matches('/')).ok().filter(usable);
    let api = api.ok_or_else(|| wrong(url, "githubAppEnterpriseBaseUrl is not a URL: write https://HOST/api/v3"))?;
    let claim = claim(app, SystemTime::now()).map_err(|why| wrong(url, why))?;
    let asking = Asking { app, url, client, api, claim };
    let issued = timeout(ASK_TIMEOUT, asking.token()).await.map_err(|_| GitError::Deadline {
        repository: url.to_string(),
        doing: "asking GitHub for a token".to_owned(),
        seconds: ASK_TIMEOUT.as_secs(),
    })??;
    let life = issued.expires_at.duration_since(jiff::Timestamp::now());
    let life = Duration::try_from(life).unwrap_or_default().min(TOKEN_LIFE_MAX);
    Ok(Token { secret: issued.token, renew_at: Instant::now() + life.saturating_sub(RENEW_BEFORE) })
}

// === impl Asking ===

impl Asking<'_> {
    async fn token(&self) -> Result<Issued, GitError> {
        let installation = match self.app.installation {
            Some(id) => id,
            None => self.installation().await?,
        };
        let path = ["app", "installations", &installation.to_string(), "access_tokens"];
        let missing = format!("GitHub knows no installation {installation} of this App: check githubAppInstallationID");
        self.ask(Method::POST, &path, &missing).await
    }

    /// The installation that may read this repository.
    async fn installation(&self) -> Result<u64, GitError> {
        let display = self.url.to_string();
        let path = Url::parse(&display).map(|url| url.path().to_owned()).unwrap_or_default();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let Some((owner, name)) = path.rsplit_once('/') else {
            return Err(wrong(self.url, "the URL names no owner and repository: set githubAppInstallationID"));
        };
        let missing = "the App is not installed for this repository: install it there, or set githubAppInstallationID";
        let found: Installation = self.ask(Method::GET, &["repos", owner, name, "installation"], missing).await?;
        Ok(found.id)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        missing: &str,
    ) -> Result<T, GitError> {
        let mut at = self.api.clone();
        if let Ok(mut segments) = at.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let unreachable = |error: &reqwest::Error| GitError::Unreachable {
            repository: self.url.to_string(),
            detail: format!("GitHub's API at {}: {}", self.host(), crate::http_client::words(error)),
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.claim))
            .map_err(|_| wrong(self.url, "the App's id is not usable: check githubAppID"))?;
        bearer.set_sensitive(true);
        let request = self.client.request(method, at).header(AUTHORIZATION, bearer);
        let sent = request.header(ACCEPT, "application/vnd.github+json").send().await;
        let mut response = sent.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::OK | StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => {
                let why = "GitHub does not take the App's signature (401): check githubAppID, githubAppPrivateKey and \
                           this machine's clock";
                return Err(wrong(self.url, why));
            }
            StatusCode::FORBIDDEN => {
                return Err(wrong(self.url, "GitHub refuses the App (403): it may be suspended, or asked too often"));
            }
            StatusCode::NOT_FOUND => return Err(wrong(self.url, missing)),
            status if status.is_redirection() => {
                let why = "GitHub's API redirects elsewhere, which is not followed: correct githubAppEnterpriseBaseUrl";
                return Err(wrong(self.url, why));
            }
            status => {
                let message = format!("GitHub's API at {}: HTTP status {status}", self.host());
                return Err(GitError::Server { repository: self.url.to_string(), message });
            }
        }
        let mut body = zeroize::Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(wrong(self.url, "the answer of GitHub's API is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        // The decoder's own words may quote the token.
        let why = "the answer is not one of GitHub's API: check githubAppEnterpriseBaseUrl, it ends with /api/v3";
        serde_json::from_slice(&body).map_err(|_| wrong(self.url, why))
    }

    fn host(&self) -> &str {
        self.api.host_str().unwrap_or_default()
    }
}

/// The claim to be the App: a JSON Web Token, signed with RS256.
fn claim(app: &GitHubApp, now: SystemTime) -> Result<String, &'static str> {
    let key =
        PrivateKeyDer::from_pem_slice(app.key.reveal().as_bytes()).map_err(|_| "githubAppPrivateKey is not PEM")?;
    let key = match &key {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err("githubAppPrivateKey is not an RSA key: take the one that GitHub made for the App"),
    };
    let key =
        key.map_err(|_| "githubAppPrivateKey is not a usable RSA key: take the one that GitHub made for the App")?;
    let now = now.duration_since(UNIX_EPOCH).map_err(|_| "this machine's clock is before 1970")?;
    let (issued, ends) = (now.saturating_sub(CLOCK_SKEW), now + CLAIM_LIFE);
    let claims = json!({"iat": issued.as_secs(), "exp": ends.as_secs(), "iss": app.id.to_string()});
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "githubAppPrivateKey cannot sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn wrong(url: &RepoUrl, detail: &str) -> GitError {
    GitError::Login { repository: url.to_string(), detail: detail.to_owned() }
}

#[cfg(test)]
#[path = "github_app/tests.rs"]
mod tests;
