//! A step that did not hold.

use std::time::Duration;

/// What a step expected, and what there was instead.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The step.
    pub(crate) step: String,
    /// What should have come to hold.
    pub(crate) expected: String,
    /// What was seen last.
    pub(crate) seen: String,
    /// How long was waited.
    pub(crate) took: Duration,
}

/// What was seen instead of what a step expected.
#[derive(Debug)]
pub(crate) struct Unexpected(pub(crate) String);

impl<E: std::error::Error> From<E> for Unexpected {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        Self(text)
    }
}
