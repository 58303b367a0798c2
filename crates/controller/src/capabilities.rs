//! What the cluster serves, as charts ask of it.
//!
//! Kept for a moment: an application that is looked at asks for it every time. Invariant: what was known is answered while the
//! API server cannot tell. Entry point: [`Serves::now`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_object::Digest;
use trueup_render::Capabilities;

/// How long a version counts: an upgrade of the API server takes longer.
const VERSION_FRESH: Duration = Duration::from_mins(10);
/// How long the list of kinds counts: looks come in bursts.
const KINDS_FRESH: Duration = Duration::from_secs(5);

/// What the cluster serves.
#[derive(Default)]
pub struct Serves(Mutex<Option<Known>>);

#[derive(Clone)]
struct Known {
    answer: Answer,
    version_asked: Instant,
    kinds_asked: Instant,
}

/// What it serves, and the digest of that.
#[derive(Clone)]
pub struct Answer {
    /// What it serves.
    pub capabilities: Arc<Capabilities>,
    /// The digest of that.
    pub digest: Digest,
}

// === impl Serves ===

impl Serves {
    /// What the cluster serves now. The first answer takes one request, and the next after [`VERSION_FRESH`].
    pub async fn now(&self, cluster: &Cluster) -> Result<Answer, ClusterError> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.kinds_asked.elapsed() < KINDS_FRESH) {
            return Ok(known.answer.clone());
        }
        match read(cluster, known.as_ref()).await {
            Ok(read) => {
                let answer = read.answer.clone();
                *known = Some(read);
                Ok(answer)
            }
            Err(error) => known.as_ref().map(|known| known.answer.clone()).ok_or(error),
        }
    }
}

async fn read(cluster: &Cluster, known: Option<&Known>) -> Result<Known, ClusterError> {
    let fresh = known.filter(|known| known.version_asked.elapsed() < VERSION_FRESH);
    let (kube_version, version_asked) = match fresh {
        Some(known) => (known.answer.capabilities.kube_version.clone(), known.version_asked),
        None => (cluster.version().await?.git_version, Instant::now()),
    };
    let api_versions = names(&cluster.kinds().await?.served);
    let digest =
        Digest::of_parts(std::iter::once(kube_version.as_str()).chain(api_versions.iter().map(String::as_str)));
    let capabilities = Arc::new(Capabilities { kube_version, api_versions: api_versions.into() });
    Ok(Known { answer: Answer { capabilities, digest }, version_asked, kinds_asked: Instant::now() })
}

/// As Helm lists them: `apps/v1` and `apps/v1/Deployment`.
fn names(kinds: &[Kind]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(2 * kinds.len());
    for kind in kinds {
        let version = kind.gvk.api_version();
        names.push(format!("{version}/{}", kind.gvk.kind));
        names.push(version);
    }
    names.sort_unstable();
    names.dedup();
    names
}
