//! What an application answers for and Git no longer has, and what is to become of it.
//!
//! Invariant: only what is this application's own has the fate to be pruned, and never what another application holds; what
//! only its annotation calls ours is pruned on request only; what an application that nobody can list may hold waits. Entry point: [`View::find_extras`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use trueup_api::{Consent, SyncOptions, object_options};
use trueup_cluster::{ClusterError, Kind, Live};
use trueup_health::Health;
use trueup_object::{Gvk, Node, ObjectKey};

use crate::judge::Verdict;
use crate::memory::Memory;
use crate::observe::View;
use crate::perform::applied_by_us;
use crate::permission::not_permitted;
use crate::world::World;

/// An object that we answer for and Git no longer has.
#[derive(Debug)]
pub(crate) struct Extra {
    pub(crate) key: ObjectKey,
    pub(crate) gvk: Gvk,
    pub(crate) live: Option<Arc<Live>>,
    pub(crate) health: Option<Health>,
    /// An inventory answers for it.
    pub(crate) listed: bool,
    /// It is known to be ours: an inventory answers for it, or we have applied it. Else only its annotation says so.
    pub(crate) proven: bool,
    pub(crate) fate: Fate,
}

/// What is to become of an object that Git no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is deleted by a sync that prunes.
    Prune,
    /// It is deleted by a sync that prunes, if somebody asks for that: it may be another installation's.
    Ask,
    /// It is deleted by a sync that prunes, once somebody has approved (`Prune=confirm`).
    Confirm,
    /// It stays, and why.
    Keep(String),
    /// It waits until it is known who holds it; why that is not known.
    Doubt(String),
    /// It is being deleted already.
    Going,
    /// It is no difference at all (`IgnoreExtraneous`).
    Ignored,
    /// It is a hook that ran: it stays until its policy or a later sync removes it.
    Hook,
}

// === impl Extra ===

impl Extra {
    /// Whether a sync that prunes deletes it; `asked` if somebody asked for that sync.
    pub(crate) fn goes(&self, asked: bool) -> bool {
        match self.fate {
            Fate::Prune => true,
            Fate::Ask => asked,
            Fate::Confirm | Fate::Keep(_) | Fate::Doubt(_) | Fate::Going | Fate::Ignored | Fate::Hook => false,
        }
    }

    /// Whether a sync that prunes deletes it, if need be after somebody has approved.
    pub(crate) fn is_to_go(&self, asked: bool) -> bool {
        self.fate == Fate::Confirm || self.goes(asked)
    }

    /// What a sync of these options needs to delete it. The object's own word wins.
    pub(crate) fn consent(&self, options: &SyncOptions) -> Consent {
        self.live.as_ref().map_or(Consent::No, |live| object_options(&live.node()).within(options).prune)
    }
}

// === impl View ===

impl View {
    /// Finds what we answer for and Git no longer has.
    pub(crate) fn find_extras(&mut self, world: &World, name: &str, memory: &Memory) {
        let desired: HashSet<&ObjectKey> = self.targets.objects.iter().map(|target| &target.key).collect();
        let mut candidates: BTreeMap<ObjectKey, Gvk> = memory
            .inventory
            .iter()
            .filter(|(key, _)| !desired.contains(key))
            .map(|(key, gvk)| (key.clone(), gvk.clone()))
            .collect();
        for (gvk, key) in world.cluster.tracked(name) {
            if !desired.contains(&key) {
                candidates.insert(key, gvk);
            }
        }
        let extra = |(key, gvk)| {
            let listed = memory.answers_for(&key);
            self.extra(world, name, key, gvk, listed)
        };
        self.extras = candidates.into_iter().filter_map(extra).collect();
    }

