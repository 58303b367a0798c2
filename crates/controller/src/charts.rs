//! At which versions the charts and artifacts of applications are now.
//!
//! What is asked for as a range or a tag is asked again at every interval; a version that is named is what it is. Invariant: an
//! application is woken when one of its versions moved, or when asking began or ceased to fail. Entry point: [`Charts::tips`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trueup_api::{App, Source, SourceKind};
use trueup_registry::{Package, Registry, RegistryError, Resolved};

use crate::logins::Logins;
use crate::pins::{self, PinError};
use crate::queue::Queue;
use crate::world::lock;

/// So many questions in a row may fail before what is known counts as unknown: one lost answer is no reason to call hundreds
/// of applications unknown.
const FAILURES_MAX: u32 = 2;

/// All charts and artifacts that applications name.
pub(crate) struct Charts {
    registry: Arc<Registry>,
    resync: Duration,
    queue: Queue,
    known: Mutex<HashMap<Wish, Arc<Followed>>>,
    /// What each application asked for last.
    asked: Mutex<HashMap<Arc<str>, Vec<Wish>>>,
}

/// What is asked for, and in which version.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wish {
    package: Package,
    wanted: String,
}

#[derive(Default)]
struct Followed {
    state: Mutex<State>,
    /// Held while a question is under way.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    apps: BTreeSet<Arc<str>>,
    /// What was answered, and when the question was put.
    answer: Option<(Result<Resolved, RegistryError>, Instant)>,
    /// Questions that failed in a row.
    failures: u32,
}

// === impl Charts ===

impl Charts {
    pub(crate) fn new(registry: Arc<Registry>, resync: Duration, queue: Queue) -> Self {
        Self { registry, resync, queue, known: Mutex::default(), asked: Mutex::default() }
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The charts and artifacts of an application, and what their target revisions are at. What is known is answered at once,
    /// unless an answer not older than `not_before` is demanded.
    pub(crate) async fn tips(
        self: &Arc<Self>,
        logins: &Logins,
        app: &str,
        spec: &App,
        not_before: Option<Instant>,
    ) -> Result<Vec<(Package, Resolved)>, PinError> {
        let mut wishes = Vec::new();
        for source in spec.sources.iter().filter(|source| source.kind != SourceKind::Git) {
            wishes.push(wish(logins, spec, source)?);
        }
        let mut tips = Vec::new();
        for (wish, followed) in self.want(app, wishes) {
            let known = followed.known(not_before);
            let outcome = match known {
                Some(outcome) => outcome,
                None => self.ask(&wish, &followed, not_before.unwrap_or_else(Instant::now)).await,
            };
            tips.push((wish.package, outcome?));
        }
        Ok(tips)
    }

    /// The version that is known of a source, without asking.
    pub(crate) fn known_tip(&self, logins: &Logins, spec: &App, source: &Source) -> Option<String> {
        let followed = lock(&self.known).get(&wish(logins, spec, source).ok()?).cloned()?;
        followed.known(None)?.ok().map(|resolved| resolved.version)
    }

    /// Wakes the applications that have charts or artifacts: they may be reached in another way now.
    pub(crate) fn logins_changed(&self) {
        let apps: Vec<Arc<str>> = lock(&self.asked).keys().cloned().collect();
        for app in &apps {
            self.queue.wake(app);
        }
    }

    /// An application that is no more wants nothing.
    pub(crate) fn forget(&self, app: &str) {
        self.want_of(app, &[]);
    }

    /// Lets go of everything that no application asks for. Blocks.
    pub(crate) fn keep_wanted(&self) {
        let wanted: Vec<Package> = lock(&self.known).keys().map(|wish| wish.package.clone()).collect();
        self.registry.keep_only(&wanted);
    }

    /// Notes what an application asks for, and that it no longer asks for anything else.
    fn want(self: &Arc<Self>, app: &str, wishes: Vec<Wish>) -> Vec<(Wish, Arc<Followed>)> {
        self.want_of(app, &wishes);
        let mut known = lock(&self.known);
        let follow = |wish: Wish| {
            let followed = known.entry(wish.clone()).or_insert_with(|| {
                let followed = Arc::<Followed>::default();
                tokio::spawn(Arc::clone(self).poll(wish.clone(), Arc::clone(&followed)));
                followed
            });
            lock(&followed.state).apps.insert(app.into());
            (wish, Arc::clone(followed))
        };
        wishes.into_iter().map(follow).collect()
    }

    fn want_of(&self, app: &str, wishes: &[Wish]) {
        let mut asked = lock(&self.asked);
        let old = if wishes.is_empty() { asked.remove(app) } else { asked.insert(app.into(), wishes.to_vec()) };
        let known = lock(&self.known);
        for gone in old.into_iter().flatten().filter(|old| !wishes.contains(old)) {
            if let Some(followed) = known.get(&gone) {
                lock(&followed.state).apps.remove(app);
            }
        }
    }

    /// Asks at every interval, until nobody wants to know any more. What was named exactly is not asked again.
    async fn poll(self: Arc<Self>, wish: Wish, followed: Arc<Followed>) {
        loop {
            sleep(self.resync).await;
            {
                let mut known = lock(&self.known);
                let state = lock(&followed.state);
                if state.apps.is_empty() {
                    known.remove(&wish);
                    return;
                }
                if state.is_settled(&wish.wanted) {
                    continue;
                }
            }
            // Charts of one repository are asked for at about the same time, and share an index.
            let since = Instant::now().checked_sub(self.resync / 2).unwrap_or_else(Instant::now);
            let _ = self.ask(&wish, &followed, since).await;
        }
    }

    /// Asks. Who comes while a question that is new enough is under way shares it.
    async fn ask(&self, wish: &Wish, followed: &Followed, since: Instant) -> Result<Resolved, RegistryError> {
        let _guard = followed.asking.lock().await;
        if let Some(outcome) = followed.known(Some(since)) {
            return outcome;
        }
        let begun = Instant::now();
        let answer = self.registry.resolve(&wish.package, &wish.wanted, since.into_std()).await;
        if let Err(error) = &answer {
            tracing::warn!(package = %wish.package, wanted = %wish.wanted, %error, "a version cannot be looked up");
        }
        let concerned = lock(&followed.state).learn(answer.clone(), begun);
        for app in concerned {
            self.queue.wake(&app);
        }
        answer
    }
}

fn wish(logins: &Logins, spec: &App, source: &Source) -> Result<Wish, PinError> {
    let package = pins::package(source, &logins.registry_access(&source.repo_url, &spec.project)?)?;
    Ok(Wish { package, wanted: source.target_revision.clone() })
}

// === impl Followed ===

impl Followed {
    fn known(&self, not_before: Option<Instant>) -> Option<Result<Resolved, RegistryError>> {
        let state = lock(&self.state);
        let (answer, asked) = state.answer.as_ref()?;
        not_before.is_none_or(|earliest| *asked >= earliest).then(|| answer.clone())
    }
}

// === impl State ===

impl State {
    /// Whether the answer is what was asked for: then it will be tomorrow.
    fn is_settled(&self, wanted: &str) -> bool {
        self.answer.as_ref().is_some_and(|(answer, _)| answer.as_ref().is_ok_and(|resolved| resolved.version == wanted))
    }

