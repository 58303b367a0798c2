//! What the Applications of a project may deploy, from where, to where.
//!
//! Lists are globs; with `!` in front they forbid, and a prohibition always wins. Cluster-scoped kinds are forbidden unless
//! listed, namespaced ones permitted unless there is a list. A pattern that is malformed permits nothing. Entry points:
//! [`Project::read`], [`Project::default_project`], and the `permits_…` questions.

use trueup_object::Digest;

use crate::annotations;
use crate::application::{ReadError, meta_and_spec};
use crate::crd;
use crate::file_match;
use crate::git_url;
use crate::glob::Glob;
use crate::namespaces::NamespacePatterns;
use crate::project_accounts::AccountPattern;
use crate::project_integrity::Integrity;
use crate::project_orphans::Orphans;
use crate::project_spec::{AppProjectSpec, NamedKind, ProjectKind, SyncWindow};
use crate::project_windows::{WindowPattern, WindowSubject};
use crate::spec::ApplicationDestination;
use crate::unsupported::{Unsupported, project_unsupported};

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The name.
    pub name: String,
    /// The Secret with the keys that files of its Applications are decrypted with.
    pub decryption_secret: Option<String>,
    sources: Vec<Pattern>,
    destinations: Vec<DestinationPattern>,
    /// Where its Applications may lie, beside the controller's own namespace.
    namespaces: NamespacePatterns,
    cluster_allowed: Vec<NamedKind>,
    cluster_denied: Vec<NamedKind>,
    namespaced_allowed: Option<Vec<ProjectKind>>,
    namespaced_denied: Vec<ProjectKind>,
    windows: Vec<WindowPattern>,
    accounts: Vec<AccountPattern>,
    orphans: Option<Orphans>,
    integrity: Integrity,
    unsupported: Vec<Unsupported>,
}

/// A glob that permits, or with `!` in front forbids.
#[derive(Clone, Debug)]
struct Pattern {
    denies: bool,
    /// `None`: the pattern is malformed.
    glob: Option<Glob>,
}

#[derive(Clone, Debug)]
struct DestinationPattern {
    server: Pattern,
    name: Pattern,
    namespace: Pattern,
}

// === impl Project ===

impl Project {
    /// Reads a project. One whose specification does not decode permits nothing: it is an error.
    pub fn read(json: &[u8]) -> Result<Self, ReadError> {
        let (meta, spec) = meta_and_spec(json, crd::app_project_spec)?;
        let named = meta.annotations.get(annotations::DECRYPTION_SECRET).map(|name| name.trim().to_owned());
        let decryption_secret = named.filter(|name| !name.is_empty());
        Ok(Self { decryption_secret, ..Self::new(meta.name, spec) })
    }

    /// The project `default` as every installation begins with it: everything is allowed.
    pub fn default_project() -> Self {
        let any = || "*".to_owned();
        let spec = AppProjectSpec {
            source_repos: vec![any()],
            destinations: vec![ApplicationDestination { server: any(), namespace: any(), name: String::new() }],
            cluster_resource_whitelist: vec![NamedKind { group: any(), kind: any(), name: String::new() }],
            ..AppProjectSpec::default()
        };
        Self::new(crate::DEFAULT_PROJECT.to_owned(), spec)
    }

