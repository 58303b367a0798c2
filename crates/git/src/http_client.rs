//! An HTTP client: whom it trusts, what it shows, which way it takes; and what its errors mean.
//!
//! Entry points: [`Settings::client`] and [`failed`].

use std::error::Error;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::tls::Identity;
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, Url};
use rustls::{AlertDescription, CertificateError};
use zeroize::Zeroizing;

use crate::certificate_problem::CertificateProblem;
use crate::protocol::AGENT;
use crate::proxies::proxy_url;
use crate::remote::Remote;
use crate::{Access, GitError, Limits, Proxies, Secret, Tls};

/// How long a connection may take to come up: several lost packets, not a dead host.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the client says when a proxy answers 407 to a tunnel; it has no type for it.
const TUNNEL_REFUSED: &str = "proxy authorization required";

/// What makes two clients one: whom it trusts, what it shows, which way it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Settings {
    pub(crate) tls: Tls,
    /// In place of the proxies of the environment.
    pub(crate) proxy: Option<Secret>,
    pub(crate) no_proxy: String,
    /// Any certificate is taken.
    pub(crate) insecure: bool,
    /// The system's authorities are trusted beside those that are named.
    pub(crate) system_too: bool,
}

impl Settings {
    /// Those of a repository.
    pub(crate) fn of(access: &Access) -> Self {
        let Access { tls, proxy, insecure, .. } = access;
        // Without a proxy of its own it says nothing: the environment has its own list.
        let no_proxy = if proxy.is_some() { access.no_proxy.clone() } else { String::new() };
        Self { tls: tls.clone(), proxy: proxy.clone(), no_proxy, insecure: *insecure, system_too: false }
    }

    /// Those for other servers than the repository's own, of which nothing is known but that it names them: they are not shown
    /// who we are, and are trusted if either the system or who knows the repository does.
    pub(crate) fn for_others(self) -> Self {
        let tls = Tls { client: None, ..self.tls };
        Self { tls, insecure: false, system_too: true, ..self }
    }

    /// The error that says why no client can be made.
    pub(crate) fn unusable(remote: &Remote, detail: &str) -> GitError {
        GitError::Settings { repository: remote.to_string(), detail: remote.scrub(detail) }
    }

    /// Makes the client; or says why that cannot be. Reads the system's certificates where it is to trust them.
    pub(crate) fn client(&self, proxies: &Proxies, limits: &Limits) -> Result<Client, String> {
        let Self { tls, proxy, no_proxy, insecure, system_too } = self;
        let mut builder = builder(limits);
        if !tls.authorities.is_empty() {
            let authorities = Certificate::from_pem_bundle(tls.authorities.as_bytes()).unwrap_or_default();
            if authorities.is_empty() {
                let why = "what stands under the host's name in argocd-tls-certs-cm is no certificate in PEM: correct or remove it";
                return Err(why.to_owned());
            }
            builder = if *system_too {
                builder.tls_certs_merge(authorities)
            } else {
                // Not beside the system's: who names the authority of a host wants no other one to speak for it.
                builder.tls_certs_only(authorities)
            };
        }
        if let Some(own) = &tls.client {
            let pem = Zeroizing::new(format!("{}\n{}\n", own.certificate, own.key.reveal()));
            // The error may quote what it could not read.
            let identity = Identity::from_pem(pem.as_bytes()).map_err(|_| {
                "tlsClientCertData and tlsClientCertKey must be a certificate and its unencrypted private key, both in PEM"
            })?;
            builder = builder.identity(identity);
        }
        if *insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder = match proxy {
            None => proxies.apply(builder),
            Some(url) => {
                let proxy = proxy_url(url.reveal()).and_then(|url| Proxy::all(url).ok());
                let proxy = proxy.ok_or("the proxy must be a URL with http:// or https://")?;
                builder.proxy(proxy.no_proxy(NoProxy::from_string(no_proxy)))
            }
        };
        // What is left to fail is the certificates: that they do not fit each other, or hold none after all.
        builder.build().map_err(|error| with_causes("the certificates cannot be used", &error))
    }

