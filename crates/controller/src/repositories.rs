//! Where the revisions of repositories are now.
//!
//! One listing of refs per repository and interval, whoever asks and for however many revisions; an application is
//! woken when the tip of its revision moved, or when asking began or ceased to fail. Entry point: [`Repositories::tip`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trueup_git::{Access, CommitId, GitError, RepoUrl, Store, Stores};

use crate::queue::Queue;

/// So many listings in a row may fail for a passing reason before a tip that is known counts as unknown: one lost
/// answer is no reason to call hundreds of applications unknown.
const FAILURES_MAX: u32 = 2;

/// All repositories that applications name.
pub(crate) struct Repositories {
    stores: Stores,
    resync: Duration,
    queue: Queue,
    known: Mutex<HashMap<RepoUrl, Arc<Repository>>>,
    /// What each application asked for last.
    asked: Mutex<HashMap<Arc<str>, (RepoUrl, String)>>,
}

struct Repository {
    store: Arc<Store>,
    state: Mutex<State>,
    /// Held while a listing is under way.
    listing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The revisions that are asked for, and by which applications.
    wanted: HashMap<String, BTreeSet<Arc<str>>>,
    tips: HashMap<String, Tip>,
    /// Listings that failed in a row.
    failures: u32,
}

struct Tip {
    outcome: Result<CommitId, GitError>,
    /// When the listing that told it began.
    asked: Instant,
}

// === impl Repositories ===

impl Repositories {
    pub(crate) fn new(stores: Stores, resync: Duration, queue: Queue) -> Self {
        Self { stores, resync, queue, known: Mutex::default(), asked: Mutex::default() }
    }

    /// What was asked of all servers so far.
    pub(crate) fn counters(&self) -> trueup_git::Counters {
        self.stores.counters()
    }

    /// The store, and the commit that a revision is at. What is known is answered at once, unless a listing not older
    /// than `not_before` is demanded.
    pub(crate) async fn tip(
        self: &Arc<Self>,
        app: &str,
        url: &str,
        revision: &str,
        not_before: Option<Instant>,
    ) -> Result<(Arc<Store>, CommitId), GitError> {
        let url = RepoUrl::parse(url)?;
        let repository = self.want(app, &url, revision)?;
        let outcome = match repository.known(revision, not_before) {
            Some(outcome) => outcome,
            None => self.list(&repository, revision, not_before).await,
        };
        Ok((Arc::clone(&repository.store), outcome?))
    }

    /// The tip that is known of a revision, without asking.
    pub(crate) fn known_tip(&self, url: &str, revision: &str) -> Option<CommitId> {
        let url = RepoUrl::parse(url).ok()?;
        let repository = lock(&self.known).get(&url).cloned()?;
        repository.known(revision, None)?.ok()
    }

    /// The store of a repository, for commits that are known already.
    pub(crate) fn store(self: &Arc<Self>, url: &str) -> Result<Arc<Store>, GitError> {
        Ok(Arc::clone(&self.repository(&RepoUrl::parse(url)?)?.store))
    }

    /// The commit that a revision is at now, for once: nobody is woken when it moves.
    pub(crate) async fn resolve(
        self: &Arc<Self>,
        url: &str,
        revision: &str,
    ) -> Result<(Arc<Store>, CommitId), GitError> {
        let store = self.store(url)?;
        let outcomes = store.resolve(&[revision.to_owned()]).await?;
        let unknown = || Err(GitError::InvalidRevision { revision: revision.to_owned() });
        let commit = outcomes.into_iter().next().unwrap_or_else(unknown)?;
        Ok((store, commit))
    }

    /// Lets go of the clones of all repositories that no application asks for. Blocks.
    pub(crate) fn keep_wanted(&self) {
        let wanted: Vec<(RepoUrl, Access)> =
            lock(&self.known).keys().map(|url| (url.clone(), Access::default())).collect();
        self.stores.keep_only(&wanted);
    }

    /// An application that is no more wants no revision.
    pub(crate) fn forget(&self, app: &str) {
        if let Some((url, _)) = lock(&self.asked).remove(app)
            && let Some(repository) = lock(&self.known).get(&url)
        {
            repository.state().unwant(app);
        }
    }

    /// Notes what an application asks for, and that it no longer asks for anything else.
    fn want(self: &Arc<Self>, app: &str, url: &RepoUrl, revision: &str) -> Result<Arc<Repository>, GitError> {
        // Held throughout: between the two the poller must not find that nobody wants the repository.
        let mut asked = lock(&self.asked);
        let mut known = lock(&self.known);
        let repository = self.known_repository(&mut known, url)?;
        let same = asked.get(app).is_some_and(|(old, same)| old == url && same == revision);
        if !same
            && let Some((old, _)) = asked.insert(app.into(), (url.clone(), revision.to_owned()))
            && let Some(other) = known.get(&old)
        {
            other.state().unwant(app);
        }
        repository.state().wanted.entry(revision.to_owned()).or_default().insert(app.into());
        Ok(repository)
    }

    fn repository(self: &Arc<Self>, url: &RepoUrl) -> Result<Arc<Repository>, GitError> {
        self.known_repository(&mut lock(&self.known), url)
    }

