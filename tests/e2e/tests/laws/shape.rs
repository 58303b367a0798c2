//! What values a kind's own schema takes at a place.

use serde_json::Value;

/// A place in a schema of an OpenAPI v3 document.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    document: &'a Value,
    schema: &'a Value,
}

/// What a leaf may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leaf {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// A `resource.Quantity`, or a text that looks like one.
    Quantity,
    /// A number or a text.
    IntOrString,
    /// One of these.
    OneOf(Vec<Value>),
    /// Base64.
    Bytes,
    /// Any text.
    Text,
    /// Nothing is known about it.
    Any,
}

impl<'a> Shape<'a> {
    /// The schema of a kind.
    pub(crate) fn of(document: &'a Value, group: &str, version: &str, kind: &str) -> Option<Self> {
        let schemas = document["components"]["schemas"].as_object()?;
        let is = |schema: &&Value| {
            let names = schema["x-kubernetes-group-version-kind"].as_array().map(Vec::as_slice).unwrap_or_default();
            names.iter().any(|name| name["group"] == group && name["version"] == version && name["kind"] == kind)
        };
        let schema = schemas.values().find(is)?;
        Some(Self { document, schema })
    }

    fn at(self, schema: &'a Value) -> Self {
        Self { document: self.document, schema }.resolved()
    }

    /// Follows references.
    fn resolved(self) -> Self {
        let mut schema = self.schema;
        loop {
            let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
            let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) else { break };
            schema = &self.document["components"]["schemas"][name];
        }
        Self { document: self.document, schema }
    }

    /// The schema of a field, or of an entry of a map.
    pub(crate) fn field(self, name: &str) -> Self {
        let property = &self.schema["properties"][name];
        let schema = if property.is_null() { &self.schema["additionalProperties"] } else { property };
        // A quantity is told by its name.
        if is_quantity(schema) { Self { document: self.document, schema } } else { self.at(schema) }
    }

    /// The schema of the items of a list.
    pub(crate) fn item(self) -> Self {
        self.at(&self.schema["items"])
    }

    /// Whether entries may be added: their values are texts.
    pub(crate) fn takes_texts(self) -> bool {
        self.schema["additionalProperties"]["type"] == "string"
    }

    /// What a leaf here may be.
    pub(crate) fn leaf(self) -> Leaf {
        let schema = self.schema;
        if let Some(values) = schema["enum"].as_array() {
            return Leaf::OneOf(values.clone());
        }
        if is_quantity(schema) {
            return Leaf::Quantity;
        }
        if schema["format"] == "int-or-string" || schema["x-kubernetes-int-or-string"] == true {
            return Leaf::IntOrString;
        }
        match schema["type"].as_str() {
            Some("boolean") => Leaf::Boolean,
            Some("integer") => Leaf::Integer,
            Some("number") => Leaf::Number,
            Some("string") if schema["format"] == "byte" => Leaf::Bytes,
            Some("string") => Leaf::Text,
            // Quantities resolve to `oneOf: [string, number]`.
            _ if !schema["oneOf"].is_null() => Leaf::Quantity,
            _ => Leaf::Any,
        }
    }
}

fn is_quantity(schema: &Value) -> bool {
    let named = |reference: &Value| reference.as_str().is_some_and(|name| name.ends_with("resource.Quantity"));
    named(&schema["$ref"]) || named(&schema["allOf"][0]["$ref"])
}
