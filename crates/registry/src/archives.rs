//! Archives on disk, as they were sent: a cache, of which anything may vanish at any time.
//!
//! Invariant: a file is named by the digest of its content, and one whose content has another is removed instead of used; what one
//! login fetched lies where no other looks; nobody else on the machine reads it. All of it blocks. Entry points:
//! [`Archives::read`] and [`Archives::write`].

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use trueup_git::{DirectoryNames, private_directory, private_write};

use crate::RegistryError;
use crate::digest::Digest;
use crate::package::Source;

/// The ending of a file that is being written.
const UNFINISHED: &str = "part";

/// A directory of archives.
#[derive(Debug)]
pub(crate) struct Archives {
    dir: PathBuf,
    names: DirectoryNames,
    bytes_max: u64,
    file_max: u64,
}

impl Archives {
    /// Prepares the directory, and removes what a process left behind in the middle of writing.
    pub(crate) fn open(dir: &Path, bytes_max: u64, file_max: u64) -> io::Result<Self> {
        private_directory(dir)?;
        let names = DirectoryNames::open(dir)?;
        let archives = Self { dir: dir.to_owned(), names, bytes_max, file_max };
        for (path, ..) in archives.files() {
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                remove(&path);
            }
        }
        Ok(archives)
    }

    /// The name of what one login may read of a repository.
    pub(crate) fn scope(&self, source: &Source) -> Result<String, RegistryError> {
        Ok(self.names.name(&source.url, &source.access)?)
    }

    /// The archive of a digest, if it is here and as it should be.
    pub(crate) fn read(&self, scope: &str, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(scope, digest);
        let file = File::open(&path).ok()?;
        let is_sound = |bytes: &Vec<u8>| digest.fits(bytes);
        let small = file.metadata().is_ok_and(|about| about.len() <= self.file_max);
        let bytes = if small { fs::read(&path).ok().filter(is_sound) } else { None };
        if bytes.is_some() {
            // The one that was not used longest goes first. A clock that cannot be set makes it go earlier, no more.
            let _ = file.set_modified(SystemTime::now());
        } else {
            tracing::warn!(path = %path.display(), "a cached archive is damaged: it is fetched again");
            remove(&path);
        }
        bytes
    }

    /// Keeps an archive, and lets go of others where there is no room. That it cannot be kept is told, and no error.
    pub(crate) fn write(&self, scope: &str, digest: &Digest, bytes: &[u8]) {
        let path = self.path(scope, digest);
        let unfinished = path.with_extension(format!("{}.{UNFINISHED}", std::process::id()));
        let written = private_directory(&self.dir.join(scope))
            .and_then(|()| private_write(&unfinished, bytes))
            .and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "an archive cannot be cached");
            remove(&unfinished);
        }
        self.make_room();
    }

    /// Removes what no one of these may read.
    pub(crate) fn keep_only(&self, scopes: &HashSet<String>) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let is_scope = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let kept = entry.file_name().to_str().is_some_and(|name| scopes.contains(name));
            if is_scope
                && !kept
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %error, "cannot remove archives that nobody uses");
            }
        }
    }

    fn make_room(&self) {
        let mut files = self.files();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        files.sort_unstable_by_key(|(_, _, used)| *used);
        for (path, size, _) in files {
            if total <= self.bytes_max {
                return;
            }
            remove(&path);
            total -= size;
        }
    }

    /// All archives: path, size, and when they were last used.
    fn files(&self) -> Vec<(PathBuf, u64, SystemTime)> {
        let scopes = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let files = scopes.flat_map(|scope| fs::read_dir(scope.path()).into_iter().flatten().flatten());
        let about = files.filter_map(|file| {
            let about = file.metadata().ok()?;
            Some((file.path(), about.len(), about.modified().ok()?))
        });
        about.collect()
    }

    fn path(&self, scope: &str, digest: &Digest) -> PathBuf {
        self.dir.join(scope).join(digest.file_name())
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        // Somebody else does the same, or it was never there.
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove a cached archive");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_damaged_is_removed_and_the_oldest_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let archives = Archives::open(dir.path(), 10, 8).unwrap();
        let digests: Vec<Digest> = ["aaaa", "bbbb", "cccc"].iter().map(|text| Digest::of(text.as_bytes())).collect();
        archives.write("x", &digests[0], b"aaaa");
        let old = SystemTime::UNIX_EPOCH;
        File::open(archives.path("x", &digests[0])).unwrap().set_modified(old).unwrap();
        archives.write("y", &digests[1], b"bbbb");
        assert_eq!(archives.read("x", &digests[0]).unwrap(), b"aaaa", "and it is the newest now");
        File::open(archives.path("y", &digests[1])).unwrap().set_modified(old).unwrap();
        assert_eq!(archives.read("y", &digests[0]), None, "another login has its own");
        archives.write("x", &digests[2], b"cccc");
        assert!(archives.read("y", &digests[1]).is_none() && archives.read("x", &digests[0]).is_some());
        let path = archives.path("x", &digests[0]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        for damaged in [&b"aaab"[..], b"", b"much too long"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(archives.read("x", &digests[0]), None);
            assert!(!path.exists());
        }
        fs::write(dir.path().join("x/1.part"), "").unwrap();
        let again = Archives::open(dir.path(), 10, 8).unwrap();
        assert!(!dir.path().join("x/1.part").exists() && again.read("x", &digests[2]).is_some());
        again.keep_only(&["y".to_owned()].into());
        assert!(!dir.path().join("x").exists() && dir.path().join("y").exists());
    }
}
