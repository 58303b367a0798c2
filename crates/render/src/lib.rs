//! Files at a revision become manifests, through a content-addressed cache.
//!
//! [`Renderer::render`] reads a directory of a [`trueup_git::Store`], or finds what it rendered before in its cache;
//! [`render_directory`] reads a directory on disk. Both give a [`Rendered`]: what the files say, for whatever application.
//! [`targets`] makes of it what one application sends: placed, tracked, and freed of what nobody may send.

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
mod options;
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
pub use options::DirectoryOptions;
pub use read::of_texts;
pub use rendered::Rendered;
pub use renderer::{Again, Counters, Renderer, render_directory};
pub use request::{Answer, Capabilities, Decrypt, Fetched, Request, Settings, Tool, Trees};
pub use target::{Placement, Target, Targets, targets};
pub use tree::{ArchiveTree, CommitTree, DiskTree, Entry, EntryKind, Stat, Tree};
pub use workers::Need;
