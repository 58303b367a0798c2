//! The names of annotations, labels and finalizers that are read or written, exactly as Argo CD spells them.

/// Says which application an object belongs to; see [`crate::tracking`].
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Tells the objects of one installation from another's.
pub const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
/// On an Application: look at Git and the cluster now (`normal`), and forget what is cached (`hard`).
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// On an Application: which request for a refresh this is, so that none is lost.
pub const REFRESH_TIMESTAMP: &str = "argocd.argoproj.io/refresh-timestamp";
/// On an Application: leave it alone while this is true.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// On an Application: the files outside its path that its render reads.
pub const MANIFEST_GENERATE_PATHS: &str = "argocd.argoproj.io/manifest-generate-paths";
/// On an Application: when somebody approved a deletion that asks for confirmation.
pub const DELETION_APPROVED: &str = "argocd.argoproj.io/deletion-approved";
/// On an Application: the field manager whose fields are taken over at the first apply.
pub const MIGRATION_MANAGER: &str = "argocd.argoproj.io/client-side-apply-migration-manager";
/// On an Application or an object: how it is compared.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// On an object: how it is synced, separated by commas.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// On an object: the wave in which it is synced.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// On an object: the phases in which it runs as a hook; `Skip` alone takes it out of the application.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// On a hook: when it is deleted.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// On a hook: keeps it until it was judged, so that it does not vanish before.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
/// On an object: its health does not count for the application.
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";
/// Helm's own hooks.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// The order of Helm's hooks; without the annotation for waves it is an object's wave.
pub const HELM_HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// When Helm's hooks are deleted.
pub const HELM_HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// `keep`: never deleted.
pub const HELM_RESOURCE_POLICY: &str = "helm.sh/resource-policy";
/// Ours, on an Application: managers besides the known autoscalers that own `spec.replicas`, separated by commas.
pub const SCALERS: &str = "trueup.dev/scalers";
/// Ours, on an Application or an object: what is done about drift, `heal` (where self-heal is on) or `report`.
pub const DRIFT_POLICY: &str = "trueup.dev/drift-policy";
/// Ours, on an Application: how long a sync may take, as a duration such as `30m`.
pub const SYNC_DEADLINE: &str = "trueup.dev/sync-deadline";
/// Ours, on an Application: how long a wave of a sync may take.
pub const WAVE_DEADLINE: &str = "trueup.dev/wave-deadline";
/// Ours, on an Application or a hook, whose own wins: how long a hook may take.
pub const HOOK_DEADLINE: &str = "trueup.dev/hook-deadline";
/// Ours, on a hook that was made: which attempt of an operation made it.
pub const HOOK_RUN: &str = "trueup.dev/hook-run";
/// Ours, on an Application: the Applications that it waits for.
pub const DEPENDS_ON: &str = "trueup.dev/depends-on";
/// Ours, on an Application: nothing is synced while this is there; the text is the reason.
pub const PAUSE: &str = "trueup.dev/pause";
/// Ours, on an Application: when a pause ends, as RFC 3339.
pub const PAUSE_UNTIL: &str = "trueup.dev/pause-until";
/// Ours, on an AppProject: the Secret, beside the project, with the keys that files of its Applications are decrypted with.
/// Whoever may edit the project decides; an Application cannot name one.
pub const DECRYPTION_SECRET: &str = "trueup.dev/decryption-secret";

/// The label by which Argo CD before version 3 tracked objects.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// On an Application: its objects are deleted with it, dependents first.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same, spelt out.
pub const FOREGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/foreground";
/// The same, dependents later.
pub const BACKGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/background";
/// On an Application: hooks run before its objects are deleted. Also with `/cleanup` behind it.
pub const PRE_DELETE_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io";
/// On an Application: hooks run after its objects were deleted. Also with `/cleanup` behind it.
pub const POST_DELETE_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io";
