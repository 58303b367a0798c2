//! Whether a request comes from who knows the secret.
//!
//! Pure. Invariants: without a secret for its kind nothing is taken; every comparison takes the same time whatever differs; only a body
//! that is whole is believed. What needs no body is judged before one is read. Entry point: [`claim`].

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use trueup_git::Secret;

use super::keys::Keys;
use super::provider::Provider;

/// What a request has shown by its headers.
#[derive(Debug)]
pub(super) enum Claim {
    /// That it knows the secret.
    Proven,
    /// A signature of the body, which is still to come.
    Signed { key: Box<hmac::Key>, tag: Vec<u8> },
}

/// Why a request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no secret is set for {} webhooks: put one under '{}' of the Secret argocd-secret, and the same there", .0.name(), .0.key())]
    NoKey(Provider),
    #[error("the header {0} is missing or not in its form: set the secret there, too")]
    Unsigned(&'static str),
    #[error("signatures with SHA-1 are not accepted: X-Hub-Signature-256 is missing")]
    OldSignature,
    #[error("the secret there is not the one under '{}' of the Secret argocd-secret", .0.key())]
    Wrong(Provider),
}

/// Judges what the headers show.
pub(super) fn claim(provider: Provider, headers: &HeaderMap, keys: &Keys) -> Result<Claim, Refusal> {
    let secret = keys.of(provider).ok_or(Refusal::NoKey(provider))?;
    let proven = |shown: &str, secret: &str| {
        if same(shown, secret) { Ok(Claim::Proven) } else { Err(Refusal::Wrong(provider)) }
    };
    match provider {
        Provider::GitHub => match signed(headers, &["X-Hub-Signature-256"], "sha256=", secret) {
            Err(Refusal::Unsigned(_)) if headers.contains_key("x-hub-signature") => Err(Refusal::OldSignature),
            claim => claim,
        },
        Provider::Gitea => {
            signed(headers, &["X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature"], "", secret)
        }
        Provider::BitbucketServer => signed(headers, &["X-Hub-Signature"], "sha256=", secret),
        Provider::Trueup => signed(headers, &["X-Trueup-Signature-256"], "sha256=", secret),
        Provider::GitLab => proven(text(headers, "X-Gitlab-Token")?, secret.reveal()),
        Provider::BitbucketCloud => {
            // It is shown to people in braces, and sent without.
            let bare = |text: &str| text.trim_matches(['{', '}']).to_owned();
            proven(&bare(text(headers, "X-Hook-UUID")?), &bare(secret.reveal()))
        }
        Provider::AzureDevOps => {
            let shown = text(headers, AUTHORIZATION.as_str()).ok().and_then(basic);
            let shown = shown.ok_or(Refusal::Unsigned("Authorization (Basic)"))?;
            let wanted = Secret::new(format!("{}:{}", keys.azure_user().reveal(), secret.reveal()));
            proven(shown.reveal(), wanted.reveal())
        }
    }
}

// === impl Claim ===

impl Claim {
    /// Whether it holds for the body.
    pub(super) fn holds(&self, body: &[u8]) -> bool {
        match self {
            Self::Proven => true,
            Self::Signed { key, tag } => hmac::verify(key, body, tag).is_ok(),
        }
    }
}

/// The HMAC-SHA-256 in the first of some headers that is there.
fn signed(headers: &HeaderMap, names: &[&'static str], prefix: &str, secret: &Secret) -> Result<Claim, Refusal> {
    let unsigned = Refusal::Unsigned(names.first().copied().unwrap_or_default());
    let shown = names.iter().find_map(|name| text(headers, name).ok()).ok_or(unsigned)?;
    let tag = shown.strip_prefix(prefix).and_then(bytes).filter(|tag| tag.len() == digest::SHA256_OUTPUT_LEN);
    let key = Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
    Ok(Claim::Signed { key, tag: tag.ok_or(unsigned)? })
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refusal> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refusal::Unsigned(name))
}

/// User name and password as they stand in an `Authorization` header.
fn basic(shown: &str) -> Option<Secret> {
    let (scheme, encoded) = shown.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    String::from_utf8(decoded).ok().map(Secret::new)
}

