//! Charts from Helm repositories and OCI registries, and OCI artifacts as sources.
//!
//! A [`Package`] says what is asked for and how its server is reached. [`Registry::resolve`] asks which version or digest a
//! range is at, [`Registry::fetch`] answers with its files: from memory, from the cache on disk, or from the server, whose bytes
//! must have the digest that was promised. Nothing is ever unpacked to a disk.

mod archives;
mod challenge;
mod cost;
mod digest;
mod error;
mod file;
mod flights;
mod helm;
mod index;
mod limits;
mod lru;
mod manifest;
mod oci;
mod package;
mod registry;
mod tokens;
mod transfer;
mod unpack;
mod version;

pub use error::RegistryError;
pub use file::place;
pub use limits::Limits;
pub use package::Package;
pub use registry::{Archive, Counters, Registry, RegistryConfig, Resolved};
pub use unpack::ArchiveError;
