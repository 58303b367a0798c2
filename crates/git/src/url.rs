//! Where a repository is. A [`RepoUrl`] is parsed once; its credentials are used, never shown.
//!
//! Invariant: scheme `http`, `https`, `ssh` or `file`; of the Web no query and no fragment; `Display` and `Debug` without
//! credentials. The user of an SSH URL is none: it says where, the key says who. What is asked is what is written: a URL that
//! its readers would understand in two ways is refused, since a project permits the text.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use trueup_api::git_url::normalized;

use crate::GitError;
use crate::ssh_place::SshPlace;

/// The longest URL that is accepted, in bytes: what proxies and servers commonly accept.
const URL_BYTES_MAX: usize = 8 * 1024;

/// The URL of a repository, with the credentials it may carry.
///
/// Two are equal if they ask the same server for the same path with the same credentials: what one login may read is never
/// served to another. With and without `.git` are two: on some servers one of them is no repository, and must not be in the way
/// of the other; see [`RepoUrl::normalised`].
#[derive(Clone)]
pub struct RepoUrl {
    place: Place,
    /// Percent-decoded.
    username: String,
    /// Percent-decoded.
    password: Option<String>,
}

#[derive(Clone)]
enum Place {
    /// `http`, `https` or `file`, without user name and password.
    Url(Url),
    Ssh(SshPlace),
}

impl RepoUrl {
    /// Reads a URL, or the short form `user@host:path` of one. The error never repeats the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let invalid = |reason: &str| GitError::InvalidUrl { reason: reason.to_owned() };
        let text = text.trim();
        if text.len() > URL_BYTES_MAX {
            return Err(invalid("it is longer than 8 KiB"));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Self::without_scheme(text) };
        check_scheme(scheme)?;
        if scheme.eq_ignore_ascii_case("ssh") {
            return SshPlace::from_url(rest).map(Self::ssh).map_err(invalid);
        }
        check_unambiguous(rest).map_err(invalid)?;
        let mut url = Url::parse(text).map_err(|e| invalid(&e.to_string()))?;
        if url.scheme() != "file" && url.host_str() != Some(written_host(rest).to_ascii_lowercase().as_str()) {
            return Err(invalid(
                "its host is not written as it is asked for: write a name in ASCII (others as xn--…) without escapes, and an \
                 address in its usual form",
            ));
        }
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
        if url.scheme() == "file" {
            check_file(&url)?;
        }
        Ok(Self { place: Place::Url(url), username, password })
    }

    fn ssh(place: SshPlace) -> Self {
        Self { place: Place::Ssh(place), username: String::new(), password: None }
    }

    fn without_scheme(text: &str) -> Result<Self, GitError> {
        let reason = match SshPlace::from_scp(text) {
            Some(place) => {
                return place.map(Self::ssh).map_err(|reason| GitError::InvalidUrl { reason: reason.to_owned() });
            }
            None => "it has no scheme: write https://…, ssh://…, git@host:path, or file:///… for a local directory",
        };
        Err(GitError::InvalidUrl { reason: reason.to_owned() })
    }

    /// The repository, the same text for all ways to write it, as Argo CD compares them: lower case, no credentials, no `.git`,
    /// no trailing `/`, and `user@host/path` for both forms of SSH.
    pub fn normalised(&self) -> String {
        normalized(&self.to_string())
    }

    /// What is asked, without credentials and trailing `/`.
    pub(crate) fn identity(&self) -> String {
        self.to_string().trim_end_matches('/').to_owned()
    }

    /// The directory of a `file://` repository.
    pub(crate) fn file_path(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Url(url) if url.scheme() == "file" => url.to_file_path().ok(),
            _ => None,
        }
    }

    /// The place of an SSH repository.
    pub(crate) fn ssh_place(&self) -> Option<&SshPlace> {
        match &self.place {
            Place::Ssh(place) => Some(place),
            Place::Url(_) => None,
        }
    }

    /// Whether it is asked over HTTP.
    pub(crate) fn is_http(&self) -> bool {
        matches!(&self.place, Place::Url(url) if url.scheme() != "file")
    }

    /// The URL to ask over HTTP, without credentials and trailing `/`.
    pub(crate) fn http_base(&self) -> Option<Url> {
        let Place::Url(url) = &self.place else { return None };
        let mut url = url.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Some(url)
    }

    /// User name and password, if there are any.
    pub(crate) fn credentials(&self) -> Option<(&str, Option<&str>)> {
        let some = !self.username.is_empty() || self.password.is_some();
        some.then_some((self.username.as_str(), self.password.as_deref()))
    }

    /// The whole URL **with its credentials**, for the fetch process.
    pub(crate) fn revealed(&self) -> String {
        let Place::Url(url) = &self.place else { return self.to_string() };
        let mut url = url.clone();
        // The setters encode everything that needs it, except the sign of encoding itself.
        let encoded = |text: &str| text.replace('%', "%25");
        let _ = url.set_username(&encoded(&self.username));
        let _ = url.set_password(self.password.as_deref().map(encoded).as_deref());
        url.into()
    }

    /// What must never be shown of it.
    pub(crate) fn secrets(&self) -> [&str; 2] {
        // A user name alone may be the token.
        [self.password.as_deref().unwrap_or_default(), &self.username]
    }
}

