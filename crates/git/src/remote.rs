//! A repository and how it is reached, as everything sees it that talks to its server: where, with which login, and which
//! words may be shown.
//!
//! Invariant: `Display` and `Debug` hold no credential, and neither does what [`Remote::scrub`] answers. The login is one that
//! can be sent: an App has become a token before.

use std::fmt;

use zeroize::Zeroizing;

use crate::{Access, Login, RepoUrl, Secret};

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

    /// Somebody else's words, fit to be shown: one line, shortened, without our credentials.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut text = Zeroizing::new(text.to_owned());
        for secret in self.secrets() {
            // Shorter pieces of a key are its line breaks and padding.
            for line in secret.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----")) {
                if text.contains(line) {
                    text = Zeroizing::new(text.replace(line, "…"));
                }
            }
        }
        one_line(&text)
    }

    fn secrets(&self) -> Vec<&str> {
        let Access { login, tls, proxy, .. } = &self.access;
        let mut secrets = self.url.secrets().to_vec();
        match login {
            Login::None => {}
            Login::Basic { username, password } => {
                secrets.push(password.reveal());
                secrets.extend((username.len() >= TOKEN_LENGTH_MIN).then_some(username.as_str()));
            }
            Login::Bearer(secret) | Login::Key(secret) => secrets.push(secret.reveal()),
            Login::GitHubApp(app) => secrets.push(app.key.reveal()),
        }
        secrets.extend(tls.client.iter().map(|client| client.key.reveal()));
        secrets.extend(proxy.iter().map(Secret::reveal).flat_map(login_of_proxy));
        secrets
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// The URL itself, and the user name and password in it as they are written there.
fn login_of_proxy(url: &str) -> impl Iterator<Item = &str> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let password = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
    [Some(url), login, password].into_iter().flatten()
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
    fn a_long_answer_is_shortened() {
        assert_eq!(one_line(&"ä".repeat(10_000)).chars().count(), SERVER_WORDS_MAX + 1);
    }
}
