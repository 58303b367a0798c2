//! Asks the API server what somebody may do, without doing it. Entry point: [`Cluster::may`].

use serde::Deserialize;
use serde_json::json;

use crate::Cluster;
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::request::{Call, JSON};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    /// The namespace; empty for the whole cluster.
    pub namespace: String,
    /// The API group; empty for the core group, `*` for all.
    pub group: String,
    /// The resource as addresses name it; `*` for all.
    pub resource: String,
    /// The verb.
    pub verb: String,
}

/// A service account, as RBAC knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

#[derive(Deserialize)]
struct Review {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    allowed: bool,
}

impl Cluster {
    /// Whether the service account, or else who asks, may do this. Everybody may ask for himself; to ask for others takes
    /// the permission to create SubjectAccessReviews.
    pub async fn may(&self, action: &Action, account: Option<&ServiceAccount>) -> Result<bool, ClusterError> {
        let attributes = json!({
            "namespace": action.namespace,
            "group": action.group,
            "resource": action.resource,
            "verb": action.verb,
        });
        let (kind, plural, spec) = match account {
            None => ("SelfSubjectAccessReview", "selfsubjectaccessreviews", json!({"resourceAttributes": attributes})),
            Some(account) => {
                let spec = json!({
                    "resourceAttributes": attributes,
                    "user": account.user(),
                    "groups": account.groups(),
                });
                ("SubjectAccessReview", "subjectaccessreviews", spec)
            }
        };
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
        let call = Call::read(Verb::Create, format!("/apis/authorization.k8s.io/v1/{plural}"));
        let call = call.with_body(JSON, body.to_string().into_bytes(), false);
        let answer = self.requests().send(&Call { plural: plural.to_owned(), ..call }).await?;
        let review: Review = serde_json::from_slice(&answer)
            .map_err(|_| ClusterError::Malformed { message: format!("it is no {kind}") })?;
        Ok(review.status.allowed)
    }
}

// === impl ServiceAccount ===

impl ServiceAccount {
    /// The user that it is.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// The groups that every service account of its namespace is in.
    fn groups(&self) -> [String; 3] {
        let of_namespace = format!("system:serviceaccounts:{}", self.namespace);
        ["system:serviceaccounts".to_owned(), of_namespace, "system:authenticated".to_owned()]
    }
}
