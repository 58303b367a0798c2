//! A repository of this machine as its user sees it: where it begins, what it calls its remotes, and what its names stand for.
//!
//! Only refs and the repository's own configuration are read; files are read from a [`Store`](crate::Store) of
//! [`WorkingCopy::url`]. Entry point: [`WorkingCopy::around`].

use std::path::Path;

use git2::{ErrorCode, Repository};

use crate::limits::set_libgit2_limits;
use crate::remote::one_line;
use crate::{CommitId, GitError, RepoUrl};

/// A repository on disk, with a checkout or bare.
pub struct WorkingCopy {
    repository: Repository,
    url: RepoUrl,
}

// === impl WorkingCopy ===

impl WorkingCopy {
    /// The repository that a directory is in.
    pub fn around(dir: &Path) -> Result<Self, GitError> {
        set_libgit2_limits();
        let shown = || dir.display().to_string();
        let repository = Repository::discover(dir).map_err(|error| match error.code() {
            ErrorCode::NotFound => GitError::RepositoryNotFound { repository: shown() },
            _ => GitError::Unreachable { repository: shown(), detail: one_line(error.message()) },
        })?;
        let top = repository.workdir().unwrap_or_else(|| repository.path());
        let url = reqwest::Url::from_directory_path(top)
            .map_err(|()| GitError::InvalidUrl { reason: format!("'{}' is no absolute path", top.display()) })?;
        let url = RepoUrl::parse(url.as_str().trim_end_matches('/'))?;
        Ok(Self { repository, url })
    }

    /// Its `file://` URL.
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// The URLs of its remotes; names and URLs that are no text are left out.
    pub fn remotes(&self) -> Vec<String> {
        let Ok(names) = self.repository.remotes() else { return Vec::new() };
        let remotes = names.iter().filter_map(|name| self.repository.find_remote(name.ok()??).ok());
        remotes.filter_map(|remote| remote.url().ok().map(str::to_owned)).collect()
    }

    /// The commit that a revision stands for, in all words of git: `main`, `origin/main`, `HEAD^1`, a shortened id. None if it
    /// stands for none that is here.
    pub fn resolve(&self, revision: &str) -> Option<CommitId> {
        let object = self.repository.revparse_single(revision).ok()?;
        Some(object.peel_to_commit().ok()?.id().into())
    }
}

impl std::fmt::Debug for WorkingCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkingCopy").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_found_from_inside_and_knows_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap().join("a b");
        let repository = Repository::init(&top).unwrap();
        repository.remote("origin", "https://git.example.com/shop.git").unwrap();
        let who = git2::Signature::now("Test", "test@example.com").unwrap();
        let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let first = repository.commit(Some("refs/remotes/origin/main"), &who, &who, "first", &tree, &[]).unwrap();
        let parent = repository.find_commit(first).unwrap();
        let second = repository.commit(Some("HEAD"), &who, &who, "second", &tree, &[&parent]).unwrap();
        std::fs::create_dir_all(top.join("apps/dev")).unwrap();

        let copy = WorkingCopy::around(&top.join("apps/dev")).unwrap();
        assert_eq!(copy.url().file_path().as_deref(), Some(top.as_path()));
        assert_eq!(copy.remotes(), ["https://git.example.com/shop.git"]);
        let [first, second] = [first, second].map(CommitId::from);
        for (name, expected) in [
            ("HEAD", Some(second)),
            ("HEAD^1", Some(first)),
            ("origin/main", Some(first)),
            (&first.to_string()[..10], Some(first)),
            ("nobody", None),
            ("", None),
        ] {
            assert_eq!(copy.resolve(name), expected, "{name}");
        }
    }

    #[test]
    fn where_no_repository_is_none_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let missing = WorkingCopy::around(&dir.path().join("nothing"));
        assert!(
            matches!(missing, Err(GitError::RepositoryNotFound { .. } | GitError::Unreachable { .. })),
            "{missing:?}"
        );
    }
}
