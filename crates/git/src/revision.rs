//! What a revision may name, and which ref wins.
//!
//! A full commit id is itself, without asking anybody. `HEAD` (or nothing) is the default branch. `refs/…` is exactly that ref.
//! Any other name is a branch before it is a tag before it is `refs/<name>`: the order in which Argo CD comes upon them, because
//! servers list refs by name and `refs/heads/` comes before `refs/tags/`.

use crate::id::HEX_LEN;
use crate::{CommitId, GitError, RepoUrl};

/// The fewest digits that people shorten a commit id to (as git's own default).
const SHORT_HEX_MIN: usize = 7;
/// The longest name that is sent to a server, in bytes: as long as a file name on the server may be, several levels deep.
const NAME_BYTES_MAX: usize = 1024;

/// A revision, read but not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revision {
    /// Needs no listing.
    Commit(CommitId),
    /// Full ref names, the first that exists wins.
    Refs(Vec<String>),
}

impl Revision {
    pub(crate) fn parse(text: &str) -> Result<Self, GitError> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Commit(id));
        }
        if text.is_empty() || text == "HEAD" {
            return Ok(Self::Refs(vec!["HEAD".to_owned()]));
        }
        let names = if text.starts_with("refs/") {
            vec![text.to_owned()]
        } else {
            vec![format!("refs/heads/{text}"), format!("refs/tags/{text}"), format!("refs/{text}")]
        };
        // What git allows as a name has no space and no control character: nothing can slip into the request.
        if text.len() > NAME_BYTES_MAX || !names.iter().all(|name| git2::Reference::is_valid_name(name)) {
            return Err(GitError::InvalidRevision { revision: shown(text) });
        }
        Ok(Self::Refs(names))
    }
}

/// The error for a name that no ref has.
pub(crate) fn not_found(text: &str, url: &RepoUrl) -> GitError {
    let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
    if digits && (SHORT_HEX_MIN..HEX_LEN).contains(&text.len()) {
        return GitError::ShortCommitId { revision: text.to_owned() };
    }
    GitError::RevisionNotFound { repository: url.to_string(), revision: text.to_owned() }
}

fn shown(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_branch_before_it_is_a_tag() {
        let refs = |names: &[&str]| Ok(Revision::Refs(names.iter().map(|&name| name.to_owned()).collect()));
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Revision::parse(""), refs(&["HEAD"]));
        assert_eq!(Revision::parse("HEAD"), refs(&["HEAD"]));
        assert_eq!(Revision::parse("v1.2"), refs(&["refs/heads/v1.2", "refs/tags/v1.2", "refs/v1.2"]));
        assert_eq!(Revision::parse("refs/tags/v1.2"), refs(&["refs/tags/v1.2"]));
        assert_eq!(Revision::parse("deadbee"), refs(&["refs/heads/deadbee", "refs/tags/deadbee", "refs/deadbee"]));
        assert_eq!(Revision::parse(&id.to_uppercase()), Ok(Revision::Commit(id.parse().unwrap())));
    }

    #[test]
    fn what_git_forbids_in_a_name_is_never_sent() {
        for bad in [
            "a b",
            "a\nwant x",
            "a..b",
            "^1.0",
            "~1.2",
            "1.*",
            "-\0",
            "a.lock",
            "a:b",
            "@{1}",
            "refs/",
            "main/",
            &"a".repeat(2000),
        ] {
            assert!(matches!(Revision::parse(bad), Err(GitError::InvalidRevision { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_short_commit_id_that_is_no_name_says_so() {
        let url = RepoUrl::parse("http://host/a").unwrap();
        assert_eq!(not_found("deadbee", &url), GitError::ShortCommitId { revision: "deadbee".to_owned() });
        let missing =
            GitError::RevisionNotFound { repository: "http://host/a".to_owned(), revision: "dead".to_owned() };
        assert_eq!(not_found("dead", &url), missing);
    }
}
