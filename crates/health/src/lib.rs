//! The health of one live object, and of an application from that of its objects.
//!
//! Keeps nothing. Entry points: [`of`] judges one object, [`aggregate`] many.

use std::fmt;

use serde::{Deserialize, Serialize};
use trueup_object::{Node, ObjectKey};

/// How an object fares, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    /// It does what it should.
    Healthy,
    /// It is held on purpose.
    Suspended,
    /// It is not there yet, and may still get there.
    Progressing,
    /// It does not exist.
    Missing,
    /// It failed, or will not get there by itself.
    Degraded,
    /// It could not be judged.
    Unknown,
}

/// How an object fares, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How it fares.
    pub code: Code,
    /// Why; empty if there is nothing to say.
    pub message: String,
}

// === impl Code ===

impl Code {
    /// The word that a status carries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Health ===

impl Health {
    /// A health with its reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The health of a live object; none if its kind has no health.
pub fn of(object: &Node) -> Option<Health> {
    object.at(&["metadata", "deletionTimestamp"]).map(|_| Health::new(Code::Progressing, "Pending deletion"))
}

/// The health of an application from its objects: key, health if the kind has one, whether the object is missing.
pub fn aggregate<'a>(objects: impl Iterator<Item = (&'a ObjectKey, Option<&'a Health>, bool)>) -> Health {
    let worst = objects.filter_map(|(_, health, _)| health).max_by_key(|health| health.code);
    Health::new(worst.map_or(Code::Healthy, |health| health.code), "")
}
