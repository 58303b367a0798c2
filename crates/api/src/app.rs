//! An Application's specification after the checks: validated, defaulted, and with a list of what is not honoured.
//!
//! Invariant: a value of [`App`] has exactly one of server and name, a path inside the repository (or none, for a source that
//! we do not read yet: then something in [`App::unsupported`] stops it). Entry point: [`App::new`].

use std::fmt;

use trueup_object::ObjectKey;

use crate::application::Meta;
use crate::deadlines::Deadlines;
use crate::ignore_rule::{IgnoreRule, Ignored};
use crate::options::SyncOptions;
use crate::pause::Pause;
use crate::retry::Retry;
use crate::source::{ApplicationSource, Redacted};
use crate::spec::{ApplicationDestination, ApplicationSpec, NamespaceMetadata};
use crate::status::ComparedTo;
use crate::unsupported::{Unsupported, application_unsupported};

/// The project of an Application that names none.
pub const DEFAULT_PROJECT: &str = "default";
/// The revision of a source that names none.
pub const DEFAULT_REVISION: &str = "HEAD";
/// How many syncs the history keeps if the specification does not say.
pub const HISTORY_DEFAULT: usize = 10;
/// The most syncs that a history keeps, whatever the specification says: each costs some 500 bytes of every status write.
pub const HISTORY_MAX: usize = 1000;

/// The field manager under which the controller applies.
pub const FIELD_MANAGER: &str = "trueup";

/// What is deployed, from where, to where, and how.
#[derive(Clone, Debug)]
pub struct App {
    /// The project that says what is allowed.
    pub project: String,
    /// Where the manifests come from.
    pub source: Source,
    /// Where they go to.
    pub destination: Destination,
    /// Sync without being asked; none if it is off.
    pub automated: Option<Automated>,
    /// How objects are synced.
    pub options: SyncOptions,
    /// Labels and annotations of the destination namespace; none if nothing is said of them.
    pub namespace_metadata: Option<NamespaceMetadata>,
    /// How often and when a failed sync is tried again, if the specification says so.
    pub retry: Option<Retry>,
    /// Fields whose differences do not count.
    pub ignore: Vec<IgnoreRule>,
    /// How many syncs the history keeps.
    pub history_limit: usize,
    /// What is not honoured.
    pub unsupported: Vec<Unsupported>,
    /// What was compared with what, as the status shows it: the source, the destination and the ignored fields as written.
    pub compared_to: ComparedTo,
}

/// A directory of a Git repository at a revision.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The URL, which may carry credentials: not to be printed.
    pub repo_url: String,
    /// The directory, relative to the root, without `.`, `..` and doubled slashes; `.` is the root. Empty only for a source
    /// that is not read yet.
    pub path: String,
    /// A branch, tag, commit, `HEAD` or full ref name.
    pub target_revision: String,
    /// How the directory is read.
    pub directory: Directory,
}

/// How a directory is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Directories below are read too.
    pub recurse: bool,
    /// A glob of files to read; empty is all.
    pub include: String,
    /// A glob of files to leave out; wins over `include`.
    pub exclude: String,
}

/// A cluster and a namespace. Exactly one of server and name is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The URL of the API server, without a slash at its end.
    pub server: String,
    /// The name of the cluster.
    pub name: String,
    /// The namespace of objects that name none; may be empty.
    pub namespace: String,
}

/// Sync without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Automated {
    /// Objects that Git no longer has are deleted.
    pub prune: bool,
    /// Changes made by hand are undone.
    pub self_heal: bool,
    /// A sync may leave no objects at all.
    pub allow_empty: bool,
}

/// What is wrong with a specification; there is at least one error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SpecErrors(pub Vec<SpecError>);

/// One thing that is wrong with a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The field.
    pub field: &'static str,
    /// What is wrong, as Argo CD says it, and what to do.
    pub message: String,
}

// === impl App ===

