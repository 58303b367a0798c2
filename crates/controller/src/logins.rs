//! The logins of repositories, as the API server last told us: Secrets of our namespace and two ConfigMaps beside them.
//!
//! Kept: of each Secret what it says, in types that do not show it. Invariant: who may not list Secrets is told so at each
//! repository that asks for a login, and all others go on. Entry points: [`Logins::access`], and [`credentials`] for whoever
//! looks once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};
use trueup_cluster::{Cluster, ClusterError, Kind, Raw};
use trueup_git::{
    Access, Credentials, GitError, REPOSITORY_SECRETS, RegistryAccess, RepoUrl, RepositorySecret, SSH_KNOWN_HOSTS,
    TLS_CERTS, Trust,
};
use trueup_object::{Gvk, Node};

use crate::sightings::{Sighting, Sightings};
use crate::world::World;

/// How long a first listing may fail before work begins without it: as long as an API server takes to start, not longer, since
/// what has no login does not depend on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many answers are kept: more repositories than one controller has. Those of applications that are gone leave with the rest.
const ANSWERS_MAX: usize = 20_000;

/// All logins.
#[derive(Default)]
pub(crate) struct Logins(RwLock<State>);

#[derive(Default)]
struct State {
    /// By name.
    secrets: BTreeMap<String, Arc<RepositorySecret>>,
    trust: Trust,
    /// Made of the two.
    answers: Arc<Answers>,
    /// Why the Secrets are not known.
    unlisted: Option<String>,
    /// Half of the first listing of Secrets has been told: no logins are made of that.
    half: bool,
}

/// What the Secrets say, and what was made of it for each repository and project: every reconcile asks.
#[derive(Default)]
struct Answers {
    credentials: Credentials,
    /// By project.
    known: Mutex<HashMap<String, HashMap<RepoUrl, Answer>>>,
}

type Answer = Result<Arc<Access>, GitError>;

// === impl Answers ===

impl Answers {
    fn access(&self, url: &RepoUrl, project: &str) -> Answer {
        if let Some(answer) = self.known().get(project).and_then(|known| known.get(url)) {
            return answer.clone();
        }
        let answer = self.credentials.access(url, project).map(Arc::new);
        let mut known = self.known();
        if known.values().map(HashMap::len).sum::<usize>() >= ANSWERS_MAX {
            known.clear();
        }
        known.entry(project.to_owned()).or_default().insert(url.clone(), answer.clone());
        answer
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, HashMap<RepoUrl, Answer>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Logins ===

impl Logins {
    /// How an application of a project reaches a repository.
    pub(crate) fn access(&self, url: &RepoUrl, project: &str) -> Result<Arc<Access>, GitError> {
        let answers = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).answers);
        answers.access(url, project)
    }

    /// How an application of a project reaches a Helm repository or a registry.
    pub(crate) fn registry_access(&self, url: &str, project: &str) -> Result<RegistryAccess, GitError> {
        let answers = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).answers);
        answers.credentials.registry_access(url, project)
    }

    /// An error of a repository, with what we know of its cause.
    pub(crate) fn explained(&self, error: GitError) -> GitError {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match (error, &state.unlisted) {
            (
                GitError::Unauthorized { repository }
                | GitError::Forbidden { repository }
                | GitError::KeyRefused { repository, .. }
                | GitError::Login { repository, .. }
                | GitError::RepositoryNotFound { repository },
                Some(why),
            ) => GitError::Login {
                repository,
                detail: format!(
                    "the Secrets that may hold one cannot be listed: {why}; the controller needs list and watch of Secrets \
                     in its namespace"
                ),
            },
            (error, _) => error,
        }
    }

    /// Changes what is known, which counts from [`Logins::settle`] on.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes that the Secrets cannot be watched. What was known of them counts, unless nothing new will be known: a refusal does
    /// not pass by itself.
    fn failed(&self, error: &ClusterError, complete: bool) {
        if !complete || matches!(error, ClusterError::Forbidden { .. }) {
            self.change(|state| state.unlisted = Some(why(error)));
        }
    }

    /// Notes that all Secrets have been told.
    fn complete(&self) {
        self.change(|state| (state.unlisted, state.half) = (None, false));
    }

    /// Makes logins of what is known; answers whether any is another now. Half a listing of Secrets is no reason to change any.
    fn settle(&self) -> bool {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if state.half {
            return false;
        }
        let credentials = Credentials::new(state.secrets.values().cloned(), &state.trust);
        if state.answers.credentials == credentials {
            return false;
        }
        state.answers = Arc::new(Answers { credentials, known: Mutex::default() });
        true
    }
}

