//! In which namespaces Applications are taken: the controller's own, and those that match `--application-namespaces`.
//!
//! Keeps what the process was started with. An Application elsewhere is another controller's, and nothing is said of it. Entry
//! points: [`Namespaces::take`], and [`Namespaces::watched`] for what has to be watched.

use trueup_api::NamespacePatterns;

/// The namespaces of Applications.
#[derive(Debug)]
pub(crate) struct Namespaces {
    own: String,
    others: NamespacePatterns,
}

// === impl Namespaces ===

impl Namespaces {
    /// The controller's own namespace and further ones. The error is a pattern that cannot be read.
    pub(crate) fn new(own: &str, others: &[String]) -> Result<Self, String> {
        let others = NamespacePatterns::read(others);
        match others.malformed().first() {
            Some(malformed) => Err(malformed.clone()),
            None => Ok(Self { own: own.to_owned(), others }),
        }
    }

    /// Whether Applications of a namespace are taken.
    pub(crate) fn take(&self, namespace: &str) -> bool {
        namespace == self.own || self.others.matches(namespace)
    }

    /// One watch each; `None` is all namespaces at once. Where every namespace has a name, a Role in each of them will do.
    pub(crate) fn watched(&self) -> Vec<Option<String>> {
        let Some(names) = self.others.names() else { return vec![None] };
        let mut all: Vec<Option<String>> =
            names.into_iter().chain([self.own.as_str()]).map(str::to_owned).map(Some).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(others: &[&str]) -> Namespaces {
        Namespaces::new("argocd", &others.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn names_are_watched_one_by_one_and_patterns_together() {
        let some = |names: &[&str]| names.iter().map(|name| Some((*name).to_owned())).collect::<Vec<_>>();
        assert_eq!(namespaces(&[]).watched(), some(&["argocd"]));
        assert_eq!(namespaces(&["team-b", "team-a", "argocd"]).watched(), some(&["argocd", "team-a", "team-b"]));
        assert_eq!(namespaces(&["team-b", "shop-*"]).watched(), [None]);
    }

    #[test]
    fn only_what_is_named_is_taken() {
        let namespaces = namespaces(&["team-*"]);
        assert!(namespaces.take("argocd") && namespaces.take("team-a"));
        assert!(!namespaces.take("other") && !namespaces.take(""));
        assert_eq!(Namespaces::new("argocd", &["a".into(), "[b".into()]).unwrap_err(), "[b");
    }
}
