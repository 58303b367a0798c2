//! What the sources of an application are at.
//!
//! Invariant: one part for each source, in their order. A status writes one source's revision and those of several into
//! different fields; [`Revision::of`] reads what [`Revision::single`] and [`Revision::list`] write.

use std::fmt;
use std::sync::Arc;

/// What the sources of an application are at: of each the commit, the version of a chart, or the digest of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision {
    parts: Arc<[String]>,
    /// Whether `spec.sources` names them, were it only one.
    several: bool,
}

// === impl Revision ===

impl Revision {
    /// What `spec.source` is at.
    pub fn one(part: impl Into<String>) -> Self {
        Self { parts: Arc::new([part.into()]), several: false }
    }

    /// What each of `spec.sources` is at.
    pub fn several(parts: Vec<String>) -> Self {
        Self { parts: parts.into(), several: true }
    }

    /// As `revision` and `revisions` of a status say it; none if they say nothing.
    pub fn of(single: &str, list: &[String]) -> Option<Self> {
        match (single, list) {
            ("", []) => None,
            (_, []) => Some(Self::one(single)),
            (_, list) => Some(Self::several(list.to_vec())),
        }
    }

    /// One part for each source.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// What the field `revision` says: empty for several sources.
    pub fn single(&self) -> String {
        if self.several { String::new() } else { self.parts.first().cloned().unwrap_or_default() }
    }

    /// What the field `revisions` says: empty for one source.
    pub fn list(&self) -> Vec<String> {
        if self.several { self.parts.to_vec() } else { Vec::new() }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_says_is_read_again() {
        for revision in
            [Revision::one("a"), Revision::several(vec!["a".into()]), Revision::several(vec!["a".into(), "b".into()])]
        {
            assert_eq!(Revision::of(&revision.single(), &revision.list()), Some(revision));
        }
        assert_eq!(Revision::of("", &[]), None);
        assert_eq!(Revision::several(vec!["a".into(), "b".into()]).to_string(), "a, b");
    }
}