/// What there is of logins just now, for whoever looks once; and what is wrong with single Secrets.
pub async fn credentials(cluster: &Cluster, namespace: &str) -> Result<(Credentials, Vec<String>), ClusterError> {
    let mut problems = Vec::new();
    let mut secrets = Vec::new();
    for raw in cluster.list_raw(&secret_kind(), Some(namespace), Some(REPOSITORY_SECRETS)).await? {
        match RepositorySecret::read(raw.json.get().as_bytes()) {
            Ok(secret) => secrets.extend(secret.map(Arc::new)),
            Err(problem) => problems.push(problem),
        }
    }
    let mut trust = Trust::default();
    for (name, data) in [(TLS_CERTS, &mut trust.tls_certs), (SSH_KNOWN_HOSTS, &mut trust.known_hosts)] {
        match cluster.get_raw(&config_map_kind(), namespace, name).await {
            Ok(Some(json)) => *data = data_of(&json),
            Ok(None) => {}
            Err(error) => problems.push(format!("ConfigMap '{name}' cannot be read: {error}")),
        }
    }
    Ok((Credentials::new(secrets, &trust), problems))
}

/// Starts the watches. They end with `tasks`.
pub(crate) fn start(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    tasks.spawn(secrets(Arc::clone(world)));
    for name in [TLS_CERTS, SSH_KNOWN_HOSTS] {
        tasks.spawn(config_map(Arc::clone(world), name));
    }
}

/// A first listing that work waits for, until it has come or is no longer waited for.
pub(crate) struct First {
    waiting: bool,
    failing_since: Option<Instant>,
}

// === impl First ===

impl First {
    pub(crate) fn new() -> Self {
        Self { waiting: true, failing_since: None }
    }

    /// Answers whether work may begin now.
    pub(crate) fn complete(&mut self) -> bool {
        std::mem::take(&mut self.waiting)
    }

    /// Answers whether work may begin without it now: a refusal does not pass by itself.
    pub(crate) fn failed(&mut self, error: &ClusterError) -> bool {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let hopeless = matches!(error, ClusterError::Forbidden { .. }) || since.elapsed() >= PATIENCE;
        hopeless && std::mem::take(&mut self.waiting)
    }
}

async fn secrets(world: Arc<World>) {
    let mut sightings = Sightings::of(&world.cluster, &secret_kind(), Some(&world.namespace), Some(REPOSITORY_SECRETS));
    let (mut first, mut told) = (First::new(), None);
    while let Some(sighting) = sightings.next().await {
        let mut begin = false;
        match sighting {
            Sighting::Here(raw) => {
                let secret = read(&raw);
                let half = !sightings.complete();
                world.logins.change(|state| {
                    state.half = half;
                    match secret {
                        Some(secret) => state.secrets.insert(raw.name.clone(), Arc::new(secret)),
                        None => state.secrets.remove(&raw.name),
                    };
                });
            }
            Sighting::Gone(gone) => world.logins.change(|state| drop(state.secrets.remove(&gone.name))),
            Sighting::Complete { .. } => {
                told = None;
                world.logins.complete();
                begin = first.complete();
            }
            Sighting::Failed(error) => {
                begin = first.failed(&error);
                world.logins.failed(&error, sightings.complete());
                let why = why(&error);
                if told.as_ref() != Some(&why) {
                    tracing::warn!(
                        error = why,
                        "the Secrets of repositories cannot be watched: nothing new is known of logins"
                    );
                }
                told = Some(why);
            }
        }
        if world.logins.settle() {
            world.repositories.logins_changed();
            world.charts.logins_changed();
        }
        if begin {
            world.listed.one_more();
        }
    }
}

/// The error of a listing in words that fit what is missing.
pub(crate) fn why(error: &ClusterError) -> String {
    match error {
        ClusterError::Forbidden { message } => message.clone(),
        error => error.to_string(),
    }
}

/// What a Secret says, with one word in the log where something is wrong with it.
fn read(raw: &Raw) -> Option<RepositorySecret> {
    match RepositorySecret::read(raw.json.get().as_bytes()) {
        Ok(Some(secret)) => {
            for problem in secret.problem.iter().chain(&secret.oddities) {
                tracing::warn!(secret = %secret.secret, repository = %secret.url, %problem, "a Secret of a repository is not as it should be");
            }
            Some(secret)
        }
        Ok(None) => None,
        Err(problem) => {
            tracing::warn!(secret = %raw.name, %problem, "a Secret of a repository cannot be read");
            None
        }
    }
}

async fn config_map(world: Arc<World>, name: &'static str) {
    let mut sightings = Sightings::one(&world.cluster, &config_map_kind(), &world.namespace, name);
    let (mut first, mut told) = (First::new(), None);
    let learn = |data: BTreeMap<String, String>| {
        world.logins.change(|state| match name {
            TLS_CERTS => state.trust.tls_certs = data,
            _ => state.trust.known_hosts = data,
        });
        if world.logins.settle() {
            world.repositories.logins_changed();
            world.charts.logins_changed();
        }
    };
    while let Some(sighting) = sightings.next().await {
        let mut begin = false;
        match sighting {
            Sighting::Here(raw) => learn(data_of(raw.json.get().as_bytes())),
            Sighting::Gone(_) => learn(BTreeMap::new()),
            Sighting::Complete { .. } => {
                told = None;
                begin = first.complete();
            }
            Sighting::Failed(error) => {
                begin = first.failed(&error);
                let why = why(&error);
                if told.as_ref() != Some(&why) {
                    tracing::warn!(config_map = name, error = why, "what servers are recognised by cannot be watched");
                }
                told = Some(why);
            }
        }
        if begin {
            world.listed.one_more();
        }
    }
}

