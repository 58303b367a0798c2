//! Which Applications an Application waits for: the annotation `trueup.dev/depends-on`.
//!
//! Items stand between semicolons or on lines of their own, since a selector has commas. Each is the name of an Application of
//! the same namespace, `NAMESPACE/NAME`, or `label:SELECTOR`, which selects among the Applications of the same namespace; behind
//! it may stand `@synced` or `@healthy`, the default:
//!
//! ```text
//! database; platform/ingress@synced; label:tier in (base,network),!optional
//! ```
//!
//! What cannot be read is an error as a whole: nobody knows what it was to wait for. Entry point: [`DependsOn::read`].

use std::fmt;

use crate::annotations::DEPENDS_ON;
use crate::application::Meta;
use crate::selector::{Selector, SelectorError, is_dns_name};

/// The most items of an annotation: each is looked at whenever an Application changes.
const ITEMS_MAX: usize = 64;
/// The longest annotation, in bytes: it holds the most items at usual lengths.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// How much of an item is repeated in a message, in characters: a status stays small.
const ITEM_SHOWN: usize = 64;
/// The longest name of an object, in bytes: Kubernetes takes no longer ones.
const NAME_BYTES_MAX: usize = 253;
/// The longest name of a namespace, in bytes: Kubernetes takes no longer ones.
const NAMESPACE_BYTES_MAX: usize = 63;

/// The Applications that an Application waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependsOn {
    /// In the order in which they are written.
    pub items: Vec<Dependency>,
}

/// One item: an Application, or those that labels select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which.
    pub on: Which,
    /// How far they must be.
    pub readiness: Readiness,
}

/// An Application, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of this name.
    Named {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// All that labels select, except the one that waits.
    Labelled {
        /// Their namespace.
        namespace: String,
        /// The name of the one that waits.
        except: String,
        /// Their labels.
        selector: Selector,
    },
}

/// How far an Application must be before those that wait for it go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// The cluster is as Git says.
    Synced,
    /// And the objects work.
    #[default]
    Healthy,
}

/// Why the annotation cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DependsOnError {
    /// It is too long.
    #[error("{DEPENDS_ON}: longer than {TEXT_BYTES_MAX} bytes: select Applications by label:SELECTOR")]
    TooLong,
    /// It has too many items.
    #[error("{DEPENDS_ON}: more than {ITEMS_MAX} items: select Applications by label:SELECTOR")]
    TooMany,
    /// An item is wrong.
    #[error("{DEPENDS_ON}: '{item}': {why}")]
    Item {
        /// The item, cut where it is long.
        item: String,
        /// What is wrong.
        why: ItemError,
    },
}

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// It is no name.
    #[error("write NAME, NAMESPACE/NAME or label:SELECTOR, and ';' between several")]
    Name,
    /// It asks for something else than is known of an Application.
    #[error("behind '@' stands synced or healthy")]
    Readiness,
    /// Its selector is none.
    #[error(transparent)]
    Selector(#[from] SelectorError),
}

// === impl DependsOn ===

impl DependsOn {
    /// Reads the annotation of an Application; without it, it waits for none.
    pub fn read(meta: &Meta) -> Result<Self, DependsOnError> {
        let text = meta.annotations.get(DEPENDS_ON).map(String::as_str).unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            return Err(DependsOnError::TooLong);
        }
        let mut items = Vec::new();
        for item in text.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty()) {
            if items.len() == ITEMS_MAX {
                return Err(DependsOnError::TooMany);
            }
            let read = Dependency::read(item, meta);
            items.push(read.map_err(|why| DependsOnError::Item { item: shown(item), why })?);
        }
        Ok(Self { items })
    }
}

fn shown(item: &str) -> String {
    item.escape_debug().take(ITEM_SHOWN).collect()
}

// === impl Dependency ===

impl Dependency {
    fn read(item: &str, meta: &Meta) -> Result<Self, ItemError> {
        // No name, label or value has an '@'.
        let (item, readiness) = match item.split_once('@') {
            None => (item, Readiness::default()),
            Some((item, "synced")) => (item.trim_end(), Readiness::Synced),
            Some((item, "healthy")) => (item.trim_end(), Readiness::Healthy),
            Some(_) => return Err(ItemError::Readiness),
        };
        if let Some(selector) = item.strip_prefix("label:") {
            let selector = Selector::read(selector)?;
            let on = Which::Labelled { namespace: meta.namespace.clone(), except: meta.name.clone(), selector };
            return Ok(Self { on, readiness });
        }
        let (namespace, name) = match item.split_once('/') {
            Some((namespace, name)) if is_namespace(namespace) => (namespace, name),
            Some(_) => return Err(ItemError::Name),
            None => (meta.namespace.as_str(), item),
        };
        if !is_dns_name(name, NAME_BYTES_MAX) {
            return Err(ItemError::Name);
        }
        Ok(Self { on: Which::Named { namespace: namespace.to_owned(), name: name.to_owned() }, readiness })
    }

