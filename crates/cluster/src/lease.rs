//! A Lease, read and written: the one object that is written without holding it.
//!
//! These requests neither wait in a queue nor for anybody's pace: the whole controller depends on them being in time. Entry
//! points: [`Cluster::read_lease`], [`Cluster::write_lease`].

use std::time::Duration;

use serde_json::Value;
use trueup_diff::MANAGER;
use trueup_object::Gvk;

use crate::Cluster;
use crate::counters::Verb;
use crate::error::{Absent, ClusterError};
use crate::kind::Kind;
use crate::request::{Call, Failure, JSON};

impl Cluster {
    /// The kind of Leases, as every API server serves it.
    pub fn lease_kind() -> Kind {
        Kind {
            gvk: Gvk::from_api_version("coordination.k8s.io/v1", "Lease"),
            plural: "leases".to_owned(),
            namespaced: true,
            scale: false,
            status: false,
            watchable: true,
        }
    }

    /// Reads a Lease within a time; `None` if there is none.
    pub async fn read_lease(
        &self,
        namespace: &str,
        name: &str,
        within: Duration,
    ) -> Result<Option<Value>, ClusterError> {
        let kind = Self::lease_kind();
        let call = Call::new(Verb::Get, &kind, kind.object(namespace, name)?);
        match self.lease_request(&call, within).await {
            Err(ClusterError::NotFound(Absent::Object | Absent::Namespace)) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Writes a Lease within a time, and answers it as it is now: a new one if `lease` has no resourceVersion
    /// ([`ClusterError::AlreadyExists`] if somebody was faster), else that very version ([`ClusterError::Conflict`] if it is
    /// not that any more). After [`ClusterError::Unavailable`] it may be written or not.
    pub async fn write_lease(
        &self,
        namespace: &str,
        name: &str,
        lease: &Value,
        within: Duration,
    ) -> Result<Value, ClusterError> {
        let kind = Self::lease_kind();
        let (verb, address) = match lease.pointer("/metadata/resourceVersion") {
            Some(_) => (Verb::Renew, kind.object(namespace, name)?),
            None => (Verb::Claim, kind.collection(Some(namespace))?),
        };
        let call = Call::new(verb, &kind, format!("{address}?fieldManager={MANAGER}"));
        self.lease_request(&call.with_body(JSON, lease.to_string().into_bytes(), false), within).await
    }

    async fn lease_request(&self, call: &Call, within: Duration) -> Result<Value, ClusterError> {
        let answer = tokio::time::timeout(within, self.requests().once(call)).await;
        let answer = answer.unwrap_or_else(|_| {
            let message = format!("no answer within {within:?}");
            Err(Failure::here(ClusterError::Unavailable { message }))
        });
        let answer = answer.map_err(|failure| failure.error)?;
        serde_json::from_slice(&answer).map_err(|_| ClusterError::Malformed { message: "it is no Lease".to_owned() })
    }
}
