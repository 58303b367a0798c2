//! For which Applications a sync window of a project holds.
//!
//! When it is open is a matter of the clock, which is not looked at here. Entry point: [`WindowPattern::new`].

use std::time::Duration;

use crate::duration;
use crate::glob::Glob;
use crate::project_spec::SyncWindow;

/// A sync window and the Applications that it holds for.
#[derive(Clone, Debug)]
pub(crate) struct WindowPattern {
    pub(crate) window: SyncWindow,
    /// Nothing in these where a pattern is malformed.
    applications: Vec<Option<Glob>>,
    namespaces: Vec<Option<Glob>>,
    clusters: Vec<Option<Glob>>,
}

/// What a window is asked about.
#[derive(Clone, Copy, Debug)]
pub struct WindowSubject<'a> {
    /// The Application's name.
    pub application: &'a str,
    /// The URL of its destination.
    pub server: &'a str,
    /// The name of that cluster: whichever of the two the Application has, both count.
    pub cluster: &'a str,
    /// The namespace of its destination.
    pub namespace: &'a str,
}

// === impl WindowPattern ===

impl WindowPattern {
    pub(crate) fn new(window: SyncWindow) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern, &[]).ok()).collect();
        Self {
            applications: globs(&window.applications),
            namespaces: globs(&window.namespaces),
            clusters: globs(&window.clusters),
            window,
        }
    }

    /// Whether one of its patterns is malformed, so that it is not known whom it holds for.
    pub(crate) fn is_malformed(&self) -> bool {
        [&self.applications, &self.namespaces, &self.clusters].into_iter().flatten().any(Option::is_none)
    }

    /// Whether it holds for an Application: one of its lists must name it, or with `andOperator` each list that it has.
    pub(crate) fn holds_for(&self, subject: WindowSubject<'_>) -> bool {
        let any = |globs: &[Option<Glob>], texts: &[&str]| {
            globs.iter().flatten().any(|glob| texts.iter().any(|text| !text.is_empty() && glob.matches(text)))
        };
        let lists = [
            (&self.applications, any(&self.applications, &[subject.application])),
            (&self.namespaces, self.namespaces.iter().flatten().any(|glob| glob.matches(subject.namespace))),
            (&self.clusters, any(&self.clusters, &[subject.server, subject.cluster])),
        ];
        let mut given = lists.iter().filter(|(globs, _)| !globs.is_empty()).map(|(_, named)| *named).peekable();
        if self.window.and_operator {
            given.peek().is_some() && given.all(|named| named)
        } else {
            given.any(|named| named)
        }
    }
}

// === impl SyncWindow ===

impl SyncWindow {
    /// How long it lasts; none if that is no time above zero with a unit.
    pub fn length(&self) -> Option<Duration> {
        // A bare number is seconds elsewhere; Go wants a unit here.
        let has_unit = !self.duration.bytes().all(|byte| byte.is_ascii_digit());
        duration::parse(&self.duration).filter(|length| has_unit && !length.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(json: &str) -> WindowPattern {
        WindowPattern::new(serde_json::from_str(json).unwrap())
    }

    const SUBJECT: WindowSubject<'_> = WindowSubject {
        application: "shop-prod",
        server: "https://kubernetes.default.svc",
        cluster: "in-cluster",
        namespace: "shop",
    };

    #[test]
    fn whom_a_window_holds_for() {
        for (json, holds) in [
            (r"{}", false),
            (r#"{"andOperator": true}"#, false),
            (r#"{"applications": ["*"]}"#, true),
            (r#"{"applications": ["*-prod"]}"#, true),
            (r#"{"applications": ["*-test", "shop-*"]}"#, true),
            (r#"{"applications": ["prod"]}"#, false),
            (r#"{"namespaces": ["sh?p"]}"#, true),
            (r#"{"clusters": ["in-cluster"]}"#, true),
            (r#"{"clusters": ["https://kubernetes*"]}"#, true),
            (r#"{"clusters": ["elsewhere"]}"#, false),
            (r#"{"applications": ["other"], "namespaces": ["shop"]}"#, true),
            (r#"{"applications": ["other"], "namespaces": ["shop"], "andOperator": true}"#, false),
            (r#"{"applications": ["shop*"], "namespaces": ["shop"], "andOperator": true}"#, true),
            (
                r#"{"applications": ["shop*"], "clusters": ["elsewhere"], "namespaces": ["shop"], "andOperator": true}"#,
                false,
            ),
            (r#"{"applications": ["shop*"], "andOperator": true}"#, true),
        ] {
            assert_eq!(pattern(json).holds_for(SUBJECT), holds, "{json}");
            assert!(!pattern(json).is_malformed());
        }
        let nowhere = WindowSubject { namespace: "", ..SUBJECT };
        assert!(pattern(r#"{"namespaces": ["*"]}"#).holds_for(nowhere));
        assert!(!pattern(r#"{"namespaces": ["shop"]}"#).holds_for(nowhere));
    }

    #[test]
    fn a_pattern_that_is_malformed_is_known() {
        assert!(pattern(r#"{"applications": ["a", "[b"]}"#).is_malformed());
        assert!(pattern(r#"{"clusters": ["{a"]}"#).is_malformed());
    }

    #[test]
    fn a_length_is_above_zero_and_has_a_unit() {
        let length = |text: &str| SyncWindow { duration: text.to_owned(), ..SyncWindow::default() }.length();
        assert_eq!(length("1h30m"), Some(Duration::from_mins(90)));
        for text in ["", "60", "0", "0s", "-1h", "soon"] {
            assert_eq!(length(text), None, "{text}");
        }
    }
}
