//! A change that the API server never takes: which field it is about, what stands there, and what can be done.
//!
//! Invariant: no value of a Secret is told. Entry point: [`explained`].

use trueup_cluster::ClusterError;
use trueup_diff::{Difference, Input, What, compare};
use trueup_object::Node;

/// How many fields a refusal tells with their values.
const FIELDS_MAX: usize = 3;
/// The most bytes of a value that are told: a template is long, and a status small.
const VALUE_BYTES_MAX: usize = 256;
/// How the server says that something cannot be changed, of the kinds that come with it and of rules in definitions.
const WORDS: [&str; 4] = ["is immutable", "may not change", "may not be changed", "cannot change roleRef"];
/// The same, of whole specifications: `updates to … are forbidden`.
const FORBIDDEN: [&str; 2] = ["updates to ", "are forbidden"];

/// Whether a refusal is about a change: the same object would be taken if it were new.
pub(crate) fn is_unchangeable(error: &ClusterError) -> bool {
    let ClusterError::Refused { code: 422, message, .. } = error else { return false };
    let said = |words: &&str| message.contains(words);
    WORDS.iter().any(said) || FORBIDDEN.iter().all(said)
}

/// Whether that is all that the server has against the object.
pub(crate) fn is_nothing_else(error: &ClusterError) -> bool {
    let ClusterError::Refused { message, fields, .. } = error else { return false };
    // Several complaints stand in brackets.
    is_unchangeable(error) && fields.len() <= 1 && !message.contains(" is invalid: [")
}

/// The refusal with the fields that differ, and what can be done. `input` is what was compared when it was sent.
pub(crate) fn explained(input: &Input, error: ClusterError, remedy: &str) -> ClusterError {
    let ClusterError::Refused { code, message, fields } = error else { return error };
    let excepted = excepted(&message);
    let differences = compare(input).differences;
    let concerned: Vec<&Difference> = differences
        .iter()
        .filter(|difference| {
            let path = difference.path.to_string();
            fields.iter().any(|field| concerns(field, &path) && !is_excepted(&excepted, field, &path))
        })
        .collect();
    let message = if concerned.is_empty() {
        // A rule of a definition, or a field that the server fills itself.
        format!("{message}; {remedy}")
    } else {
        let secret = input.live.str_at(&["kind"]) == Some("Secret");
        let told: Vec<String> = concerned.iter().take(FIELDS_MAX).map(|difference| said(difference, secret)).collect();
        let more = match concerned.len().saturating_sub(FIELDS_MAX) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{}{more}; {remedy}", told.join(", "))
    };
    ClusterError::Refused { code, message, fields }
}

/// Whether a difference lies at the field that the server names, below it, or around it.
fn concerns(field: &str, path: &str) -> bool {
    // The server names items by their place, we by their keys.
    let field = field.split('[').next().unwrap_or(field);
    // Of a list and its first item, Git has the one that it likes: `clusterIPs` and `clusterIP`.
    let single = field.strip_suffix('s').is_some_and(|single| single == path);
    single || is_at(field, path) || is_at(path, field)
}

