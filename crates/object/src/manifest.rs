//! A tree that is a Kubernetes object: it has an `apiVersion`, a `kind` and a name.
//!
//! Entry point: `Manifest::try_from(node)`. The invariant holds for as long as the value lives, because the tree is
//! only changed through methods that keep it.

use crate::{Digest, Gvk, Node, ObjectKey};

/// The longest kind or name that is accepted, in bytes: the API server's own limit for names.
pub const NAME_BYTES_MAX: usize = 253;

/// A tree with an `apiVersion`, a `kind`, and a `metadata.name` or `metadata.generateName`.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest(Node);

/// What a tree lacks to be a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not a map at all.
    #[error("a manifest must be a map, this is something else")]
    NotAMap,
    /// A field that every object has is missing or empty.
    #[error("field '{0}' is missing: give it a value")]
    Missing(&'static str),
    /// A field that every object has is something else than a text.
    #[error("field '{field}' is {found}, not a string{}", if *.scalar {": quote the value, because YAML reads n, no, yes, on, 010 and 1e3 so"} else {""})]
    NotText {
        /// Which field.
        field: &'static str,
        /// What it is, with its article.
        found: &'static str,
        /// Whether it was perhaps written as a text, without quotes.
        scalar: bool,
    },
    /// A name or kind is longer than the API server would take.
    #[error("field '{0}' is longer than 253 bytes")]
    TooLong(&'static str),
    /// Labels or annotations hold something that is not a string.
    #[error("metadata.{field}['{key}'] is not a string: quote the value")]
    NotAString {
        /// `labels` or `annotations`.
        field: &'static str,
        /// The key in question.
        key: String,
    },
}

// === impl Manifest ===

impl TryFrom<Node> for Manifest {
    type Error = ManifestError;

    fn try_from(mut node: Node) -> Result<Self, ManifestError> {
        if node.as_map().is_none() {
            return Err(ManifestError::NotAMap);
        }
        required(&node, &["apiVersion"], "apiVersion")?;
        required(&node, &["kind"], "kind")?;
        if node.at(&["metadata", "name"]).is_some() || node.at(&["metadata", "generateName"]).is_none() {
            required(&node, &["metadata", "name"], "metadata.name")?;
        } else {
            required(&node, &["metadata", "generateName"], "metadata.generateName")?;
        }
        for field in ["labels", "annotations"] {
            string_map(&mut node, field)?;
        }
        if node.at(&["metadata", "namespace"]).is_some_and(Node::is_null) {
            node.remove_at(&["metadata", "namespace"]);
        }
        if node.at(&["metadata", "namespace"]).is_some() {
            required(&node, &["metadata", "namespace"], "metadata.namespace")?;
        }
        Ok(Self(node))
    }
}

impl Manifest {
    /// The whole tree.
    pub fn node(&self) -> &Node {
        &self.0
    }

    /// Gives up the tree.
    pub fn into_node(self) -> Node {
        self.0
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk::from_api_version(self.0.str_at(&["apiVersion"]).unwrap_or_default(), self.kind())
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        self.0.str_at(&["kind"]).unwrap_or_default()
    }

    /// The name; empty for an object that asks the server for one by `generateName`.
    pub fn name(&self) -> &str {
        self.0.str_at(&["metadata", "name"]).unwrap_or_default()
    }

    /// The namespace; empty if none is set.
    pub fn namespace(&self) -> &str {
        self.0.str_at(&["metadata", "namespace"]).unwrap_or_default()
    }

    /// What tells it from every other object.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.gvk().group, self.kind(), self.namespace(), self.name())
    }

    /// One annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0.at(&["metadata", "annotations"])?.get(key)?.as_str()
    }

    /// One label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.at(&["metadata", "labels"])?.get(key)?.as_str()
    }

    /// Sets one annotation.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.0.set_at(&["metadata", "annotations", key], value.into());
    }

    /// Sets the namespace; an empty one takes it out.
    pub fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.0.remove_at(&["metadata", "namespace"]);
        } else {
            self.0.set_at(&["metadata", "namespace"], namespace.into());
        }
    }

    /// Changes the body. `apiVersion`, `kind` and `metadata` are put back as they were.
    pub fn edit_body(&mut self, edit: impl FnOnce(&mut Node)) {
        let kept = ["apiVersion", "kind", "metadata"].map(|key| (key, self.0.get(key).cloned()));
        edit(&mut self.0);
        for (key, value) in kept {
            if let Some(value) = value {
                self.0.set_at(&[key], value);
            }
        }
    }

    /// The digest of the whole tree.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0.to_json())
    }
}

fn required(node: &Node, keys: &[&str], field: &'static str) -> Result<(), ManifestError> {
    let other = |found, scalar| Err(ManifestError::NotText { field, found, scalar });
    match node.at(keys) {
        None | Some(Node::Null) => Err(ManifestError::Missing(field)),
        Some(Node::String(text)) if text.is_empty() => Err(ManifestError::Missing(field)),
        Some(Node::String(text)) if text.len() > NAME_BYTES_MAX => Err(ManifestError::TooLong(field)),
        Some(Node::String(_)) => Ok(()),
        Some(Node::Bool(_)) => other("a boolean", true),
        Some(Node::Number(_)) => other("a number", true),
        Some(Node::List(_)) => other("a list", false),
        Some(Node::Map(_)) => other("a map", false),
    }
}

/// Drops null entries, as the API server does, and refuses what is no string.
fn string_map(node: &mut Node, field: &'static str) -> Result<(), ManifestError> {
    let Some(value) = node.as_map_mut().and_then(|map| map.get_mut("metadata")?.as_map_mut()?.get_mut(field)) else {
        return Ok(());
    };
    if value.is_null() {
        node.remove_at(&["metadata", field]);
        return Ok(());
    }
    let map = value.as_map_mut().ok_or(ManifestError::NotAString { field, key: String::new() })?;
    map.retain(|_, value| !value.is_null());
    match map.iter().find(|(_, value)| value.as_str().is_none()) {
        Some((key, _)) => Err(ManifestError::NotAString { field, key: key.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_yaml_reads_as_something_else_says_so() {
        let refused = |name: &str| {
            let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
            let node = crate::yaml::documents(text.as_bytes()).unwrap().remove(0).node;
            Manifest::try_from(node).unwrap_err().to_string()
        };
        for (name, found) in [("n", "a boolean"), ("yes", "a boolean"), ("010", "a number"), ("1e3", "a number")] {
            let message = refused(name);
            assert!(message.starts_with(&format!("field 'metadata.name' is {found}")), "{message}");
            assert!(message.contains("quote the value"), "{message}");
        }
        for name in ["", "null", "''"] {
            assert_eq!(refused(name), "field 'metadata.name' is missing: give it a value");
        }
        assert_eq!(refused("[a]"), "field 'metadata.name' is a list, not a string");
        assert_eq!(refused("{a: b}"), "field 'metadata.name' is a map, not a string");
    }
}
