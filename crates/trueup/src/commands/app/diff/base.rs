//! What Git said at the last successful sync: without it a field that has left Git, and whose owner has changed since, would not be
//! known as ours. Entry points: [`synced`] tells where it is, [`Base::of`] what it says of an object.

use trueup_api::{Revision, Status};
use trueup_object::{Node, ObjectKey};
use trueup_render::Targets;

/// How the Application stands to what Git says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Synced {
    /// Git says something else than at the last successful sync.
    pub(super) pending: bool,
    /// There never was a sync.
    pub(super) never: bool,
    /// Where to read what Git said then.
    pub(super) at: At,
}

/// Where to read what Git said at the last successful sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// It said nothing: there was none.
    Nowhere,
    /// It says the same now.
    Here,
    /// At this revision.
    Revision(Revision),
    /// That is not known, and why.
    Unknown(&'static str),
}

/// What Git said at the last successful sync.
pub(super) enum Base {
    /// Nothing.
    Nothing,
    /// What it says now.
    Same,
    /// These manifests.
    Other(Targets),
    /// That is not known.
    Unknown,
}

/// The controller's own rule: `digest` is that of what Git says now.
pub(super) fn synced(status: &Status, digest: &str) -> Synced {
    let baseline = status.drift.as_ref().map(|drift| drift.baseline.as_str()).unwrap_or_default();
    let (pending, never) = (baseline != digest, baseline.is_empty() && status.history.is_empty());
    let at = match status.synced_revision() {
        _ if never => At::Nowhere,
        _ if !pending => At::Here,
        None => At::Unknown("the history of syncs is empty"),
        Some(revision) => At::Revision(revision),
    };
    Synced { pending, never, at }
}

// === impl Base ===

impl Base {
    /// What Git said of an object, of which it says `now` today; `nothing` if it said nothing, none if that is not known.
    pub(super) fn of<'a>(&'a self, key: &ObjectKey, now: &'a Node, nothing: &'a Node) -> Option<&'a Node> {
        match self {
            Self::Nothing => Some(nothing),
            Self::Same => Some(now),
            Self::Other(targets) => {
                let found = targets.objects.binary_search_by(|target| target.key.cmp(key));
                Some(found.map_or(nothing, |at| targets.objects[at].manifest.node()))
            }
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use trueup_api::Application;
    use trueup_api::source::DirectorySource;
    use trueup_render::render_directory;

    use super::*;
    use crate::commands::app::diff::placed::placed;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn application(status: &str) -> Application {
        let text = format!(
            r#"{{"metadata":{{"name":"shop","namespace":"argocd"}},"spec":{{"project":"default",
                "source":{{"repoURL":"https://git.example/a","path":"a"}},
                "destination":{{"name":"in-cluster","namespace":"shop"}}}},"status":{status}}}"#
        );
        Application::read(text.as_bytes()).unwrap()
    }

    fn stands(status: &str) -> (bool, bool, At) {
        let Synced { pending, never, at } = synced(&application(status).status, "now");
        (pending, never, at)
    }

    #[test]
    fn the_last_sync_is_found_as_the_controller_finds_it() {
        let history = format!(r#""history":[{{"id":0,"revision":"old"}},{{"id":1,"revision":"{COMMIT}"}}]"#);
        assert_eq!(stands("{}"), (true, true, At::Nowhere));
        assert_eq!(stands(r#"{"drift":{"count":0,"baseline":"now"}}"#), (false, false, At::Here));
        let other = stands(&format!(r#"{{"drift":{{"count":0,"baseline":"then"}},{history}}}"#));
        assert_eq!(other, (true, false, At::Revision(Revision::one(COMMIT))));
        // From Argo CD, which keeps no baseline.
        assert_eq!(stands(&format!("{{{history}}}")), (true, false, At::Revision(Revision::one(COMMIT))));
        let lost = stands(r#"{"drift":{"count":0,"baseline":"then"}}"#);
        assert_eq!(lost, (true, false, At::Unknown("the history of syncs is empty")));
    }

    #[test]
    fn a_field_that_left_git_is_known_from_what_git_said_then() {
        let text = |data: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {data}\n");
        let made = |data: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("a.yaml"), text(data)).unwrap();
            let rendered = render_directory(dir.path(), &DirectorySource::default()).unwrap();
            let application = application("{}");
            placed(&rendered, application.spec.as_ref().unwrap(), "", "shop", &HashMap::new())
        };
        let (then, now, nothing) = (made("{x: a, y: b}"), made("{y: b}"), Node::map());
        let target = &now.objects[0];
        let y = |base: &Base, key: &ObjectKey| {
            let node = base.of(key, target.manifest.node(), &nothing)?;
            Some(node.str_at(&["data", "x"]).map(str::to_owned))
        };
        assert_eq!(y(&Base::Other(then), &target.key), Some(Some("a".to_owned())));
        assert_eq!(y(&Base::Same, &target.key), Some(None));
        assert_eq!(y(&Base::Unknown, &target.key), None);
        let empty = Base::Other(made("{}"));
        let other = ObjectKey::new("", "ConfigMap", "shop", "other");
        assert_eq!(empty.of(&other, target.manifest.node(), &nothing), Some(&nothing));
        assert_eq!(Base::Nothing.of(&target.key, target.manifest.node(), &nothing), Some(&nothing));
    }
}
