//! An Application's specification after the checks: validated, defaulted, and with a list of what is not honoured.
//!
//! Invariant: a value of [`App`] has exactly one of server and name, and a source (or none, if they are hydrated, which we do
//! not do yet: then something in [`App::unsupported`] stops it). Entry point: [`App::new`].

use std::fmt;

use trueup_object::ObjectKey;

use crate::app_source::{Source, sources_of};
use crate::application::Meta;
use crate::deadlines::Deadlines;
use crate::ignore_rule::{IgnoreRule, Ignored};
use crate::options::SyncOptions;
use crate::pause::Pause;
use crate::retry::Retry;
use crate::revision::Revision;
use crate::source::{ApplicationSource, Redacted};
use crate::spec::{ApplicationDestination, ApplicationSpec, NamespaceMetadata};
use crate::status::ComparedTo;
use crate::unsupported::{Unsupported, application_unsupported};

/// The project of an Application that names none.
pub const DEFAULT_PROJECT: &str = "default";
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
    /// Where the manifests come from, in the order in which they are written; none if they are hydrated.
    pub sources: Vec<Source>,
    /// Whether `spec.sources` names them, were it only one.
    pub several: bool,
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
        let sources = sources_of(spec, &mut errors);
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
            sources,
            several: !spec.sources.is_empty(),
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

    /// The same application with other sources, as a rollback may ask for, or why that cannot be honoured.
    pub fn from_sources(
        &self,
        single: Option<&ApplicationSource>,
        several: &[ApplicationSource],
    ) -> Result<Self, String> {
        let spec = ApplicationSpec { source: single.cloned(), sources: several.to_vec(), ..ApplicationSpec::default() };
        let mut errors = Vec::new();
        let sources = sources_of(&spec, &mut errors);
        let wrong = errors.into_iter().map(|error| error.message);
        let refused = application_unsupported(&spec).into_iter().filter(|unsupported| unsupported.stops);
        let why: Vec<String> = wrong.chain(refused.map(|it| format!("{}: {}", it.field, it.message))).collect();
        if !why.is_empty() {
            return Err(why.join("; "));
        }
        let source = if spec.sources.is_empty() { spec.source } else { None };
        let compared_to = ComparedTo { source, sources: spec.sources, ..self.compared_to.clone() };
        Ok(Self { sources, several: !several.is_empty(), compared_to, ..self.clone() })
    }

    /// The revision that consists of these parts, one for each source.
    pub fn revision(&self, parts: Vec<String>) -> Revision {
        match <[String; 1]>::try_from(parts) {
            Ok([part]) if !self.several => Revision::one(part),
            Ok(one) => Revision::several(one.to_vec()),
            Err(parts) => Revision::several(parts),
        }
    }

    /// The revisions that the sources follow, as they are written.
    pub fn target(&self) -> Revision {
        self.revision(self.sources.iter().map(|source| source.target_revision.clone()).collect())
    }

    /// What never counts at an object.
    pub fn ignored(&self, key: &ObjectKey) -> Ignored<'_> {
        Ignored::at(key, &self.ignore)
    }
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
    use crate::app_source::SourceKind;

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
        let from = |json: &str| now.from_sources(Some(&serde_json::from_str(json).unwrap()), &[]);
        let then = from(
            r#"{"repoURL": "https://git/y", "path": "b", "targetRevision": "v1", "directory": {"recurse": true}}"#,
        )
        .unwrap();
        let source = &then.sources[0];
        assert_eq!((source.path.as_str(), source.target_revision.as_str()), ("b", "v1"));
        assert!(source.written.directory.as_ref().unwrap().recurse);
        assert_eq!(then.compared_to.source.unwrap().repo_url, "https://git/y");
        assert_eq!((then.project.as_str(), then.options.prune), ("p", now.options.prune));
        let several =
            [r#"{"repoURL": "https://git/y", "path": "b"}"#, r#"{"repoURL": "https://git/z", "ref": "values"}"#];
        let then = now.from_sources(None, &several.map(|json| serde_json::from_str(json).unwrap())).unwrap();
        assert_eq!((then.several, then.sources.len(), then.sources[1].is_rendered()), (true, 2, false));
        assert_eq!((then.compared_to.source, then.compared_to.sources.len()), (None, 2));
        for (wrong, words) in [
            (r#"{"path": "b"}"#, "repoURL"),
            (r#"{"repoURL": "https://git/y", "path": "../b"}"#, "path"),
            (r#"{"repoURL": "https://git/y", "chart": "c"}"#, "chart"),
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
        let source = &app.sources[0];
        assert_eq!(
            (source.repo_url.as_str(), source.path.as_str(), source.target_revision.as_str()),
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
        let app =
            app(r#"{"sourceHydrator": {"drySource": {"repoURL": "https://git/x"}}, "destination": {"name": "n"}}"#)
                .unwrap();
        assert_eq!(app.sources, []);
        assert!(app.unsupported.iter().any(|unsupported| unsupported.stops));
    }

    #[test]
    fn several_sources_are_read_in_their_order() {
        let several = |sources: &str| {
            app(&format!(
                r#"{{"source": {{"repoURL": "no"}}, "sources": [{sources}], "destination": {{"name": "x"}}}}"#
            ))
        };
        let app = several(r#"{"repoURL": "https://git/x", "path": "p", "targetRevision": "v1"}, {"repoURL": "https://git/y", "ref": "values"}, {"repoURL": "https://charts", "chart": "c", "targetRevision": "1.x"}"#).unwrap();
        let read: Vec<_> =
            app.sources.iter().map(|source| (source.kind, source.path.as_str(), source.is_rendered())).collect();
        assert_eq!(read, [(SourceKind::Git, "p", true), (SourceKind::Git, "", false), (SourceKind::Chart, ".", true)]);
        assert_eq!(app.target(), Revision::several(vec!["v1".into(), "HEAD".into(), "1.x".into()]));
        assert_eq!((app.compared_to.source.clone(), app.compared_to.sources.len()), (None, 3));
        let one = several(r#"{"repoURL": "https://git/x", "path": "p"}"#).unwrap();
        assert_eq!(one.revision(vec!["a".into()]), Revision::several(vec!["a".into()]));
        for (sources, words) in [
            (r#"{"repoURL": "https://git/x", "path": "p"}, {"repoURL": "y"}"#, "required for source 2"),
            (r#"{"repoURL": "https://git/x", "chart": "c", "targetRevision": "1", "ref": "r"}"#, "both chart and ref"),
            (
                r#"{"repoURL": "https://git/x", "ref": "r"}, {"repoURL": "https://git/y", "ref": "r"}"#,
                "two sources have the ref 'r'",
            ),
            (r#"{"repoURL": "https://git/x", "path": "../p"}"#, "outside root"),
        ] {
            let errors = several(sources).unwrap_err().to_string();
            assert!(errors.contains(words), "{errors}");
        }
    }

    #[test]
    fn the_root_is_a_path() {
        for path in [".", "./", "a/.."] {
            assert_eq!(with_source(&format!(r#"{{"repoURL": "x", "path": "{path}"}}"#)).unwrap().sources[0].path, ".");
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
