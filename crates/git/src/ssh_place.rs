//! Where a repository is on an SSH server, as `ssh://user@host:port/path` or `user@host:path` says it.
//!
//! Invariant: user, host and path hold no control character; the path is no option of a program, and leads nowhere but down.

use std::fmt;

/// Who logs in where none is named: what all hosts of repositories use.
const DEFAULT_USER: &str = "git";
/// The port that needs no mention.
pub(crate) const DEFAULT_PORT: u16 = 22;

/// A path on an SSH server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SshPlace {
    pub(crate) user: String,
    /// In lower case, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the server hears it: from the root, or else from where the user's session begins.
    pub(crate) path: String,
}

impl SshPlace {
    /// Reads what stands behind `ssh://`. The error never repeats the text: it may hold a password.
    pub(crate) fn from_url(rest: &str) -> Result<Self, &'static str> {
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err("an ssh:// URL cannot hold a password: a private key goes into the repository's Secret");
        }
        let user = decoded(user).ok_or("the user name is not valid")?;
        let path = decoded(path).ok_or("the path is not valid")?;
        // As git reads it: a home directory is not below the root.
        let path = if path.starts_with("/~") { &path[1..] } else { &path };
        let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => (address, port.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None | Some("") => DEFAULT_PORT,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or("what follows ':' is no port: write ssh://git@host/path, or git@host:path without ssh://")?,
        };
        Self::checked(&user, host, port, path)
    }

    /// Reads `user@host:path`; `None` if it has another form.
    pub(crate) fn from_scp(text: &str) -> Option<Result<Self, &'static str>> {
        let (user, rest) = text.split_once('@').filter(|(user, _)| !user.contains(['/', ':']))?;
        let (host, path) = match rest.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            Some(bracketed) => bracketed,
            None => rest.split_once(':').filter(|(host, _)| !host.contains('/'))?,
        };
        Some(Self::checked(user, host, DEFAULT_PORT, path))
    }

    fn checked(user: &str, host: &str, port: u16, path: &str) -> Result<Self, &'static str> {
        let user = if user.is_empty() { DEFAULT_USER } else { user };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
            return Err("it names no host");
        }
        if user.starts_with('-') || user.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("the user name is not valid");
        }
        if path.chars().any(char::is_control) || path.starts_with('-') || path.trim_matches('/').is_empty() {
            return Err("it names no path on the SSH server");
        }
        if crate::url::leads_elsewhere(path) {
            return Err("its path has '.' or '..' in it: write the path that it leads to");
        }
        Ok(Self { user: user.to_owned(), host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }

    /// The host, and the port if it is not the usual one, as a `known_hosts` file names them.
    pub(crate) fn known_as(&self) -> String {
        if self.port == DEFAULT_PORT { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }

    /// What runs on the server: quoted for a shell as git quotes it, so that nothing in the path is a command.
    pub(crate) fn command(&self) -> String {
        let mut quoted = String::new();
        for c in self.path.chars() {
            match c {
                // A mark of history in some shells, even within quotes.
                '\'' | '!' => quoted.extend(["'\\", c.encode_utf8(&mut [0; 4]), "'"]),
                c => quoted.push(c),
            }
        }
        format!("git-upload-pack '{quoted}'")
    }
}

/// The URL, or the short form where the path is not from the root.
impl fmt::Display for SshPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, path } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let path = path.replace('%', "%25");
        match (path.chars().next(), *port) {
            (Some('/'), DEFAULT_PORT) => write!(f, "ssh://{user}@{host}{path}"),
            (Some('/'), port) => write!(f, "ssh://{user}@{host}:{port}{path}"),
            (Some('~'), port) if port != DEFAULT_PORT => write!(f, "ssh://{user}@{host}:{port}/{path}"),
            _ => write!(f, "{user}@{host}:{}", self.path),
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    crate::url::percent_decoded(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<SshPlace, &'static str> {
        match text.strip_prefix("ssh://") {
            Some(rest) => SshPlace::from_url(rest),
            None => SshPlace::from_scp(text).unwrap_or(Err("not scp-like")),
        }
    }

    #[test]
    fn both_forms_say_who_where_and_what() {
        let table = [
            ("ssh://git@GitHub.com/Org/Repo.git", "git", "github.com", 22, "/Org/Repo.git"),
            ("ssh://host/a", "git", "host", 22, "/a"),
            ("ssh://me@host:2222/a%20b", "me", "host", 2222, "/a b"),
            ("ssh://host:/a", "git", "host", 22, "/a"),
            ("ssh://[fe80::1]:7999/a", "git", "fe80::1", 7999, "/a"),
            ("ssh://host/~me/a", "git", "host", 22, "~me/a"),
            ("git@github.com:org/repo", "git", "github.com", 22, "org/repo"),
            ("org-1@github.com:/srv/a b", "org-1", "github.com", 22, "/srv/a b"),
            ("git@[::1]:a/b:c", "git", "::1", 22, "a/b:c"),
        ];
        for (text, user, host, port, path) in table {
            let place = place(text).unwrap();
            let found = (place.user.as_str(), place.host.as_str(), place.port, place.path.as_str());
            assert_eq!(found, (user, host, port, path), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused_without_repeating_it() {
        let bad = [
            "ssh://git:hunter2@host/a",
            "ssh://host",
            "ssh://host/",
            "ssh:///a",
            "ssh://git@github.com:org/repo",
            "ssh://host:0/a",
            "ssh://-oProxyCommand=x/a",
            "ssh://-x@host/a",
            "git@host:",
            "git@host:-x",
            "git@host:--upload-pack=x",
            "ssh://host/a%0ab",
            "ssh://host/a%zz",
            "ssh://host/a/%2e%2e/b",
            "ssh://host/a%2f../b",
            "git@host:./a",
            "host:path",
            "git@host/path",
        ];
        for text in bad {
            let error = place(text).err().unwrap();
            assert!(!error.contains("hunter"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in
            ["ssh://git@host/a%25b", "ssh://me@host:2222/a", "git@host:a%b", "ssh://git@[::1]:7/a", "ssh://me@h:7/~u/a"]
        {
            let read = place(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert!(place(&read.to_string()).unwrap() == read, "{text}");
        }
    }

    #[test]
    fn a_path_is_never_a_command() {
        let place = |path: &str| SshPlace::checked("git", "host", 22, path).unwrap().command();
        assert_eq!(place("/a b"), "git-upload-pack '/a b'");
        assert_eq!(place("/a'; rm -rf $HOME; echo '!"), "git-upload-pack '/a'\\''; rm -rf $HOME; echo '\\'''\\!''");
        let told = std::process::Command::new("sh")
            .args(["-c", &place("/a'; b `c` $(d) \\ \" !").replacen("git-upload-pack", "printf %s", 1)])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(told.stdout).unwrap(), "/a'; b `c` $(d) \\ \" !");
    }
}
