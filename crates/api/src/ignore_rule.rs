//! Which fields of which objects never count as a difference: `spec.ignoreDifferences`.
//!
//! Invariant: what is malformed has no effect, and says so. Entry points: [`IgnoreRule::new`] and [`Ignored::at`].

use trueup_object::ObjectKey;

use crate::app::FIELD_MANAGER;
use crate::glob::Glob;
use crate::spec::IgnoreDifferences;
use crate::unsupported::Unsupported;

/// Fields of some objects whose differences do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreRule {
    /// A glob of the API group.
    pub group: String,
    /// A glob of the kind.
    pub kind: String,
    /// The name; empty is any.
    pub name: String,
    /// The namespace; empty is any.
    pub namespace: String,
    /// The fields, as JSON pointers.
    pub pointers: Vec<String>,
    /// Field managers: what they own differs as it likes.
    pub managers: Vec<String>,
    globs: Option<(Glob, Glob)>,
}

/// What never counts at one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored<'a> {
    /// Fields, as JSON pointers.
    pub pointers: Vec<&'a str>,
    /// Field managers.
    pub managers: Vec<&'a str>,
}

// === impl IgnoreRule ===

impl IgnoreRule {
    pub(crate) fn new(rule: &IgnoreDifferences) -> Self {
        Self {
            group: rule.group.clone(),
            kind: rule.kind.clone(),
            name: rule.name.clone(),
            namespace: rule.namespace.clone(),
            pointers: rule.json_pointers.clone(),
            managers: rule.managed_fields_managers.clone(),
            globs: Glob::new(&rule.group, &[]).ok().zip(Glob::new(&rule.kind, &[]).ok()),
        }
    }

    /// Whether it is about this object.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        let Some((group, kind)) = &self.globs else { return false };
        (self.name.is_empty() || self.name == key.name.as_str())
            && (self.namespace.is_empty() || self.namespace == key.namespace.as_str())
            && kind.matches(&key.kind)
            && group.matches(&key.group)
    }

    /// What of it has no effect.
    pub(crate) fn warn(&self, unsupported: &mut Vec<Unsupported>) {
        let mut warn = |field, message: String| unsupported.push(Unsupported::new(field, false, message));
        if self.globs.is_none() {
            warn("spec.ignoreDifferences", "group or kind is not a valid glob, the rule has no effect".to_owned());
        }
        if self.managers.iter().any(|manager| manager == FIELD_MANAGER) {
            let message = format!(
                "'{FIELD_MANAGER}' is this controller, and what it owns is what Git said: to ignore that would hide every \
                 change of Git, so it has no effect; name the manager whose changes are meant"
            );
            warn("spec.ignoreDifferences.managedFieldsManagers", message);
        }
        if self.pointers.iter().any(|pointer| !pointer.starts_with('/')) {
            warn("spec.ignoreDifferences.jsonPointers", "a JSON pointer begins with '/', others have no effect".into());
        }
    }
}

// === impl Ignored ===

impl<'a> Ignored<'a> {
    /// What these rules say of an object.
    pub(crate) fn at(key: &ObjectKey, rules: &'a [IgnoreRule]) -> Self {
        let rules = || rules.iter().filter(|rule| rule.matches(key));
        Self {
            pointers: rules().flat_map(|rule| &rule.pointers).map(String::as_str).collect(),
            managers: rules().flat_map(|rule| &rule.managers).map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignore_rules_match_by_glob() {
        let rule = |json: &str| IgnoreRule::new(&serde_json::from_str(json).unwrap());
        let web = ObjectKey::new("apps", "Deployment", "shop", "web");
        for (json, matches) in [
            (r#"{"group": "apps", "kind": "Deployment"}"#, true),
            (r#"{"group": "*", "kind": "*"}"#, true),
            (r#"{"group": "apps", "kind": "{Deployment,StatefulSet}", "name": "web", "namespace": "shop"}"#, true),
            (r#"{"kind": "Deployment"}"#, false),
            (r#"{"group": "apps", "kind": "Deployment", "name": "we*"}"#, false),
            (r#"{"group": "apps", "kind": "Deployment", "namespace": "other"}"#, false),
            (r#"{"group": "apps", "kind": "[a"}"#, false),
        ] {
            assert_eq!(rule(json).matches(&web), matches, "{json}");
        }
        let mut warned = Vec::new();
        rule(r#"{"group": "apps", "kind": "[a", "jsonPointers": ["spec/replicas"], "managedFieldsManagers": ["x", "trueup"]}"#)
            .warn(&mut warned);
        assert_eq!(warned.len(), 3);
        assert!(warned.iter().all(|warning| !warning.stops));
    }
}
