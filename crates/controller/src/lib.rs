//! The controller: applications are looked at when something concerns them, brought into line, and told about.
//!
//! [`run`] is the one entry point. Watches of Applications, projects and the cluster, and the polling of repositories, wake
//! applications in a queue; workers take them from there, each application in one worker at a time, and decide everything
//! from what is desired, live and last synced. Nothing is kept that cannot be made again.

mod applications;
mod applying;
mod clock;
mod conclude;
mod decide;
mod deletion;
mod drift;
mod drift_policy;
mod election;
mod event;
mod extras;
pub mod grants;
mod heal;
mod holders;
mod http;
mod identity;
mod installation;
mod judge;
mod kinds;
mod lease;
mod logins;
mod memory;
mod metrics;
mod namespaces;
mod notices;
mod observe;
mod operation;
mod pace;
mod past;
mod patch;
mod perform;
mod permission;
mod projections;
mod projects;
mod pruning;
mod queue;
mod reconcile;
mod repositories;
mod rival;
mod run;
mod sightings;
mod source;
mod status;
mod sweep;
mod unlisted;
mod watches;
mod world;
mod writer;

pub use installation::read_installation;
pub use lease::{DURATION_MAX, DURATION_MIN};
pub use logins::credentials;
pub use pace::UntouchedRevisions;
pub use rival::LABELS as RIVAL_LABELS;
pub use run::{Config, LeaseConfig, RunError, run};
