//! The build environment: variables that the options of a source may name.
//!
//! Pure. Variables are written as Go's `os.Expand` reads them; unknown ones are empty, `$$` is a dollar. Entry point:
//! [`Environment::substitute`].

use crate::Request;

/// The variables of one source.
pub(crate) struct Environment<'a>([(&'static str, &'a str); 9]);

// === impl Environment ===

impl<'a> Environment<'a> {
    pub(crate) fn of(request: &'a Request) -> Self {
        let source = &request.source;
        Self([
            ("ARGOCD_APP_NAME", &request.application),
            // As Argo CD has it: not the namespace of the application.
            ("ARGOCD_APP_NAMESPACE", &request.destination_namespace),
            ("ARGOCD_APP_PROJECT_NAME", &request.project),
            ("ARGOCD_APP_REVISION", &request.revision),
            ("ARGOCD_APP_REVISION_SHORT", first(&request.revision, 7)),
            ("ARGOCD_APP_REVISION_SHORT_8", first(&request.revision, 8)),
            ("ARGOCD_APP_SOURCE_REPO_URL", &source.repo_url),
            ("ARGOCD_APP_SOURCE_PATH", &source.path),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", &source.target_revision),
        ])
    }

    /// Whether there is such a variable.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// A text with its variables replaced.
    pub(crate) fn substitute(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            result.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if rest.is_empty() {
                result.push('$');
                break;
            }
            let (name, length) = name(rest);
            match name {
                Some("$") => result.push('$'),
                Some(name) => {
                    result.push_str(self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
                }
                // Not followed by a name, it stands for itself; braces without one are dropped.
                None if length == 0 => result.push('$'),
                None => {}
            }
            rest = &rest[length..];
        }
        result.push_str(rest);
        result
    }
}

fn first(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

/// The name behind a dollar, and how many bytes it takes with its braces.
fn name(text: &str) -> (Option<&str>, usize) {
    let is_special = |byte: u8| matches!(byte, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9');
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'{') => match bytes.get(1..3) {
            Some([special, b'}']) if is_special(*special) => (Some(&text[1..2]), 3),
            _ => match text.find('}') {
                Some(1) => (None, 2),
                Some(end) => (Some(&text[1..end]), end + 1),
                None => (None, 1),
            },
        },
        Some(&special) if is_special(special) => (Some(&text[..1]), 1),
        _ => {
            let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            ((length > 0).then(|| &text[..length]), length)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use trueup_api::source::ApplicationSource;

    use super::*;
    use crate::Settings;

    fn substituted(text: &str) -> String {
        let source = ApplicationSource {
            repo_url: "https://git.example/a".into(),
            path: "apps/web".into(),
            target_revision: "main".into(),
            ..ApplicationSource::default()
        };
        let request = Request {
            source,
            path: "apps/web".into(),
            revision: "0123456789abcdef".into(),
            application: "web".into(),
            application_namespace: "argocd".into(),
            project: "shop".into(),
            destination_namespace: "team".into(),
            settings: Arc::new(Settings::default()),
        };
        Environment::of(&request).substitute(text)
    }

    #[test]
    fn variables_are_replaced_as_go_does() {
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("$ARGOCD_APP_NAME", "web"),
            ("${ARGOCD_APP_NAME}-x", "web-x"),
            ("$ARGOCD_APP_NAMESPACE/$ARGOCD_APP_PROJECT_NAME", "team/shop"),
            ("$ARGOCD_APP_REVISION", "0123456789abcdef"),
            ("$ARGOCD_APP_REVISION_SHORT $ARGOCD_APP_REVISION_SHORT_8", "0123456 01234567"),
            ("$ARGOCD_APP_SOURCE_REPO_URL", "https://git.example/a"),
            ("$ARGOCD_APP_SOURCE_PATH@$ARGOCD_APP_SOURCE_TARGET_REVISION", "apps/web@main"),
            // The longest name counts.
            ("$ARGOCD_APP_NAMEX.", "."),
            ("$ARGOCD_APP_NAME.X", "web.X"),
            ("a $UNKNOWN b", "a  b"),
            ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
            ("$${ARGOCD_APP_NAME}", "${ARGOCD_APP_NAME}"),
            ("${$}", "$"),
            ("100$", "100$"),
            ("$ a", "$ a"),
            ("$/x", "$/x"),
            ("$1x", "x"),
            ("${}x", "x"),
            ("${x", "x"),
            ("ä$ARGOCD_APP_NAMEä", "äwebä"),
        ];
        for (text, expected) in table {
            assert_eq!(substituted(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_without_a_dollar_stays_and_doubled_dollars_are_one(text in "[^$]{0,20}", behind in "[^$]{0,20}") {
            prop_assert_eq!(substituted(&text), text.clone());
            prop_assert_eq!(substituted(&format!("{text}$${behind}")), format!("{text}${behind}"));
        }

        #[test]
        fn nothing_panics(text in "[${}a-zA-Z_*0-9ä]{0,30}") {
            substituted(&text);
        }
    }
}
