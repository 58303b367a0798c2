//! The way to one leaf of a manifest, in the words of `fieldsV1`.
//!
//! A list whose items have an identity is walked by that identity, so a path stays true when items move. Entry point:
//! [`Path`]; its `Display` is what people read (`.spec.template.spec.containers[name="web"].image`).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use compact_str::CompactString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Map, Node, Number};

/// One step into a value.
///
/// Order and hash agree with equality: numbers count by value, so `1` and `1.0` are one step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Into the entry of a map (`f:name`).
    Field(CompactString),
    /// Into the item of a map list that has these key fields, sorted by field name (`k:{"name":"x"}`).
    Key(Vec<(CompactString, Node)>),
    /// Into the item of a set list that has this value (`v:"x"`).
    Value(Node),
    /// Into the item of a list at this place (`i:0`).
    Index(usize),
}

/// The way from the root of a manifest to one value.
///
/// Serialises as a list of steps in `fieldsV1` words.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Step>);

/// A text is no step in the words of `fieldsV1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The kind of step is one that we do not know. A later API server may write such; they are skipped, as Go does.
    #[error("step '{0}' is of an unknown kind")]
    Unknown(String),
    /// The rest of the text does not fit its kind.
    #[error("step '{0}' is malformed")]
    Malformed(String),
}

// === impl Step ===

impl Step {
    /// A step into the entry of a map.
    pub fn field(name: impl Into<CompactString>) -> Self {
        Self::Field(name.into())
    }

    /// A step into the item of a map list; the key fields are put in order.
    pub fn key(fields: impl IntoIterator<Item = (CompactString, Node)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(fields)
    }

    /// Reads a step as `fieldsV1` writes it.
    pub fn from_fields_v1(text: &str) -> Result<Self, StepError> {
        let malformed = || StepError::Malformed(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(|| StepError::Unknown(text.to_owned()))?;
        match kind {
            "f" => Ok(Self::field(rest)),
            "v" => Node::from_json(rest.as_bytes()).map(Self::Value).map_err(|_| malformed()),
            "i" => rest.parse().map(Self::Index).map_err(|_| malformed()),
            "k" => match Node::from_json(rest.as_bytes()) {
                Ok(Node::Map(fields)) if !fields.is_empty() => Ok(Self::key(fields)),
                _ => Err(malformed()),
            },
            _ => Err(StepError::Unknown(text.to_owned())),
        }
    }

    /// Writes the step as `fieldsV1` does.
    pub fn to_fields_v1(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => format!("k:{}", Node::Map(fields.iter().cloned().collect::<Map>())),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => compare_entries(
                a.iter().map(|(key, value)| (key.as_str(), value)),
                b.iter().map(|(key, value)| (key.as_str(), value)),
            ),
            (Self::Value(a), Self::Value(b)) => compare_nodes(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Step {}

impl Hash for Step {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Field(name) => name.hash(state),
            Self::Key(fields) => {
                for (key, value) in fields {
                    key.hash(state);
                    hash_node(value, state);
                }
            }
            Self::Value(value) => hash_node(value, state),
            Self::Index(at) => at.hash(state),
        }
    }
}

/// `.name`, `["a.b/c"]`, `[name="web"]`, `[="value"]` or `[0]`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) if is_plain(name) => write!(f, ".{name}"),
            Self::Field(name) => write!(f, "[{}]", Node::String(name.clone())),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (at, (key, value)) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{key}={value}")?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

/// Whether a field name reads well behind a dot.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'$')
}

// === impl Path ===

impl Path {
    /// The path of a chain of map keys.
    pub fn of_fields(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::field(*key)).collect())
    }

    /// This path and one more step.
    #[must_use]
    pub fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Whether this is `prefix` or below it.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

/// The steps one after the other; the root is `.`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        self.0.iter().try_for_each(|step| step.fmt(f))
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Step::to_fields_v1))
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let steps = Vec::<String>::deserialize(deserializer)?;
        let steps = steps.iter().map(|step| Step::from_fields_v1(step).map_err(D::Error::custom));
        Ok(Self(steps.collect::<Result<_, _>>()?))
    }
}

// === order and hash of values ===

