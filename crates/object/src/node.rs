//! One value of a manifest.
//!
//! Keeps a JSON value in about a quarter of the memory that `serde_json::Value` takes. Invariant: the keys of a
//! [`Map`] are sorted and unique, so two equal values print to the same bytes. Entry point: [`Node::from_json`].

use std::fmt;

use compact_str::CompactString;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// The most levels of nesting that are read: deeper input is refused, because every walk over a tree recurses.
pub const DEPTH_MAX: usize = 128;

/// One JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Node {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(CompactString),
    /// A list.
    List(Vec<Self>),
    /// A map with sorted, unique keys.
    Map(Map),
}

/// A JSON number. Whole numbers are never held as a float where an integer can hold them.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// A whole number in the range of `i64`.
    Int(i64),
    /// A whole number above the range of `i64`.
    Uint(u64),
    /// Everything else; never NaN or infinite.
    Float(f64),
}

/// The entries of a map, sorted by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Vec<(CompactString, Node)>);

/// The text is not JSON, or nests deeper than [`DEPTH_MAX`].
#[derive(Debug, thiserror::Error)]
#[error("not valid JSON")]
pub struct JsonError(#[from] serde_json::Error);

// === impl Node ===

impl Node {
    /// Reads one JSON value.
    pub fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        Ok(serde_json::from_slice(text)?)
    }

    /// Prints the value as compact JSON with sorted keys: equal values give equal bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// A string value.
    pub fn string(text: impl Into<CompactString>) -> Self {
        Self::String(text.into())
    }

    /// An empty map.
    pub fn map() -> Self {
        Self::Map(Map::default())
    }

    /// The entry of a map under `key`.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value at a chain of map keys, for example `node.at(&["metadata", "name"])`.
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The string at a chain of map keys.
    pub fn str_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.as_str()
    }

    /// The whole number at a chain of map keys.
    pub fn i64_at(&self, keys: &[&str]) -> Option<i64> {
        self.at(keys)?.as_i64()
    }

    /// The items of the list at a chain of map keys; none if there is no list.
    pub fn list_at(&self, keys: &[&str]) -> &[Self] {
        self.at(keys).and_then(Self::as_list).unwrap_or_default()
    }

    /// Sets the value at a chain of map keys, making maps on the way and replacing what is no map.
    pub fn set_at(&mut self, keys: &[&str], value: Self) {
        match keys {
            [] => *self = value,
            [first, rest @ ..] => self.force_map().entry(first).set_at(rest, value),
        }
    }

    /// Takes out the value at a chain of map keys.
    pub fn remove_at(&mut self, keys: &[&str]) -> Option<Self> {
        match keys {
            [] => None,
            [last] => self.as_map_mut()?.remove(last),
            [first, rest @ ..] => self.as_map_mut()?.get_mut(first)?.remove_at(rest),
        }
    }

    /// This node as a map, replaced by an empty one if it is something else.
    pub fn force_map(&mut self) -> &mut Map {
        if !matches!(self, Self::Map(_)) {
            *self = Self::map();
        }
        match self {
            Self::Map(map) => map,
            _ => unreachable!("replaced by a map above"),
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(Number::Int(value)) = self { Some(*value) } else { None }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The list, if it is one.
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Self>> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The map, if it is one.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Self::Number(Number::Int(value))
    }
}

/// Prints compact JSON.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_json()))
    }
}

// === impl Number ===

impl Number {
    /// A number from a float: a whole one where an integer can hold it. None for NaN and the infinities.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
    pub fn from_f64(value: f64) -> Option<Self> {
        // 2⁶³ and 2⁶⁴ are the first floats above the ranges of the integers.
        const INT_END: f64 = 9_223_372_036_854_775_808.0;
        const UINT_END: f64 = 18_446_744_073_709_551_616.0;
        match value {
            _ if !value.is_finite() => None,
            _ if value.fract() != 0.0 => Some(Self::Float(value)),
            _ if (-INT_END..INT_END).contains(&value) => Some(Self::Int(value as i64)),
            _ if (INT_END..UINT_END).contains(&value) => Some(Self::Uint(value as u64)),
            _ => Some(Self::Float(value)),
        }
    }
}

