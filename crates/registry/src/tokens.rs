//! What a registry lets us in with: a password, or a token that its service gives for it.
//!
//! Kept: one for each repository of a registry and login, until shortly before it ends. Invariant: a token is asked for to read
//! one repository and nothing else; the login goes to the service that the registry names, but never in the clear where the
//! registry is not. Entry points: [`Tokens::held`] and [`buy`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;
use trueup_git::{GitError, Secret};

use crate::RegistryError;
use crate::lru::Lru;
use crate::package::Source;
use crate::transfer::{Show, Wire};

/// Repositories for which something is kept; more are asked for anew.
const KEPT_MAX: usize = 1000;
/// Bytes of the answer of a service that gives tokens: one token, of some kB.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long a token is good for where the service does not say; as the protocol has it.
const LIFE: Duration = Duration::from_mins(1);
/// No token is used longer, whatever the service says: a login that was taken back must not live on.
const LIFE_MAX: Duration = Duration::from_hours(1);
/// A token is replaced so long before its end: longer than a request is under way.
const RENEW_BEFORE: Duration = Duration::from_secs(10);

/// What lets us in.
#[derive(Clone)]
pub(crate) enum Pass {
    /// User name and password.
    Login,
    /// A token.
    Token {
        secret: Secret,
        /// When it is replaced.
        renew_at: Instant,
    },
}

/// Locked while a new one is being had.
pub(crate) type Held = Arc<tokio::sync::Mutex<Option<Pass>>>;

/// What lets us in everywhere.
pub(crate) struct Tokens(Mutex<Lru<Source, Held>>);

#[derive(Deserialize)]
struct Issued {
    token: Option<Secret>,
    access_token: Option<Secret>,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Lru::new(KEPT_MAX, u64::MAX)))
    }

    /// What is kept for a repository.
    pub(crate) fn held(&self, source: &Source) -> Held {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(source)
    }

    /// Lets go of those of other repositories.
    pub(crate) fn retain(&self, keep: impl Fn(&Source) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(keep);
    }
}

impl Pass {
    /// Whether it may be shown now.
    pub(crate) fn is_good(&self) -> bool {
        match self {
            Self::Login => true,
            Self::Token { renew_at, .. } => Instant::now() < *renew_at,
        }
    }

    pub(crate) fn show(&self) -> Show {
        match self {
            Self::Login => Show::Login,
            Self::Token { secret, .. } => Show::Token(secret.clone()),
        }
    }

    /// Whether both are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Login, Self::Login) => true,
            (Self::Token { secret: one, .. }, Self::Token { secret: other, .. }) => one == other,
            _ => false,
        }
    }
}

/// Asks a service for a token to read a repository.
pub(crate) async fn buy(
    wire: &Wire<'_>,
    source: &Source,
    realm: &str,
    service: Option<&str>,
) -> Result<Pass, RegistryError> {
    let protocol = |detail: String| RegistryError::Protocol { package: source.to_string(), detail };
    let base = wire.site.base();
    let mut url = Url::parse(realm)
        .ok()
        .filter(|url| {
            url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && base.scheme() == "http"))
        })
        .ok_or_else(|| protocol("it sends us for a token to what is no https:// URL".to_owned()))?;
    let (_, _) = (url.set_username(""), url.set_password(None));
    let name = base.path().trim_matches('/').to_owned();
    let scope = format!("repository:{name}:pull");
    url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service))).append_pair("scope", &scope);
    // Who is nobody gets a token for what everybody may read.
    let show = if wire.site.has_login() { Show::LoginThere } else { Show::Nothing };
    let (response, at) = wire.send(&Method::GET, &url, &HeaderMap::new(), &show).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(GitError::Unauthorized { repository: source.to_string() }.into()),
        StatusCode::FORBIDDEN => return Err(GitError::Forbidden { repository: source.to_string() }.into()),
        status => return Err(wire.refusal(status, &at, "it was asked for a token")),
    }
    let body = wire.body(response, &at, "the answer with a token", ANSWER_BYTES_MAX).await?;
    let none = || protocol(format!("{} gives no token that can be used", wire.place(&at)));
    // The decoder's own words may quote a token.
    let issued: Issued = serde_json::from_slice(&body).map_err(|_| none())?;
    let secret = issued.token.filter(|token| !token.is_empty()).or(issued.access_token).ok_or_else(none)?;
    if secret.is_empty() || secret.reveal().chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err(none());
    }
    let life = issued.expires_in.map_or(LIFE, Duration::from_secs).min(LIFE_MAX);
    let good = life.checked_sub(RENEW_BEFORE).unwrap_or_default().max(life / 2);
    Ok(Pass::Token { secret, renew_at: Instant::now() + good })
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "Login",
            Self::Token { .. } => "Token(…)",
        })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}
