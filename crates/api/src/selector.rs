//! Kubernetes' label selectors as text: `app=web,tier in (a,b),!canary`, exactly as `kubectl -l` reads them, without `>` and `<`.
//!
//! Invariant: there is at least one requirement. Entry points: [`Selector::read`] and [`Selector::matches`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most requirements of a selector: nobody writes more, and each is looked at for every Application.
const REQUIREMENTS_MAX: usize = 32;
/// The longest name of a label, and the longest value, in bytes: Kubernetes takes no longer ones.
const NAME_BYTES_MAX: usize = 63;
/// The longest prefix of a label, in bytes: that of a DNS name.
const PREFIX_BYTES_MAX: usize = 253;

/// What labels must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// Why a text is no selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It requires nothing, and would select everything.
    #[error("the selector requires nothing: write it as in app=web")]
    Empty,
    /// It has too many requirements.
    #[error("the selector has more than {REQUIREMENTS_MAX} requirements")]
    TooMany,
    /// A parenthesis is missing or too much.
    #[error("a parenthesis is missing or too much: write it as in tier in (a,b)")]
    Parenthesis,
    /// A requirement has another form.
    #[error("a requirement is one of app, !app, app=web, app!=web, app in (a,b) and app notin (a,b)")]
    Form,
    /// A key is none of a label.
    #[error(
        "the key of a label is made of letters, digits, '-', '_' and '.', with a DNS name and a '/' before it or not"
    )]
    Key,
    /// A value is none of a label.
    #[error("the value of a label is made of at most {NAME_BYTES_MAX} letters, digits, '-', '_' and '.'")]
    Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(BTreeSet<String>),
    /// A label that is absent is not in any set.
    NotIn(BTreeSet<String>),
}

// === impl Selector ===

impl Selector {
    /// Reads a selector.
    pub fn read(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for part in split(text)? {
            if requirements.len() == REQUIREMENTS_MAX {
                return Err(SelectorError::TooMany);
            }
            requirements.push(Requirement::read(part.trim())?);
        }
        if requirements.is_empty() { Err(SelectorError::Empty) } else { Ok(Self { requirements }) }
    }

    /// Whether labels are like that.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Requirement { key, test }) in self.requirements.iter().enumerate() {
            let before = if at == 0 { "" } else { "," };
            let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            match test {
                Test::Exists => write!(f, "{before}{key}"),
                Test::Absent => write!(f, "{before}!{key}"),
                Test::In(values) if values.len() == 1 => write!(f, "{before}{key}={}", list(values)),
                Test::NotIn(values) if values.len() == 1 => write!(f, "{before}{key}!={}", list(values)),
                Test::In(values) => write!(f, "{before}{key} in ({})", list(values)),
                Test::NotIn(values) => write!(f, "{before}{key} notin ({})", list(values)),
            }?;
        }
        Ok(())
    }
}

/// The parts between commas, of which those inside parentheses do not count.
fn split(text: &str) -> Result<Vec<&str>, SelectorError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b')' if inside == (byte == b'(') => return Err(SelectorError::Parenthesis),
            b'(' | b')' => inside = !inside,
            b',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(SelectorError::Parenthesis);
    }
    parts.push(&text[start..]);
    Ok(parts)
}

// === impl Requirement ===

impl Requirement {
    fn read(text: &str) -> Result<Self, SelectorError> {
        if let Some(key) = text.strip_prefix('!') {
            return Self::new(key, Test::Absent);
        }
        if let Some((head, rest)) = text.split_once('(') {
            let values = rest.strip_suffix(')').ok_or(SelectorError::Form)?;
            let values = values.split(',').map(value).collect::<Result<_, _>>()?;
            let mut words = head.split_whitespace();
            return match (words.next(), words.next(), words.next()) {
                (Some(key), Some("in"), None) => Self::new(key, Test::In(values)),
                (Some(key), Some("notin"), None) => Self::new(key, Test::NotIn(values)),
                _ => Err(SelectorError::Form),
            };
        }
        if let Some((key, text)) = text.split_once("!=") {
            return Self::new(key, Test::NotIn(BTreeSet::from([value(text)?])));
        }
        if let Some((key, text)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return Self::new(key, Test::In(BTreeSet::from([value(text)?])));
        }
        if text.contains(char::is_whitespace) || text.is_empty() {
            return Err(SelectorError::Form);
        }
        Self::new(text, Test::Exists)
    }

