//! The renderer's workers: Helm, Kustomize and Jsonnet by their own libraries, in processes of their own.
//!
//! A worker has no files, no network and no credential. It is asked for one render at a time and asks back for what it
//! reads ([`Answers`]), so that whoever answers knows what was read. Kept: warm workers, up to a number. Invariant: whatever a
//! worker does or says costs at most the render that it was asked for; nothing waits without a bound. At rest there is no
//! process and no timer. Entry point: [`Workers::render`].

mod answers;
mod asked;
mod config;
mod error;
mod frame;
mod job;
mod line;
mod message;
mod need;
mod pool;
mod program;
mod reply;
mod versions;
mod words;
mod worker;

pub use answers::{Answers, DirectoryEntry, FileKind, TreeFile};
pub use config::WorkersConfig;
pub use error::WorkerError;
pub use job::{Chart, Fetched, FileParameter, HelmJob, Job, JsonnetJob, KustomizeJob, Parameter, ValuesFile, Variable};
pub use need::Need;
pub use pool::{WorkerCounters, Workers};
pub use program::{Program, ProgramError};
pub use reply::{Document, Done, Reply};
pub use versions::Versions;
