//! What is remembered of one application between two looks at it.
//!
//! Everything here can be lost: it is made again from Git, the cluster and the Application's own status, at the price of
//! one more comparison.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;
use trueup_api::{Application, Revision};
use trueup_diff::Projection;
use trueup_diff::drift::Event;
use trueup_object::{Digest, Gvk, Node, ObjectKey};
use trueup_render::Targets;

use crate::attempt::Attempt;
use crate::hindrance::WaitsFor;
use crate::judge::Remembered;
use crate::loading::Loaded;
use crate::past;
use crate::windows::Shut;

/// What is remembered of one application.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each remembers one thing that was said or done")]
pub(crate) struct Memory {
    /// Of which Application: another one of the same name starts anew.
    pub(crate) uid: String,
    /// Somebody asks for what is rendered to be rendered anew.
    pub(crate) render_again: bool,
    /// A render that was known came out otherwise, and that is not told yet.
    pub(crate) unstable: bool,
    /// The last render, and what it was made from besides the revision.
    pub(crate) loaded: Option<(Digest, Loaded)>,
    /// The final manifests, and what they were made from.
    pub(crate) targets: Option<(Digest, Arc<Targets>)>,
    /// What Git said at the last successful sync.
    pub(crate) base: Base,
    /// The objects that we answer for, from before their first apply until they are seen gone.
    pub(crate) inventory: BTreeMap<ObjectKey, Gvk>,
    /// Of these the ones that were only found by their annotation: another installation may have brought them.
    pub(crate) unproven: BTreeSet<ObjectKey>,
    /// Objects of ours that a search of the cluster found, until they have been judged.
    pub(crate) swept: BTreeMap<ObjectKey, Gvk>,
    /// The search of the cluster that the deletion waits for.
    pub(crate) sweep: Option<u64>,
    /// What the hooks of the deletion have done.
    pub(crate) deletion: crate::deletion::Kept,
    /// Whether it was told what the deletion leaves behind.
    pub(crate) farewell: bool,
    /// The digest of what the index was last asked to keep for us.
    pub(crate) wanted: Option<Digest>,
    /// The last judgement of each object, with what it was judged from.
    pub(crate) judged: HashMap<ObjectKey, Remembered>,
    /// What the server makes of what Git says, with the digest of the manifest it is about and the state of its kind.
    pub(crate) projections: HashMap<ObjectKey, (Digest, u64, Arc<Projection>)>,
    /// What was worth a warning when a manifest was applied, for as long as Git says the same.
    pub(crate) warnings: BTreeMap<ObjectKey, (Digest, Vec<String>)>,
    /// When the server was last asked about an object, about which difference, and what it would not say.
    pub(crate) asked: HashMap<ObjectKey, (Instant, Digest, Option<String>)>,
    /// What was done about an object's leaves that drifted.
    pub(crate) heals: HashMap<(ObjectKey, Digest), Healing>,
    /// What was done about drift and could not be written down yet.
    pub(crate) untold: Vec<Event>,
    /// Whether the last sync that succeeded managed labels or annotations of the namespace; none if that is not known.
    pub(crate) namespace_managed: Option<bool>,
    /// When labels or annotations of the namespace were last put back.
    pub(crate) namespace_healed: Option<Instant>,
    /// When the status was last written.
    pub(crate) written: Option<Instant>,
    /// When a write that nobody waits for may go out.
    pub(crate) deferred: Option<Instant>,
    /// Since when prunes wait for other applications to look at the same commit.
    pub(crate) prunes_wait: Option<(Revision, Instant)>,
    /// What it waits for of the applications that it depends on.
    pub(crate) waits_for: Option<WaitsFor>,
    /// Since when the kinds of this application have not been listed.
    pub(crate) kinds_wait: Option<Instant>,
    /// The sync window that keeps it.
    pub(crate) shut: Option<Shut>,
    /// What the attempt that is under way has done.
    pub(crate) attempt: Option<Attempt>,
    /// What the last sync that failed was for.
    pub(crate) failed: Option<Digest>,
    /// What the last successful sync was for.
    pub(crate) synced: Option<Digest>,
    /// Whether Git was asked once for this application.
    pub(crate) looked: bool,
    /// Whether a notice about an Argo CD controller went out.
    pub(crate) rival_told: bool,
}

