//! Whether the controller's memory stays flat. Entry point: [`Growth::verdict`].

use trueup_bed::Usage;

use crate::bench::mib;

/// What a settled process may hold more at the end than before the second half: a quarter, since allocators keep a margin,
/// and 16 MiB, since small numbers vary. What leaks per change passes both within half an hour.
const GROWTH_PERCENT: u64 = 25;
const GROWTH_BYTES: u64 = 16 << 20;

/// The memory of one process, before and after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub(super) before: Usage,
    pub(super) after: Usage,
}

// === impl Growth ===

impl Growth {
    /// The most that it may hold.
    pub(super) fn bound(&self) -> u64 {
        self.before.rss_bytes + self.before.rss_bytes * GROWTH_PERCENT / 100 + GROWTH_BYTES
    }

    /// What is wrong, if something is.
    pub(super) fn verdict(&self) -> Option<String> {
        (self.after.rss_bytes > self.bound()).then(|| {
            format!(
                "the controller's memory grew from {:.0} to {:.0} MiB while it settled twice; {:.0} would do",
                mib(self.before.rss_bytes),
                mib(self.after.rss_bytes),
                mib(self.bound())
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_and_a_little_more_is_flat() {
        let of = |mib: u64| Usage { rss_bytes: mib << 20, peak_rss_bytes: mib << 20, cpu_seconds: 1.0, threads: 1 };
        let verdict = |before, after| Growth { before: of(before), after: of(after) }.verdict();
        assert_eq!(verdict(100, 141), None);
        assert!(verdict(100, 142).unwrap().contains("from 100 to 142 MiB"));
        assert_eq!(verdict(100, 50), None);
    }
}
