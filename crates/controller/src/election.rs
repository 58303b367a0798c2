//! Taking part in the election of one active controller: carries out what `lease` decides.
//!
//! Invariants: the gate of the cluster is open only for the working time after a renewal that was done; what is lost ends
//! this process, so that nothing that it knows from before outlives the work of another. A Lease that cannot be renewed for
//! a while, and went to nobody, is gone on with, and whoever was kept from writing meanwhile is told so. Entry points:
//! [`Election::run`] and [`Leadership`].

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use trueup_cluster::{Cluster, ClusterError, Raw, RawEvent, Writes};

use crate::clock;
use crate::identity::Identity;
use crate::lease::{Candidate, Seen, Sight, Step, next, working_time};

/// The name of the Lease in the controller's namespace.
pub(crate) const NAME: &str = "trueup-controller";
/// A request about the Lease may take this part of the duration: after one that hangs there is time for another.
const REQUESTS: u32 = 5;
/// After a failure the next try comes after this part of the duration.
const RETRIES: u32 = 15;
/// Between two tries after somebody else wrote the Lease: whoever it was, he is done.
const CONFLICT_PAUSE: Duration = Duration::from_millis(100);

/// Where we stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    /// The Lease has not been read yet.
    Starting,
    /// Another holds it, as these words say.
    Standby(Arc<str>),
    /// We hold it, and work until then at least.
    Leading(Instant),
    /// We held it last, and cannot renew it, for this reason: nothing is written.
    Paused(Arc<str>),
    /// It went to this one.
    Lost(Arc<str>),
}

/// Whether we lead, for those who ask; always, if there is no election.
pub(crate) struct Leadership(Option<Stands>);

struct Stands {
    standing: watch::Receiver<Standing>,
    resumed: Arc<Notify>,
}

/// How the election ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The Lease went to this one; empty if to nobody.
    Lost(String),
    /// As was wished.
    GivenBack,
}

/// One candidate.
pub(crate) struct Election {
    cluster: Cluster,
    namespace: String,
    candidate: Candidate,
    /// Kept as long as we may be holder.
    _identity: Identity,
    standing: watch::Sender<Standing>,
    /// Told when writes may be under way again after they were not.
    resumed: Arc<Notify>,
    sight: Sight,
    /// When the last renewal that was done was sent.
    renewed: Option<Instant>,
    /// What was told last, so that it is told once.
    told: Option<String>,
}

type News = Box<dyn Stream<Item = RawEvent> + Send + Unpin>;

// === impl Leadership ===

impl Leadership {
    /// Without an election.
    pub(crate) fn sole() -> Self {
        Self(None)
    }

