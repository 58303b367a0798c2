//! What the API server refused, or why it could not be asked.
//!
//! Invariant: no error quotes a value of a Secret, nor an object that a JSON patch was made for: the server's own words
//! do both. Entry point: [`classify`], which turns a status code and a body into a [`ClusterError`].

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The most bytes of the server's words that are passed on: a validation error of a large object repeats much of it.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2048;
/// The most field paths that one error names.
pub(crate) const FIELDS_MAX: usize = 20;
/// The most bytes of one field path that are passed on.
pub(crate) const FIELD_BYTES_MAX: usize = 256;

/// What the API server refused, or why it could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The server does not take this object; asking again with the same object gives the same answer.
    #[error("refused by the API server (HTTP {code}): {message}")]
    Refused {
        /// The HTTP status; 500 for what server-side apply cannot type.
        code: u16,
        /// The server's words; our own for Secrets and for JSON patches.
        message: String,
        /// The paths of the fields that the server names, each with a leading dot.
        fields: Vec<String>,
    },
    /// The object changed since it was read, or the precondition does not hold any more.
    #[error("the object has changed since it was looked at: it is compared again")]
    Conflict,
    /// An object of this name is there already.
    #[error("an object of this name exists already")]
    AlreadyExists,
    /// What was asked for is not there.
    #[error("{0} does not exist")]
    NotFound(Absent),
    /// A version that the server no longer has.
    #[error("the requested version is too old for the API server: it is listed again")]
    Gone,
    /// The server does not know who asks: the login is wrong or has expired. It says nothing of what may be done.
    #[error(
        "the API server does not accept this login (HTTP 401): it is not valid or has expired; log in again, or renew the \
         kubeconfig or the token"
    )]
    Unauthenticated,
    /// The credentials do not suffice.
    #[error("forbidden: {message}; grant the permission or remove the object from the application")]
    Forbidden {
        /// The server's words; our own for Secrets.
        message: String,
    },
    /// The namespace is going away, so nothing can be made in it until it is gone.
    #[error("the namespace is being deleted: nothing can be created in it until it is gone")]
    Terminating,
    /// The object or request is larger than the server takes.
    #[error("too large for the API server: {message}")]
    TooLarge {
        /// The server's words; our own for Secrets.
        message: String,
    },
    /// The network, an overloaded or a failing server: try again.
    #[error("the API server is not available: {message}")]
    Unavailable {
        /// What failed.
        message: String,
    },
    /// Nothing may be written now, whatever it is: no answer of the server, and no word about the object.
    #[error("this controller does not hold the Lease at the moment, so it writes nothing ({done})")]
    Barred {
        /// Whether what was to be written may have been.
        done: &'static str,
    },
    /// What is asked for is not done; it was not sent.
    #[error("not done: {message}")]
    Declined {
        /// Why, and what to do.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("the API server gave an answer that cannot be read: {message}")]
    Malformed {
        /// What is wrong with it; never a part of the answer.
        message: String,
    },
    /// The connection is not configured properly.
    #[error("cannot connect to the cluster: {message}")]
    Configuration {
        /// What is wrong with it.
        message: String,
    },
}

/// What a 404 is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The kind is not served.
    Kind,
    /// The namespace is not there.
    Namespace,
    /// The object is not there.
    Object,
}

/// The request that an answer belongs to: how much of the answer may be passed on depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The plural name of the resource asked for.
    pub(crate) plural: &'a str,
    /// The request carries a Secret.
    pub(crate) secret: bool,
    /// The request is a JSON patch.
    pub(crate) json_patch: bool,
}

/// The part of a `metav1.Status` that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    kind: String,
    causes: Option<Vec<Cause>>,
    retry_after_seconds: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    field: String,
}

