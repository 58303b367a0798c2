//! Starting the controller, running it, and ending it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trueup_cluster::{Cluster, ClusterError, KindError};
use trueup_git::{FetchProgram, GitError, Limits, Stores, StoresConfig};
use trueup_object::Gvk;
use trueup_render::Renderer;

use crate::applications::Applications;
use crate::holders::Holders;
use crate::http::{Progress, routes};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::projections::Projections;
use crate::projects::Projects;
use crate::queue::Queue;
use crate::reconcile::reconcile;
use crate::repositories::Repositories;
use crate::rival::Rival;
use crate::watches;
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

/// How the controller is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of the Applications and AppProjects.
    pub namespace: String,
    /// The kubeconfig; by default `KUBECONFIG`, or the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// Where clones and renders are kept. It is a cache: it may vanish at any time.
    pub cache_dir: PathBuf,
    /// The interval at which refs are listed, and failed things are tried again.
    pub resync: Duration,
    /// The program that fetches: our own binary with its hidden subcommand.
    pub fetch_program: FetchProgram,
    /// Our version, for the user agent.
    pub version: &'static str,
}

/// Why the controller does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
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
    /// The cluster's configuration does not work.
    #[error("{0}; name a kubeconfig with --kubeconfig or KUBECONFIG")]
    Cluster(#[from] ClusterError),
    /// Our own definitions are not there.
    #[error(
        "the cluster does not know the kind {0}: install it with `trueup crds | kubectl apply --server-side --force-conflicts -f -`"
    )]
    NotInstalled(Gvk),
    /// A watch of ours ended: a bug of ours.
    #[error("a watch ended by itself ({0}): start again, and report it")]
    Blind(String),
    /// The stop came before the start was over.
    #[error("stopped before it began")]
    Stopped,
}

/// Runs until `shutdown` ends.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
    let listener =
        TcpListener::bind(config.listen).await.map_err(|source| RunError::Listen { address: config.listen, source })?;
    let stores = Stores::new(StoresConfig {
        cache_dir: config.cache_dir.join("git"),
        fetch_program: config.fetch_program.clone(),
        limits: Limits::default(),
    });
    let stores = stores.map_err(|source| RunError::Cache { path: config.cache_dir.clone(), source })?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        shutdown.await;
        let _ = stop.send(true);
    });
    let user_agent = format!("trueup/{}", config.version);
    let cluster =
        Cluster::connect(trueup_cluster::Config { kubeconfig: config.kubeconfig.clone(), context: None, user_agent })
            .await?;
    let queue = Queue::new();
    let world = Arc::new(World {
        namespace: config.namespace.clone(),
        resync: config.resync,
        application_kind: application_kind(),
        cluster,
        repositories: Arc::new(Repositories::new(stores, config.resync, queue.clone())),
        renderer: Arc::new(Renderer::new(Some(config.cache_dir.join("renders")))),
        queue,
        applications: Applications::default(),
        projects: Projects::default(),
        projections: Projections::open(config.cache_dir.join("projections")),
        holders: Holders::default(),
        rival: Rival::default(),
        pace: Pace::new(),
        progress: Progress::default(),
        metrics: Metrics::new(),
        listed: crate::watches::Listed::default(),
        memories: Mutex::default(),
        by_kind: Mutex::default(),
        kind_changes: Mutex::default(),
        looked_at: Mutex::default(),
    });
    let server = axum::serve(listener, routes(Arc::clone(&world))).with_graceful_shutdown(wait_for(stopped.clone()));
    let server = tokio::spawn(async move { server.await });
    let outcome = work(&world, stopped).await;
    server.abort();
    outcome
}

async fn work(world: &Arc<World>, stopped: watch::Receiver<bool>) -> Result<(), RunError> {
    installed(world, stopped.clone()).await?;
    let mut tasks = JoinSet::new();
    watches::start(world, &mut tasks);
    tokio::select! {
        () = watches::first_listings(world) => {}
        () = wait_for(stopped.clone()) => return Ok(()),
    }
    world.progress.started.store(true, Ordering::Release);
    tracing::info!(applications = world.applications.len(), namespace = %world.namespace, "the first listings are complete: work begins");
    tasks.spawn(tidy(Arc::clone(world)));
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
    }
    Ok(())
}

/// Waits until the API server answers, and makes sure that our kinds are there.
async fn installed(world: &Arc<World>, stopped: watch::Receiver<bool>) -> Result<(), RunError> {
    for gvk in [application_kind().gvk, project_kind().gvk] {
        loop {
            match world.cluster.kind(&gvk).await {
                Ok(_) => break,
                Err(KindError::NotServed(_)) => return Err(RunError::NotInstalled(gvk)),
                Err(error) => tracing::warn!(%error, "the API server cannot be asked: trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(CONNECT_PAUSE) => {}
                () = wait_for(stopped.clone()) => return Err(RunError::Stopped),
            }
        }
    }
    match world.cluster.version().await {
        Ok(version) => world.projections.keep_for(&version.git_version),
        Err(error) => tracing::warn!(%error, "the API server does not tell its version"),
    }
    Ok(())
}

/// Lets go of clones that no application names any more.
async fn tidy(world: Arc<World>) {
    loop {
        tokio::time::sleep(TIDY_PAUSE).await;
        let repositories = Arc::clone(&world.repositories);
        // Deleting a clone takes as long as a disk takes.
        let _ = tokio::task::spawn_blocking(move || repositories.keep_wanted()).await;
    }
}

async fn worker(world: Arc<World>, stopped: watch::Receiver<bool>) {
    loop {
        let ticket = tokio::select! {
            ticket = world.queue.next() => ticket,
            () = wait_for(stopped.clone()) => return,
        };
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
