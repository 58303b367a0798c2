//! An HTTP client: whom it trusts, what it shows, which way it takes; and what its errors mean.
//!
//! Entry points: [`Settings::client`] and [`failed`].

use std::error::Error;
use std::time::Duration;

use reqwest::tls::Identity;
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy};
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
}

impl Settings {
    /// Those of a repository.
    pub(crate) fn of(access: &Access) -> Self {
        let Access { tls, proxy, insecure, .. } = access;
        // Without a proxy of its own it says nothing: the environment has its own list.
        let no_proxy = if proxy.is_some() { access.no_proxy.clone() } else { String::new() };
        Self { tls: tls.clone(), proxy: proxy.clone(), no_proxy, insecure: *insecure }
    }

    /// The error that says why no client can be made.
    pub(crate) fn unusable(remote: &Remote, detail: &str) -> GitError {
        GitError::Settings { repository: remote.to_string(), detail: remote.scrub(detail) }
    }

    /// Makes the client; or says why that cannot be. Reads the system's certificates where it is to trust them.
    pub(crate) fn client(&self, proxies: &Proxies, limits: &Limits) -> Result<Client, String> {
        let Self { tls, proxy, no_proxy, insecure } = self;
        let mut builder = builder(limits);
        if !tls.authorities.is_empty() {
            let authorities = Certificate::from_pem_bundle(tls.authorities.as_bytes()).unwrap_or_default();
            if authorities.is_empty() {
                let why = "what stands under the host's name in argocd-tls-certs-cm is no certificate in PEM: correct or remove it";
                return Err(why.to_owned());
            }
            // Not beside the system's: who names the authority of a host wants no other one to speak for it.
            builder = builder.tls_certs_only(authorities);
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
        builder.build().map_err(|error| words(&error))
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
    let kind = if error.is_timeout() { "no answer in time" } else { "the connection failed" };
    let mut text = kind.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
