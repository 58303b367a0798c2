//! What was rendered before, in memory and on disk.
//!
//! Invariant: an entry is what a render under the same key gives, or it is not there. The disk is a help only: an entry that
//! is damaged is dropped, a disk that is full or gone costs renders, nothing else. Entry point: [`Cache`].

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use trueup_object::{Digest, Manifest, Node};

use crate::reads::ReadSet;
use crate::workers::Need;
use crate::{Rendered, Tool};

/// Bytes of JSON that are kept in memory; as trees they take about three times as much.
const MEMORY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What an entry without objects counts in memory, in bytes, so that many of them are bounded too.
const ENTRY_BYTES: usize = 512;
/// Bytes that are kept on disk: some ten thousand applications of ten objects.
const DISK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// An entry larger than this is not read, in bytes: nothing that we write is.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How the name of an entry ends that is being written.
const UNFINISHED: &str = ".new";

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    /// What the files say. Its key is of what was declared and of what was read.
    Rendered(Arc<Rendered>),
    /// What is to be fetched before the files say anything. Its key is like that of a render.
    Needs(Arc<Vec<Need>>),
    /// What renders read that were declared alike, the last one first. Its key is of what was declared.
    Reads(Arc<Vec<ReadSet>>),
}

/// What was rendered before.
#[derive(Debug)]
pub(crate) struct Cache {
    memory: Mutex<Memory>,
    disk: Option<Disk>,
}

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<Digest, Slot>,
    /// The keys by when they were last used.
    order: BTreeMap<u64, Digest>,
    clock: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Slot {
    kept: Kept,
    bytes: usize,
    used: u64,
}

#[derive(Debug)]
struct Disk {
    dir: PathBuf,
    bytes_max: u64,
    bytes: Mutex<u64>,
    /// Makes the names of unfinished entries differ.
    serial: AtomicU64,
    /// Whether the last write failed, so that a full disk is told once.
    ailing: AtomicBool,
}

/// The first line of an entry on disk, behind the line with its digest.
#[derive(Serialize, Deserialize)]
enum Head {
    Rendered { manifests: usize, tool: Tool, warnings: Vec<String> },
    Needs(Vec<Need>),
    Reads(Vec<ReadSet>),
}

// === impl Cache ===

impl Cache {
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self::bounded(dir, MEMORY_BYTES_MAX, DISK_BYTES_MAX)
    }

    fn bounded(dir: Option<PathBuf>, memory_bytes_max: usize, disk_bytes_max: u64) -> Self {
        let memory = Memory { bytes_max: memory_bytes_max, ..Memory::default() };
        Self { memory: Mutex::new(memory), disk: dir.and_then(|dir| Disk::new(dir, disk_bytes_max)) }
    }

    pub(crate) fn get(&self, key: Digest) -> Option<Kept> {
        if let Some(kept) = lock(&self.memory).get(key) {
            return Some(kept);
        }
        let kept = self.disk.as_ref()?.get(key)?;
        lock(&self.memory).put(key, kept.clone());
        Some(kept)
    }

    pub(crate) fn put(&self, key: Digest, kept: Kept) {
        if let Some(disk) = &self.disk {
            disk.put(key, &kept);
        }
        self.put_in_memory(key, kept);
    }

    /// Keeps what must not be written to a disk.
    pub(crate) fn put_in_memory(&self, key: Digest, kept: Kept) {
        lock(&self.memory).put(key, kept);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Memory ===

impl Memory {
    fn get(&mut self, key: Digest) -> Option<Kept> {
        self.clock += 1;
        let slot = self.entries.get_mut(&key)?;
        self.order.remove(&slot.used);
        slot.used = self.clock;
        self.order.insert(slot.used, key);
        Some(slot.kept.clone())
    }

    fn put(&mut self, key: Digest, kept: Kept) {
        self.drop_entry(key);
        let bytes = ENTRY_BYTES + kept.bytes();
        if bytes > self.bytes_max {
            return;
        }
        self.clock += 1;
        self.order.insert(self.clock, key);
        self.entries.insert(key, Slot { kept, bytes, used: self.clock });
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.first_key_value().map(|(_, key)| *key) else { return };
            self.drop_entry(oldest);
        }
    }

    fn drop_entry(&mut self, key: Digest) {
        if let Some(slot) = self.entries.remove(&key) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }
}

// === impl Kept ===

impl Kept {
    fn bytes(&self) -> usize {
        match self {
            Self::Rendered(rendered) => rendered.bytes + rendered.warnings.iter().map(String::len).sum::<usize>(),
            Self::Needs(needs) => needs.len() * ENTRY_BYTES,
            Self::Reads(sets) => sets.iter().map(ReadSet::bytes).sum(),
        }
    }

