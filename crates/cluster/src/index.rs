//! What is live in the cluster, as the watches tell it.
//!
//! Keeps the text of every object that carries a tracking annotation or that an application wants, and of every other
//! object of a watched kind 16 bytes. Invariants: an object never goes back to an older version; what a complete listing
//! does not show is gone, unless a write of ours is newer than the listing; a claim is listed for an application only if
//! it names the object that bears it and no owner will remove that object anyway. Entry points: [`Index::see`],
//! [`Index::gone`] and the two ends of a listing; all answer who is to be told.

mod kind_index;
mod name;
mod writing;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use compact_str::CompactString;
use trueup_object::{Gvk, ObjectKey};

use crate::change::Change;
use crate::head::{Head, number};
use crate::index::kind_index::KindIndex;
pub use crate::index::kind_index::WatchState;
use crate::index::name::{Hashers, Name};
use crate::index::writing::Writing;
use crate::live::{Live, key};

/// What is live in the cluster.
#[derive(Default)]
pub(crate) struct Index {
    kinds: HashMap<Gvk, KindIndex>,
    apps: HashMap<CompactString, AppIndex>,
    /// The id of our installation; empty if it has none.
    installation: Arc<str>,
    /// The objects that are being written.
    writes: HashMap<(Gvk, Name), Writing>,
    hash: Hashers,
}

/// Holds what concerns one application.
#[derive(Default)]
struct AppIndex {
    /// It has asked for objects, so it wants to hear of them.
    known: bool,
    wants: HashSet<(Gvk, Name)>,
    tracked: HashSet<(Gvk, Name)>,
}

/// How an object came to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// In a listing.
    Listed,
    /// In an event of the watch.
    Event,
    /// As the answer to a request of our own.
    Answer,
}

/// Sizes for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) watches: usize,
    pub(crate) objects: usize,
    pub(crate) object_bytes: usize,
    pub(crate) foreign: usize,
}

// === impl Index ===

impl Index {
    /// The id of our installation; empty if it has none.
    pub(crate) fn installation(&self) -> Arc<str> {
        Arc::clone(&self.installation)
    }

    /// Sets the id of our installation, and with it whose every object is.
    pub(crate) fn set_installation(&mut self, id: &str) {
        self.installation = id.into();
        for app in self.apps.values_mut() {
            app.tracked.clear();
        }
        self.apps.retain(|_, app| app.known);
        let held =
            self.kinds.iter().flat_map(|(gvk, kind)| kind.held.iter().map(move |(name, live)| (gvk, name, live)));
        let claims: Vec<(Gvk, Name, CompactString)> = held
            .filter_map(|(gvk, name, live)| Some((gvk.clone(), name.clone(), tracking_app(live, &self.installation)?)))
            .collect();
        for (gvk, name, app) in claims {
            self.claim(&gvk, &name, None, Some(&app));
        }
    }

    /// Begins to keep a kind; false if it is kept already.
    pub(crate) fn watch(&mut self, gvk: &Gvk) -> bool {
        let kind = self.kind(gvk);
        !std::mem::replace(&mut kind.watched, true)
    }

    /// Ceases to keep a kind.
    pub(crate) fn unwatch(&mut self, gvk: &Gvk) {
        let Some(kind) = self.kinds.get_mut(gvk) else { return };
        let mut emptied = KindIndex::new();
        std::mem::swap(&mut emptied.wanted, &mut kind.wanted);
        *kind = emptied;
        for app in self.apps.values_mut() {
            app.tracked.retain(|(of, _)| of != gvk);
        }
    }

    /// The kinds of a group and version that are watched.
    pub(crate) fn watched(&self, group: &str, version: &str) -> Vec<Gvk> {
        let watched =
            self.kinds.iter().filter(|(gvk, kind)| kind.watched && gvk.group == group && gvk.version == version);
        watched.map(|(gvk, _)| gvk.clone()).collect()
    }

    pub(crate) fn state(&self, gvk: &Gvk) -> WatchState {
        let state = self.kinds.get(gvk).map(|kind| kind.state.clone());
        state.unwrap_or_else(|| WatchState::Pending { since: SystemTime::now() })
    }

