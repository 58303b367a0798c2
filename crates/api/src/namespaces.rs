//! Patterns of namespaces, as a project's `sourceNamespaces` and the controller's own list hold them: globs, and regular
//! expressions between slashes.
//!
//! Invariant: a pattern that is malformed matches nothing. Entry point: [`NamespacePatterns::read`].

use regex::{Regex, RegexBuilder};

use crate::glob::Glob;

/// How much memory one compiled expression may take, in bytes: names of namespaces need no more, and a project is anybody's.
const EXPRESSION_BYTES_MAX: usize = 256 * 1024;

/// Patterns of which one has to match.
#[derive(Clone, Debug, Default)]
pub struct NamespacePatterns {
    patterns: Vec<Pattern>,
    malformed: Vec<String>,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// Exactly this namespace.
    Name(String),
    Glob(Glob),
    /// Matches anywhere in the name, as upstream.
    Expression(Regex),
}

// === impl NamespacePatterns ===

impl NamespacePatterns {
    /// Reads the patterns.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a String>) -> Self {
        let mut all = Self::default();
        for text in texts {
            match Pattern::read(text) {
                Some(pattern) => all.patterns.push(pattern),
                None => all.malformed.push(text.clone()),
            }
        }
        all
    }

    /// The patterns that cannot be read.
    pub fn malformed(&self) -> &[String] {
        &self.malformed
    }

    /// Whether a namespace is meant.
    pub fn matches(&self, namespace: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(namespace))
    }

    /// The namespaces, if every pattern is the name of one.
    pub fn names(&self) -> Option<Vec<&str>> {
        self.patterns.iter().map(Pattern::name).collect()
    }
}

// === impl Pattern ===

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        if text.len() > 2
            && let Some(expression) = text.strip_prefix('/').and_then(|text| text.strip_suffix('/'))
        {
            return RegexBuilder::new(expression).size_limit(EXPRESSION_BYTES_MAX).build().ok().map(Self::Expression);
        }
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Some(Self::Name(text.to_owned()));
        }
        Glob::new(text, &[]).ok().map(Self::Glob)
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }

    fn matches(&self, namespace: &str) -> bool {
        match self {
            Self::Name(name) => name == namespace,
            Self::Glob(glob) => glob.matches(namespace),
            Self::Expression(expression) => expression.is_match(namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> NamespacePatterns {
        NamespacePatterns::read(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn names_globs_and_expressions() {
        let patterns = read(&["shop", "team-*", "/^(a|b)[0-9]+$/", "{x,y}"]);
        for (namespace, matches) in [
            ("shop", true),
            ("shop-2", false),
            ("team-a", true),
            ("a1", true),
            ("b22", true),
            ("c1", false),
            ("a1x", false),
            ("x", true),
            ("", false),
        ] {
            assert_eq!(patterns.matches(namespace), matches, "{namespace}");
        }
        assert!(patterns.malformed().is_empty());
        assert_eq!(patterns.names(), None);
        assert_eq!(read(&["shop", "team-a"]).names(), Some(vec!["shop", "team-a"]));
        assert!(read(&["/op/"]).matches("shop"), "an expression matches anywhere");
    }

    #[test]
    fn what_is_malformed_matches_nothing() {
        let patterns = read(&["[a", "/(/", "/(?=a)/", "/a{100000}{100000}/"]);
        assert_eq!(patterns.malformed().len(), 4);
        assert!(!patterns.matches("a") && !patterns.matches("[a"));
    }
}
