//! An object put in the place of what is there: `Replace=true`.
//!
//! What Git does not have goes, as the option says, but for what keeps an object alive or says whose it is: finalizers and
//! owners are others' words, and an autoscaler keeps its replicas. Entry point: [`replace`].

use std::sync::Arc;

use trueup_cluster::{ClusterError, Live};
use trueup_diff::{is_application, with_pause};
use trueup_object::Node;

use crate::perform::Order;

/// What of the metadata is never taken away by a replacement.
const KEPT: [&str; 2] = ["finalizers", "ownerReferences"];

/// Replaces what is there at the version that was judged, or makes it.
pub(crate) async fn replace(order: &Order<'_>, body: &Node, before: Option<&Live>) -> Result<Arc<Live>, ClusterError> {
    let (cluster, validate) = (order.cluster(), order.options.validate);
    match before {
        None => cluster.create_validated(order.kind, body, validate).await,
        Some(live) => {
            let body = successor(order.target.manifest.node(), body, &live.node());
            cluster.replace(order.kind, &body, &live.resource_version, validate).await
        }
    }
}

/// What is put in the place of `live`. `body` is what is sent of `desired`.
fn successor(desired: &Node, body: &Node, live: &Node) -> Node {
    let mut body = with_others(desired, body, live);
    for field in KEPT {
        keep(&mut body, &["metadata", field], live);
    }
    if is_application(live) {
        // They have no status subresource: what is known of it, and what is asked of it, would go.
        keep(&mut body, &["status"], live);
        keep(&mut body, &["operation"], live);
    }
    body
}

/// What is sent of `desired`, with what is left to others and would be lost by a write that takes nothing over from `live`.
pub(crate) fn with_others(desired: &Node, body: &Node, live: &Node) -> Node {
    let mut body = body.clone();
    // Git has replicas and they are not sent: they are an autoscaler's.
    if desired.at(&["spec", "replicas"]).is_some() {
        keep(&mut body, &["spec", "replicas"], live);
    }
    // An aggregated ClusterRole's are the server's.
    if desired.get("rules").is_some() {
        keep(&mut body, &["rules"], live);
    }
    // A pause of an Application is whoever's who set it.
    with_pause(body, live)
}

fn keep(body: &mut Node, path: &[&str], live: &Node) {
    if body.at(path).is_none()
        && let Some(value) = live.at(path)
    {
        body.set_at(path, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_replacement_keeps() {
        for (desired, body, live, expected) in [
            (r#"{"data":{"a":"1"}}"#, r#"{"data":{"a":"1"}}"#, r#"{"data":{"b":"1"}}"#, r#"{"data":{"a":"1"}}"#),
            (
                r#"{"metadata":{"name":"x"}}"#,
                r#"{"metadata":{"name":"x"}}"#,
                r#"{"metadata":{"name":"x","finalizers":["f"],"ownerReferences":[{"uid":"u"}],"labels":{"a":"b"}}}"#,
                r#"{"metadata":{"finalizers":["f"],"name":"x","ownerReferences":[{"uid":"u"}]}}"#,
            ),
            // Git's own word counts.
            (
                r#"{"metadata":{"finalizers":[]}}"#,
                r#"{"metadata":{"finalizers":[]}}"#,
                r#"{"metadata":{"finalizers":["f"]}}"#,
                r#"{"metadata":{"finalizers":[]}}"#,
            ),
            // An autoscaler's replicas, and a default that nobody asked for.
            (
                r#"{"spec":{"replicas":1}}"#,
                r#"{"spec":{}}"#,
                r#"{"spec":{"replicas":7}}"#,
                r#"{"spec":{"replicas":7}}"#,
            ),
            (r#"{"spec":{}}"#, r#"{"spec":{}}"#, r#"{"spec":{"replicas":7}}"#, r#"{"spec":{}}"#),
            (r#"{"rules":[]}"#, r"{}", r#"{"rules":[1]}"#, r#"{"rules":[1]}"#),
        ] {
            assert_eq!(successor(&json(desired), &json(body), &json(live)), json(expected), "{desired}");
        }
    }

    #[test]
    fn an_application_keeps_what_git_never_has() {
        let application = |rest: &str| {
            json(&format!(r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","spec":{{}}{rest}}}"#))
        };
        let rest = r#","metadata":{"annotations":{"trueup.dev/pause":"r"}},"operation":{},"status":{"history":[]}"#;
        let desired = application("");
        assert_eq!(successor(&desired, &desired, &application(rest)), application(rest));
    }
}
