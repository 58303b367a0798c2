//! The built controller against a real control plane and real git servers.

// Helper functions of tests are tests too, though clippy does not know.
#![allow(clippy::unwrap_used)]

mod first_sync;
