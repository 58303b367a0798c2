//! What decrypts the files of a project's applications: the age keys of the Secret that the AppProject names.
//!
//! Kept: the keys, in a type that does not show them and zeroes them. Invariant: an encrypted file is decrypted or an error,
//! never passed on as it is; without keys, too. No error tells anything of a key. Entry points: [`Decryption`], and [`decryption`] for
//! whoever looks once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use trueup_api::Project;
use trueup_api::annotations::DECRYPTION_SECRET;
use trueup_cluster::Cluster;
use trueup_object::Digest;
use trueup_render::Decrypt;
use trueup_sops::{Format, Keys, is_encrypted};
use zeroize::Zeroizing;

use crate::logins::secret_kind;
use crate::run::project_kind;

/// How data keys end that hold keys; Flux calls them so, too.
const ENDING: &str = ".agekey";

/// What decrypts the files of a project's applications.
#[derive(Clone, Debug)]
pub struct Decryption {
    project: String,
    from: From,
}

/// Where the keys come from.
#[derive(Clone, Debug)]
enum From {
    /// The project names no Secret.
    Nowhere,
    /// It is not known what the project names.
    Unknown(String),
    /// A Secret, as `namespace/name`.
    Secret(String, Arc<Held>),
}

/// What a Secret holds.
#[derive(Debug)]
pub(crate) struct Held {
    keys: Keys,
    /// What is wrong with it, or with a part of it.
    problem: Option<String>,
}

/// What is read of a Secret.
#[derive(Deserialize)]
struct Secret<'json> {
    // Base64 needs no escapes in JSON, so no copies of it are made.
    #[serde(borrow, default)]
    data: Option<BTreeMap<&'json str, &'json str>>,
}

// === impl Held ===

impl Held {
    /// No keys, and why.
    pub(crate) fn none(why: String) -> Self {
        Self { keys: Keys::new(), problem: Some(why) }
    }

    /// None, since the Secret is not there.
    pub(crate) fn missing() -> Self {
        Self::none("it does not exist".to_owned())
    }

    /// The keys of a Secret. What cannot be used does not spoil the others.
    pub(crate) fn of(json: &[u8]) -> Self {
        let Ok(secret) = serde_json::from_slice::<Secret<'_>>(json) else {
            return Self::none("it cannot be read".to_owned());
        };
        let (mut keys, mut problems) = (Keys::new(), Vec::new());
        for (name, text) in secret.data.unwrap_or_default().into_iter().filter(|(name, _)| name.ends_with(ENDING)) {
            let added = match STANDARD.decode(text).map(Zeroizing::new) {
                Ok(text) => keys.add(&text).map_err(|error| error.to_string()),
                Err(_) => Err("it is no base64".to_owned()),
            };
            problems.extend(added.err().map(|error| format!("'{name}' in it: {error}")));
        }
        if keys.is_empty() && problems.is_empty() {
            problems.push(format!("nothing in it has a name that ends in '{ENDING}'"));
        }
        Self { keys, problem: (!problems.is_empty()).then(|| problems.join("; ")) }
    }

    /// Whether it says the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.keys.identity() == other.keys.identity() && self.problem == other.problem
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

// === impl Decryption ===

impl Decryption {
    /// Of a project that names no Secret: refuses what is encrypted.
    pub fn nowhere(project: &str) -> Self {
        Self { project: project.to_owned(), from: From::Nowhere }
    }

    /// Of a project of which nothing is known.
    pub(crate) fn unknown(project: &str, why: String) -> Self {
        Self { project: project.to_owned(), from: From::Unknown(why) }
    }

    /// Of a project that names a Secret.
    pub(crate) fn of(project: &str, namespace: &str, secret: &str, held: Arc<Held>) -> Self {
        Self { project: project.to_owned(), from: From::Secret(format!("{namespace}/{secret}"), held) }
    }

    /// What there is to say of a file that could not be decrypted.
    fn told(&self, problem: &str) -> String {
        let project = &self.project;
        match &self.from {
            From::Nowhere => format!(
                "SOPS encrypted it, and project '{project}' has no keys: name a Secret of the controller's namespace that holds some \
                 in the annotation {DECRYPTION_SECRET} of the AppProject ({problem})"
            ),
            From::Unknown(why) => format!("the keys of project '{project}' are not known: {why} ({problem})"),
            From::Secret(secret, held) => {
                let mut told = format!("{problem}. The keys of project '{project}' are those in Secret '{secret}'");
                if let Some(problem) = &held.problem {
                    let _ = write!(told, ", with which something is wrong: {problem}");
                }
                told
            }
        }
    }
}

impl Decrypt for Decryption {
    fn decrypt(&self, path: &str, text: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if !is_encrypted(text) {
            return Ok(None);
        }
        let none = Keys::new();
        let keys = match &self.from {
            From::Secret(_, held) => &held.keys,
            From::Nowhere | From::Unknown(_) => &none,
        };
        let plain = trueup_sops::decrypt(path, Format::of(path), text, keys);
        plain.map(|plain| Some(plain.reveal().to_vec())).map_err(|error| self.told(&error.problem.to_string()))
    }

    fn identity(&self) -> Digest {
        match &self.from {
            From::Secret(_, held) => held.keys.identity(),
            From::Nowhere | From::Unknown(_) => Keys::new().identity(),
        }
    }
}