    /// The watch runs: true if that is new.
    pub(crate) fn following(&mut self, gvk: &Gvk) -> bool {
        self.kinds.get_mut(gvk).is_some_and(KindIndex::following)
    }

    /// Listing or watching failed by more than the network: true if the kind is failed from now on, or for another
    /// reason than before.
    pub(crate) fn failed(&mut self, gvk: &Gvk, message: &str, lasting: bool) -> bool {
        let watched = self.kinds.get_mut(gvk).filter(|kind| kind.watched);
        watched.is_some_and(|kind| kind.failed(message, lasting))
    }

    /// Sets what an application asks for, and makes it known.
    pub(crate) fn want(&mut self, app: &str, keys: impl Iterator<Item = (Gvk, ObjectKey)>) {
        let wants: HashSet<(Gvk, Name)> = keys.map(|(gvk, key)| (gvk, Name::of(&key))).collect();
        let entry = self.apps.entry(app.into()).or_default();
        entry.known = true;
        let before = std::mem::take(&mut entry.wants);
        for (gvk, name) in wants.difference(&before) {
            self.kinds.entry(gvk.clone()).or_insert_with(KindIndex::new).want(app, name);
        }
        for (gvk, name) in before.difference(&wants) {
            let hash = self.hash_of(name);
            if let Some(kind) = self.kinds.get_mut(gvk) {
                kind.let_go(app, name, hash);
            }
        }
        if let Some(entry) = self.apps.get_mut(app) {
            entry.wants = wants;
            entry.wants.shrink_to_fit();
        }
    }

    /// Forgets an application: it wants nothing and hears nothing any more.
    pub(crate) fn forget(&mut self, app: &str) {
        self.want(app, std::iter::empty());
        let claimed = self.apps.get_mut(app).is_some_and(|entry| {
            entry.known = false;
            !entry.tracked.is_empty()
        });
        if !claimed {
            self.apps.remove(app);
        }
    }

    pub(crate) fn live(&self, gvk: &Gvk, key: &ObjectKey) -> Option<Arc<Live>> {
        self.kinds.get(gvk)?.held.get(&Name::of(key)).cloned()
    }

    /// Whether there is such an object of which only the key is kept.
    pub(crate) fn knows_foreign(&self, gvk: &Gvk, key: &ObjectKey) -> bool {
        let hash = self.hash_of(&Name::of(key));
        self.kinds.get(gvk).is_some_and(|kind| kind.foreign.contains(&hash))
    }

    /// The objects that an application claims.
    pub(crate) fn tracked(&self, app: &str) -> Vec<(Gvk, ObjectKey)> {
        let tracked = self.apps.get(app).map(|entry| &entry.tracked);
        tracked.into_iter().flatten().map(|(gvk, name)| (gvk.clone(), name.key(gvk))).collect()
    }

    /// Every application that claims an object.
    pub(crate) fn claimants(&self) -> Vec<CompactString> {
        self.apps.iter().filter(|(_, entry)| !entry.tracked.is_empty()).map(|(app, _)| app.clone()).collect()
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let mut sizes = Sizes::default();
        for kind in self.kinds.values() {
            sizes.watches += usize::from(kind.watched);
            sizes.objects += kind.held.len();
            sizes.object_bytes += kind.held.values().map(|live| live.json().len()).sum::<usize>();
            sizes.foreign += kind.foreign.len();
        }
        sizes
    }

    /// A listing begins.
    pub(crate) fn begin_listing(&mut self, gvk: &Gvk) {
        if let Some(kind) = self.kinds.get_mut(gvk).filter(|kind| kind.watched) {
            kind.listing = Some(HashSet::new());
        }
    }

