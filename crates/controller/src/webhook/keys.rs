//! The secrets that senders of webhooks prove to know, as the API server last told us.
//!
//! They stand where Argo CD has them: in the Secret `argocd-secret`, where `$key` means another key of it, and `$secret:key` one of
//! another Secret that is labelled as Argo CD's. Invariants: they are held in types that do not show them; before they have been
//! read, nobody is believed. Entry points: [`Keys`] and [`watch`].

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use trueup_git::Secret;

use super::provider::Provider;
use crate::logins::secret_kind;
use crate::sightings::{Sighting, Sightings};
use crate::world::World;

/// The Secret that Argo CD keeps its own secrets in.
const SECRET: &str = "argocd-secret";
/// The other Secrets that its values may point to.
const PART_OF: &str = "app.kubernetes.io/part-of=argocd";
/// The user name that Azure DevOps shows; may be empty.
const AZURE_USER: &str = "webhook.azuredevops.username";

/// By what each kind of sender is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    by_provider: BTreeMap<Provider, Secret>,
    azure_user: Secret,
}

/// The data of a Secret.
type Data = BTreeMap<String, Secret>;

/// What is known of the Secrets.
#[derive(Default)]
struct Known {
    own: Data,
    /// By name.
    others: BTreeMap<String, Data>,
}

// === impl Keys ===

impl Keys {
    /// Those that settings say, by their keys.
    pub(super) fn of_settings(setting: impl Fn(&str) -> Option<Secret>) -> Self {
        let some = |key: &str| setting(key).filter(|secret| !secret.is_empty());
        let by_provider = Provider::ALL.into_iter().filter_map(|provider| Some((provider, some(provider.key())?)));
        Self { by_provider: by_provider.collect(), azure_user: some(AZURE_USER).unwrap_or_default() }
    }

    pub(super) fn of(&self, provider: Provider) -> Option<&Secret> {
        self.by_provider.get(&provider)
    }

    pub(super) fn azure_user(&self) -> &Secret {
        &self.azure_user
    }

    /// The kinds of senders that can be believed.
    fn names(&self) -> Vec<&'static str> {
        self.by_provider.keys().map(|provider| provider.name()).collect()
    }
}

// === impl Known ===

impl Known {
    fn keys(&self) -> Keys {
        Keys::of_settings(|key| self.own.get(key).map(|value| self.meant(value)))
    }

    /// The value that is meant. One that points nowhere is the secret itself, as upstream: it may begin with a `$`.
    fn meant(&self, value: &Secret) -> Secret {
        let Some(pointer) = value.reveal().strip_prefix('$').map(str::trim) else { return value.clone() };
        let found = match pointer.split_once(':') {
            None => self.own.get(pointer),
            Some((secret, key)) if secret == SECRET => self.own.get(key),
            Some((secret, key)) => self.others.get(secret).and_then(|data| data.get(key)),
        };
        found.unwrap_or(value).clone()
    }
}

/// Watches the Secrets.
pub(super) async fn watch(world: Arc<World>) {
    let mut own = Sightings::one(&world.cluster, &secret_kind(), &world.namespace, SECRET);
    let mut others = Sightings::of(&world.cluster, &secret_kind(), Some(&world.namespace), Some(PART_OF));
    let (mut known, mut told) = (Known::default(), None);
    loop {
        let sighting = tokio::select! {
            sighting = own.next() => sighting,
            sighting = others.next() => sighting,
        };
        match sighting {
            Some(Sighting::Here(raw)) if raw.name == SECRET => known.own = data_of(raw.json.get().as_bytes()),
            Some(Sighting::Here(raw)) => {
                drop(known.others.insert(raw.name.clone(), data_of(raw.json.get().as_bytes())));
            }
            Some(Sighting::Gone(gone)) if gone.name == SECRET => known.own.clear(),
            Some(Sighting::Gone(gone)) => drop(known.others.remove(&gone.name)),
            Some(Sighting::Complete { .. }) => told = None,
            Some(Sighting::Failed(error)) => {
                let why = error.to_string();
                if told.as_ref() != Some(&why) {
                    tracing::warn!(
                        error = why,
                        "the Secrets of webhooks cannot be watched: what was known of them counts, and without it no webhook is taken"
                    );
                }
                told = Some(why);
                continue;
            }
            None => return,
        }
        if own.complete() && others.complete() && world.webhooks.set_keys(known.keys()) {
            tracing::info!(senders = ?known.keys().names(), "webhooks of these are taken: there is a secret for them");
        }
    }
}

/// The data of a Secret; what is no text in base64 is left out. The end of a line at its end is nobody's wish.
fn data_of(json: &[u8]) -> Data {
    #[derive(Deserialize)]
    struct Object {
        #[serde(default)]
        data: Option<BTreeMap<String, Option<Secret>>>,
    }
    let Ok(object) = serde_json::from_slice::<Object>(json) else { return Data::new() };
    let texts = object.data.unwrap_or_default().into_iter().filter_map(|(key, value)| {
        let decoded = STANDARD.decode(value?.reveal()).ok()?;
        let text = Secret::new(String::from_utf8(decoded).ok()?);
        Some((key, Secret::new(text.reveal().trim_end_matches(['\r', '\n']))))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> Data {
        let json = serde_json::json!({"data": pairs.iter().map(|(key, value)| (*key, STANDARD.encode(value))).collect::<BTreeMap<_, _>>()});
        data_of(json.to_string().as_bytes())
    }

    #[test]
    fn a_secret_may_stand_elsewhere() {
        let known = Known {
            own: data(&[
                ("webhook.github.secret", "plain\n"),
                ("webhook.gitlab.secret", "$shared"),
                ("shared", "one"),
                ("webhook.gogs.secret", "$hooks:gogs"),
                ("webhook.trueup.secret", "$argocd-secret:shared"),
                ("webhook.bitbucketserver.secret", "$ecret"),
                ("webhook.bitbucket.uuid", ""),
            ]),
            others: BTreeMap::from([("hooks".to_owned(), data(&[("gogs", "two")]))]),
        };
        let keys = known.keys();
        for (provider, secret) in [
            (Provider::GitHub, Some("plain")),
            (Provider::GitLab, Some("one")),
            (Provider::Gitea, Some("two")),
            (Provider::Trueup, Some("one")),
            (Provider::BitbucketServer, Some("$ecret")),
            (Provider::BitbucketCloud, None),
            (Provider::AzureDevOps, None),
        ] {
            assert_eq!(keys.of(provider).map(Secret::reveal), secret, "{provider:?}");
        }
        let shown = format!("{keys:?}");
        assert!(!shown.contains("plain") && !shown.contains("two"), "{shown}");
    }

    #[test]
    fn what_is_no_secret_is_none() {
        for json in ["", "[]", r#"{"data":null}"#, r#"{"data":{"a":null,"b":"%","c":"//8="}}"#] {
            assert_eq!(data_of(json.as_bytes()), Data::new(), "{json}");
        }
    }
}