    /// Whether this Application is meant.
    pub fn matches(&self, other: &Meta) -> bool {
        match &self.on {
            Which::Named { namespace, name } => other.namespace == *namespace && other.name == *name,
            Which::Labelled { namespace, except, selector } => {
                other.namespace == *namespace && other.name != *except && selector.matches(&other.labels)
            }
        }
    }
}

fn is_namespace(text: &str) -> bool {
    is_dns_name(text, NAMESPACE_BYTES_MAX) && !text.contains('.')
}

/// As it may be written, with its readiness.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on {
            Which::Named { namespace, name } if namespace.is_empty() => write!(f, "{name}"),
            Which::Named { namespace, name } => write!(f, "{namespace}/{name}"),
            Which::Labelled { selector, .. } => write!(f, "label:{selector}"),
        }?;
        write!(f, "@{}", self.readiness)
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Synced => "synced",
            Self::Healthy => "healthy",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn waiting(text: &str) -> Meta {
        Meta { annotations: BTreeMap::from([(DEPENDS_ON.to_owned(), text.to_owned())]), ..named("argocd", "shop", "") }
    }

    fn named(namespace: &str, name: &str, tier: &str) -> Meta {
        let labels = if tier.is_empty() { BTreeMap::new() } else { BTreeMap::from([("tier".into(), tier.into())]) };
        Meta { namespace: namespace.to_owned(), name: name.to_owned(), labels, ..Meta::default() }
    }

    fn read(text: &str) -> Result<Vec<String>, DependsOnError> {
        DependsOn::read(&waiting(text)).map(|read| read.items.iter().map(Dependency::to_string).collect())
    }

    #[test]
    fn reads_names_and_selectors() {
        for (text, expected) in [
            ("", &[][..]),
            (" ;\n; ", &[][..]),
            ("database", &["argocd/database@healthy"][..]),
            ("database@synced", &["argocd/database@synced"][..]),
            ("database @healthy", &["argocd/database@healthy"][..]),
            ("team/database@synced", &["team/database@synced"][..]),
            ("a;b\nc", &["argocd/a@healthy", "argocd/b@healthy", "argocd/c@healthy"][..]),
            ("my.app", &["argocd/my.app@healthy"][..]),
            ("label:tier=base", &["label:tier=base@healthy"][..]),
            ("label:tier in (a,b),!x@synced; c", &["label:tier in (a,b),!x@synced", "argocd/c@healthy"][..]),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        assert_eq!(DependsOn::read(&named("argocd", "shop", "")), Ok(DependsOn::default()));
    }

    #[test]
    fn what_cannot_be_read_says_what_and_why() {
        for (text, why) in [
            ("a,b", ItemError::Name),
            ("a b", ItemError::Name),
            ("A", ItemError::Name),
            ("team/", ItemError::Name),
            ("/a", ItemError::Name),
            ("a.b/c", ItemError::Name),
            ("a/b/c", ItemError::Name),
            ("a@ready", ItemError::Readiness),
            ("a@", ItemError::Readiness),
            ("a@synced@healthy", ItemError::Readiness),
            ("@synced", ItemError::Name),
            ("label:", ItemError::Selector(SelectorError::Empty)),
            ("label:a in (b", ItemError::Selector(SelectorError::Parenthesis)),
        ] {
            assert_eq!(read(text), Err(DependsOnError::Item { item: text.to_owned(), why }), "{text}");
            let said = read(&format!("first;{text}")).unwrap_err().to_string();
            assert!(said.starts_with(&format!("trueup.dev/depends-on: '{text}': ")), "{said}");
        }
        assert_eq!(read(&"x;".repeat(ITEMS_MAX)).unwrap().len(), ITEMS_MAX);
        assert_eq!(read(&"x;".repeat(ITEMS_MAX + 1)), Err(DependsOnError::TooMany));
        assert_eq!(read(&"x".repeat(TEXT_BYTES_MAX + 1)), Err(DependsOnError::TooLong));
        let long = read(&"\u{1}".repeat(500)).unwrap_err().to_string();
        assert!(long.len() < 250 && !long.contains('\u{1}'), "{long}");
    }

    #[test]
    fn who_is_meant() {
        let meant = |text: &str, other: &Meta| {
            DependsOn::read(&waiting(text)).unwrap().items.iter().any(|item| item.matches(other))
        };
        for (text, other, expected) in [
            ("database", named("argocd", "database", ""), true),
            ("database", named("team", "database", ""), false),
            ("team/database", named("team", "database", ""), true),
            ("shop", named("argocd", "shop", ""), true),
            ("label:tier=base", named("argocd", "database", "base"), true),
            ("label:tier=base", named("argocd", "database", "web"), false),
            ("label:tier=base", named("team", "database", "base"), false),
            // Labels that it has itself select its neighbours.
            ("label:tier=base", named("argocd", "shop", "base"), false),
        ] {
            assert_eq!(meant(text, &other), expected, "{text}");
        }
    }
}
