//! Kubernetes Events: what `kubectl describe` shows of what we did. Entry point: [`Cluster::event`].

use serde_json::json;
use trueup_diff::MANAGER;
use trueup_object::{Digest, Gvk};

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
    /// The namespace of the object that it is about; empty for cluster-scoped ones.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The object's identity.
    pub uid: String,
    /// The object's version of the API, for example `argoproj.io/v1alpha1`.
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// `Normal` or `Warning`.
    pub event_type: String,
    /// The reason in one word, for example `OperationCompleted`.
    pub reason: String,
    /// What happened.
    pub message: String,
}

impl Cluster {
    /// Tells an Event. Its name follows from what it says and from the second in which it does, so that one told again
    /// after a lost answer is told once.
    pub async fn event(&self, event: &NewEvent) -> Result<(), ClusterError> {
        let kind = Kind {
            gvk: Gvk::from_api_version("v1", "Event"),
            plural: "events".to_owned(),
            namespaced: true,
            scale: false,
            status: false,
            watchable: true,
        };
        let namespace = event.home();
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let address = format!("{}?fieldManager={MANAGER}", kind.collection(Some(namespace))?);
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event.event_name(&at), "namespace": namespace},
            "involvedObject": {
                "apiVersion": event.api_version,
                "kind": event.kind,
                "namespace": event.namespace,
                "name": event.name,
                "uid": event.uid,
            },
            "type": event.event_type,
            "reason": event.reason,
            "message": cut(&event.message),
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "firstTimestamp": at,
            "lastTimestamp": at,
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
    /// Where it lives: Events about what has no namespace live in `default`.
    fn home(&self) -> &str {
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }

    fn event_name(&self, at: &str) -> String {
        let parts = [&self.uid, &self.event_type, &self.reason, &self.message, at];
        let digest = Digest::of_parts(parts).to_string();
        let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
        let name: String = self.name.chars().take(NAME_BYTES_MAX).map(plain).collect();
        format!("{}.{}", name.trim_matches('-'), &digest[..16])
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
            namespace: "argocd".to_owned(),
            name: name.to_owned(),
            uid: "u".to_owned(),
            api_version: "argoproj.io/v1alpha1".to_owned(),
            kind: "Application".to_owned(),
            event_type: "Normal".to_owned(),
            reason: "Synced".to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn the_name_follows_from_what_it_says_and_when() {
        let name = event("shop", "m").event_name("10:00:00");
        assert_eq!(name, event("shop", "m").event_name("10:00:00"));
        assert_ne!(name, event("shop", "n").event_name("10:00:00"));
        assert_ne!(name, event("shop", "m").event_name("10:00:01"));
        assert!(name.starts_with("shop."));
    }

    #[test]
    fn any_object_gives_a_name_that_the_server_takes() {
        for name in ["system:node", "a.b", "B-", &"x".repeat(253)] {
            let name = event(name, "m").event_name("");
            let (prefix, digits) = name.split_once('.').unwrap();
            assert!(name.len() <= 253 && digits.len() == 16, "{name}");
            assert!(prefix.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'), "{name}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(1000)).len(), 1024);
        assert_eq!(cut(&format!("x{}", "ä".repeat(1000))).len(), 1023);
    }
}
