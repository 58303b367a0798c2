//! The words in which results are told, where upstream has them: scripts and people look for them.

/// An operation did all that it had to do.
pub const SYNCED: &str = "successfully synced (all tasks run)";
/// An operation found nothing to do.
pub const SYNCED_NOTHING: &str = "successfully synced (no more tasks)";
/// An operation could not apply everything; the objects say why.
pub const APPLY_FAILED: &str = "one or more objects failed to apply";
/// An operation ended without success.
pub const UNSUCCESSFUL: &str = "one or more synchronization tasks completed unsuccessfully";
/// An operation was refused before it did anything.
pub const NOT_VALID: &str = "one or more synchronization tasks are not valid";
/// An operation was ended by somebody.
pub const TERMINATED: &str = "Operation terminated";
/// An object was deleted.
pub const PRUNED: &str = "pruned";
/// An object would have been deleted.
pub const PRUNED_DRY_RUN: &str = "pruned (dry run)";
/// An object is to be deleted, but nobody asked for that.
pub const NEEDS_PRUNE: &str = "ignored (requires pruning)";
/// An object is to be deleted, but is protected.
pub const NO_PRUNE: &str = "ignored (no prune)";
/// Automation leaves a revision alone that would delete everything.
pub fn would_wipe_out(revision: &str) -> String {
    format!("Skipping sync attempt to {revision}: auto-sync will wipe out all resources")
}

/// Automation leaves a revision alone whose sync failed.
pub fn failed_last(revision: &str, message: &str) -> String {
    format!("Failed last sync attempt to {revision}: {message}")
}