/// Refuses what the parser of URLs, or a server, would read as another path than people do.
fn check_unambiguous(rest: &str) -> Result<(), &'static str> {
    if rest.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace()) {
        return Err("it has a space, a control character or a '\\': write a space in a path as %20");
    }
    let path = rest.find('/').map_or("", |at| &rest[at..]).to_ascii_lowercase();
    if path.contains("%2f") || path.contains("%5c") {
        return Err("its path has an escaped '/' or '\\' (%2F, %5C): write the path itself");
    }
    if leads_elsewhere(&path.replace("%2e", ".").replace("%3b", ";")) {
        return Err("its path has '.' or '..' in it: write the path that it leads to");
    }
    Ok(())
}

/// Whether a name in a path is `.` or `..`; some servers cut off what follows a `;` before they look.
pub(crate) fn leads_elsewhere(path: &str) -> bool {
    path.split('/').any(|name| matches!(name.split(';').next(), Some("." | "..")))
}

/// The host in what stands behind `://`.
fn written_host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => place,
    }
}

fn check_file(url: &Url) -> Result<(), GitError> {
    let invalid = |reason: &str| GitError::InvalidUrl { reason: reason.to_owned() };
    if url.host_str().is_some_and(|host| !host.is_empty()) {
        return Err(invalid("a file:// URL names no host: write file:///path"));
    }
    match url.to_file_path() {
        Ok(path) if path.parent().is_some() => Ok(()),
        _ => Err(invalid("a file:// URL needs the absolute path of a repository")),
    }
}

fn check_scheme(scheme: &str) -> Result<(), GitError> {
    let scheme = scheme.to_ascii_lowercase();
    let note = match scheme.as_str() {
        "http" | "https" | "ssh" | "file" => return Ok(()),
        "git+ssh" | "ssh+git" => "write ssh:// instead".to_owned(),
        "git" => "it is neither encrypted nor authenticated, use the https:// URL of the repository".to_owned(),
        _ => "use the https://, ssh:// or file:// URL of a Git repository".to_owned(),
    };
    // What stands before "://" may be anything, also a piece of a credential.
    let plain = scheme.len() <= 16 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let scheme = if plain { scheme } else { "…".to_owned() };
    Err(GitError::UnsupportedScheme { scheme, note })
}

