//! What a render lacks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a render lacks, because it is not in the source: whoever asked fetches it and asks again.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Need {
    /// A chart of a repository or registry.
    Chart {
        /// `https://…` or `oci://…`, as written.
        repository: String,
        /// The chart's name.
        name: String,
        /// A version or a range.
        version: String,
    },
    /// A remote base or file.
    Resource {
        /// As written.
        url: String,
    },
}

// === impl Need ===

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chart { repository, name, version } => {
                write!(f, "chart {name} {version} of {}", without_credentials(repository))
            }
            Self::Resource { url } => f.write_str(&without_credentials(url)),
        }
    }
}

/// People write passwords into URLs.
impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Need({self})")
    }
}

/// A URL without user, password and query, each of which may be a secret; only what names a revision is kept of the query.
fn without_credentials(url: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = place.split_once("://").map_or(("", place), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut text = if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") };
    if let Some(path) = path {
        text = format!("{text}/{path}");
    }
    let kept = query.split('&').filter(|part| part.starts_with("ref=") || part.starts_with("version="));
    let kept = kept.collect::<Vec<_>>().join("&");
    if kept.is_empty() { text } else { format!("{text}?{kept}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (url, shown) in [
            ("https://me:secret@host.io/a/b?ref=v1&token=secret", "https://host.io/a/b?ref=v1"),
            ("https://p@ss:secret@host.io/a@b", "https://host.io/a@b"),
            ("git@host.io:a/b", "host.io:a/b"),
            ("host.io/a//b?ref=v1", "host.io/a//b?ref=v1"),
            ("secret@", ""),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
    }

    #[test]
    fn it_is_the_same_there_and_back() {
        let text = r#"[{"chart":{"repository":"oci://r","name":"redis","version":"1"}},{"resource":{"url":"u"}}]"#;
        let needs: Vec<Need> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&needs).unwrap(), text);
    }
}