    /// The proxy by which a URL is reached, as host and port: nothing of its login.
    fn proxy_to(&self, url: &Url, proxies: &Proxies) -> Option<String> {
        let reveal = |url: &Option<Secret>| url.as_ref().map(|url| url.reveal().to_owned()).unwrap_or_default();
        let own = self.proxy.is_some();
        let (http, https) = if own { (&self.proxy, &self.proxy) } else { (&proxies.http, &proxies.https) };
        let no_proxy = if own { &self.no_proxy } else { &proxies.no_proxy };
        let matcher = Matcher::builder().http(reveal(http)).https(reveal(https)).no(no_proxy.as_str()).build();
        let proxy = matcher.intercept(&url.as_str().parse().ok()?)?;
        let (host, port) = (proxy.uri().host()?, proxy.uri().port_u16());
        let default = if proxy.uri().scheme_str() == Some("https") { 443 } else { 80 };
        Some(format!("{host}:{}", port.unwrap_or(default)))
    }
}

/// The error with the proxy that is on the way to the repository, if there is one: that may be what cannot be reached.
pub(crate) fn naming_the_proxy(error: GitError, remote: &Remote, proxies: &Proxies) -> GitError {
    let proxy = || Settings::of(&remote.access).proxy_to(&remote.url.http_base()?, proxies);
    match error {
        GitError::Unreachable { repository, detail } => match proxy() {
            Some(proxy) => {
                GitError::Unreachable { repository, detail: format!("{detail}; the proxy {proxy} is on the way") }
            }
            None => GitError::Unreachable { repository, detail },
        },
        error => error,
    }
}

fn builder(limits: &Limits) -> ClientBuilder {
    // The binary installs the provider of cryptography; installed already is what we want.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
        .user_agent(AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(limits.idle)
        .referer(false)
        // Those of the environment are ours to name: the fetch process has none.
        .no_proxy()
}

/// What a failed request means for people.
pub(crate) fn failed(remote: &Remote, error: &reqwest::Error) -> GitError {
    let repository = remote.to_string();
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            return GitError::Certificate { repository, problem: problem(why, remote) };
        }
        Some(rustls::Error::AlertReceived(alert)) if is_about_us(*alert, remote) => {
            return GitError::ClientCertificate { repository, shown: remote.access.tls.client.is_some() };
        }
        _ => {}
    }
    let words = words(error);
    if words.contains(TUNNEL_REFUSED) {
        return GitError::ProxyLogin { repository };
    }
    GitError::Unreachable { repository, detail: remote.scrub(&words) }
}

fn problem(why: &CertificateError, remote: &Remote) -> CertificateProblem {
    match why {
        CertificateError::UnknownIssuer => CertificateProblem::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        why => CertificateProblem::Other(remote.scrub(&why.to_string())),
    }
}

/// Whether the server ended the connection because of the certificate that we showed, or did not show.
fn is_about_us(alert: AlertDescription, remote: &Remote) -> bool {
    match alert {
        AlertDescription::CertificateRequired => true,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => remote.access.tls.client.is_some(),
        // Servers before TLS 1.3 say "handshake failure", which is what they say of everything.
        _ => false,
    }
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An error of the system that was made from another shows that one's causes, but not itself.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

/// An error with its causes, the last of which is the one that helps ("connection refused").
pub(crate) fn words(error: &reqwest::Error) -> String {
    with_causes(if error.is_timeout() { "no answer in time" } else { "the connection failed" }, error)
}

fn with_causes(what: &str, error: &reqwest::Error) -> String {
    let mut text = what.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_on_the_way_is_named_without_its_login() {
        let proxies = Proxies {
            http: None,
            https: Some(Secret::new("http://me:hunter2@proxy.example.com:3128/")),
            no_proxy: "inside.example.com,10.0.0.0/8".to_owned(),
        };
        let to = |settings: &Settings, url: &str| settings.proxy_to(&Url::parse(url).unwrap(), &proxies);
        let of_environment = Settings::default();
        assert_eq!(to(&of_environment, "https://h/a").as_deref(), Some("proxy.example.com:3128"));
        for direct in ["http://h/a", "https://git.inside.example.com/a", "https://10.1.2.3/a"] {
            assert_eq!(to(&of_environment, direct), None, "{direct}");
        }
        let own = Settings { proxy: Some(Secret::new("https://own")), no_proxy: "h".to_owned(), ..Settings::default() };
        assert_eq!(to(&own, "http://g/a").as_deref(), Some("own:443"));
        assert_eq!(to(&own, "https://h/a"), None);
        assert_eq!(to(&own, "https://10.1.2.3/a").as_deref(), Some("own:443"), "the list is its own as well");
    }
}