    /// A listing is complete: what it did not show is gone.
    pub(crate) fn complete_listing(&mut self, gvk: &Gvk, resource_version: &str) -> Vec<Change> {
        let Some(kind) = self.kinds.get_mut(gvk) else { return Vec::new() };
        let Some((gone, lost)) = kind.complete_listing(number(resource_version), &self.hash) else { return Vec::new() };
        let mut changes = Vec::new();
        for name in gone {
            self.remove(gvk, &name, &mut changes);
        }
        for name in lost {
            self.tell(gvk, &name, None, None, &mut changes);
        }
        changes
    }

    /// A write of an object begins: events of it are held back until it ends.
    pub(crate) fn begin_write(&mut self, gvk: &Gvk, key: &ObjectKey) {
        self.writes.entry((gvk.clone(), Name::of(key))).or_default().writers += 1;
    }

    /// A write has been answered or has failed. The answer is who is to be told of what was held back: the writer only of
    /// what is newer than its answer.
    pub(crate) fn end_write(&mut self, gvk: &Gvk, key: &ObjectKey) -> Vec<Change> {
        let Entry::Occupied(mut entry) = self.writes.entry((gvk.clone(), Name::of(key))) else { return Vec::new() };
        entry.get_mut().writers -= 1;
        if entry.get().writers > 0 {
            return Vec::new();
        }
        entry.remove().end()
    }

    /// An object was seen. `text` is called only if it is to be kept. The answer is who is to be told; nobody if
    /// this version is known, or a newer one.
    pub(crate) fn see(
        &mut self,
        gvk: &Gvk,
        head: &Head<'_>,
        sight: Sight,
        text: impl FnOnce() -> Arc<Live>,
    ) -> Vec<Change> {
        let changes = self.take_in(gvk, head, sight, text);
        if self.writes.is_empty() {
            return changes;
        }
        let key = key(gvk, head);
        let version = number(&head.resource_version);
        let Some(writing) = self.writes.get_mut(&(gvk.clone(), Name::of(&key))) else { return changes };
        if sight == Sight::Answer {
            let newest = writing.answered.as_ref().map(|(version, _)| *version);
            if let Some(version) = version.filter(|version| newest.is_none_or(|newest| newest < *version)) {
                let claim = head.claim(&key, &self.installation);
                writing.answered = Some((version, claim.map(|claim| claim.app.into())));
            }
            return changes;
        }
        writing.held_back.extend(changes.into_iter().map(|change| (version, change)));
        Vec::new()
    }

    fn take_in(&mut self, gvk: &Gvk, head: &Head<'_>, sight: Sight, text: impl FnOnce() -> Arc<Live>) -> Vec<Change> {
        let name = Name { namespace: head.namespace.as_ref().into(), name: head.name.as_ref().into() };
        let hash = self.hash_of(&name);
        let Some(kind) = self.kinds.get_mut(gvk).filter(|kind| kind.watched) else { return Vec::new() };
        let version = number(&head.resource_version);
        if sight == Sight::Listed
            && let Some(shown) = &mut kind.listing
        {
            shown.insert(hash);
        }
        let known = kind.held.get(&name);
        if sight == Sight::Answer {
            // Events have come further than this answer and left nothing: it has been deleted since.
            let overtaken = kind.seen.zip(version).is_some_and(|(seen, version)| seen >= version);
            if kind.complete && overtaken && known.is_none() && !kind.foreign.contains(&hash) {
                return Vec::new();
            }
        }
        if sight == Sight::Event {
            kind.seen = version.max(kind.seen);
        }
        if let Some(known) = known {
            let same = known.uid == head.uid && known.resource_version == head.resource_version;
            let older = known.version().zip(version).is_some_and(|(known, new)| new < known);
            if same || older {
                return Vec::new();
            }
        }
        let before = known.and_then(|live| tracking_app(live, &self.installation));
        if head.tracking_id().is_none() && !kind.wanted.contains_key(&name) {
            let was_held = kind.held.remove(&name).is_some();
            if sight != Sight::Answer || was_held {
                kind.foreign.insert(hash);
            }
            let mut changes = Vec::new();
            if was_held {
                self.claim(gvk, &name, before.as_deref(), None);
                self.tell(gvk, &name, before, None, &mut changes);
            }
            return changes;
        }
        let live = text();
        let after = tracking_app(&live, &self.installation);
        kind.foreign.remove(&hash);
        kind.held.insert(name.clone(), live);
        self.claim(gvk, &name, before.as_deref(), after.as_deref());
        let mut changes = Vec::new();
        // Who wrote it has the answer.
        let writer = if sight == Sight::Answer { after.clone() } else { None };
        self.tell(gvk, &name, before, after, &mut changes);
        changes.retain(|change| !matches!(change, Change::Object { app, .. } if Some(app) == writer.as_ref()));
        changes
    }

