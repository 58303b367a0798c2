//! Files at a revision become manifests, through a content-addressed cache.
//!
//! [`Renderer::render`] makes manifests of a source: of the files of a [`Tree`], with the options of an Application. Charts,
//! overlays and Jsonnet files are made into manifests by [`workers`]; plain ones are read here. What comes out is a [`Rendered`]:
//! what the files say. [`targets`] makes of it what one application sends: placed, tracked, and freed of what nobody may send.

mod answers;
mod cache;
mod definition;
mod engine;
mod environment;
mod error;
mod glob;
mod helm;
mod jsonnet;
mod kustomize;
mod name_glob;
mod overrides;
mod plan;
mod read;
mod reads;
mod rendered;
mod renderer;
mod request;
#[cfg(test)]
mod script;
mod strip;
mod target;
mod tree;
mod value_files;
mod view;
mod walk;
pub mod workers;

pub use definition::defines;
pub use error::RenderError;
pub use read::of_texts;
pub use rendered::Rendered;
pub use renderer::{Again, Counters, Renderer, render_directory};
pub use request::{Answer, Capabilities, Decrypt, Fetched, Request, Settings, Tool, Trees};
pub use target::{Placement, Target, Targets, targets};
pub use tree::{ArchiveTree, CommitTree, DiskTree, Entry, EntryKind, Stat, Tree};
pub use walk::check_directory;
pub use workers::Need;
