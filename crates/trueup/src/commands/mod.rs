//! The commands, one file each: its arguments, its help, and `run`.

pub(crate) mod app;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod controller;
pub(crate) mod crds;
pub(crate) mod drift;
pub(crate) mod health;
pub(crate) mod proj;
pub(crate) mod render;
pub(crate) mod repo;
pub(crate) mod version;
