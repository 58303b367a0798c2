//! What a comparison needs to know of a kind.
//!
//! Keeps how lists are told apart, which maps are one value, and where quantities stand; everything else of a schema is
//! dropped while it is read. Invariant: only shapes with something notable in or below them are linked. Entry points:
//! [`Schema::from_openapi_v3`], [`Schema::from_crd`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use compact_str::CompactString;
use serde::Deserialize;
use serde_json::value::RawValue;
use trueup_object::{Gvk, Node};

/// The largest OpenAPI document that is read, in bytes: the largest of a stock API server has 1.6 MB.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// The most shapes that one kind may have: a Deployment has about 200 before it is reduced.
pub const SHAPES_MAX: usize = 100_000;

/// The most levels of shapes that are followed. Deeper ones are taken as plain: manifests nest at most 128 levels.
const DEPTH_MAX: usize = 128;

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListKind {
    /// Not at all: the list is one value.
    #[default]
    Atomic,
    /// By their value.
    Set,
    /// By these fields of each item.
    Map(Vec<CompactString>),
}

/// The reduced schema of one kind.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// All shapes; links are places in here.
    shapes: Vec<Shape>,
    /// The shape of the whole object; `None` if nothing is notable.
    root: Option<usize>,
    /// Whether this is the schema of a kind at all.
    known: bool,
}

/// One reduced type.
#[derive(Clone, Debug, Default)]
struct Shape {
    fields: BTreeMap<CompactString, usize>,
    /// The values of a map that has no fixed fields.
    values: Option<usize>,
    items: Option<usize>,
    list: ListKind,
    /// What the API server puts in for a key field that an item leaves out.
    key_defaults: Vec<(CompactString, Node)>,
    atomic_map: bool,
    quantity: bool,
    /// While it is being read: it may yet turn out to be notable.
    open: bool,
}

/// A place in a schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    schema: &'a Schema,
    shape: Option<&'a Shape>,
}

/// A schema cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The document is not JSON, or not an OpenAPI v3 document.
    #[error("the OpenAPI document cannot be read")]
    Json(#[from] serde_json::Error),
    /// The document has no schema of this kind.
    #[error("the OpenAPI document has no schema for {0}")]
    NoSuchKind(Gvk),
    /// The document is larger than we read.
    #[error("the OpenAPI document has {bytes} bytes, at most {DOCUMENT_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The schema has more types than we read.
    #[error("the schema has more than {SHAPES_MAX} types")]
    TooManyShapes,
}

// === impl Schema ===

