//! The way to one leaf of a manifest, in the words of `fieldsV1`.
//!
//! A list whose items have an identity is walked by that identity, so a path stays true when items move. Entry point:
//! [`Path`]; its `Display` is what people read (`.spec.template.spec.containers[name="web"].image`).

use std::fmt;

use compact_str::CompactString;

use crate::Node;

/// One step into a value.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(pub Vec<Step>);