impl App {
    /// Checks a specification. Of the metadata counts what the annotations say of deadlines and a pause.
    pub fn new(spec: &ApplicationSpec, meta: &Meta) -> Result<Self, SpecErrors> {
        let mut errors = Vec::new();
        let source = source(spec, &mut errors);
        let destination = destination(&spec.destination, &mut errors);
        if !errors.is_empty() {
            return Err(SpecErrors(errors));
        }
        let policy = spec.sync_policy.clone().unwrap_or_default();
        let mut unsupported = application_unsupported(spec);
        unsupported.extend(Deadlines::warnings(meta).chain(Pause::warning(meta)));
        let ignore: Vec<IgnoreRule> = spec.ignore_differences.iter().map(IgnoreRule::new).collect();
        for rule in &ignore {
            rule.warn(&mut unsupported);
        }
        let retry = policy.retry.as_ref().map(|retry| {
            unsupported.extend(retry.warnings("spec.syncPolicy.retry"));
            retry.read()
        });
        let automated =
            policy.automated.filter(|automated| automated.enabled.unwrap_or(true)).map(|automated| Automated {
                prune: automated.prune.unwrap_or_default(),
                self_heal: automated.self_heal.unwrap_or_default(),
                allow_empty: automated.allow_empty.unwrap_or_default(),
            });
        let history_limit =
            spec.revision_history_limit.map_or(HISTORY_DEFAULT, |limit| usize::try_from(limit).unwrap_or(0));
        Ok(Self {
            project: if spec.project.is_empty() { DEFAULT_PROJECT.to_owned() } else { spec.project.clone() },
            source,
            destination,
            automated,
            options: SyncOptions::read(&policy.sync_options),
            namespace_metadata: policy
                .managed_namespace_metadata
                .clone()
                .filter(|metadata| *metadata != NamespaceMetadata::default()),
            retry,
            ignore,
            history_limit: history_limit.min(HISTORY_MAX),
            unsupported,
            compared_to: ComparedTo {
                source: if spec.sources.is_empty() { spec.source.clone() } else { None },
                destination: spec.destination.clone(),
                sources: spec.sources.clone(),
                ignore_differences: spec.ignore_differences.clone(),
            },
        })
    }

    /// The same application with another source, as a rollback may ask for, or why that cannot be honoured.
    pub fn from_source(&self, from: &ApplicationSource) -> Result<Self, String> {
        let spec = ApplicationSpec { source: Some(from.clone()), ..ApplicationSpec::default() };
        let mut errors = Vec::new();
        let source = source(&spec, &mut errors);
        let wrong = errors.into_iter().map(|error| error.message);
        let refused = application_unsupported(&spec).into_iter().filter(|unsupported| unsupported.stops);
        let why: Vec<String> = wrong.chain(refused.map(|it| format!("{}: {}", it.field, it.message))).collect();
        if !why.is_empty() {
            return Err(why.join("; "));
        }
        let compared_to = ComparedTo { source: spec.source, ..self.compared_to.clone() };
        Ok(Self { source, compared_to, ..self.clone() })
    }

    /// What never counts at an object.
    pub fn ignored(&self, key: &ObjectKey) -> Ignored<'_> {
        Ignored::at(key, &self.ignore)
    }
}

/// The source, as far as it is read.
fn source(spec: &ApplicationSpec, errors: &mut Vec<SpecError>) -> Source {
    if let Some(hydrator) = &spec.source_hydrator {
        return Source::unread(&hydrator.dry_source.repo_url);
    }
    if !spec.sources.is_empty() {
        return sources(&spec.sources, errors);
    }
    let empty = ApplicationSource::default();
    let source = spec.source.as_ref().unwrap_or(&empty);
    if source.repo_url.trim().is_empty() || (source.path.is_empty() && source.chart.is_empty()) {
        let field = if source.repo_url.trim().is_empty() { "spec.source.repoURL" } else { "spec.source.path" };
        let message =
            format!("spec.source.repoURL and either spec.source.path or spec.source.chart are required: set {field}");
        errors.push(SpecError { field, message });
        return Source::unread("");
    }
    if !source.chart.is_empty() {
        if source.target_revision.is_empty() {
            errors.push(SpecError {
                field: "spec.source.targetRevision",
                message: "spec.source.targetRevision is required if the manifest source is a helm chart: set it to the chart's version".to_owned(),
            });
        }
        return Source::unread(&source.repo_url);
    }
    several_tools(source, errors);
    let path = match clean(&source.path) {
        Ok(path) => path,
        Err(why) => {
            let message = format!(
                "{}: {why}: name a directory of the repository, relative to its root",
                source.path.escape_debug()
            );
            errors.push(SpecError { field: "spec.source.path", message });
            String::new()
        }
    };
    let revision = source.target_revision.trim();
    let directory = source.directory.as_ref();
    Source {
        repo_url: source.repo_url.trim().to_owned(),
        path,
        target_revision: if revision.is_empty() { DEFAULT_REVISION } else { revision }.to_owned(),
        directory: directory.map_or_else(Directory::default, |directory| Directory {
            recurse: directory.recurse,
            include: directory.include.clone(),
            exclude: directory.exclude.clone(),
        }),
    }
}

