//! A cluster as it really behaves: every test asks a real API server.

// Helper functions of tests are tests too, though clippy does not know.
#![allow(clippy::unwrap_used)]

mod bench;
mod custom;
mod faults;
mod kinds;
mod raw;
mod restart;
mod script;
mod verbs;
mod watch;
