//! A kind that the API server serves. Entry point: [`Kind`]; made by discovery alone.

use std::fmt::Write as _;

use trueup_object::{Gvk, ObjectKey};

use crate::error::ClusterError;

/// A kind that the API server serves at one version, and how it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts that discovery tells")]
pub struct Kind {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// The plural name that stands in addresses, for example `deployments`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it has a `scale` subresource: autoscalers may own its replicas.
    pub scale: bool,
    /// Whether it has a `status` subresource: its status cannot be applied.
    pub status: bool,
    /// Whether it can be listed and watched.
    pub watchable: bool,
}

/// Why a kind is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// The API server does not serve this kind at this version.
    #[error("the cluster does not serve {0}: install its CustomResourceDefinition or correct apiVersion and kind")]
    NotServed(Gvk),
    /// The API server could not tell.
    #[error("cannot find out whether the cluster serves {gvk}: {message}")]
    Failed {
        /// The kind in question.
        gvk: Gvk,
        /// What failed.
        message: String,
    },
}

// === impl Kind ===

impl Kind {
    /// Whether this is the kind whose values are secret.
    pub fn is_secret(&self) -> bool {
        self.gvk.group.is_empty() && self.gvk.kind == "Secret"
    }

    /// The key of an object of this kind.
    pub fn key(&self, namespace: &str, name: &str) -> ObjectKey {
        let namespace = if self.namespaced { namespace } else { "" };
        ObjectKey::new(&self.gvk.group, &self.gvk.kind, namespace, name)
    }

    /// The address of all its objects, or of those in one namespace.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> Result<String, ClusterError> {
        let mut path = if self.gvk.group.is_empty() {
            format!("/api/{}", self.gvk.version)
        } else {
            format!("/apis/{}/{}", self.gvk.group, self.gvk.version)
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path.push_str("/namespaces/");
            segment(&mut path, "metadata.namespace", namespace)?;
        }
        path.push('/');
        path.push_str(&self.plural);
        Ok(path)
    }

    /// The address of one object.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> Result<String, ClusterError> {
        let mut path = self.collection(Some(namespace))?;
        path.push('/');
        segment(&mut path, "metadata.name", name)?;
        Ok(path)
    }
}

/// Adds a name that came from Git to an address. What would lead to another address is refused as the server would.
fn segment(path: &mut String, field: &str, name: &str) -> Result<(), ClusterError> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']) {
        let message = if name.is_empty() {
            format!("{field} is missing")
        } else {
            format!("{field} '{name}' may not be '.' or '..' nor contain '/' or '%'")
        };
        return Err(ClusterError::Refused { code: 422, message, fields: vec![format!(".{field}")] });
    }
    escape(path, name);
    Ok(())
}

/// Adds a text to an address so that it stays one word of it.
pub(crate) fn escape(address: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Kind {
        let gvk = Gvk::from_api_version(api_version, kind);
        Kind { gvk, plural: plural.to_owned(), namespaced, scale: false, status: false, watchable: true }
    }

    #[test]
    fn addresses_follow_group_and_scope() {
        let deployment = kind("apps/v1", "Deployment", "deployments", true);
        assert_eq!(deployment.collection(None).unwrap(), "/apis/apps/v1/deployments");
        assert_eq!(deployment.object("a", "b").unwrap(), "/apis/apps/v1/namespaces/a/deployments/b");
        let namespace = kind("v1", "Namespace", "namespaces", false);
        assert_eq!(namespace.object("", "b").unwrap(), "/api/v1/namespaces/b");
        assert_eq!(namespace.object("ignored", "b").unwrap(), "/api/v1/namespaces/b");
    }

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        let config_map = kind("v1", "ConfigMap", "configmaps", true);
        for (namespace, name) in [("a", "../x"), ("a", ".."), ("a", ""), ("", "x"), ("..", "x"), ("a", "x%2Fy")] {
            let error = config_map.object(namespace, name).unwrap_err();
            assert!(matches!(error, ClusterError::Refused { code: 422, .. }), "{namespace} {name}");
        }
        let path = config_map.object("a", "x?force=true#é").unwrap();
        assert_eq!(path, "/api/v1/namespaces/a/configmaps/x%3Fforce%3Dtrue%23%C3%A9");
        assert!(config_map.object("a", "system:node").unwrap().ends_with("/system:node"));
    }
}