    /// Where we stand; nothing without an election.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.0.as_ref().map(|stands| stands.standing.borrow().clone())
    }

    /// Whether we may work now.
    pub(crate) fn leads(&self) -> bool {
        match self.standing() {
            None => true,
            Some(Standing::Leading(until)) => Instant::now() < until,
            Some(_) => false,
        }
    }

    /// Waits until we may work.
    pub(crate) async fn leading(&self) {
        self.reach(|standing| matches!(standing, Standing::Leading(until) if Instant::now() < *until)).await;
    }

    /// Waits until the Lease has been read, and answers whether another holds it.
    pub(crate) async fn known(&self) {
        self.reach(|standing| *standing != Standing::Starting).await;
    }

    /// Waits until writes have been kept back for a time, however short, and may be under way again. For one who waits.
    pub(crate) async fn resumed(&self) {
        match &self.0 {
            Some(stands) => stands.resumed.notified().await,
            None => std::future::pending().await,
        }
    }

    async fn reach(&self, wanted: impl FnMut(&Standing) -> bool) {
        let Some(mut standing) = self.0.as_ref().map(|stands| stands.standing.clone()) else { return };
        if standing.wait_for(wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

// === impl Election ===

impl Election {
    /// A candidate. From now on nothing is written without the Lease.
    pub(crate) fn new(cluster: Cluster, namespace: &str, identity: Identity, duration: Duration) -> (Self, Leadership) {
        cluster.allow(Writes::Never);
        let (standing, stands) = watch::channel(Standing::Starting);
        let resumed = Arc::<Notify>::default();
        let candidate = Candidate { identity: identity.text.clone(), duration };
        let election = Self {
            cluster,
            namespace: namespace.to_owned(),
            candidate,
            _identity: identity,
            standing,
            resumed: Arc::clone(&resumed),
            sight: Sight::Nothing(None),
            renewed: None,
            told: None,
        };
        (election, Leadership(Some(Stands { standing: stands, resumed })))
    }

    /// Runs until the Lease is lost, or is to be given back.
    pub(crate) async fn run(mut self, mut release: watch::Receiver<bool>) -> Ended {
        let mut news: Option<News> = None;
        while !*release.borrow() {
            let step = next(&self.candidate, &self.sight, self.renewed, Instant::now());
            let done = match step {
                Step::Lost(holder) => return self.lost(holder),
                Step::Wait(at) => {
                    let at = if self.renewed.is_some() { at } else { self.stand_by(at) };
                    let watching = self.renewed.is_none().then(|| news.get_or_insert_with(|| self.watch()));
                    let event = async {
                        match watching {
                            Some(news) => news.next().await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = sleep_until(at) => {}
                        Some(event) = event => self.hear(event),
                        _ = release.changed() => {}
                    }
                    continue;
                }
                Step::Read => self.read().await,
                Step::Write => self.write().await,
            };
            let pause = match done {
                Ok(()) => {
                    if self.renewed.is_some() {
                        news = None;
                    }
                    continue;
                }
                Err(error) => self.failed(&error),
            };
            // A wish to end ends the wait.
            let _ = timeout(pause, release.changed()).await;
        }
        self.give_back().await;
        Ended::GivenBack
    }

    async fn read(&mut self) -> Result<(), ClusterError> {
        let lease = self.cluster.read_lease(&self.namespace, NAME, self.request_time()).await?;
        self.sight.see(lease, Instant::now());
        Ok(())
    }

    async fn write(&mut self) -> Result<(), ClusterError> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let lease = self.candidate.lease(&self.namespace, NAME, &self.sight, &now);
        let sent = Instant::now();
        let answer = self.cluster.write_lease(&self.namespace, NAME, &lease, self.request_time()).await?;
        self.sight.see(Some(answer), Instant::now());
        let until = sent + working_time(self.candidate.duration);
        self.cluster.allow(Writes::Until(until));
        // Asked after the gate is open again: no write is kept back from here on.
        let gap = kept_back(&self.standing.borrow(), Instant::now());
        if gap {
            self.resumed.notify_one();
        }
        if self.renewed.replace(sent).is_none() || gap {
            tracing::info!(namespace = %self.namespace, lease = NAME, identity = %self.candidate.identity, "this controller holds the Lease: it works");
        }
        self.told = None;
        self.standing.send_replace(Standing::Leading(until));
        Ok(())
    }

    /// What follows from a failure; answers how long to wait.
    fn failed(&mut self, error: &ClusterError) -> Duration {
        self.sight.forget();
        if matches!(error, ClusterError::Conflict | ClusterError::AlreadyExists | ClusterError::NotFound(_)) {
            return CONFLICT_PAUSE;
        }
        let works = self.renewed.is_some_and(|at| at.elapsed() < working_time(self.candidate.duration));
        if !works {
            let what = if self.renewed.is_some() { "renewed" } else { "read or taken" };
            let words = format!(
                "the Lease {}/{NAME} cannot be {what}, so nothing is written: {}",
                self.namespace,
                remedy(error)
            );
            if self.told.as_deref() != Some(&words) {
                tracing::warn!("{words}");
                self.told = Some(words.clone());
            }
            self.standing.send_replace(Standing::Paused(words.into()));
        }
        self.candidate.duration / RETRIES
    }

    /// Another holds it. Answers until when to wait.
    fn stand_by(&mut self, at: Instant) -> Instant {
        let (seen, is_there) = match &self.sight {
            Sight::Lease(seen) => (seen, true),
            Sight::Absent(Some(seen)) => (seen, false),
            Sight::Absent(None) | Sight::Nothing(_) => return at,
        };
        let now = Instant::now();
        // A living controller renews more often than it must; one that does not, and whose Lease lasts long, is told of.
        let overdue = seen.since + self.candidate.duration;
        let left = at.saturating_duration_since(now);
        let (level_is_warning, words) =
            if is_there { self.words(seen, now >= overdue, left) } else { (true, self.words_of_absence(seen, left)) };
        let key = format!("{} {level_is_warning} {is_there}", seen.record.holder);
        if self.told.as_deref() != Some(&key) {
            if level_is_warning {
                tracing::warn!("{words}");
            } else {
                tracing::info!("{words}");
            }
            self.told = Some(key);
        }
        self.standing.send_replace(Standing::Standby(words.into()));
        if now < overdue { at.min(overdue) } else { at }
    }

    fn words(&self, seen: &Seen, overdue: bool, left: Duration) -> (bool, String) {
        let Seen { record, .. } = seen;
        let (holder, until) = (record.holder.escape_debug(), clock::after(left));
        let words = format!(
            "standing by: '{holder}' holds the Lease {}/{NAME}, renewed it at {}, and has it until {until} unless it renews it again",
            self.namespace, record.renewed
        );
        if overdue {
            let remedy = format!(
                "if it is no more, `kubectl patch lease -n {} {NAME} --type=merge -p '{{\"spec\":{{\"holderIdentity\":null}}}}'` ends the wait",
                self.namespace
            );
            return (true, format!("{words}; it does not renew it: {remedy}"));
        }
        (false, words)
    }

    fn words_of_absence(&self, seen: &Seen, left: Duration) -> String {
        let (holder, until) = (seen.record.holder.escape_debug(), clock::after(left));
        format!(
            "standing by: the Lease {}/{NAME} was deleted; '{holder}', who held it, may work until {until}, and makes it anew if it lives; if it is no more, starting this controller again ends the wait",
            self.namespace
        )
    }

    fn watch(&self) -> News {
        Box::new(self.cluster.watch_one(&Cluster::lease_kind(), &self.namespace, NAME))
    }

    /// Takes in what the watch tells. Without the permission to watch the Lease is read when it ends, and not before.
    fn hear(&mut self, event: RawEvent) {
        let object = |raw: &Raw| serde_json::from_str::<Value>(raw.json.get()).unwrap_or_default();
        match event {
            RawEvent::InitApply(raw) | RawEvent::Apply(raw) => self.sight.see(Some(object(&raw)), Instant::now()),
            RawEvent::Delete(_) => self.sight.see(None, Instant::now()),
            RawEvent::Error(error) => {
                tracing::debug!(%error, "the Lease cannot be watched: it is read when it ends");
            }
            RawEvent::Init | RawEvent::InitDone => {}
        }
    }

    fn lost(&mut self, holder: String) -> Ended {
        self.cluster.allow(Writes::Never);
        self.standing.send_replace(Standing::Lost(holder.as_str().into()));
        Ended::Lost(holder)
    }

    /// The next may begin at once: nothing of ours is under way any more.
    async fn give_back(&mut self) {
        self.cluster.allow(Writes::Never);
        if self.renewed.is_none() {
            return;
        }
        let Some(lease) = self.candidate.released(&self.sight) else { return };
        match self.cluster.write_lease(&self.namespace, NAME, &lease, self.request_time()).await {
            Ok(_) => tracing::info!("the Lease is given back"),
            Err(error) => tracing::warn!(%error, "the Lease cannot be given back: the next waits until it ends"),
        }
    }

    fn request_time(&self) -> Duration {
        self.candidate.duration / REQUESTS
    }
}

/// Whether writes have been kept back after we held the Lease. `now` is when they may be under way again.
fn kept_back(before: &Standing, now: Instant) -> bool {
    match before {
        Standing::Leading(until) => *until <= now,
        Standing::Paused(_) => true,
        Standing::Starting | Standing::Standby(_) | Standing::Lost(_) => false,
    }
}

/// What failed, and what to do.
fn remedy(error: &ClusterError) -> String {
    match error {
        ClusterError::Forbidden { .. } => {
            format!("{error}: get, list, watch, create and update of leases (coordination.k8s.io) in this namespace")
        }
        error => format!("{error}; it is tried again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_gap_whether_or_not_anybody_noticed_it() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let rows = [
            ("renewed in time", Standing::Leading(now + second), false),
            ("renewed too late", Standing::Leading(now), true),
            ("stopped for a while and woken", Standing::Leading(now - second), true),
            ("told that it cannot be renewed", Standing::Paused("why".into()), true),
            ("taken for the first time", Standing::Starting, false),
            ("taken over", Standing::Standby("who".into()), false),
        ];
        for (what, before, gap) in rows {
            assert_eq!(kept_back(&before, now), gap, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_the_end_of_a_gap_hears_of_one_that_was_over_before() {
        let (standing, stands) = watch::channel(Standing::Starting);
        let resumed = Arc::<Notify>::default();
        let leadership = Leadership(Some(Stands { standing: stands, resumed: Arc::clone(&resumed) }));
        let wait = Duration::from_secs(1);
        assert!(timeout(wait, leadership.resumed()).await.is_err());
        standing.send_replace(Standing::Leading(Instant::now() + wait));
        resumed.notify_one();
        assert!(timeout(wait, leadership.resumed()).await.is_ok());
        assert!(timeout(wait, leadership.resumed()).await.is_err(), "a gap is told once");
    }
}