    fn new(name: String, spec: AppProjectSpec) -> Self {
        let mut unsupported = project_unsupported(&spec);
        let sources: Vec<Pattern> = spec.source_repos.iter().map(|pattern| Pattern::of_url(pattern)).collect();
        if sources.iter().any(|pattern| pattern.glob.is_none()) {
            unsupported.push(malformed("spec.sourceRepos"));
        }
        let destinations: Vec<DestinationPattern> = spec.destinations.iter().map(DestinationPattern::new).collect();
        if destinations.iter().any(DestinationPattern::is_malformed) {
            unsupported.push(malformed("spec.destinations"));
        }
        let integrity = Integrity::new(&spec);
        if integrity.is_malformed() {
            unsupported.push(malformed("spec.sourceIntegrity.git.policies.repos"));
        }
        let windows: Vec<WindowPattern> = spec.sync_windows.into_iter().map(WindowPattern::new).collect();
        if windows.iter().any(WindowPattern::is_malformed) {
            unsupported.push(malformed("spec.syncWindows"));
        }
        let namespaces = NamespacePatterns::read(&spec.source_namespaces);
        unsupported.extend(namespaces.malformed().iter().map(|pattern| {
            let message = format!(
                "'{}' is neither a glob nor a regular expression without look-around between slashes, it permits nothing",
                pattern.escape_debug()
            );
            Unsupported::new("spec.sourceNamespaces", false, message)
        }));
        Self {
            name,
            decryption_secret: None,
            sources,
            destinations,
            namespaces,
            cluster_allowed: spec.cluster_resource_whitelist,
            cluster_denied: spec.cluster_resource_blacklist,
            namespaced_allowed: spec.namespace_resource_whitelist,
            namespaced_denied: spec.namespace_resource_blacklist,
            windows,
            accounts: spec.destination_service_accounts.iter().map(AccountPattern::new).collect(),
            orphans: spec.orphaned_resources.as_ref().map(Orphans::new),
            integrity,
            unsupported,
        }
    }

    /// What of the project is not evaluated.
    pub fn unsupported(&self) -> &[Unsupported] {
        &self.unsupported
    }

    /// Whether a repository may be deployed from.
    pub fn permits_source(&self, url: &str) -> bool {
        let url = git_url::normalized(url);
        let mut permitted = false;
        for pattern in &self.sources {
            match pattern.judge(&url) {
                Some(matched) => permitted |= matched,
                None => return false,
            }
        }
        permitted
    }

    /// Tells whether other repositories may be permitted than were.
    pub fn sources_digest(&self) -> Digest {
        Digest::of(format!("{:?}", self.sources).as_bytes())
    }

    /// Whether what is deployed from some Git repository may have to be signed.
    pub fn asks_for_signatures(&self) -> bool {
        self.integrity.asks()
    }

    /// The ids or fingerprints of the keys of which one must have signed what is deployed from a Git repository; none if it need
    /// not be signed. An error, if that is not known: then nothing may be deployed from it.
    pub fn signers(&self, url: &str) -> Result<Option<&[String]>, String> {
        self.integrity.signers(url)
    }

    /// Whether a namespace of a cluster may be deployed to. The cluster's URL and name count both, whichever the Application has.
    pub fn permits_destination(&self, server: &str, name: &str, namespace: &str) -> bool {
        let mut permitted = false;
        for pattern in &self.destinations {
            // An unknown server or name matches nothing, neither to permit nor to forbid by it.
            let server_matched = !server.is_empty() && pattern.server.matches(server);
            let name_matched = !name.is_empty() && pattern.name.matches(name);
            let namespace_matched = pattern.namespace.matches(namespace);
            let cluster_denied = (!name_matched && pattern.name.denies) || (!server_matched && pattern.server.denies);
            if (server_matched || name_matched) && namespace_matched {
                permitted = true;
            } else if (cluster_denied && namespace_matched)
                || (!namespace_matched && pattern.namespace.denies && server_matched)
            {
                return false;
            }
        }
        permitted
    }

    /// Whether a kind may be deployed; of cluster-scoped kinds the name may count too.
    pub fn permits_kind(&self, group: &str, kind: &str, name: &str, namespaced: bool) -> bool {
        if namespaced {
            let listed =
                |list: &[ProjectKind]| list.iter().any(|item| kind_matches(&item.group, &item.kind, group, kind));
            self.namespaced_allowed.as_deref().is_none_or(listed) && !listed(&self.namespaced_denied)
        } else {
            let listed = |list: &[NamedKind]| {
                list.iter().any(|item| {
                    kind_matches(&item.group, &item.kind, group, kind)
                        && (item.name.is_empty() || file_match::matches(&item.name, name))
                })
            };
            listed(&self.cluster_allowed) && !listed(&self.cluster_denied)
        }
    }

