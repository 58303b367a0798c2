//! One object as the cluster has it.
//!
//! Keeps the text that the API server sent, boxed to its size, and what every question about it needs. Invariant: the
//! text is an object with a name. Entry point: [`Live::node`].

use std::fmt;
use std::sync::Arc;

use trueup_object::{Gvk, Node, ObjectKey};

use crate::error::ClusterError;
use crate::head::{Head, number};
use crate::kind::Kind;
use crate::tracking::Claim;

/// One object as the cluster has it, at the version of one watch.
pub struct Live {
    /// Tells the object from all others.
    pub key: ObjectKey,
    /// At which version it was read.
    pub gvk: Gvk,
    /// Its identity: another object of the same name has another.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// The whole tracking annotation, whoever it names.
    pub app: Option<String>,
    /// The annotation that names the installation.
    pub installation: Option<String>,
    /// Whether it belongs to another object, which then removes it.
    pub owned: bool,
    /// Whether it is on its way out.
    pub deleting: bool,
    json: Box<[u8]>,
}

// === impl Live ===

impl Live {
    /// Keeps an object; the text is boxed to its size.
    pub(crate) fn new(gvk: &Gvk, head: &Head<'_>, json: Box<[u8]>) -> Self {
        Self {
            key: key(gvk, head),
            gvk: gvk.clone(),
            uid: head.uid.to_string(),
            resource_version: head.resource_version.to_string(),
            app: head.tracking_id().map(str::to_owned),
            installation: head.installation_id().map(str::to_owned),
            owned: head.owned(),
            deleting: head.deleting(),
            json,
        }
    }

    /// Reads an answer of the API server; `None` if it is no object.
    pub(crate) fn read(kind: &Kind, json: Vec<u8>) -> Option<Self> {
        let json = json.into_boxed_slice();
        let mut live = Self::new(&kind.gvk, &Head::read(&json)?, Box::default());
        live.json = json;
        Some(live)
    }

    /// The object as a tree, made anew each time.
    pub fn node(&self) -> Node {
        // The text has been read as JSON before, and what nests deeper than we read is refused by the server.
        let mut node = Node::from_json(&self.json).unwrap_or_default();
        let map = node.force_map();
        // The items of a list of built-in objects do not say what they are.
        if !map.contains("apiVersion") {
            map.insert("apiVersion", Node::string(self.gvk.api_version()));
        }
        if !map.contains("kind") {
            map.insert("kind", Node::String(self.gvk.kind.clone()));
        }
        node
    }

    /// The text as the API server sent it. It may hold secret values, and may lack `apiVersion` and `kind`.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The application of this installation that claims this object with an annotation that names this very object.
    pub fn claimed_by(&self, installation: &str) -> Option<&str> {
        let claim = Claim::of(self.app.as_deref(), self.installation.as_deref(), &self.key, installation)?;
        Some(claim.app)
    }

    /// Its version as a number, where it is one.
    pub(crate) fn version(&self) -> Option<u64> {
        number(&self.resource_version)
    }
}

/// The object that a write was answered with.
pub(crate) fn answered(kind: &Kind, answer: Vec<u8>) -> Result<Arc<Live>, ClusterError> {
    let live = Live::read(kind, answer).map(Arc::new);
    live.ok_or_else(|| ClusterError::Malformed { message: format!("it is no {}", kind.gvk) })
}

/// The key of an object with this head.
pub(crate) fn key(gvk: &Gvk, head: &Head<'_>) -> ObjectKey {
    ObjectKey {
        group: gvk.group.clone(),
        kind: gvk.kind.clone(),
        namespace: head.namespace.as_ref().into(),
        name: head.name.as_ref().into(),
    }
}

/// Names the object and its size; the text may hold secret values.
impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ({} bytes)", self.key, self.resource_version, self.json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_a_list_learns_what_it_is() {
        let gvk = Gvk::from_api_version("apps/v1", "Deployment");
        let json = br#"{"metadata":{"name":"a","namespace":"n"},"data":{"p":"hunter2"}}"#;
        let live = Live::new(&gvk, &Head::read(json).unwrap(), json.to_vec().into_boxed_slice());
        let node = live.node();
        assert_eq!((node.str_at(&["apiVersion"]), node.str_at(&["kind"])), (Some("apps/v1"), Some("Deployment")));
        assert_eq!(live.key, ObjectKey::new("apps", "Deployment", "n", "a"));
        assert!(!format!("{live:?}").contains("hunter2"));
    }
}
