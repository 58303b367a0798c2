//! How each repository is reached, from the Secrets and ConfigMaps in which Argo CD keeps it.
//!
//! Which Secret counts for a repository: one for exactly this URL, of the project itself before one for all projects; one of
//! another project never. If it has no login, or there is none, the login of the longest prefix, by the same rule. Pure: whoever
//! lists the Secrets, the answer is the same. Entry point: [`Credentials::access`].

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_api::git_url::normalized;

use crate::repository_secret::{RepositorySecret, without_login};
use crate::secret_fields::Fields;
use crate::{Access, GitError, RegistryAccess, RepoUrl, Tls};

/// The ConfigMap whose keys are host names, and values the certificates that are trusted there.
pub const TLS_CERTS: &str = "argocd-tls-certs-cm";
/// The ConfigMap of the SSH host keys.
pub const SSH_KNOWN_HOSTS: &str = "argocd-ssh-known-hosts-cm";
/// The key in it.
const KNOWN_HOSTS_KEY: &str = "ssh_known_hosts";

/// All that is known of how repositories are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// What each Secret says, in the order of their names.
    secrets: Vec<Arc<RepositorySecret>>,
    /// Of Git only.
    git: Places,
    /// Of all kinds: who has a login for a place need not have said for what. Those of Helm and OCI come first.
    registries: Places,
    /// Certificates by host.
    authorities: BTreeMap<String, Arc<str>>,
    known_hosts: Arc<str>,
}

/// Secrets by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    /// Those for one repository, by its URL in normal form.
    exact: BTreeMap<String, Vec<Arc<RepositorySecret>>>,
    /// Those for a prefix, the longest first.
    prefixes: Vec<(String, Vec<Arc<RepositorySecret>>)>,
}

/// What a server is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The data of [`TLS_CERTS`].
    pub tls_certs: BTreeMap<String, String>,
    /// The data of [`SSH_KNOWN_HOSTS`].
    pub known_hosts: BTreeMap<String, String>,
}

// === impl Credentials ===

impl Credentials {
    /// Puts together what the Secrets and the two ConfigMaps say.
    pub fn new(secrets: impl IntoIterator<Item = Arc<RepositorySecret>>, trust: &Trust) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().collect();
        secrets.sort_by(|one, other| one.secret.cmp(&other.secret));
        let git = secrets.iter().filter(|secret| secret.is_git());
        let git = Places::new(git.filter_map(|secret| Some((secret.place.clone()?, secret))));
        let (of_git, others): (Vec<_>, Vec<_>) = secrets.iter().partition(|secret| secret.is_git());
        let all = others.into_iter().chain(of_git);
        let registries = Places::new(all.map(|secret| {
            // As a prefix, `team/` is not for `team-b`.
            let end = if secret.prefix && secret.url.ends_with('/') { "/" } else { "" };
            (registry_place(&secret.url) + end, secret)
        }));
        let authorities = trust.tls_certs.iter().map(|(host, pem)| (host.to_lowercase(), pem.as_str().into()));
        let known_hosts = trust.known_hosts.get(KNOWN_HOSTS_KEY).map(String::as_str).unwrap_or_default();
        Self { secrets, git, registries, authorities: authorities.collect(), known_hosts: known_hosts.into() }
    }

    /// How an application of a project reaches a repository. An error if a Secret is meant for it and cannot be used: it is
    /// not asked without a login then.
    pub fn access(&self, url: &RepoUrl, project: &str) -> Result<Access, GitError> {
        let place = Place::of(url);
        if place.file {
            return Ok(Access::default());
        }
        let (fields, secret) = self.git.fields(&place.normal, project);
        let failed = |problem: String| unusable(url.to_string(), secret, &problem);
        let fields = fields.map_err(failed)?;
        let login = fields.login(place.ssh).map_err(failed)?;
        let proxy = (!fields.proxy.is_empty()).then(|| fields.proxy.clone());
        // What does not matter at this URL stays out: another host key is no reason to fetch over HTTPS again.
        let (tls, known_hosts) = if place.ssh {
            (Tls::default(), Arc::clone(&self.known_hosts))
        } else {
            (self.tls(&place.host, &fields), Arc::default())
        };
        let (insecure, lfs) = (fields.insecure, fields.lfs);
        Ok(Access { login, tls, proxy, no_proxy: fields.no_proxy, known_hosts, insecure, lfs })
    }

    /// How an application of a project reaches a Helm repository or a registry: `https://…`, `oci://…`, or a registry without
    /// scheme. An error as in [`Credentials::access`].
    pub fn registry_access(&self, url: &str, project: &str) -> Result<RegistryAccess, GitError> {
        let place = registry_place(url);
        let (fields, secret) = self.registries.fields(&place, project);
        let fields = fields.map_err(|problem| unusable(without_login(url), secret, &problem))?;
        let access = Access {
            login: fields.registry_login(),
            tls: self.tls(&host_of(&place), &fields),
            proxy: (!fields.proxy.is_empty()).then(|| fields.proxy.clone()),
            no_proxy: fields.no_proxy,
            known_hosts: Arc::default(),
            insecure: fields.insecure,
            lfs: false,
        };
        let own = self.registries.exact(&place, project);
        let oci = own.is_some_and(|own| own.kind == "oci" || own.fields.oci);
        Ok(RegistryAccess { access, oci, oci_over_http: fields.oci_over_http })
    }

    /// The Secret that an application of a project logs in with at a repository, if there is one.
    pub fn login_of(&self, url: &RepoUrl, project: &str) -> Option<&RepositorySecret> {
        self.git.fields(&Place::of(url).normal, project).1
    }

    /// All Secrets, also of Helm and OCI repositories, in the order of their names.
    pub fn secrets(&self) -> impl Iterator<Item = &RepositorySecret> {
        self.secrets.iter().map(|secret| &**secret)
    }

    fn tls(&self, host: &str, fields: &Fields) -> Tls {
        let authorities = self.authorities.get(host).cloned().unwrap_or_default();
        Tls { authorities, client: fields.client_certificate() }
    }
}

