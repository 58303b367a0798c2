//! Ranges of versions (`1.x`, `^2.1`, `>= 1.0, < 2`), and which tags are within them: by the rules of the library that Argo CD
//! uses, oddities included, since a range must mean the same tag in both.
//!
//! A version of a range may name fewer than three numbers. A pre-release is only within a range that names one. Entry point:
//! [`Range::parse`], [`Range::best`].

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

/// Operators, the longer ones first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::Not),
    (">=", Operator::AtLeast),
    ("=>", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=<", Operator::AtMost),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// A set of versions (`1.x`, `^2.1`, `>= 1.0, < 2`), read as Argo CD and Helm read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(Vec<Group>);

/// Constraints that all have to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Group(Vec<Constraint>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Constraint {
    operator: Operator,
    /// How many numbers are named; those behind are zero.
    named: usize,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Not,
    Above,
    AtLeast,
    Below,
    AtMost,
    Tilde,
    Caret,
}

/// A version at the start of a text.
struct Found {
    /// How many numbers are named.
    named: usize,
    version: Version,
    /// Whether there is a wildcard.
    wild: bool,
}

/// The version that a tag's name is: `1`, `v1.2`, `1.2.3-rc.1+5`.
fn version(text: &str) -> Option<Version> {
    let (found, rest) = found(text)?;
    (rest.is_empty() && !found.wild).then_some(found.version)
}

/// A version, with wildcards perhaps, at the start of the text; and what follows it.
fn found(text: &str) -> Option<(Found, &str)> {
    let mut rest = text.strip_prefix('v').unwrap_or(text);
    let mut numbers = [0; 3];
    let (mut named, mut wild) = (0, false);
    for (place, number) in numbers.iter_mut().enumerate() {
        let Some(after) = (if place == 0 { Some(rest) } else { rest.strip_prefix('.') }) else { break };
        let end = after.find(|c: char| !c.is_ascii_digit() && !"xX*|".contains(c)).unwrap_or(after.len());
        if end == 0 {
            break;
        }
        let digits = &after[..end];
        wild |= matches!(digits, "x" | "X" | "*");
        // Behind a wildcard nothing counts.
        if !wild {
            *number = digits.parse().ok()?;
            named += 1;
        }
        rest = &after[end..];
    }
    if named == 0 && !wild {
        return None;
    }
    let (pre, rest) = suffix(rest, '-');
    let (build, rest) = suffix(rest, '+');
    let pre = Prerelease::new(pre).ok()?;
    let build = BuildMetadata::new(build).ok()?;
    let [major, minor, patch] = numbers;
    Some((Found { named, version: Version { major, minor, patch, pre, build }, wild }, rest))
}

/// The pre-release or build part at the start of a text, empty if there is none; and what follows it.
fn suffix(text: &str, mark: char) -> (&str, &str) {
    let Some(after) = text.strip_prefix(mark) else { return ("", text) };
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').unwrap_or(after.len());
    // An empty part is none: the mark stays, and nothing may begin with it.
    if end == 0 { ("", text) } else { after.split_at(end) }
}

// === impl Range ===

impl Range {
    /// The range that a revision is; none if it is a name or an exact version.
    pub fn parse(text: &str) -> Option<Self> {
        if version(text).is_some() {
            return None;
        }
        Self::constraint(text)
    }

    /// The range that a text is, also where it is a version: `1.2` is every 1.2, `1.2.3` and `v1.2.3` one version. Nothing and
    /// names are none.
    pub fn constraint(text: &str) -> Option<Self> {
        text.split("||").map(Group::parse).collect::<Option<Vec<_>>>().map(Self)
    }

    /// The tag with the highest version within the range. Of equal versions the first counts, so the order matters.
    pub fn best<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let mut best: Option<(&str, Version)> = None;
        for tag in tags {
            let Some(version) = version(tag).filter(|version| self.holds(version)) else { continue };
            if best.as_ref().is_none_or(|(_, best)| version.cmp_precedence(best) == Ordering::Greater) {
                best = Some((tag, version));
            }
        }
        best.map(|(tag, _)| tag)
    }

    fn holds(&self, version: &Version) -> bool {
        self.0.iter().any(|group| group.holds(version))
    }
}

// === impl Group ===

impl Group {
    /// Constraints separated by blanks or commas; `1.0 - 2.0` is two of them.
    fn parse(text: &str) -> Option<Self> {
        let mut group = Self::default();
        let mut rest = text.trim_start();
        // Whether what came last may be the lower end of a span.
        let mut may_span = false;
        while !rest.is_empty() {
            if !group.0.is_empty() {
                let trimmed = rest.trim_start();
                if trimmed.is_empty() {
                    break;
                }
                let is_apart = trimmed.len() < rest.len();
                if is_apart
                    && may_span
                    && let Some(after) = trimmed.strip_prefix("- ")
                {
                    if let Some(lower) = group.0.last_mut() {
                        lower.operator = Operator::AtLeast;
                    }
                    rest = group.push(Operator::AtMost, after.trim_start())?;
                    may_span = false;
                    continue;
                }
                let after_comma = trimmed.strip_prefix(',');
                if after_comma.is_none() && !is_apart {
                    return None;
                }
                rest = after_comma.unwrap_or(trimmed).trim_start();
            }
            let operator = OPERATORS.iter().find_map(|(text, operator)| Some((*operator, rest.strip_prefix(text)?)));
            may_span = operator.is_none();
            let (operator, after) = operator.unwrap_or((Operator::Equal, rest));
            rest = group.push(operator, after.trim_start())?;
        }
        // An empty group is none.
        (!group.0.is_empty()).then_some(group)
    }

