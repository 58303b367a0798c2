//! One object: what Git wants against what is there.

use trueup_object::{Node, Path};

use crate::{Projection, Schema};

/// All that a comparison needs.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What Git says now, normalised.
    pub desired: &'a Node,
    /// What the cluster has, with `metadata.managedFields`.
    pub live: &'a Node,
    /// What Git said at the last successful sync of this object; `None` if that is not known.
    pub base: Option<&'a Node>,
    /// The reduced schema of the kind, or [`Schema::unknown`].
    pub schema: &'a Schema,
    /// What the server made of `desired` when it was last asked.
    pub projection: Option<&'a Projection>,
    /// JSON pointers (RFC 6901) of what never counts.
    pub ignore: &'a [&'a str],
    /// Names of autoscalers beyond the ones that we know.
    pub scalers: &'a [&'a str],
    /// The former manager that the Application's migration annotation names.
    pub migration_manager: Option<&'a str>,
    /// Whether the API server itself serves the kind, not a CRD: only then are quantities compared by value.
    pub built_in: bool,
    /// Whether Git has moved since the last sync: the render's digest is not the baseline's.
    pub pending: bool,
    /// Whether the application was never synced.
    pub never_synced: bool,
}

/// The answer to one comparison.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What differs, in the order of the manifest. Secret values are masked.
    pub differences: Vec<Difference>,
    /// What does not count, and why.
    pub notes: Vec<Note>,
    /// Whether the verdict may change once the schema of the kind is known. Never set if it was given.
    pub needs_schema: bool,
}

/// One leaf, or one item of a list, that is not as Git wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// The same place as a JSON pointer, with the places of list items in live (or desired, if live has none).
    pub pointer: String,
    /// How it differs.
    pub what: What,
    /// What Git wants; `None` if it wants nothing there.
    pub desired: Option<Node>,
    /// What is there.
    pub live: Option<Node>,
    /// Who owns what is there, if that can be told.
    pub owner: Option<Owner>,
    /// Whether the server should be asked if this is a difference at all.
    pub doubtful: bool,
    /// Whether the cluster moved away from Git; otherwise Git moved and the cluster has not followed yet.
    pub drift: bool,
}

/// How a leaf differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Both have it, with different values.
    Changed,
    /// Git has it, live has not.
    Missing,
    /// Git dropped it, live still has it: to be removed.
    Extra,
}

/// An entry of `metadata.managedFields`, as far as people want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name that the client gave itself.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource through which it wrote; empty for the object itself.
    pub subresource: String,
    /// When it last changed something (RFC 3339); empty if the server does not say.
    pub time: String,
}

/// Something that does not count as a difference, but that people should be able to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Git dropped a leaf that another applier, or a writer through a subresource, also holds: left to it.
    Shared {
        /// The leaf.
        path: Path,
        /// Who holds it.
        manager: String,
    },
    /// Git dropped a leaf that somebody else has changed since: left to them.
    GivenUp {
        /// The leaf.
        path: Path,
        /// Who changed it; empty if that cannot be told.
        manager: String,
    },
    /// `spec.replicas` belongs to an autoscaler: not compared, not sent.
    Scaled {
        /// The autoscaler.
        manager: String,
    },
    /// A key occurs more than once in a list of Git: the last one counts.
    Duplicate {
        /// The item.
        path: Path,
    },
    /// The rules of a ClusterRole with an `aggregationRule` are the API server's: not compared, not sent.
    Aggregated,
}

/// Compares one object.
pub fn compare(input: &Input) -> Comparison {
    let _ = input;
    Comparison::default()
}

// === impl Comparison ===

impl Comparison {
    /// Whether live is as Git wants it.
    pub fn in_line(&self) -> bool {
        self.differences.is_empty()
    }

    /// Whether some difference wants the server's word.
    pub fn doubtful(&self) -> bool {
        self.differences.iter().any(|difference| difference.doubtful)
    }

    /// Whether some difference needs no word of the server: the object is out of line whatever it says.
    pub fn certain(&self) -> bool {
        self.differences.iter().any(|difference| !difference.doubtful)
    }
}
