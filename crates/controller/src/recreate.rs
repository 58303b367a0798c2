//! An object that cannot be changed: deleted and made anew, where that was asked for and does no harm.
//!
//! Invariants: nothing is deleted before the server has said that it takes the new one; what is deleted is the object and the
//! version that was judged; what holds data or other objects is never deleted for this, whatever is asked for. Entry points:
//! [`make_way`] and [`foretold`].

use std::time::Duration;

use tokio::time::{Instant, sleep};
use trueup_api::{Consent, Effective, object_options};
use trueup_cluster::{ClusterError, Live, Propagation};
use trueup_diff::{Input, Schema};
use trueup_object::{Node, ObjectKey};
use trueup_render::Target;

use crate::client_side;
use crate::immutable::{self, is_nothing_else, is_unchangeable};
use crate::perform::{Manner, Order};

/// How long a successor waits for its predecessor to go. A Pod has 30 s to end by default, and its node some more to tell.
const PATIENCE: Duration = Duration::from_mins(1);
/// The first pause between two looks whether it is gone; each is twice the one before.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whether objects of a kind may be deleted and made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    /// Where somebody asks for it; what that means for what runs.
    Safe(&'static str),
    /// Always: nothing is lost, and a change is never possible otherwise.
    Always,
    /// Only by force: nobody knows what goes with it.
    Forced,
    /// Never, and why.
    Never(&'static str),
}

/// The kinds that something is known of, by group and kind. All others are only deleted by force.
const KINDS: &[(&str, &str, Anew)] = &[
    ("", "ConfigMap", Anew::Safe("what runs keeps what it has read")),
    ("", "Secret", Anew::Safe("what runs keeps what it has read")),
    ("", "Pod", Anew::Safe("it is ended first")),
    ("", "ReplicationController", Anew::Safe("its Pods are replaced all at once")),
    ("apps", "Deployment", Anew::Safe("its Pods are replaced all at once")),
    ("apps", "ReplicaSet", Anew::Safe("its Pods are replaced all at once")),
    ("apps", "DaemonSet", Anew::Safe("its Pods are replaced all at once")),
    ("apps", "StatefulSet", Anew::Safe("its Pods run on where the new one can take them over; its volumes stay")),
    ("batch", "Job", Anew::Safe("it is ended and runs once more")),
    ("batch", "CronJob", Anew::Safe("its Jobs are deleted with it")),
    ("policy", "PodDisruptionBudget", Anew::Safe("for a moment nothing holds evictions back")),
    ("scheduling.k8s.io", "PriorityClass", Anew::Safe("Pods keep the priority that they have")),
    ("storage.k8s.io", "StorageClass", Anew::Safe("volumes keep what they were made with")),
    ("node.k8s.io", "RuntimeClass", Anew::Safe("Pods that run keep their runtime")),
    ("networking.k8s.io", "IngressClass", Anew::Safe("controllers see it go and come")),
    ("rbac.authorization.k8s.io", "RoleBinding", Anew::Always),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", Anew::Always),
    ("", "Namespace", Anew::Never("everything in it would go with it")),
    ("", "PersistentVolumeClaim", Anew::Never("its data may go with it")),
    ("", "PersistentVolume", Anew::Never("its data may go with it")),
    ("", "Node", Anew::Never("its Pods would go with it")),
    ("apiextensions.k8s.io", "CustomResourceDefinition", Anew::Never("every object of its kind would go with it")),
    ("apiregistration.k8s.io", "APIService", Anew::Never("every object that it serves would be out of reach")),
    ("argoproj.io", "Application", Anew::Never("everything that it deploys may go with it")),
    ("argoproj.io", "ApplicationSet", Anew::Never("its Applications may go with it")),
    ("argoproj.io", "AppProject", Anew::Never("its Applications would stop meanwhile")),
];

/// Whether data or other objects would go with an object, so that it is not deleted unless somebody says so.
pub(crate) fn is_precious(key: &ObjectKey) -> bool {
    KINDS.iter().any(|(group, kind, anew)| *group == key.group && *kind == key.kind && matches!(anew, Anew::Never(_)))
}

/// What is done about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    /// It is deleted and made anew.
    Anew,
    /// It stays, and what can be done about it.
    Stays(String),
    /// The refusal is not about a change.
    Other,
}

