//! Files at a revision become manifests, through a content-addressed cache.
//!
//! [`Renderer::render`] reads a directory of a [`trueup_git::Store`], or finds what it rendered before in its cache;
//! [`render_directory`] reads a directory on disk. Both give a [`Rendered`]: what the files say, for whatever application.
//! [`targets`] makes of it what one application sends: placed, tracked, and freed of what nobody may send.

mod cache;
mod definition;
mod error;
mod files;
mod glob;
mod options;
mod read;
mod rendered;
mod renderer;
mod strip;
mod target;
mod walk;
pub mod workers;

pub use definition::defines;
pub use error::RenderError;
pub use options::DirectoryOptions;
pub use read::of_texts;
pub use rendered::Rendered;
pub use renderer::{Counters, Renderer, render_directory};
pub use target::{Placement, Target, Targets, targets};
