//! Packages from a real registry, a Helm repository, and servers that misbehave.
#![allow(clippy::unwrap_used, reason = "what the tests share is a test too")]

mod bench;
mod faults;
mod helm;
mod liars;
mod logins;
mod oci;
mod tls;
