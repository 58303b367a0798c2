//! Directories and files that nobody else on the machine may read: stores hold private code, and manifests that may be Secrets.
//!
//! So does the memory of a process that reads them. Entry points: [`directory`], [`write`], [`close`] and
//! [`keep_memory_private`].

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// The permissions of group and others.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// Makes a directory, and those above it, for us alone. One that others may look into is closed.
pub fn directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    close(path);
    Ok(())
}

/// Writes a new file for us alone, in place of what is there.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that is there keeps its permissions, and whoever has it open reads on.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// Takes away what others may do with a file or directory. One that belongs to somebody else stays as it is, with a warning.
pub(crate) fn close(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let closed = fs::metadata(path).and_then(|about| {
            let mut permissions = about.permissions();
            let mode = permissions.mode();
            if mode & OTHERS == 0 {
                return Ok(());
            }
            permissions.set_mode(mode & !OTHERS);
            fs::set_permissions(path, permissions)
        });
        if let Err(error) = closed {
            tracing::warn!(path = %path.display(), %error, "others on this machine may read what is kept of repositories");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Keeps the memory of this process, where keys are, to itself: a crash writes none of it to disk, and no other process of the same
/// user may look into it. For the first line of `main`.
///
/// Where the system refuses, the process goes on: it may be one on which this cannot be had.
pub fn keep_memory_private() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};

        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    // The limit alone does not count where the system hands cores to a program.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_crash_writes_nothing_to_disk() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

        keep_memory_private();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }

    #[test]
    fn what_is_made_and_what_is_found_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = dir.path().join("a/b");
        directory(&fresh).unwrap();
        assert_eq!(mode(&fresh), 0o700);
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        directory(&open).unwrap();
        assert_eq!(mode(&open), 0o700);
        let file = dir.path().join("file");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, b"new").unwrap();
        assert_eq!((mode(&file), fs::read(&file).unwrap().as_slice()), (0o600, b"new".as_slice()));
    }
}
