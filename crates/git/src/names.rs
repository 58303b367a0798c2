//! Names of directories in which is kept what one login may read of one repository.
//!
//! Invariant: another login has another directory, so that it never finds what this one fetched; a name says nothing about
//! a credential. Entry points: [`DirectoryNames::open`] and [`DirectoryNames::name`].

use std::fmt;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Access, GitError, RepoUrl, private};

/// Random bytes that make the names of directories say nothing about credentials.
const SALT_BYTES: usize = 32;
/// Bytes of a hash that name a directory: 128 bits are beyond accident and attack alike, as the salt is secret.
pub(crate) const NAME_BYTES: usize = 16;

/// What names the directories within one cache directory.
pub struct DirectoryNames {
    salt: Vec<u8>,
}

impl DirectoryNames {
    /// Reads the salt of a cache directory, or makes one at its first use.
    pub fn open(cache_dir: &Path) -> std::io::Result<Self> {
        salt(cache_dir).map(|salt| Self { salt })
    }

    /// The name for a repository and who asks for it. The key of a GitHub App belongs to it: its number alone anybody knows.
    pub fn name(&self, url: &RepoUrl, access: &Access) -> Result<String, GitError> {
        let mut hash = Sha256::new();
        let (username, password) = url.credentials().unwrap_or_default();
        let who = serde_json::to_vec(&access.who()).map(Zeroizing::new).map_err(|error| GitError::Store {
            repository: url.to_string(),
            // Where the error is, not what stands there.
            detail: format!("its access cannot be written down ({:?})", error.classify()),
        })?;
        let (identity, password) = (url.identity(), password.unwrap_or_default().as_bytes());
        for part in [&self.salt, identity.as_bytes(), username.as_bytes(), password, &who] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(hash.finalize()[..NAME_BYTES].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
    }
}

impl fmt::Debug for DirectoryNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryNames(…)")
    }
}

/// The salt of a cache directory, made at its first use.
fn salt(cache_dir: &Path) -> std::io::Result<Vec<u8>> {
    let path = cache_dir.join("salt");
    if let Ok(salt) = fs::read(&path)
        && salt.len() == SALT_BYTES
    {
        private::close(&path);
        return Ok(salt);
    }
    let mut salt = vec![0; SALT_BYTES];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut salt).map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
    // Another process may do the same just now: whoever comes second takes what is there.
    let fresh = cache_dir.join(format!("salt.{}", std::process::id()));
    private::write(&fresh, &salt)?;
    let linked = fs::hard_link(&fresh, &path);
    match (linked, fs::read(&path)) {
        (Err(_), Ok(theirs)) if theirs.len() == SALT_BYTES => {
            fs::remove_file(&fresh)?;
            Ok(theirs)
        }
        // A damaged one, or a file system without links.
        (Err(_), _) => fs::rename(&fresh, &path).map(|()| salt),
        (Ok(()), _) => fs::remove_file(&fresh).map(|()| salt),
    }
}
