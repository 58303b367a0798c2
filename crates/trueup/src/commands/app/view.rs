//! An Application as it lies in the cluster, read leniently for people: what is missing or odd shows as nothing.
//!
//! One that this program cannot decode must still be listed, so nothing here goes through types that can fail.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use trueup_api::annotations::{PAUSE, PAUSE_UNTIL, SKIP_RECONCILE};
use trueup_api::{Meta, Pause};
use trueup_git::RepoUrl;
use trueup_object::{Map, Node, ObjectKey};

/// Digits of a commit id that are shown where space is short, as git does.
const SHORT_COMMIT: usize = 7;
/// How the digest of an artifact begins.
const DIGEST_PREFIX: &str = "sha256:";

/// One Application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a>(pub(crate) &'a Node);

/// One entry of `status.conditions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) message: &'a str,
    pub(crate) since: &'a str,
}

// === impl View ===

impl<'a> View<'a> {
    /// The text at a path, or nothing.
    pub(crate) fn text(self, path: &[&str]) -> &'a str {
        self.0.str_at(path).unwrap_or_default()
    }

    pub(crate) fn name(self) -> &'a str {
        self.text(&["metadata", "name"])
    }

    /// `namespace/name`, as Argo CD's command line names Applications.
    pub(crate) fn qualified_name(self) -> String {
        format!("{}/{}", self.text(&["metadata", "namespace"]), self.name())
    }

    pub(crate) fn resource_version(self) -> &'a str {
        self.text(&["metadata", "resourceVersion"])
    }

    pub(crate) fn annotation(self, key: &str) -> Option<&'a str> {
        self.0.at(&["metadata", "annotations"])?.get(key)?.as_str()
    }

    /// The project; Applications without one are in `default`.
    pub(crate) fn project(self) -> &'a str {
        or(self.text(&["spec", "project"]), "default")
    }

    /// The destination's cluster, by address or name.
    pub(crate) fn cluster(self) -> &'a str {
        or(self.text(&["spec", "destination", "server"]), self.text(&["spec", "destination", "name"]))
    }

    pub(crate) fn destination_namespace(self) -> &'a str {
        self.text(&["spec", "destination", "namespace"])
    }

    /// Its sources: several, or the one.
    pub(crate) fn sources(self) -> Vec<&'a Node> {
        let several = self.0.list_at(&["spec", "sources"]);
        if several.is_empty() { self.0.at(&["spec", "source"]).into_iter().collect() } else { several.iter().collect() }
    }

    pub(crate) fn sync_status(self) -> &'a str {
        or(self.text(&["status", "sync", "status"]), "Unknown")
    }

    /// Whether `spec.sources` names them, were it only one.
    pub(crate) fn is_several(self) -> bool {
        !self.0.list_at(&["spec", "sources"]).is_empty()
    }

    /// What each source is to follow.
    pub(crate) fn targets(self) -> Vec<String> {
        let target = |source: &Node| or(source.str_at(&["targetRevision"]).unwrap_or_default(), "HEAD").to_owned();
        self.sources().into_iter().map(target).collect()
    }

    /// What each source was at when it was compared; nothing if it was not.
    pub(crate) fn revisions(self) -> Vec<&'a str> {
        self.0.at(&["status", "sync"]).map(revisions).unwrap_or_default()
    }

    pub(crate) fn health_status(self) -> &'a str {
        or(self.text(&["status", "health", "status"]), "Unknown")
    }

    /// Why it is not healthy.
    pub(crate) fn health_message(self) -> &'a str {
        self.text(&["status", "health", "message"])
    }

    /// How many fields drifted; nothing if that is not known.
    pub(crate) fn drift_count(self) -> Option<i64> {
        self.0.i64_at(&["status", "drift", "count"])
    }

    pub(crate) fn drift_events(self) -> &'a [Node] {
        self.0.list_at(&["status", "drift", "events"])
    }

    pub(crate) fn conditions(self) -> impl Iterator<Item = Condition<'a>> {
        self.0.list_at(&["status", "conditions"]).iter().map(|node| Condition {
            kind: node.str_at(&["type"]).unwrap_or_default(),
            message: node.str_at(&["message"]).unwrap_or_default(),
            since: node.str_at(&["lastTransitionTime"]).unwrap_or_default(),
        })
    }

    /// The types of the conditions with their number, as `SyncError,ComparisonError(2)`.
    pub(crate) fn conditions_summary(self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for condition in self.conditions() {
            *counts.entry(condition.kind).or_default() += 1;
        }
        let one = |(kind, count): (&str, usize)| if count > 1 { format!("{kind}({count})") } else { kind.to_owned() };
        let all: Vec<String> = counts.into_iter().map(one).collect();
        if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
    }

    /// Whether and how it syncs by itself.
    pub(crate) fn automated(self) -> Option<Automated> {
        let node = self.0.at(&["spec", "syncPolicy", "automated"]).filter(|node| !node.is_null())?;
        let flag = |key: &str| node.get(key).and_then(Node::as_bool);
        let on = flag("enabled").unwrap_or(true);
        on.then(|| Automated { prune: flag("prune") == Some(true), self_heal: flag("selfHeal") == Some(true) })
    }

    /// The operation that is asked for or runs.
    pub(crate) fn operation(self) -> Option<&'a Node> {
        self.0.get("operation").filter(|node| !node.is_null())
    }

    /// The operation that runs or has run last.
    pub(crate) fn operation_state(self) -> Option<&'a Node> {
        self.0.at(&["status", "operationState"]).filter(|node| !node.is_null())
    }

    /// What waits until somebody approves that objects are deleted, in the controller's words.
    pub(crate) fn awaits_approval(self) -> Option<&'a str> {
        let running = self.operation_state().filter(|state| !has_ended(state));
        let message = running.and_then(|state| state.str_at(&["message"]));
        let pruning = message.filter(|message| message.contains("waiting for pruning confirmation of "));
        let deletion = |condition: Condition<'a>| {
            let waits = condition.message.contains("waiting for deletion confirmation of ");
            waits.then_some(condition.message)
        };
        pruning.or_else(|| self.conditions().filter(|_| self.is_deleting()).find_map(deletion))
    }

    pub(crate) fn is_deleting(self) -> bool {
        !self.text(&["metadata", "deletionTimestamp"]).is_empty()
    }

    /// The pause that is on now.
    pub(crate) fn pause(self) -> Option<Pause> {
        let named = |name: &str| Some((name.to_owned(), self.annotation(name)?.to_owned()));
        let annotations = [PAUSE, PAUSE_UNTIL].into_iter().filter_map(named).collect();
        Pause::read(&Meta { annotations, ..Meta::default() }).filter(|pause| pause.holds(Timestamp::now()))
    }

    /// Whether it is to be left alone, not even compared, by the controller's own rule.
    pub(crate) fn is_left_alone(self) -> bool {
        matches!(self.annotation(SKIP_RECONCILE), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// The successful syncs that are remembered, oldest first.
    pub(crate) fn history(self) -> &'a [Node] {
        self.0.list_at(&["status", "history"])
    }

    /// The commit that a shortened id stands for, if the Application knows exactly one that begins so. A server cannot be asked
    /// for a shortened id.
    pub(crate) fn full_commit(self, short: &str) -> Option<&'a str> {
        let short = short.to_ascii_lowercase();
        if short.len() < SHORT_COMMIT || !is_hex(&short) {
            return None;
        }
        let synced = self.history().iter().flat_map(revisions);
        let last = self.0.at(&["status", "operationState", "syncResult"]).map(revisions).unwrap_or_default();
        let seen = self.revisions().into_iter().chain(last);
        let known: BTreeSet<&str> =
            synced.chain(seen).filter(|known| is_commit(known) && known.starts_with(&short)).collect();
        if known.len() == 1 { known.into_iter().next() } else { None }
    }
}

