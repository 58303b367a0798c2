//! The Applications, as the API server last told us, by the names under which they are tracked.
//!
//! Invariant: what is kept is never older than what we wrote ourselves, so whatever differs in a newer version was done
//! by somebody else. Entry points: [`Applications::saw`] and [`Applications::get`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use trueup_api::Application;

/// All Applications by tracking name.
#[derive(Default)]
pub(crate) struct Applications(RwLock<HashMap<Arc<str>, Arc<Application>>>);

/// What a sighting of an Application means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Older than what is known, our own echo, or nothing that matters.
    Nothing,
    /// It is new.
    New,
    /// It is another one of the same name: what is known of the one before is not about it.
    Another,
    /// Somebody changed something that matters.
    Changed,
}

// === impl Applications ===

impl Applications {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Application>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Application>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Takes in an Application as a watch shows it.
    pub(crate) fn saw(&self, application: Application) -> News {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let news = match known.get(application.meta.instance.as_str()) {
            None => News::New,
            Some(old) if old.meta.uid != application.meta.uid => News::Another,
            Some(old) if !is_newer(&application.meta.resource_version, &old.meta.resource_version) => {
                return News::Nothing;
            }
            Some(old) if concerns(old, &application) => News::Changed,
            Some(_) => News::Nothing,
        };
        known.insert(application.meta.instance.as_str().into(), Arc::new(application));
        news
    }

    /// Takes in the answer of a write of ours. One that comes after its Application went, or after another came under its
    /// name, brings nothing back.
    pub(crate) fn wrote(&self, application: Application) -> Arc<Application> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let application = Arc::new(application);
        match known.get_mut(application.meta.instance.as_str()) {
            Some(seen) if seen.meta.uid == application.meta.uid => {
                // A watch event may have been faster: it is newer, or the same.
                if !is_newer(&seen.meta.resource_version, &application.meta.resource_version) {
                    *seen = application;
                }
                Arc::clone(seen)
            }
            _ => application,
        }
    }

    /// Forgets an Application that was deleted; not another one that came under its name meanwhile.
    pub(crate) fn lost(&self, name: &str, uid: &str) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let same = known.get(name).is_some_and(|application| application.meta.uid == uid);
        if same {
            known.remove(name);
        }
        same
    }
}

/// Whether a version is newer: they are numbers that grow. Where one is no number, whatever comes counts as newer.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

fn concerns(old: &Application, new: &Application) -> bool {
    old.spec_digest != new.spec_digest
        || old.meta.annotations != new.meta.annotations
        || old.meta.labels != new.meta.labels
        || old.meta.finalizers != new.meta.finalizers
        || old.meta.deletion_timestamp != new.meta.deletion_timestamp
        || old.raw_operation != new.raw_operation
        || old.status != new.status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn application(version: &str, uid: &str, path: &str) -> Application {
        let json = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "a", "namespace": "argocd", "uid": uid, "resourceVersion": version},
            "spec": {"project": "default", "source": {"repoURL": "http://git/x", "path": path}, "destination": {"name": "in-cluster"}},
        });
        Application::read(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn tells_news_from_echoes() {
        let applications = Applications::default();
        assert_eq!(applications.saw(application("9", "u", "p")), News::New);
        assert_eq!(applications.saw(application("9", "u", "q")), News::Nothing);
        assert_eq!(applications.saw(application("10", "u", "p")), News::Nothing);
        assert_eq!(applications.saw(application("11", "u", "q")), News::Changed);
        applications.wrote(application("13", "u", "q"));
        assert_eq!(applications.saw(application("12", "u", "p")), News::Nothing);
        assert_eq!(applications.saw(application("12", "v", "p")), News::Another);
    }

    #[test]
    fn the_answer_of_a_write_brings_nothing_back_that_went() {
        let applications = Applications::default();
        applications.saw(application("9", "u", "p"));
        assert!(applications.lost("a", "u"));
        applications.wrote(application("10", "u", "p"));
        assert!(applications.get("a").is_none(), "it would hold its objects for ever");
        applications.saw(application("12", "v", "p"));
        applications.wrote(application("11", "u", "p"));
        assert_eq!(applications.get("a").map(|known| known.meta.uid.clone()).as_deref(), Some("v"));
    }

    #[test]
    fn a_late_deletion_does_not_take_the_successor() {
        let applications = Applications::default();
        applications.saw(application("9", "u", "p"));
        applications.saw(application("12", "v", "p"));
        assert!(!applications.lost("a", "u"));
        assert!(applications.lost("a", "v"));
        assert!(applications.get("a").is_none());
    }
}
