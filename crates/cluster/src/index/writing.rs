//! An object that is being written: what the watch tells of it meanwhile. Entry point: [`Writing::end`].

use compact_str::CompactString;

use crate::change::Change;

/// Holds back what the watch tells of an object that is being written: the event of a write may come before its answer.
#[derive(Default)]
pub(super) struct Writing {
    pub(super) writers: usize,
    /// The newest version that a write was answered with, and who claims it.
    pub(super) answered: Option<(u64, Option<CompactString>)>,
    pub(super) held_back: Vec<(Option<u64>, Change)>,
}

// === impl Writing ===

impl Writing {
    /// Nobody writes any more. Answers who is to be told of what was held back: the writer only of what is newer than its
    /// answer.
    pub(super) fn end(self) -> Vec<Change> {
        let Self { answered, held_back, .. } = self;
        let echo = |version: Option<u64>, change: &Change| match (&answered, change) {
            (Some((answered, writer)), Change::Object { app, .. }) => {
                version.is_some_and(|version| version <= *answered) && writer.as_ref() == Some(app)
            }
            _ => false,
        };
        held_back.into_iter().filter(|(version, change)| !echo(*version, change)).map(|(_, change)| change).collect()
    }
}
