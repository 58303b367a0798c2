//! What the server makes of a manifest.
//!
//! Defaults, canonical forms and webhooks store some leaves otherwise than Git says them. Keeps, for each such leaf, the
//! digests of both values, so that it may be written to disk for Secrets too, and stays small for large values. Invariant:
//! a leaf is only taken as projected while Git still says what was asked. Entry point: [`Projection::from_answer`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trueup_object::{Digest, Node, Path};

use crate::{Schema, desired, value};

/// For each leaf that the server stores otherwise than Git says it: what it becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Leaf>", into = "Vec<Leaf>")]
pub struct Projection {
    leaves: BTreeMap<Path, (Digest, Option<Digest>)>,
}

/// One leaf, as it is written down.
#[derive(Serialize, Deserialize)]
struct Leaf {
    path: Path,
    asked: Digest,
    /// `None` if the server keeps nothing there.
    stored: Option<Digest>,
}

// === impl Projection ===

impl Projection {
    /// Learns from the answer to an apply of `desired`, dry or not.
    pub fn from_answer(desired: &Node, answer: &Node, schema: &Schema) -> Self {
        let leaves = desired::differing_leaves(desired, answer, schema).into_iter().filter_map(|difference| {
            let stored = difference.live.as_ref().map(value::digest);
            Some((difference.path, (value::digest(&difference.desired?), stored)))
        });
        Self { leaves: leaves.collect() }
    }

    /// Whether the server stores every leaf as Git says it.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Whether live has at `path` what the server makes of this value.
    pub(crate) fn holds(&self, path: &Path, desired: &Node, live: Option<&Node>) -> bool {
        self.leaves
            .get(path)
            .is_some_and(|(asked, stored)| live.map(value::digest) == *stored && value::digest(desired) == *asked)
    }
}

impl From<Vec<Leaf>> for Projection {
    fn from(leaves: Vec<Leaf>) -> Self {
        Self { leaves: leaves.into_iter().map(|leaf| (leaf.path, (leaf.asked, leaf.stored))).collect() }
    }
}

impl From<Projection> for Vec<Leaf> {
    fn from(projection: Projection) -> Self {
        let leaf = |(path, (asked, stored))| Leaf { path, asked, stored };
        projection.leaves.into_iter().map(leaf).collect()
    }
}
