//! Where the revisions of repositories are now.
//!
//! One listing of refs per repository, login and interval, whoever asks and for however many revisions; an application is
//! woken when the tip of one of its revisions moved, or when asking began or ceased to fail. Entry point: [`Repositories::tips`].

mod polling;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use trueup_api::{App, SourceKind};
use trueup_git::{Access, GitError, RepoUrl, Resolved, Store, Stores};

use crate::logins::Logins;
use crate::queue::Queue;
use crate::repositories::polling::{Polling, Refused, Rhythm};
use crate::webhook::{Push, place};
use crate::world::lock;

/// So many listings in a row may fail for a passing reason before a tip that is known counts as unknown: one lost
/// answer is no reason to call hundreds of applications unknown.
const FAILURES_MAX: u32 = 2;

/// How often a repository that is not polled is looked at, whether anybody still wants it.
const UNPOLLED_PAUSE: Duration = Duration::from_hours(1);

/// All repositories that applications name.
pub(crate) struct Repositories {
    stores: Stores,
    logins: Arc<Logins>,
    /// The interval that a flag sets.
    resync: Option<Duration>,
    rhythm: Mutex<Rhythm>,
    queue: Queue,
    known: Mutex<HashMap<Key, Arc<Repository>>>,
    /// What each application asked for last, for each of its sources.
    asked: Mutex<HashMap<Arc<str>, Vec<Arc<Asked>>>>,
}

/// A repository, and how it is reached: what one login may read is never shown to another.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    url: RepoUrl,
    access: Arc<Access>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Few logins go to one repository; keys and bundles of certificates are long.
        self.url.hash(state);
    }
}

/// What an application asks for.
#[derive(Clone, PartialEq, Eq)]
struct Asked {
    url: RepoUrl,
    project: String,
    revision: String,
    /// As it was then.
    access: Result<Arc<Access>, GitError>,
}

struct Repository {
    store: Arc<Store>,
    /// Where it is, as webhooks tell it.
    place: Option<String>,
    state: Mutex<State>,
    /// Tells its poller that it may be due earlier.
    woken: Notify,
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
    /// Why the last listing failed, and when it began.
    failed: Option<(GitError, Instant)>,
    polling: Polling,
}

struct Tip {
    outcome: Result<Resolved, GitError>,
    /// When the listing that told it began.
    asked: Instant,
}

// === impl Repositories ===

impl Repositories {
    pub(crate) fn new(stores: Stores, logins: Arc<Logins>, resync: Option<Duration>, queue: Queue) -> Self {
        let rhythm = Mutex::new(Rhythm::read(&BTreeMap::new(), resync));
        Self { stores, logins, resync, rhythm, queue, known: Mutex::default(), asked: Mutex::default() }
    }

    /// Takes what the settings in `argocd-cm` say.
    pub(crate) fn set_settings(&self, settings: &BTreeMap<String, String>) {
        let rhythm = Rhythm::read(settings, self.resync);
        if std::mem::replace(&mut *lock(&self.rhythm), rhythm) != rhythm {
            tracing::info!(interval = ?rhythm.interval, jitter = ?rhythm.jitter, "how often repositories are listed");
            for repository in lock(&self.known).values() {
                repository.woken.notify_one();
            }
        }
    }

    /// Lists the repositories in which something was pushed, as soon as that may be; answers the URLs of those that are known,
    /// without credentials.
    pub(crate) fn pushed(&self, push: &Push) -> BTreeSet<String> {
        let now = Instant::now();
        let mut urls = BTreeSet::new();
        for (key, repository) in lock(&self.known).iter() {
            if !repository.place.as_ref().is_some_and(|place| push.is_at(place)) {
                continue;
            }
            urls.insert(key.url.normalised());
            let mut state = repository.state();
            if state.is_concerned(push) {
                state.polling.pushed(now);
                repository.woken.notify_one();
            }
        }
        urls
    }

    /// What was asked of all servers so far.
    pub(crate) fn counters(&self) -> trueup_git::Counters {
        self.stores.counters()
    }

    /// What was asked of each server so far, by the repository's URL without credentials.
    pub(crate) fn counters_by_url(&self) -> Vec<(String, trueup_git::Counters)> {
        lock(&self.known).iter().map(|(key, repository)| (key.url.normalised(), repository.store.counters())).collect()
    }

