//! The types of an Application's conditions, and the sentences that tools look for, exactly as Argo CD words them.

/// The application's objects cannot be deleted.
pub const DELETION_ERROR: &str = "DeletionError";
/// The specification is wrong, or the project does not permit it.
pub const INVALID_SPEC_ERROR: &str = "InvalidSpecError";
/// What Git says or what the cluster has cannot be had.
pub const COMPARISON_ERROR: &str = "ComparisonError";
/// Automated sync did not happen.
pub const SYNC_ERROR: &str = "SyncError";
/// An object belongs to another application too.
pub const SHARED_RESOURCE_WARNING: &str = "SharedResourceWarning";
/// Git says the same object twice.
pub const REPEATED_RESOURCE_WARNING: &str = "RepeatedResourceWarning";
/// A namespace holds objects that no application has.
pub const ORPHANED_RESOURCE_WARNING: &str = "OrphanedResourceWarning";
/// The comparison is good, but there is something to know about it. Ours: Argo CD has no such type.
pub const COMPARISON_WARNING: &str = "ComparisonWarning";
/// A sync goes on, but there is something to know about it. Ours: Argo CD has no such type.
pub const SYNC_WARNING: &str = "SyncWarning";
/// Automated sync waits for other applications, or cannot wait for them. Ours: Argo CD has no such type.
pub const DEPENDENCY_WARNING: &str = "DependencyWarning";
/// A sync window of the project keeps what is due. Ours: Argo CD has no such type.
pub const SYNC_WINDOW_INFO: &str = "SyncWindowInfo";
/// Somebody paused the application. Ours: Argo CD has no such type.
pub const PAUSED_INFO: &str = "PausedInfo";

/// The end of an operation that did everything.
pub const SYNCED: &str = "successfully synced (all tasks run)";
/// The end of an operation of which something failed.
pub const SYNC_FAILED: &str = "one or more synchronization tasks completed unsuccessfully";
/// The end of an operation whose plan was not valid.
pub const SYNC_INVALID: &str = "one or more synchronization tasks are not valid";
/// The end of an operation that somebody ended.
pub const TERMINATED: &str = "Operation terminated";
/// The end of an operation that asks for nothing.
pub const NO_OPERATION: &str = "Invalid operation request: no operation specified";

/// A sync window of the project holds an operation up.
pub const SYNC_WINDOW: &str = "Sync operation blocked by sync window";

/// The project of an Application is not there.
pub fn project_missing(project: &str) -> String {
    format!("Application referencing project {project} which does not exist")
}

/// The project does not permit the repository. The URL must not carry credentials.
pub fn source_not_permitted(url: &str, project: &str) -> String {
    format!("application repo {url} is not permitted in project '{project}'")
}

/// The project does not permit the cluster and namespace. `server` is the cluster's name if the Application names it so.
pub fn destination_not_permitted(server: &str, namespace: &str, project: &str) -> String {
    format!(
        "application destination server '{server}' and namespace '{namespace}' do not match any of the allowed destinations in project '{project}'"
    )
}

/// The project does not permit a kind.
pub fn kind_not_permitted(group: &str, kind: &str, project: &str) -> String {
    format!("resource {group}:{kind} is not permitted in project {project}")
}

/// Automated sync would delete every object of the application.
pub fn would_wipe_out(revision: &str) -> String {
    format!("Skipping sync attempt to {revision}: auto-sync will wipe out all resources")
}

/// The last attempt at this revision failed, and is not repeated.
pub fn last_attempt_failed(revision: &str, message: &str) -> String {
    format!("Failed last sync attempt to {revision}: {message}")
}

/// An operation that failed and will be tried again. `at` is RFC 3339.
pub fn retrying(message: &str, attempt: i64, at: &str) -> String {
    format!("{message}. Retrying attempt #{attempt} at {at}.")
}

/// An operation that failed after its last retry.
pub fn retried(message: &str, times: i64) -> String {
    format!("{message} (retried {times} times).")
}
