//! Events on Applications: what `kubectl describe` shows.
//!
//! They are told once per cause, and in the background: nothing waits for them, and a lost one changes nothing.

use std::sync::Arc;

use trueup_api::Application;
use trueup_cluster::NewEvent;

use crate::world::World;

/// The longest message, in bytes: the API server takes 1024.
const MESSAGE_BYTES_MAX: usize = 1000;

/// Tells an event of type `Normal`.
pub(crate) fn normal(world: &Arc<World>, application: &Application, reason: &'static str, message: &str) {
    tell(world, application, "Normal", reason, message);
}

/// Tells an event of type `Warning`.
pub(crate) fn warning(world: &Arc<World>, application: &Application, reason: &'static str, message: &str) {
    tell(world, application, "Warning", reason, message);
}

fn tell(world: &Arc<World>, application: &Application, kind: &'static str, reason: &'static str, message: &str) {
    let event = NewEvent {
        namespace: application.meta.namespace.clone(),
        name: application.meta.name.clone(),
        uid: application.meta.uid.clone(),
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "Application".to_owned(),
        event_type: kind.to_owned(),
        reason: reason.to_owned(),
        message: cut(message),
    };
    let world = Arc::clone(world);
    tokio::spawn(async move {
        if let Err(error) = world.cluster.event(&event).await {
            tracing::debug!(application = %event.name, %error, "an event cannot be told");
        }
    });
}

fn cut(message: &str) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "ä".repeat(MESSAGE_BYTES_MAX);
        assert!(cut(&long).len() <= MESSAGE_BYTES_MAX + '…'.len_utf8());
    }
}
