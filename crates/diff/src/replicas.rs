//! Replicas that belong to an autoscaler.

use trueup_object::Node;

/// The manifest as it is sent: without what belongs to an autoscaler or to the API server itself.
pub fn to_send(desired: &Node, live: Option<&Node>, scalers: &[&str]) -> Node {
    let _ = (live, scalers);
    desired.clone()
}
