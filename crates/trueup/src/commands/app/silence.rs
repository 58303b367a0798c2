//! Why nobody answers to what was asked of an Application. Entry point: [`explain`].

use std::time::Duration;

use trueup_cluster::Raw;
use trueup_object::{Gvk, Node};

use crate::commands::app::client::Client;
use crate::commands::app::view::{self, View};
use crate::output::style::one_line;

/// How long the cluster may take to say why; then it is not said.
const PATIENCE: Duration = Duration::from_secs(5);
/// The label that all installations of Argo CD give its controller.
const RIVAL_LABELS: &str = "app.kubernetes.io/name=argocd-application-controller";
/// The kinds that run it.
const RIVAL_KINDS: [&str; 2] = ["StatefulSet", "Deployment"];
/// The reason of the Event by which our controller says that it writes nothing.
const COMPARE_ONLY: &str = "CompareOnly";

/// Why nothing moves, and what to do, as far as this login may see it.
pub(crate) async fn explain(client: &Client, app: View<'_>) -> String {
    // Who governs an Application may lie in another namespace; until it has been looked at, nobody has said so.
    let namespace = view::or(app.text(&["status", "controllerNamespace"]), client.namespace());
    let known = tokio::time::timeout(PATIENCE, async {
        match rival(client, namespace).await {
            Some(why) => Some(why),
            None => compare_only(client, app).await,
        }
    });
    known.await.ok().flatten().unwrap_or_else(|| {
        format!(
            "no Trueup controller answers for namespace '{namespace}': start one ('trueup controller --namespace {namespace}'), or look at the log of the one that should"
        )
    })
}

/// Argo CD's own controller, if it runs beside us.
async fn rival(client: &Client, namespace: &str) -> Option<String> {
    for kind in RIVAL_KINDS {
        for node in list(client, namespace, &Gvk::from_api_version("apps/v1", kind), Some(RIVAL_LABELS)).await {
            if let Some(why) = running(kind, &node, namespace) {
                return Some(why);
            }
        }
    }
    None
}

fn running(kind: &str, workload: &Node, namespace: &str) -> Option<String> {
    // Absent replicas are one.
    let replicas = workload.i64_at(&["spec", "replicas"]).unwrap_or(1);
    let name = workload.str_at(&["metadata", "name"]).unwrap_or_default();
    (replicas > 0).then(|| {
        format!(
            "Argo CD's controller runs in namespace '{namespace}' ({kind} '{name}'), and Trueup writes nothing beside it: scale that to 0 replicas"
        )
    })
}

/// What our controller said of this Application.
async fn compare_only(client: &Client, app: View<'_>) -> Option<String> {
    let events = list(client, client.namespace(), &Gvk::from_api_version("v1", "Event"), None).await;
    said(&events, app)
}

/// The newest of the Events that say so; they are kept for an hour, so that their time matters.
fn said(events: &[Node], app: View<'_>) -> Option<String> {
    let uid = app.text(&["metadata", "uid"]);
    let event = events
        .iter()
        .filter(|event| event.str_at(&["reason"]) == Some(COMPARE_ONLY))
        .filter(|event| !uid.is_empty() && event.str_at(&["involvedObject", "uid"]) == Some(uid))
        .max_by_key(|event| event.str_at(&["lastTimestamp"]).unwrap_or_default())?;
    let text = |key: &str| one_line(event.str_at(&[key]).unwrap_or_default());
    Some(format!("the controller said at {}: {}", text("lastTimestamp"), text("message")))
}

/// The objects of a kind in a namespace; none where this login may not see them.
async fn list(client: &Client, namespace: &str, gvk: &Gvk, labels: Option<&str>) -> Vec<Node> {
    let Ok(kind) = client.cluster().kind(gvk).await else { return Vec::new() };
    let listed = client.cluster().list_raw(&kind, Some(namespace), labels).await.unwrap_or_default();
    let node = |raw: &Raw| Node::from_json(raw.json.get().as_bytes()).ok();
    listed.iter().filter_map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_rival_counts_while_it_has_replicas() {
        let why =
            running("StatefulSet", &node(r#"{"metadata":{"name":"c"},"spec":{"replicas":1}}"#), "argocd").unwrap();
        assert!(why.contains("namespace 'argocd' (StatefulSet 'c')") && why.contains("0 replicas"), "{why}");
        assert!(running("StatefulSet", &node(r#"{"metadata":{"name":"c"}}"#), "argocd").is_some());
        assert_eq!(running("StatefulSet", &node(r#"{"spec":{"replicas":0}}"#), "argocd"), None);
    }

    #[test]
    fn the_newest_event_about_this_very_application_counts() {
        let event = |uid: &str, reason: &str, at: &str, message: &str| {
            node(&format!(
                r#"{{"involvedObject":{{"uid":"{uid}"}},"reason":"{reason}","lastTimestamp":"{at}","message":"{message}"}}"#
            ))
        };
        let events = [
            event("u", "CompareOnly", "2026-11-24T10:00:00Z", "old"),
            event("u", "CompareOnly", "2026-11-24T11:00:00Z", "nothing is synced"),
            event("u", "Synced", "2026-11-24T12:00:00Z", "synced"),
            event("other", "CompareOnly", "2026-11-24T12:00:00Z", "other"),
        ];
        let app = node(r#"{"metadata":{"uid":"u"}}"#);
        let said = |app: &Node| said(&events, View(app));
        assert_eq!(said(&app).unwrap(), "the controller said at 2026-11-24T11:00:00Z: nothing is synced");
        assert_eq!(said(&node(r#"{"metadata":{}}"#)), None);
    }
}
