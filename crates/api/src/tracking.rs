//! Which application an object belongs to, as its tracking annotation says: `app:group/Kind:namespace/name`.
//!
//! Cluster-scoped objects carry their application's destination namespace. Entry points: [`TrackingId::parse`] and
//! [`TrackingId::matches`], which tells a copied annotation from a true one.

use std::fmt;

use trueup_object::ObjectKey;

/// A tracking annotation, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrackingId {
    /// The application's tracking name; see [`crate::Meta::app_instance`].
    pub app: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace, also for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

// === impl TrackingId ===

impl TrackingId {
    /// The tracking id of an object.
    pub fn new(app: &str, key: &ObjectKey) -> Self {
        Self {
            app: app.to_owned(),
            group: key.group.to_string(),
            kind: key.kind.to_string(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
        }
    }

    /// Reads an annotation's value; what has another form is no tracking id.
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.splitn(3, ':');
        let (app, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, kind) = two(kind)?;
        let (namespace, name) = two(name)?;
        Some(Self {
            app: app.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether it stands on the object that it names. A namespace of a cluster-scoped object does not count.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        self.group == key.group.as_str()
            && self.kind == key.kind.as_str()
            && self.name == key.name.as_str()
            && (key.namespace.is_empty() || self.namespace == key.namespace.as_str())
    }
}

impl fmt::Display for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}:{}/{}", self.app, self.group, self.kind, self.namespace, self.name)
    }
}

/// Exactly two parts with a slash between them.
fn two(text: &str) -> Option<(&str, &str)> {
    text.split_once('/').filter(|(_, rest)| !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for value in ["shop:apps/Deployment:shop/web", "team_shop:/Namespace:shop/shop", "a:/ConfigMap:/x", ":/A:b/c"] {
            assert_eq!(TrackingId::parse(value).unwrap().to_string(), value);
        }
    }

    #[test]
    fn refuses_other_forms() {
        for value in [
            "",
            "shop",
            "shop:apps/Deployment",
            "shop:Deployment:shop/web",
            "shop:apps/v1/Deployment:shop/web",
            "shop:apps/Deployment:web",
            "a:b/c:d/e/f",
        ] {
            assert_eq!(TrackingId::parse(value), None, "{value}");
        }
    }

    #[test]
    fn keeps_colons_in_names_as_rbac_has_them() {
        let id = TrackingId::parse("a:rbac.authorization.k8s.io/ClusterRole:ns/system:node").unwrap();
        assert_eq!(id.name, "system:node");
    }

    #[test]
    fn a_copied_annotation_does_not_match() {
        let id = TrackingId::parse("shop:apps/Deployment:shop/web").unwrap();
        assert!(id.matches(&ObjectKey::new("apps", "Deployment", "shop", "web")));
        assert!(id.matches(&ObjectKey::new("apps", "Deployment", "", "web")));
        for key in [
            ObjectKey::new("apps", "ReplicaSet", "shop", "web"),
            ObjectKey::new("extensions", "Deployment", "shop", "web"),
            ObjectKey::new("apps", "Deployment", "other", "web"),
            ObjectKey::new("apps", "Deployment", "shop", "web-2"),
        ] {
            assert!(!id.matches(&key), "{key}");
        }
        assert_eq!(TrackingId::new("shop", &ObjectKey::new("apps", "Deployment", "shop", "web")), id);
    }
}
