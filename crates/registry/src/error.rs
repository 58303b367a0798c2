//! What can go wrong with a package, said to the person who must act.
//!
//! Errors are plain values, shared by all who waited for the same thing, and never hold a credential: what they name is the
//! redacted text of a [`crate::Package`] or of a repository, and words of a server are shortened and masked.

use std::time::Duration;

use trueup_git::GitError;

use crate::ArchiveError;

/// Why a package cannot be had as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The repository cannot be used or reached, refuses us, or does not keep to a limit.
    #[error(transparent)]
    Repository(#[from] GitError),
    /// The name of a chart or of a place in a registry is none.
    #[error("'{text}' is not the name of a chart or of a repository in a registry: {reason}")]
    InvalidName {
        /// As written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no `index.yaml`.
    #[error(
        "Helm repository '{repository}' has no index.yaml (404): check the URL and the login; a registry (OCI) is written \
         without https://, or its Secret has enableOCI"
    )]
    NoIndex {
        /// Which repository.
        repository: String,
    },
    /// The `index.yaml` cannot be read.
    #[error(
        "the index.yaml of Helm repository '{repository}' cannot be read: {detail}; have it made anew by `helm repo index`"
    )]
    Index {
        /// Which repository.
        repository: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The index does not have the chart.
    #[error("Helm repository '{repository}' has no chart '{chart}'{}: correct the chart's name or the URL", names(.near))]
    NoChart {
        /// Which repository.
        repository: String,
        /// As asked.
        chart: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// No version is within the range, or there is no such version.
    #[error(
        "{package} has no version '{wanted}'{}: correct targetRevision; pre-releases count only where the range names one, as in \
         '>=1.0.0-0'",
        .newest.as_ref().map(|newest| format!(" (the newest is {newest})")).unwrap_or_default()
    )]
    NoVersion {
        /// What was asked for.
        package: String,
        /// As asked.
        wanted: String,
        /// The highest version that is no pre-release, if there is one.
        newest: Option<String>,
    },
    /// Neither a version nor a range.
    #[error("'{wanted}' is no version of {package}: write a version (1.2.3) or a range (1.x, ^2.1, '>=1.0 <3')")]
    InvalidVersion {
        /// What was asked for.
        package: String,
        /// As asked.
        wanted: String,
    },
    /// The registry has no such tag or digest, or does not show it to us.
    #[error(
        "{package} has no '{reference}' (404), or hides it from this login: push it, correct targetRevision, or check the login"
    )]
    NotFound {
        /// What was asked for.
        package: String,
        /// The tag or digest.
        reference: String,
    },
    /// The archive that the index names is not there.
    #[error(
        "the archive of {package} is missing: {location} answers 404; the index.yaml names what the server does not have"
    )]
    NoArchive {
        /// What was asked for.
        package: String,
        /// Where it should be.
        location: String,
    },
    /// The index says nothing of where an archive is, or something that cannot be asked.
    #[error("the index.yaml of {package} names no place from which it can be had: {detail}")]
    Location {
        /// What was asked for.
        package: String,
        /// What it says.
        detail: String,
    },
    /// The bytes are not those that were promised.
    #[error(
        "{what} of {package} is not what was promised: its digest is {actual} and not {expected}; it may have been replaced or \
         damaged, and is not used"
    )]
    Digest {
        /// What was asked for.
        package: String,
        /// "The archive" or "the manifest".
        what: String,
        /// What was promised.
        expected: String,
        /// What came.
        actual: String,
    },
    /// The size is not the one that was promised.
    #[error("{what} of {package} is not what was promised: it has {actual} bytes and not {expected}, and is not used")]
    Size {
        /// What was asked for.
        package: String,
        /// "The archive".
        what: String,
        /// What was promised.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The version is another one than it was when it was resolved.
    #[error(
        "version '{version}' of {package} was replaced by another with the same number just now: it is looked up again"
    )]
    Replaced {
        /// What was asked for.
        package: String,
        /// Which version.
        version: String,
    },
    /// The manifest is none of a chart or artifact.
    #[error("the manifest of {package} cannot be used: {detail}")]
    Manifest {
        /// What was asked for.
        package: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The registry answers something else than the protocol has.
    #[error("{package}: the registry does not keep to its protocol: {detail}")]
    Protocol {
        /// What was asked for.
        package: String,
        /// What was seen.
        detail: String,
    },
    /// The archive cannot be unpacked.
    #[error("the archive of {package} cannot be unpacked: {problem}")]
    Archive {
        /// What was asked for.
        package: String,
        /// Why not.
        problem: ArchiveError,
    },
    /// The cache directory cannot be used.
    #[error("the cache directory '{path}' cannot be used: {detail}")]
    Cache {
        /// Which directory.
        path: String,
        /// What the system said.
        detail: String,
    },
}

impl RegistryError {
    /// Whether the whole repository fails, so that the same would happen to any other chart or version now.
    pub fn is_about_repository(&self) -> bool {
        match self {
            Self::Repository(error) => error.is_about_repository(),
            Self::NoIndex { .. } | Self::Index { .. } | Self::Protocol { .. } | Self::Cache { .. } => true,
            _ => false,
        }
    }

    /// How long the server wants to be left alone.
    pub fn patience(&self) -> Option<Duration> {
        match self {
            Self::Repository(error) => error.patience(),
            _ => None,
        }
    }
}

fn names(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!(" (did you mean {}?)", near.join(" or ")),
    }
}
