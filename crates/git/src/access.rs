//! How a repository is reached beyond its URL: login, certificates, known hosts, proxy.
//!
//! Invariant: two are equal if they hold the same, whoever made them; what they hide is never shown. It crosses to the fetch
//! process through its stdin, and is written nowhere else.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{RepoUrl, Secret, known_hosts};

/// How a repository is reached. The default is nothing: the credentials of the URL itself, the system's certificates, no known
/// host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    /// Who we are. It goes before the credentials of the URL.
    pub login: Login,
    /// Whom we trust, and what we show.
    pub tls: Tls,
    /// The URL of a proxy for this repository, in place of those of the environment. HTTP only.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without `proxy`: names, domains, addresses and networks, separated by commas.
    pub no_proxy: String,
    /// The lines of a `known_hosts` file.
    pub known_hosts: Arc<str>,
    /// Any certificate is accepted, and any host key.
    pub insecure: bool,
    /// Files that are kept in Git LFS are read, in place of their pointers.
    pub lfs: bool,
}

/// How a Helm repository or a registry is reached, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RegistryAccess {
    /// How it is reached.
    pub access: Access,
    /// Whether charts are kept as in a registry, although the URL does not say so (`enableOCI`, or the type is `oci`).
    pub oci: bool,
    /// Whether a registry is asked without TLS (`insecureOCIForceHttp`).
    pub oci_over_http: bool,
}

impl Access {
    /// Who we are: what a server may show us depends on this alone.
    pub(crate) fn who(&self) -> (&Login, Option<&ClientCertificate>) {
        (&self.login, self.tls.client.as_ref())
    }

    /// What of it matters at a URL: what does not must not make two stores of one.
    pub(crate) fn relevant_to(&self, url: &RepoUrl) -> Self {
        if url.file_path().is_some() {
            return Self::default();
        }
        match url.ssh_place() {
            None => Self { known_hosts: Arc::default(), ..self.clone() },
            Some(place) => {
                let known_hosts = known_hosts::lines_for(place, &self.known_hosts).into();
                Self { tls: Tls::default(), known_hosts, ..self.clone() }
            }
        }
    }
}

/// Who we are to a server.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Login {
    /// Nobody, or who the URL says.
    #[default]
    None,
    /// User name and password; of most hosts the password is a token.
    Basic {
        /// The user. With a token some hosts take any name, but none takes an empty one.
        username: String,
        /// The password or token.
        password: Secret,
    },
    /// A token that goes as it is, `Authorization: Bearer`.
    Bearer(Secret),
    /// A private key for SSH: OpenSSH's own format, PKCS#8 or PKCS#1, in PEM.
    Key(Secret),
    /// A GitHub App, whose tokens last an hour.
    GitHubApp(GitHubApp),
}

/// An installed GitHub App.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GitHubApp {
    /// The id of the App.
    pub id: u64,
    /// The id of its installation; without one it is looked up by the repository's organisation.
    pub installation: Option<u64>,
    /// Its private key, RSA in PEM.
    pub key: Secret,
    /// The API of a GitHub Enterprise server, `https://HOST/api/v3`; else github.com's.
    pub enterprise_url: Option<String>,
}

/// Certificates, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tls {
    /// Authorities that are trusted, in place of those of the system; without any it is those.
    pub authorities: Arc<str>,
    /// What we show to a server that asks for a certificate.
    pub client: Option<ClientCertificate>,
}

/// A certificate of ours, with its key.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The certificate and those between it and its authority.
    pub certificate: String,
    /// Its private key.
    pub key: Secret,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            // A user name alone may be the token.
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::Key(_) => "Key(…)",
            Self::GitHubApp(_) => "GitHubApp(…)",
        })
    }
}

impl fmt::Debug for GitHubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL: a login in it is refused, but only when it is used.
        f.debug_struct("GitHubApp")
            .field("id", &self.id)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who pastes both into one field puts the key here.
        f.write_str("ClientCertificate(…)")
    }
}
