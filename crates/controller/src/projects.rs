//! The AppProjects of our namespace.
//!
//! `default` allows everything without being created while the namespace holds no AppProject at all. Entry point:
//! [`Projects::get`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use trueup_api::{Project, condition};
use trueup_object::ObjectKey;

use crate::permission::not_permitted;

/// The name of the project that an Application is in if it names none.
const DEFAULT: &str = "default";

/// All projects by name; one that does not decode is kept as its error.
#[derive(Default)]
pub(crate) struct Projects {
    known: RwLock<HashMap<String, Result<Arc<Project>, String>>>,
    changed: Notify,
}

// === impl Projects ===

impl Projects {
    /// The project of this name, or why there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Project>, String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(name) {
            Some(Ok(project)) => Ok(Arc::clone(project)),
            Some(Err(error)) => Err(format!("Application is in project {name}, which cannot be read: {error}")),
            None if name == DEFAULT && known.is_empty() => Ok(Arc::new(Project::default_project())),
            None => Err(condition::project_missing(name)),
        }
    }

    /// Whether an Application of a namespace may hold an object, whichever project it is in: `None` is any namespace. What a
    /// project that cannot be read permits is not known.
    pub(crate) fn may_hold(&self, namespace: Option<&str>, own_namespace: &str, key: &ObjectKey) -> bool {
        let may = |project: &Project| {
            namespace.is_none_or(|namespace| project.permits_application_namespace(namespace, own_namespace))
                && not_permitted(project, DEFAULT, key, !key.namespace.is_empty()).is_none()
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_default = known.is_empty() && may(&Project::default_project());
        is_default || known.values().any(|project| project.as_ref().map_or(true, |project| may(project)))
    }

    /// The Secrets with keys that projects name.
    pub(crate) fn decryption_secrets(&self) -> BTreeSet<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().flatten().filter_map(|project| project.decryption_secret.clone()).collect()
    }

    /// Ends with the next change, for the one who waits.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(crate) fn saw(&self, name: &str, project: Result<Project, String>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), project.map(Arc::new));
        self.changed.notify_one();
    }

    pub(crate) fn lost(&self, name: &str) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_exists_while_no_project_does() {
        let projects = Projects::default();
        assert!(projects.get("default").is_ok());
        assert!(projects.get("other").is_err());
        projects.saw("other", Ok(Project::default_project()));
        assert!(projects.get("default").unwrap_err().contains("does not exist"));
        projects.lost("other");
        assert!(projects.get("default").is_ok());
    }

    #[test]
    fn what_applications_of_a_namespace_may_hold_is_for_the_projects_to_say() {
        let projects = Projects::default();
        let map = |namespace: &str| ObjectKey::new("", "ConfigMap", namespace, "x");
        let role = ObjectKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "x");
        let may = |projects: &Projects, namespace, key: &ObjectKey| projects.may_hold(namespace, "argocd", key);
        assert!(may(&projects, Some("argocd"), &map("any")) && may(&projects, None, &map("any")));
        assert!(
            !may(&projects, Some("team"), &map("any")),
            "the default project takes Applications of our namespace only"
        );
        let project = br#"{"metadata":{"name":"p"},"spec":{"sourceNamespaces":["team"],
            "destinations":[{"server":"*","namespace":"team-*"}]}}"#;
        projects.saw("p", Ok(Project::read(project).unwrap()));
        assert!(may(&projects, Some("team"), &map("team-a")) && may(&projects, None, &map("team-a")));
        assert!(!may(&projects, Some("team"), &map("other")) && !may(&projects, Some("else"), &map("team-a")));
        assert!(!may(&projects, Some("team"), &role), "no cluster-wide kinds");
        projects.saw("broken", Err("spec: not a map".into()));
        assert!(may(&projects, Some("else"), &role), "nobody knows what it says");
    }

    #[tokio::test]
    async fn a_change_between_two_looks_is_not_missed() {
        let projects = Projects::default();
        assert!(projects.decryption_secrets().is_empty());
        let project = br#"{"metadata":{"name":"p","annotations":{"trueup.dev/decryption-secret":"keys"}},"spec":{}}"#;
        projects.saw("p", Ok(Project::read(project).unwrap()));
        projects.saw("q", Err("spec: not a map".into()));
        projects.changed().await;
        assert_eq!(projects.decryption_secrets(), ["keys".to_owned()].into());
        projects.lost("p");
        projects.changed().await;
        assert!(projects.decryption_secrets().is_empty());
    }

    #[test]
    fn a_project_that_cannot_be_read_permits_nothing() {
        let projects = Projects::default();
        projects.saw("x", Err("spec: not a map".into()));
        assert!(projects.get("x").unwrap_err().contains("not a map"));
    }
}