/// Several sources are not read; that they are complete is checked all the same.
fn sources(sources: &[ApplicationSource], errors: &mut Vec<SpecError>) -> Source {
    for (at, source) in sources.iter().enumerate() {
        if source.repo_url.is_empty()
            || (source.path.is_empty() && source.chart.is_empty() && source.reference.is_empty())
        {
            let message = format!(
                "spec.source.repoURL and either source.path, source.chart, or source.ref are required for source {}",
                at + 1
            );
            errors.push(SpecError { field: "spec.sources", message });
        }
    }
    Source::unread(sources.first().map_or("", |source| &source.repo_url))
}

fn several_tools(source: &ApplicationSource, errors: &mut Vec<SpecError>) {
    let tools = [
        ("Kustomize", source.kustomize.is_some()),
        ("Helm", source.helm.is_some()),
        ("Directory", source.directory.is_some()),
        ("Plugin", source.plugin.is_some()),
    ];
    let named: Vec<&str> = tools.into_iter().filter(|(_, named)| *named).map(|(tool, _)| tool).collect();
    if named.len() > 1 {
        let message = format!("multiple application sources defined: {}: keep one of them", named.join(","));
        errors.push(SpecError { field: "spec.source", message });
    }
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> Result<String, &'static str> {
    if path.starts_with('/') {
        return Err("app path is absolute");
    }
    if path.contains('\0') {
        return Err("app path holds a NUL byte");
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or("app path outside root")?),
            part => parts.push(part),
        }
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

fn destination(destination: &ApplicationDestination, errors: &mut Vec<SpecError>) -> Destination {
    let ApplicationDestination { server, name, namespace } = destination;
    let message = match (server.is_empty(), name.is_empty()) {
        (false, false) => Some(format!(
            "application destination can't have both name and server defined: {name} {}: remove one of them",
            Redacted(server)
        )),
        (true, true) => Some(
            "Destination server missing from app spec: set spec.destination.server or spec.destination.name".to_owned(),
        ),
        _ => None,
    };
    errors.extend(message.map(|message| SpecError { field: "spec.destination", message }));
    Destination { server: server.trim_end_matches('/').to_owned(), name: name.clone(), namespace: namespace.clone() }
}

// === impl Source ===

impl Source {
    /// A source that is not read yet: its URL is all that a project judges.
    fn unread(repo_url: &str) -> Self {
        Self {
            repo_url: repo_url.trim().to_owned(),
            path: String::new(),
            target_revision: DEFAULT_REVISION.to_owned(),
            directory: Directory::default(),
        }
    }
}

/// A URL may carry credentials: they are not printed.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("repo_url", &Redacted(&self.repo_url))
            .field("path", &self.path)
            .field("target_revision", &self.target_revision)
            .field("directory", &self.directory)
            .finish()
    }
}

