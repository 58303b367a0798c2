//! The directory that `sshd` locks itself up in when root starts it. Its path is compiled in.
//!
//! Made where there is none, and taken away by the last server of all test processes, which hold a common lock meanwhile.

use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;

use crate::Error;
use crate::Result;

/// As on Debian, and on most others.
const DIRECTORY: &str = "/run/sshd";
/// What is locked; in it stands whether the directory is ours. Root's own: whoever may write there decides what root deletes.
const LOCK: &str = "/run/trueup-bed-sshd.lock";

/// Keeps the directory for as long as it lives.
pub(crate) struct SshdDirectory(File);

impl SshdDirectory {
    /// Makes the directory if there is none.
    pub(crate) fn hold() -> Result<Self> {
        let mut lock = File::options().create(true).append(true).open(LOCK).map_err(Error::file(LOCK))?;
        lock.lock_shared().map_err(Error::file(LOCK))?;
        match fs::create_dir(DIRECTORY) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Error::file(DIRECTORY)(error)),
            Err(_) => {}
            Ok(()) => lock.write_all(b"ours\n").map_err(Error::file(LOCK))?,
        }
        Ok(Self(lock))
    }
}

impl Drop for SshdDirectory {
    fn drop(&mut self) {
        let is_ours = self.0.metadata().is_ok_and(|about| about.len() > 0);
        // Who else holds it takes it away.
        if is_ours && self.0.try_lock().is_ok() && fs::remove_dir(Path::new(DIRECTORY)).is_ok() {
            let _ = self.0.set_len(0);
        }
    }
}
