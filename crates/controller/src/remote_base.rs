//! What a remote base of Kustomize, or the URL of a file, means.
//!
//! The forms are Kustomize's: the repository ends at `//`, at `.git`, behind `_git/NAME`, or after two names; `ref` or `version`
//! name the revision. Nothing is asked of anybody here. Entry point: [`RemoteBase::parse`].

/// Endings of files that are fetched as they are.
const FILES: [&str; 3] = [".yaml", ".yml", ".json"];
/// How many names on the path are the repository, where nothing tells: owner and repository.
const REPOSITORY_NAMES: usize = 2;
/// Where Azure DevOps keeps repositories: behind this, one name is the repository.
const AZURE: &str = "_git/";

/// What a URL in a kustomization or a list of value files means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemoteBase {
    /// A directory of a repository.
    Repository {
        /// The URL of the repository.
        url: String,
        /// The directory; empty is the root.
        path: String,
        /// The revision; `HEAD` where none is named.
        revision: String,
    },
    /// A file.
    File {
        /// The URL.
        url: String,
    },
}

// === impl RemoteBase ===

impl RemoteBase {
    /// Reads what somebody wrote.
    pub(crate) fn parse(written: &str) -> Self {
        let written = written.trim();
        let written = written.strip_prefix("git::").unwrap_or(written);
        let (place, query) = written.split_once('?').unwrap_or((written, ""));
        let (host, path) = split_host(place);
        if is_file(&host, path, query) {
            return Self::File { url: written.to_owned() };
        }
        let (repository, directory) = split_repository(path);
        let revision = ["ref=", "version="]
            .iter()
            .find_map(|key| query.split('&').find_map(|part| part.strip_prefix(key)))
            .filter(|revision| !revision.is_empty())
            .unwrap_or("HEAD");
        Self::Repository {
            url: format!("{host}{repository}"),
            path: directory.trim_matches('/').to_owned(),
            revision: revision.to_owned(),
        }
    }
}

/// The beginning up to the path, with a scheme, and the path.
fn split_host(place: &str) -> (String, &str) {
    if let Some((scheme, rest)) = place.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        return (format!("{scheme}://{host}/"), path);
    }
    let slash = place.find('/').unwrap_or(place.len());
    // As scp writes it.
    if let Some(colon) = place.find(':').filter(|colon| *colon < slash) {
        return (place[..=colon].to_owned(), &place[colon + 1..]);
    }
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    (format!("https://{host}/"), path)
}

/// A file of the Web; anything that a repository is told by makes it one.
fn is_file(host: &str, path: &str, query: &str) -> bool {
    let of_repository = path.contains("//") || path.contains(".git/") || path.contains(AZURE) || query.contains("ref=");
    host.starts_with("http") && !of_repository && FILES.iter().any(|ending| path.ends_with(ending))
}

fn split_repository(path: &str) -> (&str, &str) {
    if let Some((repository, directory)) = path.split_once("//") {
        return (repository, directory);
    }
    if let Some((before, behind)) = path.split_once(AZURE) {
        let name = behind.find('/').unwrap_or(behind.len());
        return path.split_at(before.len() + AZURE.len() + name);
    }
    if let Some(at) = path.find(".git").map(|at| at + ".git".len())
        && (at == path.len() || path[at..].starts_with('/'))
    {
        return path.split_at(at);
    }
    let end = path.match_indices('/').nth(REPOSITORY_NAMES - 1).map_or(path.len(), |(at, _)| at);
    path.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_ends_where_kustomize_says() {
        for (written, url, path, revision) in [
            ("https://github.com/org/repo//base/dev?ref=v1", "https://github.com/org/repo", "base/dev", "v1"),
            ("https://github.com/org/repo", "https://github.com/org/repo", "", "HEAD"),
            (
                "https://github.com/org/repo/deploy?ref=main&timeout=90s",
                "https://github.com/org/repo",
                "deploy",
                "main",
            ),
            ("github.com/org/repo/deploy?ref=main", "https://github.com/org/repo", "deploy", "main"),
            ("https://git.example/a/b/c.git/base?version=v2", "https://git.example/a/b/c.git", "base", "v2"),
            ("https://git.example/a/b/c.git", "https://git.example/a/b/c.git", "", "HEAD"),
            ("git@github.com:org/repo.git//base?ref=v1", "git@github.com:org/repo.git", "base", "v1"),
            (
                "ssh://git@git.example:2222/org/repo.git/base/",
                "ssh://git@git.example:2222/org/repo.git",
                "base",
                "HEAD",
            ),
            ("git::https://git.example/org/repo//base?ref=", "https://git.example/org/repo", "base", "HEAD"),
            ("https://dev.azure.com/o/p/_git/repo/base?ref=x", "https://dev.azure.com/o/p/_git/repo", "base", "x"),
            ("https://github.com/org/repo/base/x.yaml?ref=v1", "https://github.com/org/repo", "base/x.yaml", "v1"),
            ("", "https:///", "", "HEAD"),
            ("a:", "a:", "", "HEAD"),
        ] {
            let expected =
                RemoteBase::Repository { url: url.to_owned(), path: path.to_owned(), revision: revision.to_owned() };
            assert_eq!(RemoteBase::parse(written), expected, "{written}");
        }
    }

    #[test]
    fn a_file_is_fetched_as_it_is() {
        for url in ["https://raw.example/org/repo/v1/all.yaml", "http://h/values.json?token=x"] {
            assert_eq!(RemoteBase::parse(url), RemoteBase::File { url: url.to_owned() });
        }
    }
}
