//! A comparison and a policy become an ordered sync plan. Pure: the clock is passed in.
//!
//! Keeps nothing. Entry points: [`steps`] puts objects in order, [`auto_sync`] decides whether automation acts, [`retry_wait`]
//! and [`heal_wait`] say when it acts again.

mod backoff;
mod decision;
mod order;
mod steps;
pub mod words;

pub use backoff::{Retry, failure_wait, heal_wait, retry_wait};
pub use decision::{AutoSync, Decision, Last, LastPhase, Reason, SyncState, auto_sync};
pub use order::kind_rank;
pub use steps::{Item, Step, steps};
