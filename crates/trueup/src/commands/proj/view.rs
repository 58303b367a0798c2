//! An AppProject as it lies in the cluster, read leniently for people: what is missing or odd shows as nothing.
//!
//! The words are those of Argo CD's command line.

use trueup_api::{Project, Unsupported};
use trueup_object::Node;

use crate::commands::app::view::{self, or};

/// What is shown where there is nothing.
pub(super) const NONE: &str = "<none>";

/// One AppProject.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a>(pub(super) &'a Node);

// === impl View ===

impl<'a> View<'a> {
    /// The name.
    pub(super) fn name(self) -> &'a str {
        self.0.str_at(&["metadata", "name"]).unwrap_or_default()
    }

    /// What it is for.
    pub(super) fn description(self) -> &'a str {
        self.0.str_at(&["spec", "description"]).unwrap_or_default()
    }

    /// The entries of a list of the specification.
    pub(super) fn list(self, field: &str) -> &'a [Node] {
        self.0.list_at(&["spec", field])
    }

    /// The texts of a list of the specification.
    pub(super) fn texts(self, field: &str) -> Vec<String> {
        self.list(field).iter().filter_map(Node::as_str).map(str::to_owned).collect()
    }

    /// The repositories, without credentials.
    pub(super) fn sources(self) -> Vec<String> {
        self.texts("sourceRepos").into_iter().map(shown).collect()
    }

    /// The destinations, each as `server,namespace`.
    pub(super) fn destinations(self) -> Vec<String> {
        let one = |node: &Node| {
            let text = |key: &str| node.str_at(&[key]).unwrap_or_default();
            format!("{},{}", or(text("server"), text("name")), text("namespace"))
        };
        self.list("destinations").iter().map(one).collect()
    }

    /// A list of kinds, each as `group/kind`, with the name if it has one.
    pub(super) fn kinds(self, field: &str) -> Vec<String> {
        let one = |node: &Node| {
            let text = |key: &str| node.str_at(&[key]).unwrap_or_default();
            let name = text("name");
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            format!("{}/{}{name}", text("group"), text("kind"))
        };
        self.list(field).iter().map(one).collect()
    }

    /// Whether there is such a field at all: an empty list may mean something else than none.
    pub(super) fn has(self, field: &str) -> bool {
        self.0.at(&["spec", field]).is_some_and(|node| !node.is_null())
    }

    /// The keys that commits must be signed with.
    pub(super) fn keys(self) -> Vec<String> {
        let keys = self.list("signatureKeys").iter();
        keys.filter_map(|key| key.str_at(&["keyID"])).map(str::to_owned).collect()
    }

    /// `disabled`, or `enabled` and whether it warns.
    pub(super) fn orphans(self) -> String {
        let Some(orphans) = self.0.at(&["spec", "orphanedResources"]).filter(|node| !node.is_null()) else {
            return "disabled".to_owned();
        };
        let warn = orphans.get("warn").and_then(Node::as_bool).unwrap_or(false);
        format!("enabled (warn={warn})")
    }

    /// The service accounts to deploy as, each as `server,namespace,account`.
    pub(super) fn accounts(self) -> Vec<String> {
        let one = |node: &Node| {
            let text = |key: &str| node.str_at(&[key]).unwrap_or_default();
            format!("{},{},{}", text("server"), text("namespace"), text("defaultServiceAccount"))
        };
        self.list("destinationServiceAccounts").iter().map(one).collect()
    }

    /// What of it is not honoured, or why it cannot be read at all.
    pub(super) fn refused(self) -> Result<Vec<Unsupported>, String> {
        Project::read(&self.0.to_json())
            .map(|project| project.unsupported().to_vec())
            .map_err(|error| error.to_string())
    }

    /// The whole object for `-o json|yaml`.
    pub(super) fn printable(self) -> Node {
        let mut node = view::printable(self.0);
        if self.has("sourceRepos") {
            node.set_at(&["spec", "sourceRepos"], Node::List(self.sources().into_iter().map(Node::from).collect()));
        }
        node
    }
}

/// A pattern of repositories without the credentials that it may carry; whatever has none is shown as it stands.
fn shown(pattern: String) -> String {
    if !pattern.contains('@') {
        return pattern;
    }
    match pattern.strip_prefix('!') {
        Some(rest) => format!("!{}", view::redacted_url(rest)),
        None => view::redacted_url(&pattern),
    }
}

/// Several things in a narrow column: the one, or how many there are.
pub(super) fn counted(all: &[String], many: &str) -> String {
    match all {
        [] => NONE.to_owned(),
        [one] => one.clone(),
        all => format!("{} {many}", all.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_shown() {
        let json = r#"{"spec":{"sourceRepos":["https://u:hunter2@git.example/a","!https://u:hunter2@git.example/*","https://git.example/b*"]}}"#;
        let node = Node::from_json(json.as_bytes()).unwrap();
        let text = View(&node).printable().to_string();
        assert!(!text.contains("hunter2") && text.contains("!https://git.example/*"), "{text}");
        assert_eq!(View(&node).sources()[2], "https://git.example/b*");
    }

    #[test]
    fn an_empty_or_odd_project_shows_what_is_known() {
        for json in ["{}", r#"{"spec":[]}"#, r#"{"spec":{"destinations":"x","sourceRepos":[1]}}"#] {
            let node = Node::from_json(json.as_bytes()).unwrap();
            let view = View(&node);
            assert!(view.sources().is_empty() && view.destinations().is_empty() && view.keys().is_empty(), "{json}");
            assert_eq!(view.orphans(), "disabled");
        }
    }
}