/// Deletes an object that could not be changed, if that was asked for and may be, and waits until it is gone; else answers the
/// refusal with what can be done about it. `body` is what is to be made.
pub(crate) async fn make_way(
    order: &Order<'_>,
    manner: Manner,
    body: &Node,
    before: &Live,
    error: ClusterError,
) -> Result<(), ClusterError> {
    let node = before.node();
    match decide(order.target, &order.options, &node, &error) {
        Decision::Other => Err(error),
        Decision::Stays(remedy) => {
            Err(immutable::explained(&order.input(&node, manner, &Schema::unknown()), error, &remedy))
        }
        Decision::Anew => {
            let body = if manner == Manner::ClientSide { client_side::created(order, body) } else { body.clone() };
            delete(order, &body, before, &error).await
        }
    }
}

/// What a sync will say of a refusal that a dry run was answered with; nothing if it will make the object anew.
pub(crate) fn foretold(
    target: &Target,
    options: &Effective,
    input: &Input,
    error: ClusterError,
) -> Option<ClusterError> {
    match decide(target, options, input.live, &error) {
        Decision::Other => Some(error),
        Decision::Stays(remedy) => Some(immutable::explained(input, error, &remedy)),
        Decision::Anew => None,
    }
}

fn decide(target: &Target, options: &Effective, live: &Node, error: &ClusterError) -> Decision {
    let unchangeable = is_unchangeable(error);
    let forced = options.force && matches!(error, ClusterError::Refused { code: 422, .. });
    if !unchangeable && !forced {
        return Decision::Other;
    }
    let anew = of_object(&target.key, live);
    let wanted = forced || options.recreate;
    match anew {
        Anew::Always if unchangeable => Decision::Anew,
        Anew::Never(_) if !unchangeable => Decision::Other,
        Anew::Never(why) => Decision::Stays(format!(
            "it is never deleted to be made anew, because {why}: take the change back, or delete it by hand"
        )),
        Anew::Forced if !forced => Decision::Stays(
            "delete it by hand, or have it deleted and made anew by the sync option Force=true on the object, if nothing is lost \
             with it"
                .to_owned(),
        ),
        Anew::Safe(how) if !wanted => Decision::Stays(format!(
            "the sync option Recreate=true, on the application or the object, has it deleted and made anew ({how})"
        )),
        _ => match keeper(target.manifest.node()).or_else(|| keeper(live)) {
            Some(word) => Decision::Stays(format!(
                "it is not deleted to be made anew, because of its own '{word}': remove that, or set Recreate=true on the object itself"
            )),
            None => Decision::Anew,
        },
    }
}

/// What an object says of itself that keeps it from being deleted, unless it asks to be made anew as well.
fn keeper(node: &Node) -> Option<&'static str> {
    let options = object_options(node);
    if options.force || options.recreate == Some(true) {
        return None;
    }
    match (options.prune, options.delete) {
        _ if options.keep => Some("helm.sh/resource-policy: keep"),
        (Some(Consent::No), _) => Some("Prune=false"),
        (_, Some(Consent::No)) => Some("Delete=false"),
        (Some(Consent::Confirm), _) => Some("Prune=confirm"),
        (_, Some(Consent::Confirm)) => Some("Delete=confirm"),
        _ => None,
    }
}

fn of_object(key: &ObjectKey, live: &Node) -> Anew {
    let row = KINDS.iter().find(|(group, kind, _)| *group == key.group && *kind == key.kind);
    let anew = row.map_or(Anew::Forced, |(_, _, anew)| *anew);
    let deletes_claims =
        live.str_at(&["spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"]) == Some("Delete");
    if key.group == "apps" && key.kind == "StatefulSet" && deletes_claims {
        return Anew::Never("its volumes would go with it (persistentVolumeClaimRetentionPolicy.whenDeleted)");
    }
    anew
}

/// What becomes of what belongs to the object.
fn propagation(key: &ObjectKey, desired: &Node, live: &Node) -> Propagation {
    // The new one takes the Pods over if it selects them and they have the name that its Service gives them.
    let same = |path: &[&str]| desired.at(path) == live.at(path);
    let adopts = same(&["spec", "selector"]) && same(&["spec", "serviceName"]) && claims(desired) == claims(live);
    if key.group == "apps" && key.kind == "StatefulSet" && adopts {
        Propagation::Orphan
    } else {
        Propagation::Background
    }
}