    /// The stores, and the commits that the target revisions of an application's sources in Git are at. What is known is
    /// answered at once, unless a listing not older than `not_before` is demanded.
    pub(crate) async fn tips(
        self: &Arc<Self>,
        app: &str,
        spec: &App,
        not_before: Option<Instant>,
    ) -> Result<Vec<(Arc<Store>, Resolved)>, GitError> {
        let mut tips = Vec::new();
        for (repository, asked) in self.want(app, spec)? {
            let outcome = match repository.known(&asked.revision, not_before) {
                Some(outcome) => outcome,
                None => self.list(&repository, &asked.revision, not_before).await,
            };
            let tip = outcome.map_err(|error| self.logins.explained(error))?;
            tips.push((Arc::clone(&repository.store), tip));
        }
        Ok(tips)
    }

    /// The tip that is known of what an application asked for last, without asking; `None` if it asked for something else.
    pub(crate) fn known_tip(&self, app: &str, url: &str, revision: &str) -> Option<Resolved> {
        let url = RepoUrl::parse(url).ok()?;
        let asked = lock(&self.asked);
        let mut asked = asked.get(app)?.iter();
        let key = asked.find(|asked| asked.url == url && asked.revision == revision)?.key()?;
        let repository = lock(&self.known).get(&key).cloned()?;
        repository.known(revision, None)?.ok()
    }

    /// The store of a repository, for commits that are known already.
    pub(crate) fn store(self: &Arc<Self>, url: &str, project: &str) -> Result<Arc<Store>, GitError> {
        let url = RepoUrl::parse(url)?;
        let _opened = self.open(&url, project);
        let access = self.logins.access(&url, project)?;
        Ok(Arc::clone(&self.repository(&mut lock(&self.known), &Key { url, access })?.store))
    }

    /// The commit that a revision is at now, for once: nobody is woken when it moves.
    pub(crate) async fn resolve(self: &Arc<Self>, store: &Store, revision: &str) -> Result<Resolved, GitError> {
        let outcomes = store.look_up(&[revision.to_owned()]).await;
        let outcomes = outcomes.map_err(|error| self.logins.explained(error))?;
        let unknown = || Err(GitError::InvalidRevision { revision: revision.to_owned() });
        outcomes.into_iter().next().unwrap_or_else(unknown)
    }

    /// Wakes the applications that reach their repository in another way now.
    pub(crate) fn logins_changed(&self) {
        // Not under the lock: everybody who works on an application waits for it.
        let asked: Vec<_> = lock(&self.asked).iter().map(|(app, asked)| (Arc::clone(app), asked.clone())).collect();
        for (app, asked) in asked {
            if asked.iter().any(|asked| self.logins.access(&asked.url, &asked.project) != asked.access) {
                self.queue.wake(&app);
            }
        }
    }

    /// Lets go of the clones of all repositories that no application asks for. Blocks.
    pub(crate) fn keep_wanted(&self) {
        let known: Vec<Key> = lock(&self.known).keys().cloned().collect();
        let wanted: Vec<_> = known.into_iter().map(|key| (key.url, Access::clone(&key.access))).collect();
        self.stores.keep_only(&wanted);
    }

    /// An application that is no more wants no revision.
    pub(crate) fn forget(&self, app: &str) {
        for asked in lock(&self.asked).remove(app).into_iter().flatten() {
            unwant(&lock(&self.known), app, &asked);
        }
    }

    /// Notes what an application asks for, and that it no longer asks for anything else.
    #[expect(clippy::type_complexity, reason = "what is asked for, and where it is asked")]
    fn want(self: &Arc<Self>, app: &str, spec: &App) -> Result<Vec<(Arc<Repository>, Arc<Asked>)>, GitError> {
        let mut wishes = Vec::new();
        for source in spec.sources.iter().filter(|source| source.kind == SourceKind::Git) {
            wishes.push((RepoUrl::parse(&source.repo_url)?, source.target_revision.clone()));
        }
        let _opened: Vec<_> = wishes.iter().map(|(url, _)| self.open(url, &spec.project)).collect();
        // Held throughout: a login that changes after this look finds what was asked, and wakes the application.
        let mut asked = lock(&self.asked);
        let wishes = wishes.into_iter().map(|(url, revision)| {
            let access = self.logins.access(&url, &spec.project);
            Arc::new(Asked { url, project: spec.project.clone(), revision, access })
        });
        let wishes: Vec<Arc<Asked>> = wishes.collect();
        // Both: between the two the poller must not find that nobody wants the repository.
        let mut known = lock(&self.known);
        let old = asked.get(app).cloned().unwrap_or_default();
        for gone in old.iter().filter(|old| !wishes.contains(old)) {
            unwant(&known, app, gone);
        }
        if old != wishes {
            asked.insert(app.into(), wishes.clone());
        }
        let mut wanted = Vec::with_capacity(wishes.len());
        for wish in wishes {
            let key = Key { url: wish.url.clone(), access: wish.access.clone()? };
            let repository = self.repository(&mut known, &key)?;
            repository.state().wanted.entry(wish.revision.clone()).or_default().insert(app.into());
            wanted.push((repository, wish));
        }
        Ok(wanted)
    }

