//! Comparisons as data: tables, objects that a real API server wrote, and laws.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

mod laws;
mod recorded;
mod support;
mod tables;
