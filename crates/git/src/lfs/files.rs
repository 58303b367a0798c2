//! The files of Git LFS on disk, beside the packs of their store: one file for one content, named after it.
//!
//! Invariant: what is read has the size and hash that the pointer names; what is not whole has another name. Blocks for as long as
//! a disk takes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::pointer::Pointer;
use crate::private;

/// The directory in a store's.
const DIRECTORY: &str = "lfs";
/// How files that are not whole begin.
const INCOMING: &str = "incoming-";
/// After this, whoever wrote such a file is gone: no download may take as long.
const INCOMING_AGE: Duration = Duration::from_hours(1);
/// Tells files apart that one process writes.
static NUMBER: AtomicU64 = AtomicU64::new(0);

fn directory(store: &Path) -> PathBuf {
    store.join(DIRECTORY)
}

fn path(store: &Path, pointer: &Pointer) -> PathBuf {
    directory(store).join(pointer.to_string())
}

/// Whether the file is here; its content is looked at when it is read.
pub(super) fn has(store: &Path, pointer: &Pointer) -> bool {
    fs::metadata(path(store, pointer)).is_ok_and(|file| file.len() == pointer.size)
}

/// Reads a file; nothing if it is not here, or damaged, in which case it is removed.
pub(super) fn read(store: &Path, pointer: &Pointer) -> io::Result<Option<Vec<u8>>> {
    let path = path(store, pointer);
    if !has(store, pointer) {
        return Ok(None);
    }
    let content = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    if content.len() as u64 == pointer.size && Sha256::digest(&content).as_slice() == pointer.sha256 {
        return Ok(Some(content));
    }
    fs::remove_file(&path)?;
    Ok(None)
}

/// Removes the oldest files until `room` more bytes fit within `bytes_max`, but none of `needed`; and what killed processes left.
pub(super) fn make_room(store: &Path, room: u64, bytes_max: u64, needed: &HashSet<Pointer>) -> io::Result<()> {
    let directory = directory(store);
    private::directory(&directory)?;
    let needed: HashSet<String> = needed.iter().map(ToString::to_string).collect();
    let (mut files, mut bytes) = (Vec::new(), room);
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        let (about, name) = (entry.metadata()?, entry.file_name().to_string_lossy().into_owned());
        let modified = about.modified()?;
        if name.starts_with(INCOMING) {
            if SystemTime::now().duration_since(modified).is_ok_and(|age| age > INCOMING_AGE) {
                fs::remove_file(entry.path())?;
            }
            continue;
        }
        bytes = bytes.saturating_add(about.len());
        if !needed.contains(&name) {
            files.push((modified, about.len(), entry.path()));
        }
    }
    files.sort();
    for (_, length, path) in files {
        if bytes <= bytes_max {
            break;
        }
        fs::remove_file(path)?;
        bytes -= length;
    }
    Ok(())
}

/// A file on its way in. Given up, it leaves nothing.
pub(super) struct Incoming {
    file: File,
    path: PathBuf,
    target: PathBuf,
    pointer: Pointer,
    hash: Sha256,
    left: u64,
}

impl Incoming {
    pub(super) fn new(store: &Path, pointer: Pointer) -> io::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory(store).join(format!("{INCOMING}{}-{number}", std::process::id()));
        let file = File::options().write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { file, path, target: self::path(store, &pointer), pointer, hash: Sha256::new(), left: pointer.size })
    }

    /// Takes the next bytes. Whether they are too many is an answer, not a failure of the disk.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else { return Ok(false) };
        self.left = left;
        self.hash.update(bytes);
        self.file.write_all(bytes)?;
        Ok(true)
    }

    /// Keeps the file, if it is what the pointer says.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        let whole = self.left == 0 && self.hash.finalize_reset().as_slice() == self.pointer.sha256;
        if whole {
            fs::rename(&self.path, &self.target)?;
        }
        Ok(whole)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Renamed, it is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(content: &[u8]) -> Pointer {
        Pointer { sha256: Sha256::digest(content).into(), size: content.len() as u64 }
    }

    fn put(store: &Path, content: &[u8]) -> Pointer {
        let mut incoming = Incoming::new(store, pointer(content)).unwrap();
        assert!(incoming.write(content).unwrap() && incoming.finish().unwrap());
        pointer(content)
    }

    #[test]
    fn only_what_a_pointer_names_is_kept_and_read() {
        let store = tempfile::tempdir().unwrap();
        let store = store.path();
        make_room(store, 0, 0, &HashSet::new()).unwrap();
        let hello = put(store, b"hello");
        assert_eq!(read(store, &hello).unwrap().as_deref(), Some(&b"hello"[..]));
        for (sent, taken) in [(&b"hallo"[..], true), (b"hell", true), (b"hello!", false)] {
            let mut incoming = Incoming::new(store, pointer(b"world")).unwrap();
            assert_eq!(incoming.write(sent).unwrap(), taken);
            assert!(!incoming.finish().unwrap(), "{sent:?}");
        }
        assert!(!has(store, &pointer(b"world")));
        assert_eq!(fs::read_dir(store.join("lfs")).unwrap().count(), 1, "nothing is left behind");
        // Damage on disk is noticed, whether or not the length changes.
        for damage in [&b"jello"[..], b"h"] {
            fs::write(path(store, &hello), damage).unwrap();
            assert_eq!(read(store, &hello).unwrap(), None);
            put(store, b"hello");
        }
    }

    #[test]
    fn the_oldest_files_go_but_none_that_is_needed() {
        let store = tempfile::tempdir().unwrap();
        let store = store.path();
        make_room(store, 0, 0, &HashSet::new()).unwrap();
        let files = [&b"aaaa"[..], b"bbbb", b"cccc"].map(|content| put(store, content));
        for (age, file) in (1..).zip(files.iter().rev()) {
            let time = SystemTime::now() - Duration::from_secs(age * 1000);
            File::options().write(true).open(path(store, file)).unwrap().set_modified(time).unwrap();
        }
        make_room(store, 2, 10, &HashSet::from([files[0]])).unwrap();
        assert_eq!(files.map(|file| has(store, &file)), [true, false, true]);
        make_room(store, 8, 10, &HashSet::from([files[0]])).unwrap();
        assert_eq!(files.map(|file| has(store, &file)), [true, false, false]);
    }
}