    /// Opens the store of a repository that is not known yet. That reads the disk, which nobody is to wait for under a lock;
    /// while the store is held it is found again in memory. An error is met again by who asks for the repository.
    fn open(&self, url: &RepoUrl, project: &str) -> Option<Arc<Store>> {
        let key = Key { url: url.clone(), access: self.logins.access(url, project).ok()? };
        if lock(&self.known).contains_key(&key) {
            return None;
        }
        self.stores.store(&key.url, &key.access).ok()
    }

    fn repository(
        self: &Arc<Self>,
        known: &mut HashMap<Key, Arc<Repository>>,
        key: &Key,
    ) -> Result<Arc<Repository>, GitError> {
        if let Some(repository) = known.get(key) {
            return Ok(Arc::clone(repository));
        }
        let store = self.stores.store(&key.url, &key.access)?;
        let repository = Arc::new(Repository {
            place: place(&store.url().to_string()),
            store,
            state: Mutex::default(),
            woken: Notify::new(),
            listing: tokio::sync::Mutex::default(),
        });
        known.insert(key.clone(), Arc::clone(&repository));
        tokio::spawn(Arc::clone(self).poll(key.clone(), Arc::clone(&repository)));
        Ok(repository)
    }

    /// Lists when it is due, until nobody wants a revision of the repository any more.
    async fn poll(self: Arc<Self>, key: Key, repository: Arc<Repository>) {
        loop {
            let due = self.due(&repository);
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(|| Instant::now() + UNPOLLED_PAUSE)) => {}
                () = repository.woken.notified() => continue,
            }
            if repository.state().wanted.is_empty() {
                let mut known = lock(&self.known);
                // Looked at again under the lock: an application may have come in between.
                if repository.state().wanted.is_empty() {
                    known.remove(&key);
                    return;
                }
                continue;
            }
            // Another listing may have come first.
            if self.due(&repository).is_some_and(|due| due <= Instant::now()) {
                let _ = self.list(&repository, "", Some(Instant::now())).await;
            }
        }
    }

    fn due(&self, repository: &Repository) -> Option<Instant> {
        let rhythm = *lock(&self.rhythm);
        repository.state().due(rhythm)
    }

    /// Lists all revisions that are wanted. Who comes while a listing that is new enough is under way shares it.
    async fn list(
        &self,
        repository: &Repository,
        revision: &str,
        not_before: Option<Instant>,
    ) -> Result<Resolved, GitError> {
        let _guard = repository.listing.lock().await;
        if let Some(outcome) = repository.known(revision, not_before) {
            return outcome;
        }
        let asked = Instant::now();
        let revisions: Vec<String> = {
            let mut state = repository.state();
            state.polling.began(asked);
            state.wanted.keys().cloned().collect()
        };
        let answer = repository.store.look_up(&revisions).await;
        if let Err(error) = &answer {
            tracing::warn!(repository = %repository.store.url(), %error, "the refs cannot be listed");
        }
        let mut state = repository.state();
        for app in state.learn(&revisions, &answer, asked) {
            self.queue.wake(&app);
        }
        // Only the poller asks for no revision of its own, and does not look at the answer.
        let unknown = || Err(GitError::InvalidRevision { revision: revision.to_owned() });
        state.known(revision, not_before).unwrap_or_else(unknown)
    }
}

fn unwant(known: &HashMap<Key, Arc<Repository>>, app: &str, gone: &Asked) {
    if let Some(repository) = gone.key().and_then(|key| known.get(&key)) {
        repository.state().unwant(app, &gone.revision);
    }
}

// === impl Asked ===

impl Asked {
    fn key(&self) -> Option<Key> {
        Some(Key { url: self.url.clone(), access: self.access.clone().ok()? })
    }
}

// === impl Repository ===

