//! What can go wrong with a repository, said to the person who must act.
//!
//! Errors are plain values: they cross from the fetch process to its parent as JSON, are shared by all who waited for the same
//! fetch, and never hold a credential: `repository` is always the redacted text of a [`crate::RepoUrl`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::CommitId;
use crate::certificate_problem::CertificateProblem;

/// Why a repository cannot be used as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum GitError {
    /// The text is no URL that a repository can have.
    #[error("the repository URL is not usable: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A scheme that is not supported.
    #[error("repository URLs with '{scheme}' are not supported: {note}")]
    UnsupportedScheme {
        /// The scheme as written.
        scheme: String,
        /// What to know about this scheme, and what to use instead.
        note: String,
    },
    /// A `file://` repository that would read other repositories' stores.
    #[error("repository '{repository}' lies inside the cache directory of Trueup: use a path outside it")]
    InsideCache {
        /// Which repository.
        repository: String,
    },

    /// No connection, no name, no route, TLS refused, or the connection broke.
    #[error("repository '{repository}' cannot be reached: {detail}")]
    Unreachable {
        /// Which repository.
        repository: String,
        /// What the network said.
        detail: String,
    },
    /// The server asks for a credential (401).
    #[error("repository '{repository}' asks for a login or refuses ours (401): check user name and token")]
    Unauthorized {
        /// Which repository.
        repository: String,
    },
    /// There is a login for the repository, and it cannot be used.
    #[error("the login for repository '{repository}' cannot be used: {detail}")]
    Login {
        /// Which repository.
        repository: String,
        /// Whose login, what is wrong with it and what to do.
        detail: String,
    },
    /// A certificate or a proxy is configured for the repository, and it cannot be used.
    #[error("the settings for repository '{repository}' cannot be used: {detail}")]
    Settings {
        /// Which repository.
        repository: String,
        /// What is wrong with it and what to do.
        detail: String,
    },
    /// The SSH server does not take our key.
    #[error(
        "the server of repository '{repository}' refuses the key {key} for user '{user}': add its public key to the repository \
         or account, or correct the user in the URL"
    )]
    KeyRefused {
        /// Which repository.
        repository: String,
        /// Whom we asked to be.
        user: String,
        /// Algorithm and fingerprint of our public key.
        key: String,
    },
    /// The host key is not known.
    #[error(
        "the SSH server {host} of repository '{repository}' is not known: it shows the key {key}; if that is right, add the line \
         that `ssh-keyscan` prints for it to ssh_known_hosts in the ConfigMap argocd-ssh-known-hosts-cm"
    )]
    UnknownHost {
        /// Which repository.
        repository: String,
        /// The host, and the port if it is not 22.
        host: String,
        /// Algorithm and fingerprint of the key.
        key: String,
    },
    /// The host key is another one than it was.
    #[error(
        "THE HOST KEY OF {host} HAS CHANGED: it shows {key} instead of {known}, so somebody may be between it and us, and \
         repository '{repository}' is not read; if its operator confirms the new key, replace the old one in the ConfigMap \
         argocd-ssh-known-hosts-cm"
    )]
    HostKeyChanged {
        /// Which repository.
        repository: String,
        /// The host, and the port if it is not 22.
        host: String,
        /// Algorithm and fingerprint of the key.
        key: String,
        /// Those of the same kind that are known.
        known: String,
    },
    /// The host key is marked as `@revoked`.
    #[error(
        "THE HOST KEY OF {host} IS REVOKED: argocd-ssh-known-hosts-cm marks {key} as @revoked, and repository '{repository}' is \
         not read; ask its operator for the new key"
    )]
    HostKeyRevoked {
        /// Which repository.
        repository: String,
        /// The host, and the port if it is not 22.
        host: String,
        /// Algorithm and fingerprint of the key.
        key: String,
    },
    /// Only an authority vouches for the host.
    #[error(
        "the SSH server {host} of repository '{repository}' is known by a @cert-authority line only, and host certificates are not \
         supported: add the host's own key, {key}, to ssh_known_hosts in the ConfigMap argocd-ssh-known-hosts-cm"
    )]
    HostCertificate {
        /// Which repository.
        repository: String,
        /// The host, and the port if it is not 22.
        host: String,
        /// Algorithm and fingerprint of the key.
        key: String,
    },
    /// The server's certificate is not to be trusted.
    #[error("the certificate of the server of repository '{repository}' {problem}")]
    Certificate {
        /// Which repository.
        repository: String,
        /// Why not.
        problem: CertificateProblem,
    },
    /// The server wants a certificate of ours.
    #[error(
        "the server of repository '{repository}' {}: set tlsClientCertData and tlsClientCertKey of the repository's Secret to a \
         certificate that it accepts",
        if *.shown { "refuses our client certificate" } else { "asks for a client certificate" }
    )]
    ClientCertificate {
        /// Which repository.
        repository: String,
        /// Whether we had one.
        shown: bool,
    },
    /// The proxy wants to know who we are (407).
    #[error(
        "the proxy before repository '{repository}' asks for a login or refuses ours (407): put user name and password into the \
         URL of the proxy"
    )]
    ProxyLogin {
        /// Which repository.
        repository: String,
    },
    /// The credential may not read the repository (403).
    #[error("repository '{repository}' may not be read with this login (403): check what the token is allowed to do")]
    Forbidden {
        /// Which repository.
        repository: String,
    },
    /// There is no repository at the URL (404, or no such directory).
    #[error("repository '{repository}' does not exist, or is hidden from this login: check the URL and the token")]
    RepositoryNotFound {
        /// Which repository.
        repository: String,
    },
    /// The server redirects to where we do not follow.
    #[error(
        "repository '{repository}' redirects to {target}, which is not followed: {reason}; use the new URL as repoURL"
    )]
    Redirected {
        /// Which repository.
        repository: String,
        /// The host and scheme it points to.
        target: String,
        /// Why not.
        reason: String,
    },
    /// The server speaks only older versions of the protocol.
    #[error(
        "the server of repository '{repository}' does not speak version 2 of the Git protocol, which is needed; over SSH its \
         sshd must let clients ask for it: AcceptEnv GIT_PROTOCOL"
    )]
    NoProtocolV2 {
        /// Which repository.
        repository: String,
    },
    /// The repository names its objects by SHA-256.
    #[error("repository '{repository}' uses the object format '{format}': only sha1 is supported")]
    ObjectFormat {
        /// Which repository.
        repository: String,
        /// What the server announced.
        format: String,
    },
    /// The server answered with an error of its own.
    #[error("the server of repository '{repository}' answered: {message}")]
    Server {
        /// Which repository.
        repository: String,
        /// Its words, shortened, without control characters and credentials.
        message: String,
    },
    /// The server has no time for us (429, 503), or says when it will have some (403).
    #[error(
        "the server of repository '{repository}' answers that it is asked too much (HTTP status {status}){}",
        .seconds.map(|seconds| format!(" and wants {seconds} s of patience")).unwrap_or_default()
    )]
    Busy {
        /// Which repository.
        repository: String,
        /// What it answered.
        status: u16,
        /// How long it wants to be left alone, if it says so.
        seconds: Option<u64>,
    },
    /// The answer is not what the protocol promises: cut off, garbled, or from something else than Git.
    #[error("the answer of repository '{repository}' is not valid Git protocol: {detail}")]
    Protocol {
        /// Which repository.
        repository: String,
        /// What was seen.
        detail: String,
    },
    /// It took too long.
    #[error("repository '{repository}': {doing} took more than {seconds} s and was ended")]
    Deadline {
        /// Which repository.
        repository: String,
        /// "listing" or "fetch".
        doing: String,
        /// The limit.
        seconds: u64,
    },
    /// Something is larger than we accept.
    #[error("repository '{repository}': {what} exceeds the limit of {limit}")]
    TooLarge {
        /// Which repository.
        repository: String,
        /// What is too large.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },

    /// No branch or tag has this name.
    #[error(
        "revision '{revision}' not found in repository '{repository}': there is no such branch or tag; push it, or correct \
         targetRevision"
    )]
    RevisionNotFound {
        /// Which repository.
        repository: String,
        /// As asked.
        revision: String,
    },
    /// A range of versions, and no tag within it.
    #[error(
        "no tag of repository '{repository}' is a version within '{range}': push one, or correct targetRevision; pre-releases \
         count only where the range names one, as in '>=1.0-0'"
    )]
    NoTagWithin {
        /// Which repository.
        repository: String,
        /// As asked.
        range: String,
    },
    /// A shortened commit id, and no branch or tag of that name.
    #[error("revision '{revision}' looks like a short commit id: use the full one of 40 digits")]
    ShortCommitId {
        /// As asked.
        revision: String,
    },
    /// No branch or tag can have this name.
    #[error(
        "revision '{revision}' cannot be the name of a branch or tag, and is no range of versions: correct targetRevision"
    )]
    InvalidRevision {
        /// As asked.
        revision: String,
    },
    /// The repository does not have this commit.
    #[error(
        "revision '{commit}' not found in repository '{repository}': the server does not have this commit or does not hand it \
         out; check that it is pushed"
    )]
    CommitNotFound {
        /// Which repository.
        repository: String,
        /// Which commit.
        commit: CommitId,
    },
    /// The id or tag names something that is not a commit.
    #[error("revision '{revision}' of repository '{repository}' is not a commit")]
    NotACommit {
        /// Which repository.
        repository: String,
        /// As asked.
        revision: String,
    },

    /// The commit is not in the local store (yet).
    #[error("commit '{commit}' of repository '{repository}' is not in the local store: it must be fetched first")]
    NotFetched {
        /// Which repository.
        repository: String,
        /// Which commit.
        commit: CommitId,
    },
    /// A path that is not a plain relative one.
    #[error("path '{path}' is not allowed: {reason}")]
    InvalidPath {
        /// As asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing is there.
    #[error(
        "path '{path}' does not exist at this revision{}; correct the path, or push the directory to this revision",
        there(.near)
    )]
    PathNotFound {
        /// As asked.
        path: String,
        /// Paths that do exist there and look like what was meant.
        near: Vec<String>,
    },
    /// A file, where a directory is needed.
    #[error("path '{path}' is a file: a directory is needed")]
    NotADirectory {
        /// As asked.
        path: String,
    },
    /// A symbolic link on the way; links to directories are not followed.
    #[error("path '{path}' leads through the symbolic link '{link}': name the directory itself")]
    SymlinkOnPath {
        /// As asked.
        path: String,
        /// The link.
        link: String,
    },
    /// A submodule on the way.
    #[error(
        "path '{path}' leads into the submodule '{submodule}': submodules are not read; use its repository as the source"
    )]
    SubmoduleOnPath {
        /// As asked.
        path: String,
        /// The submodule.
        submodule: String,
    },
    /// An object larger than the caller accepts.
    #[error("{what} '{id}' has {bytes} bytes: more than the {limit} that are accepted")]
    ObjectTooLarge {
        /// "file", "directory" or "commit".
        what: String,
        /// Its object id.
        id: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },

    /// A file that is kept in Git LFS, and is not here.
    #[error("the file sha256:{id} of repository '{repository}' is kept in Git LFS, and cannot be read: {detail}")]
    LargeFile {
        /// Which repository.
        repository: String,
        /// The SHA-256 of the file.
        id: String,
        /// Why not, and what to do.
        detail: String,
    },

    /// The local store cannot be used: disk full, no permission, damaged.
    #[error("the local store of repository '{repository}' failed: {detail}")]
    Store {
        /// Which repository.
        repository: String,
        /// What the disk or the object database said.
        detail: String,
    },
    /// The fetch process did not do its work.
    #[error("the fetch process for repository '{repository}' failed: {detail}")]
    FetchProcess {
        /// Which repository.
        repository: String,
        /// How it ended.
        detail: String,
    },
}

