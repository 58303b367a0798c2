//! Why a server's certificate is not trusted, and who must do what about it.

use serde::{Deserialize, Serialize};

/// Why a server's certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CertificateProblem {
    /// Nobody whom we know has signed it.
    #[error(
        "is signed by an authority that is not known: add the authority's certificate under the host's name to the ConfigMap \
         argocd-tls-certs-cm"
    )]
    UnknownAuthority,
    /// Its time is over.
    #[error("has expired: the server needs a new one")]
    Expired,
    /// Its time has not come.
    #[error("is not valid yet: check the clocks of the server and of this machine")]
    NotYetValid,
    /// It is for another host.
    #[error(
        "is for another name than the URL's host: use a name that it is for, or let the server have one for this name"
    )]
    WrongName,
    /// Anything else.
    #[error("is not accepted: {0}; the server needs another one")]
    Other(String),
}