/// The names of a StatefulSet's claims.
fn claims(node: &Node) -> Vec<&str> {
    let templates = node.list_at(&["spec", "volumeClaimTemplates"]).iter();
    templates.filter_map(|template| template.str_at(&["metadata", "name"])).collect()
}

/// Deletes an object as it was judged, once the server would take the new one, and waits until it is gone.
async fn delete(order: &Order<'_>, body: &Node, before: &Live, error: &ClusterError) -> Result<(), ClusterError> {
    let (cluster, key) = (order.cluster(), &order.target.key);
    match cluster.would_create(order.kind, body).await {
        Ok(()) => {}
        // Then the refusal itself has to do: it names all that is wrong, and that is the change.
        Err(ClusterError::Refused { message, .. })
            if is_nothing_else(error) && message.contains("does not support dry run") => {}
        Err(ClusterError::Refused { code, message, fields }) => {
            let message =
                format!("{message} (it is not deleted, because it would not be taken as a new object either)");
            return Err(ClusterError::Refused { code, message, fields });
        }
        Err(other) => return Err(other),
    }
    let node = before.node();
    let propagation = propagation(key, order.target.manifest.node(), &node);
    tracing::info!(application = %order.name, object = %key, ?propagation, "deleted to be made anew");
    cluster.delete(order.kind, key, &before.uid, &before.resource_version, propagation).await?;
    let began = Instant::now();
    let mut pause = PAUSE_MIN;
    while let Some(live) = cluster.fetch(order.kind, key).await? {
        // Somebody else has made one meanwhile: it is looked at before anything is written over it.
        if live.uid != before.uid {
            return Err(ClusterError::Conflict);
        }
        if began.elapsed() >= PATIENCE {
            return Err(ClusterError::Declined { message: still_there(&live.node()) });
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

fn still_there(live: &Node) -> String {
    let finalizers: Vec<&str> = live.list_at(&["metadata", "finalizers"]).iter().filter_map(Node::as_str).collect();
    let seconds = PATIENCE.as_secs();
    let why = if finalizers.is_empty() {
        String::new()
    } else {
        format!(", held by its finalizers {}", finalizers.join(", "))
    };
    format!(
        "it was deleted to be made anew and is still there after {seconds} s{why}: the next sync makes it once it is gone"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    fn key(group: &str, kind: &str) -> ObjectKey {
        ObjectKey::new(group, kind, "n", "x")
    }

    #[test]
    fn what_holds_data_or_other_objects_is_never_deleted() {
        for (group, kind) in [
            ("", "Namespace"),
            ("", "PersistentVolumeClaim"),
            ("", "PersistentVolume"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("argoproj.io", "Application"),
        ] {
            assert!(matches!(of_object(&key(group, kind), &Node::map()), Anew::Never(_)), "{kind}");
        }
        for (group, kind) in [("batch", "Job"), ("apps", "Deployment"), ("apps", "StatefulSet"), ("", "ConfigMap")] {
            assert!(matches!(of_object(&key(group, kind), &Node::map()), Anew::Safe(_)), "{kind}");
        }
        for (group, kind) in [("", "Service"), ("example.com", "Database"), ("example.com", "Job")] {
            assert_eq!(of_object(&key(group, kind), &Node::map()), Anew::Forced, "{group}/{kind}");
        }
        let deletes = json(r#"{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}"#);
        assert!(matches!(of_object(&key("apps", "StatefulSet"), &deletes), Anew::Never(_)));
    }

    #[test]
    fn what_is_done_about_a_refusal() {
        const CHANGE: &str = "spec.x: field is immutable";
        const OTHER: &str = "spec.x: Required value";
        let target = |api_version: &str, kind: &str, option: &str| {
            let node = json(&format!(
                r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{"name":"x","namespace":"n",
                    "annotations":{{"argocd.argoproj.io/sync-options":"{option}"}}}}}}"#
            ));
            let manifest = trueup_object::Manifest::try_from(node).unwrap();
            Target { key: manifest.key(), gvk: manifest.gvk(), digest: manifest.digest(), manifest }
        };
        // What is done: made anew (a), the refusal with a remedy that has this word, or the refusal as it is (-).
        for (api_version, kind, app, object, message, expected) in [
            ("apps/v1", "Deployment", &[][..], "", CHANGE, "Recreate=true"),
            ("apps/v1", "Deployment", &["Recreate=true"], "", CHANGE, "a"),
            ("apps/v1", "Deployment", &["Recreate=true"], "Recreate=false", CHANGE, "Recreate=true"),
            ("apps/v1", "Deployment", &[], "Recreate=true", CHANGE, "a"),
            ("apps/v1", "Deployment", &[], "Force=true", CHANGE, "a"),
            ("apps/v1", "Deployment", &["Recreate=true"], "Prune=false", CHANGE, "its own 'Prune=false'"),
            ("apps/v1", "Deployment", &["Recreate=true"], "", OTHER, "-"),
            ("apps/v1", "Deployment", &[], "Force=true", OTHER, "a"),
            ("v1", "Service", &["Recreate=true"], "", CHANGE, "Force=true"),
            ("v1", "Service", &[], "Force=true", CHANGE, "a"),
            ("example.com/v1", "Job", &["Recreate=true"], "", CHANGE, "Force=true"),
            ("v1", "PersistentVolumeClaim", &["Recreate=true"], "Force=true", CHANGE, "never deleted"),
            ("v1", "PersistentVolumeClaim", &[], "Force=true", OTHER, "-"),
            ("v1", "Namespace", &["Recreate=true"], "Force=true", CHANGE, "never deleted"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", &[], "", CHANGE, "a"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", &[], "", OTHER, "-"),
        ] {
            let target = target(api_version, kind, object);
            let app = trueup_api::SyncOptions::read(&app.iter().map(ToString::to_string).collect::<Vec<_>>());
            let options = object_options(target.manifest.node()).within(&app);
            let error = ClusterError::Refused { code: 422, message: message.to_owned(), fields: Vec::new() };
            let decision = decide(&target, &options, &Node::map(), &error);
            let holds = match (&decision, expected) {
                (Decision::Anew, "a") | (Decision::Other, "-") => true,
                (Decision::Stays(remedy), word) => remedy.contains(word),
                _ => false,
            };
            assert!(holds, "{kind} {object}: {decision:?}, not {expected}");
            // What is no refusal of the object changes nothing.
            assert_eq!(decide(&target, &options, &Node::map(), &ClusterError::Conflict), Decision::Other);
        }
    }

    #[test]
    fn pods_run_on_where_the_new_one_takes_them_over() {
        let set = |selector: &str, claim: &str, size: &str| {
            json(&format!(
                r#"{{"spec":{{"serviceName":"s","selector":{{"matchLabels":{{"a":"{selector}"}}}},
                    "volumeClaimTemplates":[{{"metadata":{{"name":"{claim}"}},"spec":{{"size":"{size}"}}}}]}}}}"#
            ))
        };
        let live = set("x", "data", "1Gi");
        for (desired, expected) in [
            (set("x", "data", "2Gi"), Propagation::Orphan),
            (set("y", "data", "1Gi"), Propagation::Background),
            (set("x", "other", "1Gi"), Propagation::Background),
        ] {
            assert_eq!(propagation(&key("apps", "StatefulSet"), &desired, &live), expected, "{desired}");
            assert_eq!(propagation(&key("apps", "Deployment"), &desired, &live), Propagation::Background);
        }
    }

    #[test]
    fn an_object_that_says_it_stays_is_not_deleted() {
        for (annotations, expected) in [
            ("{}", None),
            (r#"{"argocd.argoproj.io/sync-options":"Prune=true"}"#, None),
            (r#"{"argocd.argoproj.io/sync-options":"Prune=false"}"#, Some("Prune=false")),
            (r#"{"argocd.argoproj.io/sync-options":"Delete=confirm"}"#, Some("Delete=confirm")),
            (r#"{"helm.sh/resource-policy":"keep"}"#, Some("helm.sh/resource-policy: keep")),
            (r#"{"argocd.argoproj.io/sync-options":"Prune=false,Recreate=true"}"#, None),
            (r#"{"argocd.argoproj.io/sync-options":"Delete=false,Force=true"}"#, None),
        ] {
            let node = json(&format!(r#"{{"metadata":{{"annotations":{annotations}}}}}"#));
            assert_eq!(keeper(&node), expected, "{annotations}");
        }
    }
}
