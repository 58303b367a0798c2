//! The manifest tree: compact, ordered, hashable values, and the words around them.
//!
//! Everything here takes values and returns values. Entry points: [`yaml::documents`] and [`Node::from_json`] read,
//! [`Manifest::try_from`] checks what a Kubernetes object must have, [`FieldSet`] tells which leaves an owner holds.

pub mod digest;
pub mod field_set;
pub mod id;
pub mod manifest;
pub mod node;
pub mod path;
pub mod quantity;
pub mod yaml;

pub use digest::Digest;
pub use field_set::FieldSet;
pub use id::{GroupKind, Gvk, ObjectKey};
pub use manifest::{Manifest, ManifestError};
pub use node::{Map, Node, Number};
pub use path::{Path, Step};
