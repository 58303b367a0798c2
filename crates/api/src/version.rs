//! Version ranges as `targetRevision` may hold them (`1.x`, `^2.1`, `>= 1.0, < 2`), told from branches, tags and commits.
//!
//! Ranges are not resolved yet, only recognised, by the grammar of the library that Argo CD uses. Entry point: [`is_range`].

/// Length of a commit's name in hexadecimal digits: never a range, whatever the digits are.
const COMMIT_DIGITS: usize = 40;

const OPERATORS: [&str; 11] = ["!=", ">=", "=>", "<=", "=<", "~>", "=", ">", "<", "~", "^"];

/// Whether a revision is a range of versions, not a name or an exact version.
pub(crate) fn is_range(revision: &str) -> bool {
    if revision.is_empty() || revision.len() == COMMIT_DIGITS && revision.bytes().all(|b| b.is_ascii_hexdigit()) {
        return false;
    }
    !is_version(revision) && revision.split("||").all(is_group)
}

/// Constraints that all have to hold, separated by blanks or commas; `1.0 - 2.0` is one.
fn is_group(group: &str) -> bool {
    let mut rest = group.trim();
    let mut first = true;
    let mut may_span = false;
    while !rest.is_empty() {
        if !first {
            let trimmed = rest.trim_start();
            if let Some(after) = trimmed.strip_prefix("- ").filter(|_| may_span && trimmed.len() < rest.len()) {
                rest = after.trim_start();
                let Some(after) = constraint_version(rest) else { return false };
                rest = after;
                may_span = false;
                continue;
            }
            let separated = trimmed.strip_prefix(',');
            if separated.is_none() && trimmed.len() == rest.len() {
                return false;
            }
            rest = separated.unwrap_or(trimmed).trim_start();
        }
        let operator =
            OPERATORS.iter().find(|operator| rest.starts_with(**operator)).map_or(0, |operator| operator.len());
        may_span = operator == 0;
        let Some(after) = constraint_version(rest[operator..].trim_start()) else { return false };
        rest = after;
        first = false;
    }
    // An empty group is none.
    !first
}

/// A version with wildcards at the start of the text, and what follows it.
fn constraint_version(text: &str) -> Option<&str> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut rest = text;
    let mut wild = false;
    for part in 0..3 {
        let after = if part == 0 { rest } else { rest.strip_prefix('.').unwrap_or("") };
        let end = after.find(|c: char| !c.is_ascii_digit() && !"xX*|".contains(c)).unwrap_or(after.len());
        if end == 0 {
            if part == 0 {
                return None;
            }
            break;
        }
        let digits = &after[..end];
        let is_wild = matches!(digits, "x" | "X" | "*");
        // Behind a wildcard nothing counts; a leading zero or a mixture is no number.
        if !wild && !is_wild && !is_number(digits) {
            return None;
        }
        wild |= is_wild;
        rest = &after[end..];
    }
    let rest = suffix(rest, '-')?;
    suffix(rest, '+')
}

/// What follows a pre-release or build part, if there is one.
fn suffix(text: &str, mark: char) -> Option<&str> {
    let Some(after) = text.strip_prefix(mark) else { return Some(text) };
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').unwrap_or(after.len());
    let parts = &after[..end];
    let good = parts
        .split('.')
        .all(|part| !part.is_empty() && (mark == '+' || is_number(part) || !part.bytes().all(|b| b.is_ascii_digit())));
    good.then(|| &after[end..])
}

fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
        && text.parse::<u64>().is_ok()
}

/// An exact version: `1`, `v1.2`, `1.2.3-rc.1+5`.
fn is_version(text: &str) -> bool {
    let has_wild =
        |text: &str| text.split(['-', '+']).next().is_some_and(|numbers| numbers.contains(['x', 'X', '*', '|']));
    !has_wild(text) && constraint_version(text) == Some("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the library that Argo CD uses (Masterminds/semver 3.4.0): revision and answer, recorded by
    /// `tools/oracles/globs`.
    const ANSWERS: &str = include_str!("../tests/data/ranges.txt");

    #[test]
    fn tells_ranges_as_argo_cd_does() {
        let mut count = 0;
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let (revision, answer) = line.split_once('\t').unwrap();
            assert_eq!(is_range(revision), answer == "true", "{revision:?}");
            count += 1;
        }
        assert!(count > 60, "{count} answers");
    }

    #[test]
    fn a_commit_or_nothing_is_no_range() {
        assert!(!is_range(""));
        assert!(!is_range("0123456789012345678901234567890123456789"));
    }
}
