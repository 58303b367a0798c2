//! A comparison and a policy become an ordered sync plan.
//!
//! Takes values and returns values. Entry points: [`steps`] orders what is applied and pruned, [`retry_wait`] and
//! [`heal_wait`] say when to try again.

pub mod backoff;
pub mod order;

pub use backoff::{Retry, heal_wait, retry_wait};
pub use order::{Item, Step, kind_rank, steps};
