//! A repository and how it is reached, as everything sees it that talks to its server: where, with which login, and which
//! words may be shown.
//!
//! Invariant: `Display` and `Debug` hold no credential, and neither does what [`Remote::scrub`] answers. The login is one that
//! can be sent: an App has become a token before.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::url::percent_decoded;
use crate::{Access, GitError, Login, RepoUrl, Secret};

/// How much of a server's own words is kept for people: one paragraph, in characters.
const SERVER_WORDS_MAX: usize = 400;
/// A shorter user name is a name ("git", "x-access-token" is fifteen); tokens of all hosts are longer. A name is hidden only
/// where it may be the token, else common words would vanish.
const TOKEN_LENGTH_MIN: usize = 16;

/// A repository, and how it is reached.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) url: RepoUrl,
    pub(crate) access: Access,
}

impl Remote {
    /// Whether something is at hand that another server must not see.
    pub(crate) fn shows_who_we_are(&self) -> bool {
        self.url.credentials().is_some() || self.access.login != Login::None || self.access.tls.client.is_some()
    }

    /// Somebody else's words, fit to be shown: one line, shortened, without our credentials, however they are spelled there.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut text = Zeroizing::new(text.to_owned());
        for secret in self.secrets() {
            // Shorter pieces of a key are its line breaks and padding.
            for line in secret.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----")) {
                text = without(text, line);
                let escaped = Zeroizing::new(escaped(line));
                if *escaped != line {
                    text = without(text, &escaped);
                }
            }
        }
        one_line(&text)
    }

    /// An error of somebody else than the repository's server, fit to be shown.
    pub(crate) fn scrubbed(&self, error: GitError) -> GitError {
        match error {
            GitError::Unreachable { repository, detail } => {
                GitError::Unreachable { repository, detail: self.scrub(&detail) }
            }
            GitError::Server { repository, message } => GitError::Server { repository, message: self.scrub(&message) },
            error => error,
        }
    }

    fn secrets(&self) -> Vec<Zeroizing<String>> {
        let Access { login, tls, proxy, .. } = &self.access;
        let mut secrets = Vec::new();
        // The longest first: what holds another must go as a whole.
        if let Some((username, password)) = self.url.credentials() {
            secrets.push(header(username, password.unwrap_or_default()));
        }
        let proxy = proxy.as_ref().map(Secret::reveal);
        secrets.extend(proxy.into_iter().flat_map(login_of_proxy));
        let mut add = |secret: &str| secrets.push(Zeroizing::new(secret.to_owned()));
        match login {
            Login::None => {}
            Login::Basic { username, password } => {
                add(&header(username, password.reveal()));
                add(password.reveal());
                if username.len() >= TOKEN_LENGTH_MIN {
                    add(username);
                }
            }
            Login::Bearer(secret) | Login::Key(secret) => add(secret.reveal()),
            Login::GitHubApp(app) => add(app.key.reveal()),
        }
        self.url.secrets().into_iter().for_each(&mut add);
        if let Some(client) = &tls.client {
            add(client.key.reveal());
            // Who pastes both into one field puts the key here.
            add(&client.certificate);
        }
        secrets
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// The URL itself, and the user name and password in it, as they are written there and as they are sent.
fn login_of_proxy(url: &str) -> Vec<Zeroizing<String>> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    let (username, password) = login.split_once(':').unwrap_or((login, ""));
    let plain = |text: &str| Zeroizing::new(percent_decoded(text).unwrap_or_else(|| text.to_owned()));
    let (sent, plain_password) = (header(&plain(username), &plain(password)), plain(password));
    let written = [url, login, password].map(|text| Zeroizing::new(text.to_owned()));
    written.into_iter().chain((!login.is_empty()).then_some(sent)).chain([plain_password]).collect()
}

/// What a user name and a password become in a header, without the padding.
fn header(username: &str, password: &str) -> Zeroizing<String> {
    Zeroizing::new(STANDARD_NO_PAD.encode(Zeroizing::new(format!("{username}:{password}")).as_bytes()))
}

