//! Whether what is deployed from Git is signed as its project asks for.
//!
//! Kept: the keys of the ConfigMap `argocd-gpg-keys-cm`, and what signatures were found to be worth with just these keys.
//! Invariant: where keys cannot be read, or it is not clear whose count, nothing counts. Entry points: [`check`] before
//! anything of a commit is used, [`watch`] for the keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use trueup_api::{App, Project, SourceKind};
use trueup_cluster::ClusterError;
use trueup_git::{GitError, Keyring, Resolved, Store, Verdict};

use crate::loading::SourceError;
use crate::logins::{First, config_map_kind, data_of, why};
use crate::permission::shown;
use crate::pins::{Pin, PinError};
use crate::sightings::{Sighting, Sightings};
use crate::world::{World, lock};

/// The ConfigMap of the keys that may sign: each under its id.
const KEYS: &str = "argocd-gpg-keys-cm";
/// The entry with the SSH keys that may sign, a line each. No id of a key is called so, so that Argo CD passes over it.
const SSH_SIGNERS: &str = "trueup.ssh-signers";
/// A verdict counts for so long: meanwhile a key may expire. Until then a look at rest verifies nothing.
const VERDICT_LASTS: Duration = Duration::from_mins(10);
/// So many verdicts are kept: more than one controller has revisions in use. Past it they are made anew.
const VERDICTS_MAX: usize = 20_000;

/// The keys as they are now.
pub(crate) struct Signatures(RwLock<Arc<Ring>>);

/// The keys of one moment.
struct Ring {
    /// An error, if they cannot be read.
    keyring: Result<Keyring, String>,
    /// What was found with these keys, and when.
    verdicts: Mutex<HashMap<Resolved, (Instant, Verdict)>>,
}

/// Whether all sources in Git of an application are signed as its project asks for.
pub(crate) async fn check(world: &World, app: &App, pins: &[Pin]) -> Result<(), SourceError> {
    let project = world.projects.get(&app.project);
    let ring = world.signatures.ring();
    for (at, (source, pin)) in app.sources.iter().zip(pins).enumerate() {
        let Pin::Commit { store, commit, tag } = pin else { continue };
        let untrusted = |why| SourceError::Untrusted {
            of: app.several.then_some(at + 1),
            revision: match tag {
                Some(tag) => format!("tag {tag} (commit {commit})"),
                None => format!("commit {commit}"),
            },
            repository: shown(&source.repo_url),
            project: app.project.clone(),
            why,
        };
        let project = project.as_ref().map_err(|why| untrusted(why.clone()))?;
        let Some(signers) = project.signers(&source.repo_url).map_err(untrusted)? else { continue };
        let keyring = ring.keyring.as_ref().map_err(|why| untrusted(why.clone()))?;
        let verdict = ring.verdict(keyring, store, Resolved { commit: *commit, tag: *tag }).await;
        let verdict = verdict.map_err(PinError::from)?;
        judge(&verdict, signers, keyring.problems()).map_err(untrusted)?;
    }
    Ok(())
}

/// Whether a signature is one of those that a project asks for, or why not.
fn judge(verdict: &Verdict, signers: &[String], problems: &[String]) -> Result<(), String> {
    match verdict {
        Verdict::Good(signer) if signer.is_among(signers) => Ok(()),
        Verdict::Good(signer) => Err(format!("it is signed with key {signer}, which the project does not list")),
        Verdict::UnknownKey { id } => {
            // It may be there, and not be usable: named by its id, where a signature names the whole fingerprint.
            let id = id.to_uppercase();
            let is_of = |problem: &&String| {
                let named = problem.split('\'').nth(1).map(str::to_uppercase);
                named.is_some_and(|named| !named.is_empty() && id.ends_with(&named))
            };
            let problem = problems.iter().find(is_of).map(|problem| format!("; {problem}"));
            Err(format!("{verdict}{}", problem.unwrap_or_default()))
        }
        verdict => Err(verdict.to_string()),
    }
}

/// Why an application cannot be synced to manifests from elsewhere than Git: nobody has signed them.
pub(crate) fn refuse_unsigned(project: &Project, app: &App) -> Result<(), String> {
    let mut git = app.sources.iter().filter(|source| source.kind == SourceKind::Git);
    if git.all(|source| project.signers(&source.repo_url) == Ok(None)) {
        return Ok(());
    }
    Err(format!(
        "manifests from elsewhere than Git are not signed, and project '{}' asks for signatures: sync what is in Git",
        project.name
    ))
}

/// Watches the keys. Ends with the watch.
pub(crate) async fn watch(world: Arc<World>) {
    let mut sightings = Sightings::one(&world.cluster, &config_map_kind(), &world.namespace, KEYS);
    let (mut first, mut data) = (First::new(), BTreeMap::new());
    while let Some(sighting) = sightings.next().await {
        let mut begin = false;
        let news = match sighting {
            Sighting::Here(raw) => {
                data = data_of(raw.json.get().as_bytes());
                sightings.complete()
            }
            Sighting::Gone(_) => {
                data.clear();
                sightings.complete()
            }
            Sighting::Complete { .. } => {
                begin = first.complete();
                true
            }
            Sighting::Failed(error) => {
                begin = first.failed(&error);
                // What was known counts, unless nothing new will be known: a refusal does not pass by itself.
                if !sightings.complete() || matches!(error, ClusterError::Forbidden { .. }) {
                    let why = format!("the keys that may sign (ConfigMap {KEYS}) cannot be read: {}", why(&error));
                    changed(&world, Err(why));
                }
                false
            }
        };
        if news {
            changed(&world, Ok(read(&data)));
        }
        if begin {
            world.listed.one_more();
        }
    }
}

