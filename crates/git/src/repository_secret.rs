//! One Secret in which Argo CD keeps how a repository is reached, or all repositories under a prefix.
//!
//! Invariant: a Secret of which anything cannot be read is kept with what is wrong with it, so that its repository says so
//! instead of being asked without a login. Entry point: [`RepositorySecret::read`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::secret_fields::{Fields, Values};
use crate::{GitError, RepoUrl, Secret};

/// Which Secrets are read, as a label selector.
pub const REPOSITORY_SECRETS: &str = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
const TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";

/// One Secret about a repository, or about all repositories under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySecret {
    /// The name of the Secret.
    pub secret: String,
    /// Whether `url` is a prefix (`repo-creds`).
    pub prefix: bool,
    /// The URL, without a password that it may carry.
    pub url: String,
    /// Its name for people; often empty.
    pub name: String,
    /// `git`, `helm` or `oci`.
    pub kind: String,
    /// The only project that may use it; empty for all.
    pub project: String,
    /// What is wrong with it, if it cannot be used.
    pub problem: Option<String>,
    /// What is odd about it, but does not keep it from being used.
    pub oddities: Vec<String>,
    /// The URL or prefix in the form in which it is compared; `None` if no repository of Git can have it.
    pub(crate) place: Option<String>,
    pub(crate) fields: Fields,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, Option<Secret>>>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

// === impl RepositorySecret ===

impl RepositorySecret {
    /// Reads a Secret as the API server sends it. `None` if it is about no repository; an error, which quotes no value, if
    /// not even its URL can be read.
    pub fn read(json: &[u8]) -> Result<Option<Self>, String> {
        // The decoder's own words may quote a value.
        let object: Object = serde_json::from_slice(json).map_err(|_| "a Secret cannot be read".to_owned())?;
        let secret = object.metadata.name;
        let label = object.metadata.labels.unwrap_or_default().remove(TYPE_LABEL).unwrap_or_default();
        let prefix = match label.as_str() {
            "repository" => false,
            "repo-creds" => true,
            _ => return Ok(None),
        };
        let values = Values::decode(object.data.unwrap_or_default());
        let mut problems = Vec::new();
        let url = values.plain("url", &mut problems);
        let url = url.trim();
        if url.is_empty() {
            let why = problems.pop().unwrap_or_else(|| "it has no 'url'".to_owned());
            return Err(format!("Secret '{secret}' describes no repository: {why}"));
        }
        let kind = values.plain("type", &mut problems).trim().to_lowercase();
        let (name, project) = (values.plain("name", &mut problems), values.plain("project", &mut problems));
        let kind = if kind.is_empty() { "git".to_owned() } else { kind };
        let (shown, place) = match place(url, prefix) {
            Ok((shown, place)) => (shown, Some(place)),
            Err(error) => {
                problems.extend((kind == "git").then(|| error.to_string()));
                (without_login(url), None)
            }
        };
        let fields = Fields::read(&values, &mut problems);
        let oddities = values.oddities();
        if problems.is_empty() {
            problems.extend(fields.unsupported());
        }
        Ok(Some(Self {
            secret,
            prefix,
            url: shown,
            name: name.trim().to_owned(),
            kind,
            project: project.trim().to_owned(),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            oddities,
            place,
            fields,
        }))
    }

    /// Whether it is about Git.
    pub fn is_git(&self) -> bool {
        self.kind == "git"
    }

    /// What keeps it from being used: its problem, else a key, a certificate or a proxy that cannot be used.
    ///
    /// These are read here and not with the Secret: a fetch says so itself, and only who looks at a list wants to know before.
    pub fn fault(&self) -> Option<String> {
        let over_ssh = |place: &String| !place.contains("://");
        let place = || self.place.as_ref().filter(|_| self.is_git());
        let own = || place().and_then(|place| self.fields.fault(over_ssh(place)));
        self.problem.clone().or_else(own)
    }

    /// Which kind of login it has, in a word; nothing of the login itself.
    pub fn login_kind(&self) -> &'static str {
        self.fields.login_kind()
    }
}

/// How a URL or a prefix is shown, and how it is compared.
fn place(url: &str, prefix: bool) -> Result<(String, String), GitError> {
    let error = match RepoUrl::parse(url) {
        Ok(repository) => {
            // As a prefix, `team/` is not for `team-b`.
            let end = if prefix && url.ends_with('/') { "/" } else { "" };
            return Ok((repository.to_string(), repository.normalised() + end));
        }
        Err(error) => error,
    };
    // A host alone is no repository, but all of its repositories begin with it.
    let host = url.trim_end_matches(['/', ':']);
    let below = if url.contains("://") { '/' } else { ':' };
    match RepoUrl::parse(&format!("{host}{below}_")) {
        Ok(below) if prefix => {
            // Only SSH knows the form, and its URLs hold no password.
            Ok((host.to_owned(), below.normalised().trim_end_matches("/_").to_owned()))
        }
        _ => Err(error),
    }
}