impl Schema {
    /// Reduces an OpenAPI v3 document, as `/openapi/v3/…` serves it, to one kind. Only the types that the kind reaches
    /// are decoded, one at a time.
    pub fn from_openapi_v3(document: &[u8], gvk: &Gvk) -> Result<Self, SchemaError> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(SchemaError::TooLarge { bytes: document.len() });
        }
        let document: Document = serde_json::from_slice(document)?;
        let components = document.components.schemas;
        let root = components.values().find(|raw| names_kind(raw.get(), gvk));
        let root = root.ok_or_else(|| SchemaError::NoSuchKind(gvk.clone()))?;
        let mut reader = Reader { components: &components, names: BTreeMap::new(), shapes: Vec::new() };
        let root = reader.read(&serde_json::from_str(root.get())?, 0)?;
        Ok(Self { shapes: reader.shapes, root, known: true })
    }

    /// Reduces a CustomResourceDefinition to one version; `None` if it has no such version or no schema there.
    pub fn from_crd(crd: &Node, version: &str) -> Option<Self> {
        let version = crd.list_at(&["spec", "versions"]).iter().find(|it| it.str_at(&["name"]) == Some(version))?;
        let text = version.at(&["schema", "openAPIV3Schema"])?.to_json();
        Self::of_text(&text)
    }

    /// Nothing is known.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Whether this is the schema of a kind, not [`Schema::unknown`].
    pub fn is_known(&self) -> bool {
        self.known
    }

    pub(crate) fn root(&self) -> Place<'_> {
        self.place(self.root)
    }

    /// The schema of `metadata`, the same for all kinds.
    pub(crate) fn metadata() -> Place<'static> {
        static METADATA: OnceLock<Schema> = OnceLock::new();
        const TEXT: &str = r#"{"properties":{"finalizers":{"x-kubernetes-list-type":"set"},
            "ownerReferences":{"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["uid"]}}}"#;
        METADATA.get_or_init(|| Self::of_text(TEXT.as_bytes()).unwrap_or_default()).root()
    }

    fn of_text(text: &[u8]) -> Option<Self> {
        let none = BTreeMap::new();
        let mut reader = Reader { components: &none, names: BTreeMap::new(), shapes: Vec::new() };
        let root = reader.read(&serde_json::from_slice(text).ok()?, 0).ok()?;
        Some(Self { shapes: reader.shapes, root, known: true })
    }

    fn place(&self, at: Option<usize>) -> Place<'_> {
        Place { schema: self, shape: at.and_then(|at| self.shapes.get(at)) }
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    /// The place of a map's entry.
    pub(crate) fn field(self, name: &str) -> Self {
        self.go(|shape| shape.fields.get(name).copied().or(shape.values))
    }

    /// The place of a list's items.
    pub(crate) fn items(self) -> Self {
        self.go(|shape| shape.items)
    }

    /// How the items of the list at this place are told apart.
    pub(crate) fn list(self) -> &'a ListKind {
        self.shape.map_or(&ListKind::Atomic, |shape| &shape.list)
    }

    /// What stands for a key field that an item leaves out.
    pub(crate) fn key_default(self, name: &str) -> Option<&'a Node> {
        self.shape?.key_defaults.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether the map at this place is one value.
    pub(crate) fn is_atomic_map(self) -> bool {
        self.shape.is_some_and(|shape| shape.atomic_map)
    }

    /// Whether the value at this place is a `resource.Quantity`.
    pub(crate) fn is_quantity(self) -> bool {
        self.shape.is_some_and(|shape| shape.quantity)
    }

    /// Whether anything is known here.
    pub(crate) fn is_known(self) -> bool {
        self.schema.known
    }

    fn go(self, link: impl Fn(&Shape) -> Option<usize>) -> Self {
        self.schema.place(self.shape.and_then(link))
    }
}

// === reading ===

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    components: Components<'a>,
}

#[derive(Deserialize)]
struct Components<'a> {
    #[serde(borrow)]
    schemas: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// What is read of one type; everything else is skipped.
