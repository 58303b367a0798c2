//! Asks the API server about many actions, each once. Entry point: [`Answers::ask`].

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use trueup_cluster::{Action, Cluster, ClusterError, ServiceAccount};

/// How many are asked about at once: each is a small request, and nobody waits for long.
const AT_ONCE: usize = 8;

/// What has been answered.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<Action, bool>);

// === impl Answers ===

impl Answers {
    /// Asks about what is not known yet.
    pub(super) async fn ask(
        &mut self,
        cluster: &Cluster,
        account: Option<&ServiceAccount>,
        actions: impl IntoIterator<Item = Action>,
    ) -> Result<(), ClusterError> {
        let new: BTreeSet<Action> = actions.into_iter().filter(|action| !self.0.contains_key(action)).collect();
        let asked = futures::stream::iter(new).map(async |action| {
            let may = cluster.may(&action, account).await?;
            Ok::<_, ClusterError>((action, may))
        });
        let answers: Vec<(Action, bool)> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        self.0.extend(answers);
        Ok(())
    }

    /// Whether it is granted; what was not asked is not.
    pub(super) fn granted(&self, action: &Action) -> bool {
        self.0.get(action).copied().unwrap_or(false)
    }
}
