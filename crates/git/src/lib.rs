//! One store per repository: resolve a revision, fetch it, read its trees.
//!
//! [`Stores`] hands out a [`Store`] for a [`RepoUrl`]. [`Store::resolve`] asks the server which commits revisions are at,
//! [`Store::fetch`] makes commits present, by a process of its own ([`fetch_main`]); then [`Store::tree`], [`Store::entries`]
//! and [`Store::blob`] read them without a checkout. The id of a directory is the hash of all that is in it.
//!
//! A store holds single commits with all their files, but not their history.

mod access;
mod armor;
mod certificate_problem;
mod clients;
mod credentials;
mod disk;
mod error;
mod fetch;
mod github_app;
mod http;
mod http_client;
mod id;
mod keyring;
mod known_hosts;
mod lfs;
mod limits;
mod local;
mod names;
mod near;
mod openpgp;
mod pack;
mod pkt;
mod private;
mod process;
mod protocol;
mod proxies;
mod range;
mod read;
mod remote;
mod repository_secret;
mod revision;
mod secret;
mod secret_fields;
mod server;
mod signed;
mod ssh;
mod ssh_key;
mod ssh_place;
mod ssh_rsa;
mod ssh_signature;
mod store;
mod stores;
mod url;
mod used;
mod verdict;
mod web;
mod working_copy;

pub use access::{Access, ClientCertificate, GitHubApp, Login, RegistryAccess, Tls};
pub use certificate_problem::CertificateProblem;
pub use credentials::{Credentials, SSH_KNOWN_HOSTS, TLS_CERTS, Trust};
pub use error::GitError;
pub use fetch::fetch_main;
pub use id::{BlobId, CommitId, IdError, TagId, TreeId};
pub use keyring::Keyring;
pub use limits::Limits;
pub use names::DirectoryNames;
pub use near::near;
pub use private::{directory as private_directory, keep_memory_private, write as private_write};
pub use process::FetchProgram;
pub use proxies::Proxies;
pub use range::Range;
pub use read::{Commit, Entry, EntryKind};
pub use repository_secret::{REPOSITORY_SECRETS, RepositorySecret};
pub use revision::{Resolved, may_move};
pub use secret::Secret;
pub use signed::Signed;
pub use store::Store;
pub use stores::{Counters, Stores, StoresConfig};
pub use url::RepoUrl;
pub use verdict::{Signer, Verdict};
pub use web::{Site, Web};
pub use working_copy::WorkingCopy;