#[expect(clippy::struct_field_names, reason = "the words of Kubernetes")]
#[derive(Default, Deserialize)]
#[serde(default)]
struct Type {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "allOf")]
    all_of: Vec<Self>,
    properties: BTreeMap<CompactString, Self>,
    #[serde(rename = "additionalProperties")]
    values: Option<Values>,
    items: Option<Box<Self>>,
    default: Option<Node>,
    #[serde(rename = "x-kubernetes-list-type")]
    list_type: Option<String>,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    list_map_keys: Vec<CompactString>,
    #[serde(rename = "x-kubernetes-map-type")]
    map_type: Option<String>,
    #[serde(rename = "x-kubernetes-patch-strategy")]
    patch_strategy: Option<String>,
    #[serde(rename = "x-kubernetes-patch-merge-key")]
    patch_merge_key: Option<CompactString>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Allowed(#[expect(dead_code, reason = "true and false say nothing that we use")] bool),
    Of(Box<Type>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kinds {
    #[serde(rename = "x-kubernetes-group-version-kind")]
    kinds: Vec<KindName>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KindName {
    group: String,
    version: String,
    kind: String,
}

fn names_kind(text: &str, gvk: &Gvk) -> bool {
    // Most types are of no kind: looking for the word is cheaper than decoding.
    text.contains("x-kubernetes-group-version-kind")
        && serde_json::from_str::<Kinds>(text).is_ok_and(|it| {
            it.kinds.iter().any(|it| it.group == gvk.group && it.version == gvk.version && it.kind == gvk.kind)
        })
}

struct Reader<'a> {
    components: &'a BTreeMap<Cow<'a, str>, &'a RawValue>,
    /// Where the shapes of named types are; a name in here without a notable shape is plain.
    names: BTreeMap<String, usize>,
    shapes: Vec<Shape>,
}

// === impl Reader ===

impl Reader<'_> {
    /// The place of the shape of this type, or `None` if nothing about it is notable.
    fn read(&mut self, from: &Type, depth: usize) -> Result<Option<usize>, SchemaError> {
        if depth > DEPTH_MAX {
            return Ok(None);
        }
        if let Some(reference) = from.reference() {
            let named = self.named(reference, depth)?;
            // The place where a type is used may say more about it than the type itself.
            if from.map_type.as_deref() != Some("atomic") {
                return Ok(named);
            }
            let shape = named.map(|at| self.shapes[at].clone()).unwrap_or_default();
            return self.push(Shape { atomic_map: true, open: false, ..shape }).map(Some);
        }
        let at = self.push(Shape { open: true, ..Shape::default() })?;
        let shape = self.shape(from, depth)?;
        self.shapes[at] = shape;
        let notable = self.notable(at);
        if notable.is_none() && at + 1 == self.shapes.len() {
            self.shapes.pop();
        }
        Ok(notable)
    }

    fn named(&mut self, reference: &str, depth: usize) -> Result<Option<usize>, SchemaError> {
        let name = reference.rsplit('/').next().unwrap_or_default();
        if let Some(at) = self.names.get(name) {
            return Ok(self.notable(*at));
        }
        let at = self.push(Shape { open: true, ..Shape::default() })?;
        self.names.insert(name.to_owned(), at);
        let shape = if name.ends_with("pkg.api.resource.Quantity") {
            Shape { quantity: true, ..Shape::default() }
        } else if name.ends_with("pkg.runtime.RawExtension") {
            Shape { atomic_map: true, ..Shape::default() }
        } else if let Some(raw) = self.components.get(name) {
            let from: Type = serde_json::from_str(raw.get())?;
            if let Some(next) = from.reference() {
                let target = self.named(next, depth + 1)?;
                target.map(|at| self.shapes[at].clone()).unwrap_or_default()
            } else {
                self.shape(&from, depth)?
            }
        } else {
            Shape::default()
        };
        self.shapes[at] = Shape { open: false, ..shape };
        Ok(self.notable(at))
    }

    fn shape(&mut self, from: &Type, depth: usize) -> Result<Shape, SchemaError> {
        let mut shape = Shape { atomic_map: from.map_type.as_deref() == Some("atomic"), ..Shape::default() };
        for (name, field) in &from.properties {
            if let Some(at) = self.read(field, depth + 1)? {
                shape.fields.insert(name.clone(), at);
            }
        }
        if let Some(Values::Of(values)) = &from.values {
            shape.values = self.read(values, depth + 1)?;
        }
        shape.list = from.list();
        if let Some(items) = &from.items {
            shape.items = self.read(items, depth + 1)?;
            if let ListKind::Map(keys) = &shape.list {
                shape.key_defaults = self.key_defaults(items, keys);
            }
        }
        Ok(shape)
    }

    fn key_defaults(&self, items: &Type, keys: &[CompactString]) -> Vec<(CompactString, Node)> {
        let named = items.reference().and_then(|reference| {
            let raw = self.components.get(reference.rsplit('/').next()?)?;
            serde_json::from_str::<Type>(raw.get()).ok()
        });
        let properties = &named.as_ref().unwrap_or(items).properties;
        let default = |key: &CompactString| {
            let default = properties.get(key)?.default.clone()?;
            matches!(default, Node::Bool(_) | Node::Number(_) | Node::String(_)).then(|| (key.clone(), default))
        };
        keys.iter().filter_map(default).collect()
    }

    fn push(&mut self, shape: Shape) -> Result<usize, SchemaError> {
        if self.shapes.len() >= SHAPES_MAX {
            return Err(SchemaError::TooManyShapes);
        }
        self.shapes.push(shape);
        Ok(self.shapes.len() - 1)
    }

    /// The place, if its shape is worth a link.
    fn notable(&self, at: usize) -> Option<usize> {
        let shape = &self.shapes[at];
        let notable = shape.open
            || shape.atomic_map
            || shape.quantity
            || shape.list != ListKind::Atomic
            || shape.items.is_some()
            || shape.values.is_some()
            || !shape.fields.is_empty();
        notable.then_some(at)
    }
}

// === impl Type ===

impl Type {
    fn reference(&self) -> Option<&str> {
        match (&self.reference, self.all_of.as_slice()) {
            (Some(reference), _) => Some(reference),
            // How OpenAPI v3 writes a reference that has a description or a default beside it.
            (None, [only]) if self.properties.is_empty() && self.items.is_none() => only.reference(),
            _ => None,
        }
    }

    /// As the API server itself reads it: the list type, else what strategic merge patches go by.
    fn list(&self) -> ListKind {
        match (self.list_type.as_deref(), self.patch_strategy.as_deref()) {
            (Some("set"), _) => ListKind::Set,
            (Some("map"), _) if !self.list_map_keys.is_empty() => ListKind::Map(self.list_map_keys.clone()),
            (None, Some("merge" | "merge,retainKeys")) if self.items.is_some() => match &self.patch_merge_key {
                Some(key) => ListKind::Map(vec![key.clone()]),
                None => ListKind::Set,
            },
            _ => ListKind::Atomic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r##"{"openapi":"3.0.0","components":{"schemas":{
        "v1.Pod":{"type":"object","properties":{
            "spec":{"description":"x","default":{},"allOf":[{"$ref":"#/components/schemas/v1.PodSpec"}]},
            "status":{"type":"object"}},
            "x-kubernetes-group-version-kind":[{"group":"","kind":"Pod","version":"v1"}]},
        "v1.PodSpec":{"type":"object","properties":{
            "selector":{"allOf":[{"$ref":"#/components/schemas/v1.LabelSelector"}]},
            "plain":{"$ref":"#/components/schemas/v1.Plain"},
            "pinned":{"x-kubernetes-map-type":"atomic","allOf":[{"$ref":"#/components/schemas/v1.Plain"}]},
            "extension":{"$ref":"#/components/schemas/io.k8s.apimachinery.pkg.runtime.RawExtension"},
            "names":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
            "args":{"type":"array","items":{"type":"string"}},
            "old":{"type":"array","items":{"type":"string"},"x-kubernetes-patch-strategy":"merge"},
            "older":{"type":"array","items":{"type":"object"},"x-kubernetes-patch-strategy":"merge","x-kubernetes-patch-merge-key":"id"},
            "ports":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["port","protocol"],
                "items":{"default":{},"allOf":[{"$ref":"#/components/schemas/v1.Port"}]}},
            "self":{"$ref":"#/components/schemas/v1.PodSpec"},
            "limits":{"type":"object","additionalProperties":{"$ref":"#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity"}}}},
        "v1.Plain":{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":true},
        "v1.Port":{"type":"object","properties":{"port":{"type":"integer","default":0},"protocol":{"type":"string","default":"TCP"}}},
        "v1.LabelSelector":{"type":"object","x-kubernetes-map-type":"atomic"},
        "io.k8s.apimachinery.pkg.api.resource.Quantity":{"oneOf":[{"type":"string"},{"type":"number"}]}}}}"##;

    fn gvk(api_version: &str, kind: &str) -> Gvk {
        Gvk::from_api_version(api_version, kind)
    }

    fn pod() -> Schema {
        Schema::from_openapi_v3(DOCUMENT.as_bytes(), &gvk("v1", "Pod")).unwrap()
    }

    fn map(keys: &[&str]) -> ListKind {
        ListKind::Map(keys.iter().map(|key| CompactString::from(*key)).collect())
    }

    #[test]
    fn reduces_a_document_to_lists_maps_and_quantities() {
        let schema = pod();
        let spec = schema.root().field("spec");
        assert_eq!(*spec.field("names").list(), ListKind::Set);
        assert_eq!(*spec.field("args").list(), ListKind::Atomic);
        assert_eq!(*spec.field("old").list(), ListKind::Set);
        assert_eq!(*spec.field("older").list(), map(&["id"]));
        assert_eq!(*spec.field("ports").list(), map(&["port", "protocol"]));
        assert_eq!(spec.field("ports").key_default("protocol"), Some(&"TCP".into()));
        assert_eq!(spec.field("ports").key_default("name"), None);
        assert!(spec.field("selector").is_atomic_map());
        assert!(spec.field("pinned").is_atomic_map());
        assert!(spec.field("extension").is_atomic_map());
        assert!(!spec.field("plain").is_atomic_map());
        assert!(spec.field("limits").field("cpu").is_quantity());
        assert!(!spec.field("plain").field("cpu").is_quantity());
        assert!(schema.root().field("status").shape.is_none(), "nothing notable is dropped");
    }

    #[test]
    fn follows_a_type_into_itself() {
        let schema = pod();
        let deep = (0..20).fold(schema.root().field("spec"), |place, _| place.field("self"));
        assert!(deep.field("limits").field("cpu").is_quantity());
    }

    #[test]
    fn says_what_is_wrong_with_a_document() {
        let error = |text: &str, kind| Schema::from_openapi_v3(text.as_bytes(), &gvk("v1", kind)).unwrap_err();
        assert!(matches!(error(DOCUMENT, "Nod"), SchemaError::NoSuchKind(_)));
        assert!(matches!(error("{", "Pod"), SchemaError::Json(_)));
        assert!(matches!(error("{}", "Pod"), SchemaError::Json(_)));
    }

    #[test]
    fn reads_each_version_of_a_definition() {
        let crd = Node::from_json(
            br#"{"spec":{"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{
                "type":"object","properties":{
                    "rules":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name","zone"],
                        "items":{"type":"object","properties":{"name":{"type":"string"},"zone":{"type":"string","default":"a"},
                            "cpu":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]}}}},
                    "tags":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
                    "whole":{"type":"object","x-kubernetes-map-type":"atomic","additionalProperties":{"type":"string"}}
                }}}}}},{"name":"v2"}]}}"#,
        )
        .unwrap();
        let schema = Schema::from_crd(&crd, "v1").unwrap();
        let spec = schema.root().field("spec");
        assert_eq!(*spec.field("rules").list(), map(&["name", "zone"]));
        assert_eq!(spec.field("rules").key_default("zone"), Some(&"a".into()));
        assert!(!spec.field("rules").items().field("cpu").is_quantity());
        assert_eq!(*spec.field("tags").list(), ListKind::Set);
        assert!(spec.field("whole").is_atomic_map());
        assert!(Schema::from_crd(&crd, "v2").is_none());
        assert!(Schema::from_crd(&crd, "v3").is_none());
    }

    #[test]
    fn knows_the_lists_of_metadata() {
        assert_eq!(*Schema::metadata().field("finalizers").list(), ListKind::Set);
        assert_eq!(*Schema::metadata().field("ownerReferences").list(), map(&["uid"]));
        assert!(!Schema::unknown().is_known());
        assert!(!Schema::unknown().root().is_known());
    }
}
