//! Which values of a file are encrypted. Entry points: [`Rule::start`] and [`Rule::below`].

use regex::{Regex, RegexBuilder};

use crate::error::Problem;

/// How much memory a compiled expression may take, in bytes: those of the documentation take a few KiB.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;
/// Without any rule a key that ends with this is not encrypted.
const UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// The one rule that a file has.
pub(crate) enum Rule {
    /// Everything, but for what lies under a matching key.
    AllBut(Keys),
    /// Nothing, but for what lies under a matching key.
    Only(Keys),
    /// It depends on comments. What is authentic is what was encrypted, and the code over all values tells if one was replaced.
    Comments,
}

/// Which keys match.
pub(crate) enum Keys {
    Suffix(String),
    Expression(Regex),
}

/// Whether the values at a place are encrypted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Encrypted,
    Plain,
    /// Those that look so.
    ByLooks,
}

// === impl Rule ===

impl Rule {
    /// From what the metadata says: the value of a field, empty where there is none.
    pub(crate) fn new<'m>(field: impl Fn(&'static str) -> &'m str) -> Result<Self, Problem> {
        let mut rules = Vec::new();
        for name in ["unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex"] {
            let text = field(name);
            if text.is_empty() {
                continue;
            }
            let keys = if name.ends_with("_suffix") {
                Keys::Suffix(text.to_owned())
            } else {
                let expression = RegexBuilder::new(text).size_limit(EXPRESSION_BYTES_MAX).build();
                Keys::Expression(
                    expression
                        .map_err(|_| Problem::metadata(format!("{name} is no regular expression, or too long")))?,
                )
            };
            rules.push(if name.starts_with("un") { Self::AllBut(keys) } else { Self::Only(keys) });
        }
        for name in ["unencrypted_comment_regex", "encrypted_comment_regex"] {
            if !field(name).is_empty() {
                rules.push(Self::Comments);
            }
        }
        if rules.len() > 1 {
            return Err(Problem::metadata("it has several rules for what is encrypted, where SOPS allows one"));
        }
        Ok(rules.pop().unwrap_or_else(|| Self::AllBut(Keys::Suffix(UNENCRYPTED_SUFFIX.to_owned()))))
    }

    /// How a document begins.
    pub(crate) fn start(&self) -> Place {
        match self {
            Self::AllBut(_) => Place::Encrypted,
            Self::Only(_) => Place::Plain,
            Self::Comments => Place::ByLooks,
        }
    }

    /// How it goes on under a key.
    pub(crate) fn below(&self, place: Place, key: &str) -> Place {
        match self {
            Self::AllBut(keys) if keys.match_key(key) => Place::Plain,
            Self::Only(keys) if keys.match_key(key) => Place::Encrypted,
            _ => place,
        }
    }
}

// === impl Keys ===

impl Keys {
    fn match_key(&self, key: &str) -> bool {
        match self {
            Self::Suffix(suffix) => key.ends_with(suffix),
            Self::Expression(expression) => expression.is_match(key),
        }
    }
}
