//! What is read of every object that passes by: its names, its version, and who claims it.
//!
//! Entry point: [`Head::read`], which borrows from the text and builds no tree. A field of a wrong type that we can do
//! without is left out; only an object without a name is no object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use trueup_object::ObjectKey;

use crate::tracking::{Claim, INSTALLATION_ID, TRACKING_ID};

/// The names, version and claim of an object.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head<'a> {
    /// The namespace; empty for cluster-scoped objects.
    #[serde(borrow, default)]
    pub(crate) namespace: Cow<'a, str>,
    /// The name.
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    /// The identity.
    #[serde(borrow, default)]
    pub(crate) uid: Cow<'a, str>,
    /// The version.
    #[serde(borrow, default)]
    pub(crate) resource_version: Cow<'a, str>,
    /// Counts changes of the spec.
    #[serde(default)]
    pub(crate) generation: i64,
    #[serde(borrow, default)]
    annotations: Option<Annotations<'a>>,
    #[serde(default)]
    owner_references: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    metadata: Head<'a>,
}

/// Of all annotations those that matter.
#[derive(Debug, Default)]
struct Annotations<'a> {
    tracking_id: Option<Cow<'a, str>>,
    installation_id: Option<Cow<'a, str>>,
}

// === impl Head ===

impl<'a> Head<'a> {
    /// Reads the head of an object; `None` if it is none.
    pub(crate) fn read(json: &'a [u8]) -> Option<Self> {
        let head = serde_json::from_slice::<Whole<'a>>(json).ok()?.metadata;
        (!head.name.is_empty()).then_some(head)
    }

    /// The tracking annotation.
    pub(crate) fn tracking_id(&self) -> Option<&str> {
        self.annotations.as_ref()?.tracking_id.as_deref()
    }

    /// The annotation that names the installation.
    pub(crate) fn installation_id(&self) -> Option<&str> {
        self.annotations.as_ref()?.installation_id.as_deref()
    }

    /// What the object of this key claims, for this installation.
    pub(crate) fn claim(&self, key: &ObjectKey, installation: &str) -> Option<Claim<'_>> {
        Claim::of(self.tracking_id(), self.installation_id(), key, installation)
    }

    /// Whether the object belongs to another object.
    pub(crate) fn owned(&self) -> bool {
        self.owner_references.as_ref().is_some_and(|owners| !owners.is_empty())
    }

    /// Whether the object is on its way out.
    pub(crate) fn deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

/// A version as a number: since Kubernetes 1.35 all are, and grow.
pub(crate) fn number(resource_version: &str) -> Option<u64> {
    resource_version.parse().ok()
}

// === impl Annotations ===

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pick;
        impl<'de> Visitor<'de> for Pick {
            type Value = Annotations<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Annotations::default();
                while let Some(Text(key)) = map.next_key()? {
                    let place = match &*key {
                        TRACKING_ID => &mut found.tracking_id,
                        INSTALLATION_ID => &mut found.installation_id,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *place = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0);
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Pick)
    }
}

/// A string that is borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_without_copying() {
        let json =
            br#"{"kind":"X","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7","generation":2,
            "annotations":{"x":"y","argocd.argoproj.io/tracking-id":"app:/X:n/a","argocd.argoproj.io/installation-id":"i"},
            "ownerReferences":[{"kind":"Y"}]},
            "spec":{"metadata":{"name":"other"}}}"#;
        let head = Head::read(json).unwrap();
        assert_eq!((&*head.namespace, &*head.name, &*head.uid, &*head.resource_version), ("n", "a", "u", "7"));
        assert!(matches!(head.name, Cow::Borrowed(_)));
        assert_eq!((head.generation, head.tracking_id()), (2, Some("app:/X:n/a")));
        assert_eq!(head.installation_id(), Some("i"));
        assert!(head.owned() && !head.deleting());
    }

    #[test]
    fn what_is_absent_or_null_is_empty() {
        let head = Head::read(br#"{"metadata":{"name":"a","annotations":null,"ownerReferences":[]}}"#).unwrap();
        assert_eq!((head.tracking_id(), head.owned(), &*head.namespace), (None, false, ""));
        let deleting = br#"{"metadata":{"name":"a","deletionTimestamp":"2026-11-24T10:00:00Z"}}"#;
        assert!(Head::read(deleting).unwrap().deleting());
    }

    #[test]
    fn what_has_no_name_is_no_object() {
        for json in [&b"{}"[..], b"null", b"[1]", br#"{"metadata":{}}"#, br#"{"metadata":{"name":""}}"#, b"{"] {
            assert!(Head::read(json).is_none(), "{}", String::from_utf8_lossy(json));
        }
    }
}