/// Turns an answer that is no success into an error.
pub(crate) fn classify(asked: Asked<'_>, code: u16, body: &[u8]) -> ClusterError {
    // An aggregated server, a proxy or an unserved path answers in plain text.
    let Ok(status) = serde_json::from_slice::<Status>(body) else {
        let message = Words::of(asked, code, cut(&String::from_utf8_lossy(body)), &[]);
        return match code {
            404 => ClusterError::NotFound(Absent::Kind),
            _ => by_code(code, "", &message, Vec::new()),
        };
    };
    let details = status.details.unwrap_or_default();
    let causes = details.causes.unwrap_or_default();
    if code == 404 {
        return ClusterError::NotFound(match details.kind.as_str() {
            "namespaces" if asked.plural != "namespaces" => Absent::Namespace,
            "" => Absent::Kind,
            _ => Absent::Object,
        });
    }
    if causes.iter().any(|cause| cause.reason == "NamespaceTerminating") {
        return ClusterError::Terminating;
    }
    let mut fields: Vec<String> = causes.iter().filter_map(|cause| field(&cause.field, asked.secret)).collect();
    let untyped = untyped(&status.message);
    if let Some(complaint) = untyped {
        fields.extend(named_fields(complaint).filter_map(|path| field(path, asked.secret)));
    }
    fields.dedup();
    fields.truncate(FIELDS_MAX);
    let message = Words::of(asked, code, cut(&status.message), &fields);
    if untyped.is_some() {
        return ClusterError::Refused { code, message: message.to_string(), fields };
    }
    by_code(code, &status.reason, &message, fields)
}

/// How long the server asks to wait, from its header or else from its body.
pub(crate) fn retry_after(header: Option<&str>, body: &[u8]) -> Option<Duration> {
    let seconds = header.and_then(|text| text.trim().parse().ok()).or_else(|| {
        let details = serde_json::from_slice::<Status>(body).ok()?.details?;
        (details.retry_after_seconds > 0).then_some(details.retry_after_seconds)
    })?;
    Some(Duration::from_secs(seconds))
}

fn by_code(code: u16, reason: &str, message: &Words, fields: Vec<String>) -> ClusterError {
    let message = message.to_string();
    match code {
        409 if reason == "AlreadyExists" => ClusterError::AlreadyExists,
        409 => ClusterError::Conflict,
        410 => ClusterError::Gone,
        401 => ClusterError::Unauthenticated,
        403 => ClusterError::Forbidden { message },
        413 => ClusterError::TooLarge { message },
        408 | 429 | 500.. => ClusterError::Unavailable { message },
        _ => ClusterError::Refused { code, message, fields },
    }
}

/// What server-side apply says of an object that does not fit its schema, after the name of the object. It comes as a
/// 500 without a reason, and is a refusal all the same.
fn untyped(message: &str) -> Option<&str> {
    ["failed to create typed patch object", "failed to convert new object"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        // ` (ns/name; group/version, Kind=…): .spec.replcas: field not declared in schema`
        .map(|rest| rest.split_once("): ").map_or(rest, |(_, complaint)| complaint))
}

/// The paths at the beginning of each line of a complaint.
fn named_fields(complaint: &str) -> impl Iterator<Item = &str> {
    complaint
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('.'))
        .map(|line| line.split_once(": ").map_or(line, |(path, _)| path))
}

/// A path with its leading dot. Of a Secret only what can be a name: a value may stand behind it.
fn field(path: &str, secret: bool) -> Option<String> {
    let path = path.trim();
    let end = path
        .char_indices()
        .find(|(at, c)| *at >= FIELD_BYTES_MAX || (secret && !(c.is_ascii_alphanumeric() || "._-/[]".contains(*c))))
        .map_or(path.len(), |(at, _)| at);
    let path = &path[..end];
    match path {
        "" | "." | "<nil>" => None,
        _ if path.starts_with('.') => Some(path.to_owned()),
        _ => Some(format!(".{path}")),
    }
}

