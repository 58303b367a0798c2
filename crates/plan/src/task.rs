//! One thing that a sync does to one object, and where it stands in the order of all.
//!
//! Keeps nothing. Entry point: [`Task`]; [`crate::schedule()`] orders them.

use trueup_api::HookPhase;
use trueup_object::{GroupKind, Gvk, ObjectKey};

/// One thing that a sync does to one object. The same object may be a hook of several phases: it is a task in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Which object.
    pub key: ObjectKey,
    /// Its kind.
    pub gvk: Gvk,
    /// When in the sync.
    pub phase: HookPhase,
    /// When in the phase: from the lowest to the highest.
    pub wave: i64,
    /// What is done.
    pub act: Act,
    /// For a CustomResourceDefinition, the kind that it brings.
    pub defines: Option<GroupKind>,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// It is made as Git says.
    Apply,
    /// It is made anew, and has to end.
    Hook,
    /// It is deleted, since Git no longer has it.
    Prune {
        /// Only when everything else is there and healthy.
        last: bool,
    },
}

// === impl Task ===

impl Task {
    /// Whether it is a hook: then its end is waited for.
    pub fn is_hook(&self) -> bool {
        self.act == Act::Hook
    }
}
