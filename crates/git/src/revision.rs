//! What a revision may name, and which ref wins.
//!
//! A full commit id is itself, without asking anybody. `HEAD` (or nothing) is the default branch. `refs/…` is exactly that ref.
//! Any other name is a branch before it is a tag before it is `refs/<name>`: the order in which Argo CD comes upon them, because
//! servers list refs by name and `refs/heads/` comes before `refs/tags/`.
//! A range of versions (`1.x`, `^2.1`) is the tag with the highest version within it; only where no tag is, it is a name, as there.

use crate::id::HEX_LEN;
use crate::range::Range;
use crate::{CommitId, GitError, RepoUrl, TagId};

/// The fewest digits that people shorten a commit id to (as git's own default).
const SHORT_HEX_MIN: usize = 7;
/// Where branches are.
const HEADS: &str = "refs/heads/";
/// Where tags are.
const TAGS: &str = "refs/tags/";
/// The longest name that is sent to a server, in bytes: as long as a file name on the server may be, several levels deep.
const NAME_BYTES_MAX: usize = 1024;

/// A revision, read but not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revision {
    /// Needs no listing.
    Commit(CommitId),
    /// Full ref names, the first that exists wins.
    Refs(Vec<String>),
    /// The best tag; without one the refs of that very name, as far as git allows it.
    Range(Range, Vec<String>),
}

/// Where a revision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resolved {
    /// Its commit.
    pub commit: CommitId,
    /// The annotated tag that it is, if it is one: that tag is what is signed then.
    pub tag: Option<TagId>,
}

impl From<CommitId> for Resolved {
    fn from(commit: CommitId) -> Self {
        Self { commit, tag: None }
    }
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
        let is_name = text.len() <= NAME_BYTES_MAX && names.iter().all(|name| git2::Reference::is_valid_name(name));
        let range = if text.len() <= NAME_BYTES_MAX { Range::parse(text) } else { None };
        match range {
            Some(range) => Ok(Self::Range(range, if is_name { names } else { Vec::new() })),
            None if is_name => Ok(Self::Refs(names)),
            None => Err(GitError::InvalidRevision { revision: shown(text) }),
        }
    }

    /// What the names of the refs that have to be known begin with. All tags, but only for a range.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        match self {
            Self::Commit(_) => Vec::new(),
            Self::Refs(names) => names.clone(),
            Self::Range(_, names) => names.iter().cloned().chain([TAGS.to_owned()]).collect(),
        }
    }

    /// The refs of which the first that exists is meant, given the names of those that do.
    pub(crate) fn refs<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        match self {
            Self::Commit(_) => Vec::new(),
            Self::Refs(refs) => refs.clone(),
            Self::Range(range, refs) => {
                let mut tags: Vec<&str> = names.into_iter().filter_map(|name| name.strip_prefix(TAGS)).collect();
                tags.sort_unstable();
                let best = range.best(tags).map(|tag| format!("{TAGS}{tag}"));
                best.into_iter().chain(refs.iter().cloned()).collect()
            }
        }
    }
}

/// Whether a revision may name another commit, or one at last, once a ref has changed: a listing tells. The default branch may be
/// any.
pub fn may_move(revision: &str, changed: &str) -> bool {
    let Ok(revision) = Revision::parse(revision) else { return false };
    revision.prefixes().iter().any(|prefix| match prefix.as_str() {
        "HEAD" => changed.starts_with(HEADS),
        TAGS => changed.starts_with(TAGS),
        name => changed == name,
    })
}

/// The error for a name that no ref has, or a range that no tag is within.
pub(crate) fn not_found(text: &str, url: &RepoUrl) -> GitError {
    if Range::parse(text).is_some() {
        return GitError::NoTagWithin { repository: url.to_string(), range: shown(text) };
    }
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
        for bad in ["a b", "a\nwant x", "a..b", "-\0", "a.lock", "a:b", "@{1}", "refs/", "main/", &"a".repeat(2000)] {
            assert!(matches!(Revision::parse(bad), Err(GitError::InvalidRevision { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_changed_ref_moves_what_may_name_it() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for (revision, changed, moves) in [
            ("main", "refs/heads/main", true),
            ("main", "refs/tags/main", true),
            ("main", "refs/heads/main2", false),
            ("main", "refs/heads/x/main", false),
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/tags/main", false),
            ("HEAD", "refs/heads/trunk", true),
            ("", "refs/heads/trunk", true),
            ("HEAD", "refs/tags/v1", false),
            ("1.x", "refs/tags/v1.4", true),
            ("1.x", "refs/heads/1.x", true),
            ("1.x", "refs/heads/main", false),
            (id, "refs/heads/main", false),
            ("a b", "refs/heads/a b", false),
        ] {
            assert_eq!(may_move(revision, changed), moves, "{revision} {changed}");
        }
    }

    #[test]
    fn a_range_is_its_best_tag_before_it_is_a_name() {
        let refs = |text: &str, names: &[&'static str]| Revision::parse(text).unwrap().refs(names.iter().copied());
        let names = ["refs/heads/1.x", "refs/heads/1.9", "refs/tags/1.2", "refs/tags/v1.3", "refs/tags/x/1.4"];
        assert_eq!(refs("1.x", &names), ["refs/tags/v1.3", "refs/heads/1.x", "refs/tags/1.x", "refs/1.x"]);
        assert_eq!(refs("^1.2", &names), ["refs/tags/v1.3"]);
        assert_eq!(refs("^2", &names), Vec::<String>::new());
        assert_eq!(refs("v1.3", &names).len(), 3, "an exact version is a name");
        let prefixes = |text: &str| Revision::parse(text).unwrap().prefixes();
        assert_eq!(prefixes(">=1 <2"), ["refs/tags/"]);
        assert_eq!(prefixes("refs/heads/main"), ["refs/heads/main"]);
        let url = RepoUrl::parse("http://host/a").unwrap();
        assert!(matches!(not_found("^1", &url), GitError::NoTagWithin { .. }));
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