/// Whether two texts are the same, without telling by the time how alike or how long they are.
fn same(a: &str, b: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    constant_time::verify_slices_are_equal(digest(a).as_ref(), digest(b).as_ref()).is_ok()
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    const BODY: &[u8] = b"{\"ref\":\"refs/heads/main\"}";

    fn keys() -> Keys {
        let settings = [
            ("webhook.github.secret", "github"),
            ("webhook.gitlab.secret", "gitlab"),
            ("webhook.bitbucket.uuid", "{11-22}"),
            ("webhook.bitbucketserver.secret", "server"),
            ("webhook.gogs.secret", "gogs"),
            ("webhook.azuredevops.username", "me"),
            ("webhook.azuredevops.password", "pass:word"),
            ("webhook.trueup.secret", "own"),
        ];
        Keys::of_settings(|key| settings.iter().find(|(name, _)| *name == key).map(|(_, value)| Secret::new(*value)))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn hex(secret: &str, body: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
        tag.as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    fn judged(provider: Provider, pairs: &[(&'static str, &str)]) -> Result<bool, Refusal> {
        claim(provider, &headers(pairs), &keys()).map(|claim| claim.holds(BODY))
    }

    #[test]
    fn a_signature_as_others_make_it() {
        // RFC 4231, test case 2.
        let keys = Keys::of_settings(|key| (key == "webhook.github.secret").then(|| Secret::new("Jefe")));
        let shown = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let claim = claim(Provider::GitHub, &headers(&[("x-hub-signature-256", shown)]), &keys).unwrap();
        assert!(claim.holds(b"what do ya want for nothing?"));
        assert!(!claim.holds(b"what do ya want for nothing!"));
        assert!(!format!("{claim:?}").contains("Jefe"));
    }

    #[test]
    fn who_signs_with_the_secret_is_believed() {
        for (provider, header, prefix, secret) in [
            (Provider::GitHub, "x-hub-signature-256", "sha256=", "github"),
            (Provider::Gitea, "x-gitea-signature", "", "gogs"),
            (Provider::Gitea, "x-forgejo-signature", "", "gogs"),
            (Provider::Gitea, "x-gogs-signature", "", "gogs"),
            (Provider::BitbucketServer, "x-hub-signature", "sha256=", "server"),
            (Provider::Trueup, "x-trueup-signature-256", "sha256=", "own"),
        ] {
            let with = |secret: &str, body: &[u8]| format!("{prefix}{}", hex(secret, body));
            assert_eq!(judged(provider, &[(header, &with(secret, BODY))]), Ok(true), "{header}");
            assert_eq!(judged(provider, &[(header, &with("other", BODY))]), Ok(false), "{header}");
            assert_eq!(judged(provider, &[(header, &with("", BODY))]), Ok(false), "{header}");
            assert_eq!(judged(provider, &[(header, &with(secret, b"{}"))]), Ok(false), "{header}");
            let cut = with(secret, BODY)[..prefix.len() + 62].to_owned();
            for unusable in [&*cut, "", "sha256=", "zz", &format!("{prefix}{}", "z".repeat(64)), "sha1=00"] {
                let judged = judged(provider, &[(header, unusable)]);
                assert!(matches!(judged, Err(Refusal::Unsigned(_))), "{header} {unusable:?}: {judged:?}");
            }
            assert!(matches!(judged(provider, &[]), Err(Refusal::Unsigned(_))), "{header}");
        }
    }

    #[test]
    fn who_shows_the_secret_is_believed() {
        let azure = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (provider, header, value, outcome) in [
            (Provider::GitLab, "x-gitlab-token", "gitlab", Ok(true)),
            (Provider::GitLab, "x-gitlab-token", "gitlab2", Err(Refusal::Wrong(Provider::GitLab))),
            (Provider::GitLab, "x-gitlab-token", "", Err(Refusal::Wrong(Provider::GitLab))),
            (Provider::BitbucketCloud, "x-hook-uuid", "11-22", Ok(true)),
            (Provider::BitbucketCloud, "x-hook-uuid", "{11-22}", Ok(true)),
            (Provider::BitbucketCloud, "x-hook-uuid", "11-23", Err(Refusal::Wrong(Provider::BitbucketCloud))),
            (Provider::AzureDevOps, "authorization", &*azure("me:pass:word"), Ok(true)),
            (Provider::AzureDevOps, "authorization", &*azure("me:pass"), Err(Refusal::Wrong(Provider::AzureDevOps))),
            (Provider::AzureDevOps, "authorization", "Basic %", Err(Refusal::Unsigned("Authorization (Basic)"))),
            (Provider::AzureDevOps, "authorization", "Bearer x", Err(Refusal::Unsigned("Authorization (Basic)"))),
        ] {
            assert_eq!(judged(provider, &[(header, value)]), outcome, "{value}");
        }
        assert_eq!(judged(Provider::GitLab, &[]), Err(Refusal::Unsigned("X-Gitlab-Token")));
    }

    #[test]
    fn the_old_signature_is_not_enough() {
        let old = [("x-hub-signature", "sha1=0000000000000000000000000000000000000000")];
        assert_eq!(judged(Provider::GitHub, &old), Err(Refusal::OldSignature));
    }

    #[test]
    fn without_a_secret_nobody_is_believed() {
        for provider in Provider::ALL {
            let refused = claim(provider, &HeaderMap::new(), &Keys::default()).unwrap_err();
            assert_eq!(refused, Refusal::NoKey(provider));
            assert!(refused.to_string().contains(provider.key()), "{refused}");
        }
    }
}