/// `spec.syncPolicy.automated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Automated {
    pub(crate) prune: bool,
    pub(crate) self_heal: bool,
}

/// The phase of an operation, if it has one.
pub(crate) fn phase(state: &Node) -> &str {
    state.str_at(&["phase"]).unwrap_or_default()
}

/// Whether an operation in this state has ended. One that waits for its next attempt is Running with an end.
pub(crate) fn has_ended(state: &Node) -> bool {
    matches!(phase(state), "Succeeded" | "Failed" | "Error")
}

/// The first text, or the second if it is empty.
pub(crate) fn or<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

/// What an entry of the status says that the sources were at, one part for each: `revisions`, or `revision` of one source.
pub(crate) fn revisions(entry: &Node) -> Vec<&str> {
    let several: Vec<&str> = entry.list_at(&["revisions"]).iter().filter_map(Node::as_str).collect();
    let one = entry.str_at(&["revision"]).filter(|revision| !revision.is_empty());
    if several.is_empty() { one.into_iter().collect() } else { several }
}

/// The same, as people call them.
pub(crate) fn short_revisions(entry: &Node) -> String {
    revisions(entry).into_iter().map(short_revision).collect::<Vec<_>>().join(",")
}

/// A revision as people call it: a commit id or a digest is cut, a name or a version is not.
pub(crate) fn short_revision(revision: &str) -> &str {
    let digest = revision.strip_prefix(DIGEST_PREFIX).is_some_and(|hex| hex.len() == 64 && is_hex(hex));
    match () {
        () if is_commit(revision) => &revision[..SHORT_COMMIT],
        () if digest => &revision[..DIGEST_PREFIX.len() + SHORT_COMMIT],
        () => revision,
    }
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && is_hex(revision)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether an entry of the status is of a hook.
pub(crate) fn is_hook(entry: &Node) -> bool {
    entry.get("hook").and_then(Node::as_bool) == Some(true)
}

/// The wave of an object that an entry of the status names.
pub(crate) fn wave(entry: &Node) -> i64 {
    entry.i64_at(&["syncWave"]).unwrap_or_default()
}

/// The key of an object that an entry of the status names.
pub(crate) fn key(entry: &Node) -> ObjectKey {
    let text = |key: &str| entry.str_at(&[key]).unwrap_or_default();
    ObjectKey::new(text("group"), text("kind"), text("namespace"), text("name"))
}

/// An object as kubectl's `-o name` prints it: `deployment.apps/web`.
pub(crate) fn object_name(key: &ObjectKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() { format!("{kind}/{}", key.name) } else { format!("{kind}.{}/{}", key.group, key.name) }
}

/// Where sources are, for two columns: their repositories, without credentials, and what is taken of each, a directory or a chart.
pub(crate) fn places(sources: &[&Node]) -> (String, String) {
    let text = |source: &Node, key: &str| source.str_at(&[key]).unwrap_or_default().to_owned();
    let repos: Vec<String> = sources.iter().map(|source| redacted_url(&text(source, "repoURL"))).collect();
    let place = |source: &&Node| or(&text(source, "chart"), &text(source, "path")).to_owned();
    (repos.join(","), sources.iter().map(place).collect::<Vec<_>>().join(","))
}

/// A repository's URL without the credentials it may carry.
pub(crate) fn redacted_url(url: &str) -> String {
    if let Ok(parsed) = RepoUrl::parse(url) {
        return parsed.to_string();
    }
    // Not one that we can read: take out whatever stands before an '@' of the authority.
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The whole object for `-o json|yaml`: without managedFields, as kubectl prints it, and without credentials in URLs.
pub(crate) fn printable(node: &Node) -> Node {
    let mut node = node.clone();
    node.remove_at(&["metadata", "managedFields"]);
    redact(&mut node);
    node
}

/// What [`printable`] leaves out that somebody who puts it into a cluster again would miss.
pub(crate) fn left_out(node: &Node) -> Option<&'static str> {
    has_login(node).then_some(
        "logins in repoURL are left out: what is made of this needs a Secret of the repository, or --repo with the login",
    )
}

fn has_login(node: &Node) -> bool {
    let login = |url: &str| {
        let authority = url.split_once("://")?.1.split('/').next()?;
        Some(authority.rsplit_once('@')?.0.to_owned())
    };
    match node {
        Node::Map(map) => map.iter().any(|(key, value)| match value.as_str() {
            Some(url) => key == "repoURL" && login(url).is_some_and(|own| login(&redacted_url(url)) != Some(own)),
            None => has_login(value),
        }),
        Node::List(items) => items.iter().any(has_login),
        _ => false,
    }
}

fn redact(node: &mut Node) {
    match node {
        Node::Map(map) => redact_map(map),
        Node::List(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

fn redact_map(map: &mut Map) {
    for (key, value) in map.iter_mut() {
        match value.as_str() {
            Some(url) if key == "repoURL" => *value = redacted_url(url).into(),
            // The client-side kubectl keeps the whole object here as text.
            Some(_) if key == "kubectl.kubernetes.io/last-applied-configuration" => *value = "<left out>".into(),
            _ => redact(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn an_empty_application_shows_what_is_known() {
        let empty = node(r#"{"metadata":{"name":"web","namespace":"argocd"},"spec":[],"status":"odd"}"#);
        let view = View(&empty);
        assert_eq!(view.qualified_name(), "argocd/web");
        assert_eq!((view.project(), view.sync_status(), view.health_status()), ("default", "Unknown", "Unknown"));
        assert_eq!((view.drift_count(), view.automated()), (None, None));
        assert_eq!(view.conditions_summary(), "<none>");
        assert!(view.sources().is_empty());
    }

    #[test]
    fn automated_can_be_present_and_off() {
        let with = |automated: &str| node(&format!(r#"{{"spec":{{"syncPolicy":{{"automated":{automated}}}}}}}"#));
        assert_eq!(View(&with("null")).automated(), None);
        assert_eq!(View(&with(r#"{"enabled":false,"prune":true}"#)).automated(), None);
        assert_eq!(View(&with("{}")).automated(), Some(Automated { prune: false, self_heal: false }));
        let both = with(r#"{"prune":true,"selfHeal":true,"enabled":true}"#);
        assert_eq!(View(&both).automated(), Some(Automated { prune: true, self_heal: true }));
    }

    #[test]
    fn conditions_are_counted_by_type() {
        let app =
            node(r#"{"status":{"conditions":[{"type":"SyncError"},{"type":"ComparisonError"},{"type":"SyncError"}]}}"#);
        assert_eq!(View(&app).conditions_summary(), "ComparisonError,SyncError(2)");
    }

    #[test]
    fn no_credential_is_shown() {
        for url in
            ["https://user:hunter2@git.example/a", "ssh://user:hunter2@git.example/a", "oci://hunter2@reg.example"]
        {
            assert!(!redacted_url(url).contains("hunter2"), "{url}");
        }
        assert_eq!(redacted_url("git@github.com:org/repo.git"), "git@github.com:org/repo.git");
        assert_eq!(redacted_url("ssh://git@h.example:22/a@b"), "ssh://git@h.example/a@b");
        let app = r#"{"metadata":{"managedFields":[1],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2"}},
            "spec":{"sources":[{"repoURL":"http://u:hunter2@h/a"}]},"status":{"history":[{"source":{"repoURL":"http://u:hunter2@h/a"}}]}}"#;
        let shown = printable(&node(app)).to_string();
        assert!(!shown.contains("hunter2") && !shown.contains("managedFields"), "{shown}");
        assert!(left_out(&node(app)).is_some() && left_out(&printable(&node(app))).is_none());
        for whole in ["https://HOST/a", "ssh://git@h.example:22/a", "git@h:a", "http://h/a@b"] {
            assert_eq!(
                left_out(&node(&format!(r#"{{"spec":{{"source":{{"repoURL":"{whole}"}}}}}}"#))),
                None,
                "{whole}"
            );
        }
    }

    #[test]
    fn a_short_commit_id_is_what_the_application_knows() {
        let [first, second, third] = ["0123456789", "0123456aaa", "fedcba9876"].map(|start| format!("{start:0<40}"));
        let app = node(&format!(
            r#"{{"status":{{"history":[{{"revision":"{first}"}},{{"revision":"{second}"}}],"sync":{{"revision":"{third}"}}}}}}"#
        ));
        let full = |short: &str| View(&app).full_commit(short);
        assert_eq!(full("01234567"), Some(first.as_str()));
        assert_eq!(full("0123456A"), Some(second.as_str()));
        assert_eq!(full("fedcba9"), Some(third.as_str()));
        // Two begin so, none begins so, too short, no commit id.
        for none in ["0123456", "1111111", "fedcba", "feature"] {
            assert_eq!(full(none), None, "{none}");
        }
    }

    #[test]
    fn only_commit_ids_are_cut() {
        assert_eq!(short_revision("0123456789abcdef0123456789abcdef01234567"), "0123456");
        assert_eq!(short_revision("release-2026-11-long-name"), "release-2026-11-long-name");
    }
}