/// Whether a path lies at another or below it.
fn is_at(whole: &str, path: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What the server says may be changed at a field that otherwise may not, with `[*]` for any item.
fn excepted(message: &str) -> Vec<&str> {
    let Some((_, rest)) = message.split_once("other than ") else { return Vec::new() };
    let line = rest.lines().next().unwrap_or(rest);
    line.split(['\'', '`']).skip(1).step_by(2).collect()
}

fn is_excepted(excepted: &[&str], field: &str, path: &str) -> bool {
    let mut plain = String::with_capacity(path.len());
    let mut depth = 0_usize;
    for c in path.chars() {
        match c {
            '[' => {
                depth += 1;
                if depth == 1 {
                    plain.push_str("[*]");
                }
            }
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    excepted.iter().any(|name| {
        let whole = if name.starts_with(field.trim_start_matches('.')) {
            format!(".{name}")
        } else {
            format!("{field}.{name}")
        };
        is_at(&whole, &plain)
    })
}

fn said(difference: &Difference, secret: bool) -> String {
    let path = &difference.path;
    if secret {
        return format!("{path} cannot be changed");
    }
    let told =
        |value: &Option<Node>| value.as_ref().map_or_else(|| "nothing".to_owned(), |value| cut(&value.to_string()));
    match difference.what {
        What::Missing => format!("{path} cannot be set to {}: it is not there", told(&difference.desired)),
        What::Extra => format!("{path} cannot be removed: it is {}", told(&difference.live)),
        What::Changed => {
            format!("{path} cannot be changed from {} to {}", told(&difference.live), told(&difference.desired))
        }
    }
}

/// The first bytes of a value, whole characters only.
fn cut(text: &str) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=VALUE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEFUL_SET: &str = "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy' are forbidden";
    const POD: &str = "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.tolerations` (only additions to existing tolerations)\n  core.PodSpec{";

    #[test]
    fn which_refusals_are_about_a_change() {
        for (message, expected) in [
            ("spec.selector: Invalid value: {}: field is immutable", true),
            ("data: Forbidden: field is immutable when `immutable` is set", true),
            ("roleRef: Invalid value: {}: cannot change roleRef", true),
            ("spec.clusterIPs[0]: Invalid value: []: may not change once set", true),
            ("parameters: Forbidden: updates to parameters are forbidden.", true),
            ("spec: Invalid value: \"object\": Value is immutable", true),
            (STATEFUL_SET, true),
            (POD, true),
            ("this Secret cannot be changed at .data: field is immutable", true),
            ("spec.replicas: Invalid value: -1: must be greater than or equal to 0", false),
            ("spec.nope: field not declared in schema", false),
        ] {
            let refused = |code| ClusterError::Refused { code, message: message.to_owned(), fields: Vec::new() };
            assert_eq!(is_unchangeable(&refused(422)), expected, "{message}");
            assert!(!is_unchangeable(&refused(400)));
        }
        assert!(!is_unchangeable(&ClusterError::Conflict));
    }

    #[test]
    fn whether_a_refusal_is_about_nothing_else() {
        for (message, fields, expected) in [
            (
                "Job \"j\" is invalid: spec.template: Invalid value: {}: field is immutable",
                &[".spec.template"][..],
                true,
            ),
            ("Job \"j\" is invalid: [spec.a: field is immutable, spec.b: Required value]", &[".spec.a"][..], false),
            ("this Secret cannot be changed at .data, .x: field is immutable", &[".data", ".x"][..], false),
            ("Job \"j\" is invalid: spec.b: Required value", &[".spec.b"][..], false),
        ] {
            let fields = fields.iter().map(ToString::to_string).collect();
            let refused = ClusterError::Refused { code: 422, message: message.to_owned(), fields };
            assert_eq!(is_nothing_else(&refused), expected, "{message}");
        }
    }

    #[test]
    fn which_differences_a_refusal_is_about() {
        for (message, field, path, expected) in [
            ("", ".spec.selector", ".spec.selector.matchLabels.app", true),
            ("", ".spec.selector", ".spec", true),
            ("", ".spec.selector", ".spec.selectors", false),
            ("", ".spec.clusterIPs[0]", ".spec.clusterIPs", true),
            ("", ".spec.clusterIPs[0]", ".spec.clusterIP", true),
            (STATEFUL_SET, ".spec", ".spec.template.spec.containers[name=\"a\"].image", false),
            (STATEFUL_SET, ".spec", ".spec.replicas", false),
            (STATEFUL_SET, ".spec", ".spec.serviceName", true),
            (STATEFUL_SET, ".spec", ".spec.volumeClaimTemplates", true),
            (POD, ".spec", ".spec.containers[name=\"a\"].image", false),
            (POD, ".spec", ".spec.containers[name=\"a\"].args", true),
            (POD, ".spec", ".spec.tolerations", false),
            (POD, ".spec", ".spec.hostname", true),
        ] {
            let found = concerns(field, path) && !is_excepted(&excepted(message), field, path);
            assert_eq!(found, expected, "{field} {path}");
        }
    }

    #[test]
    fn what_is_told_of_a_difference() {
        let difference = |what, desired: Option<&str>, live: Option<&str>| Difference {
            path: trueup_object::Path::of_fields(&["spec", "x"]),
            pointer: "/spec/x".to_owned(),
            what,
            desired: desired.map(Node::from),
            live: live.map(Node::from),
            owner: None,
            doubtful: true,
            drift: false,
        };
        for (difference, expected) in [
            (difference(What::Changed, Some("b"), Some("a")), r#".spec.x cannot be changed from "a" to "b""#),
            (difference(What::Missing, Some("b"), None), r#".spec.x cannot be set to "b": it is not there"#),
            (difference(What::Extra, None, Some("a")), r#".spec.x cannot be removed: it is "a""#),
        ] {
            assert_eq!(said(&difference, false), expected);
            assert_eq!(said(&difference, true), ".spec.x cannot be changed");
        }
        let long = said(&difference(What::Changed, Some(&"é".repeat(200)), Some("a")), false);
        assert!(long.len() < 350 && long.contains("(402 bytes)"), "{long}");
    }
}
