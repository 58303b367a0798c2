//! Hooks that nobody waits for any more: their Application is gone, and our finalizer must not keep them for ever.
//!
//! Keeps nothing. Invariant: only what bears our own mark is touched, and nothing of it but our finalizer: that is our own affair,
//! as a status is. Entry points: [`let_go`] when an Application goes, [`find`] for those that went unseen.

use std::sync::Arc;

use trueup_api::annotations;
use trueup_cluster::{Claimed, Cluster, Kind, Live};
use trueup_object::{Gvk, Node};

use crate::hooks;
use crate::world::World;

/// The kinds whose objects may be deleted by others soon after they end: only these get our finalizer.
const VANISHING: [(&str, &str); 2] = [("batch", "Job"), ("argoproj.io", "Workflow")];

/// Lets the hooks of an Application go that is gone. What the index has of it must not have been forgotten yet.
pub(crate) fn let_go(world: &World, name: &str) {
    for (gvk, key) in world.cluster.tracked(name) {
        if let Some(live) = world.cluster.live(&gvk, &key).filter(|live| is_held(&live.node())) {
            let cluster = world.cluster.clone();
            tokio::spawn(async move { release(&cluster, &gvk, &live).await });
        }
    }
}

/// Lets hooks go, among the objects of a kind, whose Application went while nobody looked.
pub(crate) async fn find(world: &World, kind: &Kind, claimed: &[Claimed]) {
    if !VANISHING.contains(&(kind.gvk.group.as_str(), kind.gvk.kind.as_str())) {
        return;
    }
    for claimed in claimed.iter().filter(|claimed| world.is_gone(&claimed.app)) {
        match world.cluster.fetch(kind, &claimed.key).await {
            Ok(Some(live)) if is_held(&live.node()) => release(&world.cluster, &kind.gvk, &live).await,
            Ok(_) => {}
            Err(error) => tracing::warn!(hook = %claimed.key, %error, "what an Application left behind cannot be read"),
        }
    }
}

/// Whether our finalizer keeps a hook that we made.
pub(crate) fn is_held(node: &Node) -> bool {
    let finalizers = node.list_at(&["metadata", "finalizers"]);
    node.str_at(&["metadata", "annotations", annotations::HOOK_RUN]).is_some()
        && finalizers.iter().any(|finalizer| finalizer.as_str() == Some(annotations::HOOK_FINALIZER))
}

async fn release(cluster: &Cluster, gvk: &Gvk, live: &Arc<Live>) {
    // Without its kind it cannot be there.
    let Ok(kind) = cluster.kind(gvk).await else { return };
    if let Err(error) = hooks::release(cluster, &kind, &live.key, live).await {
        tracing::warn!(hook = %live.key, %error, "the hook of an Application that is gone cannot be let go: remove its finalizer {} by hand", annotations::HOOK_FINALIZER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_bears_our_mark_and_our_finalizer_is_let_go() {
        for (mark, finalizer, expected) in [
            (annotations::HOOK_RUN, annotations::HOOK_FINALIZER, true),
            // Argo CD's own.
            ("a/b", annotations::HOOK_FINALIZER, false),
            (annotations::HOOK_RUN, "a/b", false),
        ] {
            let json =
                format!(r#"{{"metadata":{{"annotations":{{"{mark}":"x"}},"finalizers":["c/d","{finalizer}"]}}}}"#);
            assert_eq!(is_held(&Node::from_json(json.as_bytes()).unwrap()), expected, "{mark} {finalizer}");
        }
    }
}
