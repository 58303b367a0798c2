//! The tokens of a GitHub App: a signed claim buys one for an hour, which then is the password of an ordinary login.
//!
//! Kept: one token per installation of an App, until shortly before it ends. Invariant: the App's key signs here and goes nowhere, not even to
//! the fetch process; nothing that the server says is repeated. Entry point: [`Tokens::login`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
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

use crate::http_client::Settings;
use crate::store::lock;
use crate::{Access, GitError, GitHubApp, Login, RepoUrl, Secret, Tls};

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

/// The tokens of all Apps.
#[derive(Debug, Default)]
pub(crate) struct Tokens(std::sync::Mutex<HashMap<Holder, Held>>);

/// Nothing before the first was bought. Locked while one is bought.
type Held = Arc<Mutex<Option<Token>>>;

/// Whose token it is. The App's key belongs to it: who has another one must not get what this one bought.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Holder {
    app: GitHubApp,
    /// Whose repositories they are, where the installation is looked up by them.
    owner: Option<String>,
}

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
        let held = self.held(app, url);
        let mut token = held.lock().await;
        let secret = match &*token {
            Some(token) if Instant::now() < token.renew_at => token.secret.clone(),
            _ => {
                let bought = buy(app, url, client).await?;
                token.insert(bought).secret.clone()
            }
        };
        Ok(Login::Basic { username: TOKEN_USER.to_owned(), password: secret })
    }

    /// A server refused a token before its time: the next login buys another, unless somebody has already.
    pub(crate) async fn refused(&self, app: &GitHubApp, url: &RepoUrl, refused: &Secret) {
        let held = self.held(app, url);
        let mut token = held.lock().await;
        if token.as_ref().is_some_and(|token| token.secret == *refused) {
            *token = None;
        }
    }

    fn held(&self, app: &GitHubApp, url: &RepoUrl) -> Held {
        let owner = match app.installation {
            Some(_) => None,
            None => owner_and_name(url).map(|(owner, _)| owner.to_lowercase()),
        };
        let mut all = lock(&self.0);
        let holder = Holder { app: app.clone(), owner };
        if let Some(held) = all.get(&holder) {
            return Arc::clone(held);
        }
        // Those of Apps that are gone: nobody holds them, and they have ended.
        let now = Instant::now();
        let is_good =
            |held: &Held| held.try_lock().is_ok_and(|held| held.as_ref().is_some_and(|own| now < own.renew_at));
        all.retain(|_, held| Arc::strong_count(held) > 1 || is_good(held));
        Arc::clone(all.entry(holder).or_default())
    }
}

/// How the API is reached: by the repository's proxy, and always with its certificate checked. What the repository's server is
/// shown, and what it is allowed, is nobody else's.
pub(crate) fn settings(app: &GitHubApp, url: &RepoUrl, access: &Access) -> Settings {
    let host = |url: Url| url.host_str().map(str::to_owned);
    let named = app.enterprise_url.as_deref().and_then(|api| Url::parse(api).ok()).and_then(host);
    let same_host = named.is_some() && named == url.http_base().and_then(host);
    let authorities = if same_host { Arc::clone(&access.tls.authorities) } else { Arc::default() };
    let tls = Tls { authorities, client: None };
    Settings { tls, insecure: false, ..Settings::of(access) }
}

/// The API's URL, if the claim can go there.
fn api(app: &GitHubApp) -> Result<Url, &'static str> {
    let api = app.enterprise_url.as_deref().unwrap_or(GITHUB_API);
    let api = Url::parse(api.trim_end_matches('/')).ok().filter(Url::has_host);
    let api = api.ok_or("githubAppEnterpriseBaseUrl is not a URL: write https://HOST/api/v3")?;
    if !api.username().is_empty() || api.password().is_some() {
        return Err("githubAppEnterpriseBaseUrl has a user name or password in it: take it out, the App is the login");
    }
    let on_this_machine = api
        .host_str()
        .is_some_and(|host| host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback()));
    match api.scheme() {
        "https" => Ok(api),
        "http" if on_this_machine => Ok(api),
        _ => Err("githubAppEnterpriseBaseUrl is not https: the token would be readable on its way"),
    }
}

/// Whose repository it is, and what it is called.
fn owner_and_name(url: &RepoUrl) -> Option<(String, String)> {
    let path = url.http_base()?.path().to_owned();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.rsplit_once('/').map(|(owner, name)| (owner.to_owned(), name.to_owned()))
}

async fn buy(app: &GitHubApp, url: &RepoUrl, client: &Client) -> Result<Token, GitError> {
    let api = api(app).map_err(|why| wrong(url, why))?;
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
        let Some((owner, name)) = owner_and_name(self.url) else {
            return Err(wrong(self.url, "the URL names no owner and repository: set githubAppInstallationID"));
        };
        let missing = "the App is not installed for this repository: install it there, or set githubAppInstallationID";
        let found: Installation = self.ask(Method::GET, &["repos", &owner, &name, "installation"], missing).await?;
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
    let key = key(app)?;
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

/// The App's key; or why it cannot be used.
fn key(app: &GitHubApp) -> Result<RsaKeyPair, &'static str> {
    let key =
        PrivateKeyDer::from_pem_slice(app.key.reveal().as_bytes()).map_err(|_| "githubAppPrivateKey is not PEM")?;
    let key = match &key {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err("githubAppPrivateKey is not an RSA key: take the one that GitHub made for the App"),
    };
    key.map_err(|_| "githubAppPrivateKey is not a usable RSA key: take the one that GitHub made for the App")
}

/// Why an App cannot be used, as far as that can be told without asking GitHub.
pub(crate) fn fault(app: &GitHubApp) -> Option<&'static str> {
    api(app).err().or_else(|| key(app).err())
}

fn wrong(url: &RepoUrl, detail: &str) -> GitError {
    GitError::Login { repository: url.to_string(), detail: detail.to_owned() }
}

#[cfg(test)]
#[path = "github_app/tests.rs"]
mod tests;