fn unusable(repository: String, secret: Option<&RepositorySecret>, problem: &str) -> GitError {
    let secret = secret.map(|secret| format!("Secret '{}': ", secret.secret)).unwrap_or_default();
    GitError::Login { repository, detail: secret + problem }
}

// === impl Places ===

impl Places {
    fn new<'a>(secrets: impl IntoIterator<Item = (String, &'a Arc<RepositorySecret>)>) -> Self {
        let (mut exact, mut prefixes) = (BTreeMap::new(), BTreeMap::new());
        for (place, secret) in secrets {
            let places: &mut BTreeMap<String, Vec<_>> = if secret.prefix { &mut prefixes } else { &mut exact };
            places.entry(place).or_default().push(Arc::clone(secret));
        }
        let mut prefixes: Vec<_> = prefixes.into_iter().collect();
        prefixes.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        Self { exact, prefixes }
    }

    /// What the Secrets say of a repository, and which one the login is from.
    fn fields(&self, normal: &str, project: &str) -> (Result<Fields, String>, Option<&RepositorySecret>) {
        let usable = |secret: &RepositorySecret| match &secret.problem {
            Some(problem) => Err(problem.clone()),
            None => Ok(secret.fields.clone()),
        };
        let own = self.exact(normal, project);
        if let Some(secret) = own.filter(|secret| secret.problem.is_some() || secret.fields.has_login()) {
            return (usable(secret), Some(secret));
        }
        let own_fields = own.map(|secret| secret.fields.clone()).unwrap_or_default();
        match self.longest_prefix(normal, project) {
            Some(prefix) => (usable(prefix).map(|fields| own_fields.completed_by(&fields)), Some(prefix)),
            None => (Ok(own_fields), own),
        }
    }

    fn exact(&self, normal: &str, project: &str) -> Option<&RepositorySecret> {
        self.exact.get(normal).and_then(|secrets| meant_for(project, secrets))
    }

    fn longest_prefix(&self, normal: &str, project: &str) -> Option<&RepositorySecret> {
        let mut covering = self.prefixes.iter().filter(|(prefix, _)| is_prefix(prefix, normal));
        covering.find_map(|(_, secrets)| meant_for(project, secrets))
    }
}

/// Of Secrets for one place the project's own, else one for all projects.
fn meant_for<'a>(project: &str, secrets: &'a [Arc<RepositorySecret>]) -> Option<&'a RepositorySecret> {
    let of = |project: &str| secrets.iter().find(|secret| secret.project == project);
    of(project).or_else(|| of("")).map(|secret| &**secret)
}

/// Where a repository is, as far as it matters here.
struct Place {
    normal: String,
    host: String,
    ssh: bool,
    file: bool,
}