    /// Adds the version at the start of the text, and answers what follows it.
    fn push<'t>(&mut self, operator: Operator, text: &'t str) -> Option<&'t str> {
        let (found, rest) = found(text)?;
        self.0.push(Constraint { operator, named: found.named, version: found.version });
        Some(rest)
    }

    fn holds(&self, version: &Version) -> bool {
        let names_one = || self.0.iter().any(|constraint| !constraint.version.pre.is_empty());
        (version.pre.is_empty() || names_one()) && self.0.iter().all(|constraint| constraint.holds(version))
    }
}

// === impl Constraint ===

impl Constraint {
    fn holds(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.operator {
            Operator::Equal if self.named == 3 => order.is_eq(),
            Operator::Equal | Operator::Tilde => order.is_ge() && self.is_near(version),
            Operator::Caret => order.is_ge() && self.is_compatible(version),
            Operator::AtLeast => order.is_ge(),
            Operator::Below => order.is_lt(),
            // `>1.2` begins with 1.3, and `<=1.2` ends with the last 1.2.
            Operator::Above if matches!(self.named, 1 | 2) => self.named_order(version).is_gt(),
            Operator::Above => order.is_gt(),
            Operator::AtMost if self.named == 3 => order.is_le(),
            Operator::AtMost => self.named_order(version).is_le(),
            Operator::Not if !matches!(self.named, 1 | 2) => order.is_ne(),
            Operator::Not => self.named_order(version).is_ne() || (self.named == 2 && version.pre != self.version.pre),
        }
    }

    /// The order by the numbers that are named; where none is, it is that of `0.0`.
    fn named_order(&self, version: &Version) -> Ordering {
        let major = version.major.cmp(&self.version.major);
        if self.named == 1 { major } else { major.then(version.minor.cmp(&self.version.minor)) }
    }

    /// Whether the numbers that are named, but for the last of three, are the same.
    fn is_near(&self, version: &Version) -> bool {
        // Everything is near to nothing at all, and to 0.0.0.
        let is_zero = (self.version.major, self.version.minor, self.version.patch) == (0, 0, 0);
        (is_zero && !matches!(self.named, 1 | 2)) || self.named_order(version).is_eq()
    }

    /// Whether the first number that is not zero, and all before it, are the same.
    fn is_compatible(&self, version: &Version) -> bool {
        let Version { major, minor, patch, .. } = self.version;
        if major > 0 || self.named == 1 {
            return version.major == major;
        }
        let same = (version.major, version.minor) == (major, minor);
        same && (minor > 0 || self.named == 2 || version.patch == patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the library that Argo CD uses (Masterminds/semver 3.4.0), recorded by `tools/oracles/ranges`.
    const ANSWERS: &str = include_str!("../tests/data/ranges.txt");

    fn answers(kind: &str) -> Vec<(&'static str, &'static str)> {
        let lines = ANSWERS.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix('\t'));
        lines.map(|line| line.split_once('\t').unwrap()).collect()
    }

    #[test]
    fn versions_are_read_as_argo_cd_does() {
        let tags = answers("tag");
        assert!(tags.len() > 40);
        for (tag, answer) in tags {
            let read = version(tag).map_or_else(|| "none".to_owned(), |version| version.to_string());
            assert_eq!(read, answer, "{tag:?}");
        }
    }

    #[test]
    fn tags_are_within_a_range_as_argo_cd_says() {
        let tags: Vec<&str> = answers("tag").into_iter().map(|(tag, _)| tag).collect();
        let ranges = answers("range");
        assert!(ranges.len() > 140);
        for (text, answer) in ranges {
            let Some(range) = Range::parse(text) else {
                assert_eq!(answer, "none", "{text:?}");
                continue;
            };
            let within = tags.iter().filter(|tag| version(tag).is_some_and(|version| range.holds(&version)));
            assert_eq!(within.copied().collect::<Vec<_>>().join(" "), answer, "{text:?}");
        }
    }

    #[test]
    fn the_highest_is_the_best_and_of_equals_the_first() {
        let best = |range: &str, tags: &[&'static str]| Range::parse(range).unwrap().best(tags.iter().copied());
        assert_eq!(best("1.x", &["1.9.0", "v1.10.0", "2.0.0", "1.10.1-rc"]), Some("v1.10.0"));
        assert_eq!(best("*", &["1.0.0", "v1.0.0", "1.0.0+5", "1"]), Some("1.0.0"));
        assert_eq!(best("*-0", &["1.0.0-rc.2", "1.0.0-rc.11", "main"]), Some("1.0.0-rc.11"));
        assert_eq!(best("^3", &["1.0.0"]), None);
    }

    #[test]
    fn a_commit_or_nothing_is_no_range() {
        for text in ["", " ", "0123456789012345678901234567890123456789", "||", ",", "- ", "\u{e9}"] {
            assert_eq!(Range::parse(text), None, "{text:?}");
        }
    }
}