    /// The sync windows that hold for an Application.
    pub fn sync_windows<'a>(&'a self, subject: WindowSubject<'a>) -> impl Iterator<Item = &'a SyncWindow> {
        self.windows.iter().filter(move |pattern| pattern.holds_for(subject)).map(|pattern| &pattern.window)
    }

    /// Whether it names service accounts to deploy as.
    pub fn names_service_accounts(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// The user to deploy to a destination as, if the project names one; `home` is the namespace of an account that is named
    /// without one. An error, if what it names is none.
    pub fn service_account(&self, server: &str, namespace: &str, home: &str) -> Result<Option<String>, String> {
        AccountPattern::user(&self.accounts, server, namespace, home)
    }

    /// Whether objects that no Application has are to be told.
    pub fn warns_of_orphans(&self) -> bool {
        self.orphans.as_ref().is_some_and(|orphans| orphans.warn)
    }

    /// Whether an object that no Application has is not worth telling.
    pub fn ignores_orphan(&self, group: &str, kind: &str, namespace: &str, name: &str) -> bool {
        let ignored = self.orphans.as_ref().is_some_and(|orphans| orphans.ignores(group, kind, namespace, name));
        ignored || !self.permits_kind(group, kind, name, true)
    }

    /// Whether Applications of a namespace may be in the project. Those of the controller's own always may.
    pub fn permits_application_namespace(&self, namespace: &str, controller_namespace: &str) -> bool {
        namespace.is_empty() || namespace == controller_namespace || self.namespaces.matches(namespace)
    }
}

fn kind_matches(group_pattern: &str, kind_pattern: &str, group: &str, kind: &str) -> bool {
    file_match::matches(kind_pattern, kind) && file_match::matches(group_pattern, group)
}

fn malformed(field: &str) -> Unsupported {
    let message =
        "one of the patterns is not a valid glob, and whatever it was to forbid is not known: correct it".to_owned();
    Unsupported::new(field, true, message)
}

// === impl Pattern ===

impl Pattern {
    fn new(pattern: &str, separators: &'static [char]) -> Self {
        let (denies, glob) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        // A lone star matches separators too.
        let separators = if glob == "*" && !denies { &[] } else { separators };
        Self { denies, glob: Glob::new(glob, separators).ok() }
    }

    fn of_url(pattern: &str) -> Self {
        let normalized = match pattern.strip_prefix('!') {
            Some(rest) => format!("!{}", git_url::normalized(rest)),
            None => git_url::normalized(pattern),
        };
        Self::new(&normalized, &['/'])
    }

    /// Whether the text passes: what a prohibition does not name passes it. A malformed pattern lets nothing pass.
    fn matches(&self, text: &str) -> bool {
        self.glob.as_ref().is_some_and(|glob| glob.matches(text) != self.denies)
    }

    /// Whether the text passes; nothing if it is forbidden.
    fn judge(&self, text: &str) -> Option<bool> {
        let matched = self.matches(text);
        (matched || !self.denies).then_some(matched)
    }
}

// === impl DestinationPattern ===

impl DestinationPattern {
    fn new(destination: &ApplicationDestination) -> Self {
        let pattern = |text: &str| Pattern::new(text, &[]);
        Self {
            server: pattern(&destination.server),
            name: pattern(&destination.name),
            namespace: pattern(&destination.namespace),
        }
    }