/// What was done about leaves that drifted.
pub(crate) struct Healing {
    /// How often in a row they were brought back, or could not be.
    pub(crate) attempts: u32,
    /// How often of these they really were: a healing that failed was undone by nobody.
    pub(crate) healed: u32,
    /// When last.
    pub(crate) at: Instant,
    /// Why the last attempt did not help.
    pub(crate) refusal: Option<String>,
    /// What the specification, Git and the policy said then: who changes them begins anew.
    pub(crate) cause: Digest,
    /// What is to be said if it goes on so: who changes it, and the entry that ends it.
    pub(crate) advice: String,
}

/// What Git said at the last successful sync.
#[derive(Clone, Default)]
pub(crate) enum Base {
    /// Not looked for yet.
    #[default]
    Unread,
    /// There never was a sync.
    Never,
    /// The synced revision cannot be had any more, and why.
    Lost(String),
    /// The manifests.
    Known(Arc<Targets>),
}

// === impl Memory ===

impl Memory {
    /// Starts anew if the Application is another one.
    pub(crate) fn adopt(&mut self, uid: &str) {
        if self.uid != uid {
            *self = Self { uid: uid.to_owned(), ..Self::default() };
        }
    }

    /// Takes the inventory that the status lists.
    pub(crate) fn read_inventory(&mut self, application: &Application) {
        self.inventory = past::inventory(application);
        self.unproven = past::unproven(application);
    }

    /// Adds what only a search found; what the inventory lists stays as it lists it.
    pub(crate) fn add_found(&mut self, found: BTreeMap<ObjectKey, Gvk>) {
        for (key, gvk) in found {
            if let Entry::Vacant(entry) = self.inventory.entry(key) {
                self.unproven.insert(entry.key().clone());
                entry.insert(gvk);
            }
        }
    }

    /// Whether the inventory lists an object, and not because it was found only.
    pub(crate) fn answers_for(&self, key: &ObjectKey) -> bool {
        self.inventory.contains_key(key) && !self.unproven.contains(key)
    }

    /// Forgets what was judged and what the server said, so that all of it is found out again.
    pub(crate) fn forget_judgements(&mut self) {
        self.judged.clear();
        self.projections.clear();
        self.asked.clear();
        self.failed = None;
    }

    /// Forgets what was found out about objects that Git no longer has.
    pub(crate) fn forget_all_but(&mut self, targets: &Targets) {
        let there = |key: &ObjectKey| targets.objects.binary_search_by(|target| target.key.cmp(key)).is_ok();
        self.judged.retain(|key, _| there(key));
        self.projections.retain(|key, _| there(key));
        self.warnings.retain(|key, _| there(key));
        self.asked.retain(|key, _| there(key));
        self.heals.retain(|(key, _), _| there(key));
    }

    /// What Git said of an object at the last successful sync; `nothing` if it said nothing, none if that is not known.
    pub(crate) fn base_of<'a>(&'a self, key: &ObjectKey, nothing: &'a Node) -> Option<&'a Node> {
        match &self.base {
            Base::Unread | Base::Lost(_) => None,
            Base::Never => Some(nothing),
            Base::Known(targets) => {
                let at = targets.objects.binary_search_by(|target| target.key.cmp(key)).ok();
                Some(at.map_or(nothing, |at| targets.objects[at].manifest.node()))
            }
        }
    }
}

// === impl Base ===

impl Base {
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Known(targets) => Some(targets.digest),
            _ => None,
        }
    }

    /// Tells the variants apart in digests.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Never => 1,
            Self::Lost(_) => 2,
            Self::Known(_) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_changes_nothing_of_what_the_inventory_lists() {
        let key = |name: &str| ObjectKey::new("x.io", "X", "ns", name);
        let at = |version: &str| Gvk::from_api_version(&format!("x.io/{version}"), "X");
        let mut memory = Memory::default();
        memory.inventory.insert(key("listed"), at("v1"));
        memory.add_found(BTreeMap::from([(key("listed"), at("v2")), (key("found"), at("v2"))]));
        assert_eq!(memory.inventory, BTreeMap::from([(key("listed"), at("v1")), (key("found"), at("v2"))]));
        assert!(memory.answers_for(&key("listed")));
        assert!(!memory.answers_for(&key("found")) && !memory.answers_for(&key("nowhere")));
        // Found again, it is no more ours than before.
        memory.add_found(BTreeMap::from([(key("found"), at("v1"))]));
        assert!(!memory.answers_for(&key("found")));
    }
}
