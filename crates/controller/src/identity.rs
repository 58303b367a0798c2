//! What this process calls itself in the Lease.
//!
//! Invariant: no two living processes have the same identity. It is the name of the pod or host, and a token that lies in
//! the cache directory under a lock of the system, which ends with the process: who has the lock knows that whoever wrote
//! that token is dead, and goes on with his Lease at once. A second process beside it, and one whose cache was lost, has
//! another token, and waits like any stranger. Entry point: [`Identity::take`].

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The file with the token.
const FILE: &str = "holder";
/// Bytes of a token: 64 bits tell the processes of one host apart.
const TOKEN_BYTES: usize = 8;
/// The longest that is read of the file: anything longer is no token.
const READ_BYTES_MAX: u64 = 64;

/// What this process calls itself.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) text: String,
    /// Locked as long as this process lives.
    _lock: Option<File>,
}

// === impl Identity ===

impl Identity {
    /// Takes the identity that belongs to a cache directory, or a new one if another process has it.
    pub(crate) fn take(name: &str, cache_dir: &Path) -> Self {
        match locked(&cache_dir.join(FILE)) {
            Ok((token, lock)) => Self { text: format!("{name}_{token}"), _lock: Some(lock) },
            Err(error) => {
                tracing::info!(%error, directory = %cache_dir.display(), "no identity is kept in the cache directory: after a restart the Lease is waited for");
                Self { text: format!("{name}_{}", token()), _lock: None }
            }
        }
    }
}

fn locked(path: &Path) -> std::io::Result<(String, File)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.try_lock()?;
    let mut text = String::new();
    let readable = Read::by_ref(&mut file).take(READ_BYTES_MAX).read_to_string(&mut text).is_ok();
    if readable && is_token(&text) {
        return Ok((text, file));
    }
    let token = token();
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(token.as_bytes())?;
    Ok((token, file))
}

fn is_token(text: &str) -> bool {
    text.len() == 2 * TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn token() -> String {
    // The standard library seeds its hashers with random numbers of the system.
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_lock_has_the_identity() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::take("pod", dir.path());
        assert!(first.text.starts_with("pod_") && is_token(&first.text[4..]), "{first:?}");
        // While it lives, others are others.
        let second = Identity::take("pod", dir.path());
        assert_ne!(second.text, first.text);
        let known = first.text.clone();
        drop(first);
        assert_eq!(Identity::take("pod", dir.path()).text, known);
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert_ne!(Identity::take("pod", dir.path()).text, known);
    }

    #[test]
    fn a_file_that_holds_no_token_gets_one() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"x", &[0xff; 16], &[b'a'; 4096]] {
            std::fs::write(dir.path().join(FILE), content).unwrap();
            let taken = Identity::take("pod", dir.path());
            assert!(is_token(&taken.text[4..]));
            let known = taken.text.clone();
            drop(taken);
            assert_eq!(Identity::take("pod", dir.path()).text, known);
        }
        let nowhere = Identity::take("pod", &dir.path().join("none"));
        assert!(is_token(&nowhere.text[4..]));
    }
}
