//! The test bed: what end-to-end tests, the demo and the benchmark stand on.
//!
//! A real control plane ([`ControlPlane`]), a real git server ([`GitServer`]), the built controller ([`Controller`]),
//! and two witnesses: the API server's audit log ([`Audit`]) says who asked what, a [`Recorder`] what happened to which
//! object. Nothing here is a mock, and nothing here sleeps for a fixed time: every wait is [`until`] a condition.

mod application;
mod audit;
mod certificates;
mod control_plane;
mod controller;
mod error;
mod fault;
mod fault_proxy;
mod git_server;
mod git_server_tls;
mod http_proxy;
mod leash;
mod metrics;
mod orders;
mod port;
mod process;
mod recorder;
mod repository;
mod request;
mod ssh_server;
mod sshd_directory;
mod tools;
mod wait;

pub use application::ApplicationBuilder;
pub use application::application;
pub use audit::Audit;
pub use audit::Mark;
pub use certificates::Authority;
pub use certificates::Certified;
pub use control_plane::ControlPlane;
pub use control_plane::ControlPlaneOptions;
pub use controller::Controller;
pub use controller::ControllerOptions;
pub use error::Error;
pub use error::Result;
pub use fault::Fault;
pub use fault_proxy::ApiCall;
pub use fault_proxy::ApiFault;
pub use fault_proxy::FaultProxy;
pub use git_server::GitServer;
pub use git_server::GitServerOptions;
pub use http_proxy::HttpProxy;
pub use leash::Leash;
pub use port::free_port;
pub use process::Usage;
pub use recorder::Change;
pub use recorder::Recorder;
pub use recorder::Sighting;
pub use repository::Asked;
pub use repository::Repository;
pub use request::Request;
pub use request::Requests;
pub use ssh_server::SshKey;
pub use ssh_server::SshServer;
pub use ssh_server::SshServerOptions;
pub use tools::CONTROLPLANE_PACKAGES;
pub use tools::controlplane_binary;
pub use tools::controlplane_binary_with;
pub use tools::trueup_binary;
pub use tools::workspace;
pub use wait::Deadline;
pub use wait::until;
pub use wait::until_every;