/// The data of a ConfigMap; what is no text is left out.
pub(crate) fn data_of(json: &[u8]) -> BTreeMap<String, String> {
    let Ok(node) = Node::from_json(json) else { return BTreeMap::new() };
    let data = node.get("data").and_then(Node::as_map);
    let texts = data.into_iter().flat_map(trueup_object::Map::iter);
    texts.filter_map(|(key, value)| Some((key.to_string(), value.as_str()?.to_owned()))).collect()
}

pub(crate) fn secret_kind() -> Kind {
    core_kind("Secret", "secrets")
}

pub(crate) fn config_map_kind() -> Kind {
    core_kind("ConfigMap", "configmaps")
}

fn core_kind(kind: &str, plural: &str) -> Kind {
    let gvk = Gvk::from_api_version("v1", kind);
    Kind { gvk, plural: plural.to_owned(), namespaced: true, scale: false, status: false, watchable: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_config_map_is_text() {
        let json = br#"{"data":{"ssh_known_hosts":"lines","odd":7}}"#;
        assert_eq!(data_of(json), [("ssh_known_hosts".to_owned(), "lines".to_owned())].into());
        assert!(data_of(br#"{"data":null}"#).is_empty() && data_of(b"{}").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn work_waits_for_a_listing_that_fails_but_not_for_ever() {
        let broken = ClusterError::Unavailable { message: "etcd".into() };
        let mut first = First::new();
        assert!(!first.failed(&broken));
        tokio::time::advance(PATIENCE).await;
        assert!(first.failed(&broken));
        assert!(!first.failed(&broken) && !first.complete(), "work begins once");
        let refused = ClusterError::Forbidden { message: "no".into() };
        assert!(First::new().failed(&refused), "a refusal is not waited out");
        assert!(First::new().complete());
    }

    #[test]
    fn an_error_of_a_login_says_that_secrets_are_not_known() {
        let logins = Logins::default();
        let error = GitError::Unauthorized { repository: "https://h/a".into() };
        assert_eq!(logins.explained(error.clone()), error);
        logins.change(|state| state.unlisted = Some("forbidden".into()));
        let told = logins.explained(error).to_string();
        assert!(told.contains("cannot be listed: forbidden"), "{told}");
        let other = GitError::InvalidUrl { reason: "x".into() };
        assert_eq!(logins.explained(other.clone()), other);
    }

    #[test]
    fn a_permission_that_was_revoked_explains_a_refused_login() {
        let logins = Logins::default();
        let error = || GitError::Unauthorized { repository: "https://h/a".into() };
        logins.complete();
        logins.failed(&ClusterError::Unavailable { message: "etcd".into() }, true);
        assert_eq!(logins.explained(error()), error(), "what was known counts while the server is away");
        logins.failed(&ClusterError::Forbidden { message: "no permission".into() }, true);
        let told = logins.explained(error()).to_string();
        assert!(told.contains("cannot be listed: no permission"), "{told}");
        logins.complete();
        assert_eq!(logins.explained(error()), error());
    }

    #[test]
    fn half_a_listing_makes_no_login_whoever_asks() {
        let logins = Logins::default();
        logins.change(|state| {
            state.half = true;
            state.trust.tls_certs = BTreeMap::from([("h".to_owned(), "pem".to_owned())]);
        });
        assert!(!logins.settle(), "a ConfigMap does not settle it");
        logins.complete();
        assert!(logins.settle());
    }

    #[test]
    fn only_what_changes_a_login_is_a_change() {
        let logins = Logins::default();
        let trust = |value: &str| BTreeMap::from([("h".to_owned(), value.to_owned())]);
        for news in [true, false] {
            logins.change(|state| state.trust.tls_certs = trust("pem"));
            assert_eq!(logins.settle(), news);
        }
        let url = RepoUrl::parse("https://h/a").unwrap();
        let access = logins.access(&url, "p").unwrap();
        assert_eq!(&*access.tls.authorities, "pem");
        assert!(Arc::ptr_eq(&access, &logins.access(&url, "p").unwrap()), "it is made once");
        logins.change(|state| state.trust.tls_certs = trust("other"));
        assert!(logins.settle());
        assert_eq!(&*logins.access(&url, "p").unwrap().tls.authorities, "other");
    }

    #[test]
    fn what_is_kept_of_answers_has_a_bound() {
        let answers = Answers::default();
        for number in 0..=ANSWERS_MAX {
            let url = RepoUrl::parse(&format!("https://h/{number}")).unwrap();
            answers.access(&url, if number % 2 == 0 { "even" } else { "odd" }).unwrap();
        }
        assert_eq!(answers.known().values().map(HashMap::len).sum::<usize>(), 1);
    }
}