// === impl Place ===

impl Place {
    fn of(url: &RepoUrl) -> Self {
        let normal = url.normalised();
        let (ssh, file) = (url.ssh_place().is_some(), url.file_path().is_some());
        Self { ssh, file, host: host_of(&normal), normal }
    }
}

/// The host of a URL in normal form.
fn host_of(normal: &str) -> String {
    let (_, rest) = normal.split_once("://").unwrap_or(("", normal));
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // A certificate is for a host, whatever the port. An IPv6 address keeps its brackets' content.
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    host.to_owned()
}

/// How the URL of a Helm repository or a registry is compared: a registry is the same one with and without `oci://`.
fn registry_place(url: &str) -> String {
    let normal = normalized(url);
    let place = normal.strip_prefix("oci://").unwrap_or(&normal);
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = if place.contains("://") { host } else { host.rsplit_once('@').map_or(host, |(_, host)| host) };
    format!("{host}{path}")
}

/// Whether a prefix covers a repository. Its path may end anywhere, but not its host: `https://git.example.com` does not cover
/// `https://git.example.com.elsewhere.org`.
fn is_prefix(prefix: &str, repository: &str) -> bool {
    let Some(rest) = repository.strip_prefix(prefix) else { return false };
    let place = prefix.split_once("://").map_or(prefix, |(_, place)| place);
    place.contains('/') || rest.is_empty() || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Login;
    use crate::repository_secret::tests::secret;

    /// Label, name and data.
    type Written<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

    fn credentials(secrets: &[Written<'_>]) -> Credentials {
        let read = |(label, name, data): &Written<'_>| {
            Arc::new(RepositorySecret::read(&secret(label, name, data)).unwrap().unwrap())
        };
        Credentials::new(secrets.iter().map(read), &Trust::default())
    }

    fn url(text: &str) -> RepoUrl {
        RepoUrl::parse(text).unwrap()
    }

    /// The password that is used, which in these tests says which Secret it is from.
    fn used(credentials: &Credentials, at: &str, project: &str) -> String {
        match credentials.access(&url(at), project).unwrap().login {
            Login::None => "nobody".to_owned(),
            Login::Basic { password, .. } | Login::Key(password) => password.reveal().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_exact_repository_comes_before_a_prefix_and_the_own_project_before_all() {
        let all = credentials(&[
            ("repo-creds", "a", &[("url", "https://h/org"), ("password", "org")]),
            ("repo-creds", "b", &[("url", "https://h/org/team-"), ("password", "team")]),
            ("repo-creds", "c", &[("url", "https://h"), ("password", "host")]),
            ("repository", "d", &[("url", "https://H/org/team-a.git"), ("password", "own")]),
            ("repository", "e", &[("url", "https://h/org/team-a"), ("password", "red"), ("project", "red")]),
            ("repository", "f", &[("url", "https://h/org/blue"), ("password", "blue"), ("project", "blue")]),
            ("repository", "g", &[("url", "https://h/bare"), ("username", ""), ("insecure", "true")]),
            ("repository", "h", &[("url", "https://h/chart"), ("password", "helm"), ("type", "helm")]),
        ]);
        let table = [
            ("https://h/org/team-a", "default", "own"),
            ("https://h/org/team-a.git", "red", "red"),
            ("https://h/Org/Team-A/", "red", "red"),
            ("https://h/org/team-b", "red", "team"),
            ("https://h/org/x", "red", "org"),
            ("https://h/organisation/x", "red", "org"),
            ("https://h/x", "red", "host"),
            ("https://h:443/x", "red", "host"),
            ("https://h/org/blue", "blue", "blue"),
            ("https://h/org/blue", "red", "org"),
            ("https://h/bare", "red", "host"),
            ("https://h/chart", "red", "host"),
            ("https://h.elsewhere.org/x", "red", "nobody"),
            ("https://h:8443/x", "red", "nobody"),
            ("http://h/org/x", "red", "nobody"),
        ];
        for (at, project, expected) in table {
            assert_eq!(used(&all, at, project), expected, "{at} in {project}");
        }
        assert!(all.access(&url("https://h/bare"), "red").unwrap().insecure, "its own settings stay");
        assert!(!all.access(&url("https://h/x"), "red").unwrap().insecure);
        assert_eq!(all.login_of(&url("https://h/org/x"), "red").unwrap().secret, "a");
        assert_eq!(all.secrets().count(), 8);
    }

    #[test]
    fn a_secret_of_another_project_is_never_used() {
        let all = credentials(&[
            ("repository", "a", &[("url", "https://h/a"), ("password", "red"), ("project", "red")]),
            ("repo-creds", "b", &[("url", "https://h"), ("password", "blue"), ("project", "blue")]),
        ]);
        assert_eq!(used(&all, "https://h/a", "red"), "red");
        assert_eq!(used(&all, "https://h/a", "green"), "nobody");
        assert_eq!(used(&all, "https://h/a", "blue"), "blue");
    }

    #[test]
    fn a_login_that_cannot_be_used_is_an_error_and_not_nobody() {
        let all = credentials(&[
            ("repository", "a", &[("url", "https://h/a"), ("gcpServiceAccountKey", "{}")]),
            ("repo-creds", "b", &[("url", "https://h/org"), ("useAzureWorkloadIdentity", "true")]),
            ("repository", "c", &[("url", "https://h/c"), ("sshPrivateKey", "k")]),
            ("repo-creds", "d", &[("url", "https://h"), ("password", "host")]),
        ]);
        for (at, secret) in [("https://h/a", "'a'"), ("https://h/org/x", "'b'"), ("https://h/c", "'c'")] {
            let error = all.access(&url(at), "p").unwrap_err();
            assert!(matches!(&error, GitError::Login { .. }), "{error}");
            assert!(error.to_string().contains(secret), "{error}");
        }
        assert_eq!(used(&all, "https://h/b", "p"), "host");
    }

    #[test]
    fn certificates_and_host_keys_go_where_they_matter() {
        let trust = Trust {
            tls_certs: [("Git.Example.com".to_owned(), "pem".to_owned())].into(),
            known_hosts: [(KNOWN_HOSTS_KEY.to_owned(), "lines".to_owned())].into(),
        };
        let all = Credentials::new([], &trust);
        let https = all.access(&url("https://git.example.com:8443/a"), "p").unwrap();
        assert_eq!((&*https.tls.authorities, &*https.known_hosts), ("pem", ""));
        let other = all.access(&url("https://example.com/a"), "p").unwrap();
        assert_eq!(other, Access::default());
        assert_eq!(all.access(&url("file:///srv/a"), "p").unwrap(), Access::default());
    }

    #[test]
    fn the_same_text_in_secret_and_application_is_one_repository() {
        let texts = [
            ("https://H:443/Org/A.git/", "password"),
            ("https://bot@h/a", "password"),
            ("https://h/my%20project/_git/größe", "password"),
            ("https://h./a//b", "password"),
            ("http://[2001:db8::1]:8080/a.git/", "password"),
            ("ssh://h/a", "sshPrivateKey"),
            ("ssh://me@h:2222/a%20b/", "sshPrivateKey"),
            ("ssh://h/~me/a", "sshPrivateKey"),
            ("git@h:a%20b", "sshPrivateKey"),
            ("git@[::1]:a/b.git", "sshPrivateKey"),
        ];
        for (text, key) in texts {
            let exact = credentials(&[("repository", "a", &[("url", text), (key, "own")])]);
            assert_eq!(used(&exact, text, "p"), "own", "{text}");
            let prefix = credentials(&[("repo-creds", "a", &[("url", text.trim_end_matches('/')), (key, "own")])]);
            assert_eq!(used(&prefix, text, "p"), "own", "{text} as a prefix");
        }
    }

    #[test]
    fn a_registry_is_reached_as_its_secret_says() {
        let all = credentials(&[
            (
                "repository",
                "a",
                &[("url", "https://charts.h/stable/"), ("type", "helm"), ("username", "u"), ("password", "a")],
            ),
            ("repository", "b", &[("url", "reg.h/org"), ("type", "helm"), ("enableOCI", "true"), ("password", "b")]),
            ("repository", "c", &[("url", "oci://Reg.h/art"), ("type", "oci"), ("insecureOCIForceHttp", "true")]),
            ("repo-creds", "d", &[("url", "oci://reg.h"), ("type", "oci"), ("password", "d")]),
            ("repo-creds", "e", &[("url", "reg.h:5000/team/"), ("type", "helm"), ("password", "e")]),
            ("repo-creds", "f", &[("url", "https://git.h"), ("githubAppID", "1"), ("githubAppPrivateKey", "k")]),
            ("repository", "g", &[("url", "reg.h/red"), ("type", "oci"), ("password", "g"), ("project", "red")]),
            ("repository", "h", &[("url", "reg.h/azure"), ("type", "oci"), ("useAzureWorkloadIdentity", "true")]),
        ]);
        // What of it is used: password, as a registry, without TLS.
        let table = [
            ("https://charts.h/stable", ("a", false, false)),
            ("https://charts.h/stable-b", ("nobody", false, false)),
            ("reg.h/org", ("b", true, false)),
            ("oci://reg.h/org", ("b", true, false)),
            ("oci://reg.h/art", ("d", true, true)),
            ("reg.h/other", ("d", false, false)),
            ("reg.h.elsewhere.org/other", ("nobody", false, false)),
            ("reg.h:5000/team/x", ("e", false, false)),
            ("reg.h:5000/team-b", ("nobody", false, false)),
            ("https://git.h/releases", ("nobody", false, false)),
            ("reg.h/red", ("d", false, false)),
        ];
        for (at, expected) in table {
            let found = all.registry_access(at, "p").unwrap();
            let password = match &found.access.login {
                Login::Basic { password, .. } => password.reveal(),
                Login::None => "nobody",
                other => panic!("{other:?}"),
            };
            assert_eq!((password, found.oci, found.oci_over_http), expected, "{at}");
        }
        assert!(all.registry_access("oci://reg.h/red", "red").unwrap().oci, "the project's own");
        let error = all.registry_access("oci://reg.h/azure", "p").unwrap_err().to_string();
        assert!(error.contains("'oci://reg.h/azure'") && error.contains("Secret 'h'"), "{error}");
    }

    #[test]
    fn a_prefix_that_ends_with_a_slash_is_for_what_is_below_it() {
        let all = credentials(&[
            ("repo-creds", "a", &[("url", "https://h/team/"), ("password", "team")]),
            ("repo-creds", "b", &[("url", "git@h:team/"), ("sshPrivateKey", "team")]),
            ("repo-creds", "c", &[("url", "git@g"), ("sshPrivateKey", "host")]),
        ]);
        assert_eq!(used(&all, "https://h/team/a", "p"), "team");
        assert_eq!(used(&all, "https://h/team-b/a", "p"), "nobody");
        assert_eq!(used(&all, "ssh://git@h/team/a", "p"), "team");
        assert_eq!(used(&all, "git@h:team-b/a", "p"), "nobody");
        assert_eq!(used(&all, "git@g:team/a", "p"), "host");
        assert_eq!(used(&all, "git@g.elsewhere.org:team/a", "p"), "nobody");
    }

    #[test]
    fn of_equal_prefixes_the_own_project_s_counts() {
        let prefix = [("url", "https://h/org/"), ("password", "all")];
        let red = [("url", "https://h/org/"), ("password", "red"), ("project", "red")];
        let blue = [("url", "https://h/org/team/"), ("password", "blue"), ("project", "blue")];
        let all = credentials(&[("repo-creds", "a", &prefix), ("repo-creds", "b", &red), ("repo-creds", "c", &blue)]);
        assert_eq!(used(&all, "https://h/org/team/x", "red"), "red");
        assert_eq!(used(&all, "https://h/org/team/x", "green"), "all");
        assert_eq!(used(&all, "https://h/org/team/x", "blue"), "blue");
    }

    #[test]
    fn a_proxy_of_the_prefix_is_taken_over_with_its_login() {
        let all = credentials(&[
            (
                "repo-creds",
                "a",
                &[("url", "https://h"), ("password", "p"), ("proxy", "http://proxy"), ("noProxy", "x")],
            ),
            ("repository", "b", &[("url", "https://h/b"), ("proxy", "http://own")]),
            ("repository", "c", &[("url", "https://h/c"), ("password", "c")]),
        ]);
        let proxy = |at: &str| all.access(&url(at), "p").unwrap().proxy.map(|proxy| proxy.reveal().to_owned());
        assert_eq!(proxy("https://h/a").as_deref(), Some("http://proxy"));
        assert_eq!(proxy("https://h/b").as_deref(), Some("http://own"));
        assert_eq!(proxy("https://h/c"), None);
        assert_eq!(all.access(&url("https://h/a"), "p").unwrap().no_proxy, "x");
    }
}