/// Numbers are equal by value, so that `1` and `1.0` are, as for the API server.
impl PartialEq for Number {
    #[expect(clippy::cast_precision_loss, reason = "a float is only ever compared where no integer fits")]
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Uint(a), Self::Uint(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => a as f64 == b,
            (Self::Uint(a), Self::Float(b)) | (Self::Float(b), Self::Uint(a)) => a as f64 == b,
            (Self::Int(a), Self::Uint(b)) | (Self::Uint(b), Self::Int(a)) => u64::try_from(a) == Ok(b),
        }
    }
}

// === impl Map ===

impl Map {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.position(key).ok().map(|at| &self.0[at].1)
    }

    /// The value under `key`.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.position(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether there is an entry under `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.position(key).is_ok()
    }

    /// The value under `key`, made `null` if it was absent.
    pub fn entry(&mut self, key: &str) -> &mut Node {
        let at = match self.position(key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key.into(), Node::Null));
                at
            }
        };
        &mut self.0[at].1
    }

    /// Puts `value` under `key` and returns what was there.
    pub fn insert(&mut self, key: impl Into<CompactString>, value: Node) -> Option<Node> {
        let key = key.into();
        match self.position(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes out the entry under `key`.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.position(key).ok().map(|at| self.0.remove(at).1)
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Node) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The entries in the order of their keys.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Node)> {
        self.0.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(key))
    }
}

/// Collects entries; of several with one key the last one stays.
impl FromIterator<(CompactString, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (CompactString, Node)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        // A stable sort keeps duplicates in order, so the last of each run is the one that came last.
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.reverse();
        entries.dedup_by(|later, earlier| later.0 == earlier.0);
        entries.reverse();
        entries.shrink_to_fit();
        Self(entries)
    }
}

impl IntoIterator for Map {
    type Item = (CompactString, Node);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

// === serde ===

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(Number::Int(value)) => serializer.serialize_i64(*value),
            Self::Number(Number::Uint(value)) => serializer.serialize_u64(*value),
            Self::Number(Number::Float(value)) => serializer.serialize_f64(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries.iter() {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde_json itself refuses more than 128 levels.
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(Number::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(i64::try_from(value).map_or(Number::Uint(value), Number::Int)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::string(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::with_capacity(list.size_hint().unwrap_or(0).min(64));
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<CompactString, Node>()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn prints_equal_values_to_equal_bytes() {
        assert_eq!(json(r#"{"b":1,"a":[true,null,"x",1.5]}"#).to_string(), r#"{"a":[true,null,"x",1.5],"b":1}"#);
    }

    #[test]
    fn keeps_the_last_of_duplicate_keys() {
        assert_eq!(json(r#"{"a":1,"b":2,"a":3}"#).to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn keeps_large_whole_numbers_exact() {
        assert_eq!(
            json("[9007199254740993,18446744073709551615]").to_string(),
            "[9007199254740993,18446744073709551615]"
        );
    }

    #[test]
    fn keeps_whole_floats_as_whole_numbers() {
        assert_eq!(json("[1.0,-0.0,1e3,1e19,1e20,1.5]").to_string(), "[1,0,1000,10000000000000000000,1e+20,1.5]");
    }

    #[test]
    fn sets_and_removes_along_keys() {
        let mut node = json(r#"{"metadata":{"name":"a"}}"#);
        node.set_at(&["metadata", "labels", "x"], "y".into());
        assert_eq!(node.to_string(), r#"{"metadata":{"labels":{"x":"y"},"name":"a"}}"#);
        node.remove_at(&["metadata", "labels"]);
        assert_eq!(node.str_at(&["metadata", "name"]), Some("a"));
        assert_eq!(node.at(&["metadata", "labels"]), None);
    }
}