fn compare_nodes(a: &Node, b: &Node) -> Ordering {
    match (a, b) {
        (Node::Bool(a), Node::Bool(b)) => a.cmp(b),
        (Node::Number(a), Node::Number(b)) => compare_numbers(*a, *b),
        (Node::String(a), Node::String(b)) => a.cmp(b),
        (Node::List(a), Node::List(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| compare_nodes(a, b))
            .find(|it| it.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (Node::Map(a), Node::Map(b)) => compare_entries(a.iter(), b.iter()),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_entries<'a>(
    a: impl ExactSizeIterator<Item = (&'a str, &'a Node)>,
    b: impl ExactSizeIterator<Item = (&'a str, &'a Node)>,
) -> Ordering {
    let lengths = a.len().cmp(&b.len());
    a.zip(b)
        .map(|((a_key, a), (b_key, b))| a_key.cmp(b_key).then_with(|| compare_nodes(a, b)))
        .find(|it| it.is_ne())
        .unwrap_or(lengths)
}

fn compare_numbers(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.cmp(&b),
        (Number::Uint(a), Number::Uint(b)) => a.cmp(&b),
        // Whole numbers above the range of i64.
        (Number::Int(_), Number::Uint(b)) if i64::try_from(b).is_err() => Ordering::Less,
        (Number::Uint(a), Number::Int(_)) if i64::try_from(a).is_err() => Ordering::Greater,
        _ => float(a).total_cmp(&float(b)),
    }
}

/// The number as a float, with one zero.
#[expect(clippy::cast_precision_loss, reason = "only numbers that are equal as floats are equal to a float")]
fn float(number: Number) -> f64 {
    let value = match number {
        Number::Int(value) => value as f64,
        Number::Uint(value) => value as f64,
        Number::Float(value) => value,
    };
    if value == 0.0 { 0.0 } else { value }
}

fn rank(node: &Node) -> u8 {
    match node {
        Node::Null => 0,
        Node::Bool(_) => 1,
        Node::Number(_) => 2,
        Node::String(_) => 3,
        Node::List(_) => 4,
        Node::Map(_) => 5,
    }
}

fn hash_node<H: Hasher>(node: &Node, state: &mut H) {
    rank(node).hash(state);
    match node {
        Node::Null => {}
        Node::Bool(value) => value.hash(state),
        Node::Number(number) => float(*number).to_bits().hash(state),
        Node::String(text) => text.hash(state),
        Node::List(items) => items.iter().for_each(|item| hash_node(item, state)),
        Node::Map(map) => map.iter().for_each(|(key, value)| {
            key.hash(state);
            hash_node(value, state);
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    fn step(text: &str) -> Step {
        Step::from_fields_v1(text).unwrap()
    }

    #[test]
    fn reads_and_writes_every_kind_of_step() {
        for text in ["f:name", "f:", "f:a:b", r#"k:{"containerPort":80,"protocol":"TCP"}"#, r#"v:"x""#, "v:7", "i:3"] {
            assert_eq!(step(text).to_fields_v1(), text);
        }
    }

    #[test]
    fn puts_key_fields_in_order() {
        assert_eq!(step(r#"k:{"b":1,"a":2}"#), step(r#"k:{"a":2,"b":1}"#));
    }

    #[test]
    fn tells_unknown_steps_from_malformed_ones() {
        assert_eq!(Step::from_fields_v1("z:new"), Err(StepError::Unknown("z:new".into())));
        assert_eq!(Step::from_fields_v1("."), Err(StepError::Unknown(".".into())));
        for text in ["k:{}", "k:[1]", "k:{", "v:{", "i:x", "i:-1"] {
            assert_eq!(Step::from_fields_v1(text), Err(StepError::Malformed(text.into())), "{text}");
        }
    }

    #[test]
    fn prints_what_people_read() {
        let path = Path(vec![
            step("f:spec"),
            step("f:containers"),
            step(r#"k:{"name":"web"}"#),
            step("f:ports"),
            step(r#"k:{"containerPort":80,"protocol":"TCP"}"#),
            step("f:a.b/c"),
            step(r#"v:"x""#),
            step("i:0"),
        ]);
        assert_eq!(
            path.to_string(),
            r#".spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]["a.b/c"][="x"][0]"#
        );
        assert_eq!(Path::default().to_string(), ".");
    }

    #[test]
    fn equal_numbers_are_one_step_in_every_set() {
        let steps =
            [step("v:1"), step("v:1.0"), step("v:1e0"), step("v:0"), step("v:-0.0"), step("v:18446744073709551615")];
        assert_eq!(steps.iter().collect::<BTreeSet<_>>().len(), 3);
        assert_eq!(steps.iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn serialises_as_a_list_of_steps() {
        let path = Path(vec![step("f:a"), step(r#"k:{"n":"x"}"#)]);
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(json, r#"["f:a","k:{\"n\":\"x\"}"]"#);
        assert_eq!(serde_json::from_str::<Path>(&json).unwrap(), path);
        assert!(serde_json::from_str::<Path>(r#"["q"]"#).is_err());
    }
}
