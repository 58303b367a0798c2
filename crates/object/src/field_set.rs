//! The set of leaves that an owner holds, as `fieldsV1` writes it.

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet {}
