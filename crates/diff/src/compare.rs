//! One object: what Git wants against what is there.
//!
//! Leaf by leaf: what Git has is compared with live (`desired`), what Git dropped is looked for in live (`base`). What
//! differs by value is a question to the server, because defaults, canonical forms and webhooks may make it none; what is
//! to be removed is not. Entry point: [`compare`].

use trueup_object::{Node, Path};

use crate::base::{Base, Verdict, is_secret};
use crate::desired::{Here, Purpose, differing};
use crate::directives::{declared, has_directives, without_directives};
use crate::ignore::Pointers;
use crate::kinds::Kinds;
use crate::owners::{Entry, Former, MANAGER, Owners};
use crate::{Projection, Schema, mask, value};

/// All that a comparison needs.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one comparison")]
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
    /// Field managers whose fields never count, whatever they wrote through.
    pub ignore_managers: &'a [&'a str],
    /// Names of autoscalers beyond the ones that we know.
    pub scalers: &'a [&'a str],
    /// Managers whose fields are taken over.
    pub former: Former<'a>,
    /// Whether the API server itself serves the kind, not a CRD: only then are quantities compared by value.
    pub built_in: bool,
    /// Whether it is written by client-side apply: strategic directives in `desired` are words to that, and no fields.
    pub client_side: bool,
    /// Whether Git has moved since the last sync: the render's digest is not the baseline's.
    pub pending: bool,
    /// Whether the application was never synced.
    pub never_synced: bool,
}

impl<'a> Input<'a> {
    /// The two objects with nothing beside them: of a kind that is not built in, applied by the server, with nothing known of
    /// before.
    pub fn plain(desired: &'a Node, live: &'a Node, schema: &'a Schema) -> Self {
        Self {
            desired,
            live,
            base: None,
            schema,
            projection: None,
            ignore: &[],
            ignore_managers: &[],
            scalers: &[],
            former: Former::default(),
            built_in: false,
            client_side: false,
            pending: false,
            never_synced: false,
        }
    }
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

/// Whether a group's kinds are the API server's own: theirs are the quantities that it stores in one form.
pub fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Compares one object.
pub fn compare(input: &Input) -> Comparison {
    if input.client_side && has_directives(input.desired) {
        let (plain, declared) = (without_directives(input.desired), declared(input.desired));
        return contrast(&Input { desired: &plain, ..*input }, Some(&declared));
    }
    contrast(input, None)
}

/// The comparison itself. `declared` holds what directives take away.
fn contrast(input: &Input, declared: Option<&Node>) -> Comparison {
    let owners = Owners::of(input.live);
    let evidence = owners.evidence();
    let kinds = Kinds::root(&evidence, input.schema, input.built_in);
    let pointers = Pointers::new(input.ignore);
    let here = Here { kinds, ignore: pointers.root() };
    let mut comparison = differing(input, &owners, &here, Purpose::Verdict);
    dropped(input, &owners, &here, declared, &mut comparison);
    comparison.differences.retain(|difference| !is_left_to_managers(input, &owners, &difference.path));
    comparison.differences.sort_by(|a, b| a.path.cmp(&b.path));
    comparison
}

/// Whether a manager whose fields never count owns what is at `path`, alone or with others. Who owns only something in it
/// does not: the rest is not theirs to hide. Neither do we: what we applied is what Git said.
pub(crate) fn is_left_to_managers(input: &Input, owners: &Owners, path: &Path) -> bool {
    // Most objects have no such rule: their entries are not looked through once more.
    !input.ignore_managers.is_empty()
        && owners.holding(path).any(|entry| {
            let manager = entry.owner.manager.as_str();
            manager != MANAGER && input.ignore_managers.contains(&manager) && entry.owns(path)
        })
}

// === what Git dropped ===

/// Leaves that we are responsible for and that Git no longer has.
fn dropped(input: &Input, owners: &Owners, here: &Here<'_>, declared: Option<&Node>, comparison: &mut Comparison) {
    let base = Base::of(input.desired, input.base, input.live, owners, input.former).declaring(declared);
    let walked = base.walk(here.kinds, &here.ignore, input.desired, input.live, &mut |leaf| {
        if leaf.wanted || leaf.inside || leaf.ignored {
            return;
        }
        match base.judge(owners, leaf) {
            Verdict::Shared(manager) => comparison.notes.push(Note::Shared { path: leaf.path.clone(), manager }),
            Verdict::GivenUp(manager) => {
                comparison.needs_schema |= leaf.unsure && !input.schema.is_known();
                comparison.notes.push(Note::GivenUp { path: leaf.path.clone(), manager });
            }
            Verdict::Remove => {
                let owner = owners.culprit(leaf.path);
                let mut live = Some(leaf.live.clone());
                if is_secret(input.live) {
                    live = mask::masked_values(leaf.path, None, live).1;
                }
                comparison.differences.push(Difference {
                    path: leaf.path.clone(),
                    pointer: leaf.pointer.to_owned(),
                    what: What::Extra,
                    desired: None,
                    live,
                    owner: owner.map(|entry| entry.owner.clone()),
                    doubtful: false,
                    drift: is_drift(input, leaf.path, What::Extra, Some(leaf.live), owner),
                });
            }
        }
    });
    comparison.needs_schema |= walked.unsure && !input.schema.is_known();
}

/// Whether the cluster moved, not Git.
pub(crate) fn is_drift(input: &Input, path: &Path, what: What, live: Option<&Node>, owner: Option<&Entry>) -> bool {
    if input.never_synced || !input.pending {
        return !input.never_synced;
    }
    let same_version = input.base.filter(|base| base.get("apiVersion") == input.live.get("apiVersion"));
    let base = same_version.and_then(|base| value::find(base, &path.0));
    match what {
        // What Git dropped is still what Git said, or ours.
        What::Extra => false,
        // Somebody took away what was there at the last sync.
        What::Missing => base.is_some(),
        What::Changed if owner.is_some_and(Entry::is_written_by_us) || base == live => false,
        What::Changed => owner.is_some() || base.is_some(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schema;

    /// A sync that failed half way is reverted: what it wrote is no drift, however it was written.
    #[test]
    fn what_we_wrote_ourselves_is_pending_after_a_half_done_sync() {
        let json = |text: &str| Node::from_json(text.as_bytes()).unwrap();
        let desired = json(r#"{"apiVersion":"v1","data":{"a":"1"}}"#);
        for (manager, operation, drift) in
            [("trueup", "Apply", false), ("trueup", "Update", false), ("kubectl-edit", "Update", true)]
        {
            let live = json(&format!(
                r#"{{"apiVersion":"v1","data":{{"a":"2"}},"metadata":{{"managedFields":[{{"manager":"{manager}","operation":"{operation}",
                    "apiVersion":"v1","fieldsV1":{{"f:data":{{"f:a":{{}}}}}}}}]}}}}"#
            ));
            let schema = Schema::unknown();
            let plain = Input::plain(&desired, &live, &schema);
            let comparison = compare(&Input { base: Some(&desired), built_in: true, pending: true, ..plain });
            let drifts: Vec<bool> = comparison.differences.iter().map(|difference| difference.drift).collect();
            assert_eq!(drifts, [drift], "{manager} {operation}");
        }
    }
}
