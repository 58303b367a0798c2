//! How a command reaches a repository: as the controller does, by the Secrets of its namespace. Entry points: [`Known::of`] and
//! [`Reach::by`].

use std::sync::Arc;

use trueup_cluster::{Cluster, ClusterError};
use trueup_controller::credentials;
use trueup_git::{Access, Credentials, FetchProgram, GitError, Limits, Proxies, RepoUrl, Store, Stores, StoresConfig};

use crate::access;
use crate::cache::CacheDir;
use crate::cli::GIT_FETCH;
use crate::command_error::{CommandError, internal_error_with_message, user_error_with_message};
use crate::output::talk;

/// Where the logins of an Application's repository lie: in the namespace of the controller that governs it.
#[derive(Clone, Copy)]
pub(crate) struct Logins<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
}

/// What is known of logins.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) credentials: Credentials,
    /// Why the Secrets are not known.
    unlisted: Option<ClusterError>,
}

/// How a repository is reached, and what is to be said if that fails.
pub(crate) struct Reach {
    access: Access,
}

/// The logins of a namespace, for whoever is there to see them; what is wrong with some is told as warnings.
pub(crate) async fn listed(logins: Logins<'_>) -> Result<Credentials, CommandError> {
    let (credentials, problems) = credentials(logins.cluster, logins.namespace).await.map_err(unlisted)?;
    for problem in problems {
        talk::warning(&problem);
    }
    Ok(credentials)
}

fn unlisted(error: ClusterError) -> CommandError {
    access::explained("cannot list the Secrets of repositories", error)
}

// === impl Reach ===

impl Reach {
    /// How an application of a project reaches a repository.
    pub(crate) fn by(credentials: &Credentials, url: &RepoUrl, project: &str) -> Result<Self, CommandError> {
        let access = credentials.access(url, project);
        let access = access.map_err(|error| user_error_with_message("the repository cannot be reached", error))?;
        Ok(Self { access })
    }

    /// The store of the repository, below a directory for the cache.
    pub(crate) fn store(&self, url: &RepoUrl, cache: &CacheDir) -> Result<Arc<Store>, CommandError> {
        let store = Stores::new(stores_config(cache)?).and_then(|stores| stores.store(url, &self.access));
        store.map_err(|error| self.failed(error))
    }

    /// What Git said, with what to do next.
    #[expect(clippy::unused_self, reason = "it is about this way")]
    pub(crate) fn failed(&self, error: GitError) -> CommandError {
        Known::default().failed(error)
    }
}

/// How clones are kept below a directory for the cache.
pub(crate) fn stores_config(cache: &CacheDir) -> Result<StoresConfig, CommandError> {
    let exe = std::env::current_exe()
        .map_err(|error| internal_error_with_message("cannot find the program's own file", error))?;
    Ok(StoresConfig {
        cache_dir: cache.path.join("git"),
        fetch_program: FetchProgram { exe, args: vec![GIT_FETCH.to_owned()] },
        limits: Limits::default(),
        proxies: Proxies::from_env(),
    })
}

// === impl Known ===

impl Known {
    /// The logins of a namespace. Who may not list Secrets reaches what needs no login.
    pub(crate) async fn of(logins: Logins<'_>) -> Result<Self, CommandError> {
        match credentials(logins.cluster, logins.namespace).await {
            Ok((credentials, _)) => Ok(Self { credentials, unlisted: None }),
            Err(error @ ClusterError::Forbidden { .. }) => Ok(Self { unlisted: Some(error), ..Self::default() }),
            Err(error) => Err(unlisted(error)),
        }
    }

    /// What Git said, with what to do next.
    pub(crate) fn failed(&self, error: GitError) -> CommandError {
        let about_login = matches!(
            error,
            GitError::Unauthorized { .. } | GitError::Forbidden { .. } | GitError::RepositoryNotFound { .. }
        );
        let failed = user_error_with_message("Git cannot be read", error);
        match &self.unlisted {
            Some(why) if about_login => {
                failed.hinted(format!("no login was used, since the Secrets of repositories cannot be listed: {why}"))
            }
            _ if about_login => failed.hinted("see which logins there are: trueup repo list"),
            _ => failed,
        }
    }
}
