//! Repository URLs in the one form in which they are compared: by a project's list, by logins, by metrics.
//!
//! Invariant: two URLs with which the same server is asked for the same path have one form. It is Argo CD's for what people
//! write, and reads through what only looks different: a user name of the Web, a default port, escapes that nothing needs.
//! Pure. Entry point: [`normalized`].

/// What an escape may stand for and is written without one: all that a URL's path holds as it is, except what is special to
/// the patterns of a project. An escaped `/` is one to an SSH server; for the Web no URL with one is accepted.
const PLAIN: &[u8] = b"-._~/!$&'()+;=:@";

/// The form in which two URLs of one repository are equal, and in which a pattern for URLs matches them: lower case, no
/// credentials, no `.git`, no trailing `/`, and `user@host/path` for both forms of SSH.
///
/// It is for comparing only: what is fetched is the URL as written. Any text has one; what is no URL is taken as it is.
pub fn normalized(url: &str) -> String {
    let url = url.trim();
    let text = match url.split_once("://") {
        Some((scheme, rest)) => match scheme.to_lowercase().as_str() {
            "ssh" => of_ssh(rest),
            "http" => format!("http://{}", of_web(rest, 80)),
            "https" => format!("https://{}", of_web(rest, 443)),
            "file" => format!("file://{}", path(rest.strip_prefix("localhost").unwrap_or(rest))),
            // Also a pattern that leaves open what the scheme is.
            _ => url.to_lowercase(),
        },
        None => of_short_form(url).unwrap_or_else(|| url.to_lowercase()),
    };
    let text = text.trim_end_matches('/');
    text.strip_suffix(".git").unwrap_or(text).trim_end_matches('/').to_owned()
}

/// `user:password@host:port/path`, of which user and password do not say where it is.
fn of_web(rest: &str, default_port: u16) -> String {
    let (authority, rest) = split(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    place(host, default_port) + &path(rest)
}

/// `user@host:port/path`, of which the user says where it is.
fn of_ssh(rest: &str) -> String {
    let (authority, rest) = split(rest);
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", unescaped(user), place(host, 22)),
        // Who is meant where nobody is named. A pattern that begins with any text may mean any user.
        None if authority.is_empty() || authority.starts_with(['*', '?', '[', '{']) => authority.to_lowercase(),
        None => format!("git@{}", place(authority, 22)),
    };
    // A home directory is not below the root, but on the same host it is the same to whoever compares.
    host + &path(rest)
}

/// `user@host:path`, and `user@host` as a prefix or pattern; in neither is anything escaped.
fn of_short_form(url: &str) -> Option<String> {
    let (user, rest) = url.split_once('@').filter(|(user, _)| !user.contains(['/', ':']))?;
    let (host, rest) = if let Some((address, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        (format!("[{address}]"), rest)
    } else {
        let short = rest.split_once(':').filter(|(host, _)| !host.contains('/'));
        let (host, rest) = short.unwrap_or_else(|| split(rest));
        (host.to_owned(), rest)
    };
    let escaped = rest.replace('%', "%25");
    let rest = if rest.is_empty() { String::new() } else { path(&format!("/{escaped}")) };
    Some(format!("{}@{}{rest}", user.to_lowercase(), place(&host, 22)))
}

fn split(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

/// Host and port, without a port that needs no mention and the dot at the end of a full name.
fn place(host: &str, default_port: u16) -> String {
    let (host, port) = match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port),
        None => (host, ""),
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_lowercase();
    match port.parse::<u16>() {
        Ok(number) if number == default_port => host,
        Ok(number) => format!("{host}:{number}"),
        Err(_) if port.is_empty() => host,
        Err(_) => format!("{host}:{}", port.to_lowercase()),
    }
}

/// A path, without the empty names in it: to servers they are not there.
fn path(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for c in unescaped(text).chars() {
        if c != '/' || !path.ends_with('/') {
            path.push(c);
        }
    }
    path
}

/// In lower case and one spelling: escapes are where they are needed, and nowhere else.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match (*byte, escape(after)) {
            (b'%', Some(meant)) => {
                if meant.is_ascii_alphanumeric() || PLAIN.contains(&meant) || !meant.is_ascii() {
                    bytes.push(meant);
                } else {
                    bytes.extend(format!("%{meant:02x}").bytes());
                }
                rest = &after[2..];
            }
            (b' ', _) => bytes.extend(b"%20"),
            (byte, _) => bytes.push(byte),
        }
    }
    // Bytes that are no text: the escapes stay, and the two are one only if they are spelled alike.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned()).to_lowercase()
}

