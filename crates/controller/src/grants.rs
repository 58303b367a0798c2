//! What the controller asks of the API server, in one table: what `deploy/` grants and what `trueup cluster check` asks for.
//!
//! Invariant: a request that the code makes and that RBAC decides about stands here, and nothing else does. Discovery, the
//! version and the OpenAPI documents are left out: the API server's own role `system:discovery` gives them to everybody.
//! Entry point: [`GRANTS`].

use std::fmt;

/// One rule: these verbs on these resources, there, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it is asked for.
    pub place: Place,
    /// The API group; empty for the core group, [`ANY`] for all.
    pub group: &'static str,
    /// The resources, as addresses name them; [`ANY`] for all.
    pub resources: &'static [&'static str],
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// What it is for.
    pub why: &'static str,
    /// What cannot be done without it; `None` where nothing works without it.
    pub only_for: Option<&'static str>,
}

/// Where a rule must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the controller's own namespace.
    Namespace,
    /// In every other namespace whose Applications are taken (`--application-namespaces`).
    ApplicationNamespaces,
    /// In every namespace that an Application brings objects to; in the whole cluster for objects without a namespace.
    Destinations,
    /// In the whole cluster.
    Cluster,
    /// In every namespace whose service accounts projects name, where `argocd-cm` switches impersonation on.
    ServiceAccounts,
}

/// Stands for every group and every resource.
pub const ANY: &str = "*";

const APPLICATIONS: &str = "argoproj.io";

/// Everything that the controller asks for.
///
/// Kinds of Git can be any kinds, so their rules are as wide as that. Who knows the kinds may name them instead; an
/// application with another kind then says that it cannot be listed, and everything else goes on. A grant of all verbs
/// (`*`) covers them too.
pub const GRANTS: &[Grant] = &[
    Grant {
        place: Place::Namespace,
        group: APPLICATIONS,
        resources: &["applications"],
        verbs: &["get", "list", "watch", "patch"],
        why: "reads what to keep in line, and writes status, finalizers and the end of operations",
        only_for: None,
    },
    Grant {
        place: Place::Namespace,
        group: APPLICATIONS,
        resources: &["appprojects"],
        verbs: &["list", "watch"],
        why: "reads what Applications may do",
        only_for: None,
    },
    Grant {
        place: Place::Namespace,
        group: "",
        resources: &["secrets"],
        verbs: &["list", "watch"],
        why: "reads the credentials of repositories and the keys that files are decrypted with; Secrets of other namespaces are read only where Git has such",
        only_for: Some("private repositories and encrypted files"),
    },
    Grant {
        place: Place::Namespace,
        group: "",
        resources: &["configmaps"],
        verbs: &["get", "list", "watch"],
        why: "reads the settings in argocd-cm, argocd-tls-certs-cm, argocd-ssh-known-hosts-cm and argocd-gpg-keys-cm",
        only_for: None,
    },
    Grant {
        place: Place::Namespace,
        group: "apps",
        resources: &["deployments", "statefulsets"],
        verbs: &["list", "watch"],
        why: "notices an Argo CD controller that still runs, and writes nothing meanwhile",
        only_for: None,
    },
    Grant {
        place: Place::Namespace,
        group: "",
        resources: &["events"],
        verbs: &["create"],
        why: "tells syncs and drift as Events of the Application",
        only_for: Some("Events"),
    },
    Grant {
        place: Place::Namespace,
        group: "coordination.k8s.io",
        resources: &["leases"],
        verbs: &["get", "list", "watch", "create", "update"],
        why: "makes sure that one controller works at a time",
        only_for: Some("more than one replica (without: --no-lease)"),
    },
    Grant {
        place: Place::ApplicationNamespaces,
        group: APPLICATIONS,
        resources: &["applications"],
        verbs: &["get", "list", "watch", "patch"],
        why: "the same for Applications in other namespaces",
        only_for: Some("--application-namespaces"),
    },
    Grant {
        place: Place::ApplicationNamespaces,
        group: "",
        resources: &["events"],
        verbs: &["create"],
        why: "tells syncs and drift as Events of the Application",
        only_for: Some("--application-namespaces"),
    },
    Grant {
        place: Place::Cluster,
        group: "apiextensions.k8s.io",
        resources: &["customresourcedefinitions"],
        verbs: &["get", "list", "watch"],
        why: "notices new and changed kinds at once, and reads how their lists merge",
        only_for: Some("definitions that come or change while it runs"),
    },
    Grant {
        place: Place::Cluster,
        group: "apiregistration.k8s.io",
        resources: &["apiservices"],
        verbs: &["list", "watch"],
        why: "notices kinds that come from aggregated API servers",
        only_for: Some("aggregated API servers that come or change while it runs"),
    },
    Grant {
        place: Place::Cluster,
        group: "",
        resources: &["namespaces"],
        verbs: &["create"],
        why: "makes the namespace of an Application",
        only_for: Some("the sync option CreateNamespace=true"),
    },
    Grant {
        place: Place::Cluster,
        group: ANY,
        resources: &[ANY],
        verbs: &["list", "watch"],
        why: "watches the kinds of Git, and finds objects that no inventory lists any more",
        only_for: None,
    },
    Grant {
        place: Place::Destinations,
        group: ANY,
        resources: &[ANY],
        verbs: &["get", "create", "patch", "delete"],
        why: "brings objects in line with Git",
        only_for: None,
    },
    Grant {
        place: Place::Destinations,
        group: ANY,
        resources: &[ANY],
        verbs: &["update"],
        why: "replaces objects as a whole",
        only_for: Some("the sync option Replace=true"),
    },
    Grant {
        place: Place::Destinations,
        group: "rbac.authorization.k8s.io",
        resources: &["roles", "clusterroles"],
        verbs: &["bind", "escalate"],
        why: "brings roles in line that hold more than the controller itself may do",
        only_for: Some("such roles in Git"),
    },
    Grant {
        place: Place::ServiceAccounts,
        group: "",
        resources: &["serviceaccounts"],
        verbs: &["impersonate"],
        why: "writes objects as the service accounts that projects name, with their permissions",
        only_for: Some("destinationServiceAccounts of projects"),
    },
];

