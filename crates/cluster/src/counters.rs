//! Counts what is asked of the API server, for the metrics. Entry point: [`Counters`], a copy of all counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is asked of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// One object.
    Get,
    /// One page of a list.
    List,
    /// A watch begun or resumed.
    Watch,
    /// A server-side apply.
    Apply,
    /// A server-side apply that changes nothing.
    DryRun,
    /// A new object.
    Create,
    /// A JSON patch.
    Patch,
    /// A deletion.
    Delete,
    /// Versions, kinds and schemas.
    Discover,
}

/// The counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests by verb, those that were tried again counted again.
    pub requests: Vec<(Verb, u64)>,
    /// Requests that were not answered with success.
    pub failures: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Requests under way, watches not counted.
    pub under_way: usize,
    /// How many may be under way at once.
    pub limit: usize,
    /// Kinds that are watched.
    pub watches: usize,
    /// Objects whose text is kept.
    pub objects: usize,
    /// The bytes of these texts.
    pub object_bytes: usize,
    /// Objects of which only the key is kept.
    pub foreign: usize,
}

/// Counts while it happens.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: [AtomicU64; Verb::ALL.len()],
    failures: AtomicU64,
    throttled: AtomicU64,
}

// === impl Verb ===

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Apply,
        Self::DryRun,
        Self::Create,
        Self::Patch,
        Self::Delete,
        Self::Discover,
    ];

    /// How metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Apply => "apply",
            Self::DryRun => "dry_run",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Discover => "discover",
        }
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn asked(&self, verb: Verb) {
        self.requests[verb as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts of requests; the rest is filled in by who keeps it.
    pub(crate) fn read(&self) -> Counters {
        Counters {
            requests: Verb::ALL.map(|verb| (verb, self.requests[verb as usize].load(Ordering::Relaxed))).to_vec(),
            failures: self.failures.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            ..Counters::default()
        }
    }
}
