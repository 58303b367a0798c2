//! Where a repository is. A [`RepoUrl`] is parsed once; its credentials are used, never shown.
//!
//! Invariant: scheme `http`, `https` or `file`; no query, no fragment; `Display` and `Debug` without user name and password.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;

use crate::GitError;

/// How much of a server's own words is kept for people: one paragraph, in characters.
const SERVER_WORDS_MAX: usize = 400;
/// The longest URL that is accepted, in bytes: what proxies and servers commonly accept.
const URL_BYTES_MAX: usize = 8 * 1024;

/// The URL of a repository, with the credentials it may carry.
///
/// Two are equal if they ask the same server for the same path with the same credentials: what one login may read is never
/// served to another. With and without `.git` are two: on some servers one of them is no repository, and must not be in the way
/// of the other; see [`RepoUrl::normalised`].
#[derive(Clone)]
pub struct RepoUrl {
    /// Without user name and password.
    url: Url,
    /// Percent-decoded.
    username: String,
    /// Percent-decoded.
    password: Option<String>,
}

impl RepoUrl {
    /// Reads a URL. The error never repeats the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let invalid = |reason: &str| GitError::InvalidUrl { reason: reason.to_owned() };
        let text = text.trim();
        if text.len() > URL_BYTES_MAX {
            return Err(invalid("it is longer than 8 KiB"));
        }
        let Some((scheme, _)) = text.split_once("://") else { return Err(without_scheme(text)) };
        check_scheme(scheme, text)?;
        let mut url = Url::parse(text).map_err(|e| invalid(&e.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it has a query or a fragment ('?' or '#'); give a token as user name and password"));
        }
        let username = percent_decoded(url.username()).ok_or_else(|| invalid("the user name is not valid"))?;
        let password = match url.password() {
            Some(text) => Some(percent_decoded(text).ok_or_else(|| invalid("the password is not valid"))?),
            None => None,
        };
        // Refused only for URLs without a host, which have no user name either.
        let _ = (url.set_username(""), url.set_password(None));
        let url = Self { url, username, password };
        if url.is_file() {
            url.check_file()?;
        }
        Ok(url)
    }

    /// The repository, the same text for all ways to write it: lower-case host, no credentials, no `.git`, no trailing `/`.
    /// The case of the path is kept: on some servers it tells repositories apart.
    pub fn normalised(&self) -> String {
        let text = self.url.as_str().trim_end_matches('/');
        let text = text.strip_suffix(".git").unwrap_or(text);
        text.trim_end_matches('/').to_owned()
    }

    /// What is asked, without credentials and trailing `/`.
    pub(crate) fn identity(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The directory of a `file://` repository.
    pub(crate) fn file_path(&self) -> Option<PathBuf> {
        if self.is_file() { self.url.to_file_path().ok() } else { None }
    }

    /// The URL to ask over HTTP, without credentials and trailing `/`.
    pub(crate) fn http_base(&self) -> Url {
        let mut url = self.url.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        url
    }

    /// User name and password, if there are any.
    pub(crate) fn credentials(&self) -> Option<(&str, Option<&str>)> {
        let some = !self.username.is_empty() || self.password.is_some();
        some.then_some((self.username.as_str(), self.password.as_deref()))
    }

    /// The whole URL **with its credentials**, for the fetch process.
    pub(crate) fn revealed(&self) -> String {
        let mut url = self.url.clone();
        // The setters encode everything that needs it, except the sign of encoding itself.
        let encoded = |text: &str| text.replace('%', "%25");
        let _ = url.set_username(&encoded(&self.username));
        let _ = url.set_password(self.password.as_deref().map(encoded).as_deref());
        url.into()
    }

    /// Somebody else's words, fit to be shown: one line, shortened, without our credentials.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // A user name alone may be the token.
        for secret in [self.password.as_deref().unwrap_or_default(), &self.username] {
            if !secret.is_empty() {
                line = line.replace(secret, "…");
            }
        }
        match line.char_indices().nth(SERVER_WORDS_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    fn is_file(&self) -> bool {
        self.url.scheme() == "file"
    }

    fn check_file(&self) -> Result<(), GitError> {
        let invalid = |reason: &str| GitError::InvalidUrl { reason: reason.to_owned() };
        if self.url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(invalid("a file:// URL names no host: write file:///path"));
        }
        match self.file_path() {
            Some(path) if path.parent().is_some() => Ok(()),
            _ => Err(invalid("a file:// URL needs the absolute path of a repository")),
        }
    }
}

fn without_scheme(text: &str) -> GitError {
    let scp_like = text.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'));
    if scp_like {
        return GitError::UnsupportedScheme { scheme: "ssh".to_owned(), note: instead_of_ssh(text) };
    }
    GitError::InvalidUrl {
        reason: "it has no scheme: write https://…, or file:///… for a local directory".to_owned()
    }
}

/// What to write in place of an SSH URL: the URL itself where its form leaves no room for a secret in it.
fn instead_of_ssh(text: &str) -> String {
    let plain = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    let place = match text.strip_prefix("ssh://") {
        Some(rest) => rest.strip_prefix("git@").and_then(|rest| rest.split_once('/')),
        None => text.strip_prefix("git@").and_then(|rest| rest.split_once(':')),
    };
    let use_it = "SSH comes later, use the https:// URL of the repository";
    match place {
        Some((host, path)) if plain(host, ".-") && plain(path, "./_-~") => {
            format!("{use_it}: https://{host}/{}", path.trim_start_matches('/'))
        }
        _ => use_it.to_owned(),
    }
}

fn check_scheme(scheme: &str, text: &str) -> Result<(), GitError> {
    let scheme = scheme.to_ascii_lowercase();
    let note = match scheme.as_str() {
        "http" | "https" | "file" => return Ok(()),
        "ssh" | "git+ssh" | "ssh+git" => instead_of_ssh(text),
        "git" => "it is neither encrypted nor authenticated, use the https:// URL of the repository".to_owned(),
        _ => "use the http://, https:// or file:// URL of a Git repository".to_owned(),
    };
    // What stands before "://" may be anything, also a piece of a credential.
    let plain = scheme.len() <= 16 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let scheme = if plain { scheme } else { "…".to_owned() };
    Err(GitError::UnsupportedScheme { scheme, note })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl PartialEq for RepoUrl {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.credentials() == other.credentials()
    }
}

impl Eq for RepoUrl {}

impl std::hash::Hash for RepoUrl {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.credentials().hash(state);
    }
}

