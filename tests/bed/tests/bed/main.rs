//! Tests of the test bed itself, against real processes.

// Helper functions of tests are tests too, though clippy does not know.
#![allow(clippy::unwrap_used)]

mod control_plane;
mod controller;
mod end;
mod git_faults;
mod git_server;
mod witnesses;
