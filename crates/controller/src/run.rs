//! Starting the controller, running it, and ending it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use trueup_cluster::{Cluster, ClusterError, KindError, Writes};
use trueup_git::{FetchProgram, GitError, Limits, Proxies, Stores, StoresConfig};
use trueup_object::Gvk;
use trueup_registry::{Registry, RegistryConfig, RegistryError};
use trueup_render::Renderer;
use trueup_render::workers::{Program, Workers, WorkersConfig};

use crate::applications::Applications;
use crate::capabilities::Serves;
use crate::charts::Charts;
use crate::depends::Depends;
use crate::election::{self, Election, Leadership, NAME};
use crate::holders::Holders;
use crate::http::{Progress, routes};
use crate::identity::Identity;
use crate::impersonation::Impersonation;
use crate::keyring::Keyring;
use crate::logins::Logins;
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::needs;
use crate::orphans::{self, Orphans};
use crate::pace::{Pace, UntouchedRevisions};
use crate::projections::Projections;
use crate::projects::Projects;
use crate::queue::Queue;
use crate::reconcile::reconcile;
use crate::repositories::Repositories;
use crate::rival::Rival;
use crate::settings::Rendering;
use crate::signatures::Signatures;
use crate::sweep::{self, Sweep};
use crate::unlisted::Unlisted;
use crate::watches;
use crate::webhook::{self, Webhooks};
use crate::world::World;

/// How many applications are looked at at once. A look mostly waits for answers; what goes to the API server at once is
/// limited there.
const WORKERS: usize = 32;
/// How long looks under way may take to end after the wish to stop; what is cut off is done again by the next start.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How often clones that nobody needs are removed: a repository that comes back within this time costs no new clone.
const TIDY_PAUSE: Duration = Duration::from_hours(1);
/// Between two tries to reach an API server that is not there at the start.
const CONNECT_PAUSE: Duration = Duration::from_secs(2);
/// How long an API server that was away may take until it serves the kinds that are defined: some seconds.
const DEFINITIONS_PATIENCE: Duration = Duration::from_secs(30);

/// The interval at which refs are listed, and failed things are tried again, as upstream.
pub const RESYNC_DEFAULT: Duration = Duration::from_mins(2);

/// How the controller is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of the AppProjects, and of the Applications.
    pub namespace: String,
    /// Further namespaces of Applications: names, globs, or regular expressions between slashes.
    pub application_namespaces: Vec<String>,
    /// The kubeconfig; by default `KUBECONFIG`, or the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// Where clones and renders are kept. It is a cache: it may vanish at any time.
    pub cache_dir: PathBuf,
    /// What renders charts, overlays and Jsonnet; without it only plain manifests are rendered.
    pub renderer: Option<Program>,
    /// Where webhooks are taken; without it nowhere.
    pub webhook_listen: Option<SocketAddr>,
    /// The interval at which refs are listed, and failed things are tried again; [`RESYNC_DEFAULT`] if not given, where the settings
    /// in `argocd-cm` may say another for refs.
    pub resync: Option<Duration>,
    /// What becomes of the status of an application that a commit left alone.
    pub untouched_revisions: UntouchedRevisions,
    /// The one namespace that objects go to, where RBAC gives no more; the whole cluster without it.
    pub destination_namespace: Option<String>,
    /// The program that fetches: our own binary with its hidden subcommand.
    pub fetch_program: FetchProgram,
    /// Our version, for the user agent.
    pub version: &'static str,
    /// How one active controller is elected; without it this one is the only one.
    pub lease: Option<LeaseConfig>,
}

/// How one active controller is elected.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// How long a controller that died is waited for: whole seconds, from [`crate::DURATION_MIN`] to [`crate::DURATION_MAX`].
    pub duration: Duration,
    /// The name of the pod or host, which others see as the holder.
    pub name: String,
}

