//! The tracking annotation: which application says that an object is its own.
//!
//! Entry point: [`Claim::read`]. An annotation that was copied to another object (a Service's to its Endpoints) names
//! an object that it does not sit on, and claims nothing.

use trueup_object::ObjectKey;

/// The annotation that names the application.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// What a tracking annotation says: `<app>:<group>/<Kind>:<ns>/<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim<'a> {
    /// The application.
    pub(crate) app: &'a str,
    group: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads the annotation's value.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (app, rest) = text.split_once(':')?;
        let (kind, object) = rest.split_once(':')?;
        let (group, kind) = kind.split_once('/')?;
        // A name may hold colons (`system:node`), a namespace may not hold slashes.
        let (namespace, name) = object.split_once('/')?;
        (!app.is_empty() && !name.is_empty()).then_some(Self { app, group, kind, namespace, name })
    }

    /// Whether the object that bears the annotation is the one that it names. Cluster-scoped objects may be claimed with
    /// the application's namespace.
    pub(crate) fn names(&self, key: &ObjectKey) -> bool {
        self.group == key.group
            && self.kind == key.kind
            && self.name == key.name
            && (key.namespace.is_empty() || self.namespace == key.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_argo_cd_writes() {
        let cases = [
            ("shop:apps/Deployment:prod/web", Some(("shop", "apps", "Deployment", "prod", "web"))),
            ("team_shop:/ConfigMap:prod/web", Some(("team_shop", "", "ConfigMap", "prod", "web"))),
            (
                "shop:rbac.authorization.k8s.io/ClusterRole:/system:node",
                Some(("shop", "rbac.authorization.k8s.io", "ClusterRole", "", "system:node")),
            ),
            ("", None),
            ("shop", None),
            ("shop:Deployment:prod/web", None),
            ("shop:apps/Deployment:web", None),
            (":apps/Deployment:prod/web", None),
            ("shop:apps/Deployment:prod/", None),
        ];
        for (text, expected) in cases {
            let read = Claim::read(text).map(|claim| (claim.app, claim.group, claim.kind, claim.namespace, claim.name));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_copied_annotation_names_another_object() {
        let service = ObjectKey::new("", "Service", "prod", "web");
        let claim = Claim::read("shop:/Service:prod/web").unwrap();
        assert!(claim.names(&service));
        assert!(!claim.names(&ObjectKey { kind: "Endpoints".into(), ..service.clone() }));
        assert!(!claim.names(&ObjectKey { namespace: "test".into(), ..service.clone() }));
        assert!(!claim.names(&ObjectKey { group: "x".into(), ..service.clone() }));
        assert!(!claim.names(&ObjectKey { name: "web2".into(), ..service }));
        let role = ObjectKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "a");
        assert!(Claim::read("shop:rbac.authorization.k8s.io/ClusterRole:prod/a").unwrap().names(&role));
    }
}
