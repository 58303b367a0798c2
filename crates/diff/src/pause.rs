//! A pause that somebody put on an Application.
//!
//! It is whoever's who set it: another application that brings the Application from Git undoes it only if Git itself had it.
//! Entry points: [`with_pause`] for what takes the place of a whole object, [`without_pause`] and [`held`] for what others
//! applied before.

use trueup_object::{FieldSet, Node, Path};

/// The annotations that pause an Application, and say until when.
pub const ANNOTATIONS: [&str; 2] = ["trueup.dev/pause", "trueup.dev/pause-until"];

/// The manifest with the pause that live has and Git does not: to be sent where what is sent replaces everything.
#[must_use]
pub fn with_pause(desired: Node, live: &Node) -> Node {
    let mut sent = desired;
    if is_application(live) && ANNOTATIONS.iter().all(|name| annotation(&sent, name).is_none()) {
        for name in ANNOTATIONS {
            if let Some(value) = annotation(live, name) {
                sent.set_at(&["metadata", "annotations", name], value.clone());
            }
        }
    }
    sent
}

/// What another tool applied, without a pause: what a person applies is not what Git said.
pub(crate) fn without_pause(mut applied: Node) -> Node {
    if is_application(&applied) {
        for name in ANNOTATIONS {
            applied.remove_at(&["metadata", "annotations", name]);
        }
    }
    applied
}

/// The leaves of a pause on this object: none if it is no Application.
pub(crate) fn held(live: &Node) -> FieldSet {
    if !is_application(live) {
        return FieldSet::default();
    }
    let paths = ANNOTATIONS.map(|name| Path::of_fields(&["metadata", "annotations", name]));
    paths.iter().collect()
}

/// Whether an object is an Application.
pub fn is_application(node: &Node) -> bool {
    node.str_at(&["kind"]) == Some("Application")
        && node.str_at(&["apiVersion"]).is_some_and(|version| version.starts_with("argoproj.io/"))
}

fn annotation<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    node.at(&["metadata", "annotations", name]).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Schema, compare, takeover};

    fn application(annotations: &str, rest: &str) -> Node {
        let json = format!(
            r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{{"name":"a","annotations":{annotations}{rest}}},"spec":{{"project":"p"}}}}"#
        );
        Node::from_json(json.as_bytes()).unwrap()
    }

    /// Applied by kubectl with a pause, in the two ways that there are.
    fn adopted() -> [Node; 2] {
        let applied = r#"{\"apiVersion\":\"argoproj.io/v1alpha1\",\"kind\":\"Application\",\"metadata\":{\"annotations\":{\"trueup.dev/pause\":\"r\",\"old\":\"1\"}}}"#;
        let client_side = format!(
            r#"{{"trueup.dev/pause":"r","old":"1","kubectl.kubernetes.io/last-applied-configuration":"{applied}"}}"#
        );
        let fields = r#"{"f:metadata":{"f:annotations":{"f:trueup.dev/pause":{},"f:old":{}}}}"#;
        let managed = |manager: &str, operation: &str| {
            format!(
                r#","managedFields":[{{"manager":"{manager}","operation":"{operation}","apiVersion":"argoproj.io/v1alpha1","fieldsType":"FieldsV1","fieldsV1":{fields}}}]"#
            )
        };
        [
            application(&client_side, &managed("kubectl-client-side-apply", "Update")),
            application(r#"{"trueup.dev/pause":"r","old":"1"}"#, &managed("argocd-controller", "Apply")),
        ]
    }

    fn differing(desired: &Node, live: &Node, base: Option<&Node>) -> Vec<String> {
        let schema = Schema::unknown();
        let input = Input { base, pending: true, ..Input::plain(desired, live, &schema) };
        compare(&input).differences.iter().map(|difference| difference.pointer.clone()).collect()
    }

    #[test]
    fn a_pause_that_a_person_applied_is_not_removed_and_not_taken_over() {
        let desired = application("{}", "");
        for live in adopted() {
            assert_eq!(differing(&desired, &live, None), ["/metadata/annotations/old"], "{live:?}");
            let taken = takeover(&desired, None, &live, &Schema::unknown(), crate::Former::default(), true);
            let ours = taken.iter().flat_map(|list| list.as_list().unwrap_or_default());
            let mut ours = ours.filter(|entry| entry.str_at(&["manager"]) == Some("trueup"));
            let entry = String::from_utf8(ours.next().unwrap().to_json()).unwrap();
            assert!(entry.contains("f:old") && !entry.contains("pause"), "{entry}");
        }
    }

    #[test]
    fn what_git_had_is_gits_to_remove() {
        let desired = application("{}", "");
        let base = application(r#"{"trueup.dev/pause":"r"}"#, "");
        let live = application(r#"{"trueup.dev/pause":"r","trueup.dev/pause-until":"later"}"#, "");
        assert_eq!(differing(&desired, &live, Some(&base)), ["/metadata/annotations/trueup.dev~1pause"]);
    }

    #[test]
    fn what_replaces_everything_keeps_it() {
        let live = application(r#"{"trueup.dev/pause":"r","trueup.dev/pause-until":"u","x":"y"}"#, "");
        let paused = application(r#"{"trueup.dev/pause":"r","trueup.dev/pause-until":"u"}"#, "");
        assert_eq!(with_pause(application("{}", ""), &live), paused);
        assert_eq!(with_pause(application("null", ""), &live), paused);
        // What Git says of it is Git's.
        let own = application(r#"{"trueup.dev/pause":"another"}"#, "");
        assert_eq!(with_pause(own.clone(), &live), own);
        // On anything else it means nothing.
        let map = |annotations: &str| {
            let json =
                format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"annotations":{annotations}}}}}"#);
            Node::from_json(json.as_bytes()).unwrap()
        };
        assert_eq!(with_pause(map("{}"), &map(r#"{"trueup.dev/pause":"r"}"#)), map("{}"));
    }
}