    /// One JSON value per line: the head, then the objects. The first line is the digest of the rest.
    fn write(&self) -> Option<Vec<u8>> {
        let head = match self {
            Self::Rendered(rendered) => Head::Rendered {
                manifests: rendered.manifests.len(),
                tool: rendered.tool,
                warnings: rendered.warnings.clone(),
            },
            Self::Needs(needs) => Head::Needs(needs.to_vec()),
            Self::Reads(sets) => Head::Reads(sets.to_vec()),
        };
        let mut body = serde_json::to_vec(&head).ok()?;
        body.push(b'\n');
        if let Self::Rendered(rendered) = self {
            for manifest in &rendered.manifests {
                serde_json::to_writer(&mut body, manifest.node()).ok()?;
                body.push(b'\n');
            }
        }
        let mut text = Digest::of(&body).to_string().into_bytes();
        text.push(b'\n');
        text.append(&mut body);
        Some(text)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let (digest, body) = line(text)?;
        let digest: Digest = std::str::from_utf8(digest).ok()?.parse().ok()?;
        if digest != Digest::of(body) {
            return None;
        }
        let (head, mut rest) = line(body)?;
        match serde_json::from_slice(head).ok()? {
            Head::Needs(needs) => Some(Self::Needs(Arc::new(needs))),
            Head::Reads(sets) => Some(Self::Reads(Arc::new(sets))),
            Head::Rendered { manifests: count, tool, warnings } => {
                let mut manifests = Vec::new();
                for _ in 0..count {
                    let (object, behind) = line(rest)?;
                    manifests.push(Manifest::try_from(Node::from_json(object).ok()?).ok()?);
                    rest = behind;
                }
                Some(Self::Rendered(Arc::new(Rendered::new(tool, manifests, warnings))))
            }
        }
    }
}

fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| byte == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

// === impl Disk ===

impl Disk {
    /// Takes over what is there. `None` if the directory cannot be used.
    fn new(dir: PathBuf, bytes_max: u64) -> Option<Self> {
        if let Err(error) = private_dir(&dir) {
            tracing::warn!(dir = %dir.display(), %error, "cannot keep what is rendered on disk; every start renders anew");
            return None;
        }
        let disk =
            Self { dir, bytes_max, bytes: Mutex::new(0), serial: AtomicU64::new(0), ailing: AtomicBool::new(false) };
        let unfinished = entries(&disk.dir).filter(|entry| entry.name.ends_with(UNFINISHED));
        unfinished.for_each(|entry| drop(fs::remove_file(disk.dir.join(entry.name))));
        let mut bytes = lock(&disk.bytes);
        *bytes = disk.shrink();
        drop(bytes);
        Some(disk)
    }

    fn path(&self, key: Digest) -> PathBuf {
        self.dir.join(key.to_string())
    }

    fn get(&self, key: Digest) -> Option<Kept> {
        let path = self.path(key);
        let file = File::open(&path).ok()?;
        let about = file.metadata().ok()?;
        let text = if about.len() > FILE_BYTES_MAX { Vec::new() } else { fs::read(&path).ok()? };
        let kept = Kept::read(&text);
        if kept.is_none() {
            tracing::warn!(entry = %path.display(), "a cached render is damaged; it is dropped");
            if fs::remove_file(&path).is_ok() {
                let mut bytes = lock(&self.bytes);
                *bytes = bytes.saturating_sub(about.len());
            }
        } else if let Err(error) = file.set_modified(SystemTime::now()) {
            // Then it counts as older than it is.
            tracing::debug!(entry = %path.display(), %error, "cannot note the use of a cached render");
        }
        kept
    }

    fn put(&self, key: Digest, kept: &Kept) {
        let Some(text) = kept.write().filter(|text| text.len() as u64 <= FILE_BYTES_MAX) else { return };
        let path = self.path(key);
        let unfinished =
            format!("{key}.{}.{}{UNFINISHED}", std::process::id(), self.serial.fetch_add(1, Ordering::Relaxed));
        let unfinished = self.dir.join(unfinished);
        let before = fs::metadata(&path).map_or(0, |about| about.len());
        match write_private(&unfinished, &text).and_then(|()| fs::rename(&unfinished, &path)) {
            Ok(()) => {
                self.ailing.store(false, Ordering::Relaxed);
                let mut bytes = lock(&self.bytes);
                *bytes = bytes.saturating_sub(before) + text.len() as u64;
                if *bytes > self.bytes_max {
                    *bytes = self.shrink();
                }
            }
            Err(error) => {
                drop(fs::remove_file(&unfinished));
                if !self.ailing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(dir = %self.dir.display(), %error, "cannot keep what is rendered on disk");
                }
            }
        }
    }

    /// Removes the entries that were not used for the longest time, down to nine tenths of the limit if it is passed. Answers
    /// how many bytes there are.
    fn shrink(&self) -> u64 {
        let mut found: Vec<Entry> = entries(&self.dir).collect();
        let mut bytes = found.iter().map(|entry| entry.bytes).sum();
        if bytes <= self.bytes_max {
            return bytes;
        }
        found.sort_unstable_by_key(|entry| entry.modified);
        for entry in found {
            if bytes <= self.bytes_max / 10 * 9 {
                break;
            }
            if fs::remove_file(self.dir.join(&entry.name)).is_ok() {
                bytes -= entry.bytes;
            }
        }
        bytes
    }
}

