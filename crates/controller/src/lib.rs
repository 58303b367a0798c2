//! The controller: applications are looked at when something concerns them, brought into line, and told about.
//!
//! [`run`] is the one entry point. Watches of Applications, projects and the cluster, and the polling of repositories, wake
//! applications in a queue; workers take them from there, each application in one worker at a time, and decide everything
//! from what is desired, live and last synced. Nothing is kept that cannot be made again.

mod advance;
mod applications;
mod applying;
mod attempt;
mod children;
mod client_side;
mod clock;
mod conclude;
mod decide;
mod deletion;
mod depends;
mod drift;
mod drift_policy;
mod election;
mod event;
mod extras;
pub mod grants;
mod heal;
mod hindrance;
mod holders;
mod hooks;
mod http;
mod identity;
mod immutable;
mod impersonation;
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
mod orphans;
mod pace;
mod past;
mod patch;
mod pause;
mod perform;
mod permission;
mod project_notices;
mod projections;
mod projects;
mod pruning;
mod queue;
mod reconcile;
mod recreate;
mod replace;
mod repositories;
mod rival;
mod run;
mod sightings;
mod source;
mod status;
mod sweep;
mod tasks;
mod unlisted;
mod waiting;
mod watches;
mod windows;
mod world;
mod writer;

pub use installation::{impersonates, read_installation};
pub use lease::{DURATION_MAX, DURATION_MIN};
pub use logins::credentials;
pub use pace::UntouchedRevisions;
pub use rival::LABELS as RIVAL_LABELS;
pub use run::{Config, LeaseConfig, RunError, run};
