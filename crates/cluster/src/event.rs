//! Kubernetes Events: what `kubectl describe` shows of what we did. Entry point: [`Cluster::event`].

use serde_json::json;
use trueup_diff::MANAGER;
use trueup_object::{Digest, Gvk, ObjectKey};

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::Kind;
use crate::request::{Call, JSON};

/// The most bytes of an Event's message: the newer Event API takes no more.
pub(crate) const EVENT_MESSAGE_BYTES_MAX: usize = 1024;
/// The most bytes that an Event's name takes from the object's: 253 less a dot and 16 digits.
const NAME_BYTES_MAX: usize = 236;

/// An Event to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What it is about.
    pub about: ObjectKey,
    /// At which version of the API, for example `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// The object's identity.
    pub uid: String,
    /// The object's version.
    pub resource_version: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// The reason in one word, for example `OperationCompleted`.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// When, as RFC 3339 in whole seconds. The same Event at the same time is told once.
    pub at: String,
}

impl Cluster {
    /// Tells an Event. Its name follows from what it says, so that one told again after a lost answer is told once.
    pub async fn event(&self, event: &NewEvent) -> Result<(), ClusterError> {
        let kind = Kind {
            gvk: Gvk::from_api_version("v1", "Event"),
            plural: "events".to_owned(),
            namespaced: true,
            scale: false,
            status: false,
            watchable: true,
        };
        let namespace = event.namespace();
        let mut address = kind.collection(Some(namespace))?;
        address.push_str(&format!("?fieldManager={MANAGER}"));
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event.name(), "namespace": namespace},
            "involvedObject": {
                "apiVersion": event.api_version,
                "kind": event.about.kind,
                "namespace": event.about.namespace,
                "name": event.about.name,
                "uid": event.uid,
                "resourceVersion": event.resource_version,
            },
            "type": if event.warning { "Warning" } else { "Normal" },
            "reason": event.reason,
            "message": cut(&event.message),
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "firstTimestamp": event.at,
            "lastTimestamp": event.at,
            "count": 1,
        });
        let call = Call::new(Verb::Create, &kind, address).with_body(JSON, body.to_string().into_bytes(), false);
        match self.requests().send(&call).await {
            Ok(_) | Err(ClusterError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

// === impl NewEvent ===

impl NewEvent {
    /// Events about what has no namespace live in `default`.
    fn namespace(&self) -> &str {
        if self.about.namespace.is_empty() { "default" } else { &self.about.namespace }
    }

    fn name(&self) -> String {
        let parts = [&self.uid, &self.reason, &self.message, &self.at];
        let digest = Digest::of_parts(parts).to_string();
        let plain =
            |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.' { c } else { '-' };
        let name: String = self.about.name.chars().take(NAME_BYTES_MAX).map(plain).collect();
        format!("{}.{}", name.trim_matches(['-', '.']), &digest[..16])
    }
}

fn cut(message: &str) -> &str {
    let end = (0..=EVENT_MESSAGE_BYTES_MAX.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    &message[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, message: &str) -> NewEvent {
        NewEvent {
            about: ObjectKey::new("argoproj.io", "Application", "argocd", name),
            api_version: "argoproj.io/v1alpha1".to_owned(),
            uid: "u".to_owned(),
            resource_version: "1".to_owned(),
            warning: false,
            reason: "Synced".to_owned(),
            message: message.to_owned(),
            at: "2026-11-24T10:00:00Z".to_owned(),
        }
    }

    #[test]
    fn the_name_follows_from_what_it_says() {
        assert_eq!(event("shop", "m").name(), event("shop", "m").name());
        assert_ne!(event("shop", "m").name(), event("shop", "n").name());
        assert!(event("shop", "m").name().starts_with("shop."));
    }

    #[test]
    fn any_object_gives_a_name_that_the_server_takes() {
        for name in ["system:node", "ä-B.", &"x".repeat(253)] {
            let name = event(name, "m").name();
            assert!(name.len() <= 253, "{name}");
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.'));
            assert!(!name.contains("-.") || name.is_empty(), "{name}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(1000)).len(), 1024);
        assert_eq!(cut(&format!("x{}", "ä".repeat(1000))).len(), 1023);
    }
}
