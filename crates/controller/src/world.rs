//! All that the workers share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trueup_api::{App, Revision, Source, SourceKind};
use trueup_cluster::{Cluster, ClusterError, Kind};
use trueup_git::RepoUrl;
use trueup_object::{Gvk, ObjectKey};
use trueup_render::Renderer;

use crate::applications::Applications;
use crate::capabilities::Serves;
use crate::charts::Charts;
use crate::depends::Depends;
use crate::election::Leadership;
use crate::holders::Holders;
use crate::http::Progress;
use crate::impersonation::Impersonation;
use crate::keyring::Keyring;
use crate::logins::Logins;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::needs;
use crate::orphans::Orphans;
use crate::pace::{Pace, UntouchedRevisions};
use crate::projections::Projections;
use crate::projects::Projects;
use crate::queue::Queue;
use crate::repositories::Repositories;
use crate::rival::Rival;
use crate::settings::Rendering;
use crate::signatures::Signatures;
use crate::sweep::Sweep;
use crate::unlisted::Unlisted;
use crate::webhook::Webhooks;

/// The address under which Argo CD knows the cluster that it runs in.
pub(crate) const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// The name of that cluster.
pub(crate) const IN_CLUSTER_NAME: &str = "in-cluster";

/// All that the workers share.
pub(crate) struct World {
    /// Our own namespace: of the AppProjects, and of the Applications that are tracked by their plain names.
    pub(crate) namespace: String,
    pub(crate) namespaces: Namespaces,
    pub(crate) resync: Duration,
    pub(crate) untouched_revisions: UntouchedRevisions,
    pub(crate) cluster: Cluster,
    pub(crate) leadership: Leadership,
    pub(crate) application_kind: Kind,
    pub(crate) queue: Queue,
    pub(crate) applications: Applications,
    pub(crate) projects: Projects,
    pub(crate) logins: Arc<Logins>,
    pub(crate) keyring: Keyring,
    pub(crate) repositories: Arc<Repositories>,
    pub(crate) charts: Arc<Charts>,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) settings: Rendering,
    pub(crate) signatures: Signatures,
    pub(crate) serves: Serves,
    pub(crate) needs: needs::Kept,
    pub(crate) projections: Projections,
    pub(crate) holders: Holders,
    pub(crate) depends: Depends,
    pub(crate) sweep: Sweep,
    pub(crate) orphans: Orphans,
    pub(crate) impersonation: Impersonation,
    pub(crate) rival: Rival,
    pub(crate) pace: Pace,
    pub(crate) progress: Progress,
    pub(crate) metrics: Metrics,
    pub(crate) listed: crate::watches::Listed,
    pub(crate) unlisted: Unlisted,
    pub(crate) webhooks: Webhooks,
    pub(crate) memories: Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<Memory>>>>,
    /// The applications that have objects of a kind.
    pub(crate) by_kind: Mutex<HashMap<Gvk, HashSet<Arc<str>>>>,
    pub(crate) kind_changes: Mutex<HashMap<Gvk, u64>>,
    /// The commit that each application looked at last.
    pub(crate) looked_at: Mutex<HashMap<Arc<str>, LookedAt>>,
}

/// Where an application's last look at Git got to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LookedAt {
    /// The repository and the target revision of each source.
    pub(crate) sources: Vec<(String, String)>,
    pub(crate) at: Reached,
}

/// How far a look got.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reached {
    /// There was none yet.
    Nothing,
    /// To this revision, whether it rendered or not.
    Revision(Revision),
    /// A revision could not be had.
    Failed,
}

// === impl LookedAt ===

impl LookedAt {
    pub(crate) fn of(spec: &App, at: Reached) -> Self {
        let sources = spec.sources.iter();
        Self { sources: sources.map(|it| (it.repo_url.clone(), it.target_revision.clone())).collect(), at }
    }
}

// === impl World ===

