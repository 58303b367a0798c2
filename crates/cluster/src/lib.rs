//! One Kubernetes cluster: clients, discovery, the watch index, the apply and delete verbs.
//!
//! Everything that Trueup asks of a cluster goes through a [`Cluster`]. It keeps what the watches tell ([`Live`]
//! objects by application, told of by [`Change`]), and has one file per verb. It decides nothing: what differs and what
//! is to be removed is decided elsewhere, by values.

mod apply;
mod backoff;
mod change;
mod cluster;
mod concurrency;
mod connect;
mod counters;
mod create;
mod definitions;
mod delete;
mod discovery;
mod error;
mod event;
mod feed;
mod gate;
mod head;
mod index;
mod kind;
mod lease;
mod link;
mod live;
mod managed_fields;
mod merge;
mod metadata;
mod openapi;
mod page;
mod proxy;
mod raw;
mod reach;
mod replace;
mod request;
mod review;
mod survey;
mod tracking;
mod watch;

pub use apply::Apply;
pub use change::Change;
pub use cluster::{Cluster, Version};
pub use connect::Config;
pub use counters::{Answered, Counters, Verb};
pub use delete::Propagation;
pub use discovery::Kinds;
pub use error::{Absent, ClusterError};
pub use event::NewEvent;
pub use gate::Writes;
pub use index::WatchState;
pub use kind::{Kind, KindError};
pub use live::Live;
pub use merge::Merge;
pub use raw::{Claimed, Raw, RawEvent};
pub use review::{Action, ServiceAccount};
pub use survey::Standing;
pub use tracking::{INSTALLATION_ID, TRACKING_ID};
