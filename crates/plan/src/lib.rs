//! A comparison and a policy become an ordered sync plan. Pure: the clock is passed in.
//!
//! Keeps nothing. Entry points: [`decide`] says what is due, [`steps`] puts the objects of a sync in order, [`retry_wait`] and
//! [`heal_wait`] say when something is tried again.

mod backoff;
mod cron;
mod decision;
pub mod dependencies;
mod order;
pub mod progress;
pub mod schedule;
mod steps;
pub mod task;

pub use backoff::{heal_quiet, heal_wait, heals_before, retry_wait};
pub use decision::{
    Attempt, Automation, Block, Decision, Drift, End, HealDue, Idle, Last, Pause, Phase, Refusal, Request, Situation,
    Subject, WAIT_MIN, decide, heal_due,
};
pub use order::kind_rank;
pub use steps::{Item, Step, steps};
