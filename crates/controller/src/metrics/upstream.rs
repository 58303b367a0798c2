//! Metrics under Argo CD's names, where they mean the same, so that its dashboards and alerts go on working.
//!
//! What can be read from the Applications and from other rooms is read when somebody asks; what happens is counted here.
//! Invariant: no series of an application outlives it. Entry points: [`Upstream::synced`], [`Upstream::compared`],
//! [`Upstream::register`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use trueup_api::{App, Application, DEFAULT_PROJECT, OperationState};
use trueup_cluster::Verb;
use trueup_git::RepoUrl;

use super::{Labels, whole};
use crate::world::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER, World, lock};

/// The upper ends of the buckets of `argocd_app_reconcile`, in seconds, as upstream.
const RECONCILE_BUCKETS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// The queue that upstream's `workqueue_depth` calls so.
const QUEUE: &str = "app_reconciliation_queue";

/// How `argocd_app_reconcile` calls every destination but our own cluster.
const OTHER_SERVER: &str = "other";

type Counters<N = u64, A = std::sync::atomic::AtomicU64> = Family<Labels, Counter<N, A>>;
type Gauges = Family<Labels, Gauge>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// What is counted as it happens.
pub(crate) struct Upstream {
    syncs: Mutex<HashMap<String, Syncs>>,
    reconciles: Histograms,
    /// The version of the API server.
    pub(crate) version: OnceLock<String>,
}

/// The ended syncs of one application, with its labels as they were at the last one.
struct Syncs {
    labels: Labels,
    phases: BTreeMap<&'static str, u64>,
    seconds: f64,
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn new() -> Self {
        Self {
            syncs: Mutex::default(),
            reconciles: Family::new_with_constructor(|| Histogram::new(RECONCILE_BUCKETS)),
            version: OnceLock::new(),
        }
    }

    /// Counts the end of an operation.
    pub(crate) fn synced(&self, app: &str, application: &Application, state: &OperationState) {
        let took = state.finished_at.as_deref().and_then(|end| seconds(&state.started_at, end)).unwrap_or_default();
        let mut labels = names(application);
        labels.push(("dest_server", server(application)));
        let mut syncs = lock(&self.syncs);
        let syncs = syncs.entry(app.to_owned()).or_insert_with(|| Syncs {
            labels: Vec::new(),
            phases: BTreeMap::new(),
            seconds: 0.0,
        });
        syncs.labels = labels;
        *syncs.phases.entry(phase(state)).or_default() += 1;
        syncs.seconds += took;
    }

