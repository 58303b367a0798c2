//! What an event says, whoever sent it: which repository, which refs.
//!
//! Pure. Invariant: a repository is told by host and path alone. A server names itself by the addresses that it knows, which need not
//! have our scheme, port or user; that two repositories share the rest costs a listing at most.
//! Entry points: [`Event`], [`place`], [`Push::concerns`].

use std::collections::BTreeSet;

use trueup_api::git_url::normalized;
use trueup_git::may_move;

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something was pushed.
    Push(Push),
    /// Nothing.
    Nothing,
}

/// A repository in which something was pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Push {
    /// Where it is, in each of the ways that the event names.
    places: BTreeSet<String>,
    /// The full names of the refs that changed; empty if it may be any.
    refs: BTreeSet<String>,
}

// === impl Push ===

impl Push {
    /// A push of which the event names these URLs, and these refs or none; `None` if no URL leads to a repository.
    pub(super) fn new(urls: impl IntoIterator<Item = String>, refs: impl IntoIterator<Item = String>) -> Option<Self> {
        let places: BTreeSet<String> = urls.into_iter().filter_map(|url| place(&url)).flat_map(spellings).collect();
        (!places.is_empty()).then(|| Self { places, refs: refs.into_iter().collect() })
    }

    /// Whether it was in the repository at a place.
    pub(crate) fn is_at(&self, place: &str) -> bool {
        self.places.contains(place)
    }

    /// Whether a revision may be at another commit now.
    pub(crate) fn concerns(&self, revision: &str) -> bool {
        self.refs.is_empty() || self.refs.iter().any(|changed| may_move(revision, changed))
    }
}

/// Host and path of a repository's URL, in the one form in which they are compared; a `file://` URL as it is.
pub(crate) fn place(url: &str) -> Option<String> {
    let url = normalized(url);
    if let Some(path) = url.strip_prefix("file://") {
        return (path.len() > 1).then(|| url.clone());
    }
    let rest = url.split_once("://").map_or(&*url, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => host,
    };
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

/// A place and, of Azure DevOps, which tells its web address only, the one for SSH.
fn spellings(place: String) -> Vec<String> {
    let ssh = match place.split_once('/') {
        Some(("dev.azure.com", path)) => match path.split('/').collect::<Vec<_>>()[..] {
            [organization, project, "_git", name] => {
                Some(format!("ssh.dev.azure.com/v3/{organization}/{project}/{name}"))
            }
            // The repository that has its project's name.
            [organization, "_git", name] => Some(format!("ssh.dev.azure.com/v3/{organization}/{name}/{name}")),
            _ => None,
        },
        Some((host, path)) => host.strip_suffix(".visualstudio.com").and_then(|organization| {
            let path = path.strip_prefix("defaultcollection/").unwrap_or(path);
            match path.split('/').collect::<Vec<_>>()[..] {
                [project, "_git", name] => Some(format!("vs-ssh.visualstudio.com/v3/{organization}/{project}/{name}")),
                ["_git", name] => Some(format!("vs-ssh.visualstudio.com/v3/{organization}/{name}/{name}")),
                _ => None,
            }
        }),
        None => None,
    };
    [Some(place), ssh].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_told_by_host_and_path() {
        for url in [
            "https://git.example.com/Org/Repo",
            "https://git.example.com/org/repo.git",
            "http://user:token@git.example.com:8443/org/repo.git/",
            "git@git.example.com:org/repo.git",
            "ssh://deploy@git.example.com:2222/org/repo",
            "git://git.example.com/org/repo.git",
        ] {
            assert_eq!(place(url).as_deref(), Some("git.example.com/org/repo"), "{url}");
        }
        assert_eq!(place("https://[::1]:8080/a").as_deref(), Some("[::1]/a"));
        assert_eq!(place("file:///srv/git/a.git").as_deref(), Some("file:///srv/git/a"));
        for nothing in ["", "https://", "https://host", "https://host/", "host", "/a/b", "file:///", "://x", "@:/"] {
            assert_eq!(place(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn azure_is_found_by_its_address_for_ssh_too() {
        let push = |url: &str| Push::new([url.to_owned()], []).unwrap();
        let at = |url: &str| place(url).unwrap();
        for (told, used) in [
            ("https://org@dev.azure.com/org/project/_git/repo", "git@ssh.dev.azure.com:v3/org/project/repo"),
            ("https://dev.azure.com/org/_git/repo", "git@ssh.dev.azure.com:v3/org/repo/repo"),
            ("https://org.visualstudio.com/project/_git/repo", "org@vs-ssh.visualstudio.com:v3/org/project/repo"),
            (
                "https://org.visualstudio.com/DefaultCollection/_git/repo",
                "org@vs-ssh.visualstudio.com:v3/org/repo/repo",
            ),
        ] {
            assert!(push(told).is_at(&at(used)) && push(told).is_at(&at(told)), "{told}");
        }
        assert!(!push("https://dev.azure.com/org/project/_git/repo").is_at("ssh.dev.azure.com/v3/org/project/other"));
    }

    #[test]
    fn only_revisions_that_may_have_moved_are_concerned() {
        let push =
            |refs: &[&str]| Push::new(["https://h/a".to_owned()], refs.iter().map(|&name| name.to_owned())).unwrap();
        let two = push(&["refs/heads/main", "refs/tags/v1.2.0"]);
        for (revision, concerned) in
            [("main", true), ("HEAD", true), ("1.x", true), ("v1.2.0", true), ("develop", false), ("v1.3.0", false)]
        {
            assert_eq!(two.concerns(revision), concerned, "{revision}");
        }
        assert!(push(&[]).concerns("develop"), "who does not say which may mean any");
    }
}
