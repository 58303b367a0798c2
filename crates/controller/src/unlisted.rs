//! The namespaces whose Applications we are refused, so that nobody knows which there are.
//!
//! Invariant: what an Application of such a namespace may hold is held. Entry points: [`Unlisted::note`] and [`Unlisted::has`].

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// The namespaces whose Applications we are refused.
#[derive(Default)]
pub(crate) struct Unlisted {
    /// Why, by namespace; `None` is all namespaces at once.
    refused: RwLock<BTreeMap<Option<String>, String>>,
}

// === impl Unlisted ===

impl Unlisted {
    /// The Applications of a namespace are refused. Answers whether that is news.
    pub(crate) fn note(&self, namespace: Option<&str>, why: &str) -> bool {
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        refused.insert(namespace.map(str::to_owned), why.to_owned()).is_none_or(|before| before != why)
    }

    /// They have been listed. Answers whether they were refused before.
    pub(crate) fn forget(&self, namespace: Option<&str>) -> bool {
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        refused.remove(&namespace.map(str::to_owned)).is_some()
    }

    /// Whether the Applications of a namespace are unknown.
    pub(crate) fn has(&self, namespace: &str) -> bool {
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        refused.keys().any(|key| key.as_deref().is_none_or(|key| key == namespace))
    }

    /// The first of which this is so, in words; `None` is all namespaces at once.
    pub(crate) fn first(&self, is_so: impl Fn(Option<&str>) -> bool) -> Option<String> {
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        refused.keys().find(|key| is_so(key.as_deref())).map(|key| of(key.as_deref()))
    }

    /// What is refused, and what to do: one line each.
    pub(crate) fn words(&self) -> Vec<String> {
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(namespace, why)| words(namespace.as_deref(), why)).collect()
    }
}

/// The Applications of a namespace, in words.
fn of(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("the Applications of namespace '{namespace}'"),
        None => "the Applications of the cluster".to_owned(),
    }
}

/// What is refused, and what to do.
pub(crate) fn words(namespace: Option<&str>, why: &str) -> String {
    let which = of(namespace);
    match namespace {
        Some(namespace) => format!(
            "{which} cannot be listed, and nothing is done for them: {why}; a Role there \
             that lets this account get, list, watch and patch applications (argoproj.io), and its RoleBinding, or \
             --application-namespaces without '{namespace}', mends it"
        ),
        None => format!(
            "{which} cannot be listed, and nothing is done for them: {why}; a ClusterRole that lets \
             this account get, list, watch and patch applications (argoproj.io), and its ClusterRoleBinding, or \
             --application-namespaces with names instead of patterns, mends it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_unknown_until_it_is_listed() {
        let unlisted = Unlisted::default();
        assert!(!unlisted.has("b") && unlisted.first(|_| true).is_none() && unlisted.words().is_empty());
        assert!(unlisted.note(Some("b"), "forbidden"));
        assert!(!unlisted.note(Some("b"), "forbidden"), "it is told once");
        assert!(unlisted.has("b") && !unlisted.has("a"));
        assert_eq!(unlisted.first(|namespace| namespace == Some("a")), None);
        assert_eq!(unlisted.first(|_| true).as_deref(), Some("the Applications of namespace 'b'"));
        let words = unlisted.words();
        assert!(
            words.len() == 1 && words[0].contains("namespace 'b'") && words[0].contains("RoleBinding"),
            "{words:?}"
        );
        assert!(unlisted.note(None, "forbidden"));
        assert!(unlisted.has("a"), "one watch is for all of them");
        assert!(unlisted.forget(None) && unlisted.forget(Some("b")) && !unlisted.forget(Some("b")));
        assert!(!unlisted.has("b"));
    }
}
