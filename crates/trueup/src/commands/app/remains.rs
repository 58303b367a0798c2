//! What is left of an Application whose deletion has not ended. Entry point: [`remains`].

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use trueup_api::annotations::{BACKGROUND_FINALIZER, FOREGROUND_FINALIZER, RESOURCES_FINALIZER};
use trueup_cluster::Live;
use trueup_object::{Gvk, Node, ObjectKey};

use crate::commands::app::client::Client;
use crate::commands::app::view::{self, View};
use crate::output::style::one_line;

/// How long the cluster may take to say what is left; then that much is said.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many objects are asked for at a time.
const AT_ONCE: usize = 8;
/// How many objects are named: more are no help to whoever looks for the one that blocks.
const NAMED_MAX: usize = 10;
/// The finalizers that go when the objects have gone: they block nothing by themselves.
pub(super) const CASCADING: [&str; 3] = [RESOURCES_FINALIZER, FOREGROUND_FINALIZER, BACKGROUND_FINALIZER];

/// What keeps an Application from being gone, in words: the finalizers of others, and the objects that are still there.
pub(super) async fn remains(client: &Client, name: &str, cascade: bool) -> Option<String> {
    let mut said = Vec::new();
    // What comes in time is said.
    let _ended = tokio::time::timeout(PATIENCE, async {
        let found = client.cluster().get_raw(client.kind(), client.namespace(), name).await;
        let Some(app) = found.ok().flatten().and_then(|text| client.read(&text).ok()) else { return };
        said.extend(held(View(&app)));
        if !cascade {
            return;
        }
        let objects = app.list_at(&["status", "resources"]).iter().map(|entry| look(client, entry));
        let mut objects = stream::iter(objects).buffered(AT_ONCE);
        let mut more = 0;
        while let Some(object) = objects.next().await {
            match object {
                Some(object) if said.len() < NAMED_MAX => said.push(object),
                Some(_) => more += 1,
                None => {}
            }
        }
        said.extend((more > 0).then(|| format!("and {more} more")));
    })
    .await;
    (!said.is_empty()).then(|| format!("still there: {}", said.join("; ")))
}

/// What keeps the Application itself, beside its objects.
fn held(app: View<'_>) -> Option<String> {
    let finalizers = finalizers(app.0).filter(|finalizer| !CASCADING.contains(finalizer));
    kept(finalizers).map(|kept| format!("the Application itself, {kept}"))
}

/// An object of the inventory, if it is there.
async fn look(client: &Client, entry: &Node) -> Option<String> {
    let key = view::key(entry);
    let text = |field: &str| entry.str_at(&[field]).unwrap_or_default();
    let gvk = Gvk { group: text("group").into(), version: text("version").into(), kind: text("kind").into() };
    // What cannot be read is not known to be left.
    let kind = client.cluster().kind(&gvk).await.ok()?;
    let live = client.cluster().fetch(&kind, &key).await.ok()??;
    Some(object(&key, &live))
}

fn object(key: &ObjectKey, live: &Live) -> String {
    let node = live.node();
    let why = match (live.deleting, kept(finalizers(&node))) {
        (false, _) => "not being deleted".to_owned(),
        (true, Some(kept)) => kept,
        (true, None) => "being deleted".to_owned(),
    };
    one_line(&format!("{key}, {why}"))
}

fn kept<'a>(finalizers: impl Iterator<Item = &'a str>) -> Option<String> {
    let all: Vec<&str> = finalizers.collect();
    (!all.is_empty()).then(|| one_line(&format!("kept by the finalizers {}", all.join(", "))))
}

fn finalizers(object: &Node) -> impl Iterator<Item = &str> {
    object.list_at(&["metadata", "finalizers"]).iter().filter_map(Node::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finalizers_of_others_keep_an_application() {
        let held = |finalizers: &str| {
            let app = Node::from_json(format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#).as_bytes()).unwrap();
            held(View(&app))
        };
        assert_eq!(held(&format!(r#"["{RESOURCES_FINALIZER}"]"#)), None);
        assert_eq!(held("null"), None);
        let both = format!(r#"["{BACKGROUND_FINALIZER}", "example.com/a", "example.com/b"]"#);
        assert_eq!(held(&both).unwrap(), "the Application itself, kept by the finalizers example.com/a, example.com/b");
    }
}