    /// An object was deleted: forgotten only if it is still the same one.
    pub(crate) fn gone(&mut self, gvk: &Gvk, head: &Head<'_>) -> Vec<Change> {
        let name = Name { namespace: head.namespace.as_ref().into(), name: head.name.as_ref().into() };
        let hash = self.hash_of(&name);
        let Some(kind) = self.kinds.get_mut(gvk).filter(|kind| kind.watched) else { return Vec::new() };
        let version = number(&head.resource_version);
        kind.seen = version.max(kind.seen);
        let foreign = kind.foreign.remove(&hash);
        let mut changes = Vec::new();
        match kind.held.get(&name) {
            // Another one of this name, made since.
            Some(live) if live.uid != head.uid && live.version() > version => {}
            Some(_) => self.remove(gvk, &name, &mut changes),
            None if foreign => self.tell(gvk, &name, None, None, &mut changes),
            None => {}
        }
        changes
    }

    /// Everything has been seen up to this version.
    pub(crate) fn progress(&mut self, gvk: &Gvk, resource_version: &str) {
        if let Some(kind) = self.kinds.get_mut(gvk) {
            kind.seen = number(resource_version).max(kind.seen);
        }
    }

    fn remove(&mut self, gvk: &Gvk, name: &Name, changes: &mut Vec<Change>) {
        let Some(live) = self.kinds.get_mut(gvk).and_then(|kind| kind.held.remove(name)) else { return };
        let before = tracking_app(&live, &self.installation);
        self.claim(gvk, name, before.as_deref(), None);
        self.tell(gvk, name, before, None, changes);
    }

    /// Moves an object from the claims of one application to those of another.
    fn claim(&mut self, gvk: &Gvk, name: &Name, before: Option<&str>, after: Option<&str>) {
        if before == after {
            return;
        }
        if let Some(before) = before
            && let Some(entry) = self.apps.get_mut(before)
        {
            entry.tracked.remove(&(gvk.clone(), name.clone()));
            if !entry.known && entry.tracked.is_empty() {
                self.apps.remove(before);
            }
        }
        if let Some(after) = after {
            self.apps.entry(after.into()).or_default().tracked.insert((gvk.clone(), name.clone()));
        }
    }

    /// Who hears of an object: who claimed it, who claims it, who wants it; of these those that are known.
    fn tell(
        &self,
        gvk: &Gvk,
        name: &Name,
        before: Option<CompactString>,
        after: Option<CompactString>,
        changes: &mut Vec<Change>,
    ) {
        let wanting = self.kinds.get(gvk).and_then(|kind| kind.wanted.get(name)).into_iter().flatten().cloned();
        let mut apps: Vec<CompactString> = before.into_iter().chain(after).chain(wanting).collect();
        apps.sort();
        apps.dedup();
        apps.retain(|app| self.apps.get(app).is_some_and(|entry| entry.known));
        changes.extend(apps.into_iter().map(|app| Change::Object { app, key: name.key(gvk) }));
    }

    fn kind(&mut self, gvk: &Gvk) -> &mut KindIndex {
        self.kinds.entry(gvk.clone()).or_insert_with(KindIndex::new)
    }

    fn hash_of(&self, name: &Name) -> u128 {
        name.hash(&self.hash)
    }
}

/// The application that an object is listed for.
fn tracking_app(live: &Live, installation: &str) -> Option<CompactString> {
    if live.owned { None } else { live.claimed_by(installation).map(Into::into) }
}

#[cfg(test)]
mod tests;
