//! Counts what is asked of the API server, for the metrics. Entry point: [`Counters`], a copy of all counts.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cluster::lock;

/// How many different answers are counted apart. A cluster serves some hundred kinds, and a few verbs and codes of each are
/// seen; what comes after that is counted as of the kind [`OTHER`].
const ANSWERS_MAX: usize = 4096;
/// The kind of all that is not counted apart.
const OTHER: &str = "other";

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
    /// A JSON patch, or a patch that is merged.
    Patch,
    /// An object put in the place of another.
    Replace,
    /// A deletion.
    Delete,
    /// Versions, kinds and schemas.
    Discover,
    /// A Lease made.
    Claim,
    /// A Lease taken, renewed or given back.
    Renew,
}

/// The counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests by verb, those that were tried again counted again.
    pub requests: Vec<(Verb, u64)>,
    /// Answers by verb, kind and code.
    pub answers: Vec<(Answered, u64)>,
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

/// One sort of answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered {
    /// What was asked.
    pub verb: Verb,
    /// The kind in the plural, as in the API server's paths; empty for what is of no kind.
    pub plural: String,
    /// The HTTP status code; 0 if there was no answer.
    pub code: u16,
}

/// Counts while it happens.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: [AtomicU64; Verb::ALL.len()],
    answers: Mutex<BTreeMap<Answered, u64>>,
    failures: AtomicU64,
    throttled: AtomicU64,
}

// === impl Verb ===

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 12] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Apply,
        Self::DryRun,
        Self::Create,
        Self::Patch,
        Self::Replace,
        Self::Delete,
        Self::Discover,
        Self::Claim,
        Self::Renew,
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
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Discover => "discover",
            Self::Claim => "claim",
            Self::Renew => "renew",
        }
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn asked(&self, verb: Verb) {
        self.requests[verb as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, verb: Verb, plural: &str, code: u16) {
        let mut answers = lock(&self.answers);
        let mut answered = Answered { verb, plural: plural.to_owned(), code };
        if answers.len() >= ANSWERS_MAX && !answers.contains_key(&answered) {
            OTHER.clone_into(&mut answered.plural);
        }
        *answers.entry(answered).or_default() += 1;
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
            answers: lock(&self.answers).iter().map(|(answered, count)| (answered.clone(), *count)).collect(),
            failures: self.failures.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            ..Counters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_apart_up_to_a_limit() {
        let tally = Tally::default();
        tally.answered(Verb::Get, "pods", 200);
        tally.answered(Verb::Get, "pods", 200);
        for number in 0..2 * ANSWERS_MAX {
            tally.answered(Verb::Apply, &format!("kind{number}"), 409);
        }
        let answers = tally.read().answers;
        let of = |verb, plural: &str, code| {
            let wanted = Answered { verb, plural: plural.to_owned(), code };
            answers.iter().find(|(answered, _)| *answered == wanted).map(|(_, count)| *count)
        };
        assert_eq!(of(Verb::Get, "pods", 200), Some(2));
        assert_eq!(of(Verb::Apply, "kind0", 409), Some(1));
        assert_eq!(of(Verb::Apply, "other", 409), Some(ANSWERS_MAX as u64 + 1));
        assert_eq!(answers.len(), ANSWERS_MAX + 1);
    }
}
