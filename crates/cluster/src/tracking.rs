//! The tracking annotation: which application says that an object is its own.
//!
//! Entry point: [`Claim::of`]. An annotation that was copied to another object (a Service's to its Endpoints) names
//! an object that it does not sit on, and claims nothing. Neither does one that another installation wrote: as in Argo CD
//! the two installation ids must be equal, where none is as good as an empty one.

use trueup_object::ObjectKey;

/// The annotation that names the application.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// The annotation that names the installation whose application that is, where one has a name.
pub const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";

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
    /// What an object's annotations say, if they are of this installation and name the object that bears them.
    pub(crate) fn of(
        tracking_id: Option<&'a str>,
        installation_id: Option<&str>,
        key: &ObjectKey,
        installation: &str,
    ) -> Option<Self> {
        if installation_id.unwrap_or_default() != installation {
            return None;
        }
        Self::read(tracking_id?).filter(|claim| claim.names(key))
    }

    /// Reads the annotation's value.
    fn read(text: &'a str) -> Option<Self> {
        let (app, rest) = text.split_once(':')?;
        let (kind, object) = rest.split_once(':')?;
        let (group, kind) = kind.split_once('/')?;
        // A name may hold colons (`system:node`), a namespace may not hold slashes.
        let (namespace, name) = object.split_once('/')?;
        (!app.is_empty() && !name.is_empty()).then_some(Self { app, group, kind, namespace, name })
    }

    /// Whether the object that bears the annotation is the one that it names. Cluster-scoped objects may be claimed with
    /// the application's namespace.
    fn names(&self, key: &ObjectKey) -> bool {
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
    fn an_id_counts_where_both_have_the_same() {
        let key = ObjectKey::new("", "Service", "prod", "web");
        let claims = |theirs: Option<&str>, ours: &str| Claim::of(Some("shop:/Service:prod/web"), theirs, &key, ours);
        assert!(claims(None, "").is_some() && claims(Some(""), "").is_some() && claims(Some("a"), "a").is_some());
        assert!(claims(Some("a"), "").is_none() && claims(None, "a").is_none() && claims(Some("b"), "a").is_none());
        assert!(Claim::of(None, None, &key, "").is_none());
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