/// Why the controller does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A pattern of namespaces means nothing.
    #[error(
        "'{0}' is neither a glob nor a regular expression without look-around between slashes; correct --application-namespaces"
    )]
    Namespaces(String),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The same, for webhooks.
    #[error("cannot take webhooks at {address}: {source}; choose another address with --webhook-listen")]
    WebhookListen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The cache directory cannot be used.
    #[error("cannot keep repositories under '{path}': {source}; choose another place with --cache-dir")]
    Cache {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: GitError,
    },
    /// The cache directory cannot be used for charts.
    #[error("cannot keep charts under '{path}': {source}; choose another place with --cache-dir")]
    Archives {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: RegistryError,
    },
    /// The cluster's configuration does not work.
    #[error("{0}; name a kubeconfig with --kubeconfig or KUBECONFIG")]
    Cluster(#[from] ClusterError),
    /// Our own definitions are not there.
    #[error(
        "the cluster does not know the kind {0}: install it with `trueup crds | kubectl apply --server-side --force-conflicts -f -`"
    )]
    NotInstalled(Gvk),
    /// Another controller took over.
    #[error(
        "the Lease {namespace}/{NAME} went to '{holder}', which took it over or was written into it: this controller ends, to begin anew as a standby; start it again",
        holder = .holder.escape_debug()
    )]
    LostLease {
        /// Where it lies.
        namespace: String,
        /// Who has it now; empty if nobody.
        holder: String,
    },
    /// A task of ours that never ends did, a watch or the election: a bug of ours.
    #[error("a part of this controller ended by itself ({0}): start again, and report it")]
    Blind(String),
    /// The stop came before the start was over.
    #[error("stopped before it began")]
    Stopped,
}

/// Runs until `shutdown` ends.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
    let namespaces =
        Namespaces::new(&config.namespace, &config.application_namespaces).map_err(RunError::Namespaces)?;
    let listener =
        TcpListener::bind(config.listen).await.map_err(|source| RunError::Listen { address: config.listen, source })?;
    let webhooks = Webhooks::new();
    if let Some(address) = config.webhook_listen {
        webhooks.reserve(address).map_err(|source| RunError::WebhookListen { address, source })?;
    }
    let resync = config.resync.unwrap_or(RESYNC_DEFAULT);
    let stores = Stores::new(StoresConfig {
        cache_dir: config.cache_dir.join("git"),
        fetch_program: config.fetch_program.clone(),
        limits: Limits::default(),
        proxies: Proxies::from_env(),
    });
    let stores = stores.map_err(|source| RunError::Cache { path: config.cache_dir.clone(), source })?;
    let registry = Registry::open(RegistryConfig {
        cache_dir: config.cache_dir.join("archives"),
        proxies: Proxies::from_env(),
        limits: trueup_registry::Limits::default(),
    });
    let registry = registry.map_err(|source| RunError::Archives { path: config.cache_dir.clone(), source })?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        shutdown.await;
        let _ = stop.send(true);
    });
    let user_agent = format!("trueup/{}", config.version);
    let cluster =
        Cluster::connect(trueup_cluster::Config { kubeconfig: config.kubeconfig.clone(), context: None, user_agent })
            .await?;
    if let Some(namespace) = &config.destination_namespace {
        cluster.confine(namespace);
    }
    let (election, leadership) = match &config.lease {
        None => (None, Leadership::sole()),
        Some(lease) => {
            let identity = Identity::take(&lease.name, &config.cache_dir);
            let (election, leadership) = Election::new(cluster.clone(), &config.namespace, identity, lease.duration);
            (Some(election), leadership)
        }
    };
    let queue = Queue::new();
    let logins = Arc::<Logins>::default();
    let workers = config.renderer.clone().map(|program| Workers::new(WorkersConfig::new(program)));
    let world = Arc::new(World {
        namespace: config.namespace.clone(),
        namespaces,
        resync,
        untouched_revisions: config.untouched_revisions,
        application_kind: application_kind(),
        cluster,
        leadership,
        repositories: Arc::new(Repositories::new(stores, Arc::clone(&logins), config.resync, queue.clone())),
        logins,
        keyring: Keyring::default(),
        renderer: Arc::new(Renderer::new(Some(config.cache_dir.join("renders")), workers)),
        charts: Arc::new(Charts::new(Arc::new(registry), resync, queue.clone())),
        settings: Rendering::default(),
        signatures: Signatures::default(),
        serves: Serves::default(),
        needs: needs::Kept::default(),
        queue,
        applications: Applications::default(),
        projects: Projects::default(),
        projections: Projections::open(config.cache_dir.join("projections")),
        holders: Holders::default(),
        depends: Depends::default(),
        sweep: Sweep::default(),
        orphans: Orphans::default(),
        impersonation: Impersonation::default(),
        rival: Rival::default(),
        pace: Pace::new(),
        progress: Progress::default(),
        metrics: Metrics::new(),
        listed: crate::watches::Listed::default(),
        unlisted: Unlisted::default(),
        webhooks,
        memories: Mutex::default(),
        by_kind: Mutex::default(),
        kind_changes: Mutex::default(),
        looked_at: Mutex::default(),
    });
    let server = axum::serve(listener, routes(Arc::clone(&world))).with_graceful_shutdown(wait_for(stopped.clone()));
    let server = tokio::spawn(async move { server.await });
    let outcome = work(&world, election, stopped).await;
    server.abort();
    outcome
}

