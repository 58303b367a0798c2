//! What a file holds, in its order. Entry point: [`Value`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};
use zeroize::Zeroizing;

/// One value. It is shown to nobody.
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Never NaN or infinite.
    Float(f64),
    /// UTF-8, unless it was decrypted.
    Text(Zeroizing<Vec<u8>>),
    List(Vec<Self>),
    /// In the order of the file, which the message authentication code depends on. Each key stands once.
    Map(Vec<(String, Self)>),
}

/// The entries of a document.
pub(crate) type Entries = Vec<(String, Value)>;

/// What is said of a map with a key twice.
pub(crate) const TWICE: &str = "a key stands twice in one map: take one of them out";

// === impl Value ===

impl Value {
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Zeroizing::new(text.into()))
    }

    /// What counts of a scalar in the message authentication code.
    pub(crate) fn counted(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Text(text) => return text.clone(),
            Self::Bool(true) => b"True".to_vec(),
            Self::Bool(false) => b"False".to_vec(),
            Self::Int(value) => value.to_string().into_bytes(),
            // Without an exponent, as Go prints it: so does Rust.
            Self::Float(value) => value.to_string().into_bytes(),
            Self::Null | Self::List(_) | Self::Map(_) => Vec::new(),
        })
    }
}

/// Whether a map has a key twice.
pub(crate) fn has_duplicates(entries: &[(String, Value)]) -> bool {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => {
                serializer.serialize_str(std::str::from_utf8(text).map_err(|_| S::Error::custom("not UTF-8"))?)
            }
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => Printed(entries).serialize(serializer),
        }
    }
}

/// A map that is printed in its order.
pub(crate) struct Printed<'v>(pub(crate) &'v [(String, Value)]);

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "SOPS takes what exceeds 64 bits with a sign for a float")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Entries::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        if has_duplicates(&map) {
            return Err(A::Error::custom(TWICE));
        }
        Ok(Value::Map(map))
    }
}
