//! A control plane with our kinds installed, a git server, and controllers.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use trueup_bed::ControlPlane;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::GitServer;
use trueup_bed::workspace;

use crate::Rest;
use crate::kubectl;

/// Where the Applications of the shared controller lie.
pub const NAMESPACE: &str = "argocd";
/// How often controllers look at Git: often, so that tests need not wait.
const RESYNC: Duration = Duration::from_secs(2);
/// Everybody who asks: the controller, the one whose changes are drift, and the administrator who looks.
const USERS: [&str; 2] = ["trueup", "somebody"];

static SHARED: OnceLock<World> = OnceLock::new();

thread_local! {
    /// The worlds of the test of this thread.
    static OWN: RefCell<Own> = const { RefCell::new(Own(Vec::new())) };
}

/// Worlds that end with their thread. A test has one of its own: dozens of API servers that nobody needs any more would
/// take the processor from those that are needed.
struct Own(Vec<&'static World>);

/// A control plane with our kinds installed, and a git server.
pub struct World {
    /// The control plane.
    pub control_plane: ControlPlane,
    /// The git server.
    pub git: GitServer,
    /// The controller that the tests of this process share, if this is the world that they share.
    controller: Option<Controller>,
}

/// How a controller is started here: Applications in a namespace, refs listed every two seconds, no Lease.
pub fn controller_options(namespace: &str) -> ControllerOptions {
    ControllerOptions { namespace: namespace.to_owned(), resync: Some(RESYNC), ..ControllerOptions::default() }
}

impl World {
    /// The world that the tests of this process share, with a controller for the Applications in [`NAMESPACE`].
    ///
    /// Whoever comes first starts it. Nobody ends it: its processes end with this one, and its directory with them.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| {
            // Tests have a runtime each, which ends with them; what serves all of them needs one that does not.
            let started = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                let runtime: &'static tokio::runtime::Runtime = Box::leak(Box::new(runtime.unwrap()));
                runtime.block_on(Self::start_shared())
            });
            started.join().unwrap()
        })
    }

    async fn start_shared() -> Self {
        let control_plane = ControlPlane::start(&USERS).await.unwrap();
        let mut world = Self::furnish(control_plane).await;
        let mut controller = Controller::start(&world.control_plane, &controller_options(NAMESPACE)).unwrap();
        controller.wait_ready().await.unwrap();
        world.controller = Some(controller);
        world
    }

    /// Has a world stay until the test ends that this is called in, and no longer.
    pub fn kept(self) -> &'static Self {
        let world: &'static Self = Box::leak(Box::new(self));
        OWN.with_borrow_mut(|own| own.0.push(world));
        world
    }

    /// A world of one's own, without a controller.
    pub async fn start() -> Self {
        Self::furnish(ControlPlane::start(&USERS).await.unwrap()).await
    }

    /// A world of one's own with these users, as [`ControlPlane::start`] takes them, and `somebody`.
    pub async fn start_for(users: &[&str]) -> Self {
        let users = [users, &["somebody"]].concat();
        Self::furnish(ControlPlane::start(&users).await.unwrap()).await
    }

    async fn furnish(control_plane: ControlPlane) -> Self {
        // Nobody drops what tests share: its repositories lie where the control plane removes them when we are gone.
        let git = GitServer::start_in(control_plane.dir()).await.unwrap();
        let crds = workspace().join("crds");
        kubectl(&control_plane, &format!("apply --server-side --force-conflicts -f {}", crds.display())).await;
        control_plane.established(&["crd", "--all"]).await.unwrap();
        kubectl(&control_plane, &format!("create namespace {NAMESPACE}")).await;
        Self { control_plane, git, controller: None }
    }

    /// Starts a controller for the Applications of a namespace, and waits until it works.
    pub async fn controller(&self, options: &ControllerOptions) -> Controller {
        let mut controller = Controller::start(&self.control_plane, options).unwrap();
        controller.wait_ready().await.unwrap();
        controller
    }

    /// The shared controller.
    pub fn shared_controller(&self) -> &Controller {
        self.controller.as_ref().expect("this world has no controller of its own")
    }

    /// Asks as one of the users.
    pub async fn rest(&self, user: &str) -> Rest {
        Rest::new(self.control_plane.client(user).await.unwrap())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.0.iter().for_each(|world| world.control_plane.end());
    }
}