async fn work(world: &Arc<World>, election: Option<Election>, stopped: watch::Receiver<bool>) -> Result<(), RunError> {
    installed(world, stopped.clone()).await?;
    let Some(election) = election else { return lead(world, stopped).await.map(drop) };
    let (release, released) = watch::channel(false);
    let mut election = tokio::spawn(election.run(released));
    let ended = tokio::select! {
        ended = stand_by_and_lead(world, stopped) => ended?,
        // Without it the gate shuts, and nothing would ever tell.
        ended = &mut election => return Err(without_election(&world.namespace, ended)),
    };
    match ended {
        Ended::Whole => {
            let _ = release.send(true);
            // Ends by the deadline of its one request.
            let _ = election.await;
        }
        // The API server may still have something of ours in hand: who comes next waits for the end of the Lease.
        Ended::CutOff => world.cluster.allow(Writes::Never),
    }
    Ok(())
}

/// What the end of the election means, which nobody wished.
fn without_election(namespace: &str, ended: Result<election::Ended, JoinError>) -> RunError {
    match ended {
        Ok(election::Ended::Lost(holder)) => RunError::LostLease { namespace: namespace.to_owned(), holder },
        ended => RunError::Blind(format!("the election: {ended:?}")),
    }
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Nothing is under way any more.
    Whole,
    CutOff,
}

async fn stand_by_and_lead(world: &Arc<World>, stopped: watch::Receiver<bool>) -> Result<Ended, RunError> {
    // A standby is as ready as it can be: it must not hold up a rollout that waits for it.
    let standby = async {
        world.leadership.known().await;
        if !world.leadership.leads() {
            world.progress.started.store(true, Ordering::Release);
        }
        world.leadership.leading().await;
    };
    tokio::select! {
        () = standby => lead(world, stopped).await,
        () = wait_for(stopped.clone()) => Ok(Ended::Whole),
    }
}

/// Everything is listed from here on, after the Lease is ours: nothing is known that another has changed since.
async fn lead(world: &Arc<World>, stopped: watch::Receiver<bool>) -> Result<Ended, RunError> {
    let mut tasks = JoinSet::new();
    watches::start(world, &mut tasks);
    tokio::select! {
        () = watches::first_listings(world) => {}
        () = wait_for(stopped.clone()) => return Ok(Ended::Whole),
    }
    world.progress.started.store(true, Ordering::Release);
    tracing::info!(applications = world.applications.len(), namespace = %world.namespace, "the first listings are complete: work begins");
    webhook::start(world, &mut tasks).map_err(|(address, source)| RunError::WebhookListen { address, source })?;
    tasks.spawn(tidy(Arc::clone(world)));
    tasks.spawn(sweep::run(Arc::clone(world)));
    tasks.spawn(orphans::run(Arc::clone(world)));
    tasks.spawn(resumed(Arc::clone(world)));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(worker(Arc::clone(world), stopped.clone()));
    }
    tokio::select! {
        () = wait_for(stopped) => {}
        // They never end by themselves: one that did leaves the controller blind.
        Some(ended) = tasks.join_next() => return Err(RunError::Blind(format!("{ended:?}"))),
    }
    tracing::info!("stopping: looks under way come to their end");
    let ended = tokio::time::timeout(STOP_DEADLINE, async { while workers.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!("some looks did not end in time: the next start takes them up");
        return Ok(Ended::CutOff);
    }
    Ok(Ended::Whole)
}