    /// Counts a comparison of an application, and how long it took.
    pub(crate) fn compared(&self, application: &Application, took: Duration) {
        // It counts on after its applications, so what users write as their server must not make series.
        let server = if server(application) == IN_CLUSTER_SERVER { IN_CLUSTER_SERVER } else { OTHER_SERVER };
        let labels = vec![("namespace", application.meta.namespace.clone()), ("dest_server", server.to_owned())];
        self.reconciles.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Forgets an application that is no more.
    pub(crate) fn forget(&self, app: &str) {
        lock(&self.syncs).remove(app);
    }

    /// Puts all of it into a registry, as it is now.
    pub(crate) fn register(&self, registry: &mut Registry, world: &World) {
        applications(registry, world);
        self.syncs(registry);
        let help = "How long comparisons of applications took, in seconds";
        registry.register("argocd_app_reconcile", help, self.reconciles.clone());
        requests(registry, world);
        repositories(registry, world);
        self.cluster(registry, world);
        let depth = Gauges::default();
        depth.get_or_create(&vec![("name", QUEUE.to_owned())]).set(whole(world.queue.depth()));
        registry.register("workqueue_depth", "Applications that wait to be looked at", depth);
    }

    fn syncs(&self, registry: &mut Registry) {
        let (counts, durations) = (Counters::<u64>::default(), Counters::<f64>::default());
        for syncs in lock(&self.syncs).values() {
            for (phase, count) in &syncs.phases {
                let more = [("phase", (*phase).to_owned()), ("dry_run", false.to_string())];
                counts.get_or_create(&with(&syncs.labels, more)).inc_by(*count);
            }
            durations.get_or_create(&syncs.labels).inc_by(syncs.seconds);
        }
        registry.register("argocd_app_sync", "Sync operations that ended", counts);
        registry.register("argocd_app_sync_duration_seconds", "The time that sync operations took", durations);
    }

    fn cluster(&self, registry: &mut Registry, world: &World) {
        let counters = world.cluster.counters();
        let server = ("server", IN_CLUSTER_SERVER.to_owned());
        let version = ("k8s_version", self.version.get().cloned().unwrap_or_default());
        let mut gauge = |name: &str, help: &str, labels: Labels, value: i64| {
            let gauge = Gauges::default();
            gauge.get_or_create(&labels).set(value);
            registry.register(name, help, gauge);
        };
        let named = vec![server.clone(), version.clone(), ("name", IN_CLUSTER_NAME.to_owned())];
        gauge("argocd_cluster_info", "The clusters that are managed", named, 1);
        let reachable = i64::from(world.cluster.reachable());
        let help = "Whether the API server can be reached";
        gauge("argocd_cluster_connection_status", help, vec![server.clone(), version], reachable);
        let objects = whole(counters.objects + counters.foreign);
        let help = "Objects of the watched kinds";
        gauge("argocd_cluster_api_resource_objects", help, vec![server.clone()], objects);
        gauge("argocd_cluster_api_resources", "Watched kinds", vec![server], whole(counters.watches));
    }
}

/// What the Applications say.
fn applications(registry: &mut Registry, world: &World) {
    let (info, conditions) = (Gauges::default(), Gauges::default());
    for application in world.applications.all() {
        info.get_or_create(&with(&names(&application), facts(&application))).set(1);
        for condition in &application.status.conditions {
            let labels = with(&names(&application), [("condition", condition.kind.clone())]);
            conditions.get_or_create(&labels).inc();
        }
    }
    registry.register("argocd_app_info", "Applications, and how they are", info);
    registry.register("argocd_app_condition", "Conditions of applications", conditions);
}

fn facts(application: &Application) -> [(&'static str, String); 7] {
    let spec = application.spec.as_ref().ok();
    let repo =
        spec.and_then(|spec| spec.sources.first()).map(|source| repository(&source.repo_url)).unwrap_or_default();
    let operation = if application.meta.deletion_timestamp.is_some() {
        "delete"
    } else if application.operation.is_some() {
        "sync"
    } else {
        ""
    };
    [
        ("autosync_enabled", spec.is_some_and(|spec| spec.automated.is_some()).to_string()),
        ("repo", repo),
        ("dest_server", server(application)),
        ("dest_namespace", spec.map(|spec| spec.destination.namespace.clone()).unwrap_or_default()),
        ("sync_status", application.status.sync.status.to_string()),
        ("health_status", application.status.health.status.to_string()),
        ("operation", operation.to_owned()),
    ]
}

/// What was asked of the API server. Requests are shared by applications, so none is named.
fn requests(registry: &mut Registry, world: &World) {
    let requests = Counters::<u64>::default();
    for (answered, count) in world.cluster.counters().answers {
        let labels = vec![
            ("namespace", world.namespace.clone()),
            ("name", String::new()),
            ("project", String::new()),
            ("server", IN_CLUSTER_SERVER.to_owned()),
            ("response_code", answered.code.to_string()),
            ("verb", verb(answered.verb).to_owned()),
            ("resource_kind", answered.plural),
            ("resource_namespace", String::new()),
            ("dry_run", (answered.verb == Verb::DryRun).to_string()),
        ];
        requests.get_or_create(&labels).inc_by(count);
    }
    registry.register("argocd_app_k8s_request", "Requests to the API server", requests);
}

/// What was asked of Git servers.
fn repositories(registry: &mut Registry, world: &World) {
    let requests = Counters::<u64>::default();
    for (url, counters) in world.repositories.counters_by_url() {
        for (kind, count) in [("ls-remote", counters.listings), ("fetch", counters.fetches)] {
            let labels = vec![("repo", url.clone()), ("request_type", kind.to_owned())];
            requests.get_or_create(&labels).inc_by(count);
        }
    }
    registry.register("argocd_git_request", "Requests to Git servers", requests);
}

fn names(application: &Application) -> Labels {
    let project = application.spec.as_ref().map_or(DEFAULT_PROJECT, |spec: &App| spec.project.as_str());
    vec![
        ("namespace", application.meta.namespace.clone()),
        ("name", application.meta.name.clone()),
        ("project", project.to_owned()),
    ]
}

fn with(labels: &Labels, more: impl IntoIterator<Item = (&'static str, String)>) -> Labels {
    labels.iter().cloned().chain(more).collect()
}

/// The address of the destination. Another name than our own cluster's is not resolved: nothing is deployed there.
fn server(application: &Application) -> String {
    match &application.spec {
        Ok(spec) if spec.destination.server.is_empty() && spec.destination.name == IN_CLUSTER_NAME => {
            IN_CLUSTER_SERVER.to_owned()
        }
        Ok(spec) => spec.destination.server.clone(),
        Err(_) => String::new(),
    }
}

/// A repository without its credentials; nothing if it cannot be read, since it may have some.
fn repository(url: &str) -> String {
    RepoUrl::parse(url).map(|url| url.normalised()).unwrap_or_default()
}

fn phase(state: &OperationState) -> &'static str {
    use trueup_api::OperationPhase::{Error, Failed, Running, Succeeded, Terminating};
    match state.phase {
        Succeeded => "Succeeded",
        Failed => "Failed",
        Error => "Error",
        Running => "Running",
        Terminating => "Terminating",
    }
}

/// A verb as upstream's client names it.
fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "Get",
        Verb::List => "List",
        Verb::Watch => "Watch",
        Verb::Apply | Verb::DryRun | Verb::Patch => "Patch",
        Verb::Create | Verb::Claim => "Create",
        Verb::Replace | Verb::Renew => "Update",
        Verb::Delete => "Delete",
        Verb::Discover => "Unknown",
    }
}