    fn is_malformed(&self) -> bool {
        [&self.server, &self.name, &self.namespace].into_iter().any(|pattern| pattern.glob.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(spec: &str) -> Project {
        Project::read(format!(r#"{{"metadata": {{"name": "team"}}, "spec": {spec}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn a_project_names_the_secret_of_its_keys_by_an_annotation() {
        let named = |annotations: &str| {
            let json = format!(r#"{{"metadata":{{"name":"p","annotations":{annotations}}},"spec":{{}}}}"#);
            Project::read(json.as_bytes()).unwrap().decryption_secret
        };
        assert_eq!(named(r#"{"trueup.dev/decryption-secret": " keys "}"#).as_deref(), Some("keys"));
        assert_eq!(named(r#"{"trueup.dev/decryption-secret": ""}"#), None);
        assert_eq!(named("{}"), None);
    }

    #[test]
    fn the_default_project_allows_everything() {
        let project = Project::default_project();
        assert_eq!(project.name, "default");
        assert!(project.permits_source("https://git/a/b/c"));
        assert!(project.permits_destination("https://kubernetes.default.svc", "in-cluster", "any"));
        assert!(project.permits_destination("https://kubernetes.default.svc", "in-cluster", ""));
        assert!(project.permits_kind("rbac.authorization.k8s.io", "ClusterRole", "x", false));
        assert!(project.permits_kind("", "ConfigMap", "x", true));
        assert_eq!(project.unsupported(), []);
    }

    #[test]
    fn an_empty_project_allows_nothing_but_namespaced_kinds() {
        let project = project("{}");
        assert!(!project.permits_source("https://git/x"));
        assert!(!project.permits_destination("https://kubernetes.default.svc", "in-cluster", "x"));
        assert!(!project.permits_kind("", "Namespace", "x", false));
        assert!(project.permits_kind("", "ConfigMap", "x", true));
    }

    #[test]
    fn sources() {
        for (list, url, permitted) in [
            (r#"["*"]"#, "https://git/a/b", true),
            (r#"["https://github.com/org/*"]"#, "https://github.com/Org/Repo.git", true),
            (r#"["https://github.com/org/*"]"#, "https://github.com/org/team/repo", false),
            (r#"["https://github.com/org/**"]"#, "https://github.com/org/team/repo", true),
            (r#"["git@github.com:org/*"]"#, "ssh://git@github.com/org/repo.git", true),
            (r#"["*", "!https://github.com/org/secret"]"#, "https://github.com/org/secret.git", false),
            (r#"["!https://github.com/org/secret", "*"]"#, "https://github.com/org/secret", false),
            (r#"["*", "!https://github.com/org/secret"]"#, "https://github.com/org/open", true),
            // Another spelling is no way around a prohibition.
            (r#"["*", "!https://github.com/org/secret"]"#, "https://u@github.com./org//%73ecret/", false),
            (r#"["*", "!git@github.com:org/*"]"#, "ssh://github.com:22/org%2Fsecret", false),
            // As upstream: a prohibition alone permits the rest.
            (r#"["!https://github.com/org/secret"]"#, "https://github.com/org/open", true),
            (r#"["https://github.com/[a"]"#, "https://github.com/a", false),
            (r#"["*", "!https://github.com/[a"]"#, "https://elsewhere/x", false),
        ] {
            assert_eq!(
                project(&format!(r#"{{"sourceRepos": {list}}}"#)).permits_source(url),
                permitted,
                "{list} {url}"
            );
        }
    }

    #[test]
    fn destinations() {
        let server = "https://kubernetes.default.svc";
        for (list, namespace, permitted) in [
            (r#"[{"server": "*", "namespace": "*"}]"#, "shop", true),
            (r#"[{"server": "https://kubernetes.default.svc", "namespace": "shop-*"}]"#, "shop-dev", true),
            (r#"[{"server": "https://kubernetes.default.svc", "namespace": "shop-*"}]"#, "other", false),
            (r#"[{"name": "in-cluster", "namespace": "shop"}]"#, "shop", true),
            (r#"[{"name": "elsewhere", "namespace": "shop"}]"#, "shop", false),
            (r#"[{"server": "https://other", "namespace": "*"}]"#, "shop", false),
            (
                r#"[{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-system"}]"#,
                "kube-system",
                false,
            ),
            (r#"[{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-system"}]"#, "shop", true),
            (
                r#"[{"server": "*", "namespace": "*"}, {"server": "!https://kubernetes.default.svc", "namespace": "*"}]"#,
                "shop",
                false,
            ),
            (r#"[{"server": "*", "namespace": "*"}, {"name": "!in-cluster", "namespace": "shop"}]"#, "shop", false),
            (r#"[{"server": "*", "namespace": "*"}, {"name": "!in-cluster", "namespace": "other"}]"#, "shop", true),
            (r#"[{"server": "*", "namespace": "[a"}]"#, "shop", false),
        ] {
            let project = project(&format!(r#"{{"destinations": {list}}}"#));
            assert_eq!(project.permits_destination(server, "in-cluster", namespace), permitted, "{list} {namespace}");
        }
    }

    #[test]
    fn kinds() {
        let project = project(
            r#"{"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "team-*"}, {"group": "*.example.io", "kind": "*"}],
                "clusterResourceBlacklist": [{"group": "bad.example.io", "kind": "*"}],
                "namespaceResourceWhitelist": [{"group": "*", "kind": "*"}],
                "namespaceResourceBlacklist": [{"group": "", "kind": "ResourceQuota"}, {"group": "networking.k8s.io", "kind": "Network*"}]}"#,
        );
        for (group, kind, name, namespaced, permitted) in [
            ("", "Namespace", "team-a", false, true),
            ("", "Namespace", "other", false, false),
            ("rbac.authorization.k8s.io", "ClusterRole", "x", false, false),
            ("a.example.io", "Thing", "x", false, true),
            ("bad.example.io", "Thing", "x", false, false),
            ("apps", "Deployment", "x", true, true),
            ("", "ResourceQuota", "x", true, false),
            ("networking.k8s.io", "NetworkPolicy", "x", true, false),
            ("networking.k8s.io", "Ingress", "x", true, true),
        ] {
            assert_eq!(project.permits_kind(group, kind, name, namespaced), permitted, "{group}/{kind} {name}");
        }
    }

    #[test]
    fn an_empty_list_of_namespaced_kinds_allows_none() {
        assert!(!project(r#"{"namespaceResourceWhitelist": []}"#).permits_kind("", "ConfigMap", "x", true));
        assert!(project(r#"{"namespaceResourceWhitelist": null}"#).permits_kind("", "ConfigMap", "x", true));
    }

    #[test]
    fn namespaces_of_applications() {
        let permitting = project(r#"{"sourceNamespaces": ["team-*", "/^a.*$/"]}"#);
        assert!(permitting.permits_application_namespace("argocd", "argocd"));
        assert!(permitting.permits_application_namespace("team-a", "argocd"));
        assert!(!permitting.permits_application_namespace("other", "argocd"));
        assert!(permitting.permits_application_namespace("abc", "argocd"));
        assert!(!permitting.permits_application_namespace("cba", "argocd"));
        let odd = project(r#"{"sourceNamespaces": ["[a"]}"#);
        assert!(!odd.permits_application_namespace("[a", "argocd"));
        assert!(odd.unsupported().iter().all(|found| found.field == "spec.sourceNamespaces" && !found.stops));
        assert_eq!(odd.unsupported().len(), 1);
    }

    #[test]
    fn a_malformed_pattern_stops_the_sync() {
        for (spec, field) in [
            (r#"{"sourceRepos": ["*", "![a"]}"#, "spec.sourceRepos"),
            (r#"{"destinations": [{"server": "*", "namespace": "{a"}]}"#, "spec.destinations"),
            (
                r#"{"syncWindows": [{"kind": "deny", "schedule": "0 1 * * *", "duration": "1h", "applications": ["[a"]}]}"#,
                "spec.syncWindows",
            ),
        ] {
            let project = project(spec);
            assert_eq!((project.unsupported()[0].field.as_str(), project.unsupported()[0].stops), (field, true));
        }
    }

    #[test]
    fn a_project_that_does_not_decode_is_an_error() {
        let error = Project::read(br#"{"metadata": {"name": "x"}, "spec": {"sourceRepos": "hunter2"}}"#)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "spec.sourceRepos: must be a list, it is a string");
        assert!(Project::read(b"[]").is_err());
        assert!(Project::read(br#"{"spec": {}}"#).is_err());
    }
}
