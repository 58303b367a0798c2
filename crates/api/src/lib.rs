//! Application and AppProject as users write them, validated.
//!
//! Everything here takes values and returns values. Entry points: [`Application::read`] and [`Project::read`] read what the
//! API server sends and never panic on it; [`App`] is a specification after the checks; [`object_options`], [`hook()`],
//! [`wave`] and [`object_unsupported`] read the annotations of one object; [`DependsOn::read`] and [`Pause::read`] those of an
//! Application; [`crd`] makes the CustomResourceDefinitions from the same types.

pub mod annotations;
pub mod app;
pub mod app_source;
pub mod application;
pub mod condition;
pub mod crd;
pub mod deadlines;
pub mod depends_on;
pub mod drift;
mod duration;
mod file_match;
pub mod git_url;
mod glob;
pub mod hook;
pub mod ignore_rule;
mod namespaces;
pub mod operation;
pub mod operation_state;
pub mod options;
pub mod pause;
pub mod project;
mod project_accounts;
mod project_integrity;
mod project_orphans;
pub mod project_spec;
mod project_windows;
pub mod retry;
pub mod revision;
mod schema;
pub mod selector;
pub mod source;
pub mod spec;
pub mod status;
pub mod tracking;
mod type_check;
pub mod unsupported;

pub use app::{App, Automated, DEFAULT_PROJECT, Destination, FIELD_MANAGER, SpecError, SpecErrors};
pub use app_source::{Source, SourceKind};
pub use application::{Application, Cascade, Manager, Meta, ReadError, Refresh};
pub use deadlines::{Deadlines, hook_deadline};
pub use depends_on::{Dependency, DependsOn, DependsOnError, Readiness, Which};
pub use drift::{Drift, DriftEvent, DriftField};
pub use duration::{duration_text, parse as parse_duration};
pub use hook::{DeletePolicy, Hook, HookPhase, hook, wave};
pub use ignore_rule::{IgnoreRule, Ignored};
pub use namespaces::NamespacePatterns;
pub use operation::{MANIFESTS_BYTES_MAX, Operation, OperationInitiator, SyncOperation, SyncResource, manifests_bytes};
pub use operation_state::{OperationPhase, OperationState, ResourceResult, ResultCode, SyncResult};
pub use options::{Consent, Effective, ObjectOptions, PrunePropagation, SyncOptions, object_options};
pub use pause::Pause;
pub use project::Project;
pub use project_windows::WindowSubject;
pub use retry::Retry;
pub use revision::Revision;
pub use selector::{Selector, SelectorError};
pub use source::{ApplicationSource, NameValue};
pub use spec::{ApplicationDestination, ApplicationSpec, Backoff, IgnoreDifferences, NamespaceMetadata, RetryStrategy};
pub use status::{
    ComparedTo, Condition, HealthCode, HealthStatus, ResourceStatus, RevisionHistory, Status, Summary, SyncCode,
    SyncStatus,
};
pub use tracking::TrackingId;
pub use unsupported::{Unsupported, object_unsupported, operation_unsupported};