impl std::str::FromStr for RepoUrl {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, GitError> {
        Self::parse(text)
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUrl({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RepoUrl {
        RepoUrl::parse(text).unwrap()
    }

    #[test]
    fn the_same_repository_has_one_normal_form() {
        let table = [
            ("https://GitHub.com/Org/Repo.git", "https://github.com/Org/Repo"),
            ("https://github.com/Org/Repo/", "https://github.com/Org/Repo"),
            ("HTTPS://github.com:443/Org/Repo.git/", "https://github.com/Org/Repo"),
            (" http://user:secret@host:8080/a.git ", "http://host:8080/a"),
            ("file:///srv/git/a.git", "file:///srv/git/a"),
            ("file://localhost/srv/git/a", "file:///srv/git/a"),
        ];
        for (text, normal) in table {
            assert_eq!(parsed(text).normalised(), normal, "{text}");
        }
    }

    #[test]
    fn other_schemes_and_bare_paths_are_refused() {
        let unsupported =
            ["git@github.com:a/b.git", "ssh://git@host/a", "git://host/a", "ext://sh -c x", "ftp://host/a", "a:b://x"];
        for text in unsupported {
            assert!(matches!(RepoUrl::parse(text), Err(GitError::UnsupportedScheme { .. })), "{text}");
        }
        let invalid = [
            "",
            "/srv/git/a",
            "a/b",
            "./a",
            "https://",
            "http://host/a?x=1",
            "http://host/a#b",
            "file:///",
            "file://host/a",
        ];
        for text in invalid {
            assert!(matches!(RepoUrl::parse(text), Err(GitError::InvalidUrl { .. })), "{text}");
        }
    }

    #[test]
    fn an_ssh_url_names_what_to_use_instead() {
        let message = |text: &str| RepoUrl::parse(text).unwrap_err().to_string();
        for text in ["git@github.com:org/repo.git", "ssh://git@github.com/org/repo.git"] {
            let message = message(text);
            assert!(
                message.ends_with("use the https:// URL of the repository: https://github.com/org/repo.git"),
                "{message}"
            );
        }
        for text in ["git@host:hunter2@host/x", "hunter2:x", "ssh://git:hunter2@host/x", "ssh://hunter2@host:22/x"] {
            let message = message(text);
            assert!(message.ends_with("use the https:// URL of the repository"), "{message}");
        }
    }

    #[test]
    fn credentials_are_used_but_never_shown() {
        let url = parsed("https://bot:p%40ss%2Fword@host/a.git");
        assert_eq!(url.credentials(), Some(("bot", Some("p@ss/word"))));
        assert_eq!(parsed(&url.revealed()), url);
        assert_eq!(url.to_string(), "https://host/a.git");
        assert_eq!(format!("{url:?}"), "RepoUrl(https://host/a.git)");
        assert_eq!(url.http_base().as_str(), "https://host/a.git");
        assert_eq!(url.scrub("no access\nfor bot with p@ss/word\u{1b}[0m"), "no access for … with … [0m");
        for text in ["https://bot:hunter%zz@host/a", "hunter%40x://host/a", "https://bot:hunter%40x@ho st/a"] {
            let error = format!("{0} {0:?}", RepoUrl::parse(text).unwrap_err());
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn any_credential_reaches_the_fetch_process_as_it_is() {
        for password in ["a%2541b", "%25", "a%3Ab%40c%2Fd%3Fe%23f", "%C3%A4%20%22%5C%7C", "plain"] {
            let url = parsed(&format!("https://us%25er:{password}@host/a"));
            assert_eq!(parsed(&url.revealed()).credentials(), url.credentials(), "{password}");
        }
        assert_eq!(parsed("https://a:b%2541@host/").credentials(), Some(("a", Some("b%41"))));
        assert_eq!(parsed(&parsed("https://token@host/").revealed()).credentials(), Some(("token", None)));
    }

    #[test]
    fn what_one_login_may_read_is_not_equal_to_what_another_may() {
        assert_eq!(parsed("https://a:b@host/r"), parsed("https://a:b@HOST:443/r/"));
        assert_ne!(parsed("https://a:b@host/r"), parsed("https://a:b@host/r.git"));
        assert_ne!(parsed("https://a:b@host/r"), parsed("https://a:c@host/r"));
        assert_ne!(parsed("https://a:b@host/r"), parsed("https://host/r"));
    }

    #[test]
    fn a_long_answer_is_shortened() {
        assert_eq!(parsed("http://host/a").scrub(&"ä".repeat(10_000)).chars().count(), SERVER_WORDS_MAX + 1);
    }
}