/// What can be shown of a text that is no repository's URL: a password may be anywhere up to an `@` or behind a `?`.
pub(crate) fn without_login(url: &str) -> String {
    match (url.rsplit_once('@'), url.split_once(['?', '#'])) {
        (Some(_), Some(_)) => "…".to_owned(),
        (Some((_, place)), None) => format!("…{place}"),
        (None, Some((place, _))) => format!("{place}…"),
        (None, None) => url.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;
    use trueup_bed::{Authority, SshKey};

    use super::*;
    use crate::{GitHubApp, Login};

    pub(crate) fn secret(label: &str, name: &str, data: &[(&str, &str)]) -> Vec<u8> {
        let data: BTreeMap<&str, String> = data.iter().map(|(key, value)| (*key, STANDARD.encode(value))).collect();
        json!({"metadata": {"name": name, "labels": {TYPE_LABEL: label}}, "data": data}).to_string().into_bytes()
    }

    fn read(data: &[(&str, &str)]) -> RepositorySecret {
        RepositorySecret::read(&secret("repository", "s", data)).unwrap().unwrap()
    }

    #[test]
    fn other_secrets_are_none_of_our_business() {
        for label in ["repo-write-creds", "repository-write", "cluster", ""] {
            assert_eq!(RepositorySecret::read(&secret(label, "s", &[("url", "https://h/a")])), Ok(None), "{label}");
        }
    }

    #[test]
    fn a_secret_that_cannot_be_read_says_why_and_quotes_nothing() {
        let raw = |data: serde_json::Value| {
            json!({"metadata": {"name": "s", "labels": {TYPE_LABEL: "repository"}}, "data": data}).to_string()
        };
        let error = |data| RepositorySecret::read(raw(data).as_bytes()).unwrap_err();
        assert_eq!(error(json!({})), "Secret 's' describes no repository: it has no 'url'");
        assert!(error(json!({"url": "hunter2!"})).ends_with("its 'url' is not valid base64"));
        assert!(error(json!({"url": "/w=="})).ends_with("its 'url' is not text (UTF-8)"));
        assert_eq!(error(json!({"url": 7})), "a Secret cannot be read");
        let url = STANDARD.encode("https://h/a");
        let broken = raw(json!({"url": url, "password": "/w==", "githubAppID": STANDARD.encode("hunter2")}));
        let problem = RepositorySecret::read(broken.as_bytes()).unwrap().unwrap().problem.unwrap();
        assert_eq!(problem, "its 'password' is not text (UTF-8); its 'githubAppID' is not a number");
    }

    #[test]
    fn a_token_that_no_header_can_have_is_a_problem() {
        let read = read(&[("url", "https://git.example.com/x"), ("bearerToken", "hunter2\n")]);
        let problem = read.problem.unwrap();
        assert!(problem.contains("'bearerToken' has a line break") && !problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn a_key_that_cannot_be_used_is_a_fault_that_quotes_nothing() {
        let fault = |url: &str, data: &[(&str, &str)]| {
            let fault = read(&[&[("url", url)], data].concat()).fault();
            assert!(!fault.as_deref().unwrap_or_default().contains("hunter2"), "{fault:?}");
            fault.unwrap_or_default()
        };
        let (ssh, https) = ("git@h:a", "https://h/a");
        let key = SshKey::generate("ed25519", "").unwrap().private;
        let encrypted = SshKey::generate("ed25519", "hunter2").unwrap().private;
        let garbage = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n";
        assert_eq!(fault(ssh, &[("sshPrivateKey", &key)]), "");
        assert!(fault(ssh, &[("sshPrivateKey", &encrypted)]).contains("without a passphrase"));
        assert!(fault(ssh, &[("sshPrivateKey", garbage)]).contains("cannot be read"));
        assert_eq!(fault(https, &[("sshPrivateKey", garbage), ("password", "hunter2")]), "", "it is of no use there");
        let ours = Authority::new("a").unwrap().certify(&["bot"]).unwrap();
        let other = Authority::new("a").unwrap().certify(&["bot"]).unwrap();
        let pair = |certificate: &str, key: &str| {
            fault(https, &[("tlsClientCertData", certificate), ("tlsClientCertKey", key)])
        };
        assert_eq!(pair(&ours.certificate, &ours.key), "");
        assert!(pair(&ours.certificate, garbage).contains("must be a certificate and its unencrypted private key"));
        let mismatch = pair(&ours.certificate, &other.key);
        assert!(mismatch.starts_with("the certificates cannot be used: "), "they do not belong together: {mismatch}");
        assert!(
            fault(https, &[("githubAppID", "1"), ("githubAppPrivateKey", garbage)]).contains("githubAppPrivateKey")
        );
        assert!(fault(https, &[("proxy", "socks5://hunter2")]).contains("the proxy must be"));
        assert!(fault(https, &[("gcpServiceAccountKey", "{}")]).contains("Google"));
    }

    #[test]
    fn what_is_not_supported_is_a_problem() {
        let problem = |data: &[(&str, &str)]| read(&[&[("url", "https://h/a")], data].concat()).problem;
        assert!(problem(&[("gcpServiceAccountKey", "{}")]).unwrap().contains("Google"));
        assert!(problem(&[("useAzureWorkloadIdentity", "true")]).unwrap().contains("Azure"));
        assert!(problem(&[("tlsClientCertData", "x")]).unwrap().contains("both"));
        assert!(problem(&[("githubAppID", "1")]).unwrap().contains("both"));
        assert!(problem(&[("insecure", "maybe")]).unwrap().contains("neither true nor false"));
        assert_eq!(problem(&[("enableLfs", "true"), ("insecure", "T")]), None);
        assert_eq!(
            read(&[("url", "https://h/a"), ("enableLfs", "true"), ("password", "x\n"), ("username", "u\r\n")])
                .oddities
                .len(),
            2
        );
    }

    #[test]
    fn the_login_follows_the_url() {
        let login = |data: &[(&str, &str)], ssh| read(&[&[("url", "https://h/a")], data].concat()).fields.login(ssh);
        let basic = |username: &str, password: &str| {
            Ok(Login::Basic { username: username.to_owned(), password: Secret::new(password) })
        };
        assert_eq!(login(&[("username", "u"), ("password", "p")], false), basic("u", "p"));
        assert_eq!(login(&[("password", "p")], false), basic("x-access-token", "p"));
        assert_eq!(login(&[("username", "token")], false), basic("token", ""));
        let both = [("password", "p"), ("bearerToken", "b")];
        assert_eq!(login(&both, false), Ok(Login::Bearer(Secret::new("b"))));
        assert_eq!(
            login(&[&both[..], &[("forceHttpBasicAuth", "true")]].concat(), false),
            basic("x-access-token", "p")
        );
        let key = [("sshPrivateKey", "k"), ("password", "p")];
        assert_eq!(login(&key, true), Ok(Login::Key(Secret::new("k"))));
        assert_eq!(login(&key, false), basic("x-access-token", "p"));
        assert!(login(&key[..1], false).unwrap_err().contains("of no use"));
        assert!(login(&key[1..], true).unwrap_err().contains("needs sshPrivateKey"));
        assert_eq!((login(&[], true), login(&[], false)), (Ok(Login::None), Ok(Login::None)));
        let app = login(&[("githubAppID", "7"), ("githubAppPrivateKey", "k")], false).unwrap();
        assert!(matches!(app, Login::GitHubApp(GitHubApp { id: 7, installation: None, .. })));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let values = [
            "username",
            "password",
            "bearerToken",
            "sshPrivateKey",
            "tlsClientCertData",
            "tlsClientCertKey",
            "githubAppPrivateKey",
            "proxy",
        ];
        let mut data: Vec<(&str, &str)> = values.iter().map(|key| (*key, "hunter2")).collect();
        data.push(("url", "https://bot:hunter2@h/a"));
        let secret = read(&data);
        assert_eq!(secret.url, "https://h/a");
        assert!(!format!("{secret:?}").contains("hunter2"), "{secret:?}");
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_a_password() {
        let odd = [
            ("https://bot:hunter2/x@h/org", "…h/org"),
            ("https://bot:hunter2?x@h/org", "…"),
            ("https://h/org?private_token=hunter2", "https://h/org…"),
            ("https://h/org?mail=a@hunter2", "…"),
            ("https://h/org#hunter2", "https://h/org…"),
            ("bot:hunter2@h:a/b", "…h:a/b"),
            ("ssh://git:hunter2@h:22/a", "…h:22/a"),
        ];
        for (url, shown) in odd {
            let secret = read(&[("url", url)]);
            assert_eq!(secret.url, shown);
            assert!(secret.problem.is_some() && !format!("{secret:?}").contains("hunter2"), "{secret:?}");
        }
        assert_eq!(read(&[("url", "git@h:a/b")]).url, "git@h:a/b");
        let chart = read(&[("url", "charts.example.com/x"), ("type", "helm")]);
        assert_eq!((chart.url.as_str(), chart.problem), ("charts.example.com/x", None));
    }

    #[test]
    fn a_prefix_may_be_a_host() {
        let prefix = |url: &str| RepositorySecret::read(&secret("repo-creds", "s", &[("url", url)])).unwrap().unwrap();
        for (url, place) in [
            ("git@h", "git@h"),
            ("git@h:", "git@h"),
            ("ssh://git@h/", "git@h"),
            ("ssh://h:2222", "git@h:2222"),
            ("git@h:org", "git@h/org"),
            ("git@h:org/", "git@h/org/"),
            ("https://h", "https://h"),
            ("https://h/team/", "https://h/team/"),
        ] {
            let read = prefix(url);
            assert_eq!((read.place.as_deref(), read.problem), (Some(place), None), "{url}");
        }
        for url in ["h", "https://", "://", "@", "ssh://", "https://h/a/../b"] {
            let read = prefix(url);
            assert!(read.place.is_none() && read.problem.is_some(), "{read:?}");
        }
        assert!(read(&[("url", "git@h")]).problem.is_some(), "a host is no repository");
    }
}