impl World {
    /// What is remembered of an application. One worker at a time has it in hand, so nobody waits for the lock.
    pub(crate) fn memory(&self, app: &str) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = lock(&self.memories);
        if let Some(memory) = memories.get(app) {
            return Arc::clone(memory);
        }
        let memory = Arc::<tokio::sync::Mutex<Memory>>::default();
        memories.insert(app.into(), Arc::clone(&memory));
        memory
    }

    /// Notes the kinds of an application, so that it is woken when one of them is listed, fails, or appears.
    pub(crate) fn note_kinds<'a>(&self, app: &str, kinds: impl IntoIterator<Item = &'a Gvk>) {
        let mut by_kind = lock(&self.by_kind);
        for gvk in kinds {
            match by_kind.get_mut(gvk) {
                Some(apps) if apps.contains(app) => {}
                Some(apps) => drop(apps.insert(app.into())),
                None => drop(by_kind.insert(gvk.clone(), HashSet::from([app.into()]))),
            }
        }
    }

    /// Whether an application, by the name that its objects are tracked by, is of a namespace whose Applications are unknown: it
    /// may be there, and hold what says that it is its own.
    pub(crate) fn may_be_there(&self, app: &str) -> bool {
        let namespace = self.home(app);
        self.namespaces.take(namespace) && self.unlisted.has(namespace)
    }

    /// Whether an application, by the same name, is none of ours any more: it would be of our namespaces, and is not there.
    pub(crate) fn is_gone(&self, app: &str) -> bool {
        let namespace = self.home(app);
        self.namespaces.take(namespace) && !self.unlisted.has(namespace) && self.applications.get(app).is_none()
    }

    /// The namespace of an application, by the name that its objects are tracked by.
    fn home<'a>(&'a self, app: &'a str) -> &'a str {
        app.split_once('_').map_or(&self.namespace, |(namespace, _)| namespace)
    }

    /// Why it is not known whether another application holds an object: one of a namespace whose Applications are unknown may,
    /// as far as a project lets it. What goes with a whole namespace is anybody's guess.
    pub(crate) fn doubt(&self, key: &ObjectKey) -> Option<String> {
        let is_namespace = key.group.is_empty() && key.kind == "Namespace";
        let may_hold =
            |namespace: Option<&str>| is_namespace || self.projects.may_hold(namespace, &self.namespace, key);
        let which = self.unlisted.first(may_hold)?;
        let what = if is_namespace { "have something in it" } else { "hold it" };
        Some(format!("{which} cannot be listed, and one of them may {what}"))
    }

    /// Whether an error needs no word of its own: that nothing can or may be written at all is told once for everybody.
    pub(crate) fn is_told_for_all(&self, error: &ClusterError) -> bool {
        match error {
            ClusterError::Barred { .. } => true,
            ClusterError::Unavailable { .. } => !self.cluster.reachable(),
            _ => false,
        }
    }

    /// How often a kind has changed: what the server made of its objects before may hold no longer.
    pub(crate) fn kind_changes(&self, gvk: &Gvk) -> u64 {
        lock(&self.kind_changes).get(gvk).copied().unwrap_or_default()
    }

    /// A kind came, went or changed, or its watch did: wakes the applications that have objects of it.
    pub(crate) fn kind_changed(&self, gvk: &Gvk) {
        *lock(&self.kind_changes).entry(gvk.clone()).or_default() += 1;
        for app in lock(&self.by_kind).get(gvk).into_iter().flatten() {
            self.queue.wake(app);
        }
    }

    /// Notes at which commit an application looked.
    pub(crate) fn looked_at(&self, app: &str, at: LookedAt) {
        lock(&self.looked_at).insert(app.into(), at);
    }

    /// The tips that are known of all sources of an application, without asking; none if one is not.
    pub(crate) fn known_tips(&self, app: &str, spec: &App) -> Option<Revision> {
        let tip = |source: &Source| match source.kind {
            SourceKind::Git => {
                let tip = self.repositories.known_tip(app, &source.repo_url, &source.target_revision);
                tip.map(|tip| tip.commit.to_string())
            }
            SourceKind::Chart | SourceKind::Artifact => self.charts.known_tip(&self.logins, spec, source),
        };
        let tips: Option<Vec<String>> = spec.sources.iter().map(tip).collect();
        tips.map(|tips| spec.revision(tips))
    }

    /// Another application of one of the same repositories that has not yet looked at the tip of its revision: what it will
    /// hold is not known. An object moves between applications of one repository in one commit.
    pub(crate) fn behind(&self, app: &str, spec: &App) -> Option<Arc<str>> {
        // One repository can be written in several ways.
        let normal = |url: &str| RepoUrl::parse(url).map_or_else(|_| url.to_owned(), |url| url.normalised());
        let repositories: Vec<(&str, String)> =
            spec.sources.iter().map(|source| (source.repo_url.as_str(), normal(&source.repo_url))).collect();
        let is_ours = |(url, _): &(String, String)| {
            repositories.iter().any(|(ours, normalised)| url == ours || normal(url) == *normalised)
        };
        let others = |(other, at): &(&Arc<str>, &LookedAt)| &***other != app && at.sources.iter().any(is_ours);
        let looked_at: Vec<(Arc<str>, LookedAt)> =
            lock(&self.looked_at).iter().filter(others).map(|(other, at)| (Arc::clone(other), at.clone())).collect();
        looked_at.into_iter().find_map(|(other, looked)| self.is_behind(&other, &looked).then_some(other))
    }

    /// Whether an application has not yet looked at the tips of its revisions.
    fn is_behind(&self, app: &str, looked: &LookedAt) -> bool {
        // Charts are behind nobody: an object does not move between the charts of one repository.
        let tip = |(url, revision): &(String, String)| self.repositories.known_tip(app, url, revision);
        match &looked.at {
            Reached::Nothing => true,
            Reached::Revision(at) => {
                let mut parts = looked.sources.iter().zip(at.parts());
                parts.any(|(source, part)| tip(source).is_some_and(|tip| tip.commit.to_string() != *part))
            }
            Reached::Failed => looked.sources.iter().all(|source| tip(source).is_some()),
        }
    }

    /// An application that does not look at Git keeps nobody waiting.
    pub(crate) fn does_not_look(&self, app: &str) {
        lock(&self.looked_at).remove(app);
    }

    /// Forgets an application that is no more, and wakes who waited for what it held.
    pub(crate) fn forget(&self, app: &str) {
        self.queue.forget(app);
        self.repositories.forget(app);
        self.charts.forget(app);
        self.cluster.forget(app);
        self.metrics.forget(app);
        self.orphans.forget(app);
        self.sweep.forget(app);
        lock(&self.memories).remove(app);
        lock(&self.looked_at).remove(app);
        lock(&self.by_kind).retain(|_, apps| {
            apps.remove(app);
            !apps.is_empty()
        });
        for waiting in self.holders.forget(app).into_iter().chain(self.depends.forget(app)) {
            self.queue.wake(&waiting);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole between any two statements that change it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
