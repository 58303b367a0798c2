//! Stores against real git servers, servers that misbehave, and repositories on disk.
#![allow(clippy::unwrap_used, reason = "what the tests share is a test too")]
#![allow(clippy::format_collect, reason = "short texts, once")]

mod bench;
mod credentials;
mod disk;
mod faults;
mod fetches;
mod github_app;
mod https;
mod large_files;
mod liars;
mod limits;
mod reads;
mod revisions;
mod secrets;
mod signatures;
mod signers;
mod ssh;
mod upkeep;
