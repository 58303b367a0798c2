//! What the end-to-end tests stand on: one world for all of them, a scene in it for each, and the words to ask with.
//!
//! A [`World`] is a control plane with our kinds installed, a git server, and a place to start controllers. The tests of
//! one process share one ([`World::shared`]); what kills or counts has its own ([`World::start`]). Within a world each
//! test has a [`Scene`]: its own application, namespace and repository. Waiting is always for a condition, never for a time.

// What fails here fails the test that uses it, with the reason.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod manifests;

mod app;
mod kubectl;
mod random;
mod rest;
mod scene;
mod world;

pub use app::App;
pub use app::SLOW;
pub use kubectl::kubectl;
pub use kubectl::kubectl_with_input;
pub use random::Random;
pub use rest::Rest;
pub use rest::objects;
pub use scene::Scene;
pub use world::NAMESPACE;
pub use world::World;
pub use world::controller_options;