/// The first bytes of a text, whole characters only.
fn cut(text: &str) -> String {
    let text = text.trim();
    if text.len() <= MESSAGE_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

/// The verb that an account has no permission for, in the words of the server's own authorizer.
fn denied(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("\" cannot ")?;
    let (verb, rest) = rest.split_once(' ')?;
    let plain = !verb.is_empty() && verb.len() <= 32 && verb.bytes().all(|byte| byte.is_ascii_lowercase());
    (plain && rest.starts_with("resource \"secrets\"")).then_some(verb)
}

/// The words that an error is told in.
enum Words {
    Server(String),
    Secret { at: String },
    SecretImmutable { at: String },
    Denied { verb: String },
    JsonPatch { at: String },
    Silent { code: u16 },
}

impl Words {
    fn of(asked: Asked<'_>, code: u16, message: String, fields: &[String]) -> Self {
        let at = if fields.is_empty() { String::new() } else { format!(" at {}", fields.join(", ")) };
        match () {
            () if asked.secret => match denied(&message) {
                Some(verb) if code == 403 => Self::Denied { verb: verb.to_owned() },
                _ if code == 422 && message.contains("field is immutable") => Self::SecretImmutable { at },
                _ => Self::Secret { at },
            },
            () if asked.json_patch && code == 422 => Self::JsonPatch { at },
            () if message.is_empty() => Self::Silent { code },
            () => Self::Server(message),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(message) => f.write_str(message),
            Self::Secret { at } => {
                write!(f, "it does not take this Secret{at}; its words may quote secret values and are left out")
            }
            Self::SecretImmutable { at } => write!(f, "this Secret cannot be changed{at}: field is immutable"),
            Self::Denied { verb } => write!(f, "this account has no permission to {verb} secrets"),
            Self::JsonPatch { at } => {
                write!(f, "the object has changed meanwhile, or the patched object is not valid{at}")
            }
            Self::Silent { code } => write!(f, "it answered HTTP {code} without a word"),
        }
    }
}

/// How a message names what is absent.
impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the kind",
            Self::Namespace => "the namespace",
            Self::Object => "the object",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Asked<'_> = Asked { plural: "deployments", secret: false, json_patch: false };
    const SECRET: Asked<'_> = Asked { plural: "secrets", secret: true, json_patch: false };

    fn status(reason: &str, message: &str, details: &serde_json::Value) -> Vec<u8> {
        json!({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "details": details})
            .to_string()
            .into_bytes()
    }

    fn refused(code: u16, message: &str, fields: &[&str]) -> ClusterError {
        let fields = fields.iter().map(ToString::to_string).collect();
        ClusterError::Refused { code, message: message.to_owned(), fields }
    }

    #[test]
    fn every_code_has_its_meaning() {
        let none = json!({});
        let cases: Vec<(u16, &str, &str, ClusterError)> = vec![
            (409, "AlreadyExists", "x", ClusterError::AlreadyExists),
            (409, "Conflict", "x", ClusterError::Conflict),
            (410, "Expired", "too old", ClusterError::Gone),
            (401, "Unauthorized", "who", ClusterError::Unauthenticated),
            (403, "Forbidden", "no", ClusterError::Forbidden { message: "no".into() }),
            (413, "RequestEntityTooLarge", "big", ClusterError::TooLarge { message: "big".into() }),
            (429, "TooManyRequests", "slow", ClusterError::Unavailable { message: "slow".into() }),
            (
                500,
                "InternalError",
                "failed calling webhook",
                ClusterError::Unavailable { message: "failed calling webhook".into() },
            ),
            (503, "", "", ClusterError::Unavailable { message: "it answered HTTP 503 without a word".into() }),
            (400, "BadRequest", "bad", refused(400, "bad", &[])),
            (415, "UnsupportedMediaType", "what", refused(415, "what", &[])),
        ];
        for (code, reason, message, expected) in cases {
            assert_eq!(classify(PLAIN, code, &status(reason, message, &none)), expected, "{code} {reason}");
        }
    }

    #[test]
    fn a_login_that_is_not_accepted_is_no_missing_permission() {
        for asked in [PLAIN, SECRET, Asked { json_patch: true, ..PLAIN }] {
            for body in [status("Unauthorized", "Unauthorized", &json!({})), b"who are you?".to_vec()] {
                let error = classify(asked, 401, &body);
                assert_eq!(error, ClusterError::Unauthenticated, "{asked:?}");
                let words = error.to_string();
                assert!(words.contains("log in again") && !words.contains("permission"), "{words}");
            }
        }
    }

    #[test]
    fn a_404_tells_what_is_absent() {
        let cases = [
            (status("NotFound", "deployments.apps \"a\" not found", &json!({"kind": "deployments"})), Absent::Object),
            (status("NotFound", "namespaces \"a\" not found", &json!({"kind": "namespaces"})), Absent::Namespace),
            (status("NotFound", "the server could not find the requested resource", &json!({})), Absent::Kind),
            (b"404 page not found\n".to_vec(), Absent::Kind),
        ];
        for (body, absent) in cases {
            assert_eq!(classify(PLAIN, 404, &body), ClusterError::NotFound(absent));
        }
        let namespaces = Asked { plural: "namespaces", ..PLAIN };
        let gone = status("NotFound", "namespaces \"a\" not found", &json!({"kind": "namespaces"}));
        assert_eq!(classify(namespaces, 404, &gone), ClusterError::NotFound(Absent::Object));
    }

    #[test]
    fn an_untyped_object_is_refused_though_it_is_a_500() {
        let message = "failed to create typed patch object (a/web; apps/v1, Kind=Deployment): .spec.replcas: field not \
                       declared in schema";
        let body = status("", message, &json!({}));
        assert_eq!(classify(PLAIN, 500, &body), refused(500, message, &[".spec.replcas"]));

        let several = "failed to create typed patch object (a/web; apps/v1, Kind=Deployment): errors:\n  \
                       .spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]\n  \
                       .spec.x: field not declared in schema";
        let fields = [".spec.template.spec.containers[name=\"web\"].env", ".spec.x"];
        assert_eq!(classify(PLAIN, 500, &status("", several, &json!({}))), refused(500, several, &fields));

        let convert = "failed to convert new object (a/web; apps/v1, Kind=Deployment) to smd typed: .spec: wrong";
        assert!(matches!(classify(PLAIN, 500, &status("", convert, &json!({}))), ClusterError::Refused { .. }));
    }

    #[test]
    fn an_invalid_object_names_its_fields() {
        let causes = json!({"kind": "Service", "causes": [
            {"reason": "FieldValueInvalid", "message": "m", "field": "spec.ports[0].port"},
            {"reason": "FieldValueInvalid", "message": "m", "field": "<nil>"},
        ]});
        let body = status("Invalid", "Service \"a\" is invalid", &causes);
        assert_eq!(classify(PLAIN, 422, &body), refused(422, "Service \"a\" is invalid", &[".spec.ports[0].port"]));
    }

    #[test]
    fn the_words_about_a_secret_are_never_passed_on() {
        let message = "failed to create typed patch object (a/s; /v1, Kind=Secret): .stringData.p: expected string, got \
                       &value.valueUnstructured{Value:[]interface {}{\"hunter2\"}}";
        let causes = json!({"causes": [{"field": "data[p]: hunter2"}]});
        for (code, body) in [
            (500, status("", message, &json!({}))),
            (422, status("Invalid", "Secret \"a\" is invalid: data[p]: hunter2", &causes)),
            (403, status("Forbidden", "admission webhook denied: hunter2", &json!({}))),
            (413, status("", "hunter2", &json!({}))),
            (503, b"hunter2".to_vec()),
        ] {
            let error = classify(SECRET, code, &body);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let ClusterError::Refused { code, message, fields } = classify(SECRET, 500, &status("", message, &json!({})))
        else {
            unreachable!("a refusal");
        };
        assert_eq!((code, fields), (500, vec![".stringData.p".to_owned()]));
        assert!(message.contains(".stringData.p"), "{message}");
    }

    #[test]
    fn that_a_secret_cannot_be_changed_is_told_without_what_is_in_it() {
        let message = "Secret \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set: hunter2";
        let causes = json!({"causes": [{"field": "data"}]});
        let error = classify(SECRET, 422, &status("Invalid", message, &causes));
        assert_eq!(error, refused(422, "this Secret cannot be changed at .data: field is immutable", &[".data"]));
    }

    #[test]
    fn a_missing_permission_for_secrets_is_named() {
        let message = "secrets \"a\" is forbidden: User \"x\" cannot patch resource \"secrets\" in API group \"\"";
        let error = classify(SECRET, 403, &status("Forbidden", message, &json!({})));
        let message = "this account has no permission to patch secrets".to_owned();
        assert_eq!(error, ClusterError::Forbidden { message });
    }

    #[test]
    fn the_words_about_a_json_patch_are_never_passed_on() {
        let asked = Asked { json_patch: true, ..PLAIN };
        let error = classify(asked, 422, &status("Invalid", "the object is {\"token\": \"hunter2\"}", &json!({})));
        assert!(!format!("{error:?}").contains("hunter2"));
        assert!(matches!(error, ClusterError::Refused { code: 422, .. }));
    }

    #[test]
    fn a_namespace_on_its_way_out_is_told_from_a_missing_permission() {
        let details = json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]});
        assert_eq!(classify(PLAIN, 403, &status("Forbidden", "forbidden", &details)), ClusterError::Terminating);
    }

    #[test]
    fn long_words_are_cut() {
        let error = classify(PLAIN, 400, &status("BadRequest", &"ä".repeat(MESSAGE_BYTES_MAX), &json!({})));
        let ClusterError::Refused { message, .. } = error else { unreachable!("a refusal") };
        assert!(message.len() < MESSAGE_BYTES_MAX + 32 && message.ends_with("(4096 bytes)"), "{}", message.len());
    }

    #[test]
    fn the_wait_is_read_from_the_header_and_from_the_body() {
        let body = status("TooManyRequests", "x", &json!({"retryAfterSeconds": 3}));
        assert_eq!(retry_after(Some("2"), &body), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(None, &body), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(Some("soon"), b"no"), None);
    }
}
