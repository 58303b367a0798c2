//! Which commits were asked for last: those are kept.

use std::collections::HashMap;

use crate::CommitId;

/// When commits were last asked for.
#[derive(Debug, Default)]
pub(crate) struct Used {
    counter: u64,
    at: HashMap<CommitId, u64>,
}

impl Used {
    /// Notes commits, where so many are kept.
    pub(crate) fn note(&mut self, commits: &[CommitId], kept: usize) {
        for commit in commits {
            self.counter += 1;
            self.at.insert(*commit, self.counter);
        }
        // Twice as many as are kept: the rest was let go of long ago.
        let most = kept.max(1).saturating_mul(2);
        if self.at.len() > most {
            let mut times: Vec<u64> = self.at.values().copied().collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = times[most / 2];
            self.at.retain(|_, at| *at > oldest);
        }
    }

    /// So many of them, the last first.
    pub(crate) fn last(&self, count: usize) -> Vec<CommitId> {
        let mut used: Vec<(u64, CommitId)> = self.at.iter().map(|(id, at)| (*at, *id)).collect();
        used.sort_unstable_by(|a, b| b.cmp(a));
        used.truncate(count);
        used.into_iter().map(|(_, id)| id).collect()
    }
}
