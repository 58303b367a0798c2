//! A comparison and a policy become an ordered sync plan. Pure: the clock is passed in.
//!
//! Keeps nothing. Entry points: [`decide`] says what is due, [`schedule::schedule`] puts the tasks of a sync in
//! order, [`progress::next`] says what comes next, [`retry_wait`] and [`heal_wait`] say when something is tried again.

mod backoff;
mod cron;
mod decision;
pub mod dependencies;
mod order;
pub mod progress;
pub mod schedule;
mod situation;
pub mod task;
mod windows;

pub use backoff::{heal_quiet, heal_wait, heals_before, hook_wait, retry_wait};
pub use decision::{Attempt, Decision, End, HealDue, Idle, Pause, Refusal, WAIT_MIN, decide, heal_due};
pub use order::kind_rank;
pub use situation::{Automation, Block, Drift, HeldBack, Last, Phase, Request, Situation, Subject};
pub use windows::{Initiator, Permit, WindowState, Windows};