/// As it is written in a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // A String takes everything.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A text without another one in it, whatever the case: names of hosts and escapes change theirs.
fn without(text: Zeroizing<String>, secret: &str) -> Zeroizing<String> {
    // Of the same length, byte by byte.
    let (lower, secret) = (Zeroizing::new(text.to_ascii_lowercase()), Zeroizing::new(secret.to_ascii_lowercase()));
    if secret.is_empty() || !lower.contains(secret.as_str()) {
        return text;
    }
    let mut kept = Zeroizing::new(String::with_capacity(text.len()));
    let mut end = 0;
    for (at, _) in lower.match_indices(secret.as_str()) {
        kept.push_str(&text[end..at]);
        kept.push('…');
        end = at + secret.len();
    }
    kept.push_str(&text[end..]);
    kept
}

/// One line, shortened, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(SERVER_WORDS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientCertificate, Tls};

    fn remote(url: &str, login: Login) -> Remote {
        let access = Access { login, proxy: Some(Secret::new("http://me:pr0xy@host")), ..Access::default() };
        Remote { url: RepoUrl::parse(url).unwrap(), access }
    }

    #[test]
    fn words_of_others_come_without_our_credentials() {
        let url = remote("https://bot:p%40ss%2Fword@host/a.git", Login::None);
        assert_eq!(url.scrub("no access\nfor bot with p@ss/word\u{1b}[0m"), "no access for … with … [0m");
        let basic = Login::Basic { username: "git".to_owned(), password: Secret::new("hunter2") };
        assert_eq!(remote("https://host/a", basic).scrub("git says hunter2 by pr0xy"), "git says … by …");
        let token = Login::Basic { username: "ghp_0123456789abcdef".to_owned(), password: Secret::default() };
        assert_eq!(remote("https://host/a", token).scrub("for ghp_0123456789abcdef"), "for …");
        assert_eq!(remote("https://host/a", Login::Bearer(Secret::new("t0ken"))).scrub("Bearer t0ken"), "Bearer …");
        let key = Secret::new("-----BEGIN X-----\nMIIabc\nMIIdef\n-----END X-----\n");
        assert_eq!(remote("ssh://host/a", Login::Key(key)).scrub("I read MIIabcMIIdef"), "I read ……");
    }

    #[test]
    fn a_credential_is_found_however_it_is_spelled() {
        let basic = Login::Basic { username: "bot".to_owned(), password: Secret::new("p@ss/Wörd") };
        let login = remote("https://host/a", basic);
        for spelled in ["p@ss/Wörd", "P@SS/WöRD", "p%40ss%2FW%C3%B6rd", "p%40ss%2fw%c3%b6rd"] {
            assert_eq!(login.scrub(&format!("at https://bot:{spelled}@host")), "at https://bot:…@host");
        }
        assert_eq!(login.scrub("you sent Basic Ym90OnBAc3MvV8O2cmQ="), "you sent Basic …=");
        // Of the proxy: "me:pr0xy".
        assert_eq!(login.scrub("Proxy-Authorization: Basic bWU6cHIweHk="), "Proxy-Authorization: Basic …=");
        let url = remote("https://bot:p%40ss%2Fword@host/a.git", Login::None);
        assert_eq!(url.scrub("Basic Ym90OnBAc3Mvd29yZA=="), "Basic …==");
        let access = Access {
            proxy: Some(Secret::new("http://me:pr%40xy@host")),
            tls: Tls {
                client: Some(ClientCertificate {
                    certificate: "-----BEGIN X-----\nMIIkey\n-----END X-----".to_owned(),
                    key: Secret::default(),
                }),
                ..Tls::default()
            },
            ..Access::default()
        };
        let remote = Remote { url: RepoUrl::parse("https://host/a").unwrap(), access };
        assert_eq!(remote.scrub("pr@xy pr%40xy MIIkey"), "… … …");
        assert_eq!(remote.scrub("Basic bWU6cHJAeHk="), "Basic …=");
        let (repository, detail) = ("https://host/a".to_owned(), "the proxy says pr@xy".to_owned());
        let told = remote.scrubbed(GitError::Unreachable { repository, detail }).to_string();
        assert!(told.ends_with("the proxy says …"), "{told}");
    }

    #[test]
    fn a_long_answer_is_shortened() {
        assert_eq!(one_line(&"ä".repeat(10_000)).chars().count(), SERVER_WORDS_MAX + 1);
    }
}
