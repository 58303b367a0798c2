//! What somebody installs: `deploy/` on a real API server, the binary as its Pod would run it, the image and its parts.

// Helper functions of tests are tests too, though clippy does not know.
#![allow(clippy::unwrap_used)]

mod cluster_wide;
mod compose;
mod container;
mod image;
mod kustomize;
mod namespaced;
mod overlays;
mod permissions;
mod pod;
mod webhooks;