    fn new(key: &str, test: Test) -> Result<Self, SelectorError> {
        let key = key.trim();
        let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
        let fits = is_label(name) && prefix.is_none_or(|prefix| is_dns_name(prefix, PREFIX_BYTES_MAX));
        if fits { Ok(Self { key: key.to_owned(), test }) } else { Err(SelectorError::Key) }
    }
}

/// The value of a label, which may be empty.
fn value(text: &str) -> Result<String, SelectorError> {
    let text = text.trim();
    if text.is_empty() || is_label(text) { Ok(text.to_owned()) } else { Err(SelectorError::Value) }
}

/// Whether a text is the name of a label without its prefix, or a value that is not empty.
fn is_label(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= NAME_BYTES_MAX
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Whether a text is a DNS name as Kubernetes names its objects.
pub(crate) fn is_dns_name(text: &str, bytes_max: usize) -> bool {
    let is_part = |part: &str| {
        let inner = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= bytes_max && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn selects_as_kubectl_does() {
        for (selector, with, expected) in [
            ("app=web", "app=web", true),
            ("app==web", "app=web", true),
            (" app = web ", "app=web", true),
            ("app=web", "app=db", false),
            ("app=web", "", false),
            ("app=", "app=", true),
            ("app=", "", false),
            ("app!=web", "app=db", true),
            ("app!=web", "", true),
            ("app!=web", "app=web", false),
            ("app", "app=x", true),
            ("app", "", false),
            ("!app", "", true),
            ("! app", "app=x", false),
            ("tier in (a,b)", "tier=b", true),
            ("tier in ( a , b )", "tier=a", true),
            ("tier in(a)", "tier=a", true),
            ("tier in (a,b)", "tier=c", false),
            ("tier in (a,b)", "", false),
            ("tier in (a,)", "tier=", true),
            ("tier notin (a,b)", "tier=c", true),
            ("tier notin (a,b)", "tier=a", false),
            ("tier notin (a,b)", "", true),
            ("app=web,tier in (a,b),!canary", "app=web,tier=a", true),
            ("app=web,tier in (a,b),!canary", "app=web,tier=a,canary=", false),
            ("example.com/team=shop", "example.com/team=shop", true),
            ("in in (in)", "in=in", true),
        ] {
            let read = Selector::read(selector).unwrap();
            assert_eq!(read.matches(&labels(with)), expected, "{selector}: {with}");
            assert_eq!(Selector::read(&read.to_string()).unwrap(), read, "{selector}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        use SelectorError::{Empty, Form, Key, Parenthesis, TooMany, Value};
        let many = vec!["a=b"; REQUIREMENTS_MAX + 1].join(",");
        let long = format!("a={}", "b".repeat(NAME_BYTES_MAX + 1));
        for (selector, error) in [
            ("", Empty),
            (" ", Empty),
            (",", Form),
            ("a=b,", Form),
            (many.as_str(), TooMany),
            ("tier in (a", Parenthesis),
            ("tier in a)", Parenthesis),
            ("tier in ((a))", Parenthesis),
            ("tier in (a) b", Form),
            ("tier within (a)", Form),
            ("tier (a)", Form),
            ("a b", Form),
            ("-a=b", Key),
            ("=b", Key),
            ("!", Key),
            ("a/b/c=d", Key),
            ("/a=b", Key),
            ("Example/a=b", Key),
            ("a>1", Key),
            ("a=b=c", Value),
            ("a=b c", Value),
            ("a=-b", Value),
            ("a=é", Value),
            (long.as_str(), Value),
        ] {
            assert_eq!(Selector::read(selector), Err(error), "{selector}");
        }
    }
}