/// Waits until the API server answers, and makes sure that our kinds are there.
async fn installed(world: &Arc<World>, stopped: watch::Receiver<bool>) -> Result<(), RunError> {
    let mut away: Option<Instant> = None;
    for gvk in [application_kind().gvk, project_kind().gvk] {
        loop {
            match world.cluster.kind(&gvk).await {
                Ok(_) => break,
                // One that has just come up serves what is defined a moment later.
                Err(KindError::NotServed(_)) if away.is_some_and(|away| away.elapsed() < DEFINITIONS_PATIENCE) => {}
                Err(KindError::NotServed(_)) => return Err(RunError::NotInstalled(gvk)),
                Err(error) => {
                    away = Some(Instant::now());
                    tracing::warn!(%error, server = world.cluster.server(), "the API server cannot be asked: trying again; --kubeconfig names another");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(CONNECT_PAUSE) => {}
                () = wait_for(stopped.clone()) => return Err(RunError::Stopped),
            }
        }
    }
    match world.cluster.version().await {
        Ok(version) => {
            world.projections.keep_for(&version.git_version);
            // As upstream: the version's two numbers.
            let _ = world.metrics.upstream.version.set(format!("{}.{}", version.major, version.minor));
        }
        Err(error) => tracing::warn!(%error, "the API server does not tell its version"),
    }
    Ok(())
}

/// Looks at everything again after a time in which nothing could be written.
async fn resumed(world: Arc<World>) {
    loop {
        world.leadership.resumed().await;
        watches::wake_all(&world);
    }
}

/// Lets go of clones that no application names any more.
async fn tidy(world: Arc<World>) {
    loop {
        tokio::time::sleep(TIDY_PAUSE).await;
        let (repositories, charts) = (Arc::clone(&world.repositories), Arc::clone(&world.charts));
        // Deleting a clone takes as long as a disk takes.
        let tidy = move || {
            repositories.keep_wanted();
            charts.keep_wanted();
        };
        let _ = tokio::task::spawn_blocking(tidy).await;
    }
}

async fn worker(world: Arc<World>, stopped: watch::Receiver<bool>) {
    loop {
        let ticket = tokio::select! {
            ticket = world.queue.next() => ticket,
            () = wait_for(stopped.clone()) => return,
        };
        tokio::select! {
            () = world.leadership.leading() => {}
            () = wait_for(stopped.clone()) => return,
        }
        // A look that panics is a bug of ours: it costs its own application one look, and nobody else anything.
        let look = tokio::spawn({
            let (world, name) = (Arc::clone(&world), ticket.name().to_owned());
            async move { reconcile(&world, &name).await }
        });
        if let Err(error) = look.await {
            tracing::error!(application = %ticket.name(), %error, "a look at an application broke off");
            world.queue.wake_at(ticket.name(), tokio::time::Instant::now() + world.resync);
        }
    }
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Our Application, as every API server with our definitions serves it.
pub(crate) fn application_kind() -> trueup_cluster::Kind {
    own_kind("Application", "applications")
}

/// Our AppProject.
pub(crate) fn project_kind() -> trueup_cluster::Kind {
    own_kind("AppProject", "appprojects")
}

fn own_kind(kind: &str, plural: &str) -> trueup_cluster::Kind {
    trueup_cluster::Kind {
        gvk: Gvk::from_api_version("argoproj.io/v1alpha1", kind),
        plural: plural.to_owned(),
        namespaced: true,
        scale: false,
        status: false,
        watchable: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_lease_is_told_on_one_line() {
        let error = RunError::LostLease { namespace: "argocd".to_owned(), holder: "x\nERROR forged".to_owned() };
        let said = error.to_string();
        assert!(said.contains(r"went to 'x\nERROR forged'") && !said.contains('\n'), "{said}");
    }

    #[tokio::test]
    async fn an_election_that_ends_ends_the_controller() {
        let lost = Ok(election::Ended::Lost("other".to_owned()));
        let error = without_election("argocd", lost);
        assert!(matches!(&error, RunError::LostLease { holder, .. } if holder == "other"), "{error}");
        let broke_off = tokio::spawn(std::future::pending());
        broke_off.abort();
        for ended in [broke_off.await, Ok(election::Ended::GivenBack)] {
            let error = without_election("argocd", ended);
            assert!(matches!(&error, RunError::Blind(what) if what.contains("the election")), "{error}");
        }
    }
}
