//! Whether Argo CD's own controller still reconciles the same Applications.
//!
//! Two controllers that heal against each other are worse than none: while the other one runs, nothing is written.
//! Signs: a StatefulSet or Deployment in our namespace with its label and replicas, or a fresh entry of its manager on
//! an Application. Entry point: [`Rival::active`].

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use trueup_object::Node;

/// The label that all installations of Argo CD give its controller.
pub const LABELS: &str = "app.kubernetes.io/name=argocd-application-controller";
/// The field manager under which Argo CD's controller writes Applications.
pub(crate) const MANAGER: &str = "argocd-application-controller";
/// A write by the other controller counts for this long: it looks at each application every three minutes at least.
pub(crate) const QUIET: Duration = Duration::from_mins(5);

/// What is seen of the other controller.
#[derive(Default)]
pub(crate) struct Rival(Mutex<State>);

#[derive(Default)]
struct State {
    /// Its workloads that have replicas, by kind and name.
    workloads: HashSet<(&'static str, String)>,
    wrote: Option<Instant>,
}

// === impl Rival ===

impl Rival {
    /// Why nothing may be written, if so.
    pub(crate) fn active(&self) -> Option<String> {
        let state = self.state();
        if let Some((kind, name)) = state.workloads.iter().min() {
            return Some(format!("{kind} '{name}' runs Argo CD's application controller: scale it to 0 replicas"));
        }
        let recent = state.wrote.is_some_and(|at| at.elapsed() < QUIET);
        recent.then(|| {
            format!(
                "an Argo CD application controller ({MANAGER}) wrote to an Application in the last 5 minutes: stop it"
            )
        })
    }

    /// When the other controller ceases to count by itself; never while one of its workloads has replicas.
    pub(crate) fn quiet_at(&self) -> Option<Instant> {
        let state = self.state();
        let at = state.wrote.filter(|_| state.workloads.is_empty())? + QUIET;
        Some(at.max(Instant::now()))
    }

    /// A workload with the label, as it is now. Answers whether that changes [`Rival::active`].
    pub(crate) fn saw(&self, kind: &'static str, name: &str, object: &Node) -> bool {
        // Absent replicas are one.
        let replicas = object.i64_at(&["spec", "replicas"]).unwrap_or(1);
        if replicas > 0 {
            self.change(|state| state.workloads.insert((kind, name.to_owned())))
        } else {
            self.lost(kind, name)
        }
    }

    /// A workload that is no more.
    pub(crate) fn lost(&self, kind: &'static str, name: &str) -> bool {
        self.change(|state| state.workloads.remove(&(kind, name.to_owned())))
    }

    /// The other controller wrote to an Application so long ago.
    pub(crate) fn wrote(&self, ago: Duration) {
        let at = Instant::now().checked_sub(ago).filter(|_| ago < QUIET);
        let mut state = self.state();
        state.wrote = state.wrote.max(at);
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) -> bool {
        change(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_workload_with_replicas_counts_until_it_has_none() {
        let rival = Rival::default();
        assert!(rival.saw("StatefulSet", "c", &workload("{}")));
        assert!(rival.active().unwrap().contains("StatefulSet 'c'"));
        assert!(rival.saw("StatefulSet", "c", &workload(r#"{"spec":{"replicas":0}}"#)));
        assert_eq!(rival.active(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_counts_for_five_minutes() {
        let rival = Rival::default();
        rival.wrote(Duration::ZERO);
        assert!(rival.active().is_some());
        assert_eq!(rival.quiet_at(), Some(Instant::now() + QUIET));
        tokio::time::advance(QUIET).await;
        assert_eq!(rival.active(), None);
        assert_eq!(rival.quiet_at(), Some(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_ends_a_workload() {
        let rival = Rival::default();
        rival.wrote(Duration::ZERO);
        rival.saw("Deployment", "c", &workload("{}"));
        assert_eq!(rival.quiet_at(), None);
        tokio::time::advance(QUIET * 2).await;
        assert!(rival.active().is_some());
        assert_eq!(rival.quiet_at(), None);
    }
}
