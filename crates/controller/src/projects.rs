//! The AppProjects of our namespace.
//!
//! `default` allows everything without being created while the namespace holds no AppProject at all. Entry point:
//! [`Projects::get`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use trueup_api::Project;

/// The name of the project that an Application is in if it names none.
const DEFAULT: &str = "default";

/// All projects by name; one that does not decode is kept as its error.
#[derive(Default)]
pub(crate) struct Projects(RwLock<HashMap<String, Result<Arc<Project>, String>>>);

// === impl Projects ===

impl Projects {
    /// The project of this name, or why there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Project>, String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(name) {
            Some(Ok(project)) => Ok(Arc::clone(project)),
            Some(Err(error)) => Err(format!("Application is in project {name}, which cannot be read: {error}")),
            None if name == DEFAULT && known.is_empty() => Ok(Arc::new(Project::default_project())),
            None => Err(format!("Application referencing project {name} which does not exist")),
        }
    }

    pub(crate) fn saw(&self, name: &str, project: Result<Project, String>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), project.map(Arc::new));
    }

    pub(crate) fn lost(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
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
    fn a_project_that_cannot_be_read_permits_nothing() {
        let projects = Projects::default();
        projects.saw("x", Err("spec: not a map".into()));
        assert!(projects.get("x").unwrap_err().contains("not a map"));
    }
}
