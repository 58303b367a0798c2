//! What tells an object from others of its kind. Entry point: [`Name::of`].

use std::hash::{BuildHasher as _, RandomState};

use compact_str::CompactString;
use trueup_object::{Gvk, ObjectKey};

/// Two hashers with keys of their own.
pub(super) type Hashers = (RandomState, RandomState);

/// Tells an object from others of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) namespace: CompactString,
    pub(super) name: CompactString,
}

// === impl Name ===

impl Name {
    pub(super) fn of(key: &ObjectKey) -> Self {
        Self { namespace: key.namespace.clone(), name: key.name.clone() }
    }

    pub(super) fn key(&self, gvk: &Gvk) -> ObjectKey {
        ObjectKey {
            group: gvk.group.clone(),
            kind: gvk.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// Two independent hashes: among a million objects two are taken for one with a chance of one in 10²⁶.
    pub(super) fn hash(&self, (a, b): &Hashers) -> u128 {
        (u128::from(a.hash_one(self)) << 64) | u128::from(b.hash_one(self))
    }
}