    /// Takes in an answer, and tells whom it concerns.
    fn learn(&mut self, answer: Result<Resolved, RegistryError>, asked: Instant) -> BTreeSet<Arc<str>> {
        self.failures = if answer.is_err() { self.failures.saturating_add(1) } else { 0 };
        let known = self.answer.as_ref().map(|(answer, _)| answer);
        if answer.is_err() && self.failures < FAILURES_MAX && known.is_some_and(Result::is_ok) {
            return BTreeSet::new();
        }
        let concerned = if known == Some(&answer) { BTreeSet::new() } else { self.apps.clone() };
        self.answer = Some((answer, asked));
        concerned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: &str) -> Resolved {
        Resolved { version: version.to_owned(), digest: None }
    }

    fn failed() -> RegistryError {
        RegistryError::InvalidName { text: "x".to_owned(), reason: "y".to_owned() }
    }

    #[tokio::test]
    async fn wakes_when_the_version_moves_or_a_second_answer_is_lost() {
        let mut state = State { apps: BTreeSet::from(["a".into()]), ..State::default() };
        let mut learn = |answer| state.learn(answer, Instant::now()).len();
        assert_eq!(learn(Ok(at("1.0.0"))), 1);
        assert_eq!(learn(Ok(at("1.0.0"))), 0);
        assert_eq!(learn(Ok(at("1.1.0"))), 1);
        assert_eq!(learn(Err(failed())), 0);
        assert_eq!(learn(Err(failed())), 1);
        assert_eq!(learn(Err(failed())), 0);
        assert_eq!(learn(Ok(at("1.1.0"))), 1);
        assert!(state.is_settled("1.1.0") && !state.is_settled("1.x"));
    }
}
