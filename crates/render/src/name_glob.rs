//! Globs on single names: the segments of a path between its slashes, as Argo CD reads them in value files.

use globset::{GlobBuilder, GlobMatcher};

/// The longest pattern of one name, in bytes, as a name is at most.
const PATTERN_BYTES_MAX: usize = 255;

/// A pattern that a name matches or not: `*`, `?`, `[a-z]`, `{a,b}`.
pub(crate) struct NameGlob(GlobMatcher);

// === impl NameGlob ===

impl NameGlob {
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a name in it is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let glob =
            GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).empty_alternates(true).build();
        glob.map(|glob| Self(glob.compile_matcher())).map_err(|error| error.kind().to_string())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// Whether a path is a pattern; as with Argo CD, braces alone make none.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_with_doublestar() {
        let table = [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".yaml", true),
            ("*.yaml", "a.yml", false),
            ("values-?.yaml", "values-1.yaml", true),
            ("values-?.yaml", "values-10.yaml", false),
            ("[a-cx]*", "b", true),
            ("[a-cx]*", "d", false),
            ("[!a]*", "b", true),
            ("[^a]*", "a", false),
            ("*.{yaml,yml}", "a.yml", true),
            ("*{,-prod}.yaml", "a.yaml", true),
            ("\\**", "*a", true),
            ("\\**", "a", false),
            ("A*", "a", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(NameGlob::new(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for pattern in ["[", "{a", "[b-a]", &"a".repeat(256)] {
            assert!(NameGlob::new(pattern).is_err(), "{pattern}");
        }
        assert_eq!(["a/*", "a?", "[a]", "{a,b}", "a/b"].map(is_glob), [true, true, true, false, false]);
    }
}
