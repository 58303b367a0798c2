//! The names of kinds and objects. Entry point: [`ObjectKey`], by which one object of a cluster is told from all others.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A group and a kind, whatever the version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupKind {
    /// The API group; empty for the core group.
    pub group: CompactString,
    /// The kind, for example `Deployment`.
    pub kind: CompactString,
}

/// A group, a version and a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gvk {
    /// The API group; empty for the core group.
    pub group: CompactString,
    /// The version, for example `v1`.
    pub version: CompactString,
    /// The kind, for example `Deployment`.
    pub kind: CompactString,
}

/// Tells one object of a cluster from all others. The version is no part of it: one object is served in several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The API group; empty for the core group.
    pub group: CompactString,
    /// The kind.
    pub kind: CompactString,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: CompactString,
    /// The name.
    pub name: CompactString,
}

// === impl GroupKind ===

impl GroupKind {
    /// A group and a kind.
    pub fn new(group: impl Into<CompactString>, kind: impl Into<CompactString>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

/// `apps/Deployment`, or `ConfigMap` for the core group.
impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.kind) } else { write!(f, "{}/{}", self.group, self.kind) }
    }
}

// === impl Gvk ===

impl Gvk {
    /// Splits an `apiVersion` as manifests write it.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// The `apiVersion` as manifests write it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The group and kind without the version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

/// `apps/v1 Deployment`.
impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind)
    }
}

// === impl ObjectKey ===

impl ObjectKey {
    /// The key of one object; `namespace` is empty for cluster-scoped ones.
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// Its group and kind.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

/// `apps/Deployment shop/web`, or `Namespace shop`: how messages name an object.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}