// === impl SpecErrors ===

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { "; " };
            write!(f, "{before}{}", error.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::annotations::{PAUSE_UNTIL, SYNC_DEADLINE};

    fn spec(json: &str) -> ApplicationSpec {
        serde_json::from_str(json).unwrap()
    }

    fn app(json: &str) -> Result<App, SpecErrors> {
        App::new(&spec(json), &Meta::default())
    }

    fn with_source(source: &str) -> Result<App, SpecErrors> {
        app(&format!(r#"{{"source": {source}, "destination": {{"name": "in-cluster"}}}}"#))
    }

    #[test]
    fn another_source_keeps_everything_else() {
        let now = app(r#"{"project": "p", "source": {"repoURL": "https://git/x", "path": "a"}, "destination": {"name": "in-cluster", "namespace": "n"}, "syncPolicy": {"syncOptions": ["Prune=false"]}}"#).unwrap();
        let from = |json: &str| now.from_source(&serde_json::from_str(json).unwrap());
        let then = from(
            r#"{"repoURL": "https://git/y", "path": "b", "targetRevision": "v1", "directory": {"recurse": true}}"#,
        )
        .unwrap();
        assert_eq!((then.source.path.as_str(), then.source.target_revision.as_str()), ("b", "v1"));
        assert!(then.source.directory.recurse);
        assert_eq!(then.compared_to.source.unwrap().repo_url, "https://git/y");
        assert_eq!((then.project.as_str(), then.options.prune), ("p", now.options.prune));
        for (wrong, words) in [
            (r#"{"path": "b"}"#, "repoURL"),
            (r#"{"repoURL": "https://git/y", "path": "../b"}"#, "path"),
            (r#"{"repoURL": "https://git/y", "chart": "c", "targetRevision": "1"}"#, "chart"),
        ] {
            let why = from(wrong).unwrap_err();
            assert!(why.contains(words), "{wrong}: {why}");
        }
    }

    #[test]
    fn the_plain_one_gets_its_defaults() {
        let app = app(
            r#"{"source": {"repoURL": " https://git/x ", "path": "./apps//shop/"}, "destination": {"server": "https://kubernetes.default.svc/", "namespace": "shop"}}"#,
        )
        .unwrap();
        assert_eq!(app.project, "default");
        assert_eq!(
            (app.source.repo_url.as_str(), app.source.path.as_str(), app.source.target_revision.as_str()),
            ("https://git/x", "apps/shop", "HEAD")
        );
        assert_eq!(
            (app.destination.server.as_str(), app.destination.name.as_str()),
            ("https://kubernetes.default.svc", "")
        );
        assert_eq!((app.automated, app.retry, app.history_limit), (None, None, 10));
        assert_eq!(app.options, SyncOptions::default());
        assert_eq!(app.unsupported, []);
        // The status shows the source as it was written.
        assert_eq!(app.compared_to.source.unwrap().path, "./apps//shop/");
    }

    #[test]
    fn says_what_is_wrong_as_argo_cd_does() {
        let source = r#"{"repoURL": "https://git/x", "path": "p"}"#;
        let destination = r#"{"name": "in-cluster"}"#;
        for (source, destination, message) in [
            (
                r#"{"path": "p"}"#,
                destination,
                "spec.source.repoURL and either spec.source.path or spec.source.chart are required",
            ),
            (
                r#"{"repoURL": "https://git/x"}"#,
                destination,
                "spec.source.repoURL and either spec.source.path or spec.source.chart are required",
            ),
            ("null", destination, "spec.source.repoURL and either spec.source.path or spec.source.chart are required"),
            (r#"{"repoURL": "https://git/x", "path": "/etc"}"#, destination, "/etc: app path is absolute"),
            (r#"{"repoURL": "https://git/x", "path": "../x"}"#, destination, "../x: app path outside root"),
            (r#"{"repoURL": "https://git/x", "path": "a/../../x"}"#, destination, "app path outside root"),
            (r#"{"repoURL": "https://git/x", "path": "a\u0000b"}"#, destination, r"a\0b: app path holds a NUL byte"),
            (
                r#"{"repoURL": "https://git/x", "chart": "c"}"#,
                destination,
                "spec.source.targetRevision is required if the manifest source is a helm chart",
            ),
            (
                r#"{"repoURL": "https://git/x", "path": "p", "helm": {"values": "x"}, "kustomize": {"namePrefix": "x"}}"#,
                destination,
                "multiple application sources defined: Kustomize,Helm",
            ),
            (
                source,
                r#"{"name": "in-cluster", "server": "https://u:secret@k"}"#,
                "application destination can't have both name and server defined: in-cluster https://…@k",
            ),
            (source, r#"{"namespace": "x"}"#, "Destination server missing from app spec"),
        ] {
            let errors = app(&format!(r#"{{"source": {source}, "destination": {destination}}}"#)).unwrap_err();
            assert!(errors.to_string().contains(message), "{errors}");
            assert!(!errors.to_string().contains("secret"));
            assert!(errors.0.iter().all(|error| error.field.starts_with("spec.")));
        }
    }

    #[test]
    fn says_all_that_is_wrong() {
        let errors = app(r#"{"source": {"repoURL": "https://git/x", "path": "/etc"}, "destination": {}}"#).unwrap_err();
        assert_eq!(errors.0.len(), 2);
        assert!(errors.to_string().contains("; "));
    }

    #[test]
    fn a_source_that_is_not_read_yet_is_no_error() {
        for source in [
            r#""source": {"repoURL": "https://git/x", "chart": "c", "targetRevision": "1.0.0"}"#,
            r#""sources": [{"repoURL": "https://git/x", "ref": "values"}]"#,
            r#""sourceHydrator": {"drySource": {"repoURL": "https://git/x"}}"#,
        ] {
            let app = app(&format!(r#"{{{source}, "destination": {{"name": "in-cluster"}}}}"#)).unwrap();
            assert_eq!((app.source.repo_url.as_str(), app.source.path.as_str()), ("https://git/x", ""));
            assert!(app.unsupported.iter().any(|unsupported| unsupported.stops));
        }
        let errors = app(r#"{"sources": [{"repoURL": "https://git/x", "path": "p"}, {"repoURL": "y"}], "destination": {"name": "x"}}"#).unwrap_err();
        assert!(errors.to_string().contains("required for source 2"));
    }

    #[test]
    fn the_root_is_a_path() {
        for path in [".", "./", "a/.."] {
            assert_eq!(with_source(&format!(r#"{{"repoURL": "x", "path": "{path}"}}"#)).unwrap().source.path, ".");
        }
    }

    #[test]
    fn reads_the_policy() {
        let app = |policy: &str| {
            app(&format!(r#"{{"source": {{"repoURL": "x", "path": "p"}}, "destination": {{"name": "n"}}, "syncPolicy": {policy}}}"#)).unwrap()
        };
        assert_eq!(app(r#"{"automated": {}}"#).automated, Some(Automated::default()));
        assert_eq!(app(r#"{"automated": {"enabled": false, "prune": true}}"#).automated, None);
        assert_eq!(
            app(r#"{"automated": {"enabled": true, "prune": true, "selfHeal": true, "allowEmpty": true}}"#).automated,
            Some(Automated { prune: true, self_heal: true, allow_empty: true })
        );
        let retry = app(
            r#"{"retry": {"limit": 3, "backoff": {"duration": "10", "factor": 3, "maxDuration": "1m30s"}, "refresh": true}}"#,
        )
        .retry;
        assert_eq!(
            retry,
            Some(Retry {
                limit: 3,
                duration: Duration::from_secs(10),
                factor: 3,
                max_duration: Duration::from_secs(90),
                refresh: true
            })
        );
        assert_eq!(app(r#"{"retry": {}}"#).retry, Some(Retry { limit: 0, ..Retry::default() }));
        let odd = app(r#"{"retry": {"limit": -1, "backoff": {"duration": "soon", "factor": -5, "maxDuration": "0"}}}"#);
        assert_eq!(odd.retry, Some(Retry { limit: -1, factor: 1, max_duration: Duration::MAX, ..Retry::default() }));
        assert_eq!(odd.unsupported.len(), 1);
        assert!(!odd.unsupported[0].stops);
        assert_eq!(odd.unsupported[0].field, "spec.syncPolicy.retry.backoff.duration");
    }

    #[test]
    fn what_annotations_say_wrongly_is_told() {
        let json = r#"{"source": {"repoURL": "x", "path": "p"}, "destination": {"name": "n"}}"#;
        let annotated = |annotations: &[(&str, &str)]| {
            let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            App::new(&spec(json), &Meta { annotations, ..Meta::default() }).unwrap()
        };
        let app = annotated(&[(SYNC_DEADLINE, "10m"), (PAUSE_UNTIL, "2026-11-24T10:00:00Z")]);
        assert_eq!(app.unsupported, []);
        let app = annotated(&[(SYNC_DEADLINE, "soon"), (PAUSE_UNTIL, "soon")]);
        let fields: Vec<&str> = app.unsupported.iter().map(|unsupported| unsupported.field.as_str()).collect();
        assert_eq!(fields, [SYNC_DEADLINE, PAUSE_UNTIL]);
        assert!(app.unsupported.iter().all(|unsupported| !unsupported.stops));
    }

    #[test]
    fn history_is_bounded() {
        for (limit, kept) in [("0", 0), ("-5", 0), ("3", 3), ("9000000000", HISTORY_MAX)] {
            let app = app(&format!(r#"{{"source": {{"repoURL": "x", "path": "p"}}, "destination": {{"name": "n"}}, "revisionHistoryLimit": {limit}}}"#)).unwrap();
            assert_eq!(app.history_limit, kept);
        }
    }

    #[test]
    fn a_url_with_credentials_is_not_printed() {
        let app = with_source(r#"{"repoURL": "https://u:hunter2@git/x", "path": "p", "helm": {"values": "hunter2"}}"#)
            .unwrap();
        assert!(!format!("{app:?}").contains("hunter2"));
    }
}