/// What decrypts the files of a project's applications just now, for whoever looks once. What they may not read is missing only
/// where something is encrypted.
pub async fn decryption(cluster: &Cluster, namespace: &str, project: &str) -> Decryption {
    let read = match cluster.get_raw(&project_kind(), namespace, project).await {
        Ok(Some(json)) => Project::read(&json).map_err(|error| error.to_string()),
        Ok(None) => return Decryption::nowhere(project),
        Err(error) => Err(error.to_string()),
    };
    let named = match read {
        Ok(read) => read.decryption_secret,
        Err(why) => return Decryption::unknown(project, format!("the AppProject cannot be read: {why}")),
    };
    let Some(secret) = named else { return Decryption::nowhere(project) };
    let held = match cluster.get_raw(&secret_kind(), namespace, &secret).await {
        Ok(Some(json)) => Held::of(&Zeroizing::new(json)),
        Ok(None) => Held::missing(),
        Err(error) => Held::none(format!("it cannot be read: {error}")),
    };
    Decryption::of(project, namespace, &secret, Arc::new(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from the real command, in the tests of the crate that decrypts.
    const ENCRYPTED: &str = include_str!("../../sops/tests/data/encrypted.json");
    const KEYS: &str = include_str!("../../sops/tests/data/keys.json");

    fn recorded(name: &str) -> String {
        let files: serde_json::Value = serde_json::from_str(ENCRYPTED).unwrap();
        let file = files.as_array().unwrap().iter().find(|file| file["name"] == name).unwrap();
        file["encrypted"].as_str().unwrap().to_owned()
    }

    fn key(kind: &str, name: &str) -> String {
        let keys: serde_json::Value = serde_json::from_str(KEYS).unwrap();
        keys[kind][name].as_str().unwrap().to_owned()
    }

    fn held(data: &[(&str, &str)]) -> Held {
        let data: BTreeMap<&str, String> = data.iter().map(|(name, text)| (*name, STANDARD.encode(text))).collect();
        Held::of(serde_json::json!({ "data": data }).to_string().as_bytes())
    }

    fn of(held: Held) -> Decryption {
        Decryption::of("shop", "argocd", "keys", Arc::new(held))
    }

    #[test]
    fn all_keys_of_the_secret_decrypt_and_nothing_else_in_it_is_read() {
        let (one, two) = (key("secret", "one"), key("secret", "two"));
        let held = held(&[("a.agekey", &two), ("b.agekey", &format!("# mine\n{one}\n")), ("token", "x"), ("pw", &one)]);
        assert_eq!(held.problem(), None);
        let plain = of(held).decrypt("secret.yaml", recorded("secret").as_bytes()).unwrap().unwrap();
        assert!(String::from_utf8(plain).unwrap().contains("hunter2"));
    }

    #[test]
    fn what_is_not_encrypted_is_left_alone_with_keys_or_without() {
        for decryption in [Decryption::nowhere("shop"), of(Held::missing())] {
            assert_eq!(decryption.decrypt("a.yaml", b"kind: Secret\nsops: my own\n"), Ok(None));
        }
    }

    #[test]
    fn an_encrypted_file_without_keys_is_an_error_that_says_what_to_do() {
        let recipient = key("public", "one");
        let text = recorded("secret-kubernetes");
        let told = |decryption: Decryption| decryption.decrypt("secret.yaml", text.as_bytes()).unwrap_err();
        let cases = [
            (told(Decryption::nowhere("shop")), vec!["'shop'", DECRYPTION_SECRET]),
            (told(Decryption::unknown("shop", "no permission".to_owned())), vec!["'shop'", "no permission"]),
            (told(of(Held::missing())), vec!["'shop'", "'argocd/keys'", "does not exist"]),
            (told(of(held(&[("age.txt", "x")]))), vec!["'argocd/keys'", "'.agekey'"]),
            (told(of(Held::of(br#"{"data": 7}"#))), vec!["'argocd/keys'", "cannot be read"]),
            (told(of(held(&[("a.agekey", &key("secret", "two"))]))), vec!["none of the keys", "'argocd/keys'"]),
        ];
        for (told, words) in cases {
            assert!(told.contains(&recipient), "for whom: {told}");
            assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
            assert!(!told.contains(&key("secret", "two")), "{told}");
        }
    }

    #[test]
    fn a_bad_key_is_named_and_does_not_spoil_the_others() {
        let (one, two) = (key("secret", "one"), key("secret", "two"));
        let damaged = two.to_lowercase().replace("age-secret-key-1", "AGE-SECRET-KEY-1");
        let held = held(&[("bad.agekey", &damaged), ("good.agekey", &one)]);
        assert!(held.problem().is_some_and(|told| told.contains("'bad.agekey'") && !told.contains(&damaged)));
        assert!(of(held).decrypt("secret.yaml", recorded("secret").as_bytes()).unwrap().is_some());
    }

    #[test]
    fn other_keys_are_another_identity() {
        let [one, two] = ["one", "two"].map(|name| held(&[("a.agekey", &key("secret", name))]));
        assert!(!one.is(&two) && !one.is(&Held::missing()));
        assert_ne!(of(one).identity(), of(two).identity());
        assert_eq!(of(Held::missing()).identity(), Decryption::nowhere("shop").identity());
    }
}