struct Entry {
    name: String,
    bytes: u64,
    modified: SystemTime,
}

fn entries(dir: &Path) -> impl Iterator<Item = Entry> {
    fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| {
        let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let name = entry.file_name().into_string().ok()?;
        Some(Entry { name, bytes: about.len(), modified: about.modified().ok()? })
    })
}

/// Manifests may be Secrets: nobody else reads them.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::{Place, Read};

    fn rendered(name: &str) -> Kept {
        let text = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
        let manifest = Manifest::try_from(Node::from_json(text.as_bytes()).unwrap()).unwrap();
        Kept::Rendered(Arc::new(Rendered::new(Tool::Helm, vec![manifest], vec!["careful".to_owned()])))
    }

    fn key(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    #[test]
    fn memory_lets_go_of_what_was_not_used_for_the_longest_time() {
        let one = ENTRY_BYTES + rendered("a").bytes();
        let cache = Cache::bounded(None, 2 * one, 0);
        cache.put(key("a"), rendered("a"));
        cache.put(key("b"), rendered("b"));
        assert_eq!(cache.get(key("a")), Some(rendered("a")));
        cache.put(key("c"), rendered("c"));
        assert_eq!(cache.get(key("b")), None);
        assert_eq!(cache.get(key("a")), Some(rendered("a")));
        assert_eq!(cache.get(key("c")), Some(rendered("c")));
        let memory = lock(&cache.memory);
        assert_eq!((memory.bytes, memory.entries.len(), memory.order.len()), (2 * one, 2, 2));
    }

    #[test]
    fn what_is_larger_than_memory_is_not_kept_there() {
        let cache = Cache::bounded(None, 10, 0);
        cache.put(key("a"), rendered("a"));
        assert_eq!(cache.get(key("a")), None);
    }

    #[test]
    fn disk_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut reads = ReadSet::default();
        reads.add(Read::File(Place::own("a.yaml")));
        reads.add(Read::ApiVersion("v1/Pod".to_owned()));
        let reads = Kept::Reads(Arc::new(vec![reads, ReadSet::default()]));
        let needs = Kept::Needs(Arc::new(vec![Need::Resource { url: "https://a.example/b".to_owned() }]));
        let cache = Cache::new(Some(dir.path().join("renders")));
        cache.put(key("a"), rendered("a"));
        cache.put(key("r"), reads.clone());
        cache.put(key("n"), needs.clone());
        cache.put_in_memory(key("m"), rendered("m"));
        let cache = Cache::new(Some(dir.path().join("renders")));
        assert_eq!(cache.get(key("a")), Some(rendered("a")));
        assert_eq!(cache.get(key("r")), Some(reads));
        assert_eq!(cache.get(key("n")), Some(needs));
        assert_eq!(cache.get(key("m")), None);
        assert_eq!(cache.get(key("b")), None);
    }

    #[test]
    fn damaged_entries_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let cache = |()| Cache::bounded(Some(dir.path().to_owned()), 0, 1_000_000);
        cache(()).put(key("a"), rendered("a"));
        let path = dir.path().join(key("a").to_string());
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..10], &[], &flipped] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache(()).get(key("a")), None);
            assert!(!path.exists());
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(cache(()).get(key("a")), Some(rendered("a")));
    }

    #[test]
    fn disk_is_bounded_and_unfinished_entries_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let one = rendered("0").write().unwrap().len() as u64;
        fs::write(dir.path().join("x.new"), "half").unwrap();
        let cache = Cache::bounded(Some(dir.path().to_owned()), 0, 10 * one);
        assert!(!dir.path().join("x.new").exists());
        for name in 0..20 {
            cache.put(key(&name.to_string()), rendered(&(name % 10).to_string()));
            let bytes: u64 = entries(dir.path()).map(|entry| entry.bytes).sum();
            assert!(bytes <= 10 * one, "{bytes}");
        }
        assert!(entries(dir.path()).count() >= 9);
        // A smaller limit is kept at the next start.
        let cache = Cache::bounded(Some(dir.path().to_owned()), 0, 2 * one);
        assert!(entries(dir.path()).count() <= 2);
        drop(cache);
    }

    #[test]
    fn a_directory_that_cannot_be_used_costs_only_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let cache = Cache::new(Some(dir.path().join("file")));
        cache.put(key("a"), rendered("a"));
        assert_eq!(cache.get(key("a")), Some(rendered("a")));
        // One that vanishes, too.
        let gone = dir.path().join("gone");
        let cache = Cache::new(Some(gone.clone()));
        fs::remove_dir_all(&gone).unwrap();
        cache.put(key("a"), rendered("a"));
        assert_eq!(cache.get(key("a")), Some(rendered("a")));
    }
}