impl Repository {
    fn known(&self, revision: &str, not_before: Option<Instant>) -> Option<Result<Resolved, GitError>> {
        self.state().known(revision, not_before)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl State ===

impl State {
    /// When the next listing is due.
    fn due(&self, rhythm: Rhythm) -> Option<Instant> {
        let patience = self.failed.as_ref().and_then(|(error, _)| error.patience());
        self.polling.due(rhythm, Refused { times: self.failures, patience })
    }

    /// Whether a push may change what is known; it may always mend what failed.
    fn is_concerned(&self, push: &Push) -> bool {
        let settled = |revision: &String| self.tips.get(revision).is_some_and(|tip| tip.outcome.is_ok());
        self.wanted.keys().any(|revision| push.concerns(revision) || !settled(revision))
    }

    /// What is known of a revision. Who demands a listing gets the answer of that one, be it an error: a tip from before may be
    /// the very commit that the demand is to get beyond.
    fn known(&self, revision: &str, not_before: Option<Instant>) -> Option<Result<Resolved, GitError>> {
        let Some(earliest) = not_before else {
            return self.tips.get(revision).map(|tip| tip.outcome.clone());
        };
        match &self.failed {
            Some((error, asked)) if *asked >= earliest => Some(Err(error.clone())),
            _ => self.tips.get(revision).filter(|tip| tip.asked >= earliest).map(|tip| tip.outcome.clone()),
        }
    }

    fn unwant(&mut self, app: &str, revision: &str) {
        let Some(apps) = self.wanted.get_mut(revision) else { return };
        apps.remove(app);
        if apps.is_empty() {
            self.wanted.remove(revision);
            self.tips.remove(revision);
        }
    }

    /// Takes in the answer of a listing, and tells whom it concerns.
    fn learn(
        &mut self,
        revisions: &[String],
        answer: &Result<Vec<Result<Resolved, GitError>>, GitError>,
        asked: Instant,
    ) -> BTreeSet<Arc<str>> {
        self.failures = if answer.is_err() { self.failures.saturating_add(1) } else { 0 };
        self.failed = answer.as_ref().err().map(|error| (error.clone(), asked));
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
            let passes = answer.as_ref().is_err_and(may_pass) && self.failures < FAILURES_MAX;
            if passes && known.is_some_and(Result::is_ok) {
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

/// Whether an error may be gone by the next listing. Who refuses our login goes on doing so, and what it showed us before is
/// not ours to see any more.
fn may_pass(error: &GitError) -> bool {
    !matches!(
        error,
        GitError::Unauthorized { .. }
            | GitError::Forbidden { .. }
            | GitError::KeyRefused { .. }
            | GitError::Login { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> Resolved {
        digit.to_string().repeat(40).parse::<trueup_git::CommitId>().unwrap().into()
    }

    fn failed() -> GitError {
        GitError::InvalidRevision { revision: "x".into() }
    }

    fn state() -> State {
        let mut state = State::default();
        state.wanted.entry("main".into()).or_default().insert("a".into());
        state
    }

    fn learn(state: &mut State, answer: Result<Resolved, GitError>) -> Vec<String> {
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
    async fn a_refused_login_is_news_at_once() {
        let repository = || "https://h/a".to_owned();
        for error in [
            GitError::Unauthorized { repository: repository() },
            GitError::Forbidden { repository: repository() },
            GitError::KeyRefused { repository: repository(), user: "git".into(), key: "k".into() },
            GitError::Login { repository: repository(), detail: "d".into() },
        ] {
            let mut state = state();
            learn(&mut state, Ok(commit('1')));
            assert_eq!(learn(&mut state, Err(error.clone())), ["a"]);
            assert_eq!(state.known("main", None), Some(Err(error)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_demands_a_listing_is_answered_by_that_one() {
        let mut state = state();
        learn(&mut state, Ok(commit('1')));
        tokio::time::advance(Duration::from_secs(1)).await;
        let pushed = Instant::now();
        assert_eq!(state.known("main", Some(pushed)), None, "a listing from before says nothing");
        learn(&mut state, Err(failed()));
        assert_eq!(state.known("main", Some(pushed)), Some(Err(failed())));
        assert_eq!(
            state.known("main", None),
            Some(Ok(commit('1'))),
            "who demands nothing is not troubled by one failure"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(state.known("main", Some(Instant::now())), None, "the next demand is asked anew");
        learn(&mut state, Ok(commit('2')));
        assert_eq!(state.known("main", Some(pushed)), Some(Ok(commit('2'))));
    }

    #[tokio::test]
    async fn an_error_is_told_at_once_where_nothing_is_known() {
        assert_eq!(learn(&mut state(), Err(failed())), ["a"]);
    }
}
