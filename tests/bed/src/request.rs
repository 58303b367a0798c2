//! Requests that the API server has answered, as its audit log tells them.

use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::Timestamp;
use serde::Deserialize;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked.
    pub user: String,
    /// As whom it was judged, if not as that user.
    pub impersonated: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The plural name of the resource; empty for paths like `/healthz`.
    pub resource: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// `status`, `scale` and the like; empty for the object itself.
    pub subresource: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// The answer's HTTP status.
    pub code: u16,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
    /// Path and query as they were sent.
    pub uri: String,
    /// When the request arrived.
    pub at: Option<Timestamp>,
}

impl Request {
    /// Reads a line of the audit log; nothing if it tells no new request.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let event: Event = serde_json::from_str(line).ok()?;
        let code = event.response_status.code;
        // A watch is told when it starts, and told again when it ends. One that was refused never starts.
        if event.stage == "ResponseComplete" && event.verb == "watch" && code < 400 {
            return None;
        }
        let object = event.object_ref;
        Some(Self {
            user: event.user.username,
            impersonated: event.impersonated_user.username,
            verb: event.verb,
            resource: object.resource,
            group: object.api_group,
            subresource: object.subresource,
            namespace: object.namespace,
            name: object.name,
            code,
            dry_run: event.request_uri.split(['?', '&']).skip(1).any(|pair| pair == "dryRun=All"),
            uri: event.request_uri,
            at: event.request_received_timestamp.parse().ok(),
        })
    }

    /// Tells whether the request could change something: no read, no dry run.
    pub fn writes(&self) -> bool {
        !self.dry_run && !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    stage: String,
    verb: String,
    user: User,
    impersonated_user: User,
    #[serde(rename = "requestURI")]
    request_uri: String,
    object_ref: ObjectRef,
    response_status: ResponseStatus,
    request_received_timestamp: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    api_group: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

/// Requests in the order of their answers. Derefs to a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests(Vec<Request>);

impl Requests {
    /// Those of one user.
    #[must_use]
    pub fn by(&self, user: &str) -> Self {
        self.filtered(|request| request.user == user)
    }

    /// Those that could change something.
    #[must_use]
    pub fn writes(&self) -> Self {
        self.filtered(Request::writes)
    }

    /// Those for which the condition holds.
    #[must_use]
    pub fn filtered(&self, wanted: impl Fn(&Request) -> bool) -> Self {
        self.0.iter().filter(|request| wanted(request)).cloned().collect()
    }

    /// How many there are of each (verb, resource); dry runs have the verb `patch (dry run)` and so on, subresources
    /// are written `pods/status`.
    pub fn counts(&self) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for request in &self.0 {
            let verb = if request.dry_run { format!("{} (dry run)", request.verb) } else { request.verb.clone() };
            let resource = match request.subresource.as_str() {
                "" => request.resource.clone(),
                subresource => format!("{}/{subresource}", request.resource),
            };
            *counts.entry((verb, resource)).or_default() += 1;
        }
        counts
    }

    /// How many there are of a verb on a resource, dry runs apart, subresources included.
    pub fn count(&self, verb: &str, resource: &str) -> usize {
        self.0.iter().filter(|request| request.verb == verb && request.resource == resource && !request.dry_run).count()
    }
}

impl Deref for Requests {
    type Target = [Request];

    fn deref(&self) -> &[Request] {
        &self.0
    }
}

impl FromIterator<Request> for Requests {
    fn from_iter<I: IntoIterator<Item = Request>>(requests: I) -> Self {
        Self(requests.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stage: &str, verb: &str, uri: &str, code: u16) -> String {
        format!(
            r#"{{"kind":"Event","level":"Metadata","stage":"{stage}","requestURI":"{uri}","verb":"{verb}",
            "user":{{"username":"trueup"}},"objectRef":{{"resource":"pods","namespace":"a","name":"b","apiVersion":"v1"}},
            "responseStatus":{{"metadata":{{}},"code":{code}}},"requestReceivedTimestamp":"2026-01-02T03:04:05.678901Z"}}"#
        )
    }

    #[test]
    fn counts_a_watch_once() {
        let lines = [("ResponseStarted", 200), ("ResponseComplete", 200), ("ResponseComplete", 410)];
        let told = lines.map(|(stage, code)| Request::parse(&line(stage, "watch", "/api/v1/pods?watch=1", code)));
        assert_eq!(told.map(|request| request.map(|request| request.code)), [Some(200), None, Some(410)]);
    }

    #[test]
    fn tells_dry_runs_from_writes() {
        let uri = "/api/v1/namespaces/a/pods/b?dryRun=All&fieldManager=x";
        let dry = Request::parse(&line("ResponseComplete", "patch", uri, 200)).unwrap();
        let wet = Request::parse(&line("ResponseComplete", "patch", "/api/v1/namespaces/a/pods/b", 200)).unwrap();
        assert!(dry.dry_run && !dry.writes() && wet.writes() && wet.at.is_some());
        let counts = Requests(vec![dry, wet]).counts();
        assert_eq!(counts.into_keys().map(|(verb, _)| verb).collect::<Vec<_>>(), ["patch", "patch (dry run)"]);
    }
}
