//! The private key of an SSH login. Entry points: [`read`] for a repository's, [`decode`] for a text.

use russh::keys::{Algorithm, PrivateKey};

use crate::remote::Remote;
use crate::{GitError, Login};

/// Reads the key that opens a repository. The error never quotes it.
pub(crate) fn read(remote: &Remote) -> Result<PrivateKey, GitError> {
    let unusable = |detail: &str| GitError::Login { repository: remote.to_string(), detail: detail.to_owned() };
    let text = match &remote.access.login {
        Login::Key(key) => key.reveal(),
        Login::None => {
            return Err(unusable("there is none: SSH needs a private key, sshPrivateKey of the repository's Secret"));
        }
        Login::Basic { .. } | Login::Bearer(_) | Login::GitHubApp(_) => {
            return Err(unusable(
                "SSH takes no password and no token: use a private key (sshPrivateKey), or the https:// URL of the repository",
            ));
        }
    };
    decode(text).map_err(|why| unusable(&why))
}

/// Reads a key; or says why that cannot be.
pub(crate) fn decode(text: &str) -> Result<PrivateKey, String> {
    let encrypted = || "the private key is encrypted: store one without a passphrase".to_owned();
    if text.contains("ENCRYPTED") {
        return Err(encrypted());
    }
    let key = russh::keys::decode_secret_key(text, None).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => encrypted(),
        _ => "the private key cannot be read: it must be a whole PEM file of an ed25519, ecdsa or RSA key, as ssh-keygen writes it"
            .to_owned(),
    })?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(key),
        other => Err(format!("keys of the kind {other} are not supported: use ed25519, ecdsa or RSA")),
    }
}
