//! What one side used.

use std::collections::BTreeMap;

use serde::Serialize;
use trueup_bed::Requests;

/// Bytes per MiB.
const MIB: f64 = 1024.0 * 1024.0;

/// What one side used for a first sync.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measure {
    /// From the first request, or the first Application, until the last thing held.
    pub(crate) wall_seconds: f64,
    /// Of the process itself, children apart.
    pub(crate) cpu_seconds: f64,
    /// The most memory that the process itself ever held, children apart; not told of the floor, whose process is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_mib: Option<f64>,
    /// How many requests there were, by verb and resource, as the API server's audit log tells.
    pub(crate) requests: BTreeMap<String, usize>,
}

// === impl Measure ===

impl Measure {
    /// All requests together.
    pub(crate) fn total(&self) -> usize {
        self.requests.values().sum()
    }
}

/// The requests by verb and resource.
pub(crate) fn by_verb(requests: &Requests) -> BTreeMap<String, usize> {
    requests
        .counts()
        .into_iter()
        .map(|((verb, resource), count)| (format!("{verb} {resource}").trim().to_owned(), count))
        .collect()
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "no process holds 2^53 bytes")]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