pub(crate) fn percent_decoded(text: &str) -> Option<String> {
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
        match &self.place {
            Place::Url(url) => f.write_str(url.as_str()),
            Place::Ssh(place) => place.fmt(f),
        }
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RepoUrl {
        RepoUrl::parse(text).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_what_a_project_permits() {
        let written = [
            "https://GitHub.com/Org/Repo.git",
            "HTTPS://github.com:443/Org/Repo.git/",
            " http://user:secret@host:8080/a.git ",
            "https://host/my%20project/gr%C3%B6%C3%9Fe/größe",
            "https://[2001:db8::1]:8443/a",
            "https://host./a//b/...",
            "git@github.com:Org/Repo.git",
            "git@host:/srv/a%20b",
            "git@[::1]:a/b:c",
            "ssh://github.com/Org/Repo",
            "ssh://git@github.com:2222/a%20b%2Fc",
            "ssh://git@host//srv/100%25",
            "ssh://git@host/~me/a",
            "ssh://me@host:2222/~me/a",
            "file:///srv/git/a.git",
            "file://localhost/srv/git/a",
        ];
        for text in written {
            assert_eq!(parsed(text).normalised(), normalized(text), "{text}");
        }
    }

    #[test]
    fn what_would_be_read_in_two_ways_is_refused() {
        let two = [
            r"https://evil.org\.example.com/x",
            r"https://git/team-a\..\team-b/secret",
            "https://git/team-a/../team-b/secret",
            "https://git/team-a/./secret",
            "https://git/team-a/%2e%2E/team-b/secret",
            "https://git/team-a/.%2e",
            "https://git/team-a/..;x/team-b/secret",
            "https://git/team-a/..%2fteam-b/secret",
            "https://git/team-a%5Cb",
            "https://git/team-a/.\t./team-b/secret",
            "https://git/team-a/.\n./team-b/secret",
            "https://ev\til.org/x",
            "https://git/a b",
            "https:///evil.org/x",
            "https:////evil.org/x",
            "https://%65vil.org/x",
            "https://ｅvil.org/x",
            "https://2130706433/x",
            "https://127.1/x",
            "file:///srv/a/../b",
            "ssh://git@host/team-a/../team-b",
            "ssh://git@host/team-a/%2e%2e/team-b",
            "ssh://git@host/team-a%2f..%2fteam-b",
            "git@host:team-a/../team-b",
            "git@host:../team-b",
            "ssh://git@host/~/../team-b",
        ];
        for text in two {
            assert!(matches!(RepoUrl::parse(text), Err(GitError::InvalidUrl { .. })), "{text:?}");
        }
    }

    #[test]
    fn other_schemes_and_bare_paths_are_refused() {
        let unsupported = ["git+ssh://git@host/a", "git://host/a", "ext://sh -c x", "ftp://host/a", "a:b://x"];
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
    fn the_user_of_an_ssh_url_is_no_credential() {
        let (url, short) = (parsed("ssh://deploy@host/a"), parsed("deploy@host:a"));
        assert_eq!(url.to_string(), "ssh://deploy@host/a");
        assert_eq!(short.to_string(), "deploy@host:a");
        assert_ne!(url, short, "one is from the root, the other from where the session begins");
        assert_eq!(url.credentials(), None);
        assert_eq!(parsed(&url.revealed()), url);
        for text in ["ssh://git:hunter2@host/a", "ssh://hunter2:x@host/a", "hunter2:x", "git@hunter2"] {
            let error = format!("{0} {0:?}", RepoUrl::parse(text).unwrap_err());
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn credentials_are_used_but_never_shown() {
        let url = parsed("https://bot:p%40ss%2Fword@host/a.git");
        assert_eq!(url.credentials(), Some(("bot", Some("p@ss/word"))));
        assert_eq!(parsed(&url.revealed()), url);
        assert_eq!(url.to_string(), "https://host/a.git");
        assert_eq!(format!("{url:?}"), "RepoUrl(https://host/a.git)");
        assert_eq!(url.http_base().unwrap().as_str(), "https://host/a.git");
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
}
