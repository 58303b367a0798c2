//! The objects of one kind at one version, and how far its watch is.
//!
//! Invariant: a kind that was listed once is not failed by a moment's refusal. Entry points: [`KindIndex::following`],
//! [`KindIndex::failed`], [`KindIndex::complete_listing`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use compact_str::CompactString;

use crate::index::name::{Hashers, Name};
use crate::live::Live;

/// So many failures in a row make a failed kind of one that was ready: the API server refuses for moments while it
/// starts or stops, and a comparison against what was seen a second ago is still a good one.
const READY_FAILURES: u32 = 3;

/// How far the watch of a kind is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// The first listing is not complete.
    Pending {
        /// Since when.
        since: SystemTime,
    },
    /// Everything that is there has been seen, and changes arrive.
    Ready,
    /// The kind cannot be listed or watched; it is tried again by and by.
    Failed {
        /// Why.
        message: String,
        /// Since when.
        since: SystemTime,
    },
}

/// Holds the objects of one kind at one version.
pub(super) struct KindIndex {
    pub(super) watched: bool,
    pub(super) state: WatchState,
    failures: u32,
    pub(super) held: HashMap<Name, Arc<Live>>,
    pub(super) foreign: HashSet<u128>,
    pub(super) wanted: HashMap<Name, Vec<CompactString>>,
    /// What the listing in progress has shown so far.
    pub(super) listing: Option<HashSet<u128>>,
    /// The version up to which everything has been seen.
    pub(super) seen: Option<u64>,
    /// A first listing has been completed.
    pub(super) complete: bool,
}

// === impl KindIndex ===

impl KindIndex {
    pub(super) fn new() -> Self {
        Self {
            watched: false,
            state: WatchState::Pending { since: SystemTime::now() },
            failures: 0,
            held: HashMap::new(),
            foreign: HashSet::new(),
            wanted: HashMap::new(),
            listing: None,
            seen: None,
            complete: false,
        }
    }

    pub(super) fn want(&mut self, app: &str, name: &Name) {
        self.wanted.entry(name.clone()).or_default().push(app.into());
    }

    pub(super) fn let_go(&mut self, app: &str, name: &Name, hash: u128) {
        let Some(apps) = self.wanted.get_mut(name) else { return };
        apps.retain(|other| other != app);
        if !apps.is_empty() {
            return;
        }
        self.wanted.remove(name);
        // Without a claim nobody needs its text any more.
        if self.held.get(name).is_some_and(|live| live.app.is_none()) {
            self.held.remove(name);
            self.foreign.insert(hash);
        }
    }

    /// The watch runs: true if that is new.
    pub(super) fn following(&mut self) -> bool {
        self.failures = 0;
        let ready = self.watched && self.complete && self.state != WatchState::Ready;
        if ready {
            self.state = WatchState::Ready;
        }
        ready
    }

    /// Listing or watching failed by more than the network: true if the kind is failed from now on, or for another reason
    /// than before.
    pub(super) fn failed(&mut self, message: &str, lasting: bool) -> bool {
        self.failures = self.failures.saturating_add(1);
        let since = match &self.state {
            WatchState::Failed { message: known, .. } if known == message => return false,
            WatchState::Failed { since, .. } => *since,
            WatchState::Pending { .. } if lasting || self.failures >= READY_FAILURES => SystemTime::now(),
            WatchState::Ready if self.failures >= READY_FAILURES => SystemTime::now(),
            WatchState::Pending { .. } | WatchState::Ready => return false,
        };
        self.state = WatchState::Failed { message: message.to_owned(), since };
        true
    }

    /// The listing in progress, if there is one, is complete at a version. Answers what of the held is gone, and of the wanted.
    pub(super) fn complete_listing(&mut self, listed: Option<u64>, hash: &Hashers) -> Option<(Vec<Name>, Vec<Name>)> {
        let mut shown = self.listing.take()?;
        let gone: Vec<Name> = self
            .held
            .iter()
            .filter(|(name, _)| !shown.contains(&name.hash(hash)))
            // A write that was answered after the listing had been taken.
            .filter(|(_, live)| live.version().zip(listed).is_none_or(|(version, listed)| version <= listed))
            .map(|(name, _)| name.clone())
            .collect();
        let lost = self.wanted.keys().filter(|name| {
            let hash = name.hash(hash);
            self.foreign.contains(&hash) && !shown.contains(&hash)
        });
        let lost: Vec<Name> = lost.cloned().collect();
        for name in self.held.keys() {
            shown.remove(&name.hash(hash));
        }
        for name in &gone {
            shown.remove(&name.hash(hash));
        }
        shown.shrink_to_fit();
        self.foreign = shown;
        self.seen = listed;
        self.complete = true;
        self.held.shrink_to_fit();
        Some((gone, lost))
    }
}