    fn known_repository(
        self: &Arc<Self>,
        known: &mut HashMap<RepoUrl, Arc<Repository>>,
        url: &RepoUrl,
    ) -> Result<Arc<Repository>, GitError> {
        if let Some(repository) = known.get(url) {
            return Ok(Arc::clone(repository));
        }
        let store = self.stores.store(url, &Access::default())?;
        let repository =
            Arc::new(Repository { store, state: Mutex::default(), listing: tokio::sync::Mutex::default() });
        known.insert(url.clone(), Arc::clone(&repository));
        tokio::spawn(Arc::clone(self).poll(url.clone(), Arc::clone(&repository)));
        Ok(repository)
    }

    /// Lists at every interval, until nobody wants a revision of the repository any more.
    async fn poll(self: Arc<Self>, url: RepoUrl, repository: Arc<Repository>) {
        loop {
            sleep(self.resync).await;
            if repository.state().wanted.is_empty() {
                let mut known = lock(&self.known);
                // Looked at again under the lock: an application may have come in between.
                if repository.state().wanted.is_empty() {
                    known.remove(&url);
                    return;
                }
                continue;
            }
            let _ = self.list(&repository, "", Some(Instant::now())).await;
        }
    }

    /// Lists all revisions that are wanted. Who comes while a listing that is new enough is under way shares it.
    async fn list(
        &self,
        repository: &Repository,
        revision: &str,
        not_before: Option<Instant>,
    ) -> Result<CommitId, GitError> {
        let _guard = repository.listing.lock().await;
        if let Some(outcome) = repository.known(revision, not_before) {
            return outcome;
        }
        let asked = Instant::now();
        let revisions: Vec<String> = repository.state().wanted.keys().cloned().collect();
        let answer = repository.store.resolve(&revisions).await;
        if let Err(error) = &answer {
            tracing::warn!(repository = %repository.store.url(), %error, "the refs cannot be listed");
        }
        let mut state = repository.state();
        for app in state.learn(&revisions, &answer, asked) {
            self.queue.wake(&app);
        }
        let tip = state.tips.get(revision).map(|tip| tip.outcome.clone());
        // Only the poller asks for no revision of its own, and does not look at the answer.
        tip.unwrap_or_else(|| Err(GitError::InvalidRevision { revision: revision.to_owned() }))
    }
}

// === impl Repository ===

impl Repository {
    fn known(&self, revision: &str, not_before: Option<Instant>) -> Option<Result<CommitId, GitError>> {
        let state = self.state();
        let tip = state.tips.get(revision)?;
        not_before.is_none_or(|earliest| tip.asked >= earliest).then(|| tip.outcome.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl State ===

impl State {
    fn unwant(&mut self, app: &str) {
        self.wanted.retain(|_, apps| {
            apps.remove(app);
            !apps.is_empty()
        });
        let wanted = &self.wanted;
        self.tips.retain(|revision, _| wanted.contains_key(revision));
    }

    /// Takes in the answer of a listing, and tells whom it concerns.
    fn learn(
        &mut self,
        revisions: &[String],
        answer: &Result<Vec<Result<CommitId, GitError>>, GitError>,
        asked: Instant,
    ) -> BTreeSet<Arc<str>> {
        self.failures = if answer.is_err() { self.failures.saturating_add(1) } else { 0 };
        let mut concerned = BTreeSet::new();
        for (at, revision) in revisions.iter().enumerate() {
            if !self.wanted.contains_key(revision) {
                // Nobody wants it any more, so nobody would keep it up to date.
                continue;
            }
            let outcome = match answer {
                Ok(outcomes) => outcomes
                    .get(at)
                    .cloned()
                    .unwrap_or_else(|| Err(GitError::InvalidRevision { revision: revision.clone() })),
                Err(error) => Err(error.clone()),
            };
            let known = self.tips.get(revision).map(|tip| &tip.outcome);
            if answer.is_err() && self.failures < FAILURES_MAX && known.is_some_and(Result::is_ok) {
                continue;
            }
            if known != Some(&outcome) {
                concerned.extend(self.wanted.get(revision).into_iter().flatten().cloned());
            }
            self.tips.insert(revision.clone(), Tip { outcome, asked });
        }
        concerned
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole between any two statements that change it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn failed() -> GitError {
        GitError::InvalidRevision { revision: "x".into() }
    }

    fn state() -> State {
        let mut state = State::default();
        state.wanted.entry("main".into()).or_default().insert("a".into());
        state
    }

    fn learn(state: &mut State, answer: Result<CommitId, GitError>) -> Vec<String> {
        let answer = answer.map(|id| vec![Ok(id)]);
        state.learn(&["main".into()], &answer, Instant::now()).iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn wakes_when_the_tip_moves_and_only_then() {
        let mut state = state();
        assert_eq!(learn(&mut state, Ok(commit('1'))), ["a"]);
        assert!(learn(&mut state, Ok(commit('1'))).is_empty());
        assert_eq!(learn(&mut state, Ok(commit('2'))), ["a"]);
    }

    #[tokio::test]
    async fn one_lost_answer_is_no_news_and_the_second_is() {
        let mut state = state();
        learn(&mut state, Ok(commit('1')));
        assert!(learn(&mut state, Err(failed())).is_empty());
        assert_eq!(state.tips["main"].outcome, Ok(commit('1')));
        assert_eq!(learn(&mut state, Err(failed())), ["a"]);
        assert!(learn(&mut state, Err(failed())).is_empty());
        assert_eq!(learn(&mut state, Ok(commit('1'))), ["a"]);
    }

    #[tokio::test]
    async fn an_error_is_told_at_once_where_nothing_is_known() {
        assert_eq!(learn(&mut state(), Err(failed())), ["a"]);
    }
}
