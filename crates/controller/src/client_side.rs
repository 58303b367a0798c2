//! Client-side apply: `ServerSideApply=false`, strategic directives, and servers without server-side apply.
//!
//! A patch from what Git says, what it said and what is there, merged by the server at the version that was judged; what was
//! applied is noted on the object as kubectl notes it. Entry point: [`apply`].

use std::sync::Arc;

use trueup_cluster::{ClusterError, Live, Merge};
use trueup_diff::{PatchStyle, three_way, with_last_applied, without_directives};
use trueup_object::Node;

use crate::perform::Order;

/// Applies an object by a patch, or makes it.
pub(crate) async fn apply(order: &Order<'_>, body: &Node, before: Option<&Live>) -> Result<Arc<Live>, ClusterError> {
    let cluster = order.cluster();
    let Some(live) = before else {
        return cluster.create_validated(order.kind, &created(order, body), order.options.validate).await;
    };
    let style = PatchStyle::of_group(&order.kind.gvk.group);
    let schema = cluster.openapi(&order.kind.gvk).await?;
    let patch = three_way(body, order.base, &live.node(), &schema, order.former, style);
    let how = match style {
        PatchStyle::Strategic => Merge::Strategic,
        PatchStyle::Json => Merge::Json,
    };
    let validate = order.options.validate;
    cluster.merge(order.kind, &order.target.key, &patch, how, &live.resource_version, validate).await
}

/// A new object: what the directives leave of the manifest, and the note of all of it.
pub(crate) fn created(order: &Order<'_>, body: &Node) -> Node {
    let plain = match PatchStyle::of_group(&order.kind.gvk.group) {
        PatchStyle::Strategic => without_directives(body),
        PatchStyle::Json => body.clone(),
    };
    with_last_applied(&plain, body)
}