// === impl Grant ===

impl Grant {
    /// Whether it is about the kinds that Git may name, which can be any.
    pub fn is_for_any_kind(&self) -> bool {
        self.group == ANY
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "its namespace",
            Self::ApplicationNamespaces => "namespaces of Applications",
            Self::Destinations => "destinations",
            Self::Cluster => "cluster",
            Self::ServiceAccounts => "service accounts",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::run::{application_kind, project_kind};

    #[test]
    fn every_rule_says_something_that_no_other_says() {
        let mut said = BTreeSet::new();
        for grant in GRANTS {
            assert!(!grant.why.is_empty() && !grant.resources.is_empty() && !grant.verbs.is_empty(), "{grant:?}");
            for resource in grant.resources {
                for verb in grant.verbs {
                    assert!(said.insert((grant.place, grant.group, resource, verb)), "{grant:?} repeats {verb}");
                }
            }
        }
    }

    #[test]
    fn our_own_kinds_are_named_as_they_are_asked_for() {
        for kind in [application_kind(), project_kind()] {
            let named = |grant: &&Grant| grant.group == kind.gvk.group && grant.resources.contains(&&*kind.plural);
            assert!(GRANTS.iter().any(|grant| named(&grant) && grant.place == Place::Namespace), "{kind:?}");
        }
    }

    #[test]
    fn nothing_but_the_kinds_of_git_is_as_wide_as_everything() {
        let wide = |grant: &&Grant| grant.resources.contains(&ANY) || grant.verbs.contains(&ANY);
        assert!(GRANTS.iter().filter(wide).all(Grant::is_for_any_kind));
    }
}