impl GitError {
    /// Whether the whole repository fails, so that the same would happen to any other revision or commit now.
    pub fn is_about_repository(&self) -> bool {
        matches!(
            self,
            Self::InvalidUrl { .. }
                | Self::UnsupportedScheme { .. }
                | Self::InsideCache { .. }
                | Self::Unreachable { .. }
                | Self::Unauthorized { .. }
                | Self::Login { .. }
                | Self::Settings { .. }
                | Self::KeyRefused { .. }
                | Self::UnknownHost { .. }
                | Self::HostKeyChanged { .. }
                | Self::HostKeyRevoked { .. }
                | Self::HostCertificate { .. }
                | Self::Certificate { .. }
                | Self::ClientCertificate { .. }
                | Self::ProxyLogin { .. }
                | Self::Forbidden { .. }
                | Self::RepositoryNotFound { .. }
                | Self::Redirected { .. }
                | Self::NoProtocolV2 { .. }
                | Self::ObjectFormat { .. }
                | Self::Server { .. }
                | Self::Busy { .. }
                | Self::Deadline { .. }
                | Self::Protocol { .. }
                | Self::FetchProcess { .. }
        )
    }
}

impl GitError {
    /// How long the server wants to be left alone.
    pub fn patience(&self) -> Option<Duration> {
        match self {
            Self::Busy { seconds, .. } => seconds.map(Duration::from_secs),
            _ => None,
        }
    }
}

/// What there is in place of what was asked for.
fn there(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(", but '{}' does", near.join("', '")) }
}
