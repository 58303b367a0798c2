//! What this process knows of a store's directory: shared by all stores that show the server the same login.
//!
//! Invariant: one [`Disk`] per directory. Stores that differ in the way only (proxy, authorities, known hosts) share it: a commit is
//! named by the hash of all that is in it, whichever way it came. What a server *said* by its way (which commit a branch is at,
//! what failed) is each store's own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use git2::Repository;

use crate::used::Used;
use crate::{CommitId, Limits, lfs};

/// A directory with what is known of it.
pub(crate) struct Disk {
    pub(crate) dir: PathBuf,
    /// One fetch at a time.
    pub(crate) flight: Arc<tokio::sync::Mutex<Flight>>,
    /// When commits were last asked for.
    pub(crate) used: Mutex<Used>,
    /// Set by a reader that missed an object which should be here.
    pub(crate) suspect: AtomicBool,
    /// One fetch of files in LFS at a time.
    pub(crate) lfs_flight: tokio::sync::Mutex<()>,
    /// What is known of files in LFS.
    pub(crate) lfs: Mutex<lfs::Known>,
    /// Open handles that nobody uses just now.
    pub(crate) handles: Mutex<Vec<Repository>>,
}

/// What the last fetch leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// Commits that were searched for in vain, and when.
    pub(crate) searched: HashMap<CommitId, Instant>,
    /// The number of packs that starts a rewrite; grows when rewriting fails.
    pub(crate) packs_max: usize,
    /// The bytes of packs that start a rewrite; grows when rewriting does not help.
    pub(crate) bytes_max: u64,
}

impl Disk {
    pub(crate) fn new(dir: PathBuf, limits: &Limits) -> Self {
        let flight = Flight { packs_max: limits.packs, bytes_max: limits.store_bytes, ..Flight::default() };
        Self {
            dir,
            flight: Arc::new(tokio::sync::Mutex::new(flight)),
            used: Mutex::default(),
            suspect: AtomicBool::new(false),
            lfs_flight: tokio::sync::Mutex::default(),
            lfs: Mutex::default(),
            handles: Mutex::default(),
        }
    }
}