fn seconds(start: &str, end: &str) -> Option<f64> {
    let took = end.parse::<Timestamp>().ok()?.duration_since(start.parse().ok()?);
    Duration::try_from(took).ok().map(|took| took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use serde_json::json;
    use trueup_api::OperationPhase;

    use super::*;

    fn application(destination: &serde_json::Value, repo: &str) -> Application {
        let json = json!({"metadata": {"name": "web", "namespace": "argocd"},
            "spec": {"project": "shop", "destination": destination, "syncPolicy": {"automated": {}},
                "source": {"repoURL": repo, "path": "p"}},
            "status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Healthy"}},
            "operation": {"sync": {}}});
        Application::read(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_application_is_told_as_upstream_tells_it() {
        let application =
            application(&json!({"name": "in-cluster", "namespace": "web"}), "https://u:hunter2@git.example/Shop.git/");
        let facts: Vec<String> = facts(&application).iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            facts,
            [
                "autosync_enabled=true",
                "repo=https://git.example/shop",
                "dest_server=https://kubernetes.default.svc",
                "dest_namespace=web",
                "sync_status=OutOfSync",
                "health_status=Healthy",
                "operation=sync"
            ]
        );
        assert_eq!(repository("nonsense with hunter2"), "");
    }

    #[test]
    fn what_users_write_as_their_server_makes_no_series() {
        let upstream = Upstream::new();
        for server in ["https://kubernetes.default.svc", "https://a", "https://b", ""] {
            let application = application(&json!({"server": server}), "https://git.example/a");
            upstream.compared(&application, Duration::from_millis(1));
        }
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("argocd_app_reconcile", "", upstream.reconciles.clone());
        encode(&mut text, &registry).unwrap();
        let counts: Vec<&str> = text.lines().filter(|line| line.starts_with("argocd_app_reconcile_count")).collect();
        assert_eq!(counts.len(), 2, "{text}");
        for line in [r#"dest_server="https://kubernetes.default.svc"} 1"#, r#"dest_server="other"} 3"#] {
            assert!(counts.iter().any(|count| count.ends_with(line)), "{line}\n{text}");
        }
    }

    #[test]
    fn syncs_are_counted_by_phase_and_go_with_their_application() {
        let application = application(&json!({"server": "https://kubernetes.default.svc"}), "https://git.example/a");
        let upstream = Upstream::new();
        let state = OperationState {
            phase: OperationPhase::Succeeded,
            started_at: "2026-11-24T10:00:00Z".into(),
            finished_at: Some("2026-11-24T10:00:03Z".into()),
            ..OperationState::default()
        };
        upstream.synced("web", &application, &state);
        upstream.synced("web", &application, &OperationState { phase: OperationPhase::Failed, ..state.clone() });
        upstream.synced("web", &application, &state);
        let text = |upstream: &Upstream| {
            let (mut registry, mut text) = (Registry::default(), String::new());
            upstream.syncs(&mut registry);
            encode(&mut text, &registry).unwrap();
            text
        };
        let labels = r#"namespace="argocd",name="web",project="shop",dest_server="https://kubernetes.default.svc""#;
        let told = text(&upstream);
        for line in [
            format!(r#"argocd_app_sync_total{{{labels},phase="Succeeded",dry_run="false"}} 2"#),
            format!(r#"argocd_app_sync_total{{{labels},phase="Failed",dry_run="false"}} 1"#),
            format!("argocd_app_sync_duration_seconds_total{{{labels}}} 9.0"),
        ] {
            assert!(told.lines().any(|told| told == line), "{line}\n{told}");
        }
        upstream.forget("web");
        assert!(!text(&upstream).contains("web"));
    }
}