/// The byte that two digits stand for.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| digits.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_a_url_have_one_form() {
        let table: [(&str, &[&str]); 12] = [
            (
                "https://github.com/org/repo",
                &[
                    "https://GitHub.com/Org/Repo.git",
                    " HTTPS://github.com:443/org/repo.git/ ",
                    "https://github.com:/org/repo",
                    "https://github.com:0443/org//repo/",
                    "https://github.com./org/repo",
                    "https://user:p%40ss%2F@github.com/org/repo",
                    "https://user:secret@github.com/org/repo",
                    "https://github.com/%6frg/rep%6F",
                ][..],
            ),
            ("http://host:8080/a", &["http://host:8080/a.git", "http://u@HOST:8080//a/"]),
            ("http://[::1]:8080/a", &["http://[::1]:8080/a"]),
            ("http://[::1]/a", &["http://[::1]:80/a", "http://[::1]/a"]),
            (
                "https://host/my%20project/_git/x",
                &["https://host/My%20Project/_git/x", "https://host/my project/_git/x"],
            ),
            ("https://host/größe", &["https://host/gr%C3%B6%C3%9Fe", "https://host/größe"]),
            (
                "git@github.com/org/repo",
                &[
                    "git@github.com:Org/Repo.git",
                    "git@github.com:/org/repo/",
                    "ssh://git@github.com/org/repo",
                    "ssh://git@github.com:22/Org/Repo.git/",
                    "ssh://github.com/org%2Frepo",
                ],
            ),
            ("git@host:2222/a", &["ssh://git@host:2222/a.git", "ssh://host:2222/a"]),
            ("git@[::1]:2222/a", &["ssh://git@[::1]:2222/a.git"]),
            ("git@[::1]/a/b:c", &["ssh://git@[::1]/a/b:c", "git@[::1]:a/b:c"]),
            ("git@host/a%20b", &["ssh://git@host/a%20b", "git@host:a b"]),
            ("file:///srv/git/a", &["file:///srv/git/a.git", "file://localhost/srv/git/a"]),
        ];
        for (form, spellings) in table {
            for spelling in spellings {
                assert_eq!(normalized(spelling), form, "{spelling}");
            }
        }
    }

    #[test]
    fn other_repositories_have_another() {
        for (a, b) in [
            ("https://x/y", "http://x/y"),
            ("https://x/y", "https://x:8443/y"),
            ("https://x/y", "https://x/y/z"),
            ("https://x/a%252fb", "https://x/a%2fb"),
            ("ssh://a@x/y", "ssh://b@x/y"),
            ("git@x:a%20b", "ssh://git@x/a%20b"),
        ] {
            assert_ne!(normalized(a), normalized(b));
        }
    }

    #[test]
    fn a_pattern_stays_one() {
        for (pattern, form) in [
            ("*", "*"),
            ("**", "**"),
            ("*/org/*", "*/org/*"),
            ("https://*.example.com/**", "https://*.example.com/**"),
            ("https://host:*/x", "https://host:*/x"),
            ("https://host/%2A", "https://host/%2a"),
            ("{https://a/x,git@b:y}", "{https://a/x,git@b:y}"),
            ("git@host:org/*", "git@host/org/*"),
            ("*@host:org/*", "*@host/org/*"),
            ("ssh://*/org/*", "*/org/*"),
            ("ssh://git@*/org/*.git", "git@*/org/*"),
            ("git@github.com*", "git@github.com*"),
        ] {
            assert_eq!(normalized(pattern), form, "{pattern}");
        }
    }

    #[test]
    fn any_text_has_a_form() {
        for text in
            ["", "://", "https://", "ssh://", "@", "a@", "@:", "%", "%z", "%e", "https://h/%ff", "git@[::1", "file://"]
        {
            let form = normalized(text);
            assert_eq!(normalized(&form), form, "{text}");
        }
    }
}