    /// What is to become of an object that Git no longer has, as things are now; nothing if it is not there. `listed` if an
    /// inventory answers for it.
    pub(crate) fn extra(&self, world: &World, name: &str, key: ObjectKey, gvk: Gvk, listed: bool) -> Option<Extra> {
        // As upstream, which gives them no tracking id: they are let go, never deleted, since every object of theirs would go too.
        if key.kind == "CustomResourceDefinition" {
            return None;
        }
        if let Some(Err(verdict)) = self.kinds.get(&gvk) {
            let why = match verdict {
                // Without its kind an object cannot be there.
                Verdict::Unserved(_) => return None,
                Verdict::Unreadable(why) => why.clone(),
                _ => String::new(),
            };
            return Some(Extra { key, gvk, live: None, health: None, listed, proven: listed, fate: Fate::Keep(why) });
        }
        let live = world.cluster.live(&gvk, &key)?;
        if live.owned || !is_ours(world, name, &live) {
            return None;
        }
        let node = live.node();
        let proven = listed || applied_by_us(&node);
        let fate = match self.fate(world, name, &key, &live, &node) {
            Fate::Prune if !proven => Fate::Ask,
            fate => fate,
        };
        Some(Extra { health: trueup_health::of(&node), key, gvk, live: Some(live), listed, proven, fate })
    }

    fn fate(&self, world: &World, name: &str, key: &ObjectKey, live: &Live, node: &Node) -> Fate {
        if world.holders.other(name, key).is_some() {
            world.holders.wait_for(name, key);
        }
        // Asked again after the registration: the holder may have let go in between.
        if let Some(holder) = world.holders.other(name, key) {
            return Fate::Keep(format!("application '{holder}' holds it"));
        }
        if trueup_api::hook(node).is_some() {
            return Fate::Hook;
        }
        if live.deleting {
            return Fate::Going;
        }
        if !self.targets.invalid.is_empty() {
            return Fate::Keep("not judged: the render is not complete".to_owned());
        }
        let options = object_options(node);
        if options.ignore_extraneous {
            return Fate::Ignored;
        }
        let consent = options.within(&self.spec.options).prune;
        if consent == Consent::No {
            return Fate::Keep("ignored (no prune)".to_owned());
        }
        if options.keep {
            return Fate::Keep("ignored (helm.sh/resource-policy: keep)".to_owned());
        }
        if let Some(why) = not_permitted(&self.project, &self.spec.project, key, !key.namespace.is_empty()) {
            return Fate::Keep(why);
        }
        if key.kind == "Namespace"
            && let Some(why) = self.lived_in(world, name, &key.name)
        {
            return Fate::Keep(why);
        }
        if let Some(why) = world.doubt(key) {
            return Fate::Doubt(why);
        }
        if consent == Consent::Confirm { Fate::Confirm } else { Fate::Prune }
    }

    /// Why a namespace stays: everything in it would go too.
    fn lived_in(&self, world: &World, name: &str, namespace: &str) -> Option<String> {
        let destination = &self.spec.destination.namespace;
        if self.spec.options.create_namespace && destination == namespace {
            return Some("it is the destination of this application (CreateNamespace=true)".to_owned());
        }
        if let Some(target) = self.targets.objects.iter().find(|target| target.key.namespace == namespace) {
            return Some(format!("{} lives in it", target.key));
        }
        let holder = world.holders.other_in(name, namespace)?;
        Some(format!("objects of application '{holder}' live in it"))
    }
}

/// The body of an object, fetched if the index knows it only by name; none if it is not there.
pub(crate) async fn live(world: &World, kind: &Kind, key: &ObjectKey) -> Result<Option<Arc<Live>>, ClusterError> {
    if let Some(live) = world.cluster.live(&kind.gvk, key) {
        return Ok(Some(live));
    }
    if !world.cluster.knows_foreign(&kind.gvk, key) {
        return Ok(None);
    }
    world.cluster.fetch(kind, key).await
}

/// Whether an object is this application's by its tracking id; without one, by our own entry in its managedFields.
pub(crate) fn is_ours(world: &World, name: &str, live: &Live) -> bool {
    let installation = world.cluster.installation();
    match (live.claimed_by(&installation), &live.app) {
        (Some(app), _) => app == name,
        (None, None) => {
            live.installation.as_deref().is_none_or(|id| id == &*installation) && applied_by_us(&live.node())
        }
        // Copied from another object, another installation's, or garbage: nobody knows whose it is.
        (None, Some(_)) => false,
    }
}
