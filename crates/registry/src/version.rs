//! Which version a text means, by Helm's rules: the very version if there is one, else the highest within the range.
//!
//! Pure. Entry points: [`choose`], [`of_tag`] and [`to_tag`].

use trueup_git::Range;

/// The range of all versions that are no pre-releases: what nothing means.
const ANY: &str = "*";

/// The version that a text means among those that there are; an error if the text is no version and no range.
pub(crate) fn choose<'v>(wanted: &str, versions: &[&'v str]) -> Result<Option<&'v str>, NoRange> {
    let wanted = wanted.trim();
    if let Some(exact) = versions.iter().find(|version| **version == wanted) {
        return Ok(Some(exact));
    }
    let range = Range::constraint(if wanted.is_empty() { ANY } else { wanted }).ok_or(NoRange)?;
    Ok(range.best(versions.iter().copied()))
}

/// The text is no range of versions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRange;

/// The highest version that is no pre-release.
pub(crate) fn newest<'v>(versions: &[&'v str]) -> Option<&'v str> {
    choose(ANY, versions).ok().flatten()
}

/// The version that a tag stands for: tags have no `+`.
pub(crate) fn of_tag(tag: &str) -> String {
    tag.replace('_', "+")
}

/// The tag that a version has.
pub(crate) fn to_tag(version: &str) -> String {
    version.replace('+', "_")
}

/// Whether a text can be a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(crate) fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|c| word(c) || c == b'.' || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [&str; 7] = ["2.0.0-rc.1", "1.10.0", "1.9.0", "1.2.3+5", "v0.9.0", "1.2", "nightly"];

    #[test]
    fn a_version_is_chosen_as_helm_chooses() {
        for (wanted, chosen) in [
            ("", Some("1.10.0")),
            ("*", Some("1.10.0")),
            ("1.9.0", Some("1.9.0")),
            ("v1.9.0", Some("1.9.0")),
            ("0.9.0", Some("v0.9.0")),
            ("1.2", Some("1.2")),
            ("1.9", Some("1.9.0")),
            ("~1.2", Some("1.2.3+5")),
            (">=1 <1.10", Some("1.9.0")),
            (">=1.0.0-0", Some("2.0.0-rc.1")),
            ("2.x", None),
            ("3.0.0", None),
            // It is there, although it is no version.
            ("nightly", Some("nightly")),
        ] {
            assert_eq!(choose(wanted, &VERSIONS), Ok(chosen), "{wanted}");
        }
        assert_eq!(choose("weekly", &VERSIONS), Err(NoRange));
        assert_eq!((newest(&VERSIONS), newest(&["1.0.0-rc"])), (Some("1.10.0"), None));
    }

    #[test]
    fn a_tag_has_no_plus() {
        assert_eq!((of_tag("1.2.3_5"), to_tag("1.2.3+5")), ("1.2.3+5".to_owned(), "1.2.3_5".to_owned()));
        for (text, is) in [
            ("1.2.3_5", true),
            ("latest", true),
            ("", false),
            ("-a", false),
            ("a/b", false),
            (">=1", false),
            ("1.x", true),
        ] {
            assert_eq!(is_tag(text), is, "{text}");
        }
        assert!(!is_tag(&"a".repeat(129)));
    }
}
