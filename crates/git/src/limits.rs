//! Every limit of this crate, and the limits of libgit2, which are process-wide and can only be set by unsafe calls.
#![allow(unsafe_code)]

use std::sync::Once;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a repository may cost. Passed to the fetch process as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of one pack. Larger repositories exist; manifests in them are rare, and disks are shared.
    pub pack_bytes: u64,
    /// Objects in one pack. The index alone needs 32 bytes of memory for each.
    pub pack_objects: u32,
    /// Refs in one listing. We ask by prefix, so thousands mean a name that is the prefix of very many.
    pub listing_refs: usize,
    /// Bytes of one listing, or of one capability announcement.
    pub listing_bytes: u64,
    /// Bytes of one file, whatever the reader accepts.
    pub blob_bytes: u64,
    /// Bytes of one directory object, of one commit object. A directory of 100,000 files has about 5 MB.
    pub directory_bytes: u64,
    /// How long a fetch may take in all, the start of its process included.
    pub fetch_deadline: Duration,
    /// How long a listing may take in all.
    pub listing_deadline: Duration,
    /// How long a server may say nothing before the connection counts as dead.
    pub idle: Duration,
    /// How long a rewrite of the store may take.
    pub rewrite_deadline: Duration,
    /// Commits kept per store, the last used ones. Each costs what it differs from the others; each is named at a fetch.
    pub kept_commits: usize,
    /// Bytes of packs per store before it is rewritten: what forgotten commits leave behind is on a shared disk. A search for a
    /// commit may bring a whole history.
    pub store_bytes: u64,
    /// Fetch processes at a time: each has some 10 MB of memory, and a large pack keeps a core busy. Servers that say nothing
    /// hold one for as long as [`Limits::idle`].
    pub fetches: usize,
    /// Packs per store before it is rewritten into one: every read of an object may look into every pack.
    pub packs: usize,
}

const MIB: u64 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            pack_bytes: 1024 * MIB,
            pack_objects: 5_000_000,
            listing_refs: 100_000,
            listing_bytes: 32 * MIB,
            blob_bytes: 64 * MIB,
            directory_bytes: 16 * MIB,
            // As Argo CD's ARGOCD_EXEC_TIMEOUT and reposerver.git.request.timeout.
            fetch_deadline: Duration::from_secs(90),
            listing_deadline: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            rewrite_deadline: Duration::from_mins(3),
            // A fetch names each with 50 bytes: 256 still fit one small request.
            kept_commits: 256,
            store_bytes: 2 * 1024 * MIB,
            fetches: 16,
            packs: 50,
        }
    }
}

/// Decoded objects that libgit2 keeps, in bytes. Its own default of 256 MiB is for a process that has one repository.
const OBJECT_CACHE_BYTES: isize = 16 * 1024 * 1024;
/// Packs mapped at a time, in bytes: they count as resident memory.
const MAPPED_BYTES: usize = 32 * 1024 * 1024;
/// One mapped window, in bytes: eight fit the limit, so that several packs can be read at once.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

static LIBGIT2: Once = Once::new();

/// Sets libgit2's process-wide settings, once.
///
/// Beside the memory limits: no configuration of machine or user is read, so that nothing outside changes what a URL means; and
/// a repository of another user may be read, as a mounted volume usually is: the check exists because git runs programs that a
/// repository's configuration names, libgit2 runs none.
pub(crate) fn set_libgit2_limits() {
    LIBGIT2.call_once(|| {
        // SAFETY: the settings are plain process-wide variables of libgit2, written here only, before its first use here.
        unsafe {
            // Each fails only for an unknown option or out of memory; the defaults then stay, which are slower, not wrong.
            let _ = git2::opts::set_cache_max_size(OBJECT_CACHE_BYTES);
            let _ = git2::opts::set_mwindow_size(WINDOW_BYTES);
            let _ = git2::opts::set_mwindow_mapped_limit(MAPPED_BYTES);
            let _ = git2::opts::set_verify_owner_validation(false);
            for level in [
                git2::ConfigLevel::ProgramData,
                git2::ConfigLevel::System,
                git2::ConfigLevel::XDG,
                git2::ConfigLevel::Global,
            ] {
                let _ = git2::opts::set_search_path(level, "");
            }
        }
    });
}