fn read(data: &BTreeMap<String, String>) -> Keyring {
    let keys = data.iter().filter(|(name, _)| *name != SSH_SIGNERS);
    let ssh = data.get(SSH_SIGNERS).map(String::as_str).unwrap_or_default();
    Keyring::new(keys.map(|(name, key)| (name.as_str(), key.as_str())), ssh)
}

/// Takes the keys, and wakes the applications that they may make a difference to.
fn changed(world: &World, keyring: Result<Keyring, String>) {
    match &keyring {
        Ok(keyring) => {
            for problem in keyring.problems() {
                tracing::warn!(config_map = KEYS, %problem, "a key that may sign is not as it should be");
            }
        }
        Err(error) => tracing::warn!(%error, "nothing counts as signed"),
    }
    if !world.signatures.set(keyring) {
        return;
    }
    for application in world.applications.all() {
        let Ok(spec) = &application.spec else { continue };
        if world.projects.get(&spec.project).is_ok_and(|project| project.asks_for_signatures()) {
            world.queue.wake(&application.meta.instance);
        }
    }
}

// === impl Signatures ===

impl Default for Signatures {
    fn default() -> Self {
        Self(RwLock::new(Ring::of(Err(format!("the keys that may sign (ConfigMap {KEYS}) have not been read yet")))))
    }
}

impl Signatures {
    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers whether that changes anything.
    fn set(&self, keyring: Result<Keyring, String>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changes = known.keyring != keyring;
        if changes {
            *known = Ring::of(keyring);
        }
        changes
    }
}

// === impl Ring ===

impl Ring {
    fn of(keyring: Result<Keyring, String>) -> Arc<Self> {
        Arc::new(Self { keyring, verdicts: Mutex::default() })
    }

    /// What the signature of a commit or tag is worth. It is fetched, if it is not here.
    async fn verdict(&self, keyring: &Keyring, store: &Store, what: Resolved) -> Result<Verdict, GitError> {
        if let Some((at, verdict)) = lock(&self.verdicts).get(&what)
            && at.elapsed() < VERDICT_LASTS
        {
            return Ok(verdict.clone());
        }
        store.fetch(&[what.commit]).await?;
        let verdict = keyring.verify(&store.signed(&what).await?, Timestamp::now());
        let mut verdicts = lock(&self.verdicts);
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(what, (Instant::now(), verdict.clone()));
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use trueup_git::Signer;

    use super::*;

    fn signer() -> Signer {
        let primary = "0123456789ABCDEF0123456789ABCDEF01234567";
        Signer { key: "89ABCDEF01234567".into(), primary: primary.into(), name: "A".into() }
    }

    #[test]
    fn only_a_good_signature_by_a_listed_key_counts() {
        let listed = ["89ABCDEF01234567".to_owned()];
        assert_eq!(judge(&Verdict::Good(signer()), &listed, &[]), Ok(()));
        let reason = || "on 2020-01-01".to_owned();
        for (verdict, words) in [
            (Verdict::Unsigned, "it is not signed"),
            (Verdict::UnknownKey { id: "FFFFFFFFFFFFFFFF".into() }, "FFFFFFFFFFFFFFFF, which is not in the ConfigMap"),
            (Verdict::Expired { signer: signer(), reason: reason() }, "on 2020-01-01"),
            (Verdict::Revoked { signer: signer(), reason: reason() }, "has revoked"),
            (Verdict::Bad { key: Some("89ABCDEF01234567".into()), reason: reason() }, "does not count"),
            (Verdict::Bad { key: None, reason: reason() }, "does not count"),
        ] {
            let why = judge(&verdict, &listed, &[]).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        for others in [&["FFFFFFFFFFFFFFFF".to_owned()][..], &[]] {
            let why = judge(&Verdict::Good(signer()), others, &[]).unwrap_err();
            assert!(why.contains("the project does not list"), "{why}");
        }
    }

    #[test]
    fn a_key_that_is_there_and_cannot_be_used_is_told() {
        let keyring = read(&[("ffffffffffffffff".to_owned(), "no key".to_owned())].into());
        for id in ["FFFFFFFFFFFFFFFF", "0123456789ABCDEF01234567FFFFFFFFFFFFFFFF"] {
            let verdict = Verdict::UnknownKey { id: id.into() };
            let why = judge(&verdict, &["FFFFFFFFFFFFFFFF".to_owned()], keyring.problems()).unwrap_err();
            assert!(why.contains("key 'ffffffffffffffff' is not used"), "{why}");
        }
        let other = Verdict::UnknownKey { id: "EEEEEEEEEEEEEEEE".into() };
        assert!(!judge(&other, &[], keyring.problems()).unwrap_err().contains("is not used"));
    }

    #[test]
    fn keys_that_are_the_same_are_no_news_and_verdicts_end_with_their_keys() {
        let signatures = Signatures::default();
        assert!(signatures.ring().keyring.as_ref().is_err_and(|why| why.contains("not been read")));
        assert!(signatures.set(Ok(Keyring::default())));
        let ring = signatures.ring();
        assert!(!signatures.set(Ok(Keyring::default())));
        assert!(Arc::ptr_eq(&ring, &signatures.ring()));
        assert!(signatures.set(Err("refused".into())));
        assert!(!Arc::ptr_eq(&ring, &signatures.ring()));
    }

    #[test]
    fn the_entry_of_ssh_keys_is_no_key_of_gpg() {
        let keyring = read(&[(SSH_SIGNERS.to_owned(), "# nobody yet\n".to_owned())].into());
        assert_eq!(keyring.problems(), [] as [String; 0]);
    }
}
