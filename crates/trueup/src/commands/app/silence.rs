//! Why nobody answers to what was asked of an Application. Entry point: [`explain`].

use std::time::Duration;

use trueup_object::{Gvk, Node};

use crate::commands::app::client::Client;
use crate::commands::app::view::View;
use crate::commands::rival::rival;
use crate::output::style::one_line;

/// How long the cluster may take to say why; then it is not said.
const PATIENCE: Duration = Duration::from_secs(5);
/// The reason of the Event by which our controller says that it writes nothing.
const COMPARE_ONLY: &str = "CompareOnly";

/// Why nothing moves, and what to do, as far as this login may see it.
pub(crate) async fn explain(client: &Client, app: View<'_>) -> String {
    // Who governs an Application may lie in another namespace; until it has been looked at, nobody has said so.
    let namespace = client.governed_from(app);
    let known = tokio::time::timeout(PATIENCE, async {
        match rival(client.cluster(), namespace).await {
            Ok(Some(rival)) => Some(format!(
                "Argo CD's controller runs in namespace '{namespace}' ({rival}), and Trueup writes nothing beside it: scale that to 0 replicas"
            )),
            // What cannot be looked for may still have been said.
            Ok(None) | Err(_) => compare_only(client, app).await,
        }
    });
    known.await.ok().flatten().unwrap_or_else(|| {
        format!(
            "no Trueup controller answers for namespace '{namespace}': start one ('trueup controller --namespace {namespace}'), or look at the log of the one that should"
        )
    })
}

/// What our controller said of this Application.
async fn compare_only(client: &Client, app: View<'_>) -> Option<String> {
    let kind = client.cluster().kind(&Gvk::from_api_version("v1", "Event")).await.ok()?;
    let listed = client.cluster().list_raw(&kind, Some(client.namespace()), None).await.ok()?;
    let events = listed.iter().filter_map(|raw| Node::from_json(raw.json.get().as_bytes()).ok());
    said(&events.collect::<Vec<_>>(), app)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
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
