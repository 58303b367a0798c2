//! Desired against live: what differs, field by field, and who did it.
//!
//! Takes values and returns values. Entry points: [`compare`] judges one object, [`takeover`] and [`to_send`] say what to
//! write, [`Projection`] keeps what the server makes of a manifest, [`drift`] folds differences into events.

mod base;
pub mod compare;
mod desired;
mod directives;
pub mod drift;
mod ignore;
mod kinds;
pub mod mask;
pub mod owners;
mod pause;
mod place;
pub mod projection;
pub mod replicas;
pub mod respect;
pub mod schema;
pub mod takeover;
pub mod three_way;
mod value;

pub use compare::{Comparison, Difference, Input, Note, Owner, What, compare, is_built_in};
pub use directives::{has_directive_at_root, has_directives, is_client_side, without_directives};
pub use mask::{masked, masked_pair};
pub use owners::{Former, MANAGER, only_managed_fields_differ};
pub use pause::{ANNOTATIONS as PAUSE_ANNOTATIONS, is_application, with_pause};
pub use projection::Projection;
pub use replicas::to_send;
pub use respect::respected;
pub use schema::{ListKind, Schema, SchemaError};
pub use takeover::{takeover, without_duplicates};
pub use three_way::{PatchStyle, three_way, with_last_applied};
